//! Selecting rows by their values, and printing them.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use crate::common::{Home, bundle, indexed, sequential, text_of};
use patchwork_traces::Bundle;
use patchwork_traces::cat::{CatOptions, RowFormat, cat, cat_all, cat_by_time};
use patchwork_traces::input::TraceInput;
use patchwork_traces::progress::NoProgress;
use patchwork_traces::query::{Condition, ConditionError, KeyPath, RowFilter};
use proptest::prelude::*;
use serde_json::Value;

fn matches(condition: &str, row: &str) -> bool {
    condition.parse::<Condition>().unwrap_or_else(|error| panic!("{condition}: {error}")).matches(row)
}

#[test]
fn conditions_match_the_expected_rows() {
    let row = r#"{"n":12345678901234567890,"s":"deny","five":5,"text5":"5","t":true,"nul":null,"e":"caf\u00e9 \"x\"",
        "steps":[{"status":"ok","ms":1.50e1},{"status":"error"}],"a.b":{"c":"1"},"s":"deny","list":[]}"#;
    for condition in [
        "s=deny",
        "s == deny",
        "s != allow",
        "s~^de",
        "s!~^al",
        "s",
        "!x",
        "nul",
        "nul=null",
        "x=null",
        "x!=1",
        "s!=null",
        "n=12345678901234567890",
        "n=1234567890123456789e1",
        "n!=12345678901234567891",
        "n>12345678901234567889",
        "n < 12345678901234567891",
        "five=5",
        "five=5.0",
        "text5=5",
        "text5=\"5\"",
        "five!=\"5\"",
        "five>=5",
        "five<=5",
        "t=true",
        "t!=false",
        "e=café \"x\"",
        "e=\"caf\\u00e9 \\\"x\\\"\"",
        "e~\"x\"$",
        "steps[].status=error",
        "steps[].status!=ok",
        "steps[0].status=ok",
        "steps[-1].status=error",
        "steps[].ms=15",
        "steps[].ms<16",
        "steps[].ms!=15",
        "\"a.b\".c=1",
        "[\"a.b\"].c~^1$",
        "!list[]",
        "list",
        "steps[1].ms=null",
        "s<e",
        "s>=deny",
        "five~5",
        "t~^true$",
        ".!=1",
        "steps[].x=null",
        "s=deny ",
    ] {
        assert!(matches(condition, row), "{condition}");
    }
    for condition in [
        "s=den",
        "s=Deny",
        "s!=deny",
        "s~^e",
        "x",
        "!s",
        "!nul",
        "nul!=null",
        "x=1",
        "x~.",
        "nul~null",
        "x<1",
        "s<1",
        "n=12345678901234567891",
        "n=12345678901234567000",
        "five=\"5\"",
        "five>5",
        "five<5",
        "text5>4",
        "t>false",
        "t=\"true\"",
        "steps=x",
        "steps[].status=x",
        "list[]",
        "list[]!=x",
        "steps[2]",
        "\"a.b\".c=2",
        "a.b.c",
        "five.x=5",
        "s[0]=d",
        "steps[].ms>15",
        "x!=null",
        "list~.",
    ] {
        assert!(!matches(condition, row), "{condition}");
    }
}

#[test]
fn the_last_of_equal_keys_counts() {
    assert!(matches("a=2", r#"{"a":1,"\u0061":2}"#));
    assert!(!matches("a=1", r#"{"a":1,"\u0061":2}"#));
}

#[test]
fn white_space_at_the_end_of_a_value_needs_quotation_marks() {
    for (condition, matching, other) in [
        ("m = \"hello \" ", r#"{"m":"hello "}"#, r#"{"m":"hello"}"#),
        ("m = hello ", r#"{"m":"hello"}"#, r#"{"m":"hello "}"#),
        ("m~hello[ ] ", r#"{"m":"hello "}"#, r#"{"m":"hello"}"#),
        ("m = \"=1\"", r#"{"m":"=1"}"#, r#"{"m":"1"}"#),
    ] {
        assert!(matches(condition, matching), "{condition}");
        assert!(!matches(condition, other), "{condition}");
    }
}

#[test]
fn condition_errors_give_the_position() {
    let error = |text: &str| text.parse::<Condition>().unwrap_err();
    assert_eq!(error("a b"), ConditionError::Operator { byte: 2 });
    assert_eq!(error("!a=1"), ConditionError::Absence { byte: 2 });
    for (text, byte) in [("a=\"C:\\Users\"", 2), ("a != \"x", 5), ("a=>1", 2), ("a=~x", 2), ("a===1", 3), ("a<>1", 2)] {
        assert_eq!(error(text), ConditionError::QuotedValue { byte }, "{text}");
    }
    assert_eq!(error("a={\"b\":1}"), ConditionError::NestedValue { byte: 2 });
    assert_eq!(error("a= [1]"), ConditionError::NestedValue { byte: 3 });
    assert!(matches!(error("a..b=1"), ConditionError::Path(error) if error.byte == 2));
    assert!(matches!(error("!a..b"), ConditionError::Path(error) if error.byte == 3));
    assert!(matches!(error("a~x(y"), ConditionError::Pattern(error) if error.byte == Some(1)));
    assert_eq!(error("a~x(y").to_string(), "unclosed group at byte 1 of the pattern: (y");
    assert_eq!(
        error("a b").to_string(),
        "expected one of = != < <= > >= ~ !~ at byte 2; a key with other characters needs quotation marks"
    );
    for pattern in ["[z-a]", "a{3,1}", "\\p{Nope}", "*", "a{9999999}"] {
        let error = RowFilter::default().pattern(pattern).unwrap_err().to_string();
        assert!(error.contains("pattern"), "{pattern}: {error}");
    }
}

#[test]
fn texts_are_found_literally_and_decoded() {
    let row = r#"{"command":"git commit -m \"fix: caf\u00e9\" \u002d-amend","path":"C:\\dir\/x"}"#;
    for text in [
        "git commit",
        "-m \"fix",
        "-m \\\"fix",
        "café",
        "\\u00e9",
        "--amend",
        "C:\\dir/x",
        "C:\\\\dir\\/x",
        "\"path\":",
    ] {
        assert!(RowFilter::default().text(text).matches(row), "{text}");
    }
    assert!(!RowFilter::default().text("Git").matches(row));
    assert!(RowFilter::default().pattern(r"(?i)GIT.*é.*--amend").unwrap().matches(row));
    assert!(!RowFilter::default().text("git").text("svn").matches(row));
    assert!(RowFilter::default().text("svn").inverted(true).matches(row));
}

/// Returns a text as JSON with some characters escaped.
fn spelled(text: &str, is_escaped: &[bool]) -> String {
    let mut units = [0; 2];
    let spelled = text.chars().zip(is_escaped.iter().cycle()).map(|(c, is_escaped)| match c {
        _ if *is_escaped || c == '\u{1b}' => {
            c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04X}")).collect()
        }
        '"' | '\\' => format!("\\{c}"),
        '\n' => "\\n".to_owned(),
        _ => c.to_string(),
    });
    format!("\"{}\"", spelled.collect::<String>())
}

/// Generates the JSON text of a value.
fn value() -> impl Strategy<Value = String> {
    let word = proptest::sample::select(vec!["deny", "allow", "a/b", "", "é", "\"", "\n", "\u{1b}[0m", "5", "true"]);
    let leaf = prop_oneof![
        2 => (word, proptest::collection::vec(any::<bool>(), 1..3)).prop_map(|(word, is_escaped)| spelled(word, &is_escaped)),
        4 => proptest::sample::select(vec!["5", "5.0", "50e-1", "-0", "12345678901234567890", "true", "false", "null", "[]", "{}"])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|values| format!("[{}]", values.join(" , "))),
            object(inner),
        ]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let key = proptest::sample::select(vec!["\"a\"", "\"b\"", "\"\\u0061\"", "\"taskId\"", "\"a/b\""]);
    proptest::collection::vec((key, value), 0..4).prop_map(|members| {
        let members: Vec<_> = members.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

fn condition() -> impl Strategy<Value = String> {
    let path = proptest::sample::select(vec!["a", "b", "a.b", "a[]", "a[0]", "b[].a", "taskId", "\"a/b\"", "."]);
    let operator = proptest::sample::select(vec!["=", "!=", "<", "<=", ">", ">=", "~", "!~"]);
    let value =
        proptest::sample::select(vec!["deny", "allow", "a/b", "é", "\"\\\"\"", "5", "\"5\"", "null", "true", "e"]);
    prop_oneof![
        6 => (path.clone(), operator, value).prop_map(|(path, operator, value)| format!("{path}{operator}{value}")),
        1 => path.clone().prop_map(str::to_owned),
        1 => path.prop_map(|path| format!("!{path}")),
    ]
}

/// A selection of rows, independent of the order in which its parts are applied.
#[derive(Debug, Clone)]
struct Question {
    conditions: Vec<String>,
    text: Option<&'static str>,
    is_inverted: bool,
    is_latest: bool,
    head: Option<u64>,
    tail: Option<u64>,
}

fn question() -> impl Strategy<Value = Question> {
    let text = proptest::option::weighted(0.3, proptest::sample::select(vec!["deny", "a/b", "\"", "é", "[0m", "true"]));
    let (few, rows) = (proptest::collection::vec(condition(), 0..3), || proptest::option::weighted(0.3, 0..12u64));
    (few, text, any::<bool>(), any::<bool>(), rows(), rows()).prop_map(
        |(conditions, text, is_inverted, is_latest, head, tail)| {
            let is_inverted = is_inverted && (text.is_some() || !conditions.is_empty());
            Question { conditions, text, is_inverted, is_latest, head, tail }
        },
    )
}

impl Question {
    fn options(&self) -> CatOptions {
        let mut filter = RowFilter::default().inverted(self.is_inverted);
        for condition in &self.conditions {
            filter = filter.condition(condition.parse().unwrap());
        }
        filter = self.text.into_iter().fold(filter, RowFilter::text);
        let key: Option<KeyPath> = self.is_latest.then(|| "taskId".parse().unwrap());
        let options = CatOptions::default().filter(filter).latest(key).head(self.head).tail(self.tail);
        options.threads(NonZeroUsize::new(2).unwrap())
    }

    /// Returns the selected rows, determined row by row.
    fn answer(&self, rows: &[String]) -> Vec<String> {
        let mut last = HashMap::new();
        let key = |row: &str| {
            let row: Value = serde_json::from_str(row).unwrap();
            row.get("taskId").filter(|key| !key.is_null()).cloned()
        };
        // Numbers are compared as keys by value, arrays and objects by text.
        let text_of_key = |row: &str| {
            let row: HashMap<String, Box<serde_json::value::RawValue>> = serde_json::from_str(row).unwrap();
            let raw = row["taskId"].get().to_owned();
            let number = raw.parse::<f64>().ok().map(|number| (number + 0.0).to_string());
            number.unwrap_or_else(|| serde_json::from_str::<String>(&raw).map_or(raw, |text| format!("\"{text}")))
        };
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| key(row).is_some()) {
            last.insert(text_of_key(row), at);
        }
        let is_last = |at: usize, row: &str| !self.is_latest || key(row).is_none() || last[&text_of_key(row)] == at;
        let conditions: Vec<Condition> = self.conditions.iter().map(|text| text.parse().unwrap()).collect();
        let holds = |row: &str| {
            let text = |text: &str| RowFilter::default().text(text).matches(row);
            (conditions.iter().all(|condition| condition.matches(row)) && self.text.is_none_or(text))
                != self.is_inverted
        };
        let rows = rows.iter().enumerate().filter(|(at, row)| is_last(*at, row) && holds(row));
        let rows: Vec<_> = rows.map(|(_, row)| row.clone()).collect();
        let left = [self.head, self.tail].into_iter().flatten().min().map_or(rows.len(), |left| left as usize);
        let first = self.tail.map_or(0, |tail| rows.len().saturating_sub(tail as usize));
        rows[first..rows.len().min(first + left)].to_vec()
    }
}

fn printed(bundle: Bundle<'_>, options: &CatOptions) -> Vec<String> {
    let (mut out, name) = (Vec::new(), bundle.name().to_owned());
    let report =
        cat(bundle, options, &mut out, "memory", &NoProgress).unwrap_or_else(|error| panic!("{name}: {error}"));
    let rows: Vec<_> = String::from_utf8(out).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(report.rows(), rows.len() as u64);
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_query_has_the_same_result_for_every_reader(
        rows in proptest::collection::vec(object(value()), 0..30),
        question in question(),
    ) {
        let log: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let bundle = bundle(&Home::new().with("runs.jsonl", log));
        let (options, answer) = (question.options(), question.answer(&rows));
        prop_assert_eq!(&printed(indexed(&bundle).unwrap(), &options), &answer);
        // Read without an index, and without chunks.
        let text = text_of(&bundle);
        prop_assert_eq!(&printed(indexed(&text).unwrap(), &options), &answer);
        if question.tail.is_none() && !question.is_latest {
            prop_assert_eq!(&printed(sequential(&bundle).unwrap(), &options), &answer);
        }
        let inputs = [TraceInput::from_bundle(indexed(&bundle).unwrap())];
        let (mut all, mut by_time) = (Vec::new(), Vec::new());
        cat_all(&inputs, &options, &mut all, "memory", &NoProgress).unwrap();
        cat_by_time(&inputs, &options, &mut by_time, "memory", &NoProgress).unwrap();
        let lines: String = answer.iter().map(|row| format!("{row}\n")).collect();
        prop_assert_eq!(String::from_utf8(all).unwrap(), &lines[..]);
        prop_assert_eq!(String::from_utf8(by_time).unwrap(), lines);
        let mut nothing = Vec::new();
        let report = cat(indexed(&bundle).unwrap(), &options.clone().count_only(true), &mut nothing, "memory", &NoProgress);
        prop_assert_eq!((report.unwrap().rows(), nothing.len()), (answer.len() as u64, 0));
        let mut pretty = Vec::new();
        let format = RowFormat::Pretty { is_coloured: false };
        cat(indexed(&bundle).unwrap(), &options.format(format), &mut pretty, "memory", &NoProgress).unwrap();
        let parsed = serde_json::Deserializer::from_slice(&pretty).into_iter::<Value>().map(Result::unwrap);
        let expected = answer.iter().map(|row| serde_json::from_str::<Value>(row).unwrap());
        prop_assert_eq!(parsed.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}

#[test]
fn the_latest_rows_have_keys_that_are_equal_as_numbers() {
    let rows = [
        r#"{"k":5,"n":1}"#,
        r#"{"k":5.0,"n":2}"#,
        r#"{"k":"5","n":3}"#,
        r#"{"k":50e-1,"n":4}"#,
        r#"{"k":-0,"n":5}"#,
        r#"{"k":0.0,"n":6}"#,
    ];
    let bundle = bundle(&Home::new().with("runs.jsonl", rows.join("\n") + "\n"));
    let path = |text: &str| text.parse::<KeyPath>().unwrap();
    assert_eq!(
        printed(indexed(&bundle).unwrap(), &CatOptions::default().latest(path("k"))),
        [rows[2], rows[3], rows[5]]
    );
    let mut nothing = Vec::new();
    let several = CatOptions::default().latest(path("steps[].k"));
    let error = cat(indexed(&bundle).unwrap(), &several, &mut nothing, "memory", &NoProgress).unwrap_err();
    assert!(matches!(error.kind(), patchwork_traces::ErrorKind::KeyOfSeveralValues { .. }), "{error}");
}

#[test]
fn a_row_without_a_timestamp_follows_the_row_before_it() {
    let runs = [r#"{"createdAt":1777716000000,"a":1}"#, r#"{"createdAt":1777716009000,"b":1}"#, r#"{"a":2}"#];
    let decisions = [r#"{"createdAt":1777716005000,"a":3}"#, r#"{"createdAt":1777716010000,"a":4}"#];
    let home =
        Home::new().with("runs.jsonl", runs.join("\n") + "\n").with("decision_traces.jsonl", decisions.join("\n"));
    let bundle = bundle(&home);
    let mut lines = Vec::new();
    let options = CatOptions::default().filter(RowFilter::default().condition("a".parse().unwrap()));
    let inputs = [TraceInput::from_bundle(indexed(&bundle).unwrap())];
    cat_by_time(&inputs, &options, &mut lines, "memory", &NoProgress).unwrap();
    assert_eq!(
        String::from_utf8(lines).unwrap().lines().collect::<Vec<_>>(),
        [runs[0], decisions[0], runs[2], decisions[1]]
    );
}
