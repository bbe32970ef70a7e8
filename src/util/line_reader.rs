//! Splits a byte stream into lines and enforces a maximum line length.

use std::io::{self, Read};

use memchr::{memchr, memrchr};
use serde::Serialize;

/// The size of one read.
const READ_BYTES: usize = 256 << 10;

/// The numbers of rows and unparsed lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LineCount {
    /// Lines that are rows.
    pub rows: u64,
    /// Lines that are not rows: blank, torn or not JSON.
    pub unparsed: u64,
}

impl LineCount {
    /// Returns the number of lines of both kinds.
    #[must_use]
    pub fn all(self) -> u64 {
        self.rows + self.unparsed
    }

    pub(crate) fn add(&mut self, is_row: bool) {
        match is_row {
            true => self.rows += 1,
            false => self.unparsed += 1,
        }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self { rows: self.rows - other.rows, unparsed: self.unparsed - other.unparsed }
    }
}

impl std::ops::AddAssign for LineCount {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.unparsed += other.unparsed;
    }
}

/// One line of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// The bytes of the line, without its line feed.
    pub bytes: &'a [u8],
    /// True if the line ends with a line feed. Only the last line of a stream may lack it.
    pub terminated: bool,
}

/// The reason the next line could not be read.
#[derive(Debug)]
pub enum LineError {
    /// Reading failed.
    Read(io::Error),
    /// The line is longer than the limit.
    TooLong,
}

/// A reader that yields lines. It buffers one line and one read at a time.
#[derive(Debug)]
pub struct LineReader<R> {
    inner: R,
    limit: u64,
    read_bytes: usize,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    searched: usize,
    /// The position of the most recently returned line in `buffer`.
    last: std::ops::Range<usize>,
}

impl<R: Read> LineReader<R> {
    /// Creates a reader of lines of at most `limit` bytes, line feeds not counted.
    pub fn new(inner: R, limit: u64) -> Self {
        Self { inner, limit, read_bytes: READ_BYTES, buffer: Vec::new(), start: 0, end: 0, searched: 0, last: 0..0 }
    }

    /// Starts with reads of about `bytes` bytes, for callers that may need only the first line.
    #[must_use]
    pub fn with_first_read(self, bytes: usize) -> Self {
        Self { read_bytes: bytes, ..self }
    }

    /// Reads the next line. Returns `None` at the end of the stream.
    ///
    /// # Errors
    /// Fails if reading fails or the line is too long.
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

    /// Moves the unread bytes to the front of the buffer and reads more bytes after them.
    fn fill(&mut self) -> io::Result<usize> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.searched -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < self.end + self.read_bytes {
            // An overlong line is not read to its end.
            let max_bytes = usize::try_from(self.limit).unwrap_or(usize::MAX).saturating_add(self.read_bytes);
            let doubled = (self.buffer.len() * 2).min(max_bytes).max(self.end + self.read_bytes);
            self.buffer.reserve_exact(doubled - self.buffer.len());
            self.buffer.resize(doubled, 0);
        }
        let n = read_some(&mut self.inner, &mut self.buffer[self.end..])?;
        self.end += n;
        Ok(n)
    }

    /// Returns the line that [`next_line`](Self::next_line) returned last.
    #[must_use]
    pub fn last_line(&self) -> &[u8] {
        &self.buffer[self.last.clone()]
    }

    /// Returns the inner reader and the bytes that were read from it but not returned as a line.
    pub fn into_parts(self) -> (R, Vec<u8>) {
        (self.inner, self.buffer[self.start..self.end].to_vec())
    }
}

/// Splits bytes that arrive in pieces into the same lines that a [`LineReader`] yields. It buffers
/// one line at a time.
#[derive(Debug, Default)]
pub struct LineCutter {
    /// The unterminated line at the end of the pieces so far.
    partial: Vec<u8>,
}

impl LineCutter {
    /// Adds a piece and passes every line that it completes to `take`.
    ///
    /// # Errors
    /// Returns the first error of `take`.
    pub fn push<E>(&mut self, piece: &[u8], mut take: impl FnMut(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut rest = piece;
        while let Some(end) = memchr(b'\n', rest) {
            let bytes = if self.partial.is_empty() {
                &rest[..end]
            } else {
                self.partial.extend_from_slice(&rest[..end]);
                &self.partial
            };
            take(Line { bytes, terminated: true })?;
            self.partial.clear();
            rest = &rest[end + 1..];
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    /// Ends the stream and passes the last line to `take` if it is unterminated.
    ///
    /// # Errors
    /// Returns the error of `take`.
    pub fn finish<E>(self, take: impl FnOnce(Line<'_>) -> Result<(), E>) -> Result<(), E> {
        match self.partial.is_empty() {
            true => Ok(()),
            false => take(Line { bytes: &self.partial, terminated: false }),
        }
    }
}

/// Reads once and retries if the read is interrupted.
fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The reason the next block of lines could not be read.
#[derive(Debug)]
pub enum BlockError {
    /// Reading failed.
    Read(io::Error),
    /// A line is longer than the limit.
    TooLong {
        /// The number of unreturned lines before it.
        lines_before: u64,
    },
}

/// A reader that yields blocks of many lines, for threads to work on. It holds one block at a time.
#[derive(Debug)]
pub struct LineBlocks<R> {
    inner: R,
    limit: u64,
    size: usize,
    /// The bytes that were read after the last block.
    partial: Vec<u8>,
    at_end: bool,
}

impl<R: Read> LineBlocks<R> {
    /// Creates a reader of blocks of at most `size` bytes, of lines of at most `limit` bytes, line
    /// feeds not counted.
    pub fn new(inner: R, size: usize, limit: u64) -> Self {
        Self { inner, limit, size, partial: Vec::new(), at_end: false }
    }

    /// Reads the next block. Returns `None` at the end of the stream.
    ///
    /// A block has as many whole lines as fit, or one line that is longer than a block, with their
    /// line feeds. Only the last line of the stream may lack its line feed. Block boundaries depend
    /// on the bytes alone, not on the sizes of the reads.
    ///
    /// # Errors
    /// Fails if reading fails or a line is too long.
    pub fn next_block(&mut self) -> Result<Option<Vec<u8>>, BlockError> {
        self.next_block_in(Vec::new())
    }

    /// Works like [`next_block`](Self::next_block), but reuses the memory of `block`, an empty
    /// buffer.
    ///
    /// # Errors
    /// As [`next_block`](Self::next_block).
    pub fn next_block_in(&mut self, mut block: Vec<u8>) -> Result<Option<Vec<u8>>, BlockError> {
        block.append(&mut self.partial);
        // One byte more than the block size shows whether the stream ends here.
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
        self.partial.extend_from_slice(&block[end..]);
        block.truncate(end);
        self.check(&block)?;
        Ok((!block.is_empty()).then_some(block))
    }

    /// Reads until `block` has `wanted` bytes or the stream ends.
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

    /// Returns the inner reader.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

/// Splits a block into its lines.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A reader of the given bytes that yields at most the given number at a time, each time after
    /// an interruption.
    struct InterruptedReader<'b>(&'b [u8], usize, bool);

    impl Read for InterruptedReader<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.2 = !self.2;
            if self.2 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let length = self.1.min(buffer.len());
            self.0.read(&mut buffer[..length])
        }
    }

    type Owned = (Vec<u8>, bool);

    fn owned(line: Line<'_>) -> Owned {
        (line.bytes.to_vec(), line.terminated)
    }

    fn by_reader(mut reader: LineReader<impl Read>) -> Vec<Owned> {
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            let line = owned(line);
            assert_eq!(reader.last_line(), line.0, "last_line returns the line that was just read");
            lines.push(line);
        }
        assert!(reader.into_parts().1.is_empty(), "nothing is left");
        lines
    }

    fn by_cutter(log: &[u8], piece: usize) -> Vec<Owned> {
        let (mut cutter, mut lines) = (LineCutter::default(), Vec::new());
        let mut take = |line: Line<'_>| {
            lines.push(owned(line));
            Ok::<_, ()>(())
        };
        log.chunks(piece).for_each(|piece| cutter.push(piece, &mut take).unwrap());
        cutter.finish(take).unwrap();
        lines
    }

    #[test]
    fn every_reader_yields_the_same_lines_for_any_read_size() {
        let long = [b"x".repeat(5000), b"\n".repeat(300), b"y".repeat(300)].concat();
        for log in [&b""[..], b"\n", b"a", b"a\n", b"\n\na", b"ab\ncd\r\n\nef\n", b"ab\ncd\n\nef", &long] {
            let mut expected: Vec<Owned> = log.split(|byte| *byte == b'\n').map(|line| (line.to_vec(), true)).collect();
            match expected.last_mut().filter(|last| !last.0.is_empty()) {
                Some(last) => last.1 = false,
                None => drop(expected.pop()),
            }
            assert_eq!(lines_of(log).map(owned).collect::<Vec<_>>(), expected);
            for piece in [1, 2, 3, 700, 100_000] {
                assert_eq!(by_cutter(log, piece), expected);
                for first in [1, 2, 4096] {
                    let reader = LineReader::new(InterruptedReader(log, piece, false), 5000).with_first_read(first);
                    assert_eq!(by_reader(reader), expected, "{piece}, {first}");
                }
                assert_eq!(by_reader(LineReader::new(InterruptedReader(log, piece, false), 5000)), expected);
            }
        }
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_but_not_longer() {
        for (log, lines) in
            [(&b"12345\n12345"[..], 2), (b"12345\n123456\n", 1), (b"123456", 0), (b"1\n\n1234567890", 2)]
        {
            for first in [1, 3, 1000] {
                let mut reader = LineReader::new(log, 5).with_first_read(first);
                for _ in 0..lines {
                    assert!(reader.next_line().unwrap().is_some());
                }
                match log.ends_with(b"\n12345") {
                    true => assert!(reader.next_line().unwrap().is_none()),
                    false => assert!(matches!(reader.next_line(), Err(LineError::TooLong))),
                }
            }
        }
        let mut endless = LineReader::new(io::repeat(b'x'), 1 << 20);
        assert!(matches!(endless.next_line(), Err(LineError::TooLong)), "an endless line is not read forever");
        assert!(endless.into_parts().1.len() < 3 << 20);
    }

    #[test]
    fn bytes_read_ahead_are_returned_by_into_parts() {
        let log = b"first\nsecond\nthird";
        for first in [1, 6, 9, 100] {
            let mut reader = LineReader::new(&log[..], 10).with_first_read(first);
            assert_eq!(owned(reader.next_line().unwrap().unwrap()), (b"first".to_vec(), true));
            let (mut rest, mut read) = reader.into_parts();
            rest.read_to_end(&mut read).unwrap();
            assert_eq!(read, b"second\nthird");
        }
    }

    #[test]
    fn the_first_read_is_no_larger_than_requested() {
        let mut reader = LineReader::new(&b"a\nb\nc\n"[..], 10).with_first_read(3);
        assert!(reader.next_line().unwrap().is_some());
        assert_eq!(reader.into_parts(), (&b"\nc\n"[..], b"b".to_vec()));
    }

    #[test]
    fn memory_does_not_grow_with_the_number_of_lines() {
        let mut reader = LineReader::new(io::repeat(b'\n').take(4 << 20), 10);
        while reader.next_line().unwrap().is_some() {}
        assert!(reader.buffer.len() <= 2 * READ_BYTES, "{}", reader.buffer.len());
    }

    #[test]
    fn a_read_error_is_returned() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::PermissionDenied.into())
            }
        }
        let mut reader = LineReader::new((&b"a\nb"[..]).chain(Failing), 10);
        assert!(reader.next_line().unwrap().is_some());
        assert!(matches!(reader.next_line(), Err(LineError::Read(_))));
        let mut blocks = LineBlocks::new((&b"a\nb"[..]).chain(Failing), 10, 10);
        assert!(matches!(blocks.next_block(), Err(BlockError::Read(_))));
    }
}
