//! Opens logs so that what is read is one moment of them, while their writers go on.

use std::fs::Metadata;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use fs_err as fs;

use super::writers::Patience;
use super::{Group, Log};
use crate::error::{Error, ErrorKind, IoAction, Result};

/// How often a group that is replaced meanwhile is opened before giving up.
const ATTEMPTS: usize = 100;

/// An open log. Reads as many bytes as it had when it was opened, whatever its writers do to the file.
#[derive(Debug)]
pub struct OpenLog {
    /// Which log it is.
    pub log: Log,
    file: fs::File,
    opened: Metadata,
    length: u64,
    left: u64,
}

impl Group {
    /// Opens its logs at one moment: rows that rotation moves from one to another meanwhile are in exactly one of them. A
    /// writer who holds their lock is waited for, for up to five seconds.
    ///
    /// # Errors
    /// When a log cannot be opened, or they are replaced again and again.
    pub fn open(&self) -> Result<Vec<OpenLog>> {
        let mut group = self.clone();
        let mut writer = Patience::with(self.lock());
        for _ in 0..ATTEMPTS {
            while writer.is_amid() {}
            let opened = group.logs.iter().map(OpenLog::open).collect::<Result<Vec<_>>>();
            let Some(now) = group.again()? else { return opened };
            // Amid a rotation rows are in two logs, and a row that is just being written is half there.
            if let Ok(opened) = opened
                && same_moment(&opened, &now)?
                && !writer.is_amid()
            {
                return Ok(opened);
            }
            std::thread::yield_now();
            group = now;
        }
        // Say what is in the way, if something is.
        group.logs.iter().try_for_each(|log| OpenLog::open(log).map(drop))?;
        let subject = self.logs.first().map(|log| log.path.display().to_string()).unwrap_or_default();
        Err(Error::from(ErrorKind::LogsKeepChanging).in_subject(&subject))
    }
}

/// Whether the opened logs are the ones that lie there now. The last one may have grown, as rows are only added to it;
/// the ones before it may not, as rows are moved there from the last.
fn same_moment(opened: &[OpenLog], now: &Group) -> Result<bool> {
    if opened.len() != now.logs.len() {
        return Ok(false);
    }
    for (index, (open, log)) in opened.iter().zip(&now.logs).enumerate() {
        let path = &log.path;
        let failed = |error| Error::io(IoAction::Open, path, error);
        let there = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            there => there.map_err(failed)?,
        };
        let is_last = index + 1 == opened.len();
        let same = open.log.path == *path && is_same_file(&open.opened, &there);
        if !same || !is_last && there.len() != open.length {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether two looks at a path saw the same file.
#[cfg(unix)]
pub(crate) fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
pub(crate) fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    a.created().ok() == b.created().ok()
}

impl OpenLog {
    /// Opens a single log.
    ///
    /// # Errors
    /// When it cannot be opened, or is no file.
    pub fn open(log: &Log) -> Result<Self> {
        let file = fs::File::open(&log.path).map_err(|error| Error::io(IoAction::Open, &log.path, error))?;
        Self::from_file(log, file)
    }

    /// Reads a log that is open already.
    pub(crate) fn from_file(log: &Log, file: fs::File) -> Result<Self> {
        let failed = |error| Error::io(IoAction::Open, &log.path, error);
        let opened = file.metadata().map_err(failed)?;
        if !opened.is_file() {
            return Err(Error::from(ErrorKind::NotAFile).in_subject(&log.path.display().to_string()));
        }
        let length = opened.len();
        Ok(Self { log: log.clone(), file, opened, length, left: length })
    }

    /// What the file was when it was opened. Its length is as far as it is read.
    #[must_use]
    pub fn opened(&self) -> &Metadata {
        &self.opened
    }

    /// Reads from the start again, as far as the log went when it was opened.
    ///
    /// # Errors
    /// When the file cannot go back.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        self.file.rewind().map_err(|error| Error::io(IoAction::Read, &self.log.path, error))?;
        self.left = self.length;
        Ok(())
    }

    /// What stands behind its last line feed, or the end of that where it is very long.
    pub(crate) fn open_line(&mut self) -> Result<Vec<u8>> {
        const LONGEST: u64 = 1 << 20;
        let failed = |error| Error::io(IoAction::Read, &self.log.path, error);
        let start = self.length.saturating_sub(LONGEST);
        let mut line = Vec::new();
        self.file.seek(SeekFrom::Start(start)).map_err(failed)?;
        self.file.by_ref().take(self.length - start).read_to_end(&mut line).map_err(failed)?;
        line.drain(..memchr::memrchr(b'\n', &line).map_or(0, |at| at + 1));
        self.rewind()?;
        Ok(line)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.log.path
    }
}

impl Read for OpenLog {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read(&mut buffer[..most])?;
        if n == 0 && most > 0 {
            return Err(Error::from(ErrorKind::LogShrank { opened: self.length, read: self.length - self.left }).into());
        }
        self.left -= n as u64;
        Ok(n)
    }
}
