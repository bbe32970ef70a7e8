//! An operation that is cancelled at any moment leaves no files, as after any other failure.

use std::fs;
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::common::{Home, bundle, indexed, options};
use patchwork_traces::ErrorKind;
use patchwork_traces::cat::{CatOptions, cat};
use patchwork_traces::export::export_to_file;
use patchwork_traces::import::{ImportOptions, Mode, SystemClock, import};
use patchwork_traces::logs::{DiscoverOptions, discover};
use patchwork_traces::progress::{Cancellation, Progress, Stage};
use patchwork_traces::recover::recover;
use patchwork_traces::verify::{VerifyOptions, verify};
use patchwork_traces::{OutputTarget, TargetOptions};

/// A progress that cancels after a number of reports in a stage, or when the stage starts if the number is 0.
struct CancelAt {
    stage: Stage,
    state: Mutex<(Stage, usize)>,
    cancellation: Cancellation,
}

impl CancelAt {
    fn at(stage: Stage, reports: usize) -> Self {
        Self { stage, state: Mutex::new((Stage::Reading, reports)), cancellation: Cancellation::default() }
    }
}

impl Progress for CancelAt {
    fn stage(&self, stage: Stage) {
        self.state.lock().unwrap().0 = stage;
    }

    fn start(&self, _: Option<u64>) {
        let state = self.state.lock().unwrap();
        if state.0 == self.stage && state.1 == 0 {
            self.cancellation.cancel();
        }
    }

    fn advance(&self, _: u64) {
        let mut state = self.state.lock().unwrap();
        if state.0 == self.stage {
            state.1 = state.1.saturating_sub(1);
            if state.1 == 0 {
                self.cancellation.cancel();
            }
        }
    }

    fn cancellation(&self) -> Cancellation {
        self.cancellation.clone()
    }
}

/// Returns every file below `dir` with its content.
fn tree(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(tree(&path));
            all.push((path, Vec::new()));
        } else {
            let content = fs::read(&path).unwrap();
            all.push((path, content));
        }
    }
    all.sort();
    all
}

/// Returns over 5 MB of rows that do not compress well.
fn rows(from: u64) -> String {
    (from..from + 120_000)
        .map(|n| format!("{{\"n\":{},\"createdAt\":{n}}}\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        .collect()
}

fn assert_cancelled<T>(result: patchwork_traces::Result<T>, what: &str) {
    let error = result.map(|_| ()).expect_err(what);
    assert!(matches!(error.kind(), ErrorKind::Cancelled), "{what}: {error}");
}

#[test]
fn cancelled_export_leaves_no_file() {
    let home = Home::new().with("runs.jsonl", rows(0));
    let path = home.path().join("new/b.gz");
    let logs = discover(&home.dirs(), &DiscoverOptions::default()).unwrap();
    let before = tree(home.path());
    for (stage, reports) in [(Stage::Reading, 0), (Stage::Reading, 2), (Stage::Writing, 0), (Stage::Writing, 1)] {
        let target = OutputTarget::resolve(&path, TargetOptions::default().create_dirs(true)).unwrap();
        let done = export_to_file(&logs, &options(), &target, &CancelAt::at(stage, reports));
        assert_cancelled(done, &format!("{stage:?} {reports}"));
        assert_eq!(tree(home.path()), before);
    }
}

#[test]
fn cancelled_import_changes_no_log() {
    let bundle = bundle(&Home::new().with("runs.jsonl", rows(60_000)));
    for mode in [Mode::Merge, Mode::Append, Mode::Overwrite] {
        let home = Home::new().with("runs.jsonl", rows(0));
        let before = tree(home.path());
        let mut moments = vec![(Stage::Reading, 0), (Stage::Reading, 1), (Stage::Merging, 0), (Stage::Merging, 2)];
        if mode != Mode::Overwrite {
            moments.extend([(Stage::Writing, 0), (Stage::Writing, 1)]);
        }
        for (stage, reports) in moments {
            let options = ImportOptions::default().mode(mode);
            let bundle = indexed(&bundle).unwrap();
            let done = import(bundle, &home.dirs(), &options, &SystemClock, &CancelAt::at(stage, reports));
            assert_cancelled(done, &format!("{mode:?} {stage:?} {reports}"));
            assert_eq!(tree(home.path()), before, "{mode:?} {stage:?} {reports}");
        }
    }
}

#[test]
fn cancelled_recovery_leaves_no_file() {
    let bytes = bundle(&Home::new().with("runs.jsonl", rows(0)));
    let home = Home::new();
    let path = home.path().join("new/b.gz");
    let before = tree(home.path());
    for (stage, reports) in [(Stage::Reading, 0), (Stage::Reading, 2), (Stage::Writing, 0), (Stage::Checking, 0)] {
        let target = OutputTarget::resolve(&path, TargetOptions::default().create_dirs(true)).unwrap();
        let progress = CancelAt::at(stage, reports);
        progress.start(None);
        let done = recover(Cursor::new(&bytes), "damaged", &options(), &target, &progress);
        assert_cancelled(done, &format!("{stage:?} {reports}"));
        assert_eq!(tree(home.path()), before);
    }
}

#[test]
fn cancellation_ends_reading() {
    let bytes = bundle(&Home::new().with("runs.jsonl", rows(0)));
    let verify_options = VerifyOptions::default().threads(NonZeroUsize::MIN);
    let done = verify(&bytes[..], "bundle", &verify_options, &CancelAt::at(Stage::Reading, 1), &mut |_| {});
    assert_cancelled(done, "verify");
    let mut out = Vec::new();
    let bundle = indexed(&bytes).unwrap();
    let done = cat(bundle, &CatOptions::default(), &mut out, "out", &CancelAt::at(Stage::Reading, 1));
    assert_cancelled(done, "cat");
    // The rows printed before are complete.
    assert!(out.ends_with(b"\n") && rows(0).into_bytes().starts_with(&out));
}
