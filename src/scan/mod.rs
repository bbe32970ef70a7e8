//! Reads a bundle from its first byte to its last, whatever is wrong with it: what verify and recover share.
//!
//! [`Scan::open`] finds the first line. [`Scan::parts`] then cuts the rest into [`Part`]s, which can be [read](rows) on
//! any thread: compressed blocks where flush points are, lines of text where there are none. Where the two ways of
//! telling a block's place, the chunk table and the flush points, contradict each other, [`resync`] decides.
//! Everything is read once, in order, so that a stream gives the same as a file.

mod chunk_lookup;
mod parts;
mod remaining_lines;
mod resync;
pub(crate) mod rows;
mod salvage;
mod text;
mod text_digest;

use std::io::{self, Read};

use crate::bundle::ChunkRef;
use crate::error::{Error, ErrorKind, GzipFault, IoAction, Result};
use crate::format::limits::{MAX_CHUNK_BYTES, MAX_MANIFEST_BYTES};
use crate::gzip::{Anomaly, SequentialReader, StreamKind};

pub(crate) use parts::{Part, Parts};
pub(crate) use resync::plausible_length;
use resync::{is_as_long, is_text_of, longest_block};
pub(crate) use text_digest::TextDigest;

/// How many chunks tell whether they are blocks.
const MAX_SETTLING: usize = 4;

/// A bundle of which the first line was looked for.
pub(crate) struct Scan<R> {
    stream: SequentialReader<R>,
    pub(crate) content: StreamKind,
    pub(crate) first_line: FirstLine,
    /// What was read behind the first line.
    behind: Vec<u8>,
    /// What is odd so far.
    pub(crate) anomalies: Vec<(Anomaly, u64)>,
    /// Whether the rest begins at a flush point.
    at_flush_point: bool,
}

/// What stands where the manifest must be.
#[derive(Debug)]
pub(crate) enum FirstLine {
    /// A line, without its line feed.
    ContainerClaim { line: Vec<u8>, terminated: bool },
    /// Nothing that can be read: the compressed data is damaged or cut there.
    Damaged,
    /// Something that is no bundle's.
    Foreign(StreamKind),
}

impl<R: Read> Scan<R> {
    /// Looks for the first line.
    ///
    /// # Errors
    /// When the input is empty, fails, or has a first line longer than any manifest.
    pub(crate) fn open(input: R) -> Result<Self> {
        Self::read(SequentialReader::tolerant(input))
    }

    /// As [`open`](Self::open), for compressed data of which the first bytes are damaged, or missing with the header.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_headless(input: R) -> Result<Self> {
        let mut stream = SequentialReader::tolerant(input);
        if stream.skip_damaged_header().map_err(|error| Error::io_unnamed(IoAction::Read, error))? {
            return Self::read(stream);
        }
        Ok(Self::without_first_line(stream))
    }

    /// Looks for no first line, but for blocks from the first byte on.
    pub(crate) fn of_blocks_alone(input: R) -> Self {
        Self::without_first_line(SequentialReader::tolerant(input))
    }

    fn without_first_line(stream: SequentialReader<R>) -> Self {
        Self {
            stream,
            content: StreamKind::Gzip,
            first_line: FirstLine::Damaged,
            behind: Vec::new(),
            anomalies: vec![(Anomaly::Fault(GzipFault::Header), 0)],
            at_flush_point: false,
        }
    }

    fn read(mut stream: SequentialReader<R>) -> Result<Self> {
        let failed = |error| Error::io_unnamed(IoAction::Read, error);
        let content = stream.content().map_err(failed)?.ok_or(ErrorKind::EmptyInput)?;
        let mut text = Vec::new();
        let (at_flush_point, line_end) = read_first_line(&mut stream, content, &mut text)?;
        let mut scan = Self {
            anomalies: stream.take_anomalies(),
            stream,
            content,
            first_line: FirstLine::Damaged,
            behind: Vec::new(),
            at_flush_point,
        };
        let ended_early = scan.has_fault();
        let is_ours = !scan.anomalies.iter().any(|(odd, _)| *odd == Anomaly::ForeignHeader);
        if text.first() != Some(&b'{') {
            // A header as this format has it and damage behind it still make a bundle.
            if content == StreamKind::Plain || !ended_early && !is_ours {
                scan.first_line = FirstLine::Foreign(content);
            }
        } else if let Some(end) = line_end {
            scan.behind = text.split_off(end + 1);
            text.truncate(end);
            scan.first_line = FirstLine::ContainerClaim { line: text, terminated: true };
        } else if !ended_early {
            scan.first_line = FirstLine::ContainerClaim { line: text, terminated: false };
        }
        Ok(scan)
    }

    /// Whether something is damaged so far.
    pub(crate) fn has_fault(&self) -> bool {
        self.anomalies.iter().any(|(odd, _)| matches!(odd, Anomaly::Fault(_)))
    }

    /// Looks whether blocks follow the first line, which is that of a manifest with these chunks. Another program that
    /// compressed the bundle can have flushed there as well: then the text of the first chunks goes on without blocks.
    ///
    /// # Errors
    /// When reading the input fails.
    pub(crate) fn settle(&mut self, chunk_refs: &[ChunkRef]) -> Result<()> {
        if self.at_flush_point && self.behind.is_empty() {
            let text = self.as_text(chunk_refs).map_err(|error| Error::io_unnamed(IoAction::Read, error))?;
            self.behind = text.unwrap_or_default();
        }
        Ok(())
    }

    /// The text of the first chunks, if they are not compressed each for itself.
    fn as_text(&mut self, chunk_refs: &[ChunkRef]) -> io::Result<Option<Vec<u8>>> {
        let Some(first) = chunk_refs.first() else { return Ok(None) };
        let is_right = |block: &[u8]| is_as_long(block, first);
        let is_block = first.bytes > MAX_CHUNK_BYTES
            || self.stream.is_block_of(plausible_length(first), is_right)?
            || self.stream.is_next_block(longest_block(first.bytes), is_right)?;
        if is_block {
            return Ok(None);
        }
        let (chunks, bytes) = first_chunks(chunk_refs);
        self.stream.take_text_if(bytes, 2 * longest_block(bytes), |text, has_ended| goes_on(text, has_ended, chunks))
    }

    /// Whether the rest can be cut into blocks: it begins at a flush point, or what should be one is damaged.
    pub(crate) fn has_blocks(&self) -> bool {
        self.content == StreamKind::Gzip && self.behind.is_empty() && (self.at_flush_point || self.stream.is_broken())
    }
}

/// The first chunks, of which the text tells whether they are blocks, and how long that is.
fn first_chunks(chunk_refs: &[ChunkRef]) -> (&[ChunkRef], u64) {
    let (mut count, mut bytes) = (0, 0u64);
    for slot in chunk_refs.iter().take(MAX_SETTLING) {
        let with_it = bytes.saturating_add(slot.bytes);
        if with_it > MAX_CHUNK_BYTES {
            break;
        }
        (count, bytes) = (count + 1, with_it);
    }
    (&chunk_refs[..count], bytes)
}

/// Whether this is text of these chunks that went on through the end of the first: as it does not where that is a flush
/// point, and damaged.
fn goes_on(text: &[u8], has_ended: bool, chunks: &[ChunkRef]) -> bool {
    let mut rest = text;
    let mut is_right = chunks.iter().map(|chunk| {
        let length = usize::try_from(chunk.bytes).map_or(rest.len(), |bytes| bytes.min(rest.len()));
        let (text, behind) = rest.split_at(length);
        rest = behind;
        is_text_of(text, chunk)
    });
    let first = is_right.next() == Some(true);
    match chunks.len() {
        1 => first && has_ended,
        _ => is_right.any(|is_right| is_right),
    }
}

/// Reads until the first line has an end, and something more is known about what follows it. Says whether the text
/// ends at a flush point, and where the line does.
fn read_first_line<R: Read>(
    stream: &mut SequentialReader<R>,
    content: StreamKind,
    text: &mut Vec<u8>,
) -> Result<(bool, Option<usize>)> {
    let mut line_end = None;
    loop {
        let before = text.len();
        let was_in_first = stream.is_in_first_member();
        let read = match content {
            StreamKind::Gzip if stream.is_in_first_member() => stream.read_to_flush_point(text),
            // Where a further member has flush points tells nothing: chunks are not written into one.
            StreamKind::Gzip | StreamKind::Plain => read_some(stream, text).map(|()| false),
        };
        let at_flush_point = read.map_err(|error| Error::io_unnamed(IoAction::Read, error))?;
        line_end = line_end.or_else(|| memchr::memchr(b'\n', &text[before..]).map(|at| before + at));
        if line_end.unwrap_or(text.len()) as u64 > MAX_MANIFEST_BYTES {
            return Err(Error::from(ErrorKind::ManifestTooLong { limit: MAX_MANIFEST_BYTES }).at_line(1));
        }
        let has_more = line_end.is_some_and(|end| text.len() > end + 1);
        // A line may go on in a further member.
        let goes_on = line_end.is_none() && !stream.is_in_first_member();
        let has_ended = text.len() == before && !at_flush_point && !(was_in_first && goes_on);
        if has_ended
            || has_more
            || line_end.is_some() && at_flush_point
            || text.first().is_some_and(|&byte| byte != b'{')
        {
            return Ok((at_flush_point, line_end));
        }
    }
}

fn read_some(stream: &mut impl Read, text: &mut Vec<u8>) -> io::Result<()> {
    stream.take(64 << 10).read_to_end(text).map(drop)
}
