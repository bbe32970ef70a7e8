//! The rows of a damaged bundle, in order, with what lies between them.

use std::collections::{HashSet, VecDeque};
use std::io::Read;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::Scope;

use crate::error::{Error, IoAction, Result, RowFault};
use crate::format::envelope::default_file;
use crate::gzip::{Anomaly, BlockEnd};
use crate::pool::Pool;
use crate::progress::Progress;
use crate::scan::rows::{LastRuns, LineFault, PartLines, ReadPart, RowFile, RowRun, ScanContext};
use crate::scan::{Part, Parts, TextDigest};
use crate::sources::may_exist;

/// What comes next.
pub(super) enum StreamEvent {
    /// Rows of one log that follow each other.
    Rows {
        run: RowRun,
        /// Which row of its log the first is, from 1, if its place in the bundle tells.
        first_row: Option<u64>,
        is_proven: bool,
    },
    /// A line that takes the place of a row.
    BadLine,
    /// Something is lost here, nobody knows how much.
    Gap,
}

/// Reads parts on several threads, and hands out what they hold.
#[allow(clippy::struct_excessive_bools, reason = "they are independent facts")]
pub(super) struct RowStream<'k, R> {
    parts: Parts<R>,
    pool: Pool<Part, ReadPart>,
    waiting: Option<Part>,
    known: &'k ScanContext<'k>,
    progress: &'k dyn Progress,
    /// Lines that were read and come next.
    read: VecDeque<PartLines>,
    ready: VecDeque<StreamEvent>,
    /// The log of the rows before.
    current: Option<Arc<RowFile>>,
    /// The logs whose rows are left out, as source and name.
    skipped: HashSet<(String, String)>,
    /// How many of their rows were.
    pub(super) rows_left_out: u64,
    /// Lines that look like rows but were not taken.
    pub(super) ignored: u64,
    /// How many of them are rows of each file of the manifest.
    pub(super) ignored_of: Vec<u64>,
    text: TextDigest,
    /// Whether nothing was damaged so far.
    pub(super) is_sound: bool,
    /// Whether the end of the member proves all that it holds.
    pub(super) is_proven: bool,
    /// Whether proven rows belong to a log that the manifest does not have there.
    pub(super) contradicts_manifest: bool,
    /// Whether a proven chunk has another number of rows than its table says.
    pub(super) contradicts_table: bool,
}

impl<'k, R: Read> RowStream<'k, R> {
    /// `text` is the sum of what came before `parts`.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        parts: Parts<R>,
        text: TextDigest,
        known: &'k ScanContext<'k>,
        threads: NonZeroUsize,
        progress: &'k dyn Progress,
    ) -> Self
    where
        'k: 'scope,
    {
        let parts_are_text = parts.are_text();
        Self {
            parts,
            pool: Pool::start(scope, threads, || known.reader()),
            waiting: None,
            known,
            progress,
            read: VecDeque::new(),
            ready: VecDeque::new(),
            current: None,
            skipped: HashSet::new(),
            rows_left_out: 0,
            ignored: 0,
            ignored_of: vec![0; known.manifest.as_ref().map_or(0, |(manifest, _)| manifest.files.len())],
            text,
            is_sound: true,
            is_proven: parts_are_text,
            contradicts_manifest: false,
            contradicts_table: false,
        }
    }

    /// Puts text before everything: a first line that is no manifest, but may be a row.
    pub(super) fn begin_with(&mut self, text: Vec<u8>) {
        if !text.is_empty()
            && let ReadPart::PartLines(lines) = self.known.reader()(Part::Text { slot: None, offset: None, text })
            && lines.problems.is_empty()
        {
            self.read.push_back(*lines);
        }
    }

    /// Leaves out the rows of these logs, as source and name.
    pub(super) fn leave_out(&mut self, logs: HashSet<(String, String)>) {
        self.skipped = logs;
    }

    /// What comes next, left where it is.
    pub(super) fn peek(&mut self) -> Result<Option<&StreamEvent>> {
        while self.ready.is_empty() {
            if let Some(lines) = self.read.pop_front() {
                self.take(lines);
                continue;
            }
            self.feed()?;
            let read = self.pool.pop().map_err(|_| failed(std::io::Error::other("a reading thread died")))?;
            match read {
                None => return Ok(None),
                Some(ReadPart::PartLines(lines)) => self.read.push_back(*lines),
                Some(ReadPart::Saved(saved)) => self.read.extend(saved),
                Some(ReadPart::Other(part)) => self.take_other(&part),
            }
        }
        Ok(self.ready.front())
    }

    /// Takes what comes next.
    pub(super) fn next(&mut self) -> Option<StreamEvent> {
        self.ready.pop_front()
    }

    /// Leaves out what comes next.
    pub(super) fn pass_over(&mut self) {
        if let Some(StreamEvent::Rows { run, .. }) = self.ready.pop_front() {
            self.ignore(&run.file, run.rows.len());
        }
    }

    /// Counts rows that were not taken.
    pub(super) fn ignore(&mut self, file: &RowFile, rows: u64) {
        self.ignored += rows;
        if let Some(of_file) = file.index.and_then(|index| self.ignored_of.get_mut(index)) {
            *of_file += rows;
        }
    }

    /// Takes back the memory of rows that are done with.
    pub(super) fn reuse(&self, run: RowRun) {
        self.known.buffers.put(run.rows.into_memory());
    }

    /// Gives the threads as much to do as there is room for.
    fn feed(&mut self) -> Result<()> {
        loop {
            let part = match self.waiting.take() {
                Some(part) => part,
                None => match self.parts.next_part().map_err(failed)? {
                    Some(part) => part,
                    None => return Ok(()),
                },
            };
            let weight = part.weight(self.known.chunk_refs);
            if !self.pool.has_room_for(weight) {
                self.waiting = Some(part);
                return Ok(());
            }
            self.progress.advance(part.length());
            self.pool.push(part, weight).map_err(|_| failed(std::io::Error::other("a reading thread died")))?;
        }
    }

    fn take_other(&mut self, part: &Part) {
        match part {
            Part::Odd(Anomaly::Fault(_), _) => self.is_sound = false,
            Part::Missing(_) | Part::TooLong => {
                self.is_sound = false;
                self.ready.push_back(StreamEvent::Gap);
            }
            Part::Tail(tail) => {
                self.is_proven = self.text.is_proven_by(tail);
                self.is_sound &= self.is_proven;
            }
            Part::Odd(..) | Part::Block { .. } | Part::Text { .. } => {}
        }
    }

    fn take(&mut self, mut lines: PartLines) {
        if lines.is_block && lines.taken_before == 0 {
            self.text.add(&lines);
        }
        let is_last = lines.rest.is_none();
        if let Some(rest) = lines.rest.take() {
            self.read.push_front(self.known.read_on(*rest));
        }
        // What the table does not name is not of this bundle, unless its place was lost with the flush points.
        if lines.slot.is_none() && !lines.is_guess && !self.known.chunk_refs.is_empty() {
            self.is_sound = false;
            self.ignored += lines.count - lines.taken_before;
            return;
        }
        let has_place = lines.is_block || lines.is_proven;
        let chunk = lines.slot.map(|slot| self.known.chunk_refs[slot]);
        let slot = chunk.filter(|_| has_place);
        let all_are_rows = lines.problems.iter().all(|problem| matches!(problem.fault, LineFault::Entry(_)));
        let is_whole = lines.end == BlockEnd::FlushPoint && all_are_rows;
        self.is_sound &= is_whole && (lines.slot.is_none() || lines.is_proven);
        self.contradicts_table |= is_last && lines.is_proven && slot.is_some_and(|slot| slot.rows != lines.count);
        let mut problems = lines.problems.iter().peekable();
        let runs = self.without_left_out(lines.runs);
        let last_runs = LastRuns::of(runs.iter(), |run| Arc::clone(&run.file));
        for (index, mut run) in runs.into_iter().enumerate() {
            while let Some(problem) = problems.next_if(|problem| problem.line < run.first_line) {
                self.take_bad_line(&problem.fault, slot.is_some(), lines.is_proven);
            }
            let end = run.first_line + run.rows.len();
            while problems.next_if(|problem| problem.line < end).is_some() {}
            let is_interleaved =
                self.current.as_ref().is_some_and(|open| last_runs.is_interleaved(index, &run.file, open));
            // No more than the chunk has.
            let most = chunk.map_or(u64::MAX, |chunk| chunk.rows.saturating_sub(run.first_line));
            let taken = if is_interleaved { 0 } else { run.rows.len().min(most) };
            self.ignore(&run.file, run.rows.len() - taken);
            if taken == 0 {
                continue;
            }
            run.rows.truncate(taken);
            self.current = Some(Arc::clone(&run.file));
            let first_row = slot.map(|slot| slot.first_row.saturating_add(run.first_line));
            self.ready.push_back(StreamEvent::Rows { run, first_row, is_proven: lines.is_proven });
        }
        problems.for_each(|problem| self.take_bad_line(&problem.fault, slot.is_some(), lines.is_proven));
        if is_last && lines.end != BlockEnd::FlushPoint {
            self.ready.push_back(StreamEvent::Gap);
        }
    }

    fn without_left_out(&mut self, mut left: Vec<RowRun>) -> Vec<RowRun> {
        if !self.skipped.is_empty() {
            let is_left_out = |file: &RowFile| self.skipped.contains(&(file.source.clone(), file.name.clone()));
            self.rows_left_out +=
                left.iter().filter(|run| is_left_out(&run.file)).map(|run| run.rows.len()).sum::<u64>();
            left.retain(|run| !is_left_out(&run.file));
        }
        left
    }

    fn take_bad_line(&mut self, fault: &LineFault, has_place: bool, is_proven: bool) {
        if let LineFault::NoRow(RowFault::WrongFile { source, file }) = fault {
            self.ignored += 1;
            let name = file.clone().unwrap_or_else(|| default_file(source));
            self.contradicts_manifest |= is_proven && may_exist(source, &name);
        }
        // Where the place of rows is known, so are those that are missing.
        if !has_place {
            self.ready.push_back(StreamEvent::BadLine);
        }
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::io_unnamed(IoAction::Read, error)
}
