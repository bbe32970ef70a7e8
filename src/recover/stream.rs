//! A stream of a damaged bundle's rows, in order, with the gaps between them.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::Scope;

use crate::bundle::ChunkRef;
use crate::error::{Error, IoAction, Result, RowFault};
use crate::format::envelope::default_file;
use crate::gzip::{Anomaly, BlockEnd};
use crate::logs::may_exist;
use crate::progress::Progress;
use crate::salvage::{LineFault, PartLines, ReadPart, RemainingRows, RowFile, RowRun, ScanContext};
use crate::salvage::{Part, Parts, TextDigest};
use crate::util::ordered_pool::OrderedPool;

/// An event of the stream.
pub(super) enum StreamEvent {
    /// Consecutive rows of one log.
    Rows {
        run: RowRun,
        /// The number of the first row in its log, from 1, if its position in the bundle determines it.
        first_row: Option<u64>,
        is_verified: bool,
    },
    /// A line that takes the place of a row.
    BadLine,
    /// A gap of unknown size.
    Gap,
}

/// A stream that reads parts on several threads and returns their rows in order.
#[allow(clippy::struct_excessive_bools, reason = "they are independent facts")]
pub(super) struct RowStream<'k, 'r> {
    parts: Parts<'r>,
    pool: OrderedPool<'k, Part, ReadPart>,
    context: &'k ScanContext<'k>,
    progress: &'k dyn Progress,
    /// Lines that were read but not yet turned into events, in order.
    read: VecDeque<PartLines>,
    ready: VecDeque<StreamEvent>,
    /// The log of the preceding rows.
    current: Option<Arc<RowFile>>,
    /// A file of the manifest, and the number of rows in its verified chunks so far beyond those that the table
    /// records.
    more_rows: (usize, i64),
    /// For each file of the manifest, the number of lines that look like its rows but were not accepted.
    pub(super) ignored_of: Vec<u64>,
    /// The number of other such lines.
    pub(super) ignored: u64,
    text: TextDigest,
    /// True if no damage was found so far.
    pub(super) is_intact: bool,
    /// True if the gzip trailer proves the whole content.
    pub(super) is_verified: bool,
    /// True if readable text does not match the manifest. A log may then be intact although its pieces are not
    /// verified.
    pub(super) is_suspect: bool,
    /// True if verified rows belong to a log that the manifest does not list at their position.
    pub(super) contradicts_manifest: bool,
}

impl<'k, 'r> RowStream<'k, 'r> {
    /// Starts the threads. `text` is the digest of the text before `parts`.
    pub(super) fn start(
        scope: &'k Scope<'k, '_>,
        parts: Parts<'r>,
        text: TextDigest,
        context: &'k ScanContext<'k>,
        threads: NonZeroUsize,
        progress: &'k dyn Progress,
    ) -> Self {
        let parts_are_text = parts.are_text();
        Self {
            parts,
            pool: OrderedPool::start(scope, threads, || context.reader()),
            context,
            progress,
            read: VecDeque::new(),
            ready: VecDeque::new(),
            current: None,
            more_rows: (0, 0),
            ignored: 0,
            ignored_of: vec![0; context.manifest.as_ref().map_or(0, |(manifest, _)| manifest.files.len())],
            text,
            is_intact: true,
            is_verified: parts_are_text,
            is_suspect: parts_are_text,
            contradicts_manifest: false,
        }
    }

    /// Puts a first line before the rest of the text. It is not a manifest, but may be a row.
    pub(super) fn prepend(&mut self, text: Vec<u8>) {
        if !text.is_empty()
            && let ReadPart::Lines(lines) = self.context.reader()(Part::Text { chunk: None, offset: None, text })
        {
            self.read.extend(lines.into_iter().filter(|lines| lines.problems.is_empty()));
        }
    }

    /// Returns true if each row must be verified. Otherwise, the hash of its whole log must verify it.
    pub(super) fn is_strict(&self) -> bool {
        self.context.strict
    }

    /// Returns the next event without taking it.
    pub(super) fn peek(&mut self) -> Result<Option<&StreamEvent>> {
        while self.ready.is_empty() {
            if let Some(lines) = self.read.pop_front() {
                self.take(lines);
                continue;
            }
            let next = || {
                let part = self.parts.next_part().map_err(failed)?;
                Ok(part.map(|part| {
                    self.progress.advance(part.length());
                    let weight = part.weight(self.context.chunk_refs);
                    (part, weight)
                }))
            };
            match self.pool.next(next)? {
                None => return Ok(None),
                Some(ReadPart::Lines(lines)) => self.read.extend(lines),
                Some(ReadPart::Other(part)) => self.take_other(&part),
            }
        }
        Ok(self.ready.front())
    }

    /// Takes the next event.
    pub(super) fn next(&mut self) -> Option<StreamEvent> {
        self.ready.pop_front()
    }

    /// Skips the next event.
    pub(super) fn skip(&mut self) {
        if let Some(StreamEvent::Rows { run, .. }) = self.ready.pop_front() {
            self.ignore(&run.file, run.rows.len());
        }
    }

    /// Counts rows that were not accepted.
    pub(super) fn ignore(&mut self, file: &RowFile, rows: u64) {
        match file.index.and_then(|index| self.ignored_of.get_mut(index)) {
            Some(of_file) => *of_file += rows,
            None => self.ignored += rows,
        }
    }

    /// Takes back the memory of processed rows.
    pub(super) fn reuse(&self, run: RowRun) {
        self.context.buffers.put(run.rows.into_memory());
    }

    fn take_other(&mut self, part: &Part) {
        match part {
            Part::Anomaly(Anomaly::Fault(_), _) => self.is_intact = false,
            Part::Missing(_) | Part::TooLong => {
                self.is_intact = false;
                self.ready.push_back(StreamEvent::Gap);
            }
            Part::Tail(tail) => {
                self.is_verified = self.text.is_verified_by(tail);
                self.is_intact &= self.is_verified;
            }
            Part::Anomaly(..) | Part::Block { .. } | Part::Text { .. } => {}
        }
    }

    fn take(&mut self, mut lines: PartLines) {
        if lines.is_block && lines.taken_before == 0 {
            self.text.add(&lines);
        }
        let is_last = lines.rest.is_none();
        if let Some(rest) = lines.rest.take() {
            self.read.push_front(self.context.read_rest(*rest));
        }
        let is_as_written = lines.is_verified && lines.problems.is_empty();
        self.is_suspect |= lines.end == BlockEnd::FlushPoint && !is_as_written;
        // Lines that the table does not cover are not part of this bundle, unless their position was lost with the
        // flush points.
        let is_extra = self.is_strict() && lines.chunk.is_none() && !lines.is_guess;
        if is_extra && !self.context.chunk_refs.is_empty() {
            self.is_intact = false;
            self.ignored += lines.count - lines.taken_before;
            return;
        }
        let chunk = lines.chunk.map(|chunk| self.context.chunk_refs[chunk]);
        let has_position = self.is_strict() && (lines.is_block || lines.is_verified);
        let first_row = chunk.filter(|_| has_position).map(|chunk| self.first_row_of(&chunk));
        let all_are_rows = lines.problems.iter().all(|problem| matches!(problem.fault, LineFault::Entry(_)));
        let is_whole = lines.end == BlockEnd::FlushPoint && all_are_rows;
        self.is_intact &= is_whole && (lines.chunk.is_none() || lines.is_verified);
        // If rows are not verified one by one, those of a damaged block cannot be trusted.
        if self.is_strict() || lines.end == BlockEnd::FlushPoint {
            self.take_lines(&mut lines, chunk.as_ref(), first_row);
        }
        if let Some(chunk) = chunk.filter(|_| is_last && lines.is_verified && first_row.is_some()) {
            self.more_rows.1 += lines.count.cast_signed() - chunk.rows.cast_signed();
        }
        if is_last && lines.end != BlockEnd::FlushPoint {
            self.ready.push_back(StreamEvent::Gap);
        }
    }

    /// Returns the number of a chunk's first row. For verified chunks before it, counts their actual rows instead of
    /// those that the table records.
    fn first_row_of(&mut self, chunk: &ChunkRef) -> u64 {
        if self.more_rows.0 != chunk.file {
            self.more_rows = (chunk.file, 0);
        }
        chunk.first_row.saturating_add_signed(self.more_rows.1)
    }

    fn take_lines(&mut self, lines: &mut PartLines, chunk: Option<&ChunkRef>, first_row: Option<u64>) {
        let (has_position, is_verified) = (first_row.is_some(), lines.is_verified);
        let mut problems = lines.problems.iter().peekable();
        let mut left = RemainingRows::of(lines.runs.iter(), |run| Arc::clone(&run.file));
        for mut run in std::mem::take(&mut lines.runs) {
            while let Some(problem) = problems.next_if(|problem| problem.line < run.first_line) {
                self.take_bad_line(&problem.fault, has_position, is_verified);
            }
            let end = run.first_line + run.rows.len();
            while problems.next_if(|problem| problem.line < end).is_some() {}
            let open = self.current.as_ref();
            let is_misplaced =
                left.is_interrupted_by(&run, &run.file, open) || open.is_some_and(|open| open.index > run.file.index);
            // Of a chunk that is not verified, take no more rows than the table records.
            let limit = chunk.filter(|_| self.is_strict() && !is_verified);
            let limit = limit.map_or(u64::MAX, |chunk| chunk.rows.saturating_sub(run.first_line));
            let taken = if is_misplaced { 0 } else { run.rows.len().min(limit) };
            self.ignore(&run.file, run.rows.len() - taken);
            if taken == 0 {
                continue;
            }
            run.rows.truncate(taken);
            self.current = Some(Arc::clone(&run.file));
            let first_row = first_row.map(|first| first.saturating_add(run.first_line));
            self.ready.push_back(StreamEvent::Rows { run, first_row, is_verified });
        }
        problems.for_each(|problem| self.take_bad_line(&problem.fault, has_position, is_verified));
    }

    fn take_bad_line(&mut self, fault: &LineFault, has_position: bool, is_verified: bool) {
        if let LineFault::NotARow(RowFault::WrongFile { source, file }) = fault {
            self.ignored += 1;
            let name = file.clone().unwrap_or_else(|| default_file(source));
            self.contradicts_manifest |= is_verified && may_exist(source, &name);
        }
        // If the positions of rows are known, missing rows show as gaps in their numbers.
        if !has_position {
            self.ready.push_back(StreamEvent::BadLine);
        }
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::io_unnamed(IoAction::Read, error)
}
