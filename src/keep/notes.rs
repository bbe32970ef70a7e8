//! Notes on the encrypted segments of a history, so that a run need not decrypt them. A note has
//! the first line of its segment, and for every other line a keyed fingerprint, the timestamp, and
//! whether it is a row.
//!
//! The notes are beside the held links, in a directory that only its owner can read. A note is
//! written before its segment, so that no segment lacks one; the note on a segment that was never
//! added is ignored. A note that is damaged or does not match its segment counts as missing, and
//! the segment must be decrypted.

use std::io::{self, BufRead, BufReader, Read, Seek};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};
use tempfile::SpooledTempFile;

use super::line_text::{id_of, rotated};
use super::temporary_log::TemporaryLog;
use crate::align::{Fingerprint, FingerprintKey, Fingerprinter, KnownLine, RowKeys, Side, each_line};
use crate::bundle::Bundle;
use crate::digest::{BundleDigest, Crc32};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::ManifestFile;
use crate::history::{NotedHeads, SegmentName};
use crate::logs::times_of;
use crate::restore::{LogSink, restore};
use crate::util::atomic_file::{OutputTarget, TargetOptions, make_private_dir};
use crate::util::regular_file;

/// The directory of the notes, within that of the held links.
const DIR: &str = "notes";

/// The file with the key of all fingerprints.
const KEY: &str = "key";

/// The extension of a note's file.
const NOTE: &str = "note";

/// The text whose fingerprint shows that a note was made with the same key.
const CHECKED_TEXT: &[u8] = b"a note of patchwork-traces";

/// The number of bytes for each line.
const LINE_BYTES: usize = 24;

/// The number of bytes of the checksum at the end.
const CHECKSUM_BYTES: usize = 4;

/// The bit of a line's properties that marks a row.
const IS_ROW: u64 = 1 << 63;

/// The bit of a line's properties that marks a timestamp, which is in the bits below, in
/// milliseconds since 1970.
const HAS_TIME: u64 = 1 << 62;

/// The notes on the segments of one history.
pub struct Notes {
    dir: PathBuf,
    key: FingerprintKey,
    fingerprinter: Fingerprinter,
}

/// The first line of a note.
#[derive(Debug, Serialize, Deserialize)]
struct NoteHead {
    /// The fingerprint of a known text.
    check: String,
    /// The logs of the segment, in the order of its manifest.
    logs: Vec<NotedLog>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NotedLog {
    lines: usize,
    last_id: Option<u64>,
}

/// The noted lines of some logs in a segment.
#[derive(Debug, Clone, Default)]
pub struct NotedLines {
    /// The lines that are not blank.
    pub lines: Vec<KnownLine>,
    /// The highest `id` of a row.
    pub last_id: Option<u64>,
}

impl Notes {
    /// Opens the notes in the directory `links` of the held links, which may have none yet. If the
    /// key cannot be read, a new one is drawn, and notes with the old one are ignored.
    pub fn open(links: &Path) -> Result<Self> {
        let dir = links.join(DIR);
        let key = read_file(&dir.join(KEY)).ok().and_then(|key| FingerprintKey::try_from(key.as_slice()).ok());
        let key = key.map_or_else(Fingerprinter::random_key, Ok)?;
        Ok(Self { dir, key, fingerprinter: Fingerprinter::new(&key) })
    }

    /// Returns a fingerprinter whose fingerprints can be compared with those in the notes.
    pub fn fingerprinter(&self) -> Fingerprinter {
        self.fingerprinter
    }

    /// Returns true if the segment of this name has a usable note.
    pub fn has(&self, name: &SegmentName) -> bool {
        self.lines(name, &[]).is_some()
    }

    /// Returns the lines of the logs with these indices in a segment. Returns `None` if the segment
    /// has no usable note.
    pub fn lines(&self, name: &SegmentName, logs: &[usize]) -> Option<NotedLines> {
        let note = read_file(&self.path(name)).ok()?;
        let (content, checksum) = note.split_last_chunk::<CHECKSUM_BYTES>()?;
        if Crc32::of(content).0.to_le_bytes() != *checksum {
            return None;
        }
        let (head, rest) = split_line(content)?;
        let head = self.parse(head)?;
        let (manifest, mut rest) = split_line(rest)?;
        if !name.is_of(name.number, BundleDigest::of_manifest_line(manifest)) {
            return None;
        }
        let mut found = NotedLines::default();
        for (index, log) in head.logs.iter().enumerate() {
            let (lines, others) = rest.split_at_checked(log.lines.checked_mul(LINE_BYTES)?)?;
            rest = others;
            if logs.contains(&index) {
                found.lines.extend(lines.chunks_exact(LINE_BYTES).filter_map(decode_line));
                found.last_id = found.last_id.max(log.last_id);
            }
        }
        Some(found)
    }

    /// Writes the note on the segment of this name.
    ///
    /// # Errors
    /// If the segment cannot be read, or the note cannot be written.
    pub fn write(&self, name: &SegmentName, segment: &Bundle<'_>) -> Result<()> {
        let work_dir = self.create_dir()?;
        let (mut logs, mut lines) = (Vec::new(), Vec::new());
        for (index, file) in segment.manifest().files.iter().enumerate() {
            let before = lines.len();
            let mut last_id = None;
            if file.bytes > 0 {
                let mut sink = OneLog { dir: work_dir, file: None };
                restore(segment.clone(), Some(vec![index]), NonZeroUsize::MIN, &mut sink)?;
                last_id = self.encode_lines(sink.file, file, &mut lines)?;
            }
            logs.push(NotedLog { lines: (lines.len() - before) / LINE_BYTES, last_id });
        }
        let head = NoteHead { check: self.check(), logs };
        let mut note = serde_json::to_vec(&head).unwrap_or_default();
        note.push(b'\n');
        note.extend(segment.manifest_line()?);
        note.push(b'\n');
        note.extend(lines);
        note.extend(Crc32::of(&note).0.to_le_bytes());
        match write_file(&self.path(name), &note) {
            // The note is written, but may not survive a power failure.
            Err(error) if matches!(error.kind(), ErrorKind::DirectorySyncFailed { .. }) => Ok(()),
            written => written,
        }
    }

    /// Creates the directory and the key file if they are missing. Returns the directory.
    fn create_dir(&self) -> Result<&Path> {
        let missing: Vec<_> = self.dir.ancestors().take(3).take_while(|dir| !dir.is_dir()).collect();
        for dir in missing.into_iter().rev() {
            make_private_dir(dir).map_err(|error| Error::io(IoAction::Create, dir, error))?;
        }
        let path = self.dir.join(KEY);
        if read_file(&path).ok().is_none_or(|key| key != self.key) {
            write_file(&path, &self.key)?;
        }
        Ok(&self.dir)
    }

    /// Removes the note on a segment that was not added.
    pub fn remove(&self, name: &SegmentName) {
        // A note that cannot be removed only takes space.
        let _ = fs::remove_file(self.path(name));
    }

    fn path(&self, name: &SegmentName) -> PathBuf {
        self.dir.join(format!("{name}.{NOTE}"))
    }

    fn check(&self) -> String {
        format!("{:032x}", self.fingerprinter.of(CHECKED_TEXT))
    }

    fn parse(&self, line: &[u8]) -> Option<NoteHead> {
        serde_json::from_slice(line).ok().filter(|head: &NoteHead| head.check == self.check())
    }

    /// Appends the encoded lines of a log to `lines`. Returns the highest `id`.
    fn encode_lines(
        &self,
        log: Option<SpooledTempFile>,
        file: &ManifestFile,
        lines: &mut Vec<u8>,
    ) -> Result<Option<u64>> {
        let Some(mut log) = log else { return Ok(None) };
        let failed = |error| Error::io(IoAction::Read, &self.dir, error);
        log.rewind().map_err(failed)?;
        let keys = RowKeys { times: times_of(file.source.as_str()), run: None };
        let mut last_id = None;
        each_line(log, |line| {
            if let Some(text) = rotated(line.bytes) {
                let known = KnownLine::of(text.as_bytes(), keys, self.fingerprinter);
                encode_line(&known, lines);
                last_id = id_of(line.bytes).max(last_id);
            }
            Ok(())
        })?;
        Ok(last_id)
    }
}

impl NotedHeads for Notes {
    fn head(&self, name: &SegmentName) -> Option<Vec<u8>> {
        let mut note = BufReader::new(regular_file::open_no_follow(&self.path(name)).ok()?);
        let (mut head, mut manifest) = (Vec::new(), Vec::new());
        note.read_until(b'\n', &mut head).ok()?;
        self.parse(head.strip_suffix(b"\n")?)?;
        note.read_until(b'\n', &mut manifest).ok()?;
        manifest.pop_if(|last| *last == b'\n')?;
        name.is_of(name.number, BundleDigest::of_manifest_line(&manifest)).then_some(manifest)
    }
}

impl NotedLines {
    /// Removes up to `rows` rows from the start, with the other lines between them. Returns the
    /// number of rows that were removed.
    pub fn skip_rows(&mut self, rows: u64) -> u64 {
        let mut left = rows;
        let skipped = self.lines.iter().take_while(|line| {
            let is_skipped = left > 0;
            left -= u64::from(is_skipped && line.is_row);
            is_skipped
        });
        let skipped = skipped.count();
        self.lines.drain(..skipped);
        rows - left
    }

    /// Appends the lines to a side.
    pub fn read_into(&self, side: &mut Side) {
        self.lines.iter().for_each(|line| side.push_known(*line));
    }
}

/// Reads a regular file.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    regular_file::open_no_follow(path)?.read_to_end(&mut content)?;
    Ok(content)
}

fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    OutputTarget::File { path: path.to_owned(), options: TargetOptions::default().replace(true) }.write(content)
}

fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', text)?;
    Some((&text[..end], &text[end + 1..]))
}

fn encode_line(line: &KnownLine, out: &mut Vec<u8>) {
    out.extend(line.fingerprint.to_le_bytes());
    let time = line.time.map_or(0, |time| HAS_TIME | time.cast_unsigned() & (HAS_TIME - 1));
    out.extend((time | if line.is_row { IS_ROW } else { 0 }).to_le_bytes());
}

fn decode_line(bytes: &[u8]) -> Option<KnownLine> {
    let (fingerprint, rest) = bytes.split_first_chunk::<16>()?;
    let properties = u64::from_le_bytes(*rest.first_chunk::<8>()?);
    // The highest bit of the timestamp is its sign.
    let time = (properties << 2).cast_signed() >> 2;
    Some(KnownLine {
        fingerprint: Fingerprint::from_le_bytes(*fingerprint),
        is_row: properties & IS_ROW != 0,
        time: (properties & HAS_TIME != 0).then_some(time),
    })
}

/// Restores one log to a temporary file.
struct OneLog<'d> {
    dir: &'d Path,
    file: Option<SpooledTempFile>,
}

impl<'d> LogSink for OneLog<'d> {
    type Writer = TemporaryLog<'d>;

    fn begin(&mut self, _: usize, _: &ManifestFile) -> Result<TemporaryLog<'d>> {
        Ok(TemporaryLog::new(self.dir))
    }

    fn end(&mut self, _: usize, _: &ManifestFile, file: SpooledTempFile) -> Result<()> {
        self.file = Some(file);
        Ok(())
    }
}
