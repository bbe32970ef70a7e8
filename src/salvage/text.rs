//! Cuts text into parts of whole lines: at chunk boundaries if there is a table, otherwise about every mebibyte.

use std::io::{self, Cursor, Read};
use std::ops::Range;

use super::part::Part;
use crate::bundle::ChunkRef;
use crate::container::Input;
use crate::format::limits::{CHUNK_BYTES, MAX_CHUNK_BYTES};
use crate::gzip::SequentialReader;

/// The amount of text that is read at a time, in bytes.
const READ_BYTES: u64 = 256 << 10;

/// The initial budget, in bytes, for finding displaced chunks.
const SEARCH_BUDGET: u64 = 256 << 20;

/// The bytes that are added to the budget for each consumed byte of text.
const SEARCH_BUDGET_PER_BYTE: u64 = 32;

/// The maximum amount of text that is buffered to find a chunk, in bytes. Only chunks of very long rows exceed it.
const MAX_BUFFERED: u64 = 64 << 20;

/// The next position at which to cut the text.
enum Cut {
    /// After this many bytes of lines.
    Lines(usize),
    /// After this many bytes, before the expected chunk.
    Before(usize),
    /// At the current position, because the expected chunk is missing.
    Here,
    /// Within a line that is too long.
    LineTooLong,
}

/// Text that was already read, followed by the rest of the stream.
type RemainingText<'r> = io::Chain<Cursor<Vec<u8>>, SequentialReader<Input<'r>>>;

/// Cuts text into parts.
pub(super) struct TextCutter<'r> {
    inner: RemainingText<'r>,
    buffer: Vec<u8>,
    /// The number of bytes of the buffer that were consumed.
    start: usize,
    at_end: bool,
    /// The offset in the text of the first unconsumed byte.
    offset: u64,
    /// True if offsets in the text are those in the file.
    is_plain: bool,
    /// The maximum line length in bytes.
    longest: u64,
    chunks: Vec<ChunkRef>,
    /// The chunk that is expected next.
    next: usize,
    /// The remaining budget, in bytes, for finding displaced chunks.
    search_left: u64,
}

impl<'r> TextCutter<'r> {
    /// Cuts the text in `read` and the rest of `stream`, where `chunks` are expected. Skips lines longer than `longest`
    /// bytes.
    pub(super) fn new(read: Vec<u8>, stream: SequentialReader<Input<'r>>, longest: u64, chunks: Vec<ChunkRef>) -> Self {
        Self {
            is_plain: stream.is_plain(),
            inner: Cursor::new(read).chain(stream),
            buffer: Vec::new(),
            start: 0,
            at_end: false,
            offset: 0,
            longest,
            chunks,
            next: 0,
            search_left: SEARCH_BUDGET,
        }
    }

    pub(super) fn stream(&mut self) -> &mut SequentialReader<Input<'r>> {
        self.inner.get_mut().1
    }

    /// Returns the stream, and the expected chunks that were not found.
    pub(super) fn into_end(self) -> (SequentialReader<Input<'r>>, Range<usize>) {
        (self.inner.into_inner().1, self.next..self.chunks.len())
    }

    /// Returns the next part, or `None` at the end.
    pub(super) fn next_part(&mut self) -> io::Result<Option<Part>> {
        let (offset, next) = (self.is_plain.then_some(self.offset), self.next);
        let cut = match self.chunks.get(next).copied() {
            Some(chunk) => self.cut_chunk(&chunk, self.chunks.get(next + 1).copied().as_ref())?,
            None => self.cut_lines(CHUNK_BYTES)?,
        };
        let (chunk, text) = match cut {
            Cut::Lines(0) => return Ok(None),
            Cut::Here => {
                self.next += 1;
                return Ok(Some(Part::Missing(next..self.next)));
            }
            Cut::LineTooLong => return self.skip_line().map(|()| Some(Part::TooLong)),
            Cut::Before(end) => (None, self.take(end)),
            Cut::Lines(end) => (Some(next).filter(|next| *next < self.chunks.len()), self.take(end)),
        };
        self.next += usize::from(chunk.is_some());
        Ok(Some(Part::Text { chunk, offset, text }))
    }

    /// Returns the bytes that were read but not consumed.
    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn take(&mut self, end: usize) -> Vec<u8> {
        self.search_left = self.search_left.saturating_add(end as u64 * SEARCH_BUDGET_PER_BYTE);
        let rest = self.unread().len() - end;
        if self.start > 0 || rest > end {
            // Copy the lines rather than move the remaining bytes, which may be far more.
            let lines = self.unread()[..end].to_vec();
            self.skip(end);
            return lines;
        }
        self.offset += end as u64;
        let rest = self.buffer.split_off(end);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Skips `bytes` bytes. The remaining bytes are moved only if they are fewer than the consumed ones.
    fn skip(&mut self, bytes: usize) {
        self.offset += bytes as u64;
        self.start += bytes;
        if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }

    /// Finds the next cut. It tries, in order: the chunk's length and checksum; the start of this chunk or the next
    /// one; the chunk's length, if a line ends there; the number of rows.
    fn cut_chunk(&mut self, chunk: &ChunkRef, next: Option<&ChunkRef>) -> io::Result<Cut> {
        let bytes = chunk.bytes.min(MAX_CHUNK_BYTES);
        self.fill(bytes)?;
        let by_length = usize::try_from(chunk.bytes).ok().filter(|length| *length <= self.unread().len());
        let by_length = by_length.filter(|length| self.unread()[..*length].ends_with(b"\n"));
        match by_length {
            Some(length) if self.begins_at(0, chunk) => return Ok(Cut::Lines(length)),
            _ if self.unread().is_empty() => return Ok(Cut::Lines(0)),
            _ => {}
        }
        if let Some(cut) = self.cut_between(bytes, chunk, next)? {
            return Ok(cut);
        }
        if let Some(length) = by_length {
            return Ok(Cut::Lines(length));
        }
        self.fill(bytes + READ_BYTES)?;
        let rows = usize::try_from(chunk.rows).unwrap_or(usize::MAX);
        let mut line_ends = memchr::memchr_iter(b'\n', self.unread()).map(|end| end + 1);
        let before_last = rows.checked_sub(2).map_or(Some(0), |before| line_ends.nth(before));
        match (before_last, line_ends.next()) {
            (_, Some(end)) => Ok(Cut::Lines(end)),
            // The chunk's last row is the last line of the text and has no line feed.
            (Some(start), None) if self.at_end && start < self.unread().len() => Ok(Cut::Lines(self.unread().len())),
            _ => self.cut_lines(CHUNK_BYTES),
        }
    }

    /// Finds the start of the expected chunk or of the next one, in case lines before it were inserted, changed or
    /// deleted.
    fn cut_between(&mut self, bytes: u64, chunk: &ChunkRef, next: Option<&ChunkRef>) -> io::Result<Option<Cut>> {
        let is_alike = |next: &ChunkRef| (next.crc32, next.bytes) == (chunk.crc32, chunk.bytes);
        // If both chunks have the same content, a match cannot tell them apart.
        if !next.is_some_and(is_alike)
            && let Some(start) = self.find_start(0, chunk)?
        {
            return Ok(Some(Cut::Before(start)));
        }
        let Some(next) = next else { return Ok(None) };
        Ok(self.find_start(bytes, next)?.map(|start| if start == 0 { Cut::Here } else { Cut::Lines(start) }))
    }

    /// Returns the start of a chunk if it begins on a line boundary near `position`.
    fn find_start(&mut self, position: u64, chunk: &ChunkRef) -> io::Result<Option<usize>> {
        if position.saturating_add(chunk.bytes) > MAX_BUFFERED {
            return Ok(None);
        }
        self.fill(position + READ_BYTES + chunk.bytes)?;
        let (Ok(position), Ok(bytes)) = (usize::try_from(position), usize::try_from(chunk.bytes)) else {
            return Ok(None);
        };
        let near = usize::try_from(READ_BYTES).unwrap_or(usize::MAX);
        let first = position.saturating_sub(near);
        let unread = self.unread();
        let window = unread.get(first..(position + near).min(unread.len())).unwrap_or_default();
        let starts = memchr::memchr_iter(b'\n', window).map(|end| first + end + 1);
        let may_begin = |start: &usize| {
            // Checking for a line end first rules out most candidates cheaply.
            let ends_a_line = unread.get(*start..*start + bytes).is_some_and(|text| text.ends_with(b"\n"));
            ends_a_line && *start >= first && (*start == 0 || unread[*start - 1] == b'\n')
        };
        let Some(left) = self.search_left.checked_sub(window.len() as u64) else { return Ok(None) };
        let starts: Vec<usize> = [position, 0].into_iter().chain(starts).filter(may_begin).collect();
        self.search_left = left;
        Ok(starts.into_iter().find(|&start| self.begins_at(start, chunk)))
    }

    /// Returns true if a chunk's text begins at `start` and the search budget allows checking it.
    fn begins_at(&mut self, start: usize, chunk: &ChunkRef) -> bool {
        let Some(left) = self.search_left.checked_sub(chunk.bytes) else { return false };
        self.search_left = left;
        let length = usize::try_from(chunk.bytes).unwrap_or(usize::MAX);
        let text = self.unread().get(start..).and_then(|text| text.get(..length));
        text.is_some_and(|text| chunk.has_text(text))
    }

    /// Finds the last line end within about `length` bytes.
    fn cut_lines(&mut self, mut length: u64) -> io::Result<Cut> {
        loop {
            self.fill(length)?;
            if let Some(last) = memchr::memrchr(b'\n', self.unread()) {
                return Ok(Cut::Lines(last + 1));
            }
            if self.at_end {
                return Ok(Cut::Lines(self.unread().len()));
            }
            if self.unread().len() as u64 > self.longest {
                return Ok(Cut::LineTooLong);
            }
            length = (self.unread().len() as u64 * 2).min(self.longest + 1);
        }
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let end = memchr::memchr(b'\n', self.unread());
            self.skip(end.map_or(self.unread().len(), |end| end + 1));
            if end.is_some() || self.at_end {
                return Ok(());
            }
            self.fill(READ_BYTES)?;
        }
    }

    /// Reads until `length` unconsumed bytes are buffered, or to the end of the input.
    fn fill(&mut self, length: u64) -> io::Result<()> {
        let missing = length.saturating_sub(self.unread().len() as u64);
        if missing > 0 && !self.at_end {
            let read = self.inner.by_ref().take(missing).read_to_end(&mut self.buffer)?;
            self.at_end = (read as u64) < missing;
            if self.at_end && self.stream().ended_early() {
                // The rest of the last line is lost.
                let end = memchr::memrchr(b'\n', &self.buffer).map_or(0, |last| last + 1);
                self.buffer.truncate(end.max(self.start));
            }
        }
        Ok(())
    }
}
