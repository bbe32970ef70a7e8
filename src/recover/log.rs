//! One recovered log, read as if it were the file.

use std::collections::HashSet;
use std::io::{self, Read};

use super::report::{FileRecovery, missing};
use super::stream::{RowStream, StreamEvent};
use crate::digest::{Integrity, IntegrityHasher};
use crate::error::Result;
use crate::format::log::{LogId, LogRestorer};
use crate::format::{Base, FileName, Manifest, ManifestFile, SourceName, TimeKey};
use crate::scan::rows::RowRun;
use crate::sources::{known, times_of};

/// How many places of a log at which something is missing are kept: a bundle can have hundreds of millions.
const MAX_PLACES: usize = 10_000;

/// How much is restored before it is handed on.
const BUFFER_BYTES: usize = 256 << 10;

/// Restores the rows of one log out of the stream.
pub(super) struct LogReader<'s, 'k, 'm, R> {
    rows: &'s mut RowStream<'k, R>,
    id: LogId,
    /// The log's index into the manifest's `files`, and its entry there.
    declared: Option<(usize, &'m ManifestFile)>,
    restorer: Option<LogRestorer<'m>>,
    /// The row that is due, from 1.
    place: u64,
    taken: u64,
    by_line: u64,
    /// Rows that are lost, as ranges: the first ones. Then how many rows are lost beside them.
    lost: Vec<(u64, u64)>,
    lost_beside: u64,
    gaps_after: Vec<u64>,
    gaps_beside: u64,
    /// Whether something was lost behind the last row that was taken.
    is_behind_gap: bool,
    buffer: Vec<u8>,
    read: usize,
    hasher: IntegrityHasher,
}

impl<'s, 'k, 'm, R: Read> LogReader<'s, 'k, 'm, R> {
    /// The next log: that of the manifest's `files` at `index`, else the one that the next rows belong to, unless it is in
    /// `done`.
    pub(super) fn next(
        rows: &'s mut RowStream<'k, R>,
        manifest: Option<&'m Manifest>,
        index: usize,
        done: &HashSet<(SourceName, FileName)>,
    ) -> Result<Option<Self>> {
        if let Some(manifest) = manifest {
            let Some(file) = manifest.files.get(index) else {
                while rows.peek()?.is_some() {
                    rows.pass_over();
                }
                return Ok(None);
            };
            let id = LogId { source: file.source.clone(), name: file.relative_path.clone(), base: file.base() };
            return Ok(Some(Self::new(rows, id, Some((index, file)))));
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
                None => rows.pass_over(),
            }
        }
        Ok(None)
    }

    fn new(rows: &'s mut RowStream<'k, R>, id: LogId, declared: Option<(usize, &'m ManifestFile)>) -> Self {
        let restorer = declared.map_or_else(LogRestorer::of_rows_alone, |(_, file)| LogRestorer::new(file));
        Self {
            rows,
            id,
            declared,
            restorer: Some(restorer),
            place: 1,
            taken: 0,
            by_line: 0,
            lost: Vec::new(),
            lost_beside: 0,
            gaps_after: Vec::new(),
            gaps_beside: 0,
            is_behind_gap: false,
            buffer: Vec::new(),
            read: 0,
            hasher: IntegrityHasher::default(),
        }
    }

    pub(super) fn id(&self) -> LogId {
        self.id.clone()
    }

    pub(super) fn times(&self) -> &'static [TimeKey] {
        times_of(self.id.source.as_str())
    }

    pub(super) fn finish(self) -> FileRecovery {
        let recovered = self.hasher.finish();
        let expected: Option<Integrity> = self.declared.and_then(|(_, file)| file.integrity());
        FileRecovery {
            source: self.id.source,
            name: self.id.name,
            rows: self.taken,
            rows_by_line: self.by_line,
            expected_rows: self.declared.map(|(_, file)| file.count),
            missing: self.declared.map(|(_, file)| missing(file, &self.lost)).unwrap_or_default(),
            more_missing: self.lost_beside,
            gaps_after: self.gaps_after,
            more_gaps: self.gaps_beside,
            recovered,
            is_original: expected.map(|expected| expected == recovered),
        }
    }

    /// Restores some more, or what comes at the log's end.
    fn restore_some(&mut self) -> Result<()> {
        self.buffer.clear();
        self.read = 0;
        while self.restorer.is_some() && self.buffer.len() < BUFFER_BYTES {
            match self.next_event()? {
                Some(StreamEvent::Rows { run, first_row, is_proven }) => self.take_rows(run, first_row, is_proven),
                Some(StreamEvent::BadLine) => self.take_bad_line(),
                Some(StreamEvent::Gap) => self.is_behind_gap = true,
                None => self.end(),
            }
        }
        self.hasher.update(&self.buffer);
        Ok(())
    }

    /// What comes next, unless it belongs to the next log.
    fn next_event(&mut self) -> Result<Option<StreamEvent>> {
        let is_ours = match self.rows.peek()? {
            None => false,
            Some(StreamEvent::Rows { run, .. }) => match self.declared {
                Some((index, _)) => run.file.index <= Some(index),
                None => run.file.source == self.id.source.as_str() && run.file.name == self.id.name.as_str(),
            },
            Some(StreamEvent::BadLine | StreamEvent::Gap) => true,
        };
        Ok(if is_ours { self.rows.next() } else { None })
    }

    fn take_rows(&mut self, mut run: RowRun, first_row: Option<u64>, is_proven: bool) {
        let first = first_row.unwrap_or(self.place);
        let most = match self.declared {
            Some((index, _)) if run.file.index != Some(index) || first < self.place => 0,
            Some((_, file)) => (file.count + 1).saturating_sub(first),
            None => u64::MAX,
        };
        let rows = run.rows.len().min(most);
        self.rows.ignore(&run.file, run.rows.len() - rows);
        if rows == 0 {
            return;
        }
        if first_row.is_none() {
            self.mark_gap();
        }
        self.is_behind_gap = false;
        run.rows.truncate(rows);
        self.lose_rows_before(first);
        if let Some(restorer) = &mut self.restorer {
            restorer.push_rows(&run.rows, &mut self.buffer);
        }
        self.rows.reuse(run);
        self.place = first + rows;
        self.taken += rows;
        self.by_line += if is_proven { 0 } else { rows };
    }

    /// A line that is no row takes the place of one.
    fn take_bad_line(&mut self) {
        match self.declared {
            Some((_, file)) if self.place <= file.count => self.lose_rows_before(self.place + 1),
            Some(_) => {}
            None => self.is_behind_gap = true,
        }
    }

    fn lose_rows_before(&mut self, row: u64) {
        if row > self.place {
            let is_full = self.lost.len() >= MAX_PLACES;
            match self.lost.last_mut().filter(|(_, last)| *last + 1 == self.place) {
                Some((_, last)) => *last = row - 1,
                None if !is_full => self.lost.push((self.place, row - 1)),
                None => self.lost_beside += row - self.place,
            }
            if let Some(restorer) = &mut self.restorer {
                restorer.skip_rows(row - self.place, &mut self.buffer);
            }
            self.place = row;
        }
    }

    /// Notes that something is lost here of which the place tells nothing.
    fn mark_gap(&mut self) {
        if std::mem::take(&mut self.is_behind_gap) && self.gaps_after.last() != Some(&self.taken) {
            match self.gaps_after.len() < MAX_PLACES {
                true => self.gaps_after.push(self.taken),
                false => self.gaps_beside += 1,
            }
        }
    }

    fn end(&mut self) {
        match self.declared {
            Some((_, file)) => self.lose_rows_before(file.count + 1),
            None => self.mark_gap(),
        }
        if let Some(restorer) = self.restorer.take() {
            restorer.finish(&mut self.buffer);
        }
    }
}

impl<R: Read> Read for LogReader<'_, '_, '_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.read == self.buffer.len() && self.restorer.is_some() {
            self.restore_some()?;
        }
        let n = (&self.buffer[self.read..]).read(out)?;
        self.read += n;
        Ok(n)
    }
}

/// The log that rows say they belong to, if there can be one of such names.
fn id_of(source: &str, name: &str) -> Option<LogId> {
    let base = known(source).map_or(Base::Patchwork, |source| source.base);
    Some(LogId { source: SourceName::new(source).ok()?, name: FileName::new(name).ok()?, base })
}
