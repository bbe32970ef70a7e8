//! Properties that hold for any logs: of export, import, merge, and the original importer.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroUsize;
use std::time::{Duration, SystemTime};

use crate::common::adversarial_lines::adversarial_log;
use crate::common::bundle_builder::BundleBuilder;
use crate::common::{Home, bundle, indexed, options, restore_all, sequential, text_of};
use patchwork_traces::export::Level;
use patchwork_traces::export::export;
use patchwork_traces::import::{Clock, ImportOptions, import};
use patchwork_traces::logs::{DiscoverOptions, discover};
use patchwork_traces::progress::NoProgress;
use proptest::prelude::*;
use serde_json::Value;

/// A clock that never advances.
struct FrozenClock;

impl Clock for FrozenClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn sleep(&self, _: Duration) {}
}

type Logs = BTreeMap<String, Vec<u8>>;

fn home_of(logs: &Logs) -> Home {
    logs.iter().fold(Home::new(), |home, (name, log)| match name.starts_with("activity") {
        true => home.with_activity(name, log),
        false => home.with(name, log),
    })
}

fn logs_in(home: &Home) -> Logs {
    let dirs = [home.dirs().patchwork, home.dirs().activity];
    let files = dirs.into_iter().flat_map(|dir| fs::read_dir(dir).unwrap()).map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

fn import_into(home: &Home, bundle: &[u8]) {
    import(sequential(bundle).unwrap(), &home.dirs(), &ImportOptions::default(), &FrozenClock, &NoProgress).unwrap();
}

/// Generates the logs of a machine.
fn logs() -> impl Strategy<Value = Logs> {
    let names = ["runs.jsonl.1", "runs.jsonl", "decision_traces.jsonl", "activity-1.jsonl", "outcome-log.jsonl"];
    proptest::collection::btree_map(
        proptest::sample::select(names.to_vec()).prop_map(str::to_owned),
        adversarial_log(),
        0..5,
    )
}

/// Counts each line in the logs of a source.
fn counts(logs: &Logs) -> BTreeMap<(String, Vec<u8>), usize> {
    let mut counts = BTreeMap::new();
    for (name, log) in logs {
        let source = name.split('.').next().unwrap();
        let mut lines: Vec<_> = log.split(|byte| *byte == b'\n').collect();
        if lines.last().is_some_and(|last| last.is_empty()) {
            lines.pop();
        }
        for line in lines {
            let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
            *counts.entry((source.to_owned(), line)).or_default() += 1;
        }
    }
    counts
}

/// Merges the second home into the first, and returns the logs.
fn merged(into: &Logs, from: &Logs) -> Logs {
    let home = home_of(into);
    import_into(&home, &bundle(&home_of(from)));
    logs_in(&home)
}

/// Returns the lines that the original importer finds. Node's readline decides where they end.
fn lines_for_node(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.split(['\n', '\r', '\u{2028}', '\u{2029}']).collect();
    assert_eq!(lines.pop(), Some(""), "the text ends with a line");
    lines
}

/// Returns the rows of the original exporter: each line that is JSON after trimming.
fn rows_of_the_original(log: &[u8]) -> Vec<Option<Value>> {
    const SPACE: [char; 17] = [
        '\t', '\n', '\u{b}', '\u{c}', '\r', ' ', '\u{a0}', '\u{1680}', '\u{2028}', '\u{2029}', '\u{202f}', '\u{205f}',
        '\u{3000}', '\u{feff}', '\u{2000}', '\u{2001}', '\u{2002}',
    ];
    let text = String::from_utf8_lossy(log);
    let trimmed =
        |line: &str| line.trim_matches(|c| SPACE.contains(&c) || ('\u{2003}'..='\u{200a}').contains(&c)).to_owned();
    let lines = text.split('\n').map(trimmed);
    let is_row =
        |line: &String| serde_json::from_str::<&serde_json::value::RawValue>(line).is_ok() && depth(line) <= 128;
    // Values that this parser rejects (an unpaired surrogate, 1e400) count, too.
    lines.filter(is_row).map(|line| serde_json::from_str(&line).ok()).collect()
}

/// Returns the nesting depth of JSON.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => (depth, deepest) = (depth + 1, deepest.max(depth + 1)),
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_logs_survive_export_and_import(logs in logs()) {
        let there = Home::new();
        import_into(&there, &bundle(&home_of(&logs)));
        prop_assert_eq!(logs_in(&there), logs);
    }

    #[test]
    fn merge_order_of_machines_does_not_change_the_content(a in logs(), b in logs(), c in logs()) {
        let one = merged(&c, &merged(&b, &a));
        let other = merged(&merged(&c, &b), &a);
        prop_assert_eq!(counts(&one), counts(&other));
        // Each line occurs as often as on the machine that has it most often.
        let mut expected = counts(&a);
        for (line, count) in counts(&b).into_iter().chain(counts(&c)) {
            let most = expected.entry(line).or_default();
            *most = count.max(*most);
        }
        prop_assert_eq!(counts(&one), expected);
        // A log that is empty on the other machine may be created empty.
        let with_lines = |mut logs: Logs| {
            logs.retain(|_, log| !log.is_empty());
            logs
        };
        prop_assert_eq!(with_lines(merged(&one, &a)), with_lines(one), "nothing is new");
    }

    #[test]
    fn threads_level_and_chunks_do_not_change_the_content(logs in logs(), threads in 1usize..9, level in 0u8..10, rows in 1usize..20) {
        let home = home_of(&logs);
        let discovery = discover(&home.dirs(), &DiscoverOptions::default().include_other(true).allow_empty(true)).unwrap();
        let with = |threads| {
            let threads = NonZeroUsize::new(threads).unwrap();
            let options = options().threads(threads).level(Level::new(level).unwrap());
            let mut bundle = Vec::new();
            export(&discovery, &options, &mut bundle, "memory", &NoProgress).unwrap();
            bundle
        };
        let bundle = with(threads);
        prop_assert!(bundle == with(1), "the bytes depend on the threads");
        prop_assert_eq!(restore_all(indexed(&bundle).unwrap()).unwrap(), logs.clone());
        let in_chunks = BundleBuilder::new(&home, rows).write();
        prop_assert_eq!(restore_all(indexed(&in_chunks).unwrap()).unwrap(), logs.clone());
        prop_assert_eq!(restore_all(sequential(&in_chunks).unwrap()).unwrap(), logs);
    }

    #[test]
    fn original_importer_finds_the_rows_of_the_original_exporter(log in adversarial_log()) {
        let text = String::from_utf8(text_of(&bundle(&Home::new().with("runs.jsonl", &log)))).unwrap();
        let lines = lines_for_node(&text);
        let expected = rows_of_the_original(&log);
        prop_assert_eq!(lines.len() - 1, expected.len());
        for (line, expected) in lines[1..].iter().zip(expected) {
            let Some(expected) = expected else { continue };
            // An entry is nested one level deep in its row, which is one level too many for this parser.
            let row: BTreeMap<String, &serde_json::value::RawValue> = serde_json::from_str(line).unwrap();
            prop_assert_eq!(row["source"].get(), "\"runs\"");
            prop_assert_eq!(serde_json::from_str::<Value>(row["entry"].get()).unwrap(), expected);
        }
    }
}
