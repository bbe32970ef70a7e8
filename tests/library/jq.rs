//! jq filters.

use crate::common::adversarial_lines::adversarial_log;
use crate::common::{Home, bundle, indexed, sequential};
use patchwork_traces::Bundle;
use patchwork_traces::cat::{CatOptions, cat, cat_by_time};
use patchwork_traces::input::TraceInput;
use patchwork_traces::progress::NoProgress;
use patchwork_traces::query::{JqFilter, StringForm};
use proptest::prelude::*;

fn outputs(filter: &str, row: &str) -> Vec<String> {
    filter.parse::<JqFilter>().unwrap().outputs(row).unwrap()
}

fn printed(bundle: Bundle<'_>, options: &CatOptions) -> Vec<u8> {
    let mut text = Vec::new();
    cat(bundle, options, &mut text, "memory", &NoProgress).unwrap();
    text
}

#[test]
fn values_of_a_row_keep_their_texts() {
    let row = r#" { "a" : 1.0 , "b":[12345678901234567890, -0, 1E+2 ],"s":"\u00e9\/","a":{"x" :1e999,"x": 2},"\u0061b":0.10 } "#;
    for (filter, expected) in [
        (".", row),
        (".a", r#"{"x" :1e999,"x": 2}"#),
        (".b", "[12345678901234567890, -0, 1E+2 ]"),
        (".b[0]", "12345678901234567890"),
        (".b[1]", "-0"),
        (".b[2]", "1E+2"),
        (".s", r#""\u00e9\/""#),
        (".ab", "0.10"),
        ("[.ab, .b]", "[0.10,[12345678901234567890, -0, 1E+2 ]]"),
        ("{s, n: .b[1]}", r#"{"s":"\u00e9\/","n":-0}"#),
        (".b + [.ab]", "[12345678901234567890,-0,1E+2,0.10]"),
        (".b | first(.[] | select(. > 5))", "12345678901234567890"),
        (".b[0] + 1", "12345678901234567891"),
        (".s + \"!\"", "\"é/!\""),
        ("del(.b, .s, .ab)", r#"{"a":{"x" :1e999,"x": 2}}"#),
    ] {
        assert_eq!(outputs(filter, row), [expected], "{filter}");
    }
    assert_eq!(
        outputs("nan, infinite, 3 / 2, 4 / 2, 0.1 + 0.2", "null"),
        ["null", "1.7976931348623157e308", "1.5", "2", "0.30000000000000004"]
    );
}

#[test]
fn strings_are_printed_raw_on_request() {
    let filter: JqFilter = ".[]".parse().unwrap();
    let row = r#"["a\n\u001b[31m", 1, ["\u001b"], {"k":"x\ty"}]"#;
    let raw = filter.clone().strings(StringForm::Raw).outputs(row).unwrap();
    assert_eq!(raw, ["a\n\u{1b}[31m", "1", "[\"\\u001b\"]", "{\"k\":\"x\\ty\"}"]);
    assert_eq!(filter.strings(StringForm::Visible).outputs(row).unwrap()[0], "a\\u{a}\\u{1b}[31m");
}

#[test]
fn a_long_integer_takes_no_longer_than_other_numbers() {
    let digits = "7".repeat(4_000_000);
    let started = std::time::Instant::now();
    assert_eq!(outputs(".[0]", &format!("[{digits}]")), [digits]);
    assert!(started.elapsed().as_secs() < 20);
}

proptest! {
    #[test]
    fn any_log_passes_through_a_filter_byte_for_byte(log in adversarial_log()) {
        let bundle = bundle(&Home::new().with("runs.jsonl", log));
        let raw = printed(indexed(&bundle).unwrap(), &CatOptions::default());
        for filter in [".", "select(true)", "[.][0]", "first(., error)"] {
            let filtered = CatOptions::default().jq(filter.parse::<JqFilter>().unwrap());
            prop_assert_eq!(&printed(indexed(&bundle).unwrap(), &filtered), &raw);
            prop_assert_eq!(&printed(sequential(&bundle).unwrap(), &filtered), &raw);
        }
    }

    #[test]
    fn any_filter_text_compiles_or_gives_an_error_position(text in "[.a-c\\[\\]|,(){}:\"$@0-9 +?é\\\\-]{0,12}") {
        if let Err(error) = text.parse::<JqFilter>() {
            let byte = error.byte.expect("the place is known");
            prop_assert!(text.is_char_boundary(byte), "{}", error);
        }
    }
}

/// Generates rows whose keys occur up to 12 times.
fn rows_with_duplicates() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![Just("1".to_owned()), Just("\"\\u0041\"".to_owned()), Just("[]".to_owned())];
    let value = leaf.prop_recursive(3, 30, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(|values| format!("[{}]", values.join(", "))),
            proptest::collection::vec(("[ab]", inner), 1..4).prop_map(|members| object(&members)),
        ]
    });
    proptest::collection::vec(("[ab]", value), 1..12).prop_map(|members| object(&members))
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
    format!("{{{}}}", members.join(", "))
}

/// Returns some filters and the values that they should return for an object.
fn expected_of(row: &serde_json::Value) -> Vec<(&'static str, serde_json::Value)> {
    use serde_json::json;
    let of_a = row.get("a").cloned().unwrap_or_default();
    let mut without_a = row.clone();
    without_a.as_object_mut().unwrap().remove("a");
    let mut red = row.clone();
    red["a"] = json!("red");
    let wrapped = row.as_object().unwrap().iter().map(|(key, value)| (key.clone(), json!([value])));
    vec![
        (".a", of_a.clone()),
        ("{a}", json!({ "a": of_a })),
        ("[.a]", json!([of_a])),
        ("[{a}, {x: 1}, [1]]", json!([{ "a": of_a }, { "x": 1 }, [1]])),
        ("del(.a)", without_a),
        (".a = \"red\"", red),
        ("map_values([.])", wrapped.collect()),
    ]
}

proptest! {
    #[test]
    fn any_row_with_duplicate_keys_gives_its_last_values(row in rows_with_duplicates()) {
        // serde_json keeps the last one, too.
        for (filter, expected) in expected_of(&serde_json::from_str(&row).unwrap()) {
            let found = outputs(filter, &row);
            let values: Vec<serde_json::Value> = found.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            prop_assert_eq!(&values, &[expected], "{} of {} is {:?}", filter, row, found);
        }
    }
}

#[test]
fn recursion_is_as_deep_as_a_large_stack() {
    let sum = "def sum: if . == 0 then 0 else . + (. - 1 | sum) end; sum";
    assert_eq!(outputs(sum, "100000"), ["5000050000"]);
    assert_eq!(outputs("def f: if . < 200000 then . + 1 | f else . end; f", "0"), ["200000"]);
    assert_eq!(outputs("reduce range(50000) as $i (null; [.]) | tojson | length", "0"), ["100004"]);
}

#[test]
fn endless_recursion_fails_after_the_lines_before_it() {
    for filter in [
        "1, (def f: 1 + f; f)",
        "1, (def f: try f catch .; f)",
        "1, (def f: [f]; f)",
        "1, (def f: .a | f | .b; null | f)",
    ] {
        let filter: JqFilter = filter.parse().unwrap();
        assert_eq!(filter.outputs("null"), Err("the filter recurses too deeply".to_owned()), "{filter}");
    }
    let filter = ".n, (select(.n == 2) | def f: 1 + f; f)";
    assert_eq!(printed_of_three(filter, CatOptions::default()), ("1\n2\n3\n".to_owned(), vec![2]));
}

/// Prints rows with the numbers 1 to 3. Returns the text and the lines of the rows for which the filter failed.
fn printed_of_three(filter: &str, options: CatOptions) -> (String, Vec<u64>) {
    let home = Home::new().with("runs.jsonl", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    let (options, bundle) = (options.jq(filter.parse::<JqFilter>().unwrap()), bundle(&home));
    let (mut text, mut by_time) = (Vec::new(), Vec::new());
    let report = cat(indexed(&bundle).unwrap(), &options, &mut text, "memory", &NoProgress).unwrap();
    let inputs = [TraceInput::from_bundle(indexed(&bundle).unwrap())];
    let timed = cat_by_time(&inputs, &options, &mut by_time, "memory", &NoProgress).unwrap();
    assert_eq!((&text, &report.failed), (&by_time, &timed.failed), "{filter}");
    (String::from_utf8(text).unwrap(), report.failed.first.iter().map(|row| row.line).collect())
}

#[test]
fn rows_that_fail_at_the_end_are_reported_with_the_last_lines() {
    let filter = "if .n == 3 then error(\"x\") else .n end";
    for (tail, expected) in [(1, "2\n"), (2, "1\n2\n"), (3, "1\n2\n")] {
        assert_eq!(printed_of_three(filter, CatOptions::default().tail(tail)), (expected.to_owned(), vec![3]));
    }
    assert_eq!(printed_of_three(filter, CatOptions::default().head(2)), ("1\n2\n".to_owned(), vec![]));
}

#[test]
fn an_endless_filter_stops_at_the_line_limit() {
    for filter in
        [".n, (def f: f; f)", "select(.n == 1) | range(infinite)", ".n, (range(10000) | empty), (def f: f; f)"]
    {
        let (text, failed) = printed_of_three(filter, CatOptions::default().head(1));
        assert_eq!((text.lines().count(), failed), (1, vec![]), "{filter}");
    }
    let after_many_steps = ".n, (range(10000) | select(. == 9999)), (def f: f; f)";
    assert_eq!(printed_of_three(after_many_steps, CatOptions::default().head(2)).0, "1\n9999\n");
}

#[test]
fn functions_that_differ_in_jaq_behave_like_jq() {
    for (filter, expected) in [
        ("[1,2,3,4] | del(.[0,1])", "[3,4]"),
        ("[1,2,3,4] | delpaths([[0], [1], [0]])", "[3,4]"),
        ("[1,2,3,4] | del(.[-1], .[1:3])", "[1]"),
        ("[1,2,3,4] | del(.[9], .[-9])", "[1,2,3,4]"),
        ("{a: [1, {b: 2, c: 3}]} | del(.a[1].b, .a[0], .x.y)", r#"{"a":[{"c":3}]}"#),
        ("{a: 1, b: 2, c: 3} | del(.a)", r#"{"b":2,"c":3}"#),
        ("null | del(.a)", "null"),
        ("1 | try del(.a) catch \"bad\"", "\"bad\""),
        ("\"Größe\" | [scan(\"\\\\w+\")]", "[\"Größe\"]"),
        ("\"É\" | test(\"é\"; \"i\")", "true"),
        ("\"ab\" | [test(\"B\"; null), test(\"\\\\p{L}\")]", "[false,true]"),
        ("\"ÄÖ\" | match(\"Ö\").offset", "1"),
        ("\"test\" | [scan(\"(t)(x)?\")]", r#"[["t",null],["t",null]]"#),
        (
            "\"äb\" | [match(\"(b)|(c)\").captures[] | [.offset, .length, .string, .name]]",
            r#"[[1,1,"b",null],[-1,0,null,null]]"#,
        ),
        ("\"ab\" | capture(\"(?<x>a)(?<y>z)?\")", r#"{"x":"a","y":null}"#),
        ("\"abc\" | sub(\"(?<x>b)\"; \"<\\(.x)>\")", "\"a<b>c\""),
        ("\"aXbX\" | [splits(\"x\"; \"i\")]", r#"["a","b",""]"#),
        ("[\"12abc\" | tonumber?]", "[]"),
        ("[\"{} x\" | fromjson?]", "[]"),
        ("\"[1.50,12345678901234567890]\" | fromjson", "[1.50,12345678901234567890]"),
        ("\" 12 \" | tonumber", "12"),
        ("\"[\" * 200000 | try fromjson catch \"bad\"", "\"bad\""),
        ("(\"[\" * 200 + \"]\" * 200) | try fromjson catch .", "\"the JSON text is nested too deeply\""),
        ("[\"a\", null, true, 1.5] | join(\"-\")", "\"a--true-1.5\""),
        ("[] | join(\",\")", "\"\""),
        ("[{name: \"a\", value: 1}, {key: false}, {k: \"b\", v: 2}] | from_entries", r#"{"a":1,"false":null,"b":2}"#),
        ("[nan] | tojson", "\"[null]\""),
    ] {
        assert_eq!(outputs(filter, "null"), [expected], "{filter}");
    }
}

#[test]
fn values_of_rows_keep_the_characters_of_the_log() {
    let log = "{\"a\":\"x\\ud800y\",\"u\":\"l\u{2028}s\"}\n";
    let bundle = bundle(&Home::new().with("runs.jsonl", log));
    let options = CatOptions::default().jq(".a, .u, {u}".parse::<JqFilter>().unwrap());
    let expected = "\"x\\ud800y\"\n\"l\u{2028}s\"\n{\"u\":\"l\u{2028}s\"}\n";
    assert_eq!(String::from_utf8(printed(indexed(&bundle).unwrap(), &options)).unwrap(), expected);
}
