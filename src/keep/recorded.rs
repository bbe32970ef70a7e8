//! The lines that a history has recorded of a log, read back from its segments.

use std::io::{Seek, SeekFrom, Write};
use std::num::NonZeroUsize;
use std::path::Path;

use tempfile::SpooledTempFile;

use super::log_snapshot::{LogPart, LogSnapshot};
use crate::align::each_line;
use crate::error::{Error, IoAction, Result};
use crate::format::ManifestFile;
use crate::format::row::classify;
use crate::history::{History, Segment};
use crate::logs::sequence_of;
use crate::restore::{LogSink, LogWriter, restore};

/// The number of bytes of restored lines that are kept in memory.
const IN_MEMORY_BYTES: usize = 1 << 20;

/// The logs of a history that count as one: the logs of a source between which rotation moves rows, or a single log.
#[derive(Clone, Copy)]
pub struct RecordedLogs<'h> {
    pub history: &'h History,
    pub source: &'h str,
    /// The name of any of the logs.
    pub name: &'h str,
    /// The directory for restored lines.
    pub work_dir: &'h Path,
}

/// The files of a segment, by their indices in its manifest.
type SegmentPieces<'h> = (&'h Segment, Vec<usize>);

impl<'h> RecordedLogs<'h> {
    /// Returns the number of rows.
    pub fn rows(&self) -> u64 {
        let sequence = sequence_of(self.source, self.name);
        let logs = self.history.logs().iter();
        let same = logs.filter(|log| sequence_of(log.id.source.as_str(), log.id.name.as_str()) == sequence);
        same.map(|log| log.rows).sum()
    }

    fn pieces(&self, segment: &'h Segment) -> SegmentPieces<'h> {
        let sequence = sequence_of(self.source, self.name);
        let files = segment.files.iter().enumerate().filter(|(_, file)| {
            let id = &self.history.logs()[file.log].id;
            sequence_of(id.source.as_str(), id.name.as_str()) == sequence && file.bytes > 0
        });
        (segment, files.map(|(index, _)| index).collect())
    }

    /// Returns the lines of the last `rows` rows, oldest first.
    pub fn last_rows(&self, rows: u64) -> Result<LogPart> {
        let (mut found, mut pieces) = (0, Vec::new());
        for segment in self.history.segments().iter().rev() {
            if found >= rows {
                break;
            }
            let piece = self.pieces(segment);
            found += piece.1.iter().map(|file| segment.files[*file].rows).sum::<u64>();
            pieces.push(piece);
        }
        pieces.reverse();
        let content = self.restore(&pieces)?;
        let (mut start, mut surplus) = (0, found.saturating_sub(rows));
        each_line(content.from(0).reader()?, |line| {
            if surplus > 0 {
                start += line.bytes.len() as u64 + u64::from(line.terminated);
                surplus -= u64::from(classify(line.bytes, &[]).is_some());
            }
            Ok(())
        })?;
        Ok(content.from(start))
    }

    /// Passes each line to `take`.
    pub fn each_line(&self, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for segment in self.history.segments() {
            let piece = self.pieces(segment);
            if !piece.1.is_empty() {
                each_line(self.restore(&[piece])?.from(0).reader()?, |line| take(line.bytes))?;
            }
        }
        Ok(())
    }

    fn restore(&self, pieces: &[SegmentPieces<'_>]) -> Result<LogSnapshot> {
        let failed = |error| Error::io(IoAction::Write, self.work_dir, error);
        let mut file = tempfile::spooled_tempfile_in(IN_MEMORY_BYTES, self.work_dir);
        for (segment, files) in pieces {
            let bundle = segment.open()?;
            for index in files {
                let mut sink = JoiningSink { file: Some(file), work_dir: self.work_dir };
                restore(bundle.clone(), Some(vec![*index]), NonZeroUsize::MIN, &mut sink)?;
                file = sink.file.unwrap_or_else(|| tempfile::spooled_tempfile_in(IN_MEMORY_BYTES, self.work_dir));
            }
        }
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        LogSnapshot::new(file, length, self.name)
    }
}

/// Appends one restored log to a file, and ends its last line.
struct JoiningSink<'d> {
    file: Option<SpooledTempFile>,
    work_dir: &'d Path,
}

struct JoiningWriter<'d> {
    file: SpooledTempFile,
    work_dir: &'d Path,
    last: Option<u8>,
}

impl<'d> LogSink for JoiningSink<'d> {
    type Writer = JoiningWriter<'d>;

    fn begin(&mut self, _: usize, _: &ManifestFile) -> Result<JoiningWriter<'d>> {
        let new = || tempfile::spooled_tempfile_in(IN_MEMORY_BYTES, self.work_dir);
        Ok(JoiningWriter { file: self.file.take().unwrap_or_else(new), work_dir: self.work_dir, last: None })
    }

    fn end(&mut self, _: usize, _: &ManifestFile, file: SpooledTempFile) -> Result<()> {
        self.file = Some(file);
        Ok(())
    }
}

impl LogWriter for JoiningWriter<'_> {
    type Done = SpooledTempFile;

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.last = bytes.last().copied().or(self.last);
        self.file.write_all(bytes).map_err(|error| Error::io(IoAction::Write, self.work_dir, error))
    }

    fn finish(mut self) -> Result<SpooledTempFile> {
        if self.last.is_some_and(|last| last != b'\n') {
            self.write(b"\n")?;
        }
        Ok(self.file)
    }
}
