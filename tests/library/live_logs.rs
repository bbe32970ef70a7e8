//! Logs are read as they were when opened, even if their writers append to, rotate or truncate them.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{Home, bundle, indexed, restore_all};
use patchwork_traces::ErrorKind;
use patchwork_traces::logs::{DiscoverOptions, OpenLog, discover};

fn open_runs(home: &Home) -> OpenLog {
    let discovery = discover(&home.dirs(), &DiscoverOptions::default()).unwrap();
    discovery.groups[0].open().unwrap().remove(0)
}

fn read(mut log: OpenLog) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    log.read_to_end(&mut content).map(|_| content)
}

fn append(path: &Path, text: &str) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn rows_appended_after_opening_are_not_read() {
    let home = Home::new().with("runs.jsonl", "{\"seq\":1}\n");
    let log = open_runs(&home);
    append(&home.dirs().patchwork.join("runs.jsonl"), "{\"seq\":2}\n");
    assert_eq!(read(log).unwrap(), b"{\"seq\":1}\n");
}

#[cfg(unix)]
#[test]
fn log_replaced_after_opening_is_read_as_it_was() {
    let home = Home::new().with("runs.jsonl", "{\"seq\":1}\n").with("new", "{}\n");
    let log = open_runs(&home);
    fs::rename(home.dirs().patchwork.join("new"), home.dirs().patchwork.join("runs.jsonl")).unwrap();
    assert_eq!(read(log).unwrap(), b"{\"seq\":1}\n");
}

#[test]
fn log_that_shrinks_after_opening_is_an_error() {
    let home = Home::new().with("runs.jsonl", "{\"seq\":1}\n{\"seq\":2}\n");
    let log = open_runs(&home);
    OpenOptions::new().write(true).open(home.dirs().patchwork.join("runs.jsonl")).unwrap().set_len(10).unwrap();
    let error = read(log).unwrap_err().downcast::<patchwork_traces::Error>().unwrap();
    assert!(matches!(error.kind(), ErrorKind::LogShrank { opened: 20, read: 10 }), "{error}");
}

/// Appends rows and rotates as Patchwork does: it moves older rows to the archive before it replaces the log.
fn write_and_rotate(dir: &Path, stop: &AtomicBool) {
    let (runs, older) = (dir.join("runs.jsonl"), dir.join("runs.jsonl.1"));
    let mut kept: Vec<u32> = Vec::new();
    for seq in 1.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        append(&runs, &format!("{{\"seq\":{seq}}}\n"));
        kept.push(seq);
        if kept.len() == 40 {
            let newer = kept.split_off(20);
            let lines = |rows: &[u32]| rows.iter().map(|seq| format!("{{\"seq\":{seq}}}\n")).collect::<String>();
            append(&older, &lines(&kept));
            fs::write(dir.join("tmp"), lines(&newer)).unwrap();
            fs::rename(dir.join("tmp"), &runs).unwrap();
            kept = newer;
            // Keeps the logs small enough to be exported many times.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Stops the writer when dropped, so that it ends if an assertion fails.
struct StopOnDrop<'s>(&'s AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Returns the numbers of all complete rows.
fn seqs(log: &[u8]) -> Vec<u32> {
    let rows = String::from_utf8_lossy(log);
    rows.lines().filter_map(|row| row.strip_prefix("{\"seq\":")?.strip_suffix('}')?.parse().ok()).collect()
}

#[cfg(unix)]
#[test]
fn rotation_during_an_export_loses_no_row() {
    let home = Home::new().with("runs.jsonl", "");
    let (dir, stop) = (home.dirs().patchwork, AtomicBool::new(false));
    let mut max_rows = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| write_and_rotate(&dir, &stop));
        let _stops = StopOnDrop(&stop);
        for _ in 0..100 {
            let logs = restore_all(indexed(&bundle(&home)).unwrap()).unwrap();
            let mut rows = logs.get("runs.jsonl.1").map(|log| seqs(log)).unwrap_or_default();
            rows.extend(seqs(&logs["runs.jsonl"]));
            rows.sort_unstable();
            rows.dedup();
            let expected: Vec<u32> = (1..).take(rows.len()).collect();
            assert_eq!(rows, expected);
            max_rows = max_rows.max(rows.len());
        }
    });
    assert!(max_rows > 40, "no rotation happened: only {max_rows} rows");
}

#[test]
fn export_waits_for_a_rotation_in_progress() {
    let home = Home::new().with("runs.jsonl", "{\"seq\":1}\n{\"seq\":2}\n");
    let dir = home.dirs().patchwork;
    // The oldest row is in both logs until the newer one is replaced.
    fs::write(dir.join("runs.jsonl.lock"), "").unwrap();
    append(&dir.join("runs.jsonl.1"), "{\"seq\":1}\n");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            fs::write(dir.join("tmp"), "{\"seq\":2}\n").unwrap();
            fs::rename(dir.join("tmp"), dir.join("runs.jsonl")).unwrap();
            fs::remove_file(dir.join("runs.jsonl.lock")).unwrap();
        });
        let logs = restore_all(indexed(&bundle(&home)).unwrap()).unwrap();
        assert_eq!((seqs(&logs["runs.jsonl.1"]), seqs(&logs["runs.jsonl"])), (vec![1], vec![2]));
    });
}

#[test]
fn stale_lock_does_not_block_an_export() {
    let home = Home::new().with("runs.jsonl", "{\"seq\":1}\n").with("runs.jsonl.lock", "");
    let lock = OpenOptions::new().write(true).open(home.dirs().patchwork.join("runs.jsonl.lock")).unwrap();
    for age in [Duration::from_secs(31), Duration::ZERO] {
        // An export does not wait forever for a live lock, either.
        lock.set_modified(std::time::SystemTime::now() - age).unwrap();
        let logs = restore_all(indexed(&bundle(&home)).unwrap()).unwrap();
        assert_eq!(seqs(&logs["runs.jsonl"]), [1]);
    }
}

/// The sizes above which Patchwork trims the live log and its archive, in bytes.
const MAX_LIVE_BYTES: usize = 1 << 20;
const MAX_ARCHIVE_BYTES: usize = 8 << 20;

/// Writes runs as Patchwork does: appends and rotates under the lock, and rewrites the archive in place.
struct Rotator<'a> {
    dir: &'a Path,
    /// The number of the last written row, and of the last one trimmed from the archive.
    written: &'a AtomicU32,
    trimmed: &'a AtomicU32,
}

impl Rotator<'_> {
    fn run(&self, stop: &AtomicBool) {
        let padding = "x".repeat(1000);
        while !stop.load(Ordering::Relaxed) {
            self.lock();
            self.rotate();
            for _ in 0..200 {
                let seq = self.written.load(Ordering::Relaxed) + 1;
                append(&self.dir.join("runs.jsonl"), &format!("{{\"seq\":{seq},\"text\":\"{padding}\"}}\n"));
                self.written.store(seq, Ordering::SeqCst);
            }
            fs::remove_file(self.dir.join("runs.jsonl.lock")).unwrap();
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    fn lock(&self) {
        let lock = self.dir.join("runs.jsonl.lock");
        while OpenOptions::new().write(true).create_new(true).open(&lock).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn rotate(&self) {
        let (live, archive) = (self.dir.join("runs.jsonl"), self.dir.join("runs.jsonl.1"));
        let text = fs::read_to_string(&live).unwrap();
        if text.len() <= MAX_LIVE_BYTES {
            return;
        }
        let rows: Vec<_> = text.lines().collect();
        let (old, new) = rows.split_at(rows.len() / 2);
        let archived = fs::read_to_string(&archive).unwrap_or_default();
        let mut archived: Vec<_> = archived.lines().chain(old.iter().copied()).collect();
        while archived.iter().map(|row| row.len() + 1).sum::<usize>() > MAX_ARCHIVE_BYTES {
            let cut = archived.len() - archived.len() / 2;
            self.trimmed.store(seq(archived[cut - 1]), Ordering::SeqCst);
            archived.drain(..cut);
        }
        fs::write(&archive, archived.join("\n") + "\n").unwrap();
        fs::write(self.dir.join("runs.jsonl.tmp"), new.join("\n") + "\n").unwrap();
        fs::rename(self.dir.join("runs.jsonl.tmp"), &live).unwrap();
    }
}

/// Returns the number of a row of a [`Rotator`].
fn seq(row: &str) -> u32 {
    row.strip_prefix("{\"seq\":").unwrap().split(',').next().unwrap().parse().unwrap()
}

#[cfg(unix)]
#[test]
fn archive_rewritten_in_place_is_bundled_consistently() {
    let home = Home::new().with("runs.jsonl", "");
    let (dir, stop) = (home.dirs().patchwork, AtomicBool::new(false));
    let (written, trimmed) = (AtomicU32::new(0), AtomicU32::new(0));
    let writer = Rotator { dir: &dir, written: &written, trimmed: &trimmed };
    std::thread::scope(|scope| {
        let rotator = scope.spawn(|| writer.run(&stop));
        let _stops = StopOnDrop(&stop);
        let mut exports = 0;
        // Long enough for the archive to be trimmed several times.
        while (exports < 20 || trimmed.load(Ordering::SeqCst) < 10_000) && !rotator.is_finished() {
            let at_start = written.load(Ordering::SeqCst);
            let logs = restore_all(indexed(&bundle(&home)).unwrap()).unwrap();
            let trimmed = trimmed.load(Ordering::SeqCst);
            let texts = ["runs.jsonl.1", "runs.jsonl"].map(|name| logs.get(name).cloned().unwrap_or_default());
            let rows: Vec<_> = String::from_utf8(texts.concat()).unwrap().lines().map(seq).collect();
            let (first, last) = (rows.first().copied().unwrap_or(1), rows.last().copied().unwrap_or(0));
            assert!(rows.iter().copied().eq(first..=last), "rows are missing, duplicated or out of order");
            assert!(first <= trimmed + 1, "rows before {first} are missing, but only {trimmed} were trimmed");
            assert!(last >= at_start, "{at_start} rows were written before the export, but it ends at row {last}");
            exports += 1;
        }
    });
}
