//! The content of a log at one instant: ranges of a file that can be read again.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::container::FileInput;
use crate::digest::Integrity;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::row::classify;
use crate::progress::Progress;
use crate::util::cancel::CancellableIo;
use crate::util::hashing::IntegrityHasher;

/// The size of a read.
const READ_BYTES: usize = 256 << 10;

/// The maximum length of an unterminated last line that is examined, in bytes. A longer one is kept
/// as it is.
const MAX_OPEN_LINE_BYTES: u64 = 16 << 20;

/// The first bytes of a file, which do not change when writers append to it.
#[derive(Clone)]
pub struct LogSnapshot {
    input: FileInput<'static>,
    /// The name of the log in errors.
    subject: String,
    length: u64,
}

/// A part of a log.
#[derive(Clone)]
pub struct LogPart {
    pub content: LogSnapshot,
    pub bytes: Range<u64>,
}

impl LogSnapshot {
    /// Takes the first `length` bytes of `file`, without a last line that is still being written.
    pub fn new(file: impl Read + Seek + Send + 'static, length: u64, subject: &str) -> Result<Self> {
        let failed = |error| Error::io_named(IoAction::Read, subject, error);
        let input = FileInput::new(file).map_err(failed)?;
        let mut content = Self { input, subject: subject.to_owned(), length };
        content.length = content.length_of_whole_lines()?;
        Ok(content)
    }

    /// Returns the length without the last line, if that has no line feed and is not a whole JSON
    /// object.
    fn length_of_whole_lines(&self) -> Result<u64> {
        let mut start = self.length;
        let mut end = Vec::new();
        // The last line is nearly always short, so increasingly large pieces are searched for its
        // start.
        for size in [4 << 10, 256 << 10, MAX_OPEN_LINE_BYTES] {
            start = self.length.saturating_sub(size);
            end = self.read_all(start..self.length)?;
            if start == 0 || end.contains(&b'\n') {
                break;
            }
        }
        let Some(line_start) = memchr::memrchr(b'\n', &end).map(|at| at + 1).or((start == 0).then_some(0)) else {
            return Ok(self.length);
        };
        let line = &end[line_start..];
        let is_object = line.trim_ascii_start().starts_with(b"{") && classify(line, &[]).is_some();
        Ok(if line.is_empty() || is_object { self.length } else { start + line_start as u64 })
    }

    /// Returns the number of bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns the name of the log in errors.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the content after the first `start` bytes.
    pub fn from(&self, start: u64) -> LogPart {
        LogPart { content: self.clone(), bytes: start.min(self.length)..self.length }
    }

    /// Computes the digest of all bytes. If the content begins with `known`, also returns the
    /// position of the first new line: after these bytes and the line feed of their last line.
    pub fn digest(&self, known: Option<Integrity>, progress: &dyn Progress) -> Result<(Integrity, Option<u64>)> {
        let mut hasher = IntegrityHasher::default();
        let mut starts_with_known = None;
        let mut reader = CancellableIo::counted(self.from(0).reader()?, progress);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            if let Some(known) = known.filter(|known| known.bytes == hasher.bytes()) {
                starts_with_known = Some(hasher.clone().finish() == known);
            }
            let left_of_known = known.map(|known| known.bytes.saturating_sub(hasher.bytes())).filter(|left| *left > 0);
            let most = left_of_known.and_then(|left| usize::try_from(left).ok()).unwrap_or(READ_BYTES).min(READ_BYTES);
            match reader.read(&mut buffer[..most]).map_err(|error| Error::io_unnamed(IoAction::Read, error)) {
                Ok(0) => break,
                Ok(read) => hasher.update(&buffer[..read]),
                Err(error) => return Err(error.in_subject(&self.subject)),
            }
        }
        let known_bytes = known.map(|known| known.bytes).filter(|_| starts_with_known == Some(true));
        let start = known_bytes.map(|bytes| self.start_of_line(bytes)).transpose()?.flatten();
        Ok((hasher.finish(), start))
    }

    /// Returns the position of the line that starts at `at`, or right after a line feed at `at`.
    /// Returns `None` if `at` is within a line.
    fn start_of_line(&self, at: u64) -> Result<Option<u64>> {
        let around = self.read_all(at.saturating_sub(1)..self.length.min(at + 1))?;
        Ok(match (at, around.as_slice()) {
            (0, _) | (_, [_] | [b'\n', _]) => Some(at),
            (_, [_, b'\n']) => Some(at + 1),
            _ => None,
        })
    }

    /// Returns the first line, without its line feed, if it ends within the first 256 KiB.
    pub fn first_line(&self) -> Result<Option<Vec<u8>>> {
        let start = self.read_all(0..self.length.min(READ_BYTES as u64))?;
        Ok(memchr::memchr(b'\n', &start).map(|end| start[..end].to_vec()))
    }

    fn read_all(&self, bytes: Range<u64>) -> Result<Vec<u8>> {
        let part = LogPart { content: self.clone(), bytes };
        let mut read = Vec::new();
        let failed = |error| Error::io_named(IoAction::Read, &self.subject, error);
        part.reader()?.read_to_end(&mut read).map_err(failed)?;
        Ok(read)
    }
}

impl LogPart {
    /// Returns true if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns a reader of its bytes, which fails if the file has become shorter.
    pub fn reader(&self) -> Result<LogPartReader> {
        let mut input = self.content.input.clone();
        let failed = |error| Error::io_named(IoAction::Read, &self.content.subject, error);
        input.seek(SeekFrom::Start(self.bytes.start)).map_err(failed)?;
        Ok(LogPartReader { input, left: self.bytes.end - self.bytes.start, length: self.content.length })
    }
}

/// A reader of a part of a log.
pub struct LogPartReader {
    input: FileInput<'static>,
    left: u64,
    /// The length of the content, for the error if the file has become shorter.
    length: u64,
}

impl Read for LogPartReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let read = self.input.read(&mut out[..most])?;
        if read == 0 && most > 0 {
            return Err(Error::from(ErrorKind::LogShrank { opened: self.length, read: self.length - self.left }).into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// A reader of several parts, in order. It adds a line feed that is missing between two parts.
pub struct LogPartsReader {
    parts: std::vec::IntoIter<LogPart>,
    current: Option<LogPartReader>,
    /// The last byte that was read.
    last: u8,
}

impl LogPartsReader {
    pub fn new(mut parts: Vec<LogPart>) -> Self {
        parts.retain(|part| !part.is_empty());
        Self { parts: parts.into_iter(), current: None, last: b'\n' }
    }
}

impl Read for LogPartsReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !out.is_empty() {
            if let Some(current) = &mut self.current {
                let read = current.read(out)?;
                if read > 0 {
                    self.last = out[read - 1];
                    return Ok(read);
                }
                self.current = None;
            }
            let Some(next) = self.parts.next() else { return Ok(0) };
            self.current = Some(next.reader()?);
            if self.last != b'\n' {
                self.last = b'\n';
                out[0] = b'\n';
                return Ok(1);
            }
        }
        Ok(0)
    }
}
