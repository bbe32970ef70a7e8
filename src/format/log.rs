//! A log as envelopes, and envelopes as the log again, byte for byte (FORMAT.md, "Restoring a log").
//!
//! [`LogEncoder`] and [`LogRestorer`] are two sides of one rule: what an envelope leaves out is what the restorer adds.

mod restore;

pub use restore::LogRestorer;
pub(crate) use restore::{RowLines, write_row};

use super::envelope::EnvelopeWriter;
use super::exact::ExactLine;
use super::limits::{CHUNK_BYTES, MAX_ENVELOPE_BYTES, MAX_MANIFEST_BYTES};
use super::line::{RowText, classify};
use super::manifest::{Chunk, LineEnding, ManifestFile, Unparsed};
use super::name::{Base, FileName, SourceName};
use super::time::TimeKey;
use super::timeline::{RowTimes, TimeSpan};
use crate::digest::Integrity;
use crate::error::ErrorKind;

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

/// Turns the lines of one log into chunks of envelopes, and into its entry in the manifest.
#[derive(Debug)]
pub struct LogEncoder {
    id: LogId,
    envelopes: EnvelopeWriter,
    times: &'static [TimeKey],
    line_ending: Option<LineEnding>,
    final_newline: bool,
    lines: u64,
    rows: u64,
    row_times: RowTimes,
    unparsed: Vec<Unparsed>,
    unparsed_end: u64,
    unparsed_bytes: u64,
    chunk: RawChunk,
}

impl LogEncoder {
    /// For the log `id`, whose rows have their time at one of `times`.
    #[must_use]
    pub fn new(id: LogId, times: &'static [TimeKey]) -> Self {
        Self {
            envelopes: EnvelopeWriter::new(&id.source, &id.name, id.base == Base::Activity),
            id,
            times,
            line_ending: None,
            final_newline: true,
            lines: 0,
            rows: 0,
            row_times: RowTimes::default(),
            unparsed: Vec::new(),
            unparsed_end: 0,
            unparsed_bytes: 0,
            chunk: RawChunk::default(),
        }
    }

    /// Adds the log's next line, given without its line feed; only the last line may not be `terminated` by one.
    /// Returns a chunk when one is full.
    ///
    /// # Errors
    /// [`ErrorKind::LineTooLong`] and [`ErrorKind::TooManyUnparsed`].
    pub fn push_line(&mut self, line: &[u8], terminated: bool) -> Result<Option<RawChunk>, ErrorKind> {
        self.lines += 1;
        self.final_newline = terminated;
        if terminated && self.line_ending.is_none() {
            self.line_ending = Some(if line.ends_with(b"\r") { LineEnding::Crlf } else { LineEnding::Lf });
        }
        match classify(line, self.times) {
            Some(row) => self.push_row(line, terminated, &row)?,
            None => self.push_unparsed(line)?,
        }
        let full = self.chunk.bytes.len() as u64 >= CHUNK_BYTES;
        Ok(full.then(|| std::mem::take(&mut self.chunk)))
    }

    fn push_row(&mut self, line: &[u8], terminated: bool, row: &RowText<'_>) -> Result<(), ErrorKind> {
        let ending = if terminated { self.line_ending.unwrap_or_default().before_line_feed() } else { b"" };
        let is_exact = line.strip_suffix(ending) == Some(row.entry.as_bytes());
        let original = (!is_exact).then(|| ExactLine::new(line));
        let start = self.chunk.bytes.len();
        self.envelopes.write(&row.entry, original.as_ref(), &mut self.chunk.bytes);
        if (self.chunk.bytes.len() - start) as u64 > MAX_ENVELOPE_BYTES {
            return Err(ErrorKind::LineTooLong { limit: MAX_ENVELOPE_BYTES });
        }
        self.rows += 1;
        self.chunk.rows += 1;
        if let Some(time) = row.time {
            self.row_times.add(time);
            self.chunk.span.add(time);
        }
        Ok(())
    }

    fn push_unparsed(&mut self, line: &[u8]) -> Result<(), ErrorKind> {
        /// What an entry takes in the manifest at least: `{"line":1,"text":""},`.
        const LEAST_BYTES: u64 = 21;
        let neighbour = self.unparsed.last_mut().filter(|_| self.unparsed_end == self.lines - 1);
        let apart = match neighbour {
            Some(last) => last.content.join(ExactLine::new(line)).err(),
            None => Some(ExactLine::new(line)),
        };
        if let Some(content) = apart {
            self.unparsed.push(Unparsed { line: self.lines, content });
            self.unparsed_bytes += LEAST_BYTES;
        }
        self.unparsed_end = self.lines;
        self.unparsed_bytes += line.len() as u64 + 1;
        match self.unparsed_bytes > MAX_MANIFEST_BYTES {
            true => Err(ErrorKind::TooManyUnparsed { limit: MAX_MANIFEST_BYTES }),
            false => Ok(()),
        }
    }

    /// Ends the log. Returns what is left for a last chunk, and the log's entry in the manifest, to which the caller
    /// adds the chunks once they are compressed.
    #[must_use]
    pub fn finish(self, read: Integrity) -> (Option<RawChunk>, ManifestFile) {
        let file = ManifestFile {
            source: self.id.source,
            relative_path: self.id.name,
            base: Some(self.id.base),
            count: self.rows,
            bytes: read.bytes,
            sha256: Some(read.sha256),
            line_ending: Some(self.line_ending.unwrap_or_default()),
            final_newline: Some(self.final_newline),
            first_time: self.row_times.span().first,
            last_time: self.row_times.span().last,
            timeline: self.row_times.timeline(),
            unparsed: self.unparsed,
            chunks: Vec::<Chunk>::new(),
        };
        ((self.chunk.rows > 0).then_some(self.chunk), file)
    }
}
