//! Reads the rows of a part. Parts are independent, so any thread can read any part.

use std::sync::Arc;

use super::chunk_lookup::ChunkLookup;
use super::find_block;
use super::lines::{LineFault, PartLines, ReadPart, RemainingLines, RowFile, RowRun, UnreadText};
use super::part::Part;
use crate::buffers::{Buffers, MAX_BUFFER_CAPACITY};
use crate::bundle::{ChunkRef, FileIndex};
use crate::container::Holes;
use crate::digest::Crc32;
use crate::error::EntryFault;
use crate::format::envelope::EnvelopeReader;
use crate::format::limits::{CHUNK_BYTES, MAX_CHUNK_BYTES};
use crate::format::log_decoder::RowLines;
use crate::format::row::check_row;
use crate::format::row::classify;
use crate::format::timeline::RowTimes;
use crate::format::{Envelope, LineEnding, MINOR, Manifest, ManifestFile, RowTime, TimeKey};
use crate::gzip::{BlockEnd, inflate_into};
use crate::logs::{may_exist, times_of};

/// The context for reading rows: the facts known about a bundle beforehand.
pub struct ScanContext<'m> {
    /// The manifest, if usable, and an index from rows to its files.
    pub manifest: Option<(&'m Manifest, FileIndex)>,
    pub chunk_refs: &'m [ChunkRef],
    lookup: ChunkLookup,
    /// A buffer pool for parts and rows.
    pub buffers: Arc<Buffers>,
    /// True if only trustworthy rows are accepted; see [`PartLines::is_verified`].
    pub strict: bool,
    /// The fast reader of each file's rows in chunks, if one applies.
    plain: Vec<Option<PlainRows>>,
    /// The holes in the input, whose content is noise.
    holes: Option<Arc<Holes>>,
}

/// A fast reader for a log's rows in the form that this library writes. It recognises most rows without full decoding.
struct PlainRows {
    envelopes: EnvelopeReader,
    times: &'static [TimeKey],
    file: Arc<RowFile>,
}

impl<'m> ScanContext<'m> {
    pub fn new(manifest: Option<&'m Manifest>, chunk_refs: &'m [ChunkRef], strict: bool) -> Self {
        let manifest = manifest.map(|manifest| (manifest, FileIndex::new(manifest)));
        let plain = manifest.iter().flat_map(|(manifest, index)| {
            let files = manifest.files.iter().enumerate();
            files.map(|(at, file)| (manifest.version().1 > 0).then(|| PlainRows::new(at, file, index)).flatten())
        });
        let (plain, lookup, buffers) = (plain.collect(), ChunkLookup::default(), Arc::default());
        Self { manifest, chunk_refs, lookup, buffers, strict, plain, holes: None }
    }

    /// Makes each block end at the first hole in it.
    pub fn with_holes(self, holes: Option<Arc<Holes>>) -> Self {
        Self { holes, ..self }
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

    /// Returns a row's text and timestamp if the row is in the form that this library writes.
    fn read<'l>(&self, line: &'l [u8]) -> Option<(&'l str, RowTime)> {
        let text = self.envelopes.entry_alone(line)?;
        let row = classify(text.as_bytes(), self.times)?;
        (row.entry == text).then_some((text, row.time))
    }
}

impl ScanContext<'_> {
    /// Returns a reader of parts for one thread, which reuses its memory.
    pub fn reader(&self) -> impl FnMut(Part) -> ReadPart + Send {
        let mut memory = Vec::new();
        move |part| {
            let read = self.read(part, &mut memory);
            memory.shrink_to(MAX_BUFFER_CAPACITY);
            read
        }
    }

    /// Reads the next lines of a part.
    pub fn read_rest(&self, rest: RemainingLines) -> PartLines {
        let RemainingLines { part: mut lines, text, at } = rest;
        let text = text.into_text();
        let at = self.read_lines(&text, at, &mut lines);
        lines.with_rest(at, || UnreadText::Text(text))
    }

    fn read(&self, part: Part, memory: &mut Vec<u8>) -> ReadPart {
        match part {
            Part::Block { chunk, due, offset, data, is_at_end, is_guess } => {
                let intact = self.holes.as_ref().map_or(data.len(), |holes| holes.sound_bytes(offset, data.len()));
                let mut lines = self.block(chunk, due, is_guess, offset, &data[..intact], memory);
                lines.is_at_end = is_at_end;
                let is_whole = lines.end == BlockEnd::FlushPoint && (lines.is_verified || self.chunk_refs.is_empty());
                let within = if self.strict && !is_whole { self.block_within(due, offset, &data) } else { None };
                self.buffers.put(data);
                ReadPart::Lines(std::iter::once(lines).chain(within).collect())
            }
            Part::Text { chunk, offset, text } => {
                let (mut lines, at) = self.lines(chunk, false, &text, BlockEnd::FlushPoint);
                lines.offset = offset;
                ReadPart::Lines(vec![lines.with_rest(at, || UnreadText::Text(text))])
            }
            other => ReadPart::Other(other),
        }
    }

    /// Returns the lines of a block that begins within a damaged one, if there is one.
    fn block_within(&self, due: usize, offset: u64, data: &[u8]) -> Option<PartLines> {
        let is_in_place = self.chunk_refs.get(due).is_some_and(|chunk| chunk.compressed == data.len() as u64);
        let read = |at: usize| self.block(None, due, true, offset + at as u64, &data[at..], &mut Vec::new());
        if is_in_place { None } else { find_block::within(data, read) }
    }

    /// Reads the block at `offset` in the file, where chunk `due` of the table is expected.
    fn block(
        &self,
        chunk: Option<usize>,
        due: usize,
        is_guess: bool,
        offset: u64,
        data: &[u8],
        memory: &mut Vec<u8>,
    ) -> PartLines {
        let limit = self.max_inflated_bytes(chunk);
        let end = inflate_into(memory, data, limit);
        let crc32 = Crc32::of(memory);
        let is_same = |chunk: &ChunkRef| chunk.crc32 == crc32 && chunk.bytes == memory.len() as u64;
        // A block may be another chunk than the one expected at its position.
        let by_content =
            || self.strict.then(|| self.lookup.find(self.chunk_refs, crc32, memory.len() as u64, due)).flatten();
        let chunk = chunk.filter(|&chunk| is_same(&self.chunk_refs[chunk])).or_else(by_content).or(chunk);
        let (mut lines, at) = self.lines(chunk, true, memory, end);
        (lines.offset, lines.compressed) = (Some(offset), data.len() as u64);
        lines.is_guess = is_guess;
        lines.with_rest(at, || UnreadText::Block(data.to_vec(), limit))
    }

    /// Returns the maximum number of bytes to inflate from a block. The length in the table may be too small, so this
    /// allows for a few more chunks.
    fn max_inflated_bytes(&self, chunk: Option<usize>) -> u64 {
        let declared = chunk.map_or(0, |chunk| self.chunk_refs[chunk].bytes);
        match chunk {
            Some(_) => declared.saturating_add(4 * CHUNK_BYTES).min(MAX_CHUNK_BYTES),
            None => MAX_CHUNK_BYTES,
        }
    }

    /// Reads the lines of a text. Also returns the position at which reading paused if there was too much to keep.
    fn lines(&self, chunk: Option<usize>, is_block: bool, text: &[u8], end: BlockEnd) -> (PartLines, Option<usize>) {
        let crc32 = Crc32::of(text);
        let declared = chunk.map(|chunk| self.chunk_refs[chunk]);
        let is_verified = end == BlockEnd::FlushPoint
            && declared.is_some_and(|chunk| chunk.crc32 == crc32 && chunk.bytes == text.len() as u64);
        // After the first damage, neither a block's lines nor their row numbers can be trusted.
        let is_shifted = || declared.is_some_and(|chunk| memchr::memchr_iter(b'\n', text).count() as u64 != chunk.rows);
        let stops_at_damage =
            self.strict && is_block && !is_verified && (matches!(end, BlockEnd::Damage { .. }) || is_shifted());
        let mut lines = PartLines {
            chunk,
            offset: None,
            compressed: 0,
            is_block,
            is_at_end: false,
            is_guess: false,
            end,
            bytes: text.len() as u64,
            crc32,
            count: 0,
            taken_before: 0,
            times_before: RowTimes::default(),
            ends_with_line_feed: text.last().is_none_or(|&last| last == b'\n'),
            is_verified,
            stops_at_damage,
            runs: Vec::new(),
            problems: Vec::new(),
            rest: None,
        };
        let at = self.read_lines(text, 0, &mut lines);
        (lines, at)
    }

    /// Reads lines from offset `at` in a part's text. Returns the position at which reading paused if there was too
    /// much to keep.
    fn read_lines(&self, text: &[u8], mut at: usize, lines: &mut PartLines) -> Option<usize> {
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
        let chunk = lines.chunk.filter(|_| lines.is_block).map(|chunk| &self.chunk_refs[chunk]);
        if let Some((chunk, plain)) = chunk.and_then(|chunk| Some((chunk, self.plain.get(chunk.file)?.as_ref()?)))
            && let Some((text, time)) = plain.read(line)
        {
            let rules = self.rules(Some(chunk.file), Some(chunk), number);
            let run = self.run_of(lines, Arc::clone(&plain.file), number, at);
            run.rows.push_line(text.as_bytes(), rules.line_ending);
            return run.times.add_row(time);
        }
        let minor = self.manifest.as_ref().map_or(MINOR, |(manifest, _)| manifest.version().1);
        let row = match Envelope::decode(line).and_then(|row| row.of_minor(minor)) {
            Ok(row) => row,
            Err(fault) => return lines.problem(at, LineFault::NotARow(fault)),
        };
        let Some(file) = self.file_of(&row, lines.runs.last()) else {
            return lines.problem(at, LineFault::NotARow(row.wrong_file()));
        };
        let chunk = lines.chunk.map(|chunk| &self.chunk_refs[chunk]);
        if let Some(chunk) = chunk.filter(|_| lines.is_block)
            && file.index != Some(chunk.file)
        {
            return lines.problem(at, LineFault::NotARow(row.wrong_file()));
        }
        let rules = self.rules(file.index, chunk, number);
        let (time, fault) = match rules.is_exact || row.original.is_some() {
            true => check_row(&row, rules.ending, times_of(&row.source)),
            false => (RowTime::default(), None),
        };
        if let Some(fault) = fault {
            let is_harmless = matches!(fault, EntryFault::Redundant | EntryFault::Form);
            lines.problem(at, LineFault::Entry(fault));
            if self.strict && !lines.is_verified && !is_harmless {
                return;
            }
        }
        let run = self.run_of(lines, file, number, at);
        run.rows.push(&row, rules.line_ending);
        run.times.add_row(time);
    }

    /// Returns the run that a row on `line` continues, or starts a new one. `at` is the row's offset in the text of
    /// `lines`.
    fn run_of<'l>(&self, lines: &'l mut PartLines, file: Arc<RowFile>, line: u64, at: u64) -> &'l mut RowRun {
        let runs = &mut lines.runs;
        let continues = runs.last().is_some_and(|last| last.file == file && last.first_line + last.rows.len() == line);
        if !continues {
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

    /// Returns the log to which a row belongs, if that log can exist. Most rows belong to the same log as the row
    /// before.
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

    fn rules(&self, file: Option<usize>, chunk: Option<&ChunkRef>, line: u64) -> RowRules {
        let Some((manifest, file)) = self.manifest.as_ref().map(|(manifest, _)| *manifest).zip(file) else {
            return RowRules { line_ending: LineEnding::Lf, ending: None, is_exact: false };
        };
        let is_exact = manifest.version().1 > 0;
        let entry = &manifest.files[file];
        let Some(record) = entry.record() else {
            return RowRules { line_ending: LineEnding::Lf, ending: None, is_exact };
        };
        let may_be_last = chunk.is_none_or(|chunk| chunk.is_last_of(entry) && line + 1 == chunk.rows);
        let ending = match record.final_newline || !may_be_last {
            true => Some(record.line_ending.before_line_feed()),
            // This log has no final newline, so nothing follows its last row if it ends with a row. Without a table,
            // the last row is unknown.
            false => chunk.filter(|_| entry.ends_with_row()).map(|_| &b""[..]),
        };
        RowRules { line_ending: record.line_ending, ending, is_exact }
    }
}

/// The rules for reading one row of a log.
struct RowRules {
    line_ending: LineEnding,
    /// The bytes before the line feed that the row omits, if known.
    ending: Option<&'static [u8]>,
    /// True if `entry` is the row's own text, as in 1.1. In 1.0, a program may have rewritten it.
    is_exact: bool,
}
