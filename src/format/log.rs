//! A log as envelopes, and envelopes as the log again, byte for byte (FORMAT.md, "Restoring a log").
//!
//! [`BlockEncoder`] and [`LogRestorer`] are two sides of one rule: what an envelope leaves out is what the restorer adds.

mod restore;

pub use restore::LogRestorer;
pub(crate) use restore::{RowLines, printed_row};

use super::envelope::EnvelopeWriter;
use super::exact::ExactLine;
use super::limits::{FULL_CHUNK_BYTES, MAX_ENVELOPE_BYTES, MAX_MANIFEST_BYTES};
use super::line::{RowText, classify};
use super::manifest::{Chunk, LineEnding, ManifestFile};
use super::name::{Base, FileName, SourceName};
use super::time::TimeKey;
use super::timeline::{RowTimes, TimeSpan};
use super::unparsed::Unparsed;
use crate::digest::Integrity;
use crate::error::ErrorKind;
use crate::lines::{Line, lines_of};

/// Which log is encoded.
#[derive(Debug, Clone)]
pub struct LogId {
    /// The source that its rows belong to.
    pub source: SourceName,
    /// Its file name.
    pub name: FileName,
    /// Which directory it belongs to.
    pub base: Base,
}

/// Envelope lines of neighbouring rows, not compressed yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawChunk {
    /// The lines, line feeds included.
    pub bytes: Vec<u8>,
    /// How many there are.
    pub rows: u64,
    /// When their rows are from.
    pub span: TimeSpan,
}

/// Turns blocks of a log's lines into chunks of envelopes. Blocks know nothing of each other, so any thread can encode
/// any block.
#[derive(Debug, Clone)]
pub struct BlockEncoder {
    envelopes: EnvelopeWriter,
    times: &'static [TimeKey],
    line_ending: LineEnding,
}

/// What a block of lines became.
#[derive(Debug)]
pub struct EncodedBlock {
    /// The envelopes of its rows, in order.
    pub chunks: Vec<RawChunk>,
    /// What it adds to the log's entry in the manifest.
    pub record: BlockRecord,
}

/// What a block of lines adds to its log's entry in the manifest.
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
    /// Its number within the block, from 1.
    pub line: u64,
    /// Why.
    pub kind: ErrorKind,
}

impl BlockEncoder {
    /// For the log `id`, whose rows have their time at one of `times`. Its `first` block says what ends its lines.
    #[must_use]
    pub fn new(id: &LogId, times: &'static [TimeKey], first: &[u8]) -> Self {
        let first_line = memchr::memchr(b'\n', first).map_or(&[][..], |end| &first[..end]);
        let line_ending = if first_line.ends_with(b"\r") { LineEnding::Crlf } else { LineEnding::Lf };
        Self { envelopes: EnvelopeWriter::new(&id.source, &id.name, id.base), times, line_ending }
    }

    /// Encodes a block of whole lines; only the log's last line may have no line feed.
    ///
    /// # Errors
    /// [`ErrorKind::LineTooLong`] and [`ErrorKind::TooManyUnparsed`].
    pub fn encode(&self, block: &[u8]) -> Result<EncodedBlock, BadLine> {
        self.encode_in(Vec::new(), block)
    }

    /// As [`encode`](Self::encode), with the first chunk in the memory of an empty buffer.
    pub(crate) fn encode_in(&self, memory: Vec<u8>, block: &[u8]) -> Result<EncodedBlock, BadLine> {
        let mut encoding = Encoding::new(self, memory, block.len());
        for line in lines_of(block) {
            encoding.record.lines += 1;
            encoding.push(line).map_err(|kind| BadLine { line: encoding.record.lines, kind })?;
        }
        encoding.close_chunk();
        Ok(EncodedBlock { chunks: encoding.chunks, record: encoding.record })
    }
}

/// A block that is being encoded.
struct Encoding<'e> {
    encoder: &'e BlockEncoder,
    chunk: RawChunk,
    chunks: Vec<RawChunk>,
    record: BlockRecord,
}

impl<'e> Encoding<'e> {
    /// Has room for the rows of a block of `bytes` bytes, with what stands around each.
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
        let is_exact = line.bytes.strip_suffix(ending) == Some(row.entry.as_bytes());
        let original = (!is_exact).then(|| ExactLine::new(line.bytes));
        let start = self.chunk.bytes.len();
        self.encoder.envelopes.write(&row.entry, original.as_ref(), &mut self.chunk.bytes);
        let with_line_feed = (self.chunk.bytes.len() - start) as u64;
        if with_line_feed - 1 > MAX_ENVELOPE_BYTES {
            return Err(ErrorKind::LineTooLong { limit: MAX_ENVELOPE_BYTES });
        }
        self.record.rows += 1;
        self.chunk.rows += 1;
        if let Some(time) = row.time {
            self.record.row_times.add(time);
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

/// Lines that are no rows, in order, with neighbours joined.
#[derive(Debug, Default)]
struct UnparsedLines {
    lines: Vec<Unparsed>,
    /// The number of the last one.
    last: u64,
    /// What they take in the manifest, at least.
    bytes: u64,
}

impl UnparsedLines {
    /// What an entry takes in the manifest at least: `{"line":1,"text":""},`.
    const LEAST_BYTES: u64 = 21;

    /// Adds one or more lines of which `line` is the first.
    fn push(&mut self, line: u64, content: ExactLine) -> Result<(), ErrorKind> {
        let unparsed = Unparsed { line, content };
        let last = line + unparsed.lines() - 1;
        self.bytes += unparsed.content.as_bytes().len() as u64 + 1;
        let neighbour = self.lines.last_mut().filter(|_| self.last + 1 == line);
        let apart = match neighbour {
            Some(before) => before.content.join(unparsed.content).err(),
            None => Some(unparsed.content),
        };
        if let Some(content) = apart {
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

/// Makes a log's entry in the manifest of what its blocks became, in order.
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
    /// For the log `id`, of which nothing is known yet: it may be empty.
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

    /// How many lines its blocks have so far.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Adds the log's next block, and where its chunks are.
    ///
    /// # Errors
    /// [`ErrorKind::TooManyUnparsed`], with the line within the block.
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

    /// Ends the log, of which `read` was read.
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
        }
    }
}
