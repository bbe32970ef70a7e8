//! Reads the lines of logs that a history has recorded, from its segments or the notes on them.

use std::io::{Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::path::Path;

use tempfile::SpooledTempFile;

use super::compare::{KnownPart, fingerprints};
use super::log_snapshot::LogSnapshot;
use super::notes::{NotedLines, Notes};
use super::temporary_log::{TemporaryLog, temporary_file};
use crate::align::{Fingerprint, Fingerprinter};
use crate::bundle::Bundle;
use crate::error::{Error, ErrorKind, HistoryFault, IoAction, Result};
use crate::format::ManifestFile;
use crate::history::{History, Segment};
use crate::logs::GroupKey;
use crate::restore::{LogSink, restore};

/// A group of logs of a history: the logs of a source between which rotation moves rows, or a
/// single log.
#[derive(Clone, Copy)]
pub struct RecordedLogs<'h> {
    pub history: &'h History,
    pub group: &'h GroupKey,
    /// The notes on encrypted segments.
    pub notes: Option<&'h Notes>,
    /// The directory for restored lines.
    pub work_dir: &'h Path,
}

/// A segment, and the indices of some of its files in its manifest.
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
    pub fn last_rows(&self, rows: u64) -> Result<Vec<KnownPart>> {
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
        let (mut parts, mut texts) = (Vec::new(), Vec::new());
        for piece in pieces {
            match self.noted(&piece) {
                None => texts.push(piece),
                Some(lines) => {
                    parts.extend(self.text(&std::mem::take(&mut texts))?);
                    parts.push(KnownPart::Noted(lines));
                }
            }
        }
        parts.extend(self.text(&texts)?);
        let mut surplus = found.saturating_sub(rows);
        for part in &mut parts {
            surplus -= part.skip_rows(surplus)?;
        }
        Ok(parts)
    }

    /// Passes the fingerprint of each line to `take`.
    pub fn each_fingerprint(&self, fingerprinter: Fingerprinter, take: &mut dyn FnMut(Fingerprint)) -> Result<()> {
        for segment in self.history.segments() {
            let piece = self.pieces(segment);
            match self.noted(&piece) {
                _ if piece.1.is_empty() => {}
                Some(noted) => noted.lines.iter().for_each(|line| take(line.fingerprint)),
                None => fingerprints(&self.restore(&[piece])?.from(0), fingerprinter, take)?,
            }
        }
        Ok(())
    }

    fn noted(&self, (segment, files): &SegmentPieces<'h>) -> Option<NotedLines> {
        self.notes.filter(|_| segment.name.is_sealed)?.lines(&segment.name, files)
    }

    fn text(&self, pieces: &[SegmentPieces<'_>]) -> Result<Option<KnownPart>> {
        match pieces.is_empty() {
            true => Ok(None),
            false => Ok(Some(KnownPart::Text(self.restore(pieces)?.from(0)))),
        }
    }

    fn restore(&self, pieces: &[SegmentPieces<'_>]) -> Result<LogSnapshot> {
        let failed = |error| Error::io(IoAction::Write, self.work_dir, error);
        let mut file = temporary_file(self.work_dir);
        for (segment, files) in pieces {
            let bundle = open(segment)?;
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

/// Opens a segment that has no note. If it is encrypted, this needs a key.
pub fn open(segment: &Segment) -> Result<Bundle<'static>> {
    segment.open().map_err(without_note)
}

/// Turns the error that an encrypted segment needs a key into the error that the segment has no
/// note.
pub fn without_note(error: Error) -> Error {
    let path = error.position().subject.clone().filter(|_| matches!(error.kind(), ErrorKind::Encrypted(_)));
    path.map_or(error, |path| Error::from(ErrorKind::History(HistoryFault::NoNote)).in_subject(&path))
}

/// Appends one restored log to a file, and terminates its last line.
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
