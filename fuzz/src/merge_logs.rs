//! Checks that after a merge the local machine has every line of both sides, as often as the side that has it more
//! often, with its own lines in their order; and that a second import changes nothing. Also checks the modes append
//! and overwrite.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use patchwork_traces::digest::Crc32;
use patchwork_traces::export::Level;
use patchwork_traces::format::LogId;
use patchwork_traces::format::{Base, Chunk, FileName, Manifest, ManifestFile, SourceName, Timestamp};
use patchwork_traces::import::{ImportOptions, ImportReport, Mode};
use patchwork_traces::internal::{
    BlockEncoder, Deflater, FileBuilder, IntegrityHasher, LineBlocks, MemberWriter, RawChunk,
};
use patchwork_traces::logs::known;

use crate::bundles::{Logs, indexed, sequential};
use crate::home::{Home, with_home};
use crate::reference::lines;

/// The separator between two logs of an input.
const SEPARATOR: u8 = 0x1e;

/// The logs of an input, in order. The input lists the local logs first, then those of the bundle.
const LOGS: [(&str, &str, Base); 4] = [
    ("runs", "runs.jsonl.1", Base::Patchwork),
    ("runs", "runs.jsonl", Base::Patchwork),
    ("activity", "activity-3100.jsonl", Base::Activity),
    ("outcome", "outcome.jsonl", Base::Patchwork),
];

/// Checks an import of the logs that the input encodes. The first byte selects the import mode, and whether each
/// byte of a log encodes a line or stands for itself. The second byte sets the chunk length. The logs follow.
pub fn check(input: &[u8]) {
    let [how, block_bytes, logs @ ..] = input else { return };
    let mode = [Mode::Merge, Mode::Merge, Mode::Append, Mode::Overwrite][usize::from(how & 3)];
    let expand = |log: &[u8]| if how & 4 == 0 { expanded(log) } else { log.to_vec() };
    let mut logs = logs.split(|byte| *byte == SEPARATOR);
    let mut side = || -> Logs {
        let named = LOGS.iter().zip(logs.by_ref().take(LOGS.len()));
        // An empty log is absent. A log that starts with a group separator is present even if the rest is empty.
        let there = named.filter(|(_, log)| !log.is_empty());
        there
            .map(|((_, name, base), log)| ((*base, plain(name)), expand(log.strip_prefix(b"\x1d").unwrap_or(log))))
            .collect()
    };
    let (local, bundled) = (side(), side());
    let bundle = bundle_of(&bundled, 1 + usize::from(*block_bytes));
    let threads = NonZeroUsize::new(1 + usize::from(how >> 7)).expect("not zero");
    let options = ImportOptions::default().mode(mode).threads(threads);
    with_home(|home| {
        home.fill(&local);
        let planned = home.import(sequential(&bundle), &options.clone().dry_run(true));
        let done = home.import(indexed(&bundle), &options).expect("the import succeeds");
        assert_eq!(planned.expect("the dry run succeeds too").plan, done.plan);
        check_imported(home, &local, &bundled, &done);
        if mode != Mode::Append {
            let before = home.everything();
            let again = home.import(indexed(&bundle), &options).expect("a second import succeeds");
            assert!(again.plan.changes_nothing(), "{:?}", again.plan);
            assert_eq!(home.everything(), before);
        }
    });
}

fn plain(name: &str) -> FileName {
    FileName::new(name).expect("a plain name")
}

/// Expands each byte to a line, so that the fuzzer often creates lines that both sides have.
fn expanded(log: &[u8]) -> Vec<u8> {
    let line = |(at, byte): (usize, &u8)| {
        let time = byte & 15;
        let content = match time {
            15 => String::new(),
            14 => "{\"torn".to_owned(),
            13 => "{}".to_owned(),
            12 => " [1]\t".to_owned(),
            _ => {
                let other = if byte & 0x20 == 0 { "" } else { ",\"x\":1" };
                format!("{{\"createdAt\":{time},\"timestamp\":\"1970-01-01T00:00:00.{time:03}Z\"{other}}}")
            }
        };
        let ending = if byte & 0x80 == 0 { "\n" } else { "\r\n" };
        let is_open = at + 1 == log.len() && byte & 0x40 != 0;
        content + if is_open { "" } else { ending }
    };
    log.iter().enumerate().map(line).collect::<String>().into_bytes()
}

/// Returns the bundle that an export of the logs would create, in chunks of a few lines.
pub(crate) fn bundle_of(logs: &Logs, block_bytes: usize) -> Vec<u8> {
    let (mut files, mut blocks) = (Vec::new(), Vec::new());
    for (source, name, base) in LOGS {
        let Some(log) = logs.get(&(base, plain(name))) else { continue };
        let id = LogId { source: SourceName::new(source).expect("a plain name"), name: plain(name), base };
        let (file, chunks) = encode(&id, log, block_bytes);
        files.push(file);
        blocks.extend(chunks.into_iter().map(|chunk| chunk.bytes));
    }
    let manifest = Manifest::new("fuzz".to_owned(), Timestamp::from_millis(0).expect("a time"), files);
    let line = [manifest.encode().expect("the manifest is short"), b"\n".to_vec()].concat();
    let mut bundle = Vec::new();
    let mut member = MemberWriter::new(&mut bundle).expect("memory I/O succeeds");
    for text in std::iter::once(line).chain(blocks) {
        let block = deflate(&text);
        let compressed = block.len() as u64;
        member.copy_block(&*block, compressed, text.len() as u64, Crc32::of(&text)).expect("memory I/O succeeds");
    }
    member.finish().expect("memory I/O succeeds");
    bundle
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut deflated = Vec::new();
    Deflater::new(Level::new(1).expect("a level")).deflate(text, &mut deflated).expect("memory I/O succeeds");
    deflated
}

/// Returns a log's entry in the manifest, and its envelopes.
pub(crate) fn encode(id: &LogId, log: &[u8], block_bytes: usize) -> (ManifestFile, Vec<RawChunk>) {
    let times = known(id.source.as_str()).map_or(&[][..], |source| source.times);
    let mut blocks = LineBlocks::new(log, block_bytes, u64::MAX);
    let mut builder = FileBuilder::new(id.clone());
    let (mut encoder, mut chunks) = (None, Vec::new());
    while let Some(block) = blocks.next_block().expect("reading from memory succeeds") {
        let encoder = encoder.get_or_insert_with(|| BlockEncoder::new(id, times, &block));
        let encoded = encoder.encode(&block).expect("the log is short");
        let table = encoded.chunks.iter().map(|chunk| Chunk {
            compressed: deflate(&chunk.bytes).len() as u64,
            bytes: chunk.bytes.len() as u64,
            rows: chunk.rows,
            crc32: Crc32::of(&chunk.bytes),
            first_time: chunk.span.first,
            last_time: chunk.span.last,
        });
        builder.push(encoded.record, table.collect::<Vec<_>>()).expect("the log is short");
        chunks.extend(encoded.chunks);
    }
    let mut hasher = IntegrityHasher::default();
    hasher.update(log);
    (builder.finish(hasher.finish()), chunks)
}

/// Checks the local logs after an import.
pub(crate) fn check_imported(home: &Home, local: &Logs, bundled: &Logs, done: &ImportReport) {
    match done.plan.mode {
        Mode::Merge => check_merged(local, bundled, &home.logs(&all_of(local, bundled))),
        Mode::Append => check_appended(local, bundled, &home.logs(&all_of(local, bundled))),
        Mode::Overwrite => check_overwritten(home, local, bundled, done),
        mode => panic!("no check of {mode:?}"),
    }
}

fn all_of(local: &Logs, bundled: &Logs) -> Logs {
    bundled.iter().chain(local).map(|(key, log)| (key.clone(), log.clone())).collect()
}

/// Returns the rotation group of a log. Rotation moves rows from `runs.jsonl` to `runs.jsonl.1`, so only both
/// together show which rows exist.
fn group_of((base, name): &(Base, FileName)) -> (Base, &str) {
    (*base, if name.as_str() == "runs.jsonl.1" { "runs.jsonl" } else { name.as_str() })
}

type Counts = BTreeMap<Vec<u8>, usize>;

fn counts_by_group(logs: &Logs) -> BTreeMap<(Base, &str), Counts> {
    let mut groups = BTreeMap::<_, Counts>::new();
    for (key, log) in logs {
        let counts = groups.entry(group_of(key)).or_default();
        for line in lines(log) {
            *counts.entry(line).or_default() += 1;
        }
    }
    groups.retain(|_, counts| !counts.is_empty());
    groups
}

fn check_merged(local: &Logs, bundled: &Logs, merged: &Logs) {
    let (mut expected, of_bundle) = (counts_by_group(local), counts_by_group(bundled));
    for (group, counts) in of_bundle {
        let here = expected.entry(group).or_default();
        for (line, count) in counts {
            let most = here.entry(line).or_default();
            *most = count.max(*most);
        }
    }
    assert_eq!(counts_by_group(merged), expected, "each line occurs as often as in the side that has more copies");
    for (key, log) in local {
        let (before, after) = (lines(log), lines(&merged[key]));
        let mut remaining = after.iter();
        assert!(before.iter().all(|line| remaining.any(|other| other == line)), "local lines keep their order");
        if before == after {
            assert_eq!(*log, merged[key], "a log without new lines is unchanged");
        }
    }
}

fn check_appended(local: &Logs, bundled: &Logs, after: &Logs) {
    for (key, log) in all_of(local, bundled) {
        let (before, new) = (local.get(&key), bundled.get(&key));
        let is_open = before.is_some_and(|log| log.last().is_some_and(|last| *last != b'\n'));
        let line_feed = is_open && new.is_some_and(|new| !new.is_empty());
        let before = before.map_or(&[][..], Vec::as_slice);
        let expected = [before, if line_feed { b"\n" } else { b"" }, new.map_or(&[][..], Vec::as_slice)].concat();
        assert_eq!(after[&key], expected, "{key:?}, of {}", log.len());
    }
}

fn check_overwritten(home: &Home, local: &Logs, bundled: &Logs, done: &ImportReport) {
    for file in done.plan.files.iter().filter(|file| file.backup.is_some()) {
        let backup = file.backup.as_ref().expect("the file has a backup");
        let kept = std::fs::read(backup).expect("the backup exists");
        assert_eq!(local[&(file.base, file.file.clone())], kept);
        std::fs::remove_file(backup).expect("cannot remove the file");
    }
    let mut expected = local.clone();
    expected.extend(bundled.clone());
    assert_eq!(home.logs(&expected), expected);
    let backups = done.plan.files.iter().filter(|file| file.backup.is_some()).count();
    let lost = local.iter().filter(|(key, log)| expected[*key] != **log && !log.is_empty()).count();
    assert_eq!(backups, lost, "each replaced log has a backup");
}
