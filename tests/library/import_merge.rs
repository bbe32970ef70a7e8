//! Properties of merging any two sides.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, SystemTime};

use crate::common::{Home, bundle, sequential};
use patchwork_traces::import::{Clock, ImportOptions, ImportReport, import};
use patchwork_traces::progress::NoProgress;
use proptest::prelude::*;

/// A clock that never advances, so that waiting for late writers takes no time.
struct FrozenClock;

impl Clock for FrozenClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn sleep(&self, _: Duration) {}
}

/// Imports after a dry run, which must return the same plan.
fn import_into(home: &Home, bundle: &[u8]) -> ImportReport {
    let run = |dry_run| {
        let options = ImportOptions::default().dry_run(dry_run);
        import(sequential(bundle).unwrap(), &home.dirs(), &options, &FrozenClock, &NoProgress).unwrap()
    };
    let planned = run(true);
    let done = run(false);
    assert_eq!(planned.plan, done.plan);
    done
}

/// Returns a log's lines without their endings.
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

/// Returns the length of the longest common subsequence.
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
    assert_eq!(counts(&merged), expected, "each line occurs as often as on the side with more of it");
    assert!(is_subsequence(&local_lines, &merged), "the local lines are in their order");
    let shared: usize = in_bundle.iter().map(|(line, count)| *in_local.get(line).unwrap_or(&0).min(count)).sum();
    if common_length(&local_lines, &bundled_lines) == shared {
        assert!(is_subsequence(&bundled_lines, &merged), "the bundle's lines are in their order");
    }
    if is_subsequence(&local_lines, &bundled_lines) {
        assert_eq!(merged, bundled_lines, "the bundle has every line");
    }
    if shared == bundled_lines.len() {
        assert_eq!(result, local, "the bundle has no new line");
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
    // Empty text after the last line ending is not a line.
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

/// Generates two parts of one history, each with rows of its own, as on two machines.
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
    fn rows_in_time_order_stay_in_time_order(sides in proptest::collection::vec(0u8..4, 0..40)) {
        let part = |mask: u8| -> String {
            let rows = sides.iter().enumerate().filter(|(_, sides)| *sides & mask != 0);
            rows.flat_map(|(at, _)| ["{\"createdAt\":".to_owned(), at.to_string(), "}\n".to_owned()]).collect()
        };
        let home = Home::new().with("decision_traces.jsonl", part(1));
        import_into(&home, &bundle(&Home::new().with("decision_traces.jsonl", part(2))));
        prop_assert_eq!(fs::read_to_string(home.dirs().patchwork.join("decision_traces.jsonl")).unwrap(), part(3));
    }

    #[test]
    fn rotation_neither_duplicates_nor_loses_rows(
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

/// Rows about runs on two machines. Both have parts of one history, but some runs ended differently.
mod ends_of_runs {
    use super::*;

    /// A row of a history: the run it is about, its times, and which sides have it.
    #[derive(Debug, Clone)]
    struct Row {
        run: u8,
        created: u64,
        ended: Option<u64>,
        sides: u8,
    }

    /// A row with its number in the history.
    type Numbered<'h> = (usize, &'h Row);

    fn row() -> impl Strategy<Value = Row> {
        (0u8..6, 0u64..4, proptest::option::of(0u64..6), 1u8..4).prop_map(|(run, created, ended, sides)| Row {
            run,
            created,
            ended,
            sides,
        })
    }

    /// Returns the rows of one side. All rows of the history differ, so common lines can be recognised.
    fn side(history: &[Row], mask: u8) -> Vec<Numbered<'_>> {
        history.iter().enumerate().filter(|(_, row)| row.sides & mask != 0).collect()
    }

    fn log(side: &[Numbered<'_>]) -> String {
        let row = |(at, row): &Numbered<'_>| {
            let ended = row.ended.map_or(String::new(), |ended| format!(",\"doneAt\":{ended}"));
            format!("{{\"taskId\":\"t{}\",\"createdAt\":{}{ended},\"at\":{at}}}\n", row.run, row.created)
        };
        side.iter().map(row).collect()
    }

    /// Merges `from` into a home with `into`, and returns the numbers of the rows.
    fn merged(into: &str, from: &str) -> Vec<usize> {
        let home = Home::new().with("runs.jsonl", into);
        let bundle = bundle(&Home::new().with("runs.jsonl", from));
        import_into(&home, &bundle);
        let result = fs::read_to_string(home.dirs().patchwork.join("runs.jsonl")).unwrap();
        assert_merged(into.as_bytes(), from.as_bytes(), result.as_bytes());
        assert!(import_into(&home, &bundle).plan.changes_nothing(), "merging again changes nothing");
        let number = |line: &str| line.rsplit_once("\"at\":").unwrap().1.trim_end_matches('}').parse().unwrap();
        result.lines().map(number).collect()
    }

    /// Returns the last row about a run on each side, if only that side has it and both follow the same common row.
    fn choice<'h>(run: u8, a: &[Numbered<'h>], b: &[Numbered<'h>]) -> Option<(Numbered<'h>, Numbered<'h>)> {
        let last = |side: &[Numbered<'h>]| {
            let at = side.iter().rposition(|(_, row)| row.run == run)?;
            let before = side[..at].iter().rev().find(|(_, row)| row.sides == 3).map(|(at, _)| *at);
            (side[at].1.sides != 3).then_some((side[at], before))
        };
        let ((a, after_a), (b, after_b)) = (last(a)?, last(b)?);
        (after_a == after_b).then_some((a, b))
    }

    /// Returns true if rows of different runs block each other, so not every run can have its later end last.
    fn is_tangled(choices: &[(Numbered<'_>, Numbered<'_>)]) -> bool {
        // The later end of a run must come after its other end. Two such requirements can cross.
        let edges: Vec<_> = choices.iter().filter(|(a, b)| a.1.ended != b.1.ended).collect();
        edges.iter().any(|(a, b)| {
            let a_waits = a.1.ended > b.1.ended;
            edges.iter().any(|(c, d)| {
                (c.1.ended > d.1.ended) != a_waits
                    && if a_waits { a.0 <= c.0 && d.0 <= b.0 } else { c.0 <= a.0 && b.0 <= d.0 }
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn later_end_of_a_run_comes_last(history in proptest::collection::vec(row(), 0..24)) {
            let (a, b) = (side(&history, 1), side(&history, 2));
            let (log_a, log_b) = (log(&a), log(&b));
            let (a_has, b_has) = (merged(&log_a, &log_b), merged(&log_b, &log_a));
            let choices: Vec<_> = (0..6).filter_map(|run| choice(run, &a, &b)).collect();
            let is_tangled = is_tangled(&choices);
            for (a, b) in choices {
                let last = |merged: &[usize]| *merged.iter().rfind(|at| **at == a.0 || **at == b.0).unwrap();
                if a.1.ended != b.1.ended {
                    prop_assert_eq!(last(&a_has), last(&b_has), "the direction makes no difference");
                    let expected = if a.1.ended > b.1.ended { a.0 } else { b.0 };
                    prop_assert!(is_tangled || last(&a_has) == expected, "the later end comes last");
                }
            }
        }
    }

    #[test]
    fn rows_that_block_each_other_are_ordered_by_their_ends() {
        let row = |run: u8, ended: u64, at: u64| {
            format!("{{\"taskId\":\"t{run}\",\"createdAt\":1,\"doneAt\":{ended},\"at\":{at}}}\n")
        };
        // Run 1 ended later on side a, where its row comes first. Run 2 ended later on side b, where its row comes
        // first.
        let a = row(1, 20, 0) + &row(2, 3, 1);
        let b = row(2, 10, 2) + &row(1, 4, 3);
        let (a_has, b_has) = (merged(&a, &b), merged(&b, &a));
        assert_eq!((&a_has, &b_has), (&vec![2, 3, 0, 1], &vec![2, 3, 0, 1]));
    }

    #[test]
    fn ids_are_compared_as_text_and_the_last_of_equal_keys_counts() {
        let a = "{\"taskId\":\"x\",\"taskId\":\"\\u0074\",\"createdAt\":1,\"doneAt\":9,\"doneAt\":5,\"at\":0}\n";
        let b = "{\"taskId\":\"t\",\"createdAt\":2,\"doneAt\":4,\"at\":1}\n";
        assert_eq!((merged(a, b), merged(b, a)), (vec![1, 0], vec![1, 0]));
        let no_end = "{\"taskId\":\"t\",\"createdAt\":3,\"doneAt\":null,\"at\":2}\n";
        assert_eq!((merged(b, no_end), merged(no_end, b)), (vec![2, 1], vec![2, 1]));
        // In other sources, only the times decide.
        let home = Home::new().with("decision_traces.jsonl", a);
        import_into(&home, &bundle(&Home::new().with("decision_traces.jsonl", b)));
        assert_eq!(fs::read_to_string(home.dirs().patchwork.join("decision_traces.jsonl")).unwrap(), a.to_owned() + b);
    }
}
