//! The lines that a history has recorded of a log, read back from its segments.

use std::io::{Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::path::Path;

use tempfile::SpooledTempFile;

use super::log_snapshot::{LogPart, LogSnapshot};
use super::temporary_log::{TemporaryLog, temporary_file};
use crate::align::each_line;
use crate::error::{Error, IoAction, Result};
use crate::format::ManifestFile;
use crate::format::row::classify;
use crate::history::{History, Segment};
use crate::logs::GroupKey;
use crate::restore::{LogSink, restore};

/// The logs of a history that count as one: the logs of a source between which rotation moves rows, or a single log.
#[derive(Clone, Copy)]
pub struct RecordedLogs<'h> {
    pub history: &'h History,
    pub group: &'h GroupKey,
    /// The directory for restored lines.
    pub work_dir: &'h Path,
}

/// The files of a segment, by their indices in its manifest.
type SegmentPieces<'h> = (&'h Segment, Vec<usize>);

impl<'h> RecordedLogs<'h> {
    /// Returns the number of rows.
    pub fn rows(&self) -> u64 {
        let logs = self.history.logs().iter();
        logs.filter(|log| GroupKey::of(&log.id).0 == *self.group).map(|log| log.rows).sum()
    }

    fn pieces(&self, segment: &'h Segment) -> SegmentPieces<'h> {
        let is_of_group = |log: usize| GroupKey::of(&self.history.logs()[log].id).0 == *self.group;
        let files = segment.files.iter().enumerate();
        let files = files.filter(|(_, file)| file.bytes > 0 && is_of_group(file.log));
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
        let mut file = temporary_file(self.work_dir);
        for (segment, files) in pieces {
            let bundle = segment.open()?;
            for index in files {
                let mut sink = JoiningSink { file: Some(file), work_dir: self.work_dir };
                restore(bundle.clone(), Some(vec![*index]), NonZeroUsize::MIN, &mut sink)?;
                file = sink.file.unwrap_or_else(|| temporary_file(self.work_dir));
            }
        }
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        LogSnapshot::new(file, length, self.group.live_name())
    }
}

/// Appends one restored log to a file, and ends its last line.
struct JoiningSink<'d> {
    file: Option<SpooledTempFile>,
    work_dir: &'d Path,
}

impl<'d> LogSink for JoiningSink<'d> {
    type Writer = TemporaryLog<'d>;

    fn begin(&mut self, _: usize, _: &ManifestFile) -> Result<TemporaryLog<'d>> {
        let file = self.file.take().unwrap_or_else(|| temporary_file(self.work_dir));
        Ok(TemporaryLog::appended_to(file, self.work_dir))
    }

    fn end(&mut self, _: usize, _: &ManifestFile, file: SpooledTempFile) -> Result<()> {
        self.file = Some(file);
        Ok(())
    }
}
