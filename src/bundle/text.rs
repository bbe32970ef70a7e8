//! The rows in the text of one chunk.

use std::borrow::Cow;
use std::sync::Arc;

use super::chunks::Unread;
use super::rows::Row;
use super::slots::Slot;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Manifest;
use crate::format::envelope::EnvelopeReader;

/// The logs of a bundle, and how the rows of each look.
pub(crate) struct Logs {
    pub(crate) manifest: Arc<Manifest>,
    envelopes: Vec<EnvelopeReader>,
}

impl Logs {
    pub(super) fn new(manifest: &Arc<Manifest>) -> Self {
        let envelopes = manifest.files.iter().map(EnvelopeReader::new).collect();
        Self { manifest: Arc::clone(manifest), envelopes }
    }

    fn name(&self, slot: &Slot) -> &str {
        self.manifest.files[slot.file].relative_path.as_str()
    }
}

/// A chunk whose rows are handed out.
pub(crate) struct ChunkText<'t> {
    slot: Slot,
    text: Cow<'t, [u8]>,
    /// How much of the text was handed out, and how many rows that was.
    next: usize,
    rows: u64,
    /// What comes behind the text of a chunk that was cut.
    cut: Option<Error>,
}

impl<'c> ChunkText<'c> {
    pub(super) fn new(slot: Slot, read: Result<Cow<'c, [u8]>, Unread>, logs: &Logs) -> Self {
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
    pub(crate) fn slot(&self) -> &Slot {
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
    /// When the bundle is damaged here. The rows before are intact.
    pub(crate) fn next_row<'t>(&'t mut self, logs: &'t Logs) -> Result<Option<Row<'t>>> {
        if self.is_at_end() {
            return self.end(logs).map(|()| None);
        }
        let (file, number) = (self.slot.file, self.slot.first_row + self.rows);
        let rest = &self.text[self.next..];
        let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
        self.next = (self.next + line.len() + 1).min(self.text.len());
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

    fn end(&mut self, logs: &Logs) -> Result<()> {
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
