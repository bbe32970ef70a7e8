//! Comparing bundles, histories and the logs of this machine.

use std::collections::BTreeMap;

use crate::common::adversarial_lines::adversarial_log;
use crate::common::segments::{logs_of_tricky_history, tricky_history};
use crate::common::{Home, bundle, indexed};
use patchwork_traces::ErrorKind;
use patchwork_traces::diff::{DiffLine, DiffOptions, DiffReport, Difference, FileDiff, Other, diff};
use patchwork_traces::import::LineCount;
use patchwork_traces::input::TraceInput;
use patchwork_traces::logs::{DiscoverOptions, discover};
use patchwork_traces::progress::NoProgress;
use proptest::prelude::*;

/// Compares two inputs. Returns the report and the lines that differ, each after the sign that `diff` prints.
fn compare(a: &TraceInput<'_>, b: &Other<'_>) -> (DiffReport, Vec<String>) {
    let mut lines = Vec::new();
    let mut take = |line: DiffLine<'_>| {
        let sign = match line.difference {
            Difference::OnlyInA => '-',
            Difference::OnlyInB => '+',
            _ => '~',
        };
        lines.push(format!("{} {sign}{}", line.log.name, String::from_utf8_lossy(line.text)));
        Ok(())
    };
    let report = diff(a, b, &DiffOptions::default(), &NoProgress, Some(&mut take)).unwrap();
    (report, lines)
}

fn compare_bundles(a: &[u8], b: &[u8]) -> (DiffReport, Vec<String>) {
    let [a, b] = [a, b].map(|bundle| TraceInput::from_bundle(indexed(bundle).unwrap()));
    compare(&a, &Other::Input(b))
}

fn runs(log: &str) -> Vec<u8> {
    bundle(&Home::new().with("runs.jsonl", log))
}

fn counts(file: &FileDiff) -> [(u64, u64); 4] {
    [file.only_in_a, file.only_in_b, file.reordered, file.same].map(|LineCount { rows, unparsed }| (rows, unparsed))
}

#[test]
fn lines_that_differ_are_counted_and_listed_in_order() {
    let a = runs("1\n2\n2\n3\ntorn {\n4\n5\n");
    let b = runs("1\r\n2\n4\n6\n3\n3\n5");
    let (report, lines) = compare_bundles(&a, &b);
    assert!(!report.is_equal());
    assert_eq!(counts(&report.files[0]), [(1, 1), (2, 0), (1, 0), (4, 0)]);
    let expected = ["-2", "-torn {", "+6", "~3", "+3"];
    assert_eq!(lines, expected.map(|line| format!("runs.jsonl {line}")));
    assert!(compare_bundles(&a, &a).0.is_equal());
}

#[test]
fn a_row_that_rotation_moved_is_the_same_row() {
    let a = bundle(&Home::new().with("runs.jsonl", "1\n2\n3\n"));
    let b = bundle(&Home::new().with("runs.jsonl.1", "1\n2\n").with("runs.jsonl", "3\n4\n"));
    let (report, lines) = compare_bundles(&a, &b);
    assert_eq!(lines, ["runs.jsonl +4"]);
    assert_eq!(report.files.iter().map(counts).collect::<Vec<_>>(), [[(0, 0); 4], [(0, 0), (1, 0), (0, 0), (3, 0)]]);
}

#[test]
fn a_history_equals_the_bundle_of_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let history = tricky_history(dir.path());
    let home = logs_of_tricky_history().into_iter().fold(Home::new(), |home, (name, log)| {
        if name.starts_with("activity") { home.with_activity(&name, log) } else { home.with(&name, log) }
    });
    let bundle = bundle(&home);
    let b = Other::Input(TraceInput::from_bundle(indexed(&bundle).unwrap()));
    let (report, lines) = compare(&TraceInput::open(&history).unwrap(), &b);
    assert!(report.is_equal(), "{lines:?}");
    assert_eq!(report.files.iter().map(|file| file.same.all()).sum::<u64>(), 9);

    let here = discover(&home.dirs(), &DiscoverOptions::default()).unwrap();
    assert!(compare(&TraceInput::open(&history).unwrap(), &Other::Here(here)).0.is_equal());
}

#[test]
fn other_logs_of_this_machine_are_compared_only_if_the_bundle_has_them() {
    let home = Home::new().with("runs.jsonl", "1\n").with("outcome-log.jsonl", "1\n2\n");
    let here = || Other::Here(discover(&home.dirs(), &DiscoverOptions::default().include_other(true)).unwrap());
    let known = runs("1\n");
    assert!(compare(&TraceInput::from_bundle(indexed(&known).unwrap()), &here()).0.is_equal());
    let both = bundle(&Home::new().with("runs.jsonl", "1\n").with("outcome-log.jsonl", "1\n"));
    let (_, lines) = compare(&TraceInput::from_bundle(indexed(&both).unwrap()), &here());
    assert_eq!(lines, ["outcome-log.jsonl +2"]);
}

#[test]
fn a_source_that_neither_side_has_is_refused() {
    let a = runs("1\n");
    let side = || TraceInput::from_bundle(indexed(&a).unwrap());
    let compare = |source: &str| {
        diff(&side(), &Other::Input(side()), &DiffOptions::default().sources([source]), &NoProgress, None)
    };
    assert!(compare("runs").unwrap().is_equal());
    assert!(matches!(compare("run").unwrap_err().kind(), ErrorKind::UnknownSource { .. }));
}

/// Returns each line's number of occurrences.
fn occurrences(log: &[u8]) -> BTreeMap<Vec<u8>, u64> {
    let mut all = BTreeMap::new();
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        *all.entry(line.strip_suffix(b"\r").unwrap_or(line).to_vec()).or_default() += 1;
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn counts_are_those_of_the_two_multisets(a in adversarial_log(), b in adversarial_log()) {
        let bundles = [&a, &b].map(|log| bundle(&Home::new().with("decision_traces.jsonl", log)));
        let (report, lines) = compare_bundles(&bundles[0], &bundles[1]);
        let (in_a, in_b) = (occurrences(&a), occurrences(&b));
        let surplus = |one: &BTreeMap<Vec<u8>, u64>, other: &BTreeMap<Vec<u8>, u64>| -> u64 {
            one.iter().map(|(line, count)| count.saturating_sub(other.get(line).copied().unwrap_or(0))).sum()
        };
        let file = &report.files[0];
        prop_assert_eq!(file.only_in_a.all(), surplus(&in_a, &in_b));
        prop_assert_eq!(file.only_in_b.all(), surplus(&in_b, &in_a));
        let all_of_b: u64 = in_b.values().sum();
        prop_assert_eq!(file.only_in_b.all() + file.reordered.all() + file.same.all(), all_of_b);
        let differing = file.only_in_a.all() + file.only_in_b.all() + file.reordered.all();
        prop_assert_eq!(lines.len() as u64, differing);
        prop_assert_eq!(report.is_equal(), differing == 0);
    }
}
