//! A log that already exists on this machine. It is opened, read up to its length at that time, and
//! compared with that state before it is replaced.

use std::cmp::Ordering;
use std::fs::Metadata;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use fs_err as fs;

use super::lock::Clock;
use super::tally::Tally;
use super::targets::ImportTarget;
use crate::align::{LineShape, each_line};
use crate::digest::Integrity;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::row::classify;
use crate::logs::OpenLog;
use crate::progress::{Cancellation, Progress};
use crate::util::cancel::CancellableIo;
use crate::util::file_identity::is_same_file;
use crate::util::hashing::HashingReader;
use crate::util::line_reader::Line;
use crate::util::regular_file;

/// The maximum length of a log whose content is compared while writers wait, in bytes. Rotated logs
/// are far shorter.
const MAX_COMPARED_BYTES: u64 = 8 << 20;

/// The time that a writer may take to write a row. A log that ends with an incomplete row is read
/// again if it was written to within that time.
const ROW_WRITE_TIME: Duration = Duration::from_secs(1);

/// The pause before a log that ends with an incomplete row is read again.
const PAUSE: Duration = Duration::from_millis(2);

/// The observed state of a target.
#[derive(Debug)]
pub struct LocalLog {
    /// The open log, limited to its length when it was opened. `None` if it did not exist or is
    /// closed.
    pub log: Option<OpenLog>,
    seen: Option<SeenLog>,
}

/// The observed state of a log.
#[derive(Debug, Clone)]
struct SeenLog {
    file: Metadata,
    /// The length in bytes up to which it was read.
    length: u64,
}

/// The current state of a log, compared with the observed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogState {
    /// It is unchanged.
    Unchanged,
    /// It is the same file, with more bytes at its end.
    Grown,
    /// Another file is at its path.
    Replaced,
    /// It was changed in another way, created or removed.
    Changed,
}

impl LocalLog {
    pub fn open(target: &ImportTarget) -> Result<Self> {
        if metadata_of(&target.log.path)?.is_none() {
            return Ok(Self { log: None, seen: None });
        }
        let log = open_log(target)?;
        // Rows that are written from now on follow the observed length.
        let seen = Some(SeenLog { file: log.opened().clone(), length: log.opened().len() });
        Ok(Self { log: Some(log), seen })
    }

    /// Opens a log whose writers take no lock. Waits up to a second for a writer that is in the
    /// middle of a row.
    pub fn open_without_lock(target: &ImportTarget, clock: &dyn Clock, cancellation: &Cancellation) -> Result<Self> {
        let mut waited = Duration::ZERO;
        loop {
            cancellation.check()?;
            let mut local = Self::open(target)?;
            let modified = local.seen.as_ref().and_then(|seen| seen.file.modified().ok());
            let age = modified.and_then(|modified| clock.now().duration_since(modified).ok());
            let live = local.log.as_mut().filter(|_| age.is_some_and(|age| age < ROW_WRITE_TIME));
            match live.map(OpenLog::open_line).transpose()? {
                Some(last) if is_partial_row(&last) && waited < ROW_WRITE_TIME => {
                    clock.sleep(PAUSE);
                    waited += PAUSE;
                }
                _ => return Ok(local),
            }
        }
    }

    /// Returns the observed state, without the open log.
    pub fn as_seen(&self) -> Self {
        Self { log: None, seen: self.seen.clone() }
    }

    /// Returns the observed length in bytes, or `None` if the log did not exist.
    pub fn bytes(&self) -> Option<u64> {
        self.seen.as_ref().map(|seen| seen.length)
    }

    pub fn is_empty(&self) -> bool {
        self.bytes().is_none_or(|bytes| bytes == 0)
    }

    /// Compares the file now at `path` with the observed one.
    pub fn state(&self, path: &Path) -> Result<LogState> {
        Ok(match (&self.seen, metadata_of(path)?) {
            (None, None) => LogState::Unchanged,
            (Some(SeenLog { file, length }), Some(now)) if is_same_file(file, &now) => {
                let as_modified = file.len() == *length && file.modified().ok() == now.modified().ok();
                match now.len().cmp(length) {
                    Ordering::Greater => LogState::Grown,
                    Ordering::Equal if as_modified => LogState::Unchanged,
                    _ => LogState::Changed,
                }
            }
            (Some(_), Some(_)) => LogState::Replaced,
            _ => LogState::Changed,
        })
    }

    /// Adopts the file now at the path as the observed one, if it starts with all observed bytes,
    /// and returns true if so. (Rotation rewrites even a log that it does not trim.)
    pub fn rebase(&mut self, target: &ImportTarget) -> Result<bool> {
        let Some((seen, log)) = self.seen.as_mut().zip(self.log.as_mut()) else { return Ok(false) };
        let Ok(mut now) = open_log(target) else { return Ok(false) };
        if now.opened().len() < seen.length || seen.length > MAX_COMPARED_BYTES {
            return Ok(false);
        }
        let first_bytes = |log: &mut OpenLog| {
            let mut bytes = Vec::new();
            log.rewind()?;
            let read = log.by_ref().take(seen.length).read_to_end(&mut bytes);
            read.map(|_| bytes).map_err(|error| Error::io(IoAction::Read, &target.log.path, error))
        };
        if first_bytes(log)? != first_bytes(&mut now)? {
            return Ok(false);
        }
        seen.file = now.opened().clone();
        *log = now;
        Ok(true)
    }

    /// Returns true if the observed content is empty or ends with a line feed, so that late rows
    /// can follow its copy.
    pub fn ends_whole_line(&self, path: &Path) -> Result<bool> {
        let Some(at) = self.bytes().and_then(|bytes| bytes.checked_sub(1)) else { return Ok(true) };
        let failed = |error| Error::io(IoAction::Read, path, error);
        let Some(mut log) = self.reopen(path)? else { return Ok(false) };
        let mut last = [0];
        log.seek(SeekFrom::Start(at)).and_then(|_| log.read_exact(&mut last)).map_err(failed)?;
        Ok(last == *b"\n")
    }

    /// Opens the observed log again, for reading and appending. Returns `None` if it did not exist,
    /// or if the path now has no file or another one.
    pub fn reopen(&self, path: &Path) -> Result<Option<fs::File>> {
        let Some(seen) = &self.seen else { return Ok(None) };
        let failed = |error| Error::io(IoAction::Open, path, error);
        // A duplicate of the open file would share its position.
        let now = match regular_file::open_to_append(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        let file = now.metadata().map_err(failed)?;
        Ok(is_same_file(&file, &seen.file).then_some(now))
    }

    /// Closes the log, to limit the number of open files.
    pub fn close(&mut self) {
        self.log = None;
    }

    /// Reads the whole log line by line, and rewinds it. Returns its digest, or `None` if there is
    /// no log.
    pub fn read(
        &mut self,
        target: &ImportTarget,
        progress: &dyn Progress,
        mut take: impl FnMut(Line<'_>),
    ) -> Result<Option<Integrity>> {
        let Some(log) = &mut self.log else { return Ok(None) };
        let mut reader = HashingReader::new(CancellableIo::counted(&mut *log, progress));
        let read = each_line(&mut reader, |line| {
            take(line);
            Ok(())
        });
        read.map_err(|error| error.in_subject(&target.subject()))?;
        let integrity = reader.finish();
        log.rewind()?;
        Ok(Some(integrity))
    }

    /// Reads the log and returns its totals.
    pub fn summarize(&mut self, target: &ImportTarget, progress: &dyn Progress) -> Result<LogSummary> {
        let mut tally = Tally::default();
        let tell = |line: Line<'_>| tally.push(LineShape::of(line, classify(line.bytes, &[]).is_some()));
        let integrity = self.read(target, progress, tell)?;
        Ok(LogSummary { tally, integrity })
    }
}

/// Returns true if an unterminated last line may be the first part of a row.
fn is_partial_row(line: &[u8]) -> bool {
    !line.is_empty() && classify(line, &[]).is_none()
}

/// The totals of a log's lines, and its digest.
#[derive(Debug, Default)]
pub struct LogSummary {
    pub tally: Tally,
    /// `None` for a log that does not exist.
    pub integrity: Option<Integrity>,
}

/// Opens a log, whose path has its symlinks resolved.
fn open_log(target: &ImportTarget) -> Result<OpenLog> {
    let path = &target.log.path;
    let file = regular_file::open_no_follow(path).map_err(|error| Error::io(IoAction::Open, path, error))?;
    OpenLog::from_file(&target.log, file)
}

fn metadata_of(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(existing) if existing.is_file() => Ok(Some(existing)),
        Ok(_) => Err(Error::from(ErrorKind::NotAFile).in_subject(&path.display().to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(IoAction::Open, path, error)),
    }
}
