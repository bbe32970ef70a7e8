//! Reads the rows of a part. Parts are independent, so any thread can read any part.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::chunk_lookup::ChunkLookup;
use super::parts::Part;
use super::remaining_lines::{RemainingLines, UnreadText};
use super::salvage;
use crate::buffers::{Buffers, MAX_ROOM};
use crate::bundle::{ChunkRef, FileIndex};
use crate::digest::Crc32;
use crate::error::{EntryFault, RowFault};
use crate::format::envelope::EnvelopeReader;
use crate::format::limits::{CHUNK_BYTES, MAX_CHUNK_BYTES};
use crate::format::log_decoder::RowLines;
use crate::format::row::check_row;
use crate::format::row::classify;
use crate::format::timeline::RowTimes;
use crate::format::{Envelope, LineEnding, Manifest, ManifestFile, TimeKey, Timestamp};
use crate::gzip::{BlockEnd, inflate_into};
use crate::logs::{may_exist, times_of};

/// The facts known about a bundle before its rows are read.
pub(crate) struct ScanContext<'m> {
    /// The manifest, if usable, and an index from rows to its files.
    pub(crate) manifest: Option<(&'m Manifest, FileIndex)>,
    pub(crate) chunk_refs: &'m [ChunkRef],
    lookup: ChunkLookup,
    /// A pool of memory for parts and rows.
    pub(crate) buffers: Arc<Buffers>,
    /// True if only trustworthy rows are accepted; see [`PartLines::is_proven`].
    strict: bool,
    /// A fast path for the rows of each file in chunks, if one applies.
    plain: Vec<Option<PlainRows>>,
}

/// A fast reader for a log's rows in the form in which bundles are written. It recognises most rows without full
/// decoding.
struct PlainRows {
    envelopes: EnvelopeReader,
    times: &'static [TimeKey],
    file: Arc<RowFile>,
}

/// The log to which rows belong.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RowFile {
    pub(crate) source: String,
    pub(crate) name: String,
    /// The log's index in the manifest's `files`.
    pub(crate) index: Option<usize>,
}

/// Rows of one log on consecutive lines.
pub(crate) struct RowRun {
    pub(crate) file: Arc<RowFile>,
    /// The run's first line within the part, from 0.
    pub(crate) first_line: u64,
    pub(crate) rows: RowLines,
    pub(crate) times: RowTimes,
}

/// A problem with one line.
pub(crate) struct Problem {
    /// The line within the part, from 0.
    pub(crate) line: u64,
    /// The line's offset in the part's text.
    pub(crate) at: u64,
    pub(crate) fault: LineFault,
}

pub(crate) enum LineFault {
    /// The line is not a row.
    NoRow(RowFault),
    /// The line is a row, and part of a run unless strict reading dropped it.
    Entry(EntryFault),
}

/// The lines of a part.
#[allow(clippy::struct_excessive_bools, reason = "they are independent facts")]
pub(crate) struct PartLines {
    pub(crate) slot: Option<usize>,
    /// The part's offset in the file, if known.
    pub(crate) offset: Option<u64>,
    /// The length of the part in the file; 0 if it is not a block.
    pub(crate) compressed: u64,
    pub(crate) is_block: bool,
    pub(crate) is_guess: bool,
    /// The way in which the text ends.
    pub(crate) end: BlockEnd,
    pub(crate) bytes: u64,
    pub(crate) crc32: Crc32,
    /// The number of lines read so far, including one without a line feed.
    pub(crate) count: u64,
    /// The number of lines that were taken earlier.
    pub(crate) taken_before: u64,
    /// The timestamps of rows that were taken earlier.
    pub(crate) times_before: RowTimes,
    pub(crate) ends_with_line_feed: bool,
    /// True if the table's checksum and length match the text.
    pub(crate) is_proven: bool,
    /// True if nothing after the first problem can be trusted.
    pub(super) stops_at_damage: bool,
    pub(crate) runs: Vec<RowRun>,
    pub(crate) problems: Vec<Problem>,
    /// The part's remaining lines, if there are too many runs or problems to keep at once.
    pub(crate) rest: Option<Box<RemainingLines>>,
}

/// A part after reading.
pub(crate) enum ReadPart {
    PartLines(Box<PartLines>),
    /// The salvaged contents of a damaged part, in order.
    Saved(Vec<PartLines>),
    /// A part without rows, unchanged.
    Other(Part),
}

impl<'m> ScanContext<'m> {
    pub(crate) fn new(manifest: Option<&'m Manifest>, chunk_refs: &'m [ChunkRef], strict: bool) -> Self {
        let manifest = manifest.map(|manifest| (manifest, FileIndex::new(manifest)));
        let plain = manifest.iter().flat_map(|(manifest, index)| {
            let files = manifest.files.iter().enumerate();
            files.map(|(at, file)| (manifest.version().1 > 0).then(|| PlainRows::new(at, file, index)).flatten())
        });
        let (plain, lookup, buffers) = (plain.collect(), ChunkLookup::default(), Arc::default());
        Self { manifest, chunk_refs, lookup, buffers, strict, plain }
    }
}

impl PlainRows {
    /// Returns `None` if another file of the manifest has the same name.
    fn new(index: usize, file: &ManifestFile, files: &FileIndex) -> Option<Self> {
        let (source, name) = (file.source.to_string(), file.relative_path.to_string());
        (files.index_of(&source, &name) == Some(index)).then(|| Self {
            envelopes: EnvelopeReader::new(file),
            times: times_of(&source),
            file: Arc::new(RowFile { source, name, index: Some(index) }),
        })
    }

    /// Returns a row's text and timestamp if the row is in the form in which bundles are written.
    fn read<'l>(&self, line: &'l [u8]) -> Option<(&'l str, Option<Timestamp>)> {
        let text = self.envelopes.entry_alone(line)?;
        let row = classify(text.as_bytes(), self.times)?;
        (row.entry == text).then_some((text, row.time))
    }
}

impl ScanContext<'_> {
    /// Returns a reader of parts for one thread. It reuses its memory.
    pub(crate) fn reader(&self) -> impl FnMut(Part) -> ReadPart + Send {
        let mut memory = Vec::new();
        move |part| {
            let read = self.read(part, &mut memory);
            memory.shrink_to(MAX_ROOM);
            read
        }
    }

    /// Reads an inflated chunk that was found where the table places it. If the chunk has too many runs or problems
    /// to keep, reading stops early: these already show that it is not as it was written.
    pub(crate) fn chunk(&self, slot: &ChunkRef, text: &[u8]) -> PartLines {
        let (lines, _) = self.lines(Some(slot.index), true, text, BlockEnd::FlushPoint);
        PartLines { compressed: slot.compressed, ..lines }
    }

    fn read(&self, part: Part, memory: &mut Vec<u8>) -> ReadPart {
        match part {
            Part::Block { slot, due, offset, data, is_guess } => {
                let lines = self.block(slot, due, is_guess, offset, &data, memory);
                let is_whole = lines.end == BlockEnd::FlushPoint && (lines.is_proven || self.chunk_refs.is_empty());
                let read = match self.strict && !is_whole {
                    true => ReadPart::Saved(salvage::of_block(self, due, lines, &data)),
                    false => ReadPart::PartLines(Box::new(lines)),
                };
                self.buffers.put(data);
                read
            }
            Part::Text { slot, offset, text } => {
                let (mut lines, at) = self.lines(slot, false, &text, BlockEnd::FlushPoint);
                lines.offset = offset;
                ReadPart::PartLines(Box::new(lines.with_rest(at, || UnreadText::Text(text))))
            }
            other => ReadPart::Other(other),
        }
    }

    /// Reads a block `offset` bytes into the file, where the chunk `due` of the table is expected.
    pub(super) fn block(
        &self,
        slot: Option<usize>,
        due: usize,
        is_guess: bool,
        offset: u64,
        data: &[u8],
        memory: &mut Vec<u8>,
    ) -> PartLines {
        let most = self.most_bytes(slot);
        let end = inflate_into(memory, data, most);
        let crc32 = Crc32::of(memory);
        let is_same = |slot: &ChunkRef| slot.crc32 == crc32 && slot.bytes == memory.len() as u64;
        // A block may be a different chunk from the one expected at its position.
        let by_content =
            || self.strict.then(|| self.lookup.find(self.chunk_refs, crc32, memory.len() as u64, due)).flatten();
        let slot = slot.filter(|&slot| is_same(&self.chunk_refs[slot])).or_else(by_content).or(slot);
        let (mut lines, at) = self.lines(slot, true, memory, end);
        (lines.offset, lines.compressed) = (Some(offset), data.len() as u64);
        lines.is_guess = is_guess;
        lines.with_rest(at, || UnreadText::Block(data.to_vec(), most))
    }

    /// Returns the maximum number of bytes to inflate from a block. A length in the table may be too small, but
    /// only a few chunks' worth of excess is inflated.
    fn most_bytes(&self, slot: Option<usize>) -> u64 {
        let declared = slot.map_or(0, |slot| self.chunk_refs[slot].bytes);
        match slot {
            Some(_) => declared.saturating_add(4 * CHUNK_BYTES).min(MAX_CHUNK_BYTES),
            None => MAX_CHUNK_BYTES,
        }
    }

    /// Reads the lines of a text. Also returns the position at which reading stopped if there is too much to keep.
    fn lines(&self, slot: Option<usize>, is_block: bool, text: &[u8], end: BlockEnd) -> (PartLines, Option<usize>) {
        let crc32 = Crc32::of(text);
        let declared = slot.map(|slot| self.chunk_refs[slot]);
        let is_proven = end == BlockEnd::FlushPoint
            && declared.is_some_and(|slot| slot.crc32 == crc32 && slot.bytes == text.len() as u64);
        // After the first sign of damage, neither a block's lines nor their row numbers can be trusted.
        let is_shifted = || declared.is_some_and(|slot| memchr::memchr_iter(b'\n', text).count() as u64 != slot.rows);
        let stops_at_damage =
            self.strict && is_block && !is_proven && (matches!(end, BlockEnd::Damage { .. }) || is_shifted());
        let mut lines = PartLines {
            slot,
            offset: None,
            compressed: 0,
            is_block,
            is_guess: false,
            end,
            bytes: text.len() as u64,
            crc32,
            count: 0,
            taken_before: 0,
            times_before: RowTimes::default(),
            ends_with_line_feed: text.last().is_none_or(|&last| last == b'\n'),
            is_proven,
            stops_at_damage,
            runs: Vec::new(),
            problems: Vec::new(),
            rest: None,
        };
        let at = self.read_lines(text, 0, &mut lines);
        (lines, at)
    }

    /// Reads the lines that begin `at` bytes into a part's text. Returns the position at which reading stopped if
    /// there is too much to keep.
    pub(super) fn read_lines(&self, text: &[u8], mut at: usize, lines: &mut PartLines) -> Option<usize> {
        while at < text.len() {
            if lines.is_full() {
                return Some(at);
            }
            let length = memchr::memchr(b'\n', &text[at..]);
            if length.is_none() && lines.end != BlockEnd::FlushPoint {
                break; // the rest of this line is lost
            }
            let line = &text[at..at + length.unwrap_or(text.len() - at)];
            let problems = lines.problems.len();
            self.read_line(line, at as u64, lines);
            lines.count += 1;
            at += line.len() + 1;
            if lines.stops_at_damage && lines.problems.len() > problems {
                break;
            }
        }
        None
    }

    fn read_line(&self, line: &[u8], at: u64, lines: &mut PartLines) {
        let number = lines.count;
        let slot = lines.slot.filter(|_| lines.is_block).map(|slot| &self.chunk_refs[slot]);
        if let Some((slot, plain)) = slot.and_then(|slot| Some((slot, self.plain.get(slot.file)?.as_ref()?)))
            && let Some((text, time)) = plain.read(line)
        {
            let rules = self.rules(Some(slot.file), Some(slot), number);
            let run = self.run_of(lines, Arc::clone(&plain.file), number, at);
            run.rows.push_line(text.as_bytes(), rules.line_ending);
            return time.into_iter().for_each(|time| run.times.add(time));
        }
        let row = match Envelope::decode(line) {
            Ok(row) => row,
            Err(fault) => return lines.problem(at, LineFault::NoRow(fault)),
        };
        let Some(file) = self.file_of(&row, lines.runs.last()) else {
            return lines.problem(at, LineFault::NoRow(row.wrong_file()));
        };
        let slot = lines.slot.map(|slot| &self.chunk_refs[slot]);
        if let Some(slot) = slot.filter(|_| lines.is_block)
            && file.index != Some(slot.file)
        {
            return lines.problem(at, LineFault::NoRow(row.wrong_file()));
        }
        let rules = self.rules(file.index, slot, number);
        let (time, fault) = match rules.is_exact || row.original.is_some() {
            true => check_row(&row, rules.ending, times_of(&row.source)),
            false => (None, None),
        };
        if let Some(fault) = fault {
            let is_harmless = matches!(fault, EntryFault::Redundant | EntryFault::Form);
            lines.problem(at, LineFault::Entry(fault));
            if self.strict && !lines.is_proven && !is_harmless {
                return;
            }
        }
        let run = self.run_of(lines, file, number, at);
        run.rows.push(&row, rules.line_ending);
        if let Some(time) = time {
            run.times.add(time);
        }
    }

    /// Returns the run that a row on `line` continues, or starts a new one. The row is `at` bytes into the text of
    /// `lines`.
    fn run_of<'l>(&self, lines: &'l mut PartLines, file: Arc<RowFile>, line: u64, at: u64) -> &'l mut RowRun {
        let runs = &mut lines.runs;
        let goes_on = runs.last().is_some_and(|last| last.file == file && last.first_line + last.rows.len() == line);
        if !goes_on {
            // Most parts have a single run, so size the first one for the whole part. Later runs start small.
            let rows = match runs.is_empty() && lines.taken_before == 0 {
                true => RowLines::in_memory(self.buffers.take(), usize::try_from(lines.bytes - at).unwrap_or_default()),
                false => RowLines::default(),
            };
            runs.push(RowRun { file, first_line: line, rows, times: RowTimes::default() });
        }
        let last = runs.len() - 1;
        &mut runs[last]
    }

    /// Returns the log to which a row belongs, if such a log can exist. Most rows belong to the same log as the
    /// previous row.
    fn file_of(&self, row: &Envelope<'_>, last: Option<&RowRun>) -> Option<Arc<RowFile>> {
        let name = row.file_name();
        if let Some(last) = last.filter(|last| last.file.source == row.source && last.file.name == name) {
            return Some(Arc::clone(&last.file));
        }
        let index = match &self.manifest {
            Some((_, files)) => Some(files.file_of(row)?),
            None => may_exist(&row.source, &name).then_some(None)?,
        };
        Some(Arc::new(RowFile { source: row.source.to_string(), name: name.into_owned(), index }))
    }

    fn rules(&self, file: Option<usize>, slot: Option<&ChunkRef>, line: u64) -> RowRules {
        let Some((manifest, file)) = self.manifest.as_ref().map(|(manifest, _)| *manifest).zip(file) else {
            return RowRules { line_ending: LineEnding::Lf, ending: None, is_exact: false };
        };
        let is_exact = manifest.version().1 > 0;
        let entry = &manifest.files[file];
        let Some(record) = entry.record() else {
            return RowRules { line_ending: LineEnding::Lf, ending: None, is_exact };
        };
        let may_be_last = slot.is_none_or(|slot| slot.chunk + 1 == entry.chunks.len() && line + 1 == slot.rows);
        let ending = match record.final_newline || !may_be_last {
            true => Some(record.line_ending.before_line_feed()),
            // Nothing follows the last line of such a log if that line is a row. Without a table, the last line is
            // unknown.
            false => slot.filter(|_| entry.ends_with_row()).map(|_| &b""[..]),
        };
        RowRules { line_ending: record.line_ending, ending, is_exact }
    }
}

/// The rules for one row of a log.
struct RowRules {
    line_ending: LineEnding,
    /// The bytes before the line feed that the row omits, if known.
    ending: Option<&'static [u8]>,
    /// True if `entry` is the row's own text, as in 1.1. In 1.0, a program may have rewritten it.
    is_exact: bool,
}

impl PartLines {
    fn problem(&mut self, at: u64, fault: LineFault) {
        self.problems.push(Problem { line: self.count, at, fault });
    }
}

/// The index of each log's last run.
pub(crate) struct LastRuns<K>(HashMap<K, usize>);

impl<K: Hash + Eq> LastRuns<K> {
    /// Indexes runs by `key`, which identifies their log.
    pub(crate) fn of<'r>(runs: impl Iterator<Item = &'r RowRun>, key: impl Fn(&'r RowRun) -> K) -> Self {
        Self(runs.enumerate().map(|(index, run)| (key(run), index)).collect())
    }

    /// Returns true if a run interrupts the open log, which continues after it.
    pub(crate) fn is_interleaved(&self, index: usize, log: &K, open: &K) -> bool {
        log != open && self.0.get(open).is_some_and(|&last| last > index)
    }
}
