//! A buffered input with lookahead.

use std::io::{self, Read};

/// The bytes that end at every flush point: the end of an empty stored block.
pub const FLUSH_MARK: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The initial size of the buffer, and of a read of compressed data.
pub const READ_BYTES: usize = 64 << 10;

/// An input with lookahead that counts the consumed bytes.
#[derive(Debug)]
pub struct PeekReader<R> {
    inner: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at_end: bool,
    offset: u64,
}

impl<R: Read> PeekReader<R> {
    pub fn new(inner: R) -> Self {
        Self::at(inner, 0)
    }

    /// Creates a reader of an input whose next byte is at `offset` of the file.
    pub fn at(inner: R, offset: u64) -> Self {
        Self { inner, buffer: vec![0; READ_BYTES], start: 0, end: 0, at_end: false, offset }
    }

    /// Returns the file offset of the next byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the input, and the bytes that were read from it but not consumed.
    pub fn into_parts(mut self) -> (R, Vec<u8>) {
        self.buffer.truncate(self.end);
        self.buffer.drain(..self.start);
        (self.inner, self.buffer)
    }

    /// Returns the next bytes without consuming them: at least `least`, unless the stream ends earlier. Memory grows
    /// with the bytes that exist, not with `least`.
    pub fn peek(&mut self, least: usize) -> io::Result<&[u8]> {
        while self.end - self.start < least && !self.at_end {
            self.fill()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn fill(&mut self) -> io::Result<()> {
        self.make_room();
        loop {
            match self.inner.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    let n = read?;
                    self.end += n;
                    self.at_end = n == 0;
                    return Ok(());
                }
            }
        }
    }

    /// Makes room after the buffered bytes.
    ///
    /// Moves them to the front only if enough bytes were consumed before them. So the cost of moving stays within a
    /// constant factor of the cost of reading, at any lookahead.
    fn make_room(&mut self) {
        let buffered = self.end - self.start;
        if self.start >= buffered / 4 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, buffered);
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    pub fn consume(&mut self, n: usize) {
        self.start += n;
        self.offset += n as u64;
    }

    /// Consumes the next `N` bytes. Returns `None`, and consumes nothing, if the stream ends earlier.
    pub fn take<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        let taken = self.peek(N)?.first_chunk().copied();
        if taken.is_some() {
            self.consume(N);
        }
        Ok(taken)
    }

    /// Returns the bytes up to the end of the next flush mark, if that mark ends within `most` bytes.
    pub fn up_to_mark(&mut self, most: usize) -> io::Result<Option<&[u8]>> {
        let ahead = self.peek(most)?;
        let end = memchr::memmem::find(&ahead[..ahead.len().min(most)], &FLUSH_MARK).map(|at| at + FLUSH_MARK.len());
        Ok(end.map(|end| &ahead[..end]))
    }

    /// Returns true if a flush mark ends exactly `length` bytes ahead.
    pub fn has_mark_at(&mut self, length: usize) -> io::Result<bool> {
        Ok(self.peek(length)?.get(..length).is_some_and(|bytes| bytes.ends_with(&FLUSH_MARK)))
    }
}
