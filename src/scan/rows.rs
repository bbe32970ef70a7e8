//! Reads the rows of a part. Parts know nothing of each other, so any thread can read any part.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::chunk_lookup::Contents;
use super::parts::Part;
use super::remaining_lines::{RemainingLines, UnreadText};
use super::salvage;
use crate::buffers::{Buffers, MAX_ROOM};
use crate::bundle::{ChunkRef, FileIndex};
use crate::digest::Crc32;
use crate::error::{EntryFault, RowFault};
use crate::format::check_row::check_row;
use crate::format::envelope::EnvelopeReader;
use crate::format::limits::{CHUNK_BYTES, MAX_CHUNK_BYTES};
use crate::format::line::classify;
use crate::format::log::RowLines;
use crate::format::timeline::RowTimes;
use crate::format::{Envelope, LineEnding, Manifest, ManifestFile, TimeKey, Timestamp};
use crate::gzip::{BlockEnd, inflate_into};
use crate::sources::{may_exist, times_of};

/// What is known of the bundle before its rows are read.
pub(crate) struct ScanContext<'m> {
    /// The manifest and where each row belongs, if there is one to go by.
    pub(crate) manifest: Option<(&'m Manifest, FileIndex)>,
    pub(crate) chunk_refs: &'m [ChunkRef],
    contents: Contents,
    /// Memory for parts and rows.
    pub(crate) buffers: Arc<Buffers>,
    /// Take only what can be trusted: see [`PartLines::is_proven`].
    strict: bool,
    /// How the rows of each file look in its chunks.
    plain: Vec<Option<PlainRows>>,
}

/// Rows of one log as they are written, by which most of them are known at once.
struct PlainRows {
    envelopes: EnvelopeReader,
    times: &'static [TimeKey],
    file: Arc<RowFile>,
}

/// Which log rows belong to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RowFile {
    pub(crate) source: String,
    pub(crate) name: String,
    /// Index into the manifest's `files`.
    pub(crate) index: Option<usize>,
}

/// Rows of one log in lines that follow each other.
pub(crate) struct RowRun {
    pub(crate) file: Arc<RowFile>,
    /// Its first line within the part, from 0.
    pub(crate) first_line: u64,
    pub(crate) rows: RowLines,
    pub(crate) times: RowTimes,
}

/// What is wrong with one line.
pub(crate) struct Problem {
    /// The line within the part, from 0.
    pub(crate) line: u64,
    /// Where the line begins within the part's text.
    pub(crate) at: u64,
    pub(crate) fault: LineFault,
}

pub(crate) enum LineFault {
    /// The line is no row.
    NoRow(RowFault),
    /// The line is a row, and in one of the runs.
    Entry(EntryFault),
}

/// What a part holds.
#[allow(clippy::struct_excessive_bools, reason = "they are independent facts")]
pub(crate) struct PartLines {
    pub(crate) slot: Option<usize>,
    /// Where the part begins in the file, where that is known.
    pub(crate) offset: Option<u64>,
    /// Bytes that it takes there; 0 when it is not a block.
    pub(crate) compressed: u64,
    pub(crate) is_block: bool,
    pub(crate) is_guess: bool,
    /// How its text ends.
    pub(crate) end: BlockEnd,
    pub(crate) bytes: u64,
    pub(crate) crc32: Crc32,
    /// Its lines, one without a line feed included, as far as it was read.
    pub(crate) count: u64,
    /// How many of them were taken before.
    pub(crate) taken_before: u64,
    /// When their rows are from.
    pub(crate) times_before: RowTimes,
    pub(crate) ends_with_line_feed: bool,
    /// Whether the table's checksum proves its text.
    pub(crate) is_proven: bool,
    /// Whether nothing can be trusted behind the first problem.
    pub(super) stops_at_damage: bool,
    pub(crate) runs: Vec<RowRun>,
    pub(crate) problems: Vec<Problem>,
    /// What comes behind these runs and problems, where there are very many.
    pub(crate) rest: Option<Box<RemainingLines>>,
}

/// A part that was read.
pub(crate) enum ReadPart {
    PartLines(Box<PartLines>),
    /// What could be saved of a part that is damaged, in order.
    Saved(Vec<PartLines>),
    /// A part without rows, as it came.
    Other(Part),
}

impl<'m> ScanContext<'m> {
    pub(crate) fn new(manifest: Option<&'m Manifest>, chunk_refs: &'m [ChunkRef], strict: bool) -> Self {
        let manifest = manifest.map(|manifest| (manifest, FileIndex::new(manifest)));
        let plain = manifest.iter().flat_map(|(manifest, index)| {
            let files = manifest.files.iter().enumerate();
            files.map(|(at, file)| (manifest.version().1 > 0).then(|| PlainRows::new(at, file, index)).flatten())
        });
        let (plain, contents, buffers) = (plain.collect(), Contents::default(), Arc::default());
        Self { manifest, chunk_refs, contents, buffers, strict, plain }
    }
}

impl PlainRows {
    /// `None` when another file of the manifest has the same name.
    fn new(index: usize, file: &ManifestFile, files: &FileIndex) -> Option<Self> {
        let (source, name) = (file.source.to_string(), file.relative_path.to_string());
        (files.index_of(&source, &name) == Some(index)).then(|| Self {
            envelopes: EnvelopeReader::new(file),
            times: times_of(&source),
            file: Arc::new(RowFile { source, name, index: Some(index) }),
        })
    }

    /// The text of a row and its time, if nothing about the row is odd.
    fn read<'l>(&self, line: &'l [u8]) -> Option<(&'l str, Option<Timestamp>)> {
        let text = self.envelopes.entry_alone(line)?;
        let row = classify(text.as_bytes(), self.times)?;
        (row.entry == text).then_some((text, row.time))
    }
}

impl ScanContext<'_> {
    /// Reads parts on one thread, in memory that it keeps.
    pub(crate) fn reader(&self) -> impl FnMut(Part) -> ReadPart + Send {
        let mut memory = Vec::new();
        move |part| {
            let read = self.read(part, &mut memory);
            memory.shrink_to(MAX_ROOM);
            read
        }
    }

    /// Reads a chunk that lies where the table says, inflated. One of which there is too much to keep is not read to its
    /// end: its problems are seen.
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

    /// Reads a block that begins `offset` bytes into the file, where the chunk `due` of the table is due.
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
        // A block may be another chunk than the one that its place says.
        let by_content =
            || self.strict.then(|| self.contents.find(self.chunk_refs, crc32, memory.len() as u64, due)).flatten();
        let slot = slot.filter(|&slot| is_same(&self.chunk_refs[slot])).or_else(by_content).or(slot);
        let (mut lines, at) = self.lines(slot, true, memory, end);
        (lines.offset, lines.compressed) = (Some(offset), data.len() as u64);
        lines.is_guess = is_guess;
        lines.with_rest(at, || UnreadText::Block(data.to_vec(), most))
    }

    /// How much of a block is inflated. A table may have it too small, but not by more than some chunks.
    fn most_bytes(&self, slot: Option<usize>) -> u64 {
        let declared = slot.map_or(0, |slot| self.chunk_refs[slot].bytes);
        match slot {
            Some(_) => declared.saturating_add(4 * CHUNK_BYTES).min(MAX_CHUNK_BYTES),
            None => MAX_CHUNK_BYTES,
        }
    }

    /// What a text holds, and where reading it stopped if there is too much to keep.
    fn lines(&self, slot: Option<usize>, is_block: bool, text: &[u8], end: BlockEnd) -> (PartLines, Option<usize>) {
        let crc32 = Crc32::of(text);
        let declared = slot.map(|slot| self.chunk_refs[slot]);
        let is_proven = end == BlockEnd::FlushPoint
            && declared.is_some_and(|slot| slot.crc32 == crc32 && slot.bytes == text.len() as u64);
        // Behind the first sign of damage nothing of a block can be trusted, nor the place of any row in it.
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

    /// Reads the lines that begin `at` bytes into the text of a part. Says where it stopped if there is too much to keep.
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

    /// The run that a row at `line` goes on, or a new one. The row begins `at` bytes into the text of `lines`.
    fn run_of<'l>(&self, lines: &'l mut PartLines, file: Arc<RowFile>, line: u64, at: u64) -> &'l mut RowRun {
        let runs = &mut lines.runs;
        let goes_on = runs.last().is_some_and(|last| last.file == file && last.first_line + last.rows.len() == line);
        if !goes_on {
            // One run is all that most parts have. Where they change, none has reason to hope for much.
            let rows = match runs.is_empty() && lines.taken_before == 0 {
                true => RowLines::in_memory(self.buffers.take(), usize::try_from(lines.bytes - at).unwrap_or_default()),
                false => RowLines::default(),
            };
            runs.push(RowRun { file, first_line: line, rows, times: RowTimes::default() });
        }
        let last = runs.len() - 1;
        &mut runs[last]
    }

    /// Which log a row belongs to, if there can be such a log. Most rows belong to that of the row before.
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
            // Nothing ends the last line of such a log, if that is a row. Without a table it is not known which that is.
            false => slot.filter(|_| entry.ends_with_row()).map(|_| &b""[..]),
        };
        RowRules { line_ending: record.line_ending, ending, is_exact }
    }
}

/// What holds for a row of a log.
struct RowRules {
    line_ending: LineEnding,
    /// What the row leaves out before the line feed, if that is known.
    ending: Option<&'static [u8]>,
    /// Whether `entry` is the text of the row, and not what a program made of it: not so in 1.0.
    is_exact: bool,
}

impl PartLines {
    fn problem(&mut self, at: u64, fault: LineFault) {
        self.problems.push(Problem { line: self.count, at, fault });
    }
}

/// Where each log has the last of some runs.
pub(crate) struct LastRuns<K>(HashMap<K, usize>);

impl<K: Hash + Eq> LastRuns<K> {
    /// Tells logs by this `key`.
    pub(crate) fn of<'r>(runs: impl Iterator<Item = &'r RowRun>, key: impl Fn(&'r RowRun) -> K) -> Self {
        Self(runs.enumerate().map(|(index, run)| (key(run), index)).collect())
    }

    /// Whether a run stands within the rows of the open log, which goes on behind it.
    pub(crate) fn is_interleaved(&self, index: usize, log: &K, open: &K) -> bool {
        log != open && self.0.get(open).is_some_and(|&last| last > index)
    }
}
