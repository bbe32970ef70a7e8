//! The rows of a bundle, one after the other.

use std::borrow::Cow;
use std::sync::Arc;

use super::chunks::ChunkReader;
use super::lines::LineRows;
use super::order::Order;
use super::slots::Slot;
use super::text::{ChunkText, Logs};
use super::{Access, Bundle, Selection};
use crate::digest::BundleDigest;
use crate::error::{Error, Result};
use crate::format::{Envelope, Manifest};

/// One row of a bundle.
#[derive(Debug)]
pub struct Row<'a> {
    /// Which log it belongs to: an index into the manifest's `files`.
    pub file: usize,
    /// Which row of that log it is, from 1.
    pub number: u64,
    /// Its line in the bundle, without the line feed.
    pub line: &'a [u8],
    /// The same, read.
    pub envelope: Envelope<'a>,
}

/// Reads the wanted rows in their order. Memory does not grow with the bundle.
pub struct Rows<'r> {
    name: String,
    manifest: Arc<Manifest>,
    digest: BundleDigest,
    access: Access,
    way: Way<'r>,
    ended: bool,
}

enum Way<'r> {
    Chunks(ChunkRows<'r>),
    Lines(LineRows<'r>),
}

impl<'r> Bundle<'r> {
    /// Reads its rows.
    ///
    /// # Errors
    /// When the input fails.
    pub fn rows(self, selection: &Selection) -> Result<Rows<'r>> {
        let Self { name, manifest, manifest_crc32, digest, mut access, input, .. } = self;
        let named = |error: Error| error.in_subject(&name);
        let way = if manifest.has_chunk_table() {
            let in_stream = |slots: &[Slot], _| Order::of_stream(slots, selection);
            let reader = ChunkReader::new(&manifest, manifest_crc32, input, in_stream).map_err(named)?;
            if access == Access::Indexed && !reader.is_indexed() {
                access = Access::TableDoesNotFit;
            }
            Way::Chunks(ChunkRows { reader, logs: Logs::new(&manifest), chunk: None })
        } else {
            Way::Lines(LineRows::new(&manifest, selection, input).map_err(named)?)
        };
        Ok(Rows { name, manifest, digest, access, way, ended: false })
    }
}

impl Rows<'_> {
    /// The bundle's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// The bundle's digest.
    #[must_use]
    pub fn digest(&self) -> BundleDigest {
        self.digest
    }

    /// How the rows are reached. This can change from [`Access::Indexed`] to [`Access::TableDoesNotFit`] on the way.
    #[must_use]
    pub fn access(&self) -> Access {
        match &self.way {
            Way::Chunks(chunks) if self.access == Access::Indexed && !chunks.reader.is_indexed() => {
                Access::TableDoesNotFit
            }
            _ => self.access,
        }
    }

    /// The next wanted row, or `None` behind the last.
    ///
    /// # Errors
    /// When the input fails or is damaged. The rows before are intact then; no row comes after.
    pub fn next_row(&mut self) -> Result<Option<Row<'_>>> {
        if self.ended {
            return Ok(None);
        }
        let row = match &mut self.way {
            Way::Chunks(chunks) => chunks.next_row(),
            Way::Lines(lines) => lines.next_row(&self.manifest),
        };
        row.map_err(|error| {
            self.ended = true;
            error.in_subject(&self.name)
        })
    }
}

/// Rows out of chunks.
struct ChunkRows<'r> {
    reader: ChunkReader<'r>,
    logs: Logs,
    chunk: Option<ChunkText<'static>>,
}

impl ChunkRows<'_> {
    fn next_row(&mut self) -> Result<Option<Row<'_>>> {
        // A loop that returns what it borrows would borrow forever: look first, then take.
        while self.chunk.as_ref().is_none_or(ChunkText::is_at_end) {
            if let Some(mut chunk) = self.chunk.take() {
                chunk.next_row(&self.logs)?;
            }
            let Some((slot, text)) = self.reader.next_text() else {
                return self.reader.check_end().map(|()| None);
            };
            self.chunk = Some(ChunkText::new(slot, text.map(Cow::Owned), &self.logs));
        }
        self.chunk.as_mut().map_or(Ok(None), |chunk| chunk.next_row(&self.logs))
    }
}
