//! Cuts text into pieces of whole lines: at the places of chunks where there is a table, else about a mebibyte each.

use std::io::{self, Read};

use crate::bundle::Slot;
use crate::format::limits::{CHUNK_BYTES, MAX_CHUNK_BYTES};

/// How much is read at a time.
const READ_BYTES: u64 = 256 << 10;

/// A piece of text.
pub(super) enum Piece {
    /// Whole lines, but for the last of all, which may have no line feed.
    Lines(Vec<u8>),
    /// A line longer than any row was left out.
    TooLong,
}

impl Piece {
    /// Drops a last line without line feed: the rest of it is lost.
    pub(super) fn drop_cut_line(&mut self) {
        if let Self::Lines(text) = self {
            text.truncate(memchr::memrchr(b'\n', text).map_or(0, |last| last + 1));
        }
    }
}

/// Cuts what `inner` reads.
pub(super) struct TextCutter<R> {
    inner: R,
    buffer: Vec<u8>,
    at_end: bool,
    /// Where the buffer begins in the text.
    offset: u64,
    /// The most bytes that a line can have.
    longest: u64,
}

impl<R: Read> TextCutter<R> {
    /// Leaves out lines of more than `longest` bytes.
    pub(super) fn new(inner: R, longest: u64) -> Self {
        Self { inner, buffer: Vec::new(), at_end: false, offset: 0, longest }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn inner_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    /// The next piece, where the chunk `slot` is due. `None` at the end.
    pub(super) fn next_piece(&mut self, slot: Option<&Slot>) -> io::Result<Option<Piece>> {
        let end = match slot {
            Some(slot) => self.end_of_chunk(slot)?,
            None => self.end_of_lines(CHUNK_BYTES)?,
        };
        match end {
            Some(0) => Ok(None),
            Some(end) => {
                let rest = self.buffer.split_off(end);
                let lines = std::mem::replace(&mut self.buffer, rest);
                self.offset += lines.len() as u64;
                Ok(Some(Piece::Lines(lines)))
            }
            None => self.pass_over_line().map(|()| Some(Piece::TooLong)),
        }
    }

    /// Where the chunk's text ends: by its length, if a line ends there, else by its rows.
    fn end_of_chunk(&mut self, slot: &Slot) -> io::Result<Option<usize>> {
        self.fill(slot.bytes.min(MAX_CHUNK_BYTES))?;
        let by_length = usize::try_from(slot.bytes).ok().filter(|length| *length <= self.buffer.len());
        if let Some(length) = by_length.filter(|length| self.buffer[..*length].ends_with(b"\n")) {
            return Ok(Some(length));
        }
        self.fill(slot.bytes.min(MAX_CHUNK_BYTES) + READ_BYTES)?;
        let rows = usize::try_from(slot.rows).unwrap_or(usize::MAX);
        match memchr::memchr_iter(b'\n', &self.buffer).nth(rows.saturating_sub(1)) {
            Some(last) => Ok(Some(last + 1)),
            None => self.end_of_lines(CHUNK_BYTES),
        }
    }

    /// Where the last line ends of about `length` bytes. `None` when a line is longer than any row.
    fn end_of_lines(&mut self, mut length: u64) -> io::Result<Option<usize>> {
        loop {
            self.fill(length)?;
            if let Some(last) = memchr::memrchr(b'\n', &self.buffer) {
                return Ok(Some(last + 1));
            }
            if self.at_end {
                return Ok(Some(self.buffer.len()));
            }
            if self.buffer.len() as u64 > self.longest {
                return Ok(None);
            }
            length = (self.buffer.len() as u64 * 2).min(self.longest + 1);
        }
    }

    fn pass_over_line(&mut self) -> io::Result<()> {
        loop {
            let end = memchr::memchr(b'\n', &self.buffer);
            let passed = end.map_or(self.buffer.len(), |end| end + 1);
            self.buffer.drain(..passed);
            self.offset += passed as u64;
            if end.is_some() || self.at_end {
                return Ok(());
            }
            self.fill(READ_BYTES)?;
        }
    }

    /// Reads until `length` bytes are there, or the end.
    fn fill(&mut self, length: u64) -> io::Result<()> {
        let missing = length.saturating_sub(self.buffer.len() as u64);
        if missing > 0 && !self.at_end {
            let read = self.inner.by_ref().take(missing).read_to_end(&mut self.buffer)?;
            self.at_end = (read as u64) < missing;
        }
        Ok(())
    }
}
