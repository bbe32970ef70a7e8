//! Reads one recovered log as if it were the original file.

use std::collections::HashSet;
use std::io::{self, Read};

use super::report::{FileRecovery, missing};
use super::stream::{RowStream, StreamEvent};
use crate::assemble::LogAssembler;
use crate::digest::Integrity;
use crate::error::Result;
use crate::format::LogId;
use crate::format::{Base, FileName, Manifest, ManifestFile, SourceName, TimeKey};
use crate::logs::{known, times_of};
use crate::salvage::RowRun;

/// The maximum number of gaps that are recorded for a log. A bundle can have hundreds of millions.
const MAX_GAPS: usize = 10_000;

/// The amount of restored text that is buffered, in bytes.
const BUFFER_BYTES: usize = 256 << 10;

/// A reader of one log, restored from the rows of the stream.
pub(super) struct LogReader<'s, 'k, 'm, 'r> {
    rows: &'s mut RowStream<'k, 'r>,
    id: LogId,
    /// The log's index in the manifest's `files`, and its entry there.
    declared: Option<(usize, &'m ManifestFile)>,
    /// The number of rows that the manifest declares, unless only the hash of the log is trusted.
    count: Option<u64>,
    log: LogAssembler<'m>,
    /// The expected row, from 1.
    next_row: u64,
    taken: u64,
    /// The number of rows taken that no checksum proves.
    unverified: u64,
    /// The first ranges of lost rows, and the number of lost rows in further ranges.
    lost: Vec<(u64, u64)>,
    more_lost: u64,
    gaps_after: Vec<u64>,
    more_gaps: u64,
    /// True if text of unknown extent was lost after the last row taken.
    is_after_gap: bool,
    /// The number of bytes in the buffer that were read.
    read: usize,
}

impl<'s, 'k, 'm, 'r> LogReader<'s, 'k, 'm, 'r> {
    /// Returns the next log: the manifest's file `index`, or, without a manifest, the log of the next rows, skipping
    /// the logs in `done`.
    pub(super) fn next(
        rows: &'s mut RowStream<'k, 'r>,
        manifest: Option<&'m Manifest>,
        index: usize,
        done: &HashSet<(SourceName, FileName)>,
    ) -> Result<Option<Self>> {
        if let Some(manifest) = manifest {
            let Some(file) = manifest.files.get(index) else {
                while rows.peek()?.is_some() {
                    rows.skip();
                }
                return Ok(None);
            };
            return Ok(Some(Self::new(rows, LogId::of(file), Some((index, file)))));
        }
        let mut has_gap = false;
        while let Some(event) = rows.peek()? {
            let id = match event {
                StreamEvent::Rows { run, .. } => id_of(&run.file.source, &run.file.name),
                StreamEvent::Gap | StreamEvent::BadLine => {
                    has_gap = true;
                    None
                }
            };
            match id.filter(|id| !done.contains(&(id.source.clone(), id.name.clone()))) {
                Some(id) => {
                    let mut log = Self::new(rows, id, None);
                    log.gaps_after.extend(has_gap.then_some(0));
                    return Ok(Some(log));
                }
                None => rows.skip(),
            }
        }
        Ok(None)
    }

    fn new(rows: &'s mut RowStream<'k, 'r>, id: LogId, declared: Option<(usize, &'m ManifestFile)>) -> Self {
        let count = declared.filter(|_| rows.is_strict()).map(|(_, file)| file.count);
        Self {
            rows,
            id,
            declared,
            count,
            log: LogAssembler::new(declared.map(|(_, file)| file)),
            next_row: 1,
            taken: 0,
            unverified: 0,
            lost: Vec::new(),
            more_lost: 0,
            gaps_after: Vec::new(),
            more_gaps: 0,
            is_after_gap: false,
            read: 0,
        }
    }

    pub(super) fn id(&self) -> LogId {
        self.id.clone()
    }

    pub(super) fn times(&self) -> &'static [TimeKey] {
        times_of(self.id.source.as_str())
    }

    pub(super) fn finish(self) -> FileRecovery {
        let recovered = self.log.integrity();
        let expected: Option<Integrity> = self.declared.and_then(|(_, file)| file.integrity());
        let mut log = FileRecovery {
            source: self.id.source,
            name: self.id.name,
            rows: self.taken,
            unverified_rows: self.unverified,
            // Verified rows are taken even if there are more than the manifest declares.
            expected_rows: self.count.map(|count| count.max(self.next_row - 1)),
            missing: self.declared.map(|(_, file)| missing(file, &self.lost)).unwrap_or_default(),
            more_missing: self.more_lost,
            gaps_after: self.gaps_after,
            more_gaps: self.more_gaps,
            recovered,
            is_original: expected.map(|expected| expected == recovered),
        };
        if log.is_original == Some(true) {
            log.unverified_rows = 0;
            log.expected_rows.get_or_insert(log.rows);
            (log.gaps_after, log.more_gaps) = (Vec::new(), 0);
        }
        log
    }

    /// Restores the next rows, or the end of the log, into the buffer.
    fn restore_some(&mut self) -> Result<()> {
        self.log.clear();
        self.read = 0;
        while !self.log.is_complete() && self.log.restored().len() < BUFFER_BYTES {
            match self.next_event()? {
                Some(StreamEvent::Rows { run, first_row, is_verified }) => self.take_rows(run, first_row, is_verified),
                Some(StreamEvent::BadLine) => self.take_bad_line(),
                Some(StreamEvent::Gap) => self.is_after_gap = true,
                None => self.end(),
            }
        }
        Ok(())
    }

    /// Takes the next event unless it belongs to the next log.
    fn next_event(&mut self) -> Result<Option<StreamEvent>> {
        let is_ours = match self.rows.peek()? {
            None => false,
            Some(StreamEvent::Rows { run, .. }) => match self.declared {
                Some((index, _)) => run.file.index == Some(index),
                None => run.file.source == self.id.source.as_str() && run.file.name == self.id.name.as_str(),
            },
            Some(StreamEvent::BadLine | StreamEvent::Gap) => true,
        };
        Ok(if is_ours { self.rows.next() } else { None })
    }

    fn take_rows(&mut self, mut run: RowRun, first_row: Option<u64>, is_verified: bool) {
        let first = first_row.unwrap_or(self.next_row);
        let limit = match self.count {
            Some(_) if first < self.next_row => 0,
            Some(count) if !is_verified => (count + 1).saturating_sub(first),
            _ => u64::MAX,
        };
        let rows = run.rows.len().min(limit);
        self.rows.ignore(&run.file, run.rows.len() - rows);
        if rows == 0 {
            return;
        }
        if first_row.is_none() {
            self.mark_gap();
        }
        self.is_after_gap = false;
        run.rows.truncate(rows);
        self.mark_lost_before(first);
        self.log.push(&run.rows);
        self.rows.reuse(run);
        self.next_row = first + rows;
        self.taken += rows;
        self.unverified += if is_verified { 0 } else { rows };
    }

    /// Handles a line that is not a row. The row in its place is lost.
    fn take_bad_line(&mut self) {
        match self.count {
            Some(count) if self.next_row <= count => self.mark_lost_before(self.next_row + 1),
            Some(_) => {}
            None => self.is_after_gap = true,
        }
    }

    fn mark_lost_before(&mut self, row: u64) {
        if row > self.next_row {
            let is_full = self.lost.len() >= MAX_GAPS;
            match self.lost.last_mut().filter(|(_, last)| *last + 1 == self.next_row) {
                Some((_, last)) => *last = row - 1,
                None if !is_full => self.lost.push((self.next_row, row - 1)),
                None => self.more_lost += row - self.next_row,
            }
            self.log.skip(row - self.next_row);
            self.next_row = row;
        }
    }

    /// Records a gap here if text of unknown extent was lost.
    fn mark_gap(&mut self) {
        if std::mem::take(&mut self.is_after_gap) && self.gaps_after.last() != Some(&self.taken) {
            match self.gaps_after.len() < MAX_GAPS {
                true => self.gaps_after.push(self.taken),
                false => self.more_gaps += 1,
            }
        }
    }

    fn end(&mut self) {
        match self.count {
            Some(count) => self.mark_lost_before(count + 1),
            None => self.mark_gap(),
        }
        self.log.complete();
    }
}

impl Read for LogReader<'_, '_, '_, '_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.read == self.log.restored().len() && !self.log.is_complete() {
            self.restore_some()?;
        }
        let n = (&self.log.restored()[self.read..]).read(out)?;
        self.read += n;
        Ok(n)
    }
}

/// Returns the log with this source and name, if both are valid.
fn id_of(source: &str, name: &str) -> Option<LogId> {
    let base = known(source).map_or(Base::Patchwork, |source| source.base);
    Some(LogId { source: SourceName::new(source).ok()?, name: FileName::new(name).ok()?, base })
}
