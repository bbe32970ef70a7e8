//! Cuts text into pieces of whole lines: at the places of chunks where there is a table, else about a mebibyte each.

use std::io::{self, Read};

use super::resync::is_text_of;
use crate::bundle::ChunkRef;
use crate::format::limits::{CHUNK_BYTES, MAX_CHUNK_BYTES};

/// How much is read at a time.
const READ_BYTES: u64 = 256 << 10;

/// How many bytes are looked at for chunks that do not begin where they should, and how many more for each byte of text.
const MAX_SEARCHED: u64 = 256 << 20;
const MAX_SEARCHED_A_BYTE: u64 = 32;

/// How much text may be kept to look for a chunk. Only chunks of very long rows are longer.
const MAX_KEPT: u64 = 64 << 20;

/// A piece of text.
pub(super) enum TextPiece {
    /// Whole lines, but for the last of all, which may have no line feed.
    PartLines(Vec<u8>),
    /// Whole lines before the chunk that is due, which belong to none.
    Beside(Vec<u8>),
    /// A line longer than any row was left out.
    TooLong,
    /// The chunk that is due is not there: the next one begins here.
    Missing,
}

impl TextPiece {
    /// Drops a last line without line feed: the rest of it is lost.
    pub(super) fn drop_cut_line(&mut self) {
        if let Self::PartLines(text) | Self::Beside(text) = self {
            text.truncate(memchr::memrchr(b'\n', text).map_or(0, |last| last + 1));
        }
    }
}

/// Where text is cut.
enum Cut {
    /// Behind so many bytes of lines.
    PartLines(usize),
    /// Behind so many, before the chunk that is due.
    Before(usize),
    /// Here: the chunk that is due is missing.
    Here,
    /// Within a line that is too long.
    InLine,
}

/// Cuts what `inner` reads.
pub(super) struct TextCutter<R> {
    inner: R,
    buffer: Vec<u8>,
    /// How much of the buffer was taken.
    start: usize,
    at_end: bool,
    /// Where what was not taken begins in the text.
    offset: u64,
    /// The most bytes that a line can have.
    longest: u64,
    /// How many bytes may still be looked at for a chunk that does not begin where it should.
    search_left: u64,
}

impl<R: Read> TextCutter<R> {
    /// Leaves out lines of more than `longest` bytes.
    pub(super) fn new(inner: R, longest: u64) -> Self {
        Self { inner, buffer: Vec::new(), start: 0, at_end: false, offset: 0, longest, search_left: MAX_SEARCHED }
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

    /// The next piece, where these chunks are due. `None` at the end.
    pub(super) fn next_piece(&mut self, due: &[ChunkRef]) -> io::Result<Option<TextPiece>> {
        let cut = match due {
            [chunk, behind @ ..] => self.cut_chunk(chunk, behind.first())?,
            [] => self.cut_lines(CHUNK_BYTES)?,
        };
        match cut {
            Cut::PartLines(0) => Ok(None),
            Cut::PartLines(end) => Ok(Some(TextPiece::PartLines(self.take(end)))),
            Cut::Before(end) => Ok(Some(TextPiece::Beside(self.take(end)))),
            Cut::Here => Ok(Some(TextPiece::Missing)),
            Cut::InLine => self.pass_over_line().map(|()| Some(TextPiece::TooLong)),
        }
    }

    /// What was read and not taken.
    fn there(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn take(&mut self, end: usize) -> Vec<u8> {
        self.search_left = self.search_left.saturating_add(end as u64 * MAX_SEARCHED_A_BYTE);
        let behind = self.there().len() - end;
        if self.start > 0 || behind > end {
            // What is behind may be far more, and stays where it is.
            let lines = self.there()[..end].to_vec();
            self.pass_over(end);
            return lines;
        }
        self.offset += end as u64;
        let rest = self.buffer.split_off(end);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Leaves out so many bytes. What is behind them is moved only where that is less.
    fn pass_over(&mut self, bytes: usize) {
        self.offset += bytes as u64;
        self.start += bytes;
        if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }

    /// Cuts by the chunk's length and checksum, else where it or the next one begins, else by its length alone if a line
    /// ends there, else by its rows.
    fn cut_chunk(&mut self, chunk: &ChunkRef, next: Option<&ChunkRef>) -> io::Result<Cut> {
        let bytes = chunk.bytes.min(MAX_CHUNK_BYTES);
        self.fill(bytes)?;
        let by_length = usize::try_from(chunk.bytes).ok().filter(|length| *length <= self.there().len());
        let by_length = by_length.filter(|length| self.there()[..*length].ends_with(b"\n"));
        match by_length {
            Some(length) if self.begins(0, chunk) => return Ok(Cut::PartLines(length)),
            _ if self.there().is_empty() => return Ok(Cut::PartLines(0)),
            _ => {}
        }
        if let Some(cut) = self.cut_between(bytes, chunk, next)? {
            return Ok(cut);
        }
        if let Some(length) = by_length {
            return Ok(Cut::PartLines(length));
        }
        self.fill(bytes + READ_BYTES)?;
        let rows = usize::try_from(chunk.rows).unwrap_or(usize::MAX);
        let mut line_ends = memchr::memchr_iter(b'\n', self.there()).map(|end| end + 1);
        let before_last = rows.checked_sub(2).map_or(Some(0), |before| line_ends.nth(before));
        match (before_last, line_ends.next()) {
            (_, Some(end)) => Ok(Cut::PartLines(end)),
            // The last row of the chunk is the last line of the text, without a line feed.
            (Some(start), None) if self.at_end && start < self.there().len() => Ok(Cut::PartLines(self.there().len())),
            _ => self.cut_lines(CHUNK_BYTES),
        }
    }

    /// Cuts where the chunk that is due or the next one begins, if lines were put in, changed or taken out before.
    fn cut_between(&mut self, bytes: u64, chunk: &ChunkRef, next: Option<&ChunkRef>) -> io::Result<Option<Cut>> {
        let is_alike = |next: &ChunkRef| (next.crc32, next.bytes) == (chunk.crc32, chunk.bytes);
        // Of chunks that are alike, the next one is not this one.
        if !next.is_some_and(is_alike)
            && let Some(start) = self.start_near(0, chunk)?
        {
            return Ok(Some(Cut::Before(start)));
        }
        let Some(next) = next else { return Ok(None) };
        Ok(self.start_near(bytes, next)?.map(|start| if start == 0 { Cut::Here } else { Cut::PartLines(start) }))
    }

    /// Where a chunk begins, if it does so at the beginning of a line not far from `place`.
    fn start_near(&mut self, place: u64, chunk: &ChunkRef) -> io::Result<Option<usize>> {
        if place.saturating_add(chunk.bytes) > MAX_KEPT {
            return Ok(None);
        }
        self.fill(place + READ_BYTES + chunk.bytes)?;
        let (Ok(place), Ok(bytes)) = (usize::try_from(place), usize::try_from(chunk.bytes)) else { return Ok(None) };
        let near = usize::try_from(READ_BYTES).unwrap_or(usize::MAX);
        let first = place.saturating_sub(near);
        let there = self.there();
        let window = there.get(first..(place + near).min(there.len())).unwrap_or_default();
        let starts = memchr::memchr_iter(b'\n', window).map(|end| first + end + 1);
        let may_begin = |start: &usize| {
            // Most are told by where the chunk's last line ends.
            let ends_a_line = there.get(*start..*start + bytes).is_some_and(|text| text.ends_with(b"\n"));
            ends_a_line && *start >= first && (*start == 0 || there[*start - 1] == b'\n')
        };
        let Some(left) = self.search_left.checked_sub(window.len() as u64) else { return Ok(None) };
        let starts: Vec<usize> = [place, 0].into_iter().chain(starts).filter(may_begin).collect();
        self.search_left = left;
        Ok(starts.into_iter().find(|&start| self.begins(start, chunk)))
    }

    /// Whether a chunk's text begins there, if it is still allowed to look.
    fn begins(&mut self, start: usize, chunk: &ChunkRef) -> bool {
        let Some(left) = self.search_left.checked_sub(chunk.bytes) else { return false };
        self.search_left = left;
        let length = usize::try_from(chunk.bytes).unwrap_or(usize::MAX);
        let text = self.there().get(start..).and_then(|text| text.get(..length));
        text.is_some_and(|text| is_text_of(text, chunk))
    }

    /// Cuts where the last line ends of about `length` bytes.
    fn cut_lines(&mut self, mut length: u64) -> io::Result<Cut> {
        loop {
            self.fill(length)?;
            if let Some(last) = memchr::memrchr(b'\n', self.there()) {
                return Ok(Cut::PartLines(last + 1));
            }
            if self.at_end {
                return Ok(Cut::PartLines(self.there().len()));
            }
            if self.there().len() as u64 > self.longest {
                return Ok(Cut::InLine);
            }
            length = (self.there().len() as u64 * 2).min(self.longest + 1);
        }
    }

    fn pass_over_line(&mut self) -> io::Result<()> {
        loop {
            let end = memchr::memchr(b'\n', self.there());
            self.pass_over(end.map_or(self.there().len(), |end| end + 1));
            if end.is_some() || self.at_end {
                return Ok(());
            }
            self.fill(READ_BYTES)?;
        }
    }

    /// Reads until `length` bytes are there, or the end.
    fn fill(&mut self, length: u64) -> io::Result<()> {
        let missing = length.saturating_sub(self.there().len() as u64);
        if missing > 0 && !self.at_end {
            let read = self.inner.by_ref().take(missing).read_to_end(&mut self.buffer)?;
            self.at_end = (read as u64) < missing;
        }
        Ok(())
    }
}
