//! Envelopes as the log again.

use super::super::envelope::Envelope;
use super::super::manifest::{LineEnding, ManifestFile, Record};
use super::super::unparsed::Unparsed;

/// Lines of neighbouring rows of one log, restored apart from the rest of it: on another thread, say.
#[derive(Debug, Clone, Default)]
pub struct RowLines {
    /// The lines, each with what ends it.
    bytes: Vec<u8>,
    /// Where each line ends, its ending included, and what that is.
    ends: Vec<(usize, LineEnding)>,
}

impl RowLines {
    /// Has room for rows whose envelopes take `bytes` bytes.
    #[must_use]
    pub fn with_room_for(bytes: usize) -> Self {
        Self::in_memory(Vec::new(), bytes)
    }

    /// The same, in the memory of an empty buffer.
    #[must_use]
    pub fn in_memory(mut memory: Vec<u8>, bytes: usize) -> Self {
        memory.reserve(bytes);
        Self { bytes: memory, ends: Vec::new() }
    }

    /// The memory, to be used again.
    #[must_use]
    pub fn into_memory(self) -> Vec<u8> {
        self.bytes
    }

    /// The length of the lines, with what ends them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends a row of a log with this line ending.
    pub fn push(&mut self, row: &Envelope<'_>, log_ending: LineEnding) {
        let (line, ending) = row_line(row, log_ending);
        self.push_line(line, ending);
    }

    /// Appends a line that `ending` ends.
    pub fn push_line(&mut self, line: &[u8], ending: LineEnding) {
        self.bytes.extend_from_slice(line);
        self.bytes.extend_from_slice(ending.before_line_feed());
        self.bytes.push(b'\n');
        self.ends.push((self.bytes.len(), ending));
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Keeps only the first `rows` rows.
    pub fn truncate(&mut self, rows: u64) {
        self.ends.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    }

    /// The lines of the rows from `from` to before `to`, counted from 0.
    fn lines(&self, from: usize, to: usize) -> &[u8] {
        let end_of = |row: usize| row.checked_sub(1).map_or(0, |before| self.ends[before].0);
        &self.bytes[end_of(from)..end_of(to)]
    }
}

/// Turns the rows of one log into its bytes again.
///
/// With a 1.0 bundle, which does not say what stood between the rows, every row becomes one line.
#[derive(Debug)]
pub struct LogRestorer<'m> {
    unparsed: std::iter::Peekable<std::slice::Iter<'m, Unparsed>>,
    record: Option<Record>,
    line: u64,
    /// What ends the line before, to be written once it is known not to be the last.
    ending: Option<LineEnding>,
    /// Whether rows are missing behind the line before, so that it was not the last.
    is_cut: bool,
}

impl<'m> LogRestorer<'m> {
    /// For the log that `file` describes.
    #[must_use]
    pub fn new(file: &'m ManifestFile) -> Self {
        Self { unparsed: file.unparsed.iter().peekable(), record: file.record(), line: 1, ending: None, is_cut: false }
    }

    /// For a log of which nothing is known but its rows.
    #[must_use]
    pub(crate) fn of_rows_alone() -> Self {
        Self { unparsed: [].iter().peekable(), record: None, line: 1, ending: None, is_cut: false }
    }

    /// Appends the next row's line, and the unparsed lines before it.
    pub fn push_row(&mut self, row: &Envelope<'_>, out: &mut Vec<u8>) {
        self.rows_before_unparsed(out);
        let (line, ending) = row_line(row, self.record.map_or(LineEnding::Lf, |record| record.line_ending));
        self.push_line(line, ending, 1, out);
    }

    /// Appends the lines of the next rows, and the unparsed lines before and between them.
    pub(crate) fn push_rows(&mut self, rows: &RowLines, out: &mut Vec<u8>) {
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

    /// Leaves out the next `rows` rows, which are lost. Appends the unparsed lines before and between them.
    pub(crate) fn skip_rows(&mut self, mut rows: u64, out: &mut Vec<u8>) {
        while rows > 0 {
            let skipped = rows.min(self.rows_before_unparsed(out) as u64);
            self.line += skipped;
            self.is_cut = true;
            rows -= skipped;
        }
    }

    /// Appends the unparsed lines that come next. Returns how many rows follow before the ones after them: at least 1.
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

    /// Appends what comes after the last row.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        while let Some(unparsed) = self.unparsed.next() {
            self.push_unparsed(unparsed, out);
        }
        if self.is_cut || self.record.is_none_or(|record| record.final_newline) {
            self.end_line(out);
        }
    }
}

/// A row's line up to what the log's line ending adds, and that ending.
fn row_line<'r>(row: &'r Envelope<'_>, log_ending: LineEnding) -> (&'r [u8], LineEnding) {
    match &row.original {
        Some(original) => (original.as_bytes(), LineEnding::Lf),
        None => (row.entry().as_bytes(), log_ending),
    }
}

/// Row `number` (from 1) of `file` exactly as it stood in the log, and how its line ends: with a line feed even where the
/// log's last line had none.
pub(crate) fn printed_row<'r>(file: &ManifestFile, row: &'r Envelope<'_>, number: u64) -> (&'r [u8], &'static [u8]) {
    let record = file.record();
    let unterminated =
        record.is_some_and(|record| !record.final_newline) && number == file.count && file.ends_with_row();
    let log_ending = if unterminated { LineEnding::Lf } else { record.map_or(LineEnding::Lf, |r| r.line_ending) };
    let (line, ending) = row_line(row, log_ending);
    (line, ending.as_bytes())
}
