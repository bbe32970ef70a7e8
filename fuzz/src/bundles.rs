//! Builds bundles from arbitrary bytes and reads their contents.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::num::NonZeroUsize;

use flate2::write::GzEncoder;
use patchwork_traces::Result;
use patchwork_traces::bundle::{Bundle, Selection};
use patchwork_traces::digest::{Crc32, Sha256Digest};
use patchwork_traces::export::Level;
use patchwork_traces::format::{Base, FileName, Manifest, ManifestFile};
use patchwork_traces::internal::{Deflater, MemberWriter};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::restore::{LogSink, LogWriter, restore};
use patchwork_traces::verify::{Finding, VerifyOptions, VerifyReport, verify};
use serde_json::{Value, json};

use crate::reference::{self, Row};

/// Returns options without requirements beyond the bundle itself.
pub(crate) fn verify_options() -> VerifyOptions {
    VerifyOptions::default().threads(NonZeroUsize::MIN)
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

/// Returns a bundle's rows, each with the index of its file, and the error that ended reading, if any.
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

/// The identity of a log on a machine.
pub(crate) type LogKey = (Base, FileName);
pub(crate) type Logs = BTreeMap<LogKey, Vec<u8>>;

pub(crate) fn key_of(file: &ManifestFile) -> LogKey {
    (file.base(), file.relative_path.clone())
}

/// A sink that keeps restored logs in memory.
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

/// The bits of an input's first byte.
mod bits {
    /// Adjusts the chunk table to the rows.
    pub(super) const TABLE: u8 = 1;
    /// Adjusts the counts to the rows.
    pub(super) const COUNTS: u8 = 2;
    /// Adjusts the hashes to the logs.
    pub(super) const HASHES: u8 = 4;
    /// Two bits that select the container.
    pub(super) const CONTAINER: u8 = 0b1_1000;
    /// The last four bytes of the input describe damage.
    pub(super) const DAMAGE: u8 = 0x20;
}

/// Returns the file that an input encodes. An input that begins like gzip or JSON is the file itself. Any other
/// input is a byte that selects adjustments, followed by the text of a bundle. So the fuzzer does not have to guess
/// checksums, hashes or offsets.
#[must_use]
pub fn file_of(input: &[u8]) -> Vec<u8> {
    let [how, text @ ..] = input else { return Vec::new() };
    if matches!(how, 0x1f | b'{') {
        return input.to_vec();
    }
    match text {
        [text @ .., low, high, what, value] if how & bits::DAMAGE != 0 => {
            damaged(wrap(&blocks_of(*how, text), *how), [*low, *high], *what, *value)
        }
        _ => wrap(&blocks_of(*how, text), *how),
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
        // Simulates a disk that lost a block.
        _ => file.iter_mut().skip(at).take(usize::from(value)).for_each(|byte| *byte = 0),
    }
    file
}

/// Splits the text into the manifest line, the chunks, and the lines that belong to no chunk.
fn blocks_of(how: u8, text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let rows: Vec<_> = lines.collect();
    match serde_json::from_slice::<Value>(first) {
        Ok(mut manifest) if manifest.is_object() => {
            let chunks = adjust(&mut manifest, &rows, how);
            let is_changed = how & (bits::TABLE | bits::COUNTS | bits::HASHES) != 0;
            let line = if is_changed { format!("{manifest}\n").into_bytes() } else { first.to_vec() };
            std::iter::once(line).chain(chunks).collect()
        }
        _ => vec![first.to_vec(), rows.concat()],
    }
}

/// Splits the rows into the manifest's chunks and adjusts the manifest to the rows.
fn adjust(manifest: &mut Value, rows: &[&[u8]], how: u8) -> Vec<Vec<u8>> {
    let (mut blocks, mut rest) = (Vec::new(), rows);
    let mut files: Vec<&mut Value> =
        manifest.get_mut("files").and_then(Value::as_array_mut).into_iter().flatten().collect();
    let mut chunks: Vec<_> = files.iter_mut().flat_map(|file| list(file, "chunks")).collect();
    let count = chunks.len();
    for (number, chunk) in chunks.iter_mut().enumerate() {
        let declared = chunk["rows"].as_u64().and_then(|rows| usize::try_from(rows).ok()).unwrap_or(0);
        let is_last = number + 1 == count && how & bits::COUNTS != 0;
        let (of_chunk, remaining) = rest.split_at(if is_last { rest.len() } else { declared.min(rest.len()) });
        rest = remaining;
        let text = of_chunk.concat();
        if how & bits::TABLE != 0 {
            chunk["bytes"] = json!(text.len());
            chunk["compressed"] = json!(deflate(&text, how).len());
            chunk["crc32"] = json!(Crc32::of(&text).to_string());
        }
        if how & bits::COUNTS != 0 {
            chunk["rows"] = json!(of_chunk.len());
        }
        blocks.push(text);
    }
    blocks.push(rest.concat());
    if how & bits::COUNTS != 0 {
        adjust_counts(manifest, rows);
    }
    if how & bits::HASHES != 0 {
        adjust_hashes(manifest, rows);
    }
    blocks
}

/// Returns the objects in a list.
fn list<'v>(object: &'v mut Value, key: &str) -> Vec<&'v mut Value> {
    let list = object.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter(|value| value.is_object()).collect()
}

fn adjust_counts(manifest: &mut Value, rows: &[&[u8]]) {
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

/// Sets each file's hash to that of the log that its rows restore to, if the manifest is readable.
fn adjust_hashes(manifest: &mut Value, rows: &[&[u8]]) {
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
    let level = if how & bits::CONTAINER == bits::CONTAINER { 0 } else { 6 };
    let mut deflated = Vec::new();
    Deflater::new(Level::new(level).expect("a level")).deflate(text, &mut deflated).expect("memory I/O succeeds");
    deflated
}

/// Wraps the text in a container: with flush points, recompressed by another program, uncompressed, or with flush
/// points in stored blocks, which contain the text verbatim.
fn wrap(blocks: &[Vec<u8>], how: u8) -> Vec<u8> {
    match (how & bits::CONTAINER) >> 3 {
        1 => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&blocks.concat()).expect("memory I/O succeeds");
            encoder.finish().expect("memory I/O succeeds")
        }
        2 => blocks.concat(),
        _ => {
            let mut file = Vec::new();
            let mut member = MemberWriter::new(&mut file).expect("memory I/O succeeds");
            for text in blocks.iter().filter(|text| !text.is_empty()) {
                let block = deflate(text, how);
                let (compressed, bytes) = (block.len() as u64, text.len() as u64);
                member.copy_block(&*block, compressed, bytes, Crc32::of(text)).expect("memory I/O succeeds");
            }
            member.finish().expect("memory I/O succeeds");
            file
        }
    }
}
