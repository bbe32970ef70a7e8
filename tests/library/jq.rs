//! Filters in the language of jq.

use crate::common::adversarial_lines::adversarial_log;
use crate::common::{Home, bundle, indexed, sequential};
use patchwork_traces::Bundle;
use patchwork_traces::cat::{CatOptions, cat};
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
fn strings_are_printed_raw_if_asked_for() {
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
    fn any_filter_text_is_compiled_or_pointed_at(text in "[.a-c\\[\\]|,(){}:\"$@0-9 +?é\\\\-]{0,12}") {
        if let Err(error) = text.parse::<JqFilter>() {
            let byte = error.byte.expect("the place is known");
            prop_assert!(text.is_char_boundary(byte), "{}", error);
        }
    }
}
