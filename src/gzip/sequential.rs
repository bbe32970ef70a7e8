//! Reads a gzip file of one or many members, or plain text, from any stream. What it is shows in its first bytes.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::member::{HeaderFault, MAGIC, Trailer, read_header};
use crate::error::{Error, ErrorKind, GzipFault};

/// How much compressed data is read at a time.
const READ_BYTES: usize = 64 << 10;

/// What a stream is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// It begins as gzip does.
    Gzip,
    /// It does not.
    Plain,
}

/// Compressed bytes with a look ahead, and how many were taken.
#[derive(Debug)]
pub(super) struct Source<R> {
    inner: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
}

impl<R: Read> Source<R> {
    /// Bytes that are there, at least `least` of them unless the stream ends before.
    fn peek(&mut self, least: usize) -> io::Result<&[u8]> {
        if self.end - self.start < least {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            while self.end < least {
                match self.inner.read(&mut self.buffer[self.end..]) {
                    Ok(0) => break,
                    Ok(n) => self.end += n,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, n: usize) {
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
}

#[derive(Debug, Clone, Copy)]
enum State {
    Unknown,
    Plain,
    Header,
    Body,
    Trailer,
    BetweenMembers,
    End,
}

/// The decompressed bytes of a stream. Damage comes as an [`Error`] inside the [`io::Error`], with its byte.
#[derive(Debug)]
pub struct SequentialReader<R> {
    source: Source<R>,
    state: State,
    raw: Decompress,
    crc32: crc32fast::Hasher,
    bytes: u64,
    members: u64,
    failed: Option<(GzipFault, u64)>,
}

impl<R: Read> SequentialReader<R> {
    /// Reads `inner` from where it stands.
    pub fn new(inner: R) -> Self {
        Self {
            source: Source { inner, buffer: vec![0; READ_BYTES], start: 0, end: 0, offset: 0 },
            state: State::Unknown,
            raw: Decompress::new(false),
            crc32: crc32fast::Hasher::new(),
            bytes: 0,
            members: 0,
            failed: None,
        }
    }

    /// What the stream is. `None` when it has no bytes at all.
    ///
    /// # Errors
    /// When reading fails.
    pub fn content(&mut self) -> io::Result<Option<Content>> {
        if let State::Unknown = self.state {
            let first = self.source.peek(MAGIC.len())?;
            self.state = match first {
                [] => return Ok(None),
                first if first.starts_with(&MAGIC) => State::Header,
                _ => State::Plain,
            };
        }
        Ok(Some(match self.state {
            State::Plain => Content::Plain,
            _ => Content::Gzip,
        }))
    }

    /// How many gzip members were entered so far.
    #[must_use]
    pub fn members(&self) -> u64 {
        self.members
    }

    fn fail(&mut self, fault: GzipFault) -> io::Error {
        self.fail_at(fault, self.source.offset)
    }

    fn fail_at(&mut self, fault: GzipFault, at: u64) -> io::Error {
        let (fault, at) = self.failed.get_or_insert((fault, at));
        Error::from(ErrorKind::Gzip(fault.clone())).at_byte(*at).into()
    }

    fn header(&mut self) -> io::Result<()> {
        let start = self.source.offset;
        match read_header(&mut self.source) {
            Ok(()) => {}
            Err(HeaderFault::Read(error)) => return Err(error),
            Err(HeaderFault::Truncated) => return Err(self.fail(GzipFault::Truncated)),
            Err(HeaderFault::Damaged) => return Err(self.fail_at(GzipFault::Header, start)),
        }
        self.raw.reset(false);
        self.crc32 = crc32fast::Hasher::new();
        self.bytes = 0;
        self.members += 1;
        self.state = State::Body;
        Ok(())
    }

    fn body(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let input = self.source.peek(1)?;
        let at_end = input.is_empty();
        let (read, written) = (self.raw.total_in(), self.raw.total_out());
        let status = self.raw.decompress(input, out, FlushDecompress::None);
        // Both differences are at most the lengths of the two slices.
        let read = usize::try_from(self.raw.total_in() - read).map_err(io::Error::other)?;
        let written = usize::try_from(self.raw.total_out() - written).map_err(io::Error::other)?;
        self.source.consume(read);
        self.crc32.update(&out[..written]);
        self.bytes += written as u64;
        match status {
            Ok(Status::StreamEnd) => self.state = State::Trailer,
            Ok(_) if at_end && written == 0 => return Err(self.fail(GzipFault::Truncated)),
            Ok(_) => {}
            // What came out before the damage is handed out first. The next call meets the damage again.
            Err(_) if written > 0 => {}
            Err(_) => return Err(self.fail(GzipFault::Deflate)),
        }
        Ok(written)
    }

    fn trailer(&mut self) -> io::Result<()> {
        let start = self.source.offset;
        let Some(trailer) = self.source.take()?.map(Trailer::decode) else {
            return Err(self.fail(GzipFault::Truncated));
        };
        let found = Trailer::new(self.crc32.clone().finalize(), self.bytes);
        if trailer.crc32 != found.crc32 {
            let fault = GzipFault::Checksum { expected: trailer.crc32, found: found.crc32 };
            return Err(self.fail_at(fault, start));
        }
        if trailer.isize != found.isize {
            let fault = GzipFault::Length { expected: trailer.isize, found: found.isize };
            return Err(self.fail_at(fault, start));
        }
        self.state = State::BetweenMembers;
        Ok(())
    }

    /// Another member may follow, or the zeros with which tapes and block devices pad.
    fn between_members(&mut self) -> io::Result<()> {
        if self.source.peek(MAGIC.len())?.starts_with(&MAGIC) {
            self.state = State::Header;
            return Ok(());
        }
        loop {
            let rest = self.source.peek(1)?;
            let (length, zeros) = (rest.len(), rest.iter().take_while(|byte| **byte == 0).count());
            self.source.consume(zeros);
            if length == 0 {
                self.state = State::End;
                return Ok(());
            }
            if zeros < length {
                return Err(self.fail(GzipFault::TrailingBytes));
            }
        }
    }
}

impl<R: Read> Read for SequentialReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if let Some((fault, at)) = self.failed.clone() {
            return Err(self.fail_at(fault, at));
        }
        loop {
            match self.state {
                State::Unknown => {
                    if self.content()?.is_none() {
                        return Ok(0);
                    }
                }
                State::Plain => {
                    let there = self.source.peek(1)?;
                    let n = there.len().min(out.len());
                    out[..n].copy_from_slice(&there[..n]);
                    self.source.consume(n);
                    return Ok(n);
                }
                State::Header => self.header()?,
                State::Body => match self.body(out)? {
                    0 => {}
                    n => return Ok(n),
                },
                State::Trailer => self.trailer()?,
                State::BetweenMembers => self.between_members()?,
                State::End => return Ok(0),
            }
        }
    }
}
