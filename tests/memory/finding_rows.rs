//! Finding rows in a long bundle takes no more memory than its chunks.

use std::fmt::Write as _;
use std::num::NonZeroUsize;

use crate::common::{Home, bundle, indexed};
use crate::{MEMORY, measured};
use patchwork_traces::cat::{CatOptions, cat, cat_by_time};
use patchwork_traces::filter::{FilterOptions, filter_to_file};
use patchwork_traces::input::TraceInput;
use patchwork_traces::inspect::{KeysOptions, list_keys};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::query::{KeyPath, RowFilter};
use patchwork_traces::{OutputTarget, TargetOptions};

/// The chunks that are on their way, on two threads, and what any bundle needs.
const MAX_MEMORY: usize = 32 << 20;

/// The number of rows, of runs of which each has so many rows.
const ROWS: usize = 1_500_000;
const ROWS_OF_A_RUN: usize = 500;

/// A bundle of 123 MB of rows. The last row of each run is done.
fn long_bundle() -> Vec<u8> {
    let mut log = String::with_capacity(ROWS * 90);
    for row in 0..ROWS {
        let (run, time) = (row / ROWS_OF_A_RUN, 1_777_716_000_000 + row);
        let status = if row % ROWS_OF_A_RUN + 1 == ROWS_OF_A_RUN { "done" } else { "running" };
        writeln!(log, r#"{{"taskId":"run-{run}","createdAt":{time},"status":"{status}","n":{row}}}"#).unwrap();
    }
    bundle(&Home::new().with("runs.jsonl", log))
}

/// Runs some work, and checks its memory.
fn limited(what: &str, work: impl FnOnce()) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    work();
    let peak = MEMORY.peak_usage() - before;
    assert!(peak < MAX_MEMORY, "{what} takes {} KiB", peak >> 10);
}

#[test]
fn finding_rows_takes_no_more_memory_than_chunks() {
    let _measured = measured();
    let (bundle, dir) = (long_bundle(), tempfile::tempdir().unwrap());
    let done = || RowFilter::default().condition("status=done".parse().unwrap());
    let options = || CatOptions::default().threads(NonZeroUsize::new(2).unwrap());
    let task: KeyPath = "taskId".parse().unwrap();
    let runs = (ROWS / ROWS_OF_A_RUN) as u64;
    let printed = |options: &CatOptions| {
        let report = cat(indexed(&bundle).unwrap(), options, std::io::sink(), "nowhere", &NoProgress).unwrap();
        report.rows()
    };
    limited("--where", || {
        assert_eq!(printed(&options().filter(done())), runs);
    });
    limited("--latest", || {
        assert_eq!(printed(&options().latest(task.clone())), runs);
    });
    limited("--tail", || {
        assert_eq!(printed(&options().tail(1_000_000)), 1_000_000);
    });
    limited("--tail of some", || {
        assert_eq!(printed(&options().filter(done()).tail(2000)), 2000);
    });
    #[cfg(feature = "jq")]
    limited("--jq", || {
        let filter: patchwork_traces::query::JqFilter = "select(.n % 1000 == 0) | range(1000) | .".parse().unwrap();
        assert_eq!(printed(&options().jq(filter)), ROWS as u64);
    });
    let input = || TraceInput::from_bundle(indexed(&bundle).unwrap());
    limited("--by-time", || {
        let report = cat_by_time(&[input()], &options().filter(done()), std::io::sink(), "nowhere", &NoProgress);
        assert_eq!(report.unwrap().logs[0].rows, runs);
    });
    limited("--keys", || {
        let options = KeysOptions::default().threads(NonZeroUsize::new(2).unwrap());
        assert_eq!(list_keys(&[input()], &options, &NoProgress).unwrap().sources[0].rows, ROWS as u64);
    });
    limited("filter", || {
        let target = OutputTarget::resolve(dir.path().join("running.gz"), TargetOptions::default()).unwrap();
        let rows = CatOptions::default().filter(done().inverted(true));
        let options = FilterOptions::new("tests", rows);
        let options = options.threads(NonZeroUsize::new(2).unwrap());
        let report = filter_to_file(&input(), &options, &target, &NoProgress).unwrap();
        assert_eq!(report.manifest.total_count, ROWS as u64 - runs);
    });
}
