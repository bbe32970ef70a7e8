//! The log that is there already: opened, read as it was then, and looked at again before it is replaced.

use std::fs::Metadata;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use fs_err as fs;

use super::gather::each_line;
use super::lock::Clock;
use super::plan::LineCount;
use super::tally::{Shape, Tally};
use super::targets::Target;
use crate::digest::{HashingReader, Integrity};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::line::classify;
use crate::progress::{Progress, Watched};
use crate::sources::{OpenLog, is_same_file};

/// How much is read at a time.
const READ_BYTES: usize = 256 << 10;

/// A target as it was found.
#[derive(Debug)]
pub(super) struct Local {
    /// The open log, which reads as far as it went when it was opened. `None` when there was none.
    pub(super) log: Option<OpenLog>,
    seen: Option<Metadata>,
}

/// For how long a log that ends amid a row may be one to which that is just being written, and how often to look.
const WRITING_A_ROW: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(2);

impl Local {
    pub(super) fn open(target: &Target) -> Result<Self> {
        if metadata_of(&target.log.path)?.is_none() {
            return Ok(Self { log: None, seen: None });
        }
        let log = OpenLog::open(&target.log)?;
        // A row that comes behind what is read is behind what was seen, too.
        let seen = Some(log.opened().clone());
        Ok(Self { log: Some(log), seen })
    }

    /// Opens a log whose writers take no lock, at a moment in which none of them is amid a row.
    pub(super) fn open_without_lock(target: &Target, clock: &dyn Clock) -> Result<Self> {
        loop {
            let mut local = Self::open(target)?;
            let modified = local.seen.as_ref().and_then(|seen| seen.modified().ok());
            let age = modified.and_then(|modified| clock.now().duration_since(modified).ok());
            let live = local.log.as_mut().filter(|_| age.is_some_and(|age| age < WRITING_A_ROW));
            match live.map(OpenLog::open_line).transpose()? {
                Some(last) if is_amid_a_row(&last) => clock.sleep(PAUSE),
                _ => return Ok(local),
            }
        }
    }

    /// The same without the open log.
    pub(super) fn as_seen(&self) -> Self {
        Self { log: None, seen: self.seen.clone() }
    }

    /// Its length, if it is there.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.seen.as_ref().map(Metadata::len)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes().is_none_or(|bytes| bytes == 0)
    }

    /// Whether what lies at `path` now is still what was seen.
    pub(super) fn is_current(&self, path: &Path) -> Result<bool> {
        Ok(match (&self.seen, metadata_of(path)?) {
            (None, None) => true,
            (Some(then), Some(now)) => {
                is_same_file(then, &now) && then.len() == now.len() && then.modified().ok() == now.modified().ok()
            }
            _ => false,
        })
    }

    /// Whether what lies at `path` now is what was seen, with more behind it.
    pub(super) fn has_only_grown(&self, path: &Path) -> Result<bool> {
        Ok(match (&self.seen, metadata_of(path)?) {
            (Some(then), Some(now)) => is_same_file(then, &now) && then.len() <= now.len(),
            _ => false,
        })
    }

    /// Closes it: many logs may have to wait for their turn.
    pub(super) fn close(&mut self) {
        self.log = None;
    }

    /// What its bytes are, all of them. It is read again from its start after that.
    pub(super) fn integrity(&mut self, progress: &dyn Progress) -> Result<Option<Integrity>> {
        let Some(log) = &mut self.log else { return Ok(None) };
        let mut reader = HashingReader::new(Watched::counted(&mut *log, progress));
        let mut buffer = vec![0; READ_BYTES];
        while reader.read(&mut buffer).map_err(|error| Error::io_unnamed(IoAction::Read, error))? > 0 {}
        let integrity = reader.finish();
        log.rewind()?;
        Ok(Some(integrity))
    }

    /// Reads it whole, without keeping its lines.
    pub(super) fn sum_up(&mut self, target: &Target, progress: &dyn Progress) -> Result<Summary> {
        let mut tally = Tally::default();
        let Some(log) = &mut self.log else { return Ok(Summary { tally, integrity: None }) };
        let mut reader = HashingReader::new(Watched::counted(log, progress));
        let read = each_line(&mut reader, |line| {
            tally.push(Shape::of(line, classify(line.bytes, &[]).is_some()));
            Ok(())
        });
        read.map_err(|error| error.in_subject(&target.subject()))?;
        Ok(Summary { tally, integrity: Some(reader.finish()) })
    }
}

/// Whether the line that a log ends with, without a line feed, may be the first part of a row.
fn is_amid_a_row(line: &[u8]) -> bool {
    !line.is_empty() && classify(line, &[]).is_none()
}

/// What a log is, in short.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) tally: Tally,
    /// `None` for a log that is not there.
    pub(super) integrity: Option<Integrity>,
}

impl Summary {
    pub(super) fn lines(&self) -> LineCount {
        self.tally.lines
    }
}

fn metadata_of(path: &Path) -> Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(there) if there.is_file() => Ok(Some(there)),
        Ok(_) => Err(Error::from(ErrorKind::NotAFile).in_subject(&path.display().to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(IoAction::Open, path, error)),
    }
}
