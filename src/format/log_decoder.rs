//! Restores a log from its envelopes, byte for byte (FORMAT.md, "Restoring a log").

use super::envelope::Envelope;
use super::manifest::{LineEnding, ManifestFile, Record};
use super::unparsed::Unparsed;

/// The lines of consecutive rows of one log, restored separately from the rest, for example on another thread.
#[derive(Debug, Clone, Default)]
pub struct RowLines {
    /// The lines, including their endings.
    bytes: Vec<u8>,
    /// The end offset of each line, including its ending, and the ending itself.
    ends: Vec<(usize, LineEnding)>,
}

/// The minimum number of bytes by which an envelope line is longer than its row's line: `{"source":"x","entry":` and
/// `}`, less the CR that restoring may add.
const MIN_AROUND_BYTES: usize = 22;

impl RowLines {
    /// Creates an empty list with room for `rows` rows whose envelope lines take `bytes` bytes.
    #[must_use]
    pub fn with_room_for(rows: usize, bytes: usize) -> Self {
        let around = rows.saturating_mul(MIN_AROUND_BYTES);
        Self {
            bytes: Vec::with_capacity(bytes.saturating_sub(around)),
            ends: Vec::with_capacity(rows.min(bytes / MIN_AROUND_BYTES)),
        }
    }

    /// Creates an empty list in `memory`, an empty buffer, with room for lines of `bytes` bytes.
    #[must_use]
    pub fn in_memory(mut memory: Vec<u8>, bytes: usize) -> Self {
        memory.reserve(bytes);
        Self { bytes: memory, ends: Vec::new() }
    }

    /// Returns the memory for reuse.
    #[must_use]
    pub fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the length of the lines in bytes, including their endings.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a row. `log_ending` is the line ending of its log.
    pub fn push(&mut self, row: &Envelope<'_>, log_ending: LineEnding) {
        let (line, ending) = row_line(row, log_ending);
        self.push_line(line, ending);
    }

    /// Appends a line with the given ending.
    pub fn push_line(&mut self, line: &[u8], ending: LineEnding) {
        self.bytes.extend_from_slice(line);
        self.bytes.extend_from_slice(ending.before_line_feed());
        self.bytes.push(b'\n');
        self.ends.push((self.bytes.len(), ending));
    }

    /// Returns the number of lines.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Keeps only the first `rows` rows.
    pub fn truncate(&mut self, rows: u64) {
        self.ends.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    }

    /// Returns the lines of the rows from `from` up to, but excluding, `to`, counted from 0.
    fn lines(&self, from: usize, to: usize) -> &[u8] {
        let end_of = |row: usize| row.checked_sub(1).map_or(0, |before| self.ends[before].0);
        &self.bytes[end_of(from)..end_of(to)]
    }
}

/// Restores the bytes of one log from its rows.
///
/// A 1.0 bundle does not record the bytes between rows, so every row becomes one line.
#[derive(Debug)]
pub struct LogRestorer<'m> {
    unparsed: std::iter::Peekable<std::slice::Iter<'m, Unparsed>>,
    record: Option<Record>,
    line: u64,
    /// The pending ending of the previous line. It is written when another line follows.
    ending: Option<LineEnding>,
    /// True if rows are missing after the previous line, so that it was not the last one.
    is_cut: bool,
}

impl<'m> LogRestorer<'m> {
    /// Creates a restorer for the log that `file` describes.
    #[must_use]
    pub fn new(file: &'m ManifestFile) -> Self {
        Self { unparsed: file.unparsed.iter().peekable(), record: file.record(), line: 1, ending: None, is_cut: false }
    }

    /// Creates a restorer for a log of which only the rows are known.
    #[must_use]
    pub fn rows_only() -> Self {
        Self { unparsed: [].iter().peekable(), record: None, line: 1, ending: None, is_cut: false }
    }

    /// Appends the unparsed lines before the next row, then the row's line.
    pub fn push_row(&mut self, row: &Envelope<'_>, out: &mut Vec<u8>) {
        self.rows_before_unparsed(out);
        let (line, ending) = row_line(row, self.record.map_or(LineEnding::Lf, |record| record.line_ending));
        self.push_line(line, ending, 1, out);
    }

    /// Appends the lines of the next rows, with the unparsed lines before and between them.
    pub fn push_rows(&mut self, rows: &RowLines, out: &mut Vec<u8>) {
        let (mut next, end) = (0, rows.ends.len());
        while next < end {
            let until = end.min(next.saturating_add(self.rows_before_unparsed(out)));
            self.end_line(out);
            out.extend_from_slice(rows.lines(next, until));
            self.line += (until - next) as u64;
            self.is_cut = false;
            next = until;
        }
        if let Some(&(_, ending)) = rows.ends.last() {
            out.truncate(out.len() - ending.before_line_feed().len() - 1);
            self.ending = Some(ending);
        }
    }

    /// Skips the next `rows` rows, which are lost. Appends the unparsed lines before and between them.
    pub fn skip_rows(&mut self, mut rows: u64, out: &mut Vec<u8>) {
        while rows > 0 {
            let skipped = rows.min(self.rows_before_unparsed(out) as u64);
            self.line += skipped;
            self.is_cut = true;
            rows -= skipped;
        }
    }

    /// Appends the unparsed lines that come next. Returns the number of rows, at least 1, until the next unparsed
    /// line.
    fn rows_before_unparsed(&mut self, out: &mut Vec<u8>) -> usize {
        while let Some(unparsed) = self.unparsed.next_if(|unparsed| unparsed.line <= self.line) {
            self.push_unparsed(unparsed, out);
        }
        let next = self.unparsed.peek().map(|unparsed| unparsed.line - self.line);
        next.map_or(usize::MAX, |rows| usize::try_from(rows).unwrap_or(usize::MAX))
    }

    fn push_unparsed(&mut self, unparsed: &Unparsed, out: &mut Vec<u8>) {
        self.push_line(unparsed.content.as_bytes(), LineEnding::Lf, unparsed.lines(), out);
    }

    fn push_line(&mut self, line: &[u8], ending: LineEnding, lines: u64, out: &mut Vec<u8>) {
        self.end_line(out);
        out.extend_from_slice(line);
        self.ending = Some(ending);
        self.line += lines;
        self.is_cut = false;
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        if let Some(ending) = self.ending.take() {
            out.extend_from_slice(ending.before_line_feed());
            out.push(b'\n');
        }
    }

    /// Appends the unparsed lines after the last row and, if the log has one, the ending of its last line.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        while let Some(unparsed) = self.unparsed.next() {
            self.push_unparsed(unparsed, out);
        }
        if self.is_cut || self.record.is_none_or(|record| record.final_newline) {
            self.end_line(out);
        }
    }
}

/// Returns a row's line and the ending to append to it.
fn row_line<'r>(row: &'r Envelope<'_>, log_ending: LineEnding) -> (&'r [u8], LineEnding) {
    match &row.original {
        Some(original) => (original.as_bytes(), LineEnding::Lf),
        None => (row.entry().as_bytes(), log_ending),
    }
}

/// Returns row `number` (from 1) of `file` exactly as in the log, and its line ending. The ending has a line feed
/// even if the last line of the log lacks it.
pub fn printed_row<'r>(file: &ManifestFile, row: &'r Envelope<'_>, number: u64) -> (&'r [u8], &'static [u8]) {
    let record = file.record();
    let unterminated =
        record.is_some_and(|record| !record.final_newline) && number == file.count && file.ends_with_row();
    let log_ending = if unterminated { LineEnding::Lf } else { record.map_or(LineEnding::Lf, |r| r.line_ending) };
    let (line, ending) = row_line(row, log_ending);
    (line, ending.as_bytes())
}
