//! Open logs, which are read as they were when they were opened.

use std::fs::Metadata;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use fs_err as fs;
use tempfile::SpooledTempFile;

use super::discover::LogFile;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::util::regular_file;

/// The number of bytes of a copied log that are kept in memory. A longer copy goes to an unnamed file.
const IN_MEMORY_BYTES: usize = 1 << 20;

/// The number of bytes that are copied at a time.
const COPY_BYTES: usize = 256 << 10;

/// An open log. Reads exactly the bytes that it had when it was opened, whatever its writers do to the file.
#[derive(Debug)]
pub struct OpenLog {
    /// The open log.
    pub log: LogFile,
    content: LogContent,
    opened: Metadata,
    length: u64,
    left: u64,
}

/// The origin of an open log's bytes.
#[derive(Debug)]
pub enum LogContent {
    /// The log itself. Its writers only append to it, or replace it with another file.
    File(fs::File),
    /// A copy of the log. Its writers rewrite it in place.
    Copy(SpooledTempFile),
}

impl OpenLog {
    /// Opens a single log. Never waits for a FIFO.
    ///
    /// # Errors
    /// If it cannot be opened, or is not a regular file.
    pub fn open(log: &LogFile) -> Result<Self> {
        let file = regular_file::open(&log.path).map_err(|error| Error::io(IoAction::Open, &log.path, error))?;
        Self::from_file(log, file)
    }

    /// Wraps a log that is already open.
    pub(crate) fn from_file(log: &LogFile, file: fs::File) -> Result<Self> {
        let opened = file.metadata().map_err(|error| Error::io(IoAction::Open, &log.path, error))?;
        let length = opened.len();
        Ok(Self { log: log.clone(), content: LogContent::File(file), opened, length, left: length })
    }

    /// Returns the file's metadata when it was opened. Its length is the number of bytes that are read.
    #[must_use]
    pub fn opened(&self) -> &Metadata {
        &self.opened
    }

    /// Copies the log up to its length when it was opened. Calls `check` before each part. Returns `None` if the
    /// log has become shorter.
    ///
    /// # Errors
    /// If the log cannot be read or the copy, in `work_dir`, cannot be written, and the error of `check`.
    pub(super) fn copy(
        &mut self,
        work_dir: &Path,
        mut check: impl FnMut() -> Result<()>,
    ) -> Result<Option<SpooledTempFile>> {
        let mut copy = tempfile::spooled_tempfile_in(IN_MEMORY_BYTES, work_dir);
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            check()?;
            let n = match self.read(&mut buffer).map_err(|error| Error::io_unnamed(IoAction::Read, error)) {
                Ok(n) => n,
                Err(error) if matches!(error.kind(), ErrorKind::LogShrank { .. }) => return Ok(None),
                Err(error) => return Err(error.in_subject(&self.log.path.display().to_string())),
            };
            if n == 0 {
                return Ok(Some(copy));
            }
            copy.write_all(&buffer[..n]).map_err(|error| Error::io(IoAction::Write, work_dir, error))?;
        }
    }

    /// Switches to `copy`, which holds all bytes of this log. Closes the file.
    ///
    /// # Errors
    /// If the copy cannot be read from its start.
    pub(super) fn use_copy(&mut self, copy: SpooledTempFile) -> Result<()> {
        self.content = LogContent::Copy(copy);
        self.rewind()
    }

    /// Rewinds to the start. Reads again up to the length of the log when it was opened.
    ///
    /// # Errors
    /// If the file cannot be rewound.
    pub(crate) fn rewind(&mut self) -> Result<()> {
        self.content.rewind().map_err(|error| Error::io(IoAction::Read, &self.log.path, error))?;
        self.left = self.length;
        Ok(())
    }

    /// Returns the content after the last line feed, or the end of that content if it is very long.
    pub(crate) fn open_line(&mut self) -> Result<Vec<u8>> {
        const MAX_BYTES: u64 = 1 << 20;
        let failed = |error| Error::io(IoAction::Read, &self.log.path, error);
        let start = self.length.saturating_sub(MAX_BYTES);
        let mut line = Vec::new();
        self.content.seek(SeekFrom::Start(start)).map_err(failed)?;
        self.content.by_ref().take(self.length - start).read_to_end(&mut line).map_err(failed)?;
        line.drain(..memchr::memrchr(b'\n', &line).map_or(0, |at| at + 1));
        self.rewind()?;
        Ok(line)
    }

    /// Returns its bytes, which can be read again. The file can have more of them than it had when it was opened.
    pub(crate) fn into_content(self) -> LogContent {
        self.content
    }

    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.log.path
    }
}

impl Read for OpenLog {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.content.read(&mut buffer[..most])?;
        if n == 0 && most > 0 {
            return Err(Error::from(ErrorKind::LogShrank { opened: self.length, read: self.length - self.left }).into());
        }
        self.left -= n as u64;
        Ok(n)
    }
}

impl Read for LogContent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Copy(copy) => copy.read(buffer),
        }
    }
}

impl Seek for LogContent {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Copy(copy) => copy.seek(to),
        }
    }
}
