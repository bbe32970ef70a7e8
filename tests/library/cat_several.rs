//! Printing the rows of several bundles, and of histories.

use std::fs;
use std::path::Path;

use crate::common::bundle_builder::gzip;
use crate::common::segments::{Segments, logs_of_tricky_history, tricky_history};
use crate::common::{Home, bundle, indexed, text_of};
use patchwork_traces::cat::{
    CatOptions, CatReport, PrintLogOptions, RowFormat, cat, cat_all, cat_by_time, print_input_log,
};
use patchwork_traces::format::{FileName, SourceName, TimeRange, Timestamp};
use patchwork_traces::input::TraceInput;
use patchwork_traces::progress::NoProgress;
use patchwork_traces::{Bundle, Error, ErrorKind};
use proptest::prelude::*;

const START: i64 = 1_777_716_000_000;

fn open(paths: &[&Path]) -> Vec<TraceInput<'static>> {
    paths.iter().map(|path| TraceInput::open(path).unwrap()).collect()
}

fn print_all(inputs: &[TraceInput<'_>], options: &CatOptions) -> (String, Result<u64, Error>) {
    let mut out = Vec::new();
    let report = cat_all(inputs, options, &mut out, "memory", &NoProgress);
    (String::from_utf8(out).unwrap(), report.map(|report| report.logs.iter().map(|log| log.rows).sum()))
}

fn print_by_time(inputs: &[TraceInput<'_>], options: &CatOptions) -> String {
    let mut out = Vec::new();
    let report = cat_by_time(inputs, options, &mut out, "memory", &NoProgress).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(report.logs.iter().map(|log| log.rows).sum::<u64>(), text.lines().count() as u64);
    text
}

fn print_one(bundle: Bundle<'_>, options: &CatOptions) -> String {
    let mut out = Vec::new();
    cat(bundle, options, &mut out, "memory", &NoProgress).unwrap();
    String::from_utf8(out).unwrap()
}

fn home_of_tricky_history() -> Home {
    logs_of_tricky_history().into_iter().fold(Home::new(), |home, (name, log)| match name.starts_with("activity") {
        true => home.with_activity(&name, log),
        false => home.with(&name, log),
    })
}

#[test]
fn rows_in_a_bundle_that_declares_none_are_an_error() {
    const TOO_MUCH: &str = "bundle: the bundle has more content than its manifest declares";
    let empty = bundle(&Home::new().with("runs.jsonl", ""));
    let rows = text_of(&bundle(&Home::new().with("runs.jsonl", "{\"seq\":1}\n")));
    let (_, row) = rows.split_at(rows.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    let bundle = |row: &[u8]| [&empty[..], &gzip(row)].concat();
    for options in
        [CatOptions::default(), CatOptions::default().sources(["runs"]).head(1), CatOptions::default().tail(1)]
    {
        for (row, expected) in [(row, TOO_MUCH), (b"no JSON\n", TOO_MUCH), (b"", "")] {
            let input = bundle(row);
            let inputs = || [TraceInput::from_bundle(indexed(&input).unwrap())];
            let message =
                |printed: Result<CatReport, Error>| printed.err().map_or(String::new(), |error| error.to_string());
            let mut out = Vec::new();
            let in_order = message(cat_all(&inputs(), &options, &mut out, "out", &NoProgress));
            let by_time = message(cat_by_time(&inputs(), &options, &mut out, "out", &NoProgress));
            assert_eq!((in_order.as_str(), by_time.as_str(), out.len()), (expected, expected, 0));
        }
    }
}

#[test]
fn a_history_is_printed_like_one_bundle_of_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = open(&[&tricky_history(dir.path())]);
    let one = bundle(&home_of_tricky_history());
    let time = |minutes: i64| Timestamp::from_millis(START + minutes * 60_000);
    let range = |since, until| TimeRange { since, until };
    let all = CatOptions::default;
    for options in [
        all(),
        all().sources(["runs"]),
        all().files(["runs.jsonl"]),
        all().files(["runs.jsonl.1", "activity-1.jsonl"]),
        all().files(["decision_traces.jsonl"]),
        all().range(range(time(1), None)),
        all().range(range(time(1), time(2))),
        all().range(range(None, time(0))),
        all().sources(["runs"]).files(["runs.jsonl.1"]).range(range(time(1), None)),
    ] {
        for envelope in [false, true] {
            let options = options.clone().format(if envelope { RowFormat::Envelope } else { RowFormat::Raw });
            let (printed, rows) = print_all(&inputs, &options);
            assert_eq!(printed, print_one(indexed(&one).unwrap(), &options), "{options:?}");
            assert_eq!(rows.unwrap(), printed.lines().count() as u64);
        }
    }
    let (_, unknown) = print_all(&inputs, &CatOptions::default().files(["nothing.jsonl"]));
    assert!(matches!(unknown.unwrap_err().kind(), ErrorKind::UnknownFile { .. }));
}

#[test]
fn a_log_of_a_history_is_printed_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = open(&[&tricky_history(dir.path())]);
    for (name, log) in logs_of_tricky_history() {
        let source = name.strip_suffix(".1").unwrap_or(&name).strip_suffix(".jsonl").unwrap();
        let source = if source.starts_with("activity") { "activity" } else { source };
        let options = PrintLogOptions::new(SourceName::new(source).unwrap(), FileName::new(name).unwrap());
        let mut out = Vec::new();
        let report = print_input_log(&inputs[0], &options, dir.path(), (&mut out, "memory"), &NoProgress).unwrap();
        assert_eq!((out.len() as u64, &out), (report.printed.bytes, &log));
    }
}

#[test]
fn bundles_are_printed_in_turn_and_may_have_different_sources() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["a", "b"].map(|name| dir.path().join(name));
    fs::write(&paths[0], bundle(&Home::new().with("runs.jsonl", "1\n2\n").with("decision_traces.jsonl", "3\n")))
        .unwrap();
    fs::write(&paths[1], bundle(&Home::new().with("runs.jsonl", "2\n4\n"))).unwrap();
    let inputs = open(&[&paths[0], &paths[1], &paths[0]]);
    let printed = |options: CatOptions| print_all(&inputs, &options).0;
    assert_eq!(printed(CatOptions::default()), "1\n2\n3\n2\n4\n1\n2\n3\n");
    assert_eq!(printed(CatOptions::default().sources(["decision_traces"])), "3\n3\n");
    assert_eq!(printed(CatOptions::default().files(["runs.jsonl"])), "1\n2\n2\n4\n1\n2\n");
    let (nothing, unknown) = print_all(&inputs, &CatOptions::default().sources(["activity"]));
    assert!(nothing.is_empty());
    assert!(matches!(unknown.unwrap_err().kind(), ErrorKind::UnknownSource { known, .. } if known.len() == 2));
}

#[test]
fn rows_before_a_damaged_bundle_are_printed_and_the_error_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["good", "bad"].map(|name| dir.path().join(name));
    let rows: String = (0..100).map(|n| format!("{{\"createdAt\":{}}}\n", START + n)).collect();
    let good = bundle(&Home::new().with("runs.jsonl", &rows));
    fs::write(&paths[0], &good).unwrap();
    fs::write(&paths[1], &good[..good.len() - 30]).unwrap();
    let inputs = open(&[&paths[0], &paths[1]]);
    let (printed, error) = print_all(&inputs, &CatOptions::default());
    assert!(printed.starts_with(&rows));
    assert_eq!(error.unwrap_err().position().subject.as_deref(), paths[1].to_str());
    let mut out = Vec::new();
    let error = cat_by_time(&inputs, &CatOptions::default(), &mut out, "memory", &NoProgress).unwrap_err();
    assert_eq!(error.position().subject.as_deref(), paths[1].to_str());
    assert!(!out.is_empty());
}

#[test]
fn rows_without_a_timestamp_follow_the_row_before_them() {
    let row = |name: &str, minutes: i64| format!("{{\"n\":\"{name}\",\"createdAt\":{}}}\n", START + minutes * 60_000);
    let untimed = |name: &str| format!("{{\"n\":\"{name}\"}}\n");
    let a = [untimed("a0"), row("a1", 1), untimed("a2"), row("a3", 5), row("a4", 2), untimed("a5")].concat();
    let b = [row("b1", 0), row("b2", 1), row("b3", 3), row("b4", 9)].concat();
    let bundles = [&a, &b].map(|log| bundle(&Home::new().with("runs.jsonl", log)));
    let inputs: Vec<_> = bundles.iter().map(|bundle| TraceInput::from_bundle(indexed(bundle).unwrap())).collect();
    let names = |printed: &str| -> Vec<String> {
        printed.lines().map(|line| line.split('"').nth(3).unwrap().to_owned()).collect()
    };
    let printed = print_by_time(&inputs, &CatOptions::default());
    assert_eq!(names(&printed), ["b1", "a0", "a1", "a2", "b2", "b3", "a3", "a4", "a5", "b4"]);
    let since = TimeRange { since: Timestamp::from_millis(START + 60_000), until: None };
    let printed = print_by_time(&inputs, &CatOptions::default().range(since));
    assert_eq!(names(&printed), ["a1", "b2", "b3", "a3", "a4", "b4"]);
}

#[test]
fn a_history_is_printed_by_time_together_with_a_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let (history, mut segments) = (dir.path().join("history"), Segments::default());
    let row = |name: &str, minutes: i64| format!("{{\"n\":\"{name}\",\"createdAt\":{}}}\n", START + minutes * 60_000);
    segments.add_to(&history, &[("runs.jsonl", Some(&row("r1", 1))), ("decision_traces.jsonl", Some(&row("d2", 2)))]);
    segments.add_to(&history, &[("runs.jsonl.1", Some(&row("r3", 3))), ("runs.jsonl", Some(&row("r5", 5)))]);
    let other = bundle(&Home::new().with("commit_issue_links.jsonl", row("c4", 4)));
    fs::write(dir.path().join("other"), other).unwrap();
    let inputs = open(&[&history, &dir.path().join("other")]);
    let printed = print_by_time(&inputs, &CatOptions::default().format(RowFormat::Envelope));
    let names: Vec<_> = printed.lines().map(|line| line.split("\"n\":\"").nth(1).unwrap()[..2].to_owned()).collect();
    assert_eq!(names, ["r1", "d2", "r3", "c4", "r5"]);
    assert!(
        printed.starts_with("{\"source\":\"runs\",\"file\":\"runs.jsonl.1\","),
        "an older row than one in the archive"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_in_time_order_are_merged_like_a_stable_sort(
        times in proptest::collection::vec(proptest::collection::vec(proptest::collection::vec(0..50_i64, 0..40), 3), 1..5),
    ) {
        let names = ["runs.jsonl", "decision_traces.jsonl", "commit_issue_links.jsonl"];
        let (mut bundles, mut expected) = (Vec::new(), Vec::new());
        for (input, logs) in times.iter().enumerate() {
            let mut home = Home::new();
            for (log, times) in logs.iter().enumerate() {
                let mut times = times.clone();
                times.sort_unstable();
                let rows = times.iter().enumerate().map(|(n, time)| {
                    let row = format!("{{\"id\":\"{input}-{log}-{n}\",\"createdAt\":{}}}\n", START + time);
                    expected.push((*time, row.clone()));
                    row
                });
                home = home.with(names[log], rows.collect::<String>());
            }
            bundles.push(bundle(&home));
        }
        expected.sort_by_key(|(time, _)| *time);
        let inputs: Vec<_> = bundles.iter().map(|bundle| TraceInput::from_bundle(indexed(bundle).unwrap())).collect();
        let printed = print_by_time(&inputs, &CatOptions::default());
        prop_assert_eq!(printed, expected.into_iter().map(|(_, row)| row).collect::<String>());
    }
}
