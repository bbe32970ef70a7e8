//! Reads the rows in the text of one chunk.

use std::ops::Range;
use std::sync::Arc;

use super::chunk_table::ChunkRef;
use super::chunks::FailedChunk;
use super::row::Row;
use crate::buffers::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Manifest;
use crate::format::envelope::EnvelopeReader;
use crate::query::{LineSearch, Needle, count_lines};

/// The logs of a bundle, with an envelope reader for each.
pub struct BundleLogs {
    pub manifest: Arc<Manifest>,
    envelopes: Vec<EnvelopeReader>,
}

impl BundleLogs {
    pub fn new(manifest: &Arc<Manifest>) -> Self {
        let envelopes = manifest.files.iter().map(EnvelopeReader::new).collect();
        Self { manifest: Arc::clone(manifest), envelopes }
    }

    fn name(&self, chunk_ref: &ChunkRef) -> &str {
        self.manifest.files[chunk_ref.file].relative_path.as_str()
    }
}

/// A reader of the rows of one chunk.
pub struct ChunkRows {
    chunk_ref: ChunkRef,
    text: Buffer,
    /// The offset of the next row in the text.
    next: usize,
    /// The number of rows returned so far.
    rows: u64,
    /// The error that follows the text of a truncated chunk, or takes the place of an unreadable one.
    cut: Option<Error>,
}

impl ChunkRows {
    pub(super) fn new(chunk_ref: ChunkRef, read: Result<Buffer, FailedChunk>, logs: &BundleLogs) -> Self {
        let (text, cut) = match read {
            Ok(text) => (text, None),
            Err(unread) => {
                let rows_before = memchr::memchr_iter(b'\n', &unread.lines_before).count() as u64;
                let last = chunk_ref.first_row + chunk_ref.rows - 1;
                let error = unread.error.in_file(logs.name(&chunk_ref));
                (unread.lines_before.into(), Some(error.at_rows(last.min(chunk_ref.first_row + rows_before), last)))
            }
        };
        Self { chunk_ref, text, next: 0, rows: 0, cut }
    }

    /// Returns the chunk's entry in the table.
    pub fn chunk_ref(&self) -> &ChunkRef {
        &self.chunk_ref
    }

    /// Returns the length of the chunk's lines, including their line feeds.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Returns true if all of the text has been read.
    pub fn is_at_end(&self) -> bool {
        self.next == self.text.len()
    }

    /// Returns the row that [`next_row`](Self::next_row) returned last.
    pub fn last_row<'t>(&'t mut self, logs: &'t BundleLogs) -> Result<Option<Row<'t>>> {
        let before = memchr::memrchr(b'\n', &self.text[..self.next.saturating_sub(1)]);
        self.next = before.map_or(0, |end| end + 1);
        self.rows -= 1;
        self.next_row(logs)
    }

    /// Returns the next row, or `None` after the last one.
    ///
    /// # Errors
    /// Fails if the bundle is damaged here. The earlier rows are intact, unless this chunk is truncated: then they are
    /// unverified.
    pub fn next_row<'t>(&'t mut self, logs: &'t BundleLogs) -> Result<Option<Row<'t>>> {
        if self.is_at_end() {
            return self.end(logs).map(|()| None);
        }
        let (file, number) = (self.chunk_ref.file, self.chunk_ref.first_row + self.rows);
        let rest = &self.text[self.next..];
        let Some(end) = memchr::memchr(b'\n', rest) else {
            // Other programs would read this row and the next one as one line.
            let error = Error::from(ErrorKind::LineFeedMissing).in_file(logs.name(&self.chunk_ref));
            return Err(error.at_rows(number, number).at_line(self.chunk_ref.first_line + self.rows));
        };
        let line = &rest[..end];
        self.next += end + 1;
        self.rows += 1;
        match logs.envelopes[file].read(line) {
            Ok(envelope) => Ok(Some(Row { file, number, line, envelope })),
            // Unverified text ends at the first line that is not a valid row.
            Err(fault) => Err(self.cut.take().unwrap_or_else(|| {
                let at_line = self.chunk_ref.first_line + self.rows - 1;
                let error = Error::from(ErrorKind::Row(fault)).in_file(logs.name(&self.chunk_ref));
                error.at_rows(number, number).at_line(at_line)
            })),
        }
    }

    /// Skips the lines that lack the needle of `search`. Rows that are skipped are counted, but not parsed. Unverified rows
    /// are not skipped.
    fn skip_unmatched(&mut self, search: &mut LineSearch<'_>) {
        if self.cut.is_none() {
            let next = search.next_line(&self.text, self.next);
            self.rows += count_lines(&self.text[self.next..next]);
            self.next = next;
        }
    }

    /// Returns the next row that can have the needle of `search`, if that is given, or `None` after the last one.
    ///
    /// # Errors
    /// As [`next_row`](Self::next_row).
    pub fn next_match<'t>(
        &'t mut self,
        logs: &'t BundleLogs,
        search: &mut Option<LineSearch<'_>>,
    ) -> Result<Option<Row<'t>>> {
        if let Some(search) = search {
            self.skip_unmatched(search);
        }
        self.next_row(logs)
    }

    /// Converts the rows to lines, in the memory of the text, and returns the lines. `make` returns the bytes for a
    /// row and the ending to append to them, or `None` to drop the row. Rows that lack `needle` are dropped unseen.
    ///
    /// # Errors
    /// Fails if the bundle is damaged here. The lines then come from the rows before the damage.
    pub fn into_lines(
        mut self,
        logs: &BundleLogs,
        needle: Option<&Needle>,
        mut make: impl for<'r> FnMut(&'r Row<'r>) -> Option<(&'r [u8], &'static [u8])>,
    ) -> (Buffer, Result<()>) {
        let mut written = 0;
        let mut search = needle.map(LineSearch::new);
        loop {
            if let Some(search) = &mut search {
                self.skip_unmatched(search);
            }
            let start = self.next;
            let row = self
                .next_row(logs)
                .map(|row| row.map(|row| make(&row).map(|(line, ending)| (RowPiece::of(line, row.line), ending))));
            let (line, ending) = match row {
                Ok(Some(Some(piece))) => piece,
                Ok(Some(None)) => continue,
                ended => {
                    self.text.truncate(written);
                    return (self.text, ended.map(drop));
                }
            };
            let bytes = line.bytes();
            if self.make_room(written + bytes + ending.len()) {
                search = needle.map(LineSearch::new);
            }
            match line {
                RowPiece::OfLine(range) => self.text.copy_within(start + range.start..start + range.end, written),
                RowPiece::Other(line) => self.text[written..written + bytes].copy_from_slice(&line),
            }
            written += bytes;
            self.text[written..written + ending.len()].copy_from_slice(ending);
            written += ending.len();
        }
    }

    /// Ensures that the unread input starts at or after `bytes`. Normally it already does, because an envelope is
    /// longer than the entry in it. Returns true if the unread input moved.
    fn make_room(&mut self, bytes: usize) -> bool {
        let lacking = bytes.saturating_sub(self.next);
        if lacking > 0 {
            self.text.splice(self.next..self.next, std::iter::repeat_n(0, lacking));
            self.next += lacking;
        }
        lacking > 0
    }

    fn end(&mut self, logs: &BundleLogs) -> Result<()> {
        if let Some(error) = self.cut.take() {
            return Err(error);
        }
        let (expected, found) = (self.chunk_ref.rows, self.rows);
        if expected == found {
            return Ok(());
        }
        let error = Error::from(ErrorKind::FewerThanDeclared { expected, found }).in_file(logs.name(&self.chunk_ref));
        Err(error.at_rows(self.chunk_ref.first_row, self.chunk_ref.first_row + expected - 1))
    }
}

/// The bytes that replace a row.
enum RowPiece {
    /// A part of the row's own line.
    OfLine(Range<usize>),
    Other(Vec<u8>),
}

impl RowPiece {
    fn of(piece: &[u8], line: &[u8]) -> Self {
        let range = (piece.as_ptr().addr()).checked_sub(line.as_ptr().addr()).map(|start| start..start + piece.len());
        match range.filter(|range| range.end <= line.len()) {
            Some(range) => Self::OfLine(range),
            None => Self::Other(piece.to_vec()),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::OfLine(range) => range.len(),
            Self::Other(piece) => piece.len(),
        }
    }
}
