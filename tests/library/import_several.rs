//! Importing several bundles, histories, and single segments.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::common::segments::{Segments, logs_of_tricky_history, tricky_history};
use crate::common::{Home, bundle, indexed};
use patchwork_traces::import::{Change, Clock, ImportOptions, ImportReport, Mode, import, import_all};
use patchwork_traces::input::TraceInput;
use patchwork_traces::progress::NoProgress;
use patchwork_traces::{ErrorKind, Result};

/// A clock that never advances, so that waiting for late writers takes no time.
struct FrozenClock;

impl Clock for FrozenClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn sleep(&self, _: Duration) {}
}

fn import_paths(home: &Home, paths: &[&Path], options: &ImportOptions) -> Result<ImportReport> {
    let inputs = paths.iter().map(TraceInput::open).collect::<Result<_>>()?;
    import_all(inputs, &home.dirs(), options, home.path(), &FrozenClock, &NoProgress)
}

fn logs_in(home: &Home) -> BTreeMap<String, Vec<u8>> {
    let dirs = [home.dirs().patchwork, home.dirs().activity];
    let files = dirs.into_iter().flat_map(|dir| fs::read_dir(dir).unwrap()).map(|entry| entry.unwrap().path());
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

#[test]
fn bundles_are_imported_together() {
    let home = Home::new().with("runs.jsonl", "{\"mine\":1}\n");
    let paths = ["{\"a\":1}\n{\"b\":2}\n", "{\"b\":2}\n{\"c\":3}\n"].map(|rows| {
        let other = Home::new().with("decision_traces.jsonl", rows);
        let path = home.path().join(format!("{}.jsonl.gz", rows.len() + usize::from(rows.starts_with("{\"a"))));
        fs::write(&path, bundle(&other)).unwrap();
        path
    });
    let named = [paths[0].as_path(), &paths[1]];
    let planned = import_paths(&home, &named, &ImportOptions::default().dry_run(true)).unwrap();
    assert_eq!(logs_in(&home).len(), 1, "a dry run changes nothing");
    let done = import_paths(&home, &named, &ImportOptions::default()).unwrap();
    assert_eq!(planned, done);
    assert_eq!((done.digest, done.inputs.len(), done.plan.new_lines().rows), (None, 2, 3));
    let mut rows: Vec<_> =
        logs_in(&home)["decision_traces.jsonl"].split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    rows.sort();
    assert_eq!(rows, [&b""[..], b"{\"a\":1}", b"{\"b\":2}", b"{\"c\":3}"]);
    assert!(import_paths(&home, &named, &ImportOptions::default()).unwrap().plan.changes_nothing());
}

#[test]
fn one_damaged_bundle_of_several_leaves_all_logs_as_they_are() {
    let home = Home::new();
    let paths = ["good", "bad"].map(|name| home.path().join(name));
    let good = bundle(&Home::new().with("runs.jsonl", "{\"a\":1}\n"));
    let rows: String = (0..1000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let bad = bundle(&Home::new().with("decision_traces.jsonl", rows));
    fs::write(&paths[0], good).unwrap();
    fs::write(&paths[1], &bad[..bad.len() - 50]).unwrap();
    let error = import_paths(&home, &[&paths[0], &paths[1]], &ImportOptions::default()).unwrap_err();
    assert_eq!(error.position().subject.as_deref(), paths[1].to_str());
    assert!(logs_in(&home).is_empty());
}

#[test]
fn a_history_is_restored_with_every_row() {
    let home = Home::new();
    let history = tricky_history(home.path());
    for mode in [Mode::Merge, Mode::Overwrite] {
        let report = import_paths(&home, &[&history], &ImportOptions::default().mode(mode)).unwrap();
        assert_eq!(logs_in(&home), logs_of_tricky_history(), "{mode:?}");
        assert_eq!(report.inputs[0].bundles, 4);
        assert!(report.inputs[0].history.is_some());
        fs::write(home.dirs().patchwork.join("runs.jsonl"), "").unwrap();
    }
}

#[test]
fn a_segment_neither_replaces_logs_nor_creates_those_that_are_absent() {
    let home = Home::new().with("runs.jsonl", "{\"a\":1}\n");
    let mut segments = Segments::default();
    segments.next(&[("runs.jsonl", Some("{\"a\":1}\n")), ("decision_traces.jsonl", Some("{\"d\":1}\n"))]);
    let (segment, _) = segments.next(&[("runs.jsonl", Some("{\"b\":2}\n")), ("decision_traces.jsonl", None)]);
    let path = home.path().join("segment");
    fs::write(&path, &segment).unwrap();
    let overwrite = ImportOptions::default().mode(Mode::Overwrite);
    let direct = import(indexed(&segment).unwrap(), &home.dirs(), &overwrite, &FrozenClock, &NoProgress).unwrap_err();
    let among_others = import_paths(&home, &[&path], &overwrite).unwrap_err();
    for error in [direct, among_others] {
        assert!(matches!(error.kind(), ErrorKind::OnlyASegment), "{error}");
    }
    assert_eq!(logs_in(&home)["runs.jsonl"], b"{\"a\":1}\n");
    let merge = ImportOptions::default();
    let report = import(indexed(&segment).unwrap(), &home.dirs(), &merge, &FrozenClock, &NoProgress).unwrap();
    assert_eq!(report.plan.files.iter().map(|file| file.change).collect::<Vec<_>>(), [Change::Changed]);
    assert_eq!(logs_in(&home), BTreeMap::from([("runs.jsonl".to_owned(), b"{\"b\":2}\n{\"a\":1}\n".to_vec())]));
}
