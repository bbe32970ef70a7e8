//! No change to a small bundle yields wrong logs. The changes flip each bit, remove each byte, truncate the file at each
//! length, and swap, repeat and remove chunks.
//!
//! `cargo test --test memory every_byte -- --ignored --nocapture` does the same to larger bundles and
//! takes some minutes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;

use crate::common::bundle_builder::BundleBuilder;
use crate::common::{Home, indexed, options, restore_all, sequential};
use crate::{MEMORY, measured};
use patchwork_traces::bundle::Bundle;
use patchwork_traces::cat::{CatOptions, cat};
use patchwork_traces::digest::Crc32;
use patchwork_traces::error::{ErrorKind, GzipFault};
use patchwork_traces::export::Level;
use patchwork_traces::export::export;
use patchwork_traces::import::{ImportOptions, SystemClock, import};
use patchwork_traces::inspect::Inspection;
use patchwork_traces::internal::{Deflater, MemberWriter, classify};
use patchwork_traces::logs::{Dirs, DiscoverOptions, discover};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::recover::recover;
use patchwork_traces::verify::{Severity, Verdict, VerifyOptions, verify, verify_file, verify_seekable};
use patchwork_traces::{Error, Result};
use patchwork_traces::{OutputTarget, TargetOptions};

/// The maximum memory of all threads together. The buffers for intact bundles fit into it; the allocations that a damaged
/// length could request do not.
const MAX_MEMORY: usize = 32 << 20;

type Logs = BTreeMap<String, Vec<u8>>;

/// An intact bundle and its expected results.
struct IntactBundle {
    name: &'static str,
    bytes: Vec<u8>,
    /// The byte ranges of its chunks, that of the manifest first.
    blocks: Vec<Range<usize>>,
    logs: Logs,
    /// The output of `cat`.
    rows: Vec<u8>,
    /// True if chunks have checksums: false for format 1.0.
    has_checksums: bool,
    /// The logs after an import into a home that has some of its rows.
    merged: Logs,
}

/// A change to a bundle.
#[derive(Debug, Clone)]
enum Change {
    FlipBit(usize, u8),
    RemoveByte(usize),
    TruncateAt(usize),
    SwapBlocks(usize, usize),
    RepeatBlock(usize),
    RemoveBlock(usize),
}

impl IntactBundle {
    fn new(name: &'static str, bytes: Vec<u8>, blocks: Vec<Range<usize>>) -> Self {
        let logs = restore_all(indexed(&bytes).unwrap()).unwrap();
        let has_checksums = indexed(&bytes).unwrap().manifest().version().1 > 0;
        let (rows, ended) = cat_output(indexed(&bytes));
        assert!(ended.is_none());
        let workspace = Workspace::new();
        workspace.write_old_logs();
        workspace.import(&bytes).unwrap();
        Self { name, bytes, blocks, logs, rows, has_checksums, merged: workspace.logs() }
    }

    fn changes(&self) -> Vec<Change> {
        let bytes = 0..self.bytes.len();
        let mut changes: Vec<_> =
            bytes.clone().flat_map(|at| (0..8).map(move |bit| Change::FlipBit(at, bit))).collect();
        changes.extend(bytes.clone().map(Change::RemoveByte));
        changes.extend(bytes.map(Change::TruncateAt));
        for block in 0..self.blocks.len() {
            changes.extend((0..block).map(|other| Change::SwapBlocks(other, block)));
            changes.push(Change::RepeatBlock(block));
            changes.push(Change::RemoveBlock(block));
        }
        changes
    }

    fn with(&self, change: &Change) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        match *change {
            Change::FlipBit(at, bit) => bytes[at] ^= 1 << bit,
            Change::RemoveByte(at) => drop(bytes.remove(at)),
            Change::TruncateAt(length) => bytes.truncate(length),
            Change::SwapBlocks(one, other) => return self.with_blocks(|blocks| blocks.swap(one, other)),
            Change::RepeatBlock(block) => return self.with_blocks(|blocks| blocks.insert(block, blocks[block])),
            Change::RemoveBlock(block) => return self.with_blocks(|blocks| _ = blocks.remove(block)),
        }
        bytes
    }

    fn with_blocks(&self, change: impl FnOnce(&mut Vec<&[u8]>)) -> Vec<u8> {
        let mut blocks: Vec<_> = self.blocks.iter().map(|block| &self.bytes[block.clone()]).collect();
        change(&mut blocks);
        let (start, end) = (self.blocks[0].start, self.blocks.last().unwrap().end);
        [&self.bytes[..start], &blocks.concat(), &self.bytes[end..]].concat()
    }
}

/// A recovered log.
struct Recovered {
    name: String,
    log: Vec<u8>,
    /// True if it is reported as the original.
    is_original: bool,
    /// True if some of its rows were recovered by line, without a checksum.
    is_unverified: bool,
}

/// The directories that a thread reuses.
struct Workspace {
    dir: tempfile::TempDir,
    dirs: Dirs,
}

impl Workspace {
    fn new() -> Self {
        // In memory if possible, because every import and recovery syncs its files.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let dirs = Dirs { patchwork: dir.path().join("patchwork"), activity: dir.path().join("activity") };
        Self { dir, dirs }
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.dir.path()).unwrap().next().is_none()
    }

    fn clear(&self) {
        for dir in [&self.dirs.patchwork, &self.dirs.activity].into_iter().filter(|dir| dir.exists()) {
            fs::remove_dir_all(dir).unwrap();
        }
    }

    /// Writes logs that already have some of the rows.
    fn write_old_logs(&self) {
        fs::create_dir_all(&self.dirs.patchwork).unwrap();
        for (name, log) in old_logs() {
            fs::write(self.dirs.patchwork.join(name), log).unwrap();
        }
    }

    fn logs(&self) -> Logs {
        let dirs = [&self.dirs.patchwork, &self.dirs.activity].into_iter().filter(|dir| dir.exists());
        let files = dirs.flat_map(|dir| fs::read_dir(dir).unwrap()).map(|entry| entry.unwrap().path());
        let log = |path: std::path::PathBuf| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        };
        files.map(log).collect()
    }

    fn import(&self, bytes: &[u8]) -> Result<()> {
        import(indexed(bytes)?, &self.dirs, &ImportOptions::default(), &SystemClock, &NoProgress).map(drop)
    }

    /// Recovers the bundle and returns its logs.
    fn recovered(&self, bytes: &[u8]) -> Result<Vec<Recovered>> {
        let path = self.dir.path().join("recovered");
        let target = OutputTarget::File { path: path.clone(), options: TargetOptions::default() };
        let report = recover(Cursor::new(bytes), "bundle", &options(), &target, &NoProgress)?;
        let verified = verify_file(&path, &verify_options(), &NoProgress, &mut |_| {}).unwrap();
        assert!(verified.verdict == Verdict::Intact, "the recovered bundle is {:?}", verified.verdict);
        let recovered = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let mut logs = restore_all(indexed(&recovered).unwrap()).unwrap();
        let logs = report.files.iter().map(|file| {
            let name = file.name.to_string();
            let log = logs.remove(&name).unwrap();
            let is_original = file.is_original == Some(true);
            Recovered { name, log, is_original, is_unverified: file.unverified_rows > 0 }
        });
        Ok(logs.collect())
    }
}

fn old_logs() -> Logs {
    [("runs.jsonl".to_owned(), b"{\"createdAt\":1777716000000,\"a\":1}\n{\"createdAt\":1777716000050}\n".to_vec())]
        .into()
}

fn verify_options() -> VerifyOptions {
    VerifyOptions::default().threads(NonZeroUsize::MIN)
}

/// Returns the output of `cat` and its error.
fn cat_output(bundle: Result<Bundle<'_>>) -> (Vec<u8>, Option<Error>) {
    let mut out = Vec::new();
    let ended = bundle.and_then(|bundle| cat(bundle, &CatOptions::default(), &mut out, "memory", &NoProgress));
    (out, ended.err())
}

fn is_truncated(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Gzip(GzipFault::Truncated))
}

/// Returns the rows of a log without their line endings.
fn rows_of(log: &[u8]) -> Vec<&[u8]> {
    let lines = log.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| classify(line, &[]).is_some()).collect()
}

fn has_only_rows_of(part: &[u8], whole: &[u8]) -> bool {
    let mut whole = rows_of(whole).into_iter();
    rows_of(part).into_iter().all(|row| whole.any(|other| other == row))
}

impl IntactBundle {
    fn check(&self, changed: &[u8], workspace: &Workspace) {
        self.check_verify(changed);
        for bundle in [indexed(changed), sequential(changed)] {
            if let Ok(bundle) = &bundle {
                drop(Inspection::new(bundle));
            }
            self.check_cat(bundle);
        }
        if let Ok(logs) = workspace.recovered(changed) {
            for Recovered { name, log, is_original, is_unverified } in logs {
                let original = self.logs.get(&name).map(Vec::as_slice).unwrap_or_default();
                assert!(
                    !is_original || log == original,
                    "{name} is reported as the original, but differs: {}",
                    log.escape_ascii()
                );
                let rows_are_original = !self.has_checksums || is_unverified || has_only_rows_of(&log, original);
                assert!(rows_are_original, "{name} has rows that the original lacks: {}", log.escape_ascii());
            }
        }
        assert!(workspace.is_empty());
        self.check_import(changed, workspace);
    }

    fn check_verify(&self, changed: &[u8]) {
        let mut findings = Vec::new();
        let report = verify(changed, "bundle", &verify_options(), &NoProgress, &mut |found| findings.push(found));
        let mut findings_seeking = Vec::new();
        let seekable = Cursor::new(changed);
        let other = verify_seekable(seekable, "bundle", &verify_options(), &NoProgress, &mut |found| {
            findings_seeking.push(found);
        });
        assert_eq!((other.ok(), findings_seeking), (report.as_ref().ok().cloned(), findings.clone()));
        match report {
            Ok(report) if report.verdict != Verdict::Damaged => {
                for bundle in [indexed(changed), sequential(changed)] {
                    assert_eq!(bundle.and_then(restore_all).unwrap(), self.logs, "verify found only {findings:?}");
                }
            }
            Ok(_) => assert!(findings.iter().any(|finding| finding.severity() == Severity::Error)),
            // The readers reject every bundle that verify rejects.
            Err(_) => assert!(indexed(changed).is_err() && sequential(changed).is_err()),
        }
    }

    fn check_cat(&self, bundle: Result<Bundle<'_>>) {
        let (rows, ended) = cat_output(bundle);
        match ended {
            None => assert!(rows == self.rows, "cat succeeds with other rows"),
            Some(error) if self.has_checksums && !is_truncated(&error) => {
                assert!(self.rows.starts_with(&rows), "cat prints other rows, then {error}");
            }
            Some(_) => assert!(rows.len() < 64 * self.rows.len() + 1024),
        }
    }

    fn check_import(&self, changed: &[u8], workspace: &Workspace) {
        let empty = workspace.import(changed);
        assert_eq!(workspace.logs(), if empty.is_ok() { self.logs.clone() } else { Logs::new() }, "{empty:?}");
        workspace.clear();
        workspace.write_old_logs();
        let merged = workspace.import(changed);
        assert_eq!(workspace.logs(), if merged.is_ok() { self.merged.clone() } else { old_logs() }, "{merged:?}");
        assert_eq!(merged.is_ok(), empty.is_ok());
        workspace.clear();
    }
}

/// Prints the change whose check failed.
struct ReportOnPanic<'s>(&'s IntactBundle, &'s Change);

impl Drop for ReportOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}, {:?}", self.0.name, self.1);
        }
    }
}

/// Applies every change to every bundle and checks the result.
fn check_every_change(bundles: &[IntactBundle]) {
    let changes: Vec<_> =
        bundles.iter().flat_map(|intact| intact.changes().into_iter().map(move |change| (intact, change))).collect();
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    MEMORY.reset_peak_usage();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let changes = changes.iter().skip(thread).step_by(threads);
            scope.spawn(move || {
                let workspace = Workspace::new();
                for (intact, change) in changes {
                    let _report_on_panic = ReportOnPanic(intact, change);
                    intact.check(&intact.with(change), &workspace);
                    assert!(MEMORY.peak_usage() < MAX_MEMORY, "{} bytes of memory", MEMORY.peak_usage());
                }
            });
        }
    });
    println!("{} changes, at most {} KiB of memory", changes.len(), MEMORY.peak_usage() >> 10);
}

/// Returns a bundle in chunks of a few rows.
fn in_chunks(name: &'static str, home: &Home, rows: usize) -> IntactBundle {
    let builder = BundleBuilder::new(home, rows);
    IntactBundle::new(name, builder.write(), builder.block_ranges())
}

/// Returns a bundle of stored blocks, in which each flipped bit changes the text.
fn uncompressed(name: &'static str, home: &Home) -> IntactBundle {
    let discovery = discover(&home.dirs(), &DiscoverOptions::default().include_other(true)).unwrap();
    let options = options().level(Level::new(0).unwrap());
    let mut bytes = Vec::new();
    let report = export(&discovery, &options, &mut bytes, "memory", &NoProgress).unwrap();
    let chunks = report.manifest.files.iter().flat_map(|file| &file.chunks).map(|chunk| chunk.compressed);
    let chunks: Vec<usize> = chunks.map(|bytes| usize::try_from(bytes).unwrap()).collect();
    let mut next = bytes.len() - 10 - chunks.iter().sum::<usize>();
    let mut blocks: Vec<_> = std::iter::once(10..next).collect();
    for length in chunks {
        blocks.push(next..next + length);
        next += length;
    }
    IntactBundle::new(name, bytes, blocks)
}

/// Returns a format 1.0 bundle of this text, with a flush point after each line.
fn bundle_of_1_0(name: &'static str, text: &[u8], level: u8) -> IntactBundle {
    let mut deflater = Deflater::new(Level::new(level).unwrap());
    let mut bytes = Vec::new();
    let mut member = MemberWriter::new(&mut bytes).unwrap();
    let (mut blocks, mut next) = (Vec::new(), 10);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let mut block = Vec::new();
        deflater.deflate(line, &mut block).unwrap();
        member.copy_block(block.as_slice(), block.len() as u64, line.len() as u64, Crc32::of(line)).unwrap();
        blocks.push(next..next + block.len());
        next += block.len();
    }
    member.finish().unwrap();
    IntactBundle::new(name, bytes, blocks)
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)).unwrap()
}

#[test]
fn every_change_to_tiny_bundles_is_reported_or_harmless() {
    let _measured = measured();
    let row = "{\"createdAt\":1777716000000,\"a\":1}\n";
    let one = Home::new().with("runs.jsonl", row);
    let odd = Home::new().with_activity("activity-1.jsonl", "{\"x\":\"\\ud800\"}\r\ntorn\n{}");
    let legacy = r#"{"type":"manifest","version":1,"exportedAt":"2026-05-02T10:00:00.000Z","sources":["runs"],"files":[{"source":"runs","relativePath":"runs.jsonl","count":2,"bytes":9}],"totalCount":2}
{"source":"runs","entry":{"a":1}}
{"source":"runs","entry":[]}
"#;
    check_every_change(&[
        in_chunks("1.1 in two chunks", &odd, 1),
        uncompressed("1.1, not compressed", &one),
        bundle_of_1_0("1.0", legacy.as_bytes(), 6),
    ]);
}

#[test]
#[ignore = "takes minutes"]
fn every_change_to_small_bundles_is_reported_or_harmless() {
    let _measured = measured();
    let runs = [
        " {\"taskId\":\"a\",\"createdAt\":1777716000000,\"status\":\"running\",\"n\":12345678901234567890}\n",
        "{\"taskId\":\"b\",\"createdAt\":1777716120000,\"text\":\"\\ud800 \u{2028}\"}\r\n",
        "{\"taskId\":\"torn\n\n\0\0\0\n",
        "{\"taskId\":\"c\",\"createdAt\":1777716180000,\"status\":\"done\",\"status\":1e400}\n",
    ];
    let home = Home::new()
        .with("runs.jsonl.1", "{\"createdAt\":1777716000000,\"a\":1}\n{\"seq\":1}\n")
        .with("runs.jsonl", runs.concat())
        .with("outcome-log.jsonl", b"{\"s\":\"\xff\"}\n")
        .with_activity("activity-3100.jsonl", "{\"timestamp\":\"2026-05-02T10:00:00.000Z\"}\r\n{\"a\":\r1}");
    let odd = crate::common::text_of(&fixture("legacy/odd.v1.0.jsonl.gz"));
    check_every_change(&[
        in_chunks("1.1 in chunks of one row", &home, 1),
        in_chunks("1.1 in chunks of two rows", &home, 2),
        uncompressed("1.1, not compressed", &home),
        bundle_of_1_0("1.0 with flush points", &odd, 6),
        bundle_of_1_0("1.0, not compressed", &odd, 0),
    ]);
}
