//! Encodes the lines of a log as envelopes and describes the log for the manifest.
//!
//! `LogRestorer` is the inverse: it adds exactly the bytes that the envelopes leave out.

use std::borrow::Cow;

use super::envelope::EnvelopeWriter;
use super::exact_line::ExactLine;
use super::limits::{FULL_CHUNK_BYTES, MAX_ENVELOPE_BYTES, MAX_MANIFEST_BYTES};
use super::manifest::{Chunk, LineEnding, ManifestFile};
use super::name::{Base, FileName, SourceName};
use super::row::{RowText, classify};
use super::timeline::{RowTimes, TimeSpan};
use super::timestamp::TimeKey;
use super::unparsed::Unparsed;
use crate::digest::Integrity;
use crate::error::ErrorKind;
use crate::util::line_reader::{Line, lines_of};

/// The identity of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogId {
    /// The source of the rows.
    pub source: SourceName,
    /// The file name of the log.
    pub name: FileName,
    /// The directory that the log belongs to.
    pub base: Base,
}

impl LogId {
    /// Returns the identity of another log of the same source. A name that is not valid is ignored.
    pub(crate) fn named(&self, name: &str) -> Self {
        Self { name: FileName::new(name).unwrap_or_else(|_| self.name.clone()), ..self.clone() }
    }

    /// Returns the identity of the log that `file` describes.
    pub(crate) fn of(file: &ManifestFile) -> Self {
        Self { source: file.source.clone(), name: file.relative_path.clone(), base: file.base() }
    }
}

/// The uncompressed envelope lines of consecutive rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawChunk {
    /// The lines, including line feeds.
    pub bytes: Vec<u8>,
    /// The number of rows.
    pub rows: u64,
    /// The time span of the rows.
    pub span: TimeSpan,
}

/// An encoder of blocks of log lines into chunks of envelopes. Blocks are independent, so any thread can encode any
/// block.
#[derive(Debug, Clone)]
pub struct BlockEncoder {
    envelopes: EnvelopeWriter,
    times: &'static [TimeKey],
    line_ending: LineEnding,
}

/// The result of encoding a block of lines.
#[derive(Debug)]
pub struct EncodedBlock {
    /// The envelopes of the rows, in order.
    pub chunks: Vec<RawChunk>,
    /// The contribution of the block to the log's entry in the manifest.
    pub record: BlockRecord,
}

/// The contribution of a block of lines to its log's entry in the manifest.
#[derive(Debug)]
pub struct BlockRecord {
    line_ending: LineEnding,
    ends_terminated: bool,
    lines: u64,
    rows: u64,
    row_times: RowTimes,
    unparsed: UnparsedLines,
}

/// A line of a block that cannot be bundled.
#[derive(Debug)]
pub struct BadLine {
    /// The number of the line within the block, from 1.
    pub line: u64,
    /// The reason.
    pub kind: ErrorKind,
}

impl BlockEncoder {
    /// Creates an encoder for the log `id`. `times` lists the keys that can hold a row's timestamp. The first line of
    /// `first`, the log's first block, determines the line ending.
    #[must_use]
    pub fn new(id: &LogId, times: &'static [TimeKey], first: &[u8]) -> Self {
        let first_line = memchr::memchr(b'\n', first).map_or(&[][..], |end| &first[..end]);
        let line_ending = if first_line.ends_with(b"\r") { LineEnding::Crlf } else { LineEnding::Lf };
        Self { envelopes: EnvelopeWriter::new(&id.source, &id.name, id.base), times, line_ending }
    }

    /// Encodes a block of whole lines. Only the last line of the log may lack its line feed.
    ///
    /// # Errors
    /// Returns [`ErrorKind::LineTooLong`] or [`ErrorKind::TooManyUnparsed`].
    pub fn encode(&self, block: &[u8]) -> Result<EncodedBlock, BadLine> {
        self.encode_in(Vec::new(), block)
    }

    /// Works like [`encode`](Self::encode), but reuses `memory`, an empty buffer, for the first chunk.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_in(&self, memory: Vec<u8>, block: &[u8]) -> Result<EncodedBlock, BadLine> {
        let mut encoding = Encoding::new(self, memory, block.len());
        for line in lines_of(block) {
            encoding.record.lines += 1;
            encoding.push(line).map_err(|kind| BadLine { line: encoding.record.lines, kind })?;
        }
        encoding.close_chunk();
        Ok(EncodedBlock { chunks: encoding.chunks, record: encoding.record })
    }
}

/// The state of encoding one block.
struct Encoding<'e> {
    encoder: &'e BlockEncoder,
    chunk: RawChunk,
    chunks: Vec<RawChunk>,
    record: BlockRecord,
}

impl<'e> Encoding<'e> {
    /// Starts a block of `bytes` bytes, with room for its envelopes in `memory`.
    fn new(encoder: &'e BlockEncoder, mut memory: Vec<u8>, bytes: usize) -> Self {
        memory.reserve(bytes + bytes / 4);
        let record = BlockRecord {
            line_ending: encoder.line_ending,
            ends_terminated: true,
            lines: 0,
            rows: 0,
            row_times: RowTimes::default(),
            unparsed: UnparsedLines::default(),
        };
        let chunk = RawChunk { bytes: memory, ..RawChunk::default() };
        Self { encoder, chunk, chunks: Vec::new(), record }
    }

    fn push(&mut self, line: Line<'_>) -> Result<(), ErrorKind> {
        self.record.ends_terminated = line.terminated;
        match classify(line.bytes, self.encoder.times) {
            Some(row) => self.push_row(line, &row),
            None => self.record.unparsed.push(self.record.lines, ExactLine::new(line.bytes)),
        }
    }

    fn push_row(&mut self, line: Line<'_>, row: &RowText<'_>) -> Result<(), ErrorKind> {
        let ending = if line.terminated { self.encoder.line_ending.before_line_feed() } else { b"" };
        // A borrowed entry is the line without the white space around it, an owned one was changed.
        let is_exact = matches!(row.entry, Cow::Borrowed(entry) if entry.len() + ending.len() == line.bytes.len())
            && line.bytes.ends_with(ending);
        let original = (!is_exact).then(|| ExactLine::new(line.bytes));
        let start = self.chunk.bytes.len();
        self.encoder.envelopes.write(&row.entry, original.as_ref(), &mut self.chunk.bytes);
        let with_line_feed = (self.chunk.bytes.len() - start) as u64;
        if with_line_feed - 1 > MAX_ENVELOPE_BYTES {
            return Err(ErrorKind::LineTooLong { limit: MAX_ENVELOPE_BYTES });
        }
        self.record.rows += 1;
        self.chunk.rows += 1;
        self.record.row_times.add_row(row.time);
        if let Some(time) = row.time.timestamp {
            self.chunk.span.add(time);
        }
        if self.chunk.bytes.len() as u64 >= FULL_CHUNK_BYTES {
            self.close_chunk();
        }
        Ok(())
    }

    fn close_chunk(&mut self) {
        if self.chunk.rows > 0 {
            self.chunks.push(std::mem::take(&mut self.chunk));
        }
    }
}

/// The lines that are not rows, in order, with consecutive lines joined.
#[derive(Debug, Default)]
struct UnparsedLines {
    lines: Vec<Unparsed>,
    /// The number of the last line.
    last: u64,
    /// A lower bound for their length in the manifest, in bytes.
    bytes: u64,
}

impl UnparsedLines {
    /// The minimum length of an item in the manifest: `{"line":1,"text":""},`.
    const LEAST_BYTES: u64 = 21;

    /// Adds one or more lines, of which the first has the number `line`.
    fn push(&mut self, line: u64, content: ExactLine) -> Result<(), ErrorKind> {
        let unparsed = Unparsed { line, content };
        let last = line + unparsed.lines() - 1;
        self.bytes += unparsed.content.as_bytes().len() as u64 + 1;
        let neighbour = self.lines.last_mut().filter(|_| self.last + 1 == line);
        let separate = match neighbour {
            Some(before) => before.content.join(unparsed.content).err(),
            None => Some(unparsed.content),
        };
        if let Some(content) = separate {
            self.lines.push(Unparsed { line, content });
            self.bytes += Self::LEAST_BYTES;
        }
        self.last = last;
        match self.bytes > MAX_MANIFEST_BYTES {
            true => Err(ErrorKind::TooManyUnparsed { limit: MAX_MANIFEST_BYTES }),
            false => Ok(()),
        }
    }
}

/// A builder of a log's entry in the manifest, from the records of its blocks in order.
#[derive(Debug)]
pub struct FileBuilder {
    id: LogId,
    line_ending: LineEnding,
    final_newline: bool,
    lines: u64,
    rows: u64,
    row_times: RowTimes,
    unparsed: UnparsedLines,
    chunks: Vec<Chunk>,
}

impl FileBuilder {
    /// Creates a builder for the log `id`. Without any blocks, it describes an empty log.
    #[must_use]
    pub fn new(id: LogId) -> Self {
        Self {
            id,
            line_ending: LineEnding::Lf,
            final_newline: true,
            lines: 0,
            rows: 0,
            row_times: RowTimes::default(),
            unparsed: UnparsedLines::default(),
            chunks: Vec::new(),
        }
    }

    /// Returns the number of lines of the blocks so far.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Adds the log's next block, with the table entries of its chunks.
    ///
    /// # Errors
    /// Returns [`ErrorKind::TooManyUnparsed`], with the line within the block.
    pub fn push(&mut self, block: BlockRecord, chunks: impl IntoIterator<Item = Chunk>) -> Result<(), BadLine> {
        for unparsed in block.unparsed.lines {
            let line = unparsed.line;
            self.unparsed.push(self.lines + line, unparsed.content).map_err(|kind| BadLine { line, kind })?;
        }
        self.line_ending = block.line_ending;
        self.final_newline = block.ends_terminated;
        self.lines += block.lines;
        self.rows += block.rows;
        self.row_times.merge(&block.row_times);
        self.chunks.extend(chunks);
        Ok(())
    }

    /// Completes the entry. `read` is the integrity of the bytes that were read from the log.
    #[must_use]
    pub fn finish(self, read: Integrity) -> ManifestFile {
        ManifestFile {
            source: self.id.source,
            relative_path: self.id.name,
            base: Some(self.id.base),
            count: self.rows,
            bytes: read.bytes,
            sha256: Some(read.sha256),
            line_ending: Some(self.line_ending),
            final_newline: Some(self.final_newline),
            first_time: self.row_times.span().first,
            last_time: self.row_times.span().last,
            timeline: self.row_times.timeline(),
            unparsed: self.unparsed.lines,
            chunks: self.chunks,
            follows: None,
        }
    }
}
