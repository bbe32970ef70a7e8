//! Measures the throughput of individual components in bytes per second: `cargo bench`.
#![allow(missing_docs, clippy::unwrap_used)]

use std::io::Cursor;
use std::num::NonZeroUsize;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use patchwork_traces::bundle::{Bundle, Selection};
use patchwork_traces::export::Level;
use patchwork_traces::export::{ExportOptions, export};
use patchwork_traces::format::{TimeKey, Timestamp};
use patchwork_traces::import::{ImportOptions, SystemClock, import};
use patchwork_traces::internal::{Deflater, IntegrityHasher, LineBlocks, SequentialReader, classify, lines_of};
use patchwork_traces::logs::{Dirs, DiscoverOptions, discover};
use patchwork_traces::progress::NoProgress;
use tempfile::TempDir;

fn main() {
    divan::main();
}

/// Returns about 8 MiB of rows of about 400 bytes each.
fn log() -> Vec<u8> {
    let words = ["review", "merge", "branch", "fix", "import", "test", "error", "café", "module"];
    let row = |i: u64| {
        let text: Vec<_> = (0..50).map(|j| words[((i * 31 + j * 17 + i / (j + 1)) % 9) as usize]).collect();
        format!(
            "{{\"seq\":{i},\"taskId\":\"{:032x}\",\"createdAt\":{},\"outputTail\":\"{}\"}}\n",
            u128::from(i) << 40,
            1_777_716_000_000 + i,
            text.join(" ")
        )
    };
    (0..20_000).map(row).collect::<String>().into_bytes()
}

/// Returns a directory that contains this log.
fn home(log: &[u8]) -> (TempDir, Dirs) {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("runs.jsonl"), log).unwrap();
    let dirs = Dirs { patchwork: home.path().to_owned(), activity: home.path().join("ide") };
    (home, dirs)
}

fn bundle() -> Vec<u8> {
    let (_home, dirs) = home(&log());
    let options = ExportOptions::new("bench", Timestamp::from_millis(0).unwrap()).threads(NonZeroUsize::MIN);
    let mut bundle = Vec::new();
    export(&discover(&dirs, &DiscoverOptions::default()).unwrap(), &options, &mut bundle, "memory", &NoProgress)
        .unwrap();
    bundle
}

#[divan::bench]
fn split_into_lines(bencher: Bencher) {
    let log = log();
    bencher.counter(BytesCount::of_slice(&log)).bench(|| {
        let mut blocks = LineBlocks::new(black_box(&log[..]), 1 << 20, u64::MAX);
        let mut lines = 0;
        while let Some(block) = blocks.next_block().unwrap() {
            lines += lines_of(&block).count();
        }
        lines
    });
}

#[divan::bench]
fn hash(bencher: Bencher) {
    let log = log();
    bencher.counter(BytesCount::of_slice(&log)).bench(|| {
        let mut hasher = IntegrityHasher::default();
        hasher.update(black_box(&log));
        hasher.finish()
    });
}

#[divan::bench]
fn classify_rows(bencher: Bencher) {
    let log = log();
    bencher.counter(BytesCount::of_slice(&log)).bench(|| {
        let rows = log
            .split(|byte| *byte == b'\n')
            .filter_map(|line| classify(black_box(line), &[TimeKey::Millis("createdAt")]));
        rows.count()
    });
}

#[divan::bench(args = [1, 6, 9])]
fn deflate(bencher: Bencher, level: u8) {
    let log = log();
    let mut deflater = Deflater::new(Level::new(level).unwrap());
    bencher
        .counter(BytesCount::new(1usize << 20))
        .bench_local(|| deflater.deflate(&log[..1 << 20], &mut Vec::new()).unwrap());
}

#[divan::bench]
fn inflate_from_the_start(bencher: Bencher) {
    let bundle = bundle();
    bencher
        .counter(BytesCount::new(log().len()))
        .bench(|| std::io::copy(&mut SequentialReader::new(&bundle[..]), &mut std::io::sink()).unwrap());
}

#[divan::bench]
fn read_rows_by_chunks(bencher: Bencher) {
    let bundle = bundle();
    bencher.counter(BytesCount::new(log().len())).bench(|| {
        let mut rows =
            Bundle::from_seekable(Cursor::new(&bundle), "bench").unwrap().rows(&Selection::default()).unwrap();
        let mut count = 0;
        while rows.next_row().unwrap().is_some() {
            count += 1;
        }
        count
    });
}

/// Measures a dry run, which restores, verifies, and compares each line with a log that lacks every fourth line.
#[divan::bench]
fn merge(bencher: Bencher) {
    let (log, bundle) = (log(), bundle());
    let three_of_four = log.split_inclusive(|byte| *byte == b'\n').enumerate().filter(|(line, _)| line % 4 != 0);
    let (_home, dirs) = home(&three_of_four.flat_map(|(_, line)| line).copied().collect::<Vec<_>>());
    let options = ImportOptions::default().dry_run(true);
    bencher.counter(BytesCount::of_slice(&log)).bench(|| {
        let bundle = Bundle::from_seekable(Cursor::new(&bundle), "bench").unwrap();
        import(bundle, &dirs, &options, &SystemClock, &NoProgress).unwrap()
    });
}
