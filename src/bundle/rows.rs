//! The rows of a bundle, one after the other.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::chunk_queue::ChunkQueue;
use super::chunk_rows::{BundleLogs, ChunkRows};
use super::chunk_table::ChunkRef;
use super::chunks::ChunkReader;
use super::select::select_files;
use super::sequential_rows::SequentialRows;
use super::{Access, Bundle, Selection};
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, Result};
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

impl<'a> Row<'a> {
    /// Its JSON, as it stands in the bundle: no number was rounded, no key moved or merged.
    #[must_use]
    pub fn entry(&self) -> &'a RawValue {
        self.envelope.raw_entry()
    }

    /// Reads its JSON into a type that may borrow from it.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn parse<T: Deserialize<'a>>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.envelope.entry())
    }
}

/// Reads the wanted rows in their order. Memory does not grow with the bundle.
///
/// ```
/// use patchwork_traces::Bundle;
/// use serde_json::value::RawValue;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// let mut rows = Bundle::open(path)?.all_rows()?;
/// let mut longest = String::new();
/// while let Some(row) = rows.next_row()? {
///     let entry: &RawValue = row.entry();
///     if entry.get().len() > longest.len() {
///         longest = entry.get().to_owned();
///     }
/// }
/// assert_eq!(longest, r#"{"taskId":"a","createdAt":1777716060000,"status":"done","seq":12345678901234567890}"#);
/// # Ok(())
/// # }
/// ```
pub struct Rows<'r> {
    name: String,
    manifest: Arc<Manifest>,
    digest: BundleDigest,
    access: Access,
    way: RowSource<'r>,
    ended: bool,
}

enum RowSource<'r> {
    Chunks(IndexedRows<'r>),
    Lines(SequentialRows<'r>),
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
            let in_stream = |slots: &[ChunkRef], _| ChunkQueue::of_stream(slots, selection);
            let reader = ChunkReader::new(&manifest, manifest_crc32, input, in_stream).map_err(named)?;
            if access == Access::Indexed && !reader.is_indexed() {
                access = Access::TableDoesNotFit;
            }
            RowSource::Chunks(IndexedRows { reader, logs: BundleLogs::new(&manifest), chunk: None })
        } else {
            RowSource::Lines(SequentialRows::new(&manifest, selection, input).map_err(named)?)
        };
        Ok(Rows { name, manifest, digest, access, way, ended: false })
    }

    /// Reads all of its rows.
    ///
    /// # Errors
    /// When the input fails.
    pub fn all_rows(self) -> Result<Rows<'r>> {
        self.rows(&Selection::default())
    }

    /// Reads the rows of one source, such as `runs`. Where the input can seek, the others are not even decompressed.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownSource`] when the bundle has no log of that source, and when the input fails.
    pub fn rows_of(self, source: &str) -> Result<Rows<'r>> {
        let files = select_files(&self.manifest, &[source.to_owned()], &[]);
        let files = files.map_err(|error| error.in_subject(&self.name))?;
        self.rows(&Selection { files: Some(files), ..Selection::default() })
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
            RowSource::Chunks(chunks) if self.access == Access::Indexed && !chunks.reader.is_indexed() => {
                Access::TableDoesNotFit
            }
            _ => self.access,
        }
    }

    /// The next wanted row, or `None` behind the last.
    ///
    /// # Errors
    /// When the input fails or is damaged; no row comes after. The rows before are intact then, with two exceptions that
    /// nothing proves: those of the chunk in which the bundle is cut off
    /// ([`GzipFault::Truncated`](crate::error::GzipFault::Truncated), or [`ErrorKind::ContentEnds`] of text that is not
    /// compressed), and all of a bundle without a chunk table.
    pub fn next_row(&mut self) -> Result<Option<Row<'_>>> {
        if self.ended {
            return Ok(None);
        }
        let row = match &mut self.way {
            RowSource::Chunks(chunks) => chunks.next_row(),
            RowSource::Lines(lines) => lines.next_row(&self.manifest),
        };
        row.map_err(|error| {
            self.ended = true;
            error.in_subject(&self.name)
        })
    }
}

impl<'r> Rows<'r> {
    /// Reads each row's JSON into `T`, one after the other.
    ///
    /// A row that does not fit is [`ErrorKind::EntryType`], with its place, and the rows after it still come. After any
    /// other error nothing comes.
    pub fn entries<T: DeserializeOwned>(mut self) -> impl Iterator<Item = Result<T>> + use<'r, T> {
        std::iter::from_fn(move || match self.next_row() {
            Ok(None) => None,
            Err(error) => Some(Err(error)),
            Ok(Some(row)) => {
                let (file, number, parsed) = (row.file, row.number, row.parse());
                Some(parsed.map_err(|source| {
                    let error = Error::from(ErrorKind::EntryType { source }).in_subject(&self.name);
                    error.in_file(self.manifest.files[file].relative_path.as_str()).at_rows(number, number)
                }))
            }
        })
    }
}

/// Rows out of chunks.
struct IndexedRows<'r> {
    reader: ChunkReader<'r>,
    logs: BundleLogs,
    chunk: Option<ChunkRows>,
}

impl IndexedRows<'_> {
    fn next_row(&mut self) -> Result<Option<Row<'_>>> {
        // A loop that returns what it borrows would borrow forever: look first, then take.
        while self.chunk.as_ref().is_none_or(ChunkRows::is_at_end) {
            if let Some(mut chunk) = self.chunk.take() {
                chunk.next_row(&self.logs)?;
            }
            let Some((slot, text)) = self.reader.next_text() else {
                return self.reader.check_end().map(|()| None);
            };
            self.chunk = Some(ChunkRows::new(slot, text, &self.logs));
        }
        self.chunk.as_mut().map_or(Ok(None), |chunk| chunk.next_row(&self.logs))
    }
}
