//! Exports and merges logs while Patchwork's writers, each a separate process, append to them and rotate them. An export
//! contains every earlier row, except the rows that rotation dropped according to the writers' ledgers. A merge loses no
//! row.
//!
//! `LIVE_SECONDS=300 cargo test --test slow live_writers -- --nocapture` runs for that time instead of some seconds.
//! `LIVE_PAUSE` is the time in milliseconds between the read and the rename of a rotation.

mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Home, bundle, indexed, restore_all, sequential};
use patchwork_traces::ErrorKind;
use patchwork_traces::import::{ImportOptions, SystemClock, import};
use patchwork_traces::progress::NoProgress;
use writer::{Job, RowId, WriteStyle, row, rows_in};

const JOB: &str = "LIVE_TEST_JOB";

/// The extra time that a slow machine may take to write, rotate and merge enough.
const MAX_EXTRA: Duration = Duration::from_secs(300);

/// The writer ID of the initial rows.
const INITIAL_WRITER: u64 = 50;

#[test]
#[ignore = "the other tests run it in separate processes"]
fn writer_in_a_process() {
    if let Some(job) = std::env::var_os(JOB) {
        Job::parse(job.to_str().unwrap()).work();
    }
}

/// The writers' processes. Dropping it kills them, so that they end if an assertion fails.
struct Writers<'h> {
    home: &'h Path,
    processes: Vec<Child>,
}

impl Writers<'_> {
    fn stop(&mut self) {
        fs::write(self.home.join("stop"), "").unwrap();
        for mut process in self.processes.drain(..) {
            assert!(process.wait().unwrap().success(), "a writer failed");
        }
    }
}

impl Drop for Writers<'_> {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Returns the jobs of the writers: two share `runs.jsonl`, and each other log has one.
fn jobs(home: &Home) -> Vec<Job> {
    let (patchwork, activity) = (home.dirs().patchwork, home.dirs().activity);
    let pause = std::env::var("LIVE_PAUSE").map_or(20, |pause| pause.parse().unwrap());
    let pause = Duration::from_millis(pause);
    let job = |id, log: &Path, style| Job { id, home: home.path().to_owned(), log: log.to_owned(), style, pause };
    vec![
        job(1, &patchwork.join("runs.jsonl"), WriteStyle::Runs),
        job(2, &patchwork.join("runs.jsonl"), WriteStyle::Runs),
        job(3, &patchwork.join("decision_traces.jsonl"), WriteStyle::DecisionTraces),
        job(4, &patchwork.join("commit_issue_links.jsonl"), WriteStyle::CommitIssueLinks),
        job(5, &activity.join("activity-3100.jsonl"), WriteStyle::Activity),
        job(6, &activity.join("activity-3101.jsonl"), WriteStyle::Tears),
    ]
}

/// Returns a home whose logs will soon be rotated and whose archive will soon be halved, and its rows by file.
fn home_with_long_logs() -> (Home, BTreeMap<String, Vec<RowId>>) {
    let mut rows = BTreeMap::new();
    let mut next = 0;
    let mut log = |name: &str, units: usize| {
        let (mut log, mut ids, mut length) = (String::new(), Vec::new(), 0);
        while length < units {
            next += 1;
            let row = row((INITIAL_WRITER, next));
            length += row.chars().count();
            log += &row;
            ids.push((INITIAL_WRITER, next));
        }
        rows.insert(name.to_owned(), ids);
        log
    };
    let home = Home::new()
        .with("runs.jsonl.1", log("runs.jsonl.1", (8 << 20) - 200_000))
        .with("runs.jsonl", log("runs.jsonl", 1_040_000))
        .with("decision_traces.jsonl", log("decision_traces.jsonl", 1_040_000))
        .with("commit_issue_links.jsonl", log("commit_issue_links.jsonl", 700_000))
        .with_activity("activity-3100.jsonl", log("activity-3100.jsonl", 1_030_000));
    (home, rows)
}

fn start<'h>(home: &'h Home, jobs: &[Job]) -> Writers<'h> {
    let test = std::env::current_exe().unwrap();
    let process = |job: &Job| {
        let mut command = Command::new(&test);
        command.args(["--ignored", "--exact", "live_writers::writer_in_a_process"]).env(JOB, job.to_string());
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    Writers { home: home.path(), processes: jobs.iter().map(process).collect() }
}

/// Returns the rows of the log that a job writes to, including those of its archive.
fn found(logs: &BTreeMap<String, Vec<u8>>, job: &Job) -> Vec<RowId> {
    let name = job.log.file_name().unwrap().to_str().unwrap();
    let parts = [format!("{name}.1"), name.to_owned()];
    parts.iter().filter_map(|part| logs.get(part)).flat_map(|log| rows_in(log)).collect()
}

/// Returns true if the row may be torn: its writer writes it in two parts without a lock, so another writer or a merge can
/// write between them.
fn may_be_torn(logs: &BTreeMap<String, Vec<u8>>, job: &Job, row: RowId) -> bool {
    job.style == WriteStyle::Tears && writer::is_torn(&logs[job.log.file_name().unwrap().to_str().unwrap()], row)
}

/// Exports, checks that every earlier row is in the export, and returns the number of its rows.
fn check_export(home: &Home, jobs: &[Job], earlier: &BTreeMap<String, Vec<RowId>>) -> usize {
    let written: Vec<u64> = jobs.iter().map(Job::written).collect();
    let logs = restore_all(indexed(&bundle(home)).unwrap()).unwrap();
    let dropped = writer::dropped(home.path());
    let mut rows = 0;
    for (job, written) in jobs.iter().zip(written) {
        let all = found(&logs, job);
        let found: BTreeSet<_> = all.iter().copied().collect();
        // A rotation moves rows under the lock, and an export waits for the lock.
        assert!(!job.is_ordered() || all.len() == found.len(), "{} has a duplicate row", job.log.display());
        for row in rows_before(job, written, earlier) {
            let is_accounted_for = found.contains(&row) || dropped.contains(&row) || may_be_torn(&logs, job, row);
            assert!(is_accounted_for, "row {row:?} of {written} is not in the export of {}", job.log.display());
        }
        rows += found.len();
    }
    rows
}

/// Returns the first `written` rows of a job, and the initial rows of its log.
fn rows_before(job: &Job, written: u64, earlier: &BTreeMap<String, Vec<RowId>>) -> Vec<RowId> {
    let name = job.log.file_name().unwrap().to_str().unwrap();
    let parts = [format!("{name}.1"), name.to_owned()];
    let earlier = parts.iter().filter_map(|part| earlier.get(part)).flatten().copied();
    earlier.chain((1..=written).map(|number| (job.id, number))).collect()
}

/// Returns a bundle of another machine with rows for each log, and these rows by job.
fn foreign_bundle(jobs: &[Job], round: u64) -> (Vec<u8>, Vec<(usize, RowId)>) {
    let mut home = Home::new();
    let mut rows = Vec::new();
    for (at, job) in jobs.iter().enumerate().filter(|(_, job)| job.id != 2) {
        let ids: Vec<RowId> = (round * 5..round * 5 + 10).map(|number| (100 + job.id, number)).collect();
        let log: String = ids.iter().map(|id| row(*id)).collect();
        let name = job.log.file_name().unwrap().to_str().unwrap();
        home = if name.starts_with("activity") { home.with_activity(name, log) } else { home.with(name, log) };
        rows.extend(ids.into_iter().map(|id| (at, id)));
    }
    (bundle(&home), rows)
}

/// Imports a bundle. Returns false if logs that keep changing, or locks, prevented it.
fn merge(home: &Home, bundle: &[u8]) -> bool {
    let done = import(sequential(bundle).unwrap(), &home.dirs(), &ImportOptions::default(), &SystemClock, &NoProgress);
    match done {
        Ok(_) => true,
        Err(error) => {
            let cause = match error.kind() {
                ErrorKind::PartiallyCommitted { cause, .. } => cause,
                _ => &error,
            };
            // `LockLost` occurs if the test is suspended for half a minute while it holds a lock.
            let is_expected =
                matches!(cause.kind(), ErrorKind::LogKeepsChanging | ErrorKind::Locked { .. } | ErrorKind::LockLost);
            assert!(is_expected, "{error}");
            eprintln!("{error}");
            false
        }
    }
}

/// Checks the logs after the writers have ended: each initial, written or imported row occurs once, and the rows of each
/// ordered writer are in order. (In a log without a lock, a row that is written while the log is replaced may follow a
/// later one.)
fn check_end(home: &Home, jobs: &[Job], earlier: &BTreeMap<String, Vec<RowId>>, imported: &BTreeSet<(usize, RowId)>) {
    let logs = restore_all(indexed(&bundle(home)).unwrap()).unwrap();
    let dropped = writer::dropped(home.path());
    let mut problems = Vec::new();
    for (at, job) in jobs.iter().enumerate() {
        let rows = found(&logs, job);
        let all: BTreeSet<_> = rows.iter().copied().collect();
        let mut seen = BTreeSet::new();
        let duplicates: Vec<_> = rows.iter().filter(|row| !seen.insert(**row)).collect();
        if !duplicates.is_empty() {
            problems.push(format!("{}: duplicate rows: {duplicates:?}", job.log.display()));
        }
        let own = rows_before(job, job.written(), earlier);
        let foreign = imported.iter().filter(|(of, _)| *of == at).map(|(_, row)| *row);
        let missing = own.into_iter().chain(foreign).filter(|row| !all.contains(row) && !dropped.contains(row));
        let lost: Vec<_> = missing.filter(|row| !may_be_torn(&logs, job, *row)).collect();
        if !lost.is_empty() {
            problems.push(format!("{}: lost {lost:?}", job.log.display()));
        }
        let of_job = rows.iter().filter(|(id, _)| *id == job.id && job.is_ordered());
        if !of_job.is_sorted() {
            problems.push(format!("{}: rows of writer {} are out of order", job.log.display(), job.id));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Returns true if the writers and merges have done enough for a meaningful test.
fn is_enough(home: &Home, jobs: &[Job], merges: u64) -> bool {
    let written: u64 = jobs.iter().map(Job::written).sum();
    merges >= 2 && written > 300 && writer::rotations(home.path()) > 10 && writer::dropped(home.path()).len() > 100
}

/// Without exports and merges, the ledgers account for every missing row.
#[test]
fn ledger_of_the_writers_is_exact() {
    let (home, earlier) = home_with_long_logs();
    let jobs = jobs(&home);
    let mut writers = start(&home, &jobs);
    let deadline = Instant::now() + MAX_EXTRA;
    while !is_enough(&home, &jobs, 2) {
        assert!(Instant::now() < deadline, "only {} rotations", writer::rotations(home.path()));
        std::thread::sleep(Duration::from_millis(100));
    }
    writers.stop();
    check_end(&home, &jobs, &earlier, &BTreeSet::new());
}

#[test]
fn exports_and_merges_lose_no_row_of_live_writers() {
    let seconds = std::env::var("LIVE_SECONDS").map_or(3, |seconds| seconds.parse().unwrap());
    let (home, earlier) = home_with_long_logs();
    let jobs = jobs(&home);
    let mut writers = start(&home, &jobs);
    let (mut exports, mut merges, mut prevented, mut rows) = (0, 0, 0, 0);
    let mut imported = BTreeSet::new();
    let begun = Instant::now();
    let (end, deadline) = (begun + Duration::from_secs(seconds), begun + Duration::from_secs(seconds) + MAX_EXTRA);
    while Instant::now() < end || !is_enough(&home, &jobs, merges) {
        assert!(Instant::now() < deadline, "in {:?} only {merges} merges, {prevented} prevented", begun.elapsed());
        rows += check_export(&home, &jobs, &earlier);
        exports += 1;
        let (bundle, foreign) = foreign_bundle(&jobs, merges);
        if merge(&home, &bundle) {
            imported.extend(foreign);
            merges += 1;
        } else {
            prevented += 1;
        }
    }
    writers.stop();
    check_end(&home, &jobs, &earlier, &imported);
    let written: u64 = jobs.iter().map(Job::written).sum();
    println!(
        "{written} rows written, {} of all rows dropped by {} rotations; {exports} exports had {rows} rows; {merges} merges, {prevented} prevented",
        writer::dropped(home.path()).len(),
        writer::rotations(home.path()),
    );
}
