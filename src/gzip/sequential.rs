//! Reads gzip files of one or more members, or plain text, from any stream. The first bytes tell which it is.

mod ahead;

use std::io::{self, Read};

use flate2::{Decompress, DecompressError, FlushDecompress, Status};

use super::inflate::ends_at_boundary;
use super::member::{HEADER, HeaderFault, MAGIC, Trailer, read_header};
use super::source::{FLUSH_MARK, PeekReader, READ_BYTES};
use crate::error::{Error, ErrorKind, GzipFault};

/// The kind of a stream, according to its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// The stream begins with gzip's magic bytes.
    Gzip,
    /// The stream begins with other bytes.
    Plain,
}

#[derive(Debug, Clone, Copy)]
enum StreamState {
    Unknown,
    Plain,
    Header,
    Body,
    Trailer,
    BetweenMembers,
    /// The compressed data is damaged here.
    Broken,
    End,
}

/// A deviation of a gzip file from the container format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Anomaly {
    /// Damage.
    Fault(GzipFault),
    /// The first member has a header that another program wrote.
    ForeignHeader,
    /// A further member.
    FurtherMember,
    /// Zero padding after the last member.
    Padding { bytes: u64 },
}

/// A reader of the decompressed bytes of a stream. It reports damage as an [`Error`], with the offset, wrapped in an
/// [`io::Error`].
#[derive(Debug)]
pub struct SequentialReader<R> {
    source: PeekReader<R>,
    state: StreamState,
    raw: Decompress,
    crc32: crc32fast::Hasher,
    bytes: u64,
    members: u64,
    failed: Option<(GzipFault, u64)>,
    /// True if more was inflated than was consumed.
    is_ahead: bool,
    /// True if compressed data ended early, because of damage or truncation.
    ended_early: bool,
    /// The anomalies that a tolerant reader found, each with its file offset. `None` in a strict reader.
    anomalies: Option<Vec<(Anomaly, u64)>>,
}

impl<R: Read> SequentialReader<R> {
    /// Creates a strict reader of `inner`, from its current position.
    pub fn new(inner: R) -> Self {
        Self::of(PeekReader::new(inner))
    }

    fn of(source: PeekReader<R>) -> Self {
        Self {
            source,
            state: StreamState::Unknown,
            raw: Decompress::new(false),
            crc32: crc32fast::Hasher::new(),
            bytes: 0,
            members: 0,
            failed: None,
            is_ahead: false,
            ended_early: false,
            anomalies: None,
        }
    }

    /// Creates a tolerant reader. Unlike a reader from [`new`](Self::new), it records anomalies and continues after
    /// them where possible (see [`take_anomalies`](Self::take_anomalies)). It fails only if reading the input fails.
    pub(crate) fn tolerant(inner: R) -> Self {
        Self { anomalies: Some(Vec::new()), ..Self::new(inner) }
    }

    /// Treats the file as gzip whatever its first bytes are.
    pub(crate) fn assume_gzip(&mut self) {
        self.state = StreamState::Header;
    }

    /// Creates a tolerant reader of everything after the first member. `source` must be at the end of that member.
    pub(crate) fn after_member(source: PeekReader<R>) -> Self {
        Self { state: StreamState::BetweenMembers, members: 1, anomalies: Some(Vec::new()), ..Self::of(source) }
    }

    /// Returns the anomalies found since the last call, each with its file offset.
    pub(crate) fn take_anomalies(&mut self) -> Vec<(Anomaly, u64)> {
        self.anomalies.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Returns true if the stream is plain text.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.state, StreamState::Plain)
    }

    /// Returns true if reading stopped at damage.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.state, StreamState::Broken)
    }

    /// Returns true if reading ended at damage or truncation.
    pub(crate) fn ended_early(&self) -> bool {
        self.ended_early
    }

    /// Records an anomaly if the compressed data cannot be split here. Does nothing after a failed
    /// [`take_text_if`](Self::take_text_if). Only [the input itself](Self::into_source) can be read afterwards.
    pub(crate) fn check_flush_point(&mut self) {
        if matches!(self.state, StreamState::Body) && !self.is_ahead && !ends_at_boundary(&mut self.raw) {
            self.note(Anomaly::Fault(GzipFault::Deflate), self.source.offset());
        }
    }

    /// Returns true if the next bytes belong to the first member or decide whether the file has one.
    pub(crate) fn is_in_first_member(&self) -> bool {
        match self.state {
            StreamState::Unknown | StreamState::Plain | StreamState::Broken | StreamState::End => true,
            StreamState::Header => self.members == 0,
            StreamState::Body => self.members == 1,
            StreamState::Trailer | StreamState::BetweenMembers => false,
        }
    }

    /// Returns the input from here on.
    pub(crate) fn into_source(self) -> PeekReader<R> {
        self.source
    }

    /// Appends the next decompressed bytes of the first member to `out`, at most up to the next flush point.
    ///
    /// Returns true if it reached the flush point. If it returns false, more bytes may follow, unless it appended
    /// nothing: then the member has ended or is damaged.
    ///
    /// # Errors
    /// Fails if reading fails.
    pub(crate) fn read_to_flush_point(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        self.content()?;
        if let StreamState::Header = self.state {
            self.header()?;
        }
        let end = out.len() + READ_BYTES;
        let mut at_mark = false;
        while let StreamState::Body = self.state
            && out.len() < end
        {
            let input = match at_mark {
                true => &[],
                false => self.source.peek(FLUSH_MARK.len())?,
            };
            let (input, to_mark) = up_to_mark(input);
            let (is_at_end, length) = (input.is_empty(), input.len());
            let mut piece = [0; 4096];
            let (read, written, status) = inflate_some(&mut self.raw, input, &mut piece)?;
            self.source.consume(read);
            out.extend_from_slice(&piece[..written]);
            self.crc32.update(&piece[..written]);
            self.bytes += written as u64;
            at_mark |= to_mark && read == length;
            match status {
                Ok(Status::StreamEnd) => self.state = StreamState::Trailer,
                Ok(_) if at_mark && written < piece.len() => return Ok(true),
                Ok(_) if is_at_end && !at_mark && written == 0 => self.break_off(GzipFault::Truncated)?,
                Ok(_) => {}
                Err(_) => self.break_off(GzipFault::Deflate)?,
            }
        }
        Ok(false)
    }

    /// Returns the kind of the stream, or `None` if it is empty.
    ///
    /// # Errors
    /// Fails if reading fails.
    pub fn content(&mut self) -> io::Result<Option<StreamKind>> {
        if let StreamState::Unknown = self.state {
            let first = self.source.peek(MAGIC.len())?;
            self.state = match first {
                [] => return Ok(None),
                first if first.starts_with(&MAGIC) => StreamState::Header,
                _ => StreamState::Plain,
            };
        }
        Ok(Some(match self.state {
            StreamState::Plain => StreamKind::Plain,
            _ => StreamKind::Gzip,
        }))
    }

    /// Records an anomaly. Returns false if this reader is strict.
    fn note(&mut self, anomaly: Anomaly, at: u64) -> bool {
        self.anomalies.as_mut().map(|anomalies| anomalies.push((anomaly, at))).is_some()
    }

    /// Ends the content because of a fault. A strict reader fails instead.
    fn break_off(&mut self, fault: GzipFault) -> io::Result<()> {
        self.break_off_at(fault, self.source.offset())
    }

    fn break_off_at(&mut self, fault: GzipFault, at: u64) -> io::Result<()> {
        self.ended_early = fault != GzipFault::TrailingBytes;
        let cut = matches!(fault, GzipFault::Truncated | GzipFault::TrailingBytes);
        match self.note(Anomaly::Fault(fault.clone()), at) {
            true => self.state = if cut { StreamState::End } else { StreamState::Broken },
            false => return Err(self.fail_at(fault, at)),
        }
        Ok(())
    }

    fn fail_at(&mut self, fault: GzipFault, at: u64) -> io::Error {
        let (fault, at) = self.failed.get_or_insert((fault, at));
        Error::from(ErrorKind::Gzip(fault.clone())).at_byte(*at).into()
    }

    fn header(&mut self) -> io::Result<()> {
        let at = self.source.offset();
        if self.members == 0 && !self.source.peek(HEADER.len())?.starts_with(&HEADER) {
            self.note(Anomaly::ForeignHeader, at);
        }
        match read_header(&mut self.source) {
            Ok(()) => {}
            Err(HeaderFault::Read(error)) => return Err(error),
            Err(HeaderFault::Truncated) => return self.break_off(GzipFault::Truncated),
            // A damaged first header most probably still has the length that is always written.
            Err(HeaderFault::Damaged)
                if self.anomalies.is_some() && self.source.offset() == at + HEADER.len() as u64 =>
            {
                self.note(Anomaly::Fault(GzipFault::Header), at);
            }
            Err(HeaderFault::Damaged) => return self.break_off_at(GzipFault::Header, at),
        }
        if self.members > 0 {
            self.note(Anomaly::FurtherMember, at);
        }
        self.raw.reset(false);
        self.crc32 = crc32fast::Hasher::new();
        self.bytes = 0;
        self.members += 1;
        self.state = StreamState::Body;
        Ok(())
    }

    fn body(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let input = self.source.peek(1)?;
        let at_end = input.is_empty();
        let (read, written, status) = inflate_some(&mut self.raw, input, out)?;
        self.source.consume(read);
        self.crc32.update(&out[..written]);
        self.bytes += written as u64;
        match status {
            Ok(Status::StreamEnd) => self.state = StreamState::Trailer,
            Ok(_) if at_end && written == 0 => self.break_off(GzipFault::Truncated)?,
            Ok(_) => {}
            // Bytes inflated before the damage are returned first. The next call meets the damage again.
            Err(_) if written > 0 => {}
            Err(_) => self.break_off(GzipFault::Deflate)?,
        }
        Ok(written)
    }

    fn trailer(&mut self) -> io::Result<()> {
        let at = self.source.offset();
        let Some(trailer) = self.source.take()?.map(Trailer::decode) else {
            return self.break_off(GzipFault::Truncated);
        };
        for fault in trailer.faults(Trailer::new(self.crc32.clone().finalize(), self.bytes)) {
            if !self.note(Anomaly::Fault(fault.clone()), at) {
                return Err(self.fail_at(fault, at));
            }
        }
        self.state = StreamState::BetweenMembers;
        Ok(())
    }

    /// Handles the bytes after a member: another member, or the zero padding of tapes and block devices.
    fn between_members(&mut self) -> io::Result<()> {
        if self.source.peek(MAGIC.len())?.starts_with(&MAGIC) {
            self.state = StreamState::Header;
            return Ok(());
        }
        let at = self.source.offset();
        loop {
            let rest = self.source.peek(1)?;
            let (length, zeros) = (rest.len(), rest.iter().take_while(|byte| **byte == 0).count());
            self.source.consume(zeros);
            if length == 0 || zeros < length {
                let bytes = self.source.offset() - at;
                if bytes > 0 {
                    self.note(Anomaly::Padding { bytes }, at);
                }
            }
            if length == 0 {
                self.state = StreamState::End;
                return Ok(());
            }
            if zeros < length {
                return self.break_off(GzipFault::TrailingBytes);
            }
        }
    }
}

/// Inflates into `out`. Returns the number of bytes read from `input`, the number written, and the status.
fn inflate_some(
    raw: &mut Decompress,
    input: &[u8],
    out: &mut [u8],
) -> io::Result<(usize, usize, Result<Status, DecompressError>)> {
    let (read, written) = (raw.total_in(), raw.total_out());
    let status = raw.decompress(input, out, FlushDecompress::None);
    // Both differences are at most the lengths of the two slices.
    let read = usize::try_from(raw.total_in() - read).map_err(io::Error::other)?;
    let written = usize::try_from(raw.total_out() - written).map_err(io::Error::other)?;
    Ok((read, written, status))
}

/// Returns the part of `input` up to the end of its first flush mark, and true. Without a mark, returns the part in
/// which none can begin, and false.
fn up_to_mark(input: &[u8]) -> (&[u8], bool) {
    match memchr::memmem::find(input, &FLUSH_MARK) {
        Some(at) => (&input[..at + FLUSH_MARK.len()], true),
        None if input.len() < FLUSH_MARK.len() => (input, false),
        None => (&input[..input.len() - (FLUSH_MARK.len() - 1)], false),
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
                StreamState::Unknown => {
                    if self.content()?.is_none() {
                        return Ok(0);
                    }
                }
                StreamState::Plain => {
                    let ahead = self.source.peek(1)?;
                    let n = ahead.len().min(out.len());
                    out[..n].copy_from_slice(&ahead[..n]);
                    self.source.consume(n);
                    return Ok(n);
                }
                StreamState::Header => self.header()?,
                StreamState::Body => match self.body(out)? {
                    0 => {}
                    n => return Ok(n),
                },
                StreamState::Trailer => self.trailer()?,
                StreamState::BetweenMembers => self.between_members()?,
                StreamState::Broken | StreamState::End => return Ok(0),
            }
        }
    }
}
