//! Merging bundles: the rows of the result, their order, and the inputs that it names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::adversarial_lines::adversarial_log;
use crate::common::segments::{Segments, logs_of_tricky_history, tricky_history};
use crate::common::{Home, indexed, options, restore_all, sequential};
use patchwork_traces::export::{Level, export};
use patchwork_traces::format::{Derivation, Label, Timestamp};
use patchwork_traces::input::TraceInput;
use patchwork_traces::logs::rotation::{RotationKind, rotate};
use patchwork_traces::logs::{DiscoverOptions, discover};
use patchwork_traces::merge::{MergeOptions, MergeReport, merge, merge_to_file};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::verify::{Verdict, VerifyOptions, verify_seekable};
use patchwork_traces::{Bundle, Error, ErrorKind, History, OutputTarget, TargetOptions};
use proptest::prelude::*;

type Logs = BTreeMap<String, Vec<u8>>;

const NIGHT: i64 = 1_777_716_000_000;
const DAY_MS: i64 = 86_400_000;

fn merge_options() -> MergeOptions {
    MergeOptions::new("tests").level(Level::new(1).unwrap())
}

/// Merges bundles in memory.
fn try_merge(bundles: &[&[u8]]) -> Result<(Vec<u8>, MergeReport), Error> {
    let inputs = bundles.iter().map(|bundle| indexed(bundle).map(TraceInput::from_bundle)).collect::<Result<_, _>>()?;
    let mut merged = Vec::new();
    let report = merge(inputs, &merge_options(), (&mut merged, "memory"), std::env::temp_dir(), &NoProgress)?;
    Ok((merged, report))
}

fn merged(bundles: &[&[u8]]) -> Vec<u8> {
    try_merge(bundles).unwrap().0
}

fn logs_of(bundle: &[u8]) -> Logs {
    restore_all(indexed(bundle).unwrap()).unwrap()
}

/// Bundles logs as if exported on the given day.
fn bundle_of(logs: &Logs, day: i64) -> Vec<u8> {
    let home = logs.iter().fold(Home::new(), |home, (name, log)| match name.starts_with("activity") {
        true => home.with_activity(name, log),
        false => home.with(name, log),
    });
    let found = discover(&home.dirs(), &DiscoverOptions::default().include_other(true).allow_empty(true)).unwrap();
    let mut options = options();
    options.exported_at = Timestamp::from_millis(NIGHT + day * DAY_MS).unwrap();
    let mut bundle = Vec::new();
    export(&found, &options, &mut bundle, "memory", &NoProgress).unwrap();
    bundle
}

fn log(name: &str, text: impl Into<Vec<u8>>) -> Logs {
    Logs::from([(name.to_owned(), text.into())])
}

/// Returns each line's number of occurrences, by source.
fn counts(logs: &Logs) -> BTreeMap<(String, Vec<u8>), usize> {
    let mut counts = BTreeMap::new();
    for (name, log) in logs {
        let source = name.strip_suffix(".1").unwrap_or(name);
        for line in log.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            *counts.entry((source.to_owned(), line.to_vec())).or_default() += 1;
        }
    }
    counts
}

/// A machine whose writers rotate their logs.
#[derive(Default)]
struct Machine {
    logs: Logs,
    written: u64,
}

impl Machine {
    fn append(&mut self, kind: RotationKind, name: &str, row: &str) {
        let archive_name = format!("{name}.1");
        let log = self.logs.get(name).cloned().unwrap_or_default();
        if log.len() > 1 << 20
            && let Some(rotated) = rotate(kind, &log, self.logs.get(&archive_name).map_or(&[][..], |archive| archive))
        {
            self.logs.insert(name.to_owned(), rotated.log);
            rotated.archive.and_then(|archive| self.logs.insert(archive_name, archive));
        }
        self.logs.entry(name.to_owned()).or_default().extend_from_slice(format!("{row}\n").as_bytes());
    }

    fn write(&mut self, rows: u64) {
        for _ in 0..rows {
            let (n, time) = (self.written, NIGHT + i64::try_from(self.written).unwrap() * 60_000);
            let pad = "x".repeat(600);
            self.append(
                RotationKind::Archives,
                "runs.jsonl",
                &format!("{{\"taskId\":\"t{n}\",\"createdAt\":{time},\"pad\":\"{pad}\"}}"),
            );
            let row = format!("{{\"n\":{n},\"createdAt\":{time},\"pad\":\"{pad}\"}}");
            self.append(RotationKind::Deletes, "decision_traces.jsonl", &row);
            let time = Timestamp::from_millis(time).unwrap();
            self.append(
                RotationKind::KeepsNewest,
                "activity-3100.jsonl",
                &format!("{{\"id\":{n},\"timestamp\":\"{time}\"}}"),
            );
            self.written += 1;
        }
    }
}

#[test]
fn thirty_nightly_bundles_of_rotating_logs_give_every_row_once_in_order() {
    let mut machine = Machine::default();
    let mut nights = Vec::new();
    for night in 0..30 {
        machine.write(400);
        nights.push(bundle_of(&machine.logs, night));
    }
    let kept = restore_all(indexed(nights.last().unwrap()).unwrap()).unwrap();
    assert!(!kept["decision_traces.jsonl"].starts_with(b"{\"n\":0,"), "the oldest rows are trimmed by now");
    let mut named: Vec<_> = nights.iter().map(Vec::as_slice).collect();
    let all = merged(&named);
    let logs = logs_of(&all);
    let lines = |names: &[&str]| -> Vec<String> {
        let text = names.iter().flat_map(|name| logs[*name].clone()).collect();
        String::from_utf8(text).unwrap().lines().map(|line| line.split(',').next().unwrap().to_owned()).collect()
    };
    let expected =
        |start: &str, end: &str| -> Vec<_> { (0..machine.written).map(|n| format!("{start}{n}{end}")).collect() };
    assert_eq!(lines(&["runs.jsonl.1", "runs.jsonl"]), expected("{\"taskId\":\"t", "\""));
    assert_eq!(lines(&["decision_traces.jsonl"]), expected("{\"n\":", ""));
    assert_eq!(lines(&["activity-3100.jsonl"]), expected("{\"id\":", ""));
    assert_eq!(
        logs["runs.jsonl"], machine.logs["runs.jsonl"],
        "rows are in the file that the latest bundle has them in"
    );

    named.reverse();
    named.swap(3, 17);
    assert!(merged(&named) == all, "the order of the inputs does not matter");
}

/// Generates logs at several times: each is a part of one long log, with some lines changed.
fn overlapping_logs() -> impl Strategy<Value = Vec<Logs>> {
    let names = ["runs.jsonl.1", "runs.jsonl", "decision_traces.jsonl", "activity-1.jsonl", "outcome-log.jsonl"];
    let piece = (proptest::sample::select(names.to_vec()), 0..30_usize, 0..30_usize);
    let line = prop_oneof![
        3 => (0..20_i64).prop_map(|n| format!("{{\"n\":{n},\"createdAt\":{}}}\n", NIGHT + n).into_bytes()),
        1 => (0..4_i64).prop_map(|n| format!("{{\"taskId\":\"t{n}\",\"doneAt\":{}}}\n", NIGHT - n).into_bytes()),
        1 => adversarial_log(),
    ];
    let long = proptest::collection::vec(line, 0..30);
    (long, proptest::collection::vec(proptest::collection::vec(piece, 0..4), 1..6)).prop_map(|(long, bundles)| {
        let cut = |(name, from, to): (&str, usize, usize)| {
            let (from, to) = (from.min(long.len()), to.min(long.len()));
            (name.to_owned(), long[from.min(to)..to.max(from)].concat())
        };
        bundles.into_iter().map(|pieces| pieces.into_iter().map(cut).collect()).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn each_line_has_the_highest_count_of_all_bundles(
        all in overlapping_logs(),
        days in proptest::collection::vec(0..3_i64, 6),
        shuffle in any::<u64>(),
    ) {
        let bundles: Vec<_> = all.iter().zip(&days).map(|(logs, day)| bundle_of(logs, *day)).collect();
        let mut named: Vec<_> = bundles.iter().map(Vec::as_slice).collect();
        let (first, report) = try_merge(&named).unwrap();
        let mut expected = BTreeMap::new();
        for logs in &all {
            for (line, count) in counts(logs) {
                let most = expected.entry(line).or_default();
                *most = count.max(*most);
            }
        }
        prop_assert_eq!(counts(&logs_of(&first)), expected);
        for name in all.iter().flat_map(BTreeMap::keys).filter(|name| !name.starts_with("runs")) {
            prop_assert!(logs_of(&first).contains_key(name), "{} exists, even if it is empty", name);
        }
        let len = named.len();
        named.rotate_left(shuffle as usize % len);
        if shuffle & 1 == 1 {
            named.reverse();
        }
        prop_assert!(merged(&named) == first, "another order gives the same bytes");
        prop_assert_eq!(report.manifest.exported_at.as_millis(), NIGHT + days[..len].iter().max().unwrap() * DAY_MS);
        let again = merged(&[&first, named[0]]);
        prop_assert_eq!(counts(&logs_of(&again)), counts(&logs_of(&first)), "an input adds nothing again");
    }
}

#[test]
fn the_new_bundle_names_its_inputs_and_verifies() {
    let (a, b) = (bundle_of(&log("runs.jsonl", "{\"r\":1}\n"), 1), bundle_of(&log("runs.jsonl", "{\"r\":2}\n"), 0));
    let inputs = [&a, &b].map(|bundle| TraceInput::from_bundle(indexed(bundle).unwrap()));
    let (mut merged, options) = (Vec::new(), merge_options().label(Label::new("laptop").unwrap()));
    let out = (&mut merged, "memory");
    let report = merge(inputs.into(), &options, out, std::env::temp_dir(), &NoProgress).unwrap();
    let bundle = indexed(&merged).unwrap();
    assert_eq!((bundle.digest(), bundle.manifest().version()), (report.digest, (1, 2)));
    let derived = bundle.manifest().derived_from.clone().unwrap();
    assert_eq!(derived.how, Derivation::Merged);
    let digests = [&b, &a].map(|bundle| indexed(bundle).unwrap().digest());
    assert_eq!(derived.bundles, digests, "in the order of their export");
    assert_eq!(bundle.manifest().label.as_ref().map(Label::as_str), Some("laptop"));
    assert_eq!(bundle.manifest().exported_at, indexed(&a).unwrap().manifest().exported_at);
    let options = VerifyOptions::default().require_hashes(true);
    let verified = verify_seekable(std::io::Cursor::new(&merged), "b", &options, &NoProgress, &mut |_| {}).unwrap();
    assert_eq!(verified.verdict, Verdict::Intact);
    assert_eq!(logs_of(&merged)["runs.jsonl"], b"{\"r\":2}\n{\"r\":1}\n");
}

#[test]
fn a_bundle_given_twice_is_read_once() {
    let a = bundle_of(&log("runs.jsonl", "{\"r\":1}\n{\"r\":1}\n"), 0);
    let (merged, report) = try_merge(&[&a, &a]).unwrap();
    assert_eq!(logs_of(&merged), logs_of(&a));
    assert_eq!(report.inputs.iter().map(|input| input.is_duplicate).collect::<Vec<_>>(), [false, true]);
    assert_eq!(report.rows_read(), 2);
    assert_eq!(report.manifest.derived_from.unwrap().bundles.len(), 1);
}

#[test]
fn the_last_row_of_a_run_is_the_one_that_ended_last() {
    let started = "{\"taskId\":\"t\",\"createdAt\":1777716000000}\n";
    let done = |at: i64| format!("{{\"taskId\":\"t\",\"createdAt\":1777716000000,\"doneAt\":{at}}}\n");
    let (early, late) =
        (format!("{started}{}", done(1_777_716_000_005)), format!("{started}{}", done(1_777_716_000_009)));
    for (day_of_early, day_of_late) in [(0, 1), (1, 0), (0, 0)] {
        let a = bundle_of(&log("runs.jsonl", early.as_str()), day_of_early);
        let b = bundle_of(&log("runs.jsonl", late.as_str()), day_of_late);
        let merged = String::from_utf8(logs_of(&merged(&[&a, &b]))["runs.jsonl"].clone()).unwrap();
        assert!(merged.ends_with(&done(1_777_716_000_009)), "{merged}");
    }
}

#[test]
fn a_source_can_be_selected_and_must_exist() {
    let a = bundle_of(&log("runs.jsonl", "{\"r\":1}\n"), 0);
    let b = bundle_of(&log("decision_traces.jsonl", "{\"d\":1}\n"), 0);
    let merge_source = |source: &str| {
        let inputs = [&a, &b].map(|bundle| TraceInput::from_bundle(sequential(bundle).unwrap()));
        let (mut merged, options) = (Vec::new(), merge_options().sources([source]));
        let out = (&mut merged, "memory");
        merge(inputs.into(), &options, out, std::env::temp_dir(), &NoProgress).map(|_| merged)
    };
    assert_eq!(logs_of(&merge_source("runs").unwrap()), log("runs.jsonl", "{\"r\":1}\n"));
    let error = merge_source("activity").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnknownSource { known, .. } if known == &["decision_traces", "runs"]));
}

#[test]
fn a_damaged_input_is_named_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..5000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let paths: Vec<PathBuf> = (0..5).map(|day| dir.path().join(format!("{day}.jsonl.gz"))).collect();
    for (path, day) in paths.iter().zip(0..) {
        fs::write(path, bundle_of(&log("runs.jsonl", format!("{rows}{day}\n")), day)).unwrap();
    }
    let mut damaged = fs::read(&paths[3]).unwrap();
    let at = damaged.len() - 200;
    damaged[at] ^= 0x55;
    fs::write(&paths[3], damaged).unwrap();
    let target = OutputTarget::resolve(dir.path().join("all.jsonl.gz"), TargetOptions::default()).unwrap();
    let inputs = paths.iter().map(|path| TraceInput::open(path).unwrap()).collect();
    let error = merge_to_file(inputs, &merge_options(), &target, &NoProgress).unwrap_err();
    assert_eq!(error.position().subject.as_deref(), paths[3].to_str());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 5, "no output, and no temporary file");
}

#[test]
fn an_input_that_changes_after_it_was_opened_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jsonl.gz");
    fs::write(&path, bundle_of(&log("runs.jsonl", "1\n"), 0)).unwrap();
    let input = TraceInput::open(&path).unwrap();
    fs::write(&path, bundle_of(&log("runs.jsonl", "2\n"), 0)).unwrap();
    let out = (&mut Vec::new(), "memory");
    let error = merge(vec![input], &merge_options(), out, dir.path(), &NoProgress).unwrap_err();
    assert_eq!(error.position().subject.as_deref(), path.to_str());
}

#[test]
fn segments_of_a_history_follow_each_other_even_if_they_have_equal_rows() {
    let mut segments = Segments::default();
    let (first, _) = segments.next(&[("runs.jsonl", Some("1\n2\n"))]);
    let (second, _) = segments.next(&[("runs.jsonl", Some("2\n2\n"))]);
    let (third, _) = segments.next(&[("runs.jsonl.1", Some("1\n")), ("runs.jsonl", Some("3\n"))]);
    let all = merged(&[&second, &third, &first]);
    let logs = logs_of(&all);
    assert_eq!(logs["runs.jsonl.1"], b"1\n2\n2\n2\n1\n");
    assert_eq!(logs["runs.jsonl"], b"3\n");
    // Merge another bundle with all segments.
    let other = bundle_of(&log("runs.jsonl", "2\n2\n2\n3\n"), -1);
    assert_eq!(logs_of(&merged(&[&third, &other, &first, &second])), logs);

    let mut continued_twice = Segments::default();
    continued_twice.next(&[("runs.jsonl", Some("1\n2\n"))]);
    let (another, _) = continued_twice.next(&[("runs.jsonl", Some("9\n"))]);
    let error = try_merge(&[&first, &another, &second]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::History(_)), "{error}");
}

#[test]
fn bundles_of_format_1_0_give_their_rows() {
    let path = "fixtures/conformance/intact_v1_0.jsonl.gz";
    let old = Bundle::open(path).unwrap().manifest().total_count;
    let inputs = vec![TraceInput::open(path).unwrap()];
    let mut merged = Vec::new();
    let report = merge(inputs, &merge_options(), (&mut merged, "memory"), std::env::temp_dir(), &NoProgress).unwrap();
    assert!(report.inputs[0].rows_only);
    assert_eq!(indexed(&merged).unwrap().manifest().total_count, old);
}

#[test]
fn a_history_becomes_one_bundle_of_all_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let history = tricky_history(dir.path());
    let merge_paths = |paths: &[&Path]| {
        let inputs = paths.iter().map(|path| TraceInput::open(path).unwrap()).collect();
        let mut merged = Vec::new();
        let report = merge(inputs, &merge_options(), (&mut merged, "memory"), dir.path(), &NoProgress).unwrap();
        (merged, report)
    };
    let (all, report) = merge_paths(&[&history]);
    assert_eq!(logs_of(&all), logs_of_tricky_history());
    assert_eq!((report.inputs[0].bundles, report.rows_read()), (4, report.manifest.total_count));
    let digests: Vec<_> = History::open(&history).unwrap().segments().iter().map(|segment| segment.digest).collect();
    assert_eq!(report.manifest.derived_from.unwrap().bundles, digests);

    // A bundle with some of the history's rows, and one of its segments, add nothing.
    let part = log("runs.jsonl", logs_of_tricky_history()["runs.jsonl.1"].clone());
    let bundle = dir.path().join("part.jsonl.gz");
    fs::write(&bundle, bundle_of(&part, 5)).unwrap();
    let segment = History::open(&history).unwrap().segments()[1].path.clone();
    let (again, report) = merge_paths(&[&segment, &bundle, &history]);
    assert_eq!(counts(&logs_of(&again)), counts(&logs_of_tricky_history()));
    assert_eq!(report.inputs.iter().map(|input| input.is_duplicate).collect::<Vec<_>>(), [true, false, false]);
}
