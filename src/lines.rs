//! Cuts a stream of bytes into lines, with a bound on how long a line may be.

use std::io::{self, Read};

use memchr::{memchr, memrchr};

/// How much is read at a time.
const READ_BYTES: usize = 256 << 10;

/// A number of lines, by what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCount {
    /// Lines that are rows.
    pub rows: u64,
    /// Lines that are no rows: blank, torn or no JSON.
    pub unparsed: u64,
}

impl LineCount {
    /// Both kinds.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Gives its bytes in pieces of at most so many, each after an interruption.
    struct Halting<'b>(&'b [u8], usize, bool);

    impl Read for Halting<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.2 = !self.2;
            if self.2 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let most = self.1.min(buffer.len());
            self.0.read(&mut buffer[..most])
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
            assert_eq!(reader.last_line(), line.0, "the last line can be had again");
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
    fn lines_are_the_same_however_they_are_cut_and_however_their_bytes_come() {
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
                    let reader = LineReader::new(Halting(log, piece, false), 5000).beginning_with(first);
                    assert_eq!(by_reader(reader), expected, "{piece}, {first}");
                }
                assert_eq!(by_reader(LineReader::new(Halting(log, piece, false), 5000)), expected);
            }
        }
    }

    #[test]
    fn a_line_has_the_limits_length_and_no_more() {
        for (log, lines) in
            [(&b"12345\n12345"[..], 2), (b"12345\n123456\n", 1), (b"123456", 0), (b"1\n\n1234567890", 2)]
        {
            for first in [1, 3, 1000] {
                let mut reader = LineReader::new(log, 5).beginning_with(first);
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
        assert!(matches!(endless.next_line(), Err(LineError::TooLong)), "what never ends is not read to its end");
        assert!(endless.into_parts().1.len() < 3 << 20);
    }

    #[test]
    fn what_is_read_behind_a_line_is_not_lost() {
        let log = b"first\nsecond\nthird";
        for first in [1, 6, 9, 100] {
            let mut reader = LineReader::new(&log[..], 10).beginning_with(first);
            assert_eq!(owned(reader.next_line().unwrap().unwrap()), (b"first".to_vec(), true));
            let (mut rest, mut read) = reader.into_parts();
            rest.read_to_end(&mut read).unwrap();
            assert_eq!(read, b"second\nthird");
        }
    }

    #[test]
    fn only_as_much_is_read_ahead_as_is_asked_for() {
        let mut reader = LineReader::new(&b"a\nb\nc\n"[..], 10).beginning_with(3);
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
    fn an_input_that_fails_fails_the_reading() {
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
