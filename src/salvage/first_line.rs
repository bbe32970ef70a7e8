//! Finds the first line of a bundle, and determines whether blocks or text follow it.

use std::io::{self, Read};

use super::locate::{longest_block, plausible_length};
use crate::bundle::ChunkRef;
use crate::container::Input;
use crate::error::{Error, ErrorKind, GzipFault, IoAction, Result};
use crate::format::limits::{MAX_CHUNK_BYTES, MAX_MANIFEST_BYTES};
use crate::gzip::{Anomaly, Fingerprints, SequentialReader, StreamKind};

/// The maximum number of chunks that are examined to decide if chunks are separate blocks.
const MAX_EXAMINED: usize = 4;

/// A bundle after the search for its first line.
pub struct Scan<'r> {
    pub(super) stream: SequentialReader<Input<'r>>,
    pub content: StreamKind,
    pub first_line: FirstLine,
    /// Text after the first line that has already been read.
    pub(super) after_first_line: Vec<u8>,
    /// The anomalies found so far, each with its byte offset.
    pub anomalies: Vec<(Anomaly, u64)>,
    /// True if the unread input starts at a flush point.
    at_flush_point: bool,
}

/// The content at the manifest's position.
#[derive(Debug)]
pub enum FirstLine {
    /// A line, without its line feed.
    Line { line: Vec<u8>, terminated: bool },
    /// Unreadable data: it is damaged or truncated there.
    Damaged,
    /// Content that does not belong to a bundle.
    Foreign(StreamKind),
}

impl<'r> Scan<'r> {
    /// Searches for the first line.
    ///
    /// # Errors
    /// If the input is empty or cannot be read, or if the first line is longer than any manifest.
    pub fn open(input: Input<'r>) -> Result<Self> {
        Self::read(SequentialReader::tolerant(input))
    }

    /// Opens compressed data whose first bytes may be damaged.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_headless(input: Input<'r>) -> Result<Self> {
        let mut stream = SequentialReader::tolerant(input);
        stream.assume_gzip();
        Self::read(stream)
    }

    /// Opens compressed data without a first line. Its blocks may begin at any byte.
    pub fn blocks_only(input: Input<'r>) -> Self {
        Self {
            stream: SequentialReader::tolerant(input),
            content: StreamKind::Gzip,
            first_line: FirstLine::Damaged,
            after_first_line: Vec::new(),
            anomalies: vec![(Anomaly::Fault(GzipFault::Header), 0)],
            at_flush_point: false,
        }
    }

    fn read(mut stream: SequentialReader<Input<'r>>) -> Result<Self> {
        let failed = |error| Error::io_unnamed(IoAction::Read, error);
        let content = stream.content().map_err(failed)?.ok_or(ErrorKind::EmptyInput)?;
        let mut text = Vec::new();
        let (at_flush_point, line_end) = read_first_line(&mut stream, content, &mut text)?;
        let mut scan = Self {
            anomalies: stream.take_anomalies(),
            stream,
            content,
            first_line: FirstLine::Damaged,
            after_first_line: Vec::new(),
            at_flush_point,
        };
        let ended_early = scan.has_fault();
        let is_ours = !scan.anomalies.iter().any(|(anomaly, _)| *anomaly == Anomaly::ForeignHeader);
        if text.first() != Some(&b'{') {
            // A gzip header of ours, or damage after any gzip header, still counts as a bundle.
            if content == StreamKind::Plain || !ended_early && !is_ours {
                scan.first_line = FirstLine::Foreign(content);
            }
        } else if let Some(end) = line_end {
            scan.after_first_line = text.split_off(end + 1);
            text.truncate(end);
            scan.first_line = FirstLine::Line { line: text, terminated: true };
        } else if !ended_early {
            scan.first_line = FirstLine::Line { line: text, terminated: false };
        }
        Ok(scan)
    }

    /// Returns true if damage was found so far.
    pub fn has_fault(&self) -> bool {
        self.anomalies.iter().any(|(anomaly, _)| matches!(anomaly, Anomaly::Fault(_)))
    }

    /// Checks whether blocks follow the first line. `chunk_refs` is the chunk table of its manifest. A program that
    /// recompressed the bundle may also have flushed after the first line, although no blocks follow.
    ///
    /// # Errors
    /// If reading the input fails.
    pub fn detect_blocks(&mut self, chunk_refs: &[ChunkRef]) -> Result<()> {
        if self.at_flush_point && self.after_first_line.is_empty() {
            let text =
                self.text_of_first_chunks(chunk_refs).map_err(|error| Error::io_unnamed(IoAction::Read, error))?;
            self.after_first_line = text.unwrap_or_default();
        }
        Ok(())
    }

    /// Returns the text of the first chunks if they are not compressed as separate blocks.
    fn text_of_first_chunks(&mut self, chunk_refs: &[ChunkRef]) -> io::Result<Option<Vec<u8>>> {
        let Some(first) = chunk_refs.first() else { return Ok(None) };
        let mut fingerprints = Fingerprints::default();
        let mut is_expected = |block: &[u8]| {
            fingerprints.of(block, first.bytes).is_ok_and(|found| found.is_some_and(|(_, bytes)| bytes == first.bytes))
        };
        let is_block = first.bytes > MAX_CHUNK_BYTES
            || self.stream.is_block_of(plausible_length(first), &mut is_expected)?
            || self.stream.is_next_block(longest_block(first.bytes), &mut is_expected)?;
        if is_block {
            return Ok(None);
        }
        let (chunks, bytes) = first_chunks(chunk_refs);
        self.stream.take_text_if(bytes, 2 * longest_block(bytes), |text, has_ended| continues(text, has_ended, chunks))
    }

    /// Returns true if the rest can be cut into blocks: it starts at a flush point, or at damage where one should be.
    pub fn has_blocks(&self) -> bool {
        self.content == StreamKind::Gzip
            && self.after_first_line.is_empty()
            && (self.at_flush_point || self.stream.is_broken())
    }
}

/// Returns the first few chunks and their total length. Their text shows whether chunks are separate blocks.
fn first_chunks(chunk_refs: &[ChunkRef]) -> (&[ChunkRef], u64) {
    let (mut count, mut bytes) = (0, 0u64);
    for chunk in chunk_refs.iter().take(MAX_EXAMINED) {
        let with_it = bytes.saturating_add(chunk.bytes);
        if with_it > MAX_CHUNK_BYTES {
            break;
        }
        (count, bytes) = (count + 1, with_it);
    }
    (&chunk_refs[..count], bytes)
}

/// Returns true if `text` is that of `chunks` and continues past the end of the first chunk. It stops there if the
/// chunk ends at a damaged flush point.
fn continues(text: &[u8], has_ended: bool, chunks: &[ChunkRef]) -> bool {
    let mut rest = text;
    let mut is_expected = chunks.iter().map(|chunk| {
        let length = usize::try_from(chunk.bytes).map_or(rest.len(), |bytes| bytes.min(rest.len()));
        let (text, remaining) = rest.split_at(length);
        rest = remaining;
        chunk.has_text(text)
    });
    let first = is_expected.next() == Some(true);
    match chunks.len() {
        1 => first && has_ended,
        _ => is_expected.any(|is_expected| is_expected),
    }
}

/// Reads the first line and enough after it to classify what follows. Returns true if the text read ends at a flush
/// point, and the offset of the line feed, if found.
fn read_first_line(
    stream: &mut SequentialReader<Input<'_>>,
    content: StreamKind,
    text: &mut Vec<u8>,
) -> Result<(bool, Option<usize>)> {
    let mut line_end = None;
    loop {
        let before = text.len();
        let was_in_first = stream.is_in_first_member();
        let read = match content {
            StreamKind::Gzip if stream.is_in_first_member() => stream.read_to_flush_point(text),
            // Flush points in a later member are irrelevant: chunks are never written there.
            StreamKind::Gzip | StreamKind::Plain => read_some(stream, text).map(|()| false),
        };
        let at_flush_point = read.map_err(|error| Error::io_unnamed(IoAction::Read, error))?;
        line_end = line_end.or_else(|| memchr::memchr(b'\n', &text[before..]).map(|at| before + at));
        if line_end.unwrap_or(text.len()) as u64 > MAX_MANIFEST_BYTES {
            return Err(Error::from(ErrorKind::ManifestTooLong { limit: MAX_MANIFEST_BYTES }).at_line(1));
        }
        let has_more = line_end.is_some_and(|end| text.len() > end + 1);
        // A line can continue in the next member.
        let continues = line_end.is_none() && !stream.is_in_first_member();
        let has_ended = text.len() == before && !at_flush_point && !(was_in_first && continues);
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
