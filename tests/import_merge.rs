//! What holds for merging whatever the two sides are.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use common::{Home, bundle, sequential};
use patchwork_traces::import::{Clock, ImportOptions, ImportReport, import};
use patchwork_traces::progress::NoProgress;
use proptest::prelude::*;

struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn sleep(&self, _: Duration) {
        panic!("nothing is locked");
    }
}

/// Imports as a dry run and really: the plans must be equal.
fn import_into(home: &Home, bundle: &[u8]) -> ImportReport {
    let run = |dry_run| {
        let options = ImportOptions { dry_run, ..ImportOptions::default() };
        import(sequential(bundle).unwrap(), &home.dirs(), &options, &NoClock, &NoProgress).unwrap()
    };
    let planned = run(true);
    let done = run(false);
    assert_eq!(planned.plan, done.plan);
    done
}

/// A log's lines without their endings.
fn lines(log: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<_> = log.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    lines.into_iter().map(|line| line.strip_suffix(b"\r").map(<[u8]>::to_vec).unwrap_or(line)).collect()
}

fn counts(lines: &[Vec<u8>]) -> BTreeMap<&[u8], usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line.as_slice()).or_default() += 1;
    }
    counts
}

fn is_subsequence(part: &[Vec<u8>], whole: &[Vec<u8>]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|line| whole.any(|other| other == line))
}

/// The length of the longest common subsequence.
fn common_length(a: &[Vec<u8>], b: &[Vec<u8>]) -> usize {
    let mut best = vec![0; b.len() + 1];
    for line in a {
        let mut diagonal = 0;
        for (at, other) in b.iter().enumerate() {
            let above = best[at + 1];
            best[at + 1] = if line == other { diagonal + 1 } else { above.max(best[at]) };
            diagonal = above;
        }
    }
    best[b.len()]
}

fn assert_merged(local: &[u8], bundled: &[u8], result: &[u8]) {
    let (local_lines, bundled_lines, merged) = (lines(local), lines(bundled), lines(result));
    let (in_local, in_bundle) = (counts(&local_lines), counts(&bundled_lines));
    let mut expected = in_local.clone();
    for (line, count) in &in_bundle {
        let most = expected.entry(line).or_default();
        *most = (*most).max(*count);
    }
    assert_eq!(counts(&merged), expected, "each line as often as the side that has it more often");
    assert!(is_subsequence(&local_lines, &merged), "the local lines are in their order");
    let shared: usize = in_bundle.iter().map(|(line, count)| *in_local.get(line).unwrap_or(&0).min(count)).sum();
    if common_length(&local_lines, &bundled_lines) == shared {
        assert!(is_subsequence(&bundled_lines, &merged), "the bundle's lines are in their order");
    }
    if is_subsequence(&local_lines, &bundled_lines) {
        assert_eq!(merged, bundled_lines, "the bundle has all of it");
    }
    if shared == bundled_lines.len() {
        assert_eq!(result, local, "there is nothing new");
    }
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (0u64..8).prop_map(|at| format!("{{\"createdAt\":{at}}}")),
        1 => proptest::sample::select(vec!["{}", "", "torn", "x"]).prop_map(str::to_owned),
    ]
}

fn log_of(lines: &[String], ending: &str, open: bool) -> Vec<u8> {
    let mut log: String = lines.iter().flat_map(|line| [line.as_str(), ending]).collect();
    // A last line without an ending and without text is no line.
    if open && lines.last().is_some_and(|last| !last.is_empty()) {
        log.truncate(log.len() - ending.len());
    }
    log.into_bytes()
}

fn log() -> impl Strategy<Value = Vec<u8>> {
    let ending = prop_oneof![4 => Just("\n"), 1 => Just("\r\n")];
    (proptest::collection::vec(line(), 0..14), ending, any::<bool>())
        .prop_map(|(lines, ending, open)| log_of(&lines, ending, open))
}

/// Two parts of one history, each with rows of its own, as two machines have them.
fn parts() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let history = proptest::collection::vec((line(), 0..4u8), 0..30);
    history.prop_map(|history| {
        let part = |mask: u8| {
            let lines = history.iter().filter(|(_, sides)| *sides == 3 || *sides == mask);
            log_of(&lines.map(|(line, _)| line.clone()).collect::<Vec<_>>(), "\n", false)
        };
        (part(1), part(2))
    })
}

fn merge(local: &[u8], bundled: &[u8]) {
    let home = Home::new().with("decision_traces.jsonl", local);
    let log = home.dirs().patchwork.join("decision_traces.jsonl");
    let bundle = bundle(&Home::new().with("decision_traces.jsonl", bundled));
    import_into(&home, &bundle);
    let result = fs::read(&log).unwrap();
    assert_merged(local, bundled, &result);
    assert!(import_into(&home, &bundle).plan.changes_nothing(), "merging again changes nothing");
    assert_eq!(fs::read(&log).unwrap(), result);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_two_logs_merge(local in log(), bundled in log()) {
        merge(&local, &bundled);
    }

    #[test]
    fn two_parts_of_one_history_merge((local, bundled) in parts()) {
        merge(&local, &bundled);
    }

    #[test]
    fn a_log_merges_with_its_parts(log in log(), from in 0usize..14, to in 0usize..14) {
        let all = lines(&log);
        let (from, to) = (from.min(to).min(all.len()), to.max(from).min(all.len()));
        let part: Vec<u8> = all[from..to].iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
        merge(&part, &log);
        merge(&log, &part);
    }

    #[test]
    fn rows_in_order_of_time_stay_so(sides in proptest::collection::vec(0u8..4, 0..40)) {
        let part = |mask: u8| -> String {
            let rows = sides.iter().enumerate().filter(|(_, sides)| *sides & mask != 0);
            rows.flat_map(|(at, _)| ["{\"createdAt\":".to_owned(), at.to_string(), "}\n".to_owned()]).collect()
        };
        let home = Home::new().with("decision_traces.jsonl", part(1));
        import_into(&home, &bundle(&Home::new().with("decision_traces.jsonl", part(2))));
        prop_assert_eq!(fs::read_to_string(home.dirs().patchwork.join("decision_traces.jsonl")).unwrap(), part(3));
    }

    #[test]
    fn rotation_neither_doubles_nor_loses_rows(
        old in log(), new in log(), bundled_old in log(), bundled_new in log(),
    ) {
        let open_ended = |log: &[u8]| [log, if log.is_empty() || log.ends_with(b"\n") { b"" } else { b"\n" }].concat();
        let home = Home::new().with("runs.jsonl.1", &old).with("runs.jsonl", &new);
        let from = Home::new().with("runs.jsonl.1", &bundled_old).with("runs.jsonl", &bundled_new);
        let bundle = bundle(&from);
        import_into(&home, &bundle);
        let read = |name: &str| fs::read(home.dirs().patchwork.join(name)).unwrap();
        let (merged_old, merged_new) = (read("runs.jsonl.1"), read("runs.jsonl"));
        assert!(is_subsequence(&lines(&old), &lines(&merged_old)), "local lines stay in their file");
        assert!(is_subsequence(&lines(&new), &lines(&merged_new)), "local lines stay in their file");
        let both = |old: &[u8], new: &[u8]| [open_ended(old), new.to_vec()].concat();
        let result = lines(&both(&merged_old, &merged_new));
        let (local, bundled) = (lines(&both(&old, &new)), lines(&both(&bundled_old, &bundled_new)));
        let mut expected = counts(&local);
        for (line, count) in counts(&bundled) {
            let most = expected.entry(line).or_default();
            *most = (*most).max(count);
        }
        prop_assert_eq!(counts(&result), expected);
        assert!(import_into(&home, &bundle).plan.changes_nothing());
        prop_assert_eq!((read("runs.jsonl.1"), read("runs.jsonl")), (merged_old, merged_new));
    }
}
