//! The list of the paths to values in rows.

use std::num::NonZeroUsize;

use crate::common::{Home, bundle, indexed, sequential, text_of};
use patchwork_traces::cat::{CatOptions, cat};
use patchwork_traces::input::TraceInput;
use patchwork_traces::inspect::{KeysOptions, KeysReport, SourceKeys, list_keys};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::query::RowFilter;
use patchwork_traces::{Bundle, ErrorKind};
use proptest::prelude::*;
use serde_json::Value;

fn keys(bundle: Bundle<'_>, options: &KeysOptions) -> KeysReport {
    list_keys(&[TraceInput::from_bundle(bundle)], options, &NoProgress).unwrap()
}

/// Lists the paths of rows.
fn listed(rows: &[&str]) -> KeysReport {
    let bundle = bundle(&Home::new().with("runs.jsonl", rows.join("\n") + "\n"));
    keys(indexed(&bundle).unwrap(), &KeysOptions::default())
}

/// Writes each path with its rows, types and examples.
fn shown(source: &SourceKeys) -> Vec<String> {
    let paths = source.paths.iter().map(|listed| {
        let types = listed.types.named().into_iter().filter(|(_, count)| *count > 0);
        let types: Vec<_> = types.map(|(name, count)| format!("{name} {count}")).collect();
        format!("{}: {} rows; {}; {}", listed.path, listed.rows, types.join(", "), listed.examples.join(" "))
    });
    paths.collect()
}

#[test]
fn paths_have_the_types_and_first_examples_of_their_values() {
    let report = listed(&[
        r#"{"taskId":"a","n":1,"steps":[{"status":"ok"},{"status":"error","ms":1.50}],"odd key":{"x":null}}"#,
        r#"{"taskId":"a","n":"1","steps":[],"caf\u00e9":true,"b":false,"":0}"#,
        r#" { "taskId" : "c\u001b[31m" , "n" : 12345678901234567890, "steps": {"status": "x"} } "#,
        r#"{"taskId":"d","n":1e3,"twice":{"lost":1},"twice":{"kept":[[1],[2,"x"]]}}"#,
    ]);
    let [runs] = report.sources.as_slice() else { panic!("{report:?}") };
    assert_eq!((runs.source.as_str(), runs.rows, report.unlisted), ("runs", 4, 0));
    assert_eq!(
        shown(runs),
        [
            r#"taskId: 4 rows; string 4; "a" "c\u001b[31m""#,
            r#"n: 4 rows; string 1, number 3; 1 "1""#,
            "steps: 3 rows; object 1, array 2; ",
            "steps[]: 1 rows; object 2; ",
            r#"steps[].status: 1 rows; string 2; "ok" "error""#,
            "steps[].ms: 1 rows; number 1; 1.50",
            r#"steps.status: 1 rows; string 1; "x""#,
            r#""odd key": 1 rows; object 1; "#,
            r#""odd key".x: 1 rows; null 1; "#,
            "café: 1 rows; boolean 1; true",
            "b: 1 rows; boolean 1; false",
            "\"\": 1 rows; number 1; 0",
            "twice: 1 rows; object 1; ",
            "twice.kept: 1 rows; array 1; ",
            "twice.kept[]: 1 rows; array 2; ",
            "twice.kept[][]: 1 rows; string 1, number 2; 1 2",
        ]
    );
}

#[test]
fn rows_that_are_not_objects_have_a_path_too() {
    let report = listed(&["[1,{\"a\":2}]", "5", "{}"]);
    assert_eq!(
        shown(&report.sources[0]),
        [".: 3 rows; number 1, object 1, array 1; 5", "[]: 1 rows; number 1, object 1; 1", "[].a: 1 rows; number 1; 2"]
    );
}

#[test]
fn long_examples_are_cut_between_characters() {
    let (plain, escapes, number) = ("é".repeat(300), "\\u00e9\\\\\\\"\\n".repeat(100), "1".repeat(300));
    let report = listed(&[&format!("{{\"plain\":\"{plain}\",\"escapes\":\"{escapes}\",\"number\":{number}}}")]);
    let examples: Vec<_> = report.sources[0].paths.iter().flat_map(|listed| listed.examples.clone()).collect();
    let escapes = "é\\\\\\\"\\n".repeat(10);
    let number = "1".repeat(40);
    assert_eq!(examples, [format!("\"{}…\"", "é".repeat(40)), format!("\"{escapes}…\""), format!("{number}…")]);
    let none = listed(&["{\"a\":1}"]).sources[0].paths[0].examples.len();
    assert_eq!(none, 1);
}

#[test]
fn sources_files_and_times_limit_the_rows() {
    let home = Home::new()
        .with("runs.jsonl.1", "{\"old\":1}\n")
        .with("runs.jsonl", "{\"createdAt\":1777716000000,\"a\":1}\n{\"createdAt\":1777802400000,\"b\":1}\n")
        .with("decision_traces.jsonl", "{\"createdAt\":1777716000000}\n");
    let bundle = bundle(&home);
    let names = |options: KeysOptions| {
        let report = keys(indexed(&bundle).unwrap(), &options);
        let paths = report.sources.iter().flat_map(|source| &source.paths).map(|listed| listed.path.to_string());
        paths.collect::<Vec<_>>().join(" ")
    };
    let options = KeysOptions::default;
    assert_eq!(names(options()), "old createdAt a b createdAt");
    assert_eq!(names(options().sources(["runs"]).files(["runs.jsonl"])), "createdAt a b");
    let day = patchwork_traces::format::TimeRange { since: Some("2026-05-03T00:00:00Z".parse().unwrap()), until: None };
    assert_eq!(names(options().range(day)), "createdAt b");
    let inputs = [TraceInput::from_bundle(indexed(&bundle).unwrap())];
    let error = list_keys(&inputs, &options().sources(["nothing"]), &NoProgress).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnknownSource { .. }), "{error}");
}

#[test]
fn a_list_has_at_most_ten_thousand_paths_with_exact_counts() {
    // The common key comes last, in rows with more new keys than the list can hold.
    let rows: String = (0..40)
        .map(|row| {
            let new: String = (0..600).map(|key| format!("\"k{row}-{key}\":1,")).collect();
            format!("{{{new}\"common\":{row}}}\n")
        })
        .collect();
    let bundle = bundle(&Home::new().with("runs.jsonl", rows));
    for input in [indexed(&bundle).unwrap(), indexed(&text_of(&bundle)).unwrap()] {
        let report = keys(input, &KeysOptions::default().threads(NonZeroUsize::new(2).unwrap()));
        let paths = &report.sources[0].paths;
        // One of the 10,000 is that of the row itself.
        assert_eq!((paths.len(), report.unlisted), (9_999, 40 * 601 - 9_998 - 40));
        let common = paths.iter().find(|listed| listed.path.to_string() == "common").unwrap();
        assert_eq!(common.rows, 40);
    }
}

#[test]
fn all_values_that_are_not_listed_are_counted() {
    let rows: String = (0..12_000).map(|row| format!("{{\"k{row}\":{{\"x\":1,\"y\":[1,2]}}}}\n")).collect();
    let bundle = bundle(&Home::new().with("runs.jsonl", rows));
    let report = keys(indexed(&bundle).unwrap(), &KeysOptions::default());
    let listed = report.sources[0].paths.iter().map(|path| path.types.total()).sum::<u64>();
    assert_eq!(listed + report.unlisted, 12_000 * 5);
}

#[test]
fn paths_of_invisible_characters_are_found_by_conditions() {
    let row = r#"{"c\u2028d":1,"k\u0085":6,"h\u200bi":4,"\ufeffq":1,"\ud83d\ude00":1,"\udb40\udc41":{"\n":1}}"#;
    let report = listed(&[row]);
    for listed in &report.sources[0].paths {
        let path = listed.path.to_string();
        assert!(path.is_ascii() || path == "\"😀\"" || path == "😀", "{path}");
        assert!(path.parse::<patchwork_traces::query::Condition>().unwrap().matches(row), "{path}");
    }
    assert_eq!(report.sources[0].paths.len(), 7);
}

#[test]
fn deep_values_and_long_keys_are_not_listed_but_counted() {
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let report = listed(&[&format!("{{\"deep\":{deep},\"{}\":1}}", "k".repeat(513))]);
    let paths = &report.sources[0].paths;
    // 37 of the 101 values of `deep`, and that of the long key.
    assert_eq!((paths.len(), report.unlisted), (64, 38));
    assert!(paths.iter().all(|listed| listed.path.steps().len() <= 64));
}

#[test]
fn a_damaged_bundle_is_an_error() {
    let mut bundle = bundle(&Home::new().with("runs.jsonl", "{\"a\":1}\n".repeat(1000)));
    let middle = bundle.len() - 40;
    bundle[middle] ^= 0xff;
    let inputs = [TraceInput::from_bundle(indexed(&bundle).unwrap())];
    assert!(list_keys(&inputs, &KeysOptions::default(), &NoProgress).is_err());
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9..9i64).prop_map(Value::from),
        "[ab\"\\\\]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[ab.=!\u{a0} ]{0,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn cat_finds_as_many_rows_by_each_path_as_are_listed(rows in proptest::collection::vec(json(), 1..8)) {
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let bundle = bundle(&Home::new().with("runs.jsonl", lines));
        let report = keys(indexed(&bundle).unwrap(), &KeysOptions::default());
        prop_assert_eq!(&report.sources, &keys(indexed(&text_of(&bundle)).unwrap(), &KeysOptions::default()).sources);
        prop_assert_eq!(&report.sources, &keys(sequential(&bundle).unwrap(), &KeysOptions::default()).sources);
        for listed in &report.sources[0].paths {
            let condition = listed.path.to_string().parse().unwrap();
            let options = CatOptions::default().filter(RowFilter::default().condition(condition)).count_only(true);
            let counted = cat(indexed(&bundle).unwrap(), &options, std::io::sink(), "nothing", &NoProgress).unwrap();
            prop_assert_eq!(counted.rows(), listed.rows, "{}", listed.path);
        }
        let scalars: u64 = rows.iter().map(count_scalars).sum();
        let found = report.sources[0].paths.iter().map(|listed| listed.types);
        let found: u64 = found.map(|types| types.total() - types.object - types.array).sum();
        prop_assert_eq!(found, scalars, "every value is listed");
    }
}

fn count_scalars(value: &Value) -> u64 {
    match value {
        Value::Array(values) => values.iter().map(count_scalars).sum(),
        Value::Object(values) => values.values().map(count_scalars).sum(),
        _ => 1,
    }
}
