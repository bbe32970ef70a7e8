//! Compressed bytes with a look ahead.

use std::io::{self, Read};

use super::member::FLUSH_MARK;

/// How much compressed data is read at a time.
pub(super) const READ_BYTES: usize = 64 << 10;

/// An input that can be looked at before it is taken, and how much was taken.
#[derive(Debug)]
pub(super) struct PeekReader<R> {
    inner: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at_end: bool,
    offset: u64,
}

impl<R: Read> PeekReader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, buffer: vec![0; READ_BYTES], start: 0, end: 0, at_end: false, offset: 0 }
    }

    /// How many bytes were taken.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes that are there, at least `least` of them unless the stream ends before. Memory grows with what is there,
    /// not with what is asked for.
    pub(super) fn peek(&mut self, least: usize) -> io::Result<&[u8]> {
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

    /// Makes room behind what is there. That is moved only where enough was taken before it: so moving takes no longer
    /// than reading, however far ahead is looked.
    fn make_room(&mut self) {
        let there = self.end - self.start;
        if self.start >= there / 4 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, there);
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }

    pub(super) fn consume(&mut self, n: usize) {
        self.start += n;
        self.offset += n as u64;
    }

    /// The next `N` bytes, or `None` when the stream ends before.
    pub(super) fn take<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        let taken = self.peek(N)?.first_chunk().copied();
        if taken.is_some() {
            self.consume(N);
        }
        Ok(taken)
    }

    /// What there is up to the end of the next flush mark, if that comes within `most` bytes.
    pub(super) fn up_to_mark(&mut self, most: usize) -> io::Result<Option<&[u8]>> {
        let there = self.peek(most)?;
        let end = memchr::memmem::find(&there[..there.len().min(most)], &FLUSH_MARK).map(|at| at + FLUSH_MARK.len());
        Ok(end.map(|end| &there[..end]))
    }

    /// Whether a flush mark ends `length` bytes ahead.
    pub(super) fn has_mark_at(&mut self, length: usize) -> io::Result<bool> {
        Ok(self.peek(length)?.get(..length).is_some_and(|bytes| bytes.ends_with(&FLUSH_MARK)))
    }
}
