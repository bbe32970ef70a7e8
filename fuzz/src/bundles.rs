//! Bundles, out of whatever the bytes are, and what can be had of them.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::num::NonZeroUsize;

use flate2::write::GzEncoder;
use patchwork_traces::Result;
use patchwork_traces::bundle::{Bundle, Selection};
use patchwork_traces::digest::{Crc32, Sha256Digest};
use patchwork_traces::format::{Base, FileName, Manifest, ManifestFile};
use patchwork_traces::gzip::{Deflater, Level, MemberWriter};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::restore::{LogSink, LogWriter, restore};
use patchwork_traces::verify::{Finding, VerifyOptions, VerifyReport, verify};
use serde_json::{Value, json};

use crate::reference::{self, Row};

/// Nothing is asked for beyond the bundle itself.
pub(crate) fn verify_options() -> VerifyOptions {
    VerifyOptions { expect: None, require_hashes: false, threads: NonZeroUsize::MIN }
}

pub(crate) fn verified(bundle: &[u8]) -> Result<(VerifyReport, Vec<Finding>)> {
    let mut findings = Vec::new();
    let report = verify(bundle, "bundle", &verify_options(), &NoProgress, &mut |found| findings.push(found))?;
    Ok((report, findings))
}

pub(crate) fn indexed(bundle: &[u8]) -> Result<Bundle<'_>> {
    Bundle::from_seekable(Cursor::new(bundle), "bundle")
}

pub(crate) fn sequential(bundle: &[u8]) -> Result<Bundle<'_>> {
    Bundle::from_stream(bundle, "bundle")
}

/// The rows of a bundle, each with its file's index, and how it ended.
pub(crate) fn rows(opened: Result<Bundle<'_>>) -> (Vec<(usize, Vec<u8>)>, Option<String>) {
    let mut lines = Vec::new();
    let read = || -> Result<()> {
        let mut rows = opened?.rows(&Selection::default())?;
        while let Some(row) = rows.next_row()? {
            lines.push((row.file, row.line.to_vec()));
        }
        Ok(())
    };
    let ended = read().err().map(|error| error.to_string());
    (lines, ended)
}

/// Which log of a machine it is.
pub(crate) type LogKey = (Base, FileName);
pub(crate) type Logs = BTreeMap<LogKey, Vec<u8>>;

pub(crate) fn key_of(file: &ManifestFile) -> LogKey {
    (file.base(), file.relative_path.clone())
}

/// Restored logs, in memory.
#[derive(Default)]
struct InMemory(Logs);

struct Log(Vec<u8>);

impl LogSink for InMemory {
    type Writer = Log;

    fn begin(&mut self, _: usize, _: &ManifestFile) -> Result<Log> {
        Ok(Log(Vec::new()))
    }

    fn end(&mut self, _: usize, file: &ManifestFile, log: Vec<u8>) -> Result<()> {
        assert_eq!(self.0.insert(key_of(file), log), None, "each log ends once");
        Ok(())
    }
}

impl LogWriter for Log {
    type Done = Vec<u8>;

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self) -> Result<Vec<u8>> {
        Ok(self.0)
    }
}

pub(crate) fn restored(bundle: Result<Bundle<'_>>) -> Result<Logs> {
    let mut logs = InMemory::default();
    restore(bundle?, None, NonZeroUsize::MIN, &mut logs)?;
    Ok(logs.0)
}

/// What bytes of an input's first one mean.
mod how {
    /// The chunk table is made that of the rows.
    pub(super) const TABLE: u8 = 1;
    /// The counts are made those of the rows.
    pub(super) const COUNTS: u8 = 2;
    /// The hashes are made those of the logs.
    pub(super) const HASHES: u8 = 4;
    /// Two bits: what stands around the text.
    pub(super) const CONTAINER: u8 = 0b1_1000;
    /// The last four bytes say how the file is damaged.
    pub(super) const DAMAGE: u8 = 0x20;
}

/// The file that an input stands for. One that begins as gzip or as JSON is it. Any other is the text of a bundle behind
/// a byte that says what is made to fit: the fuzzer need not guess checksums, hashes or offsets.
#[must_use]
pub fn file_of(input: &[u8]) -> Vec<u8> {
    let [how, text @ ..] = input else { return Vec::new() };
    if matches!(how, 0x1f | b'{') {
        return input.to_vec();
    }
    match text {
        [text @ .., low, high, what, value] if how & how::DAMAGE != 0 => {
            damaged(contain(&blocks_of(*how, text), *how), [*low, *high], *what, *value)
        }
        _ => contain(&blocks_of(*how, text), *how),
    }
}

fn damaged(mut file: Vec<u8>, at: [u8; 2], what: u8, value: u8) -> Vec<u8> {
    if file.is_empty() {
        return file;
    }
    let at = usize::from(u16::from_le_bytes(at)) % file.len();
    match what % 5 {
        0 => file[at] ^= value,
        1 => drop(file.remove(at)),
        2 => file.insert(at, value),
        3 => file.truncate(at),
        // As when a disk loses a block.
        _ => file.iter_mut().skip(at).take(usize::from(value)).for_each(|byte| *byte = 0),
    }
    file
}

/// The text in parts: the manifest line, then the chunks, then what belongs to none.
fn blocks_of(how: u8, text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let rows: Vec<_> = lines.collect();
    match serde_json::from_slice::<Value>(first) {
        Ok(mut manifest) if manifest.is_object() => {
            let chunks = fit(&mut manifest, &rows, how);
            let is_changed = how & (how::TABLE | how::COUNTS | how::HASHES) != 0;
            let line = if is_changed { format!("{manifest}\n").into_bytes() } else { first.to_vec() };
            std::iter::once(line).chain(chunks).collect()
        }
        _ => vec![first.to_vec(), rows.concat()],
    }
}

/// Cuts the rows into the chunks of the manifest, and makes the manifest that of the rows.
fn fit(manifest: &mut Value, rows: &[&[u8]], how: u8) -> Vec<Vec<u8>> {
    let (mut blocks, mut rest) = (Vec::new(), rows);
    let mut files: Vec<&mut Value> =
        manifest.get_mut("files").and_then(Value::as_array_mut).into_iter().flatten().collect();
    let mut chunks: Vec<_> = files.iter_mut().flat_map(|file| list(file, "chunks")).collect();
    let count = chunks.len();
    for (number, chunk) in chunks.iter_mut().enumerate() {
        let declared = chunk["rows"].as_u64().and_then(|rows| usize::try_from(rows).ok()).unwrap_or(0);
        let is_last = number + 1 == count && how & how::COUNTS != 0;
        let (of_chunk, behind) = rest.split_at(if is_last { rest.len() } else { declared.min(rest.len()) });
        rest = behind;
        let text = of_chunk.concat();
        if how & how::TABLE != 0 {
            chunk["bytes"] = json!(text.len());
            chunk["compressed"] = json!(deflate(&text, how).len());
            chunk["crc32"] = json!(Crc32::of(&text).to_string());
        }
        if how & how::COUNTS != 0 {
            chunk["rows"] = json!(of_chunk.len());
        }
        blocks.push(text);
    }
    blocks.push(rest.concat());
    if how & how::COUNTS != 0 {
        fit_counts(manifest, rows);
    }
    if how & how::HASHES != 0 {
        fit_hashes(manifest, rows);
    }
    blocks
}

/// The objects of a list.
fn list<'v>(object: &'v mut Value, key: &str) -> Vec<&'v mut Value> {
    let list = object.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter(|value| value.is_object()).collect()
}

fn fit_counts(manifest: &mut Value, rows: &[&[u8]]) {
    let read: Vec<_> = rows.iter().filter_map(|line| Row::read(line)).collect();
    let (mut total, mut sources) = (0, Vec::new());
    for file in list(manifest, "files") {
        let chunks = list(file, "chunks").iter().map(|chunk| chunk["rows"].as_u64().unwrap_or(0)).collect::<Vec<_>>();
        let is_of_file =
            |row: &&Row| file["source"] == row.source.as_str() && file["relativePath"] == row.file.as_str();
        let by_row = read.iter().filter(is_of_file).count() as u64;
        let count = if chunks.is_empty() { by_row } else { chunks.iter().sum() };
        file["count"] = json!(count);
        total += count;
        sources.extend(file["source"].as_str().map(str::to_owned));
    }
    sources.sort();
    sources.dedup();
    manifest["totalCount"] = json!(total);
    manifest["sources"] = json!(sources);
}

/// Gives each file the hash of what its rows restore to, where the manifest can be read.
fn fit_hashes(manifest: &mut Value, rows: &[&[u8]]) {
    let Ok(Some(read)) = Manifest::decode(manifest.to_string().as_bytes()) else { return };
    for (file, value) in read.files.iter().zip(list(manifest, "files")) {
        if file.record().is_none() || file.unparsed.iter().any(|unparsed| unparsed.line > 1 << 32) {
            continue;
        }
        let of_file = |row: &Row| row.source == file.source.as_str() && row.file == file.relative_path.as_str();
        let rows: Vec<_> = rows.iter().filter_map(|line| Row::read(line)).filter(of_file).collect();
        let log = reference::restore(file, &rows);
        value["bytes"] = json!(log.len());
        value["sha256"] = json!(Sha256Digest::of(&log).to_string());
    }
}

fn deflate(text: &[u8], how: u8) -> Vec<u8> {
    let level = if how & how::CONTAINER == how::CONTAINER { 0 } else { 6 };
    let mut deflated = Vec::new();
    Deflater::new(Level::new(level).expect("a level")).deflate(text, &mut deflated).expect("it has room");
    deflated
}

/// With flush points, compressed by another program, not at all, or with flush points and in stored blocks, in which
/// the text stands as it is.
fn contain(blocks: &[Vec<u8>], how: u8) -> Vec<u8> {
    match (how & how::CONTAINER) >> 3 {
        1 => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&blocks.concat()).expect("it is in memory");
            encoder.finish().expect("it is in memory")
        }
        2 => blocks.concat(),
        _ => {
            let mut file = Vec::new();
            let mut member = MemberWriter::new(&mut file).expect("it is in memory");
            for text in blocks.iter().filter(|text| !text.is_empty()) {
                let block = deflate(text, how);
                let (compressed, bytes) = (block.len() as u64, text.len() as u64);
                member.copy_block(&*block, compressed, bytes, Crc32::of(text)).expect("it is in memory");
            }
            member.finish().expect("it is in memory");
            file
        }
    }
}
