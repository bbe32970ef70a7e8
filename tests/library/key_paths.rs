//! Paths to values: parsing, printing, errors.

use patchwork_traces::query::{KeyPath, KeyPathFault, PathStep};
use proptest::prelude::*;

fn key(key: &str) -> PathStep {
    PathStep::Key(key.to_owned())
}

#[test]
fn a_path_has_keys_indexes_and_each() {
    for (text, steps) in [
        (".", vec![]),
        ("tool", vec![key("tool")]),
        (".tool", vec![key("tool")]),
        ("body.decision", vec![key("body"), key("decision")]),
        ("steps[0].status", vec![key("steps"), PathStep::Index(0), key("status")]),
        ("steps[-1]", vec![key("steps"), PathStep::Index(-1)]),
        ("steps[][].a", vec![key("steps"), PathStep::Each, PathStep::Each, key("a")]),
        ("[0].a", vec![PathStep::Index(0), key("a")]),
        (".[].a", vec![PathStep::Each, key("a")]),
        ("a.[0]", vec![key("a"), PathStep::Index(0)]),
        (r#""a.b".c"#, vec![key("a.b"), key("c")]),
        (r#"["a.b"].c"#, vec![key("a.b"), key("c")]),
        (r#".""."\u00e9\"""#, vec![key(""), key("é\"")]),
        ("x-y_z/ü:@$#", vec![key("x-y_z/ü:@$#")]),
    ] {
        assert_eq!(text.parse::<KeyPath>().unwrap().steps(), steps, "{text}");
    }
}

#[test]
fn an_error_has_the_byte_at_which_the_text_stops_being_a_path() {
    for (text, byte, fault) in [
        ("", 0, KeyPathFault::NoKey),
        ("a.", 2, KeyPathFault::NoKey),
        ("a..b", 2, KeyPathFault::NoKey),
        ("..a", 1, KeyPathFault::NoKey),
        ("é[", 3, KeyPathFault::Brackets),
        ("a[x]", 2, KeyPathFault::Brackets),
        ("a[1-]", 2, KeyPathFault::Brackets),
        ("a[99999999999999999999]", 2, KeyPathFault::Brackets),
        ("a[0", 3, KeyPathFault::OpenBracket),
        ("a[0x]", 3, KeyPathFault::OpenBracket),
        ("a[\"b\"", 5, KeyPathFault::OpenBracket),
        ("a.\"b", 2, KeyPathFault::QuotedKey),
        ("\"\\ud800\"", 0, KeyPathFault::QuotedKey),
        ("a b", 1, KeyPathFault::AfterPath),
        ("a]", 1, KeyPathFault::AfterPath),
        ("a,b", 1, KeyPathFault::AfterPath),
    ] {
        let error = text.parse::<KeyPath>().unwrap_err();
        assert_eq!((error.byte, error.fault), (byte, fault), "{text}");
    }
    assert_eq!(
        "a[x\u{1b}]".parse::<KeyPath>().unwrap_err().to_string(),
        r"expected ], a whole number or a key in quotation marks at byte 2: x\u{1b}]"
    );
    assert_eq!("a.".parse::<KeyPath>().unwrap_err().to_string(), "expected a key at the end");
}

#[test]
fn a_list_is_separated_by_commas_outside_of_quotation_marks() {
    let paths = KeyPath::parse_list(r#"ts,a["x,y"],steps[]"#).unwrap();
    assert_eq!(paths.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ts", r#"a."x,y""#, "steps[]"]);
    assert_eq!(KeyPath::parse_list("a,").unwrap_err().byte, 2);
    assert_eq!(KeyPath::parse_list("a, b").unwrap_err().byte, 2);
}

fn steps() -> impl Strategy<Value = Vec<PathStep>> {
    let key = prop_oneof![any::<String>(), "[a-z.\\[\\]\" ]{0,4}"].prop_map(PathStep::Key);
    proptest::collection::vec(prop_oneof![key, any::<i64>().prop_map(PathStep::Index), Just(PathStep::Each)], 0..6)
}

proptest! {
    #[test]
    fn a_printed_path_parses_to_the_same_steps(steps in steps()) {
        let path = KeyPath::from_steps(steps);
        prop_assert_eq!(path.to_string().parse::<KeyPath>().unwrap(), path.clone());
        prop_assert_eq!(KeyPath::parse_list(&format!("{path},{path}")).unwrap(), [path.clone(), path]);
    }

    #[test]
    fn any_text_is_a_path_or_an_error_within_it(text in any::<String>()) {
        match text.parse::<KeyPath>() {
            Ok(path) => prop_assert_eq!(path.to_string().parse::<KeyPath>().unwrap(), path),
            Err(error) => prop_assert!(text.is_char_boundary(error.byte)),
        }
    }
}
