//! Simulates Patchwork's writers, rotations, imports and runs of `keep` in random order. No row that a run could see is
//! lost, and a history is called complete only if no row is missing.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use patchwork_traces::container::{DecryptionKeys, Sealer};
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::format::{FollowsState, HistoryId};
use patchwork_traces::history::History;
use patchwork_traces::keep::{KeepOptions, WriteOptions, keep};
use patchwork_traces::logs::rotation::{MAX_LOG_BYTES, RotationKind, rotate};
use patchwork_traces::logs::{Dirs, DiscoverOptions, discover};
use patchwork_traces::progress::NoProgress;

use crate::common::random::Random;

/// A log and all rows that were ever appended to it.
struct Log {
    path: PathBuf,
    kind: RotationKind,
    /// The numbers of the rows, in the order in which they were appended.
    appended: Vec<u64>,
    /// Rows that a rotation removed before any run could see them in a file.
    lost_in_race: BTreeSet<u64>,
}

/// The result of one simulation.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Gaps that were reported although no row is missing.
    pub false_gaps: u64,
    /// False gaps of logs that were already long when first seen.
    pub false_gaps_of_new_logs: u64,
    /// Logs with missing rows. Each of them has a reported gap.
    pub true_gaps: u64,
    pub runs: u64,
    /// The digest of the last segment, which names all others.
    pub last: Option<BundleDigest>,
}

struct Simulation {
    random: Random,
    dir: tempfile::TempDir,
    logs: Vec<Log>,
    next: u64,
    /// Rows that were in a log during a run.
    seen: BTreeSet<u64>,
    /// The number of the first row after the first run.
    first: Option<u64>,
    bundles: Vec<(usize, Vec<u8>)>,
    holds: bool,
    imports: bool,
    /// The keys that encrypt most segments and decrypt them at the end.
    sealing: Option<(Sealer, DecryptionKeys)>,
}

const NAMES: [(&str, &str, RotationKind); 3] = [
    ("patchwork", "runs.jsonl", RotationKind::Archives),
    ("patchwork", "decision_traces.jsonl", RotationKind::Deletes),
    ("ide", "activity-3100.jsonl", RotationKind::KeepsNewest),
];

/// Runs one simulation. With `sealing`, most segments are encrypted, and no run can decrypt them.
pub fn simulate(number: u64, sealing: Option<(Sealer, DecryptionKeys)>) -> Outcome {
    let (holds, imports) = (!number.is_multiple_of(4), number.is_multiple_of(2));
    let dir = tempfile::tempdir().unwrap();
    for name in ["patchwork", "ide"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    let log = |(base, name, kind): (&str, &str, RotationKind)| Log {
        path: dir.path().join(base).join(name),
        kind,
        appended: Vec::new(),
        lost_in_race: BTreeSet::new(),
    };
    let logs = NAMES.map(log).into();
    let (random, bundles) = (Random::new(number), Vec::new());
    let seen = BTreeSet::new();
    let mut simulation = Simulation { random, dir, logs, next: 0, seen, first: None, bundles, holds, imports, sealing };
    if simulation.random.below(2) == 0 {
        (0..3).for_each(|log| simulation.append_bytes(log, 1000));
    }
    let mut runs = 0;
    for _ in 0..simulation.random.below(14) + 6 {
        runs += u64::from(simulation.step());
    }
    simulation.run();
    Outcome { runs: runs + 1, ..simulation.check() }
}

impl Simulation {
    /// Takes one step. Returns true if it was a run.
    fn step(&mut self) -> bool {
        let log = self.random.below(3) as usize;
        match self.random.below(10) {
            0..=4 => {
                let max_kib = if self.random.below(4) == 0 { 900 } else { 300 };
                let bytes = self.random.below(max_kib) << 10;
                self.append_bytes(log, bytes);
                false
            }
            5 => {
                self.rotate_during(log);
                false
            }
            6 if self.imports => {
                self.bundle_or_import(log);
                false
            }
            _ => {
                match self.random.below(10) {
                    0 => self.run_killed(true),
                    1 => self.run_killed(false),
                    _ => self.run(),
                }
                true
            }
        }
    }

    /// Makes a row, sometimes with bytes that are not UTF-8, which rotation replaces.
    fn row(&mut self, log: usize) -> (u64, Vec<u8>) {
        let n = self.next;
        self.next += 1;
        let pad = "é".repeat(self.random.below(2) as usize) + &"x".repeat(200 + self.random.below(4000) as usize);
        let row = match NAMES[log].1.starts_with("activity") {
            true => {
                let id = self.logs[log].appended.len() + 1;
                let time = patchwork_traces::format::Timestamp::from_millis(1_777_716_000_000 + n.cast_signed() * 1000)
                    .unwrap();
                format!(r#"{{"id":{id},"timestamp":"{time}","n":{n},"pad":"{pad}"}}"#)
            }
            false => {
                format!(r#"{{"taskId":"t{n}","createdAt":{},"n":{n},"pad":"{pad}"}}"#, 1_777_716_000_000 + n * 1000)
            }
        };
        let mut row = row.into_bytes();
        if self.random.below(30) == 0
            && let Some(byte) = row.iter_mut().rev().nth(5)
        {
            *byte = 0xff;
        }
        row.push(b'\n');
        (n, row)
    }

    fn append_bytes(&mut self, log: usize, bytes: u64) {
        let mut left = bytes;
        loop {
            let (n, row) = self.row(log);
            let noise: &[u8] = match self.random.below(60) {
                0 => b"\n",
                1 => b"{\"torn\":\n",
                2 => b" \r\n",
                _ => b"",
            };
            let path = self.logs[log].path.clone();
            if fs::metadata(&path).is_ok_and(|log| log.len() > MAX_LOG_BYTES) {
                let read = fs::read(&path).unwrap();
                self.replace(log, &read);
            }
            append(&path, noise);
            append(&path, &row);
            self.logs[log].appended.push(n);
            left = left.saturating_sub(row.len() as u64);
            if left == 0 {
                return;
            }
        }
    }

    /// Finishes a rotation whose writer read `read`.
    fn replace(&mut self, log: usize, read: &[u8]) {
        let Log { path, kind, .. } = &self.logs[log];
        let archive = path.with_extension("jsonl.1");
        let old_archive = fs::read(&archive).unwrap_or_default();
        let Some(rotated) = rotate(*kind, read, &old_archive) else { return };
        if let Some(content) = rotated.archive {
            fs::write(&archive, content).unwrap();
        }
        let temporary = path.with_extension("tmp");
        fs::write(&temporary, rotated.log).unwrap();
        fs::rename(&temporary, path).unwrap();
    }

    /// Rotates a log. If its writers hold no lock, others append to it meanwhile, and a run may read it.
    fn rotate_during(&mut self, log: usize) {
        let path = self.logs[log].path.clone();
        let Ok(read) = fs::read(&path) else { return };
        if read.len() as u64 <= MAX_LOG_BYTES || self.logs[log].kind == RotationKind::Archives {
            return;
        }
        let looks_before = self.random.below(4) == 0;
        let mut late = Vec::new();
        for _ in 0..self.random.below(3) {
            let (n, row) = self.row(log);
            append(&path, &row);
            self.logs[log].appended.push(n);
            late.push(n);
        }
        if looks_before {
            self.run();
        }
        // A writer that opened the log before it was replaced.
        let mut old = OpenOptions::new().append(true).open(&path).unwrap();
        self.replace(log, &read);
        if self.random.below(3) == 0 {
            let (n, row) = self.row(log);
            old.write_all(&row).unwrap();
            self.logs[log].appended.push(n);
            late.push(n);
        }
        // These rows are in no log now. A run has them only if it saw them or holds the old file.
        let lost = late.into_iter().filter(|n| !self.seen.contains(n)).collect::<Vec<_>>();
        self.logs[log].lost_in_race.extend(lost);
    }

    /// Saves a copy of a log, or merges an earlier copy into it as an import does: in time order, without duplicates.
    fn bundle_or_import(&mut self, log: usize) {
        let path = self.logs[log].path.clone();
        let Ok(now) = fs::read(&path) else { return };
        if self.bundles.is_empty() || self.random.below(2) == 0 {
            self.bundles.push((log, now));
            return;
        }
        let pick = self.random.below(self.bundles.len() as u64) as usize;
        let (log, old) = self.bundles[pick].clone();
        let path = self.logs[log].path.clone();
        let now = fs::read(&path).unwrap_or_default();
        // Rows that were moved to the archive are not imported again.
        let archive = fs::read(path.with_extension("jsonl.1")).unwrap_or_default();
        let archived: BTreeSet<_> = rows_of(&archive).map(|(n, _)| n).collect();
        let old_rows = rows_of(&old).filter(|(n, _)| !archived.contains(n));
        let mut rows: Vec<(u64, &[u8])> = rows_of(&now).chain(old_rows).collect();
        rows.sort_by_key(|(n, _)| *n);
        rows.dedup_by_key(|(n, _)| *n);
        let merged: Vec<u8> = rows.into_iter().flat_map(|(_, row)| row).copied().collect();
        let temporary = path.with_extension("part");
        fs::write(&temporary, merged).unwrap();
        fs::rename(&temporary, &path).unwrap();
    }

    fn run(&mut self) {
        self.first.get_or_insert(self.next);
        let dirs = Dirs { patchwork: self.dir.path().join("patchwork"), activity: self.dir.path().join("ide") };
        for log in &self.logs {
            for path in [log.path.clone(), log.path.with_extension("jsonl.1")] {
                let content = fs::read(path).unwrap_or_default();
                self.seen.extend(rows_of(&content).map(|(n, _)| n));
            }
        }
        let found = discover(&dirs, &DiscoverOptions::default().allow_empty(true)).unwrap();
        let time = patchwork_traces::format::Timestamp::from_millis(1_777_716_000_000 + self.next.cast_signed() * 1000)
            .unwrap();
        let write = WriteOptions::new("test 1", time).threads(std::num::NonZeroUsize::MIN);
        let sealer = self.sealing.as_ref().filter(|_| !self.next.is_multiple_of(4)).map(|(sealer, _)| sealer.clone());
        let options = KeepOptions::new(write.sealer(sealer)).hold(self.holds).new_id(HistoryId::from([7; 16]));
        keep(&found, self.dir.path().join("history"), &options, &NoProgress).unwrap();
    }

    /// Simulates a run that is killed before or after it publishes its segment: it leaves the old checkpoint and all
    /// links.
    fn run_killed(&mut self, has_segment: bool) {
        let history = self.dir.path().join("history");
        let checkpoint = fs::read(history.join("checkpoint"));
        let segments = files_below(&history.join("segments"));
        let (seen, first) = (self.seen.clone(), self.first);
        let link_dirs = ["patchwork", "ide"].map(|dir| self.dir.path().join(dir).join(".patchwork-traces"));
        let links: Vec<_> = link_dirs.iter().flat_map(|dir| files_below(dir)).filter(|path| path.is_file()).collect();
        let saved: Vec<_> = (0..links.len()).map(|link| self.dir.path().join(format!("saved-{link}"))).collect();
        for (link, saved) in links.iter().zip(&saved) {
            fs::hard_link(link, saved).unwrap();
        }
        self.run();
        for (link, saved) in links.iter().zip(&saved) {
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            fs::rename(saved, link).unwrap();
            // `rename` does nothing if both are the same file.
            let _ = fs::remove_file(saved);
        }
        match checkpoint {
            Ok(checkpoint) => fs::write(history.join("checkpoint"), checkpoint).unwrap(),
            Err(_) => fs::remove_file(history.join("checkpoint")).unwrap(),
        }
        if !has_segment {
            let new = files_below(&history.join("segments")).into_iter().filter(|file| !segments.contains(file));
            new.for_each(|segment| fs::remove_file(segment).unwrap());
            (self.seen, self.first) = (seen, first);
        }
    }

    fn check(self) -> Outcome {
        let keys = self.sealing.as_ref().map(|(_, keys)| keys.clone()).unwrap_or_default();
        let history = History::open_with_keys(self.dir.path().join("history"), &keys).unwrap();
        let mut outcome = Outcome { last: history.segments().last().map(|last| last.digest), ..Outcome::default() };
        for (index, log) in self.logs.iter().enumerate() {
            let mut kept = Vec::new();
            let (mut gaps, mut new_logs) = (0, 0);
            for segment in history.segments() {
                let bundle = segment.open().unwrap();
                for (at, file) in segment.files.iter().enumerate() {
                    let id = &history.logs()[file.log].id;
                    if id.source.as_str() != NAMES[index].1.split(['.', '-']).next().unwrap() {
                        continue;
                    }
                    gaps += u64::from(file.state == FollowsState::Gap);
                    new_logs += u64::from(file.gap.as_ref().is_some_and(|gap| gap.after_row == 0));
                    let selection = patchwork_traces::bundle::Selection::default().files(vec![at]);
                    let mut rows = bundle.rows(&selection).unwrap();
                    while let Some(row) = rows.next_row().unwrap() {
                        kept.extend(number(row.exact_line()));
                    }
                }
            }
            let set: BTreeSet<_> = kept.iter().copied().collect();
            assert_eq!(set.len(), kept.len(), "each row once in {}", NAMES[index].1);
            let unseen: Vec<_> =
                log.appended.iter().filter(|n| self.seen.contains(n) && !set.contains(n)).copied().collect();
            assert!(unseen.is_empty(), "rows that a run could see are missing in {}: {unseen:?}", NAMES[index].1);
            let is_missing = |n: &&u64| Some(**n) >= self.first && !set.contains(n) && !log.lost_in_race.contains(n);
            let gone: Vec<_> = log.appended.iter().filter(is_missing).collect();
            let missing = !gone.is_empty();
            assert!(!missing || gaps > 0, "{} is called complete without {gone:?}", NAMES[index].1);
            outcome.true_gaps += u64::from(missing);
            outcome.false_gaps += if missing { 0 } else { gaps };
            outcome.false_gaps_of_new_logs += if missing { 0 } else { new_logs };
            if !self.imports && !missing && log.lost_in_race.is_empty() {
                assert!(kept.is_sorted(), "{} is in the order of its rows", NAMES[index].1);
            }
        }
        outcome
    }
}

/// Returns the files of the directories in `dir`.
fn files_below(dir: &Path) -> Vec<PathBuf> {
    let children = |dir: &Path| fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    children(dir).flat_map(|dir| children(&dir).collect::<Vec<_>>()).collect()
}

fn append(path: &Path, row: &[u8]) {
    let mut log: File = OpenOptions::new().create(true).append(true).open(path).unwrap();
    log.write_all(row).unwrap();
}

fn rows_of(log: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    log.split_inclusive(|byte| *byte == b'\n').filter_map(|row| Some((number(row)?, row)))
}

/// Returns the number of a row, or `None` for another line.
fn number(row: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(row);
    let (_, rest) = text.split_once("\"n\":")?;
    rest.split(',').next()?.parse().ok()
}

/// Runs simulations, and returns the sum of their outcomes.
pub fn soak(seeds: std::ops::Range<u64>) -> Outcome {
    let mut all = Outcome::default();
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| simulate(seed, None));
        let outcome = outcome.unwrap_or_else(|cause| {
            eprintln!("the simulation with seed {seed} failed");
            std::panic::resume_unwind(cause)
        });
        all.runs += outcome.runs;
        all.true_gaps += outcome.true_gaps;
        all.false_gaps += outcome.false_gaps;
        all.false_gaps_of_new_logs += outcome.false_gaps_of_new_logs;
    }
    all
}

/// Runs 100 simulations, or the number in `SOAK_RUNS`.
#[test]
fn no_visible_row_is_lost_and_no_gap_is_silent() {
    let runs = std::env::var("SOAK_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(100);
    let outcome = soak(0..runs);
    eprintln!("{runs} simulations: {outcome:?}");
    assert!(outcome.true_gaps > 0, "{outcome:?}");
}

/// Runs 20 simulations, or the number in `SOAK_RUNS`, with and without encryption.
#[cfg(feature = "seal")]
#[test]
fn encryption_does_not_change_the_history() {
    use crate::common::age_keys::{IDENTITY, RECIPIENT, keys, sealer};
    let runs = std::env::var("SOAK_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(20);
    for seed in 0..runs {
        let sealing = Some((sealer(&[RECIPIENT]), keys(&[IDENTITY])));
        assert_eq!(simulate(seed, sealing), simulate(seed, None), "seed {seed}");
    }
}
