//! The rows in the text of one chunk.

use std::ops::Range;
use std::sync::Arc;

use super::chunk_table::ChunkRef;
use super::chunks::FailedChunk;
use super::rows::Row;
use crate::buffers::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Manifest;
use crate::format::envelope::EnvelopeReader;

/// The logs of a bundle, and how the rows of each look.
pub(crate) struct BundleLogs {
    pub(crate) manifest: Arc<Manifest>,
    envelopes: Vec<EnvelopeReader>,
}

impl BundleLogs {
    pub(super) fn new(manifest: &Arc<Manifest>) -> Self {
        let envelopes = manifest.files.iter().map(EnvelopeReader::new).collect();
        Self { manifest: Arc::clone(manifest), envelopes }
    }

    fn name(&self, slot: &ChunkRef) -> &str {
        self.manifest.files[slot.file].relative_path.as_str()
    }
}

/// A chunk whose rows are handed out.
pub(crate) struct ChunkRows {
    slot: ChunkRef,
    text: Buffer,
    /// How much of the text was handed out, and how many rows that was.
    next: usize,
    rows: u64,
    /// What comes behind the text of a chunk that was cut off, or is there instead of a chunk.
    cut: Option<Error>,
}

impl ChunkRows {
    pub(super) fn new(slot: ChunkRef, read: Result<Buffer, FailedChunk>, logs: &BundleLogs) -> Self {
        let (text, cut) = match read {
            Ok(text) => (text, None),
            Err(unread) => {
                let rows_before = memchr::memchr_iter(b'\n', &unread.lines_before).count() as u64;
                let last = slot.first_row + slot.rows - 1;
                let error = unread.error.in_file(logs.name(&slot));
                (unread.lines_before.into(), Some(error.at_rows(last.min(slot.first_row + rows_before), last)))
            }
        };
        Self { slot, text, next: 0, rows: 0, cut }
    }

    /// Its place in the table.
    pub(crate) fn slot(&self) -> &ChunkRef {
        &self.slot
    }

    /// The length of its lines, with their line feeds.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Its lines with their line feeds, if it is there and its checksum fits.
    pub(crate) fn proven(&self) -> Option<&[u8]> {
        self.cut.is_none().then_some(&self.text)
    }

    /// Whether all of its text was handed out.
    pub(super) fn is_at_end(&self) -> bool {
        self.next == self.text.len()
    }

    /// The next row, or `None` behind the last.
    ///
    /// # Errors
    /// When the bundle is damaged here. The rows before are intact, unless this chunk was cut off: nothing proves those.
    pub(crate) fn next_row<'t>(&'t mut self, logs: &'t BundleLogs) -> Result<Option<Row<'t>>> {
        if self.is_at_end() {
            return self.end(logs).map(|()| None);
        }
        let (file, number) = (self.slot.file, self.slot.first_row + self.rows);
        let rest = &self.text[self.next..];
        let Some(end) = memchr::memchr(b'\n', rest) else {
            // Other programs would take this row and the one after it for one line.
            let error = Error::from(ErrorKind::LineFeedMissing).in_file(logs.name(&self.slot));
            return Err(error.at_rows(number, number).at_line(self.slot.first_line + self.rows));
        };
        let line = &rest[..end];
        self.next += end + 1;
        self.rows += 1;
        match logs.envelopes[file].read(line) {
            Ok(envelope) => Ok(Some(Row { file, number, line, envelope })),
            // What no checksum proves ends where it stops making sense.
            Err(fault) => Err(self.cut.take().unwrap_or_else(|| {
                let at_line = self.slot.first_line + self.rows - 1;
                let error = Error::from(ErrorKind::Row(fault)).in_file(logs.name(&self.slot));
                error.at_rows(number, number).at_line(at_line)
            })),
        }
    }

    /// Puts lines that are made of its rows in the place of its text, and gives that. `make` says which bytes a row
    /// becomes, if any, and what comes behind them.
    ///
    /// # Errors
    /// When the bundle is damaged here. The lines are those of the rows before.
    pub(crate) fn into_lines(
        mut self,
        logs: &BundleLogs,
        mut make: impl for<'r> FnMut(&'r Row<'r>) -> Option<(&'r [u8], &'static [u8])>,
    ) -> (Buffer, Result<()>) {
        let mut written = 0;
        loop {
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
            self.make_room(written + bytes + ending.len());
            match line {
                RowPiece::OfLine(place) => self.text.copy_within(start + place.start..start + place.end, written),
                RowPiece::Other(line) => self.text[written..written + bytes].copy_from_slice(&line),
            }
            written += bytes;
            self.text[written..written + ending.len()].copy_from_slice(ending);
            written += ending.len();
        }
    }

    /// Sees to it that what was not handed out yet begins behind the first `bytes` bytes. It does: an envelope is longer
    /// than what it holds.
    fn make_room(&mut self, bytes: usize) {
        let lacking = bytes.saturating_sub(self.next);
        if lacking > 0 {
            self.text.splice(self.next..self.next, std::iter::repeat_n(0, lacking));
            self.next += lacking;
        }
    }

    fn end(&mut self, logs: &BundleLogs) -> Result<()> {
        if let Some(error) = self.cut.take() {
            return Err(error);
        }
        let (expected, found) = (self.slot.rows, self.rows);
        if expected == found {
            return Ok(());
        }
        let error = Error::from(ErrorKind::FewerThanDeclared { expected, found }).in_file(logs.name(&self.slot));
        Err(error.at_rows(self.slot.first_row, self.slot.first_row + expected - 1))
    }
}

/// What a row becomes.
enum RowPiece {
    /// A part of its line.
    OfLine(Range<usize>),
    Other(Vec<u8>),
}

impl RowPiece {
    fn of(piece: &[u8], line: &[u8]) -> Self {
        let place = (piece.as_ptr().addr()).checked_sub(line.as_ptr().addr()).map(|start| start..start + piece.len());
        match place.filter(|place| place.end <= line.len()) {
            Some(place) => Self::OfLine(place),
            None => Self::Other(piece.to_vec()),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::OfLine(place) => place.len(),
            Self::Other(piece) => piece.len(),
        }
    }
}
