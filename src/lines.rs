//! Cuts a stream of bytes into lines, with a bound on how long a line may be.

use std::io::{self, Read};

use memchr::{memchr, memrchr};

/// How much is read at a time.
const READ_BYTES: usize = 256 << 10;

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes, without the line feed.
    pub bytes: &'a [u8],
    /// Whether a line feed ends it. Only the last line of a stream may have none.
    pub terminated: bool,
}

/// Why there is no next line.
#[derive(Debug)]
pub(crate) enum LineError {
    /// Reading failed.
    Read(io::Error),
    /// The line is longer than the bound.
    TooLong,
}

/// Reads lines. Holds one line and one read at a time.
#[derive(Debug)]
pub(crate) struct LineReader<R> {
    inner: R,
    limit: u64,
    read_bytes: usize,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    searched: usize,
    /// Where the last line lies that was handed out.
    last: std::ops::Range<usize>,
}

impl<R: Read> LineReader<R> {
    /// Reads lines of at most `limit` bytes, line feeds not counted.
    pub fn new(inner: R, limit: u64) -> Self {
        Self { inner, limit, read_bytes: READ_BYTES, buffer: Vec::new(), start: 0, end: 0, searched: 0, last: 0..0 }
    }

    /// Reads no more than about `bytes` bytes at first: for a reader of which only the first line may be wanted.
    #[must_use]
    pub fn beginning_with(self, bytes: usize) -> Self {
        Self { read_bytes: bytes, ..self }
    }

    /// The next line, or `None` at the end.
    ///
    /// # Errors
    /// When reading fails, or the line is too long.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, LineError> {
        loop {
            if let Some(length) = memchr(b'\n', &self.buffer[self.searched..self.end]) {
                let end = self.searched + length;
                return self.take(end, end + 1, true);
            }
            self.searched = self.end;
            if (self.end - self.start) as u64 > self.limit {
                return Err(LineError::TooLong);
            }
            if self.fill().map_err(LineError::Read)? == 0 {
                return match self.start == self.end {
                    true => Ok(None),
                    false => self.take(self.end, self.end, false),
                };
            }
        }
    }

    fn take(&mut self, end: usize, next: usize, terminated: bool) -> Result<Option<Line<'_>>, LineError> {
        let start = std::mem::replace(&mut self.start, next);
        self.searched = next;
        self.last = start..end;
        match (end - start) as u64 > self.limit {
            true => Err(LineError::TooLong),
            false => Ok(Some(Line { bytes: &self.buffer[start..end], terminated })),
        }
    }

    /// Reads more behind what is there, and moves that to the front first when space runs out.
    fn fill(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < self.end + self.read_bytes {
            // No line that is longer than the bound is read to its end.
            let most = usize::try_from(self.limit).unwrap_or(usize::MAX).saturating_add(self.read_bytes);
            let doubled = (self.buffer.len() * 2).min(most).max(self.end + self.read_bytes);
            self.buffer.reserve_exact(doubled - self.buffer.len());
            self.buffer.resize(doubled, 0);
        }
        let n = read_some(&mut self.inner, &mut self.buffer[self.end..])?;
        self.end += n;
        Ok(n)
    }

    /// The line that [`next_line`](Self::next_line) gave last, once more.
    #[must_use]
    pub fn last_line(&self) -> &[u8] {
        &self.buffer[self.last.clone()]
    }

    /// The reader, and what was read from it but belongs to no line yet.
    pub fn into_parts(self) -> (R, Vec<u8>) {
        (self.inner, self.buffer[self.start..self.end].to_vec())
    }
}

/// Cuts bytes that come in pieces into the lines that a [`LineReader`] would give. Holds one line at a time.
#[derive(Debug, Default)]
pub(crate) struct LineCutter {
    /// The line that the pieces so far have begun but not ended.
    begun: Vec<u8>,
}

impl LineCutter {
    /// Adds a piece, and hands `take` every line that it ends.
    ///
    /// # Errors
    /// The first error of `take`.
    pub fn push<E>(&mut self, piece: &[u8], mut take: impl FnMut(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut rest = piece;
        while let Some(end) = memchr(b'\n', rest) {
            let bytes = if self.begun.is_empty() {
                &rest[..end]
            } else {
                self.begun.extend_from_slice(&rest[..end]);
                &self.begun
            };
            take(Line { bytes, terminated: true })?;
            self.begun.clear();
            rest = &rest[end + 1..];
        }
        self.begun.extend_from_slice(rest);
        Ok(())
    }

    /// Ends the bytes, and hands `take` the last line if nothing ended it.
    ///
    /// # Errors
    /// The error of `take`.
    pub fn finish<E>(self, take: impl FnOnce(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        match self.begun.is_empty() {
            true => Ok(()),
            false => take(Line { bytes: &self.begun, terminated: false }),
        }
    }
}

/// Reads once, whatever interrupts it.
fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Why there is no next block of lines.
#[derive(Debug)]
pub enum BlockError {
    /// Reading failed.
    Read(io::Error),
    /// A line is longer than the bound.
    TooLong {
        /// How many lines come before it that were not handed out.
        lines_before: u64,
    },
}

/// Reads many lines at a time, for threads to work on. Holds one block.
#[derive(Debug)]
pub struct LineBlocks<R> {
    inner: R,
    limit: u64,
    size: usize,
    /// What was read behind the last block.
    begun: Vec<u8>,
    at_end: bool,
}

impl<R: Read> LineBlocks<R> {
    /// Reads blocks of at most `size` bytes, of lines of at most `limit` bytes, line feeds not counted.
    pub fn new(inner: R, size: usize, limit: u64) -> Self {
        Self { inner, limit, size, begun: Vec::new(), at_end: false }
    }

    /// The next block: as many whole lines as fit, or one that is longer, with their line feeds; the last line of all
    /// may have none. `None` at the end. Where blocks end depends on the bytes alone, not on how they come.
    ///
    /// # Errors
    /// When reading fails, or a line is too long.
    pub fn next_block(&mut self) -> Result<Option<Vec<u8>>, BlockError> {
        self.next_block_in(Vec::new())
    }

    /// As [`next_block`](Self::next_block), in the memory of an empty buffer.
    pub(crate) fn next_block_in(&mut self, mut block: Vec<u8>) -> Result<Option<Vec<u8>>, BlockError> {
        block.append(&mut self.begun);
        // One byte more shows whether the end is reached.
        let (mut wanted, mut searched) = (self.size + 1, 0);
        let end = loop {
            self.fill(&mut block, wanted).map_err(BlockError::Read)?;
            if self.at_end && block.len() <= self.size {
                break block.len();
            }
            let fitting = memrchr(b'\n', &block[..block.len().min(self.size)]);
            if let Some(last) = fitting.or_else(|| Some(searched + memchr(b'\n', &block[searched..])?)) {
                break last + 1;
            }
            if self.at_end {
                break block.len();
            }
            if block.len() as u64 > self.limit {
                return Err(BlockError::TooLong { lines_before: 0 });
            }
            (searched, wanted) = (block.len(), block.len().saturating_mul(2));
        };
        self.begun.extend_from_slice(&block[end..]);
        block.truncate(end);
        self.check(&block)?;
        Ok((!block.is_empty()).then_some(block))
    }

    /// Reads until `block` has `wanted` bytes, or the end.
    fn fill(&mut self, block: &mut Vec<u8>, wanted: usize) -> io::Result<()> {
        let missing = wanted.saturating_sub(block.len());
        if !self.at_end {
            block.reserve_exact(missing);
            let read = self.inner.by_ref().take(missing as u64).read_to_end(block)?;
            self.at_end = read < missing;
        }
        Ok(())
    }

    fn check(&self, block: &[u8]) -> Result<(), BlockError> {
        if block.len() as u64 <= self.limit {
            return Ok(());
        }
        let lines = block.split(|byte| *byte == b'\n');
        let too_long = lines.zip(0..).find(|(line, _)| line.len() as u64 > self.limit);
        too_long.map_or(Ok(()), |(_, lines_before)| Err(BlockError::TooLong { lines_before }))
    }

    /// The reader.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

/// The lines of a block.
pub fn lines_of(block: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, next) = match memchr(b'\n', rest) {
            Some(end) => (Line { bytes: &rest[..end], terminated: true }, &rest[end + 1..]),
            None => (Line { bytes: rest, terminated: false }, &rest[rest.len()..]),
        };
        rest = next;
        Some(line)
    })
}
