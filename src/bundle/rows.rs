//! The rows of a bundle, in order.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::chunk_queue::ChunkQueue;
use super::chunk_rows::{BundleLogs, ChunkRows};
use super::chunk_table::ChunkRef;
use super::chunks::ChunkReader;
use super::row::{Row, TypedRow};
use super::select::select_files;
use super::sequential_rows::SequentialRows;
use super::{Access, Bundle, Selection};
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Manifest, TimeRange};

/// A reader of the selected rows, in bundle order. Its memory use does not grow with the bundle.
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
    range: TimeRange,
    source: RowSource<'r>,
    ended: bool,
}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, digest, range, ended, .. } = self;
        let mut shown = f.debug_struct("Rows");
        shown.field("name", name).field("digest", digest).field("range", range).field("ended", ended);
        shown.finish_non_exhaustive()
    }
}

enum RowSource<'r> {
    Chunks(IndexedRows<'r>),
    Lines(SequentialRows<'r>),
}

impl<'r> Bundle<'r> {
    /// Reads the selected rows.
    ///
    /// # Errors
    /// Fails if the input cannot be read, or is a stream whose rows were already read.
    pub fn rows(&self, selection: &Selection) -> Result<Rows<'r>> {
        let Self { name, manifest, manifest_crc32, digest, mut access, input, .. } = self.clone();
        let named = |error: Error| error.in_subject(&name);
        let source = if manifest.has_chunk_table() {
            let in_stream = |chunk_refs: &[ChunkRef], _| ChunkQueue::of_stream(chunk_refs, selection);
            let reader = ChunkReader::new(&manifest, manifest_crc32, input, in_stream).map_err(named)?;
            if access == Access::Indexed && !reader.is_indexed() {
                access = Access::TableMismatch;
            }
            RowSource::Chunks(IndexedRows { reader, logs: BundleLogs::new(&manifest), chunk: None })
        } else {
            RowSource::Lines(SequentialRows::new(&manifest, selection, input).map_err(named)?)
        };
        Ok(Rows { name, manifest, digest, access, range: selection.range, source, ended: false })
    }

    /// Reads all rows.
    ///
    /// # Errors
    /// Fails if the input cannot be read.
    pub fn all_rows(&self) -> Result<Rows<'r>> {
        self.rows(&Selection::default())
    }

    /// Reads the rows of one source, such as `runs`. With [`Access::Indexed`], chunks of other sources are not read.
    ///
    /// # Errors
    /// Returns [`ErrorKind::UnknownSource`] if the bundle has no log of that source. Fails if the input cannot be
    /// read.
    pub fn rows_of(&self, source: &str) -> Result<Rows<'r>> {
        let files = select_files(&self.manifest, &[source.to_owned()], &[]);
        let files = files.map_err(|error| error.in_subject(&self.name))?;
        self.rows(&Selection::default().files(files))
    }
}

impl Rows<'_> {
    /// Returns the bundle's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// Returns the bundle's digest.
    #[must_use]
    pub fn digest(&self) -> BundleDigest {
        self.digest
    }

    /// Returns the way in which the rows are read. This can change from [`Access::Indexed`] to
    /// [`Access::TableMismatch`] during reading.
    #[must_use]
    pub fn access(&self) -> Access {
        match &self.source {
            RowSource::Chunks(chunks) if self.access == Access::Indexed && !chunks.reader.is_indexed() => {
                Access::TableMismatch
            }
            _ => self.access,
        }
    }

    /// Returns the next selected row, or `None` after the last one.
    ///
    /// # Errors
    /// Fails if the input cannot be read or is damaged. No rows follow an error. The rows before it are intact, with
    /// two exceptions, whose rows are not verified:
    ///
    /// - The chunk in which a truncated bundle ends ([`GzipFault::Truncated`](crate::error::GzipFault::Truncated), or
    ///   [`ErrorKind::ContentEnds`] for uncompressed text).
    /// - All of a bundle without a chunk table.
    pub fn next_row(&mut self) -> Result<Option<Row<'_>>> {
        if self.ended {
            return Ok(None);
        }
        if self.range == TimeRange::default() {
            return self.read_row(false);
        }
        // The borrow checker rejects a loop that returns a row borrowed from `self`, so the row is read again after it.
        let range = self.range;
        loop {
            match self.read_row(false)? {
                Some(row) if range.contains(row.time()) => break,
                Some(_) => {}
                None => return Ok(None),
            }
        }
        self.read_row(true)
    }

    /// Reads the next row, or the last one `again`.
    fn read_row(&mut self, again: bool) -> Result<Option<Row<'_>>> {
        let row = match (&mut self.source, again) {
            (RowSource::Chunks(chunks), false) => chunks.next_row(),
            (RowSource::Chunks(chunks), true) => chunks.last_row(),
            (RowSource::Lines(lines), false) => lines.next_row(&self.manifest),
            (RowSource::Lines(lines), true) => lines.last_row(),
        };
        row.map_err(|error| {
            self.ended = true;
            error.in_subject(&self.name)
        })
    }
}

impl<'r> Rows<'r> {
    /// Deserializes the JSON of each row into `T`, in order.
    ///
    /// A row that does not match `T` yields [`ErrorKind::EntryType`] with the row's position, and later rows still
    /// follow. Any other error is the last item.
    pub fn entries<T: DeserializeOwned>(self) -> impl Iterator<Item = Result<T>> + use<'r, T> {
        self.parsed(|_, value| value)
    }

    /// Deserializes the JSON of each row into `T`, in order, with the origin of the row.
    ///
    /// Errors are those of [`entries`](Self::entries).
    ///
    /// ```
    /// use patchwork_traces::Bundle;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = "fixtures/conformance/intact.jsonl.gz";
    /// let bundle = Bundle::open(path)?;
    /// let first = bundle.rows_of("activity")?.typed_rows::<serde_json::Value>().next().ok_or("no rows")??;
    /// assert_eq!(bundle.manifest().files[first.file].source.as_str(), "activity");
    /// assert_eq!((first.number, first.value["tool"].as_str()), (1, Some("read")));
    /// assert_eq!(first.time, Some("2026-05-02T10:00:00Z".parse()?));
    /// # Ok(())
    /// # }
    /// ```
    pub fn typed_rows<T: DeserializeOwned>(self) -> impl Iterator<Item = Result<TypedRow<T>>> + use<'r, T> {
        self.parsed(|row, value| {
            let (file, number, time, line) = (row.file, row.number, row.time(), row.exact_line().to_owned());
            TypedRow { file, number, time, line, value }
        })
    }

    fn parsed<T: DeserializeOwned, R, F: Fn(&Row<'_>, T) -> R>(
        mut self,
        make: F,
    ) -> impl Iterator<Item = Result<R>> + use<'r, T, R, F> {
        std::iter::from_fn(move || match self.next_row() {
            Ok(None) => None,
            Err(error) => Some(Err(error)),
            Ok(Some(row)) => {
                let (file, number, parsed) = (row.file, row.number, row.parse().map(|value| make(&row, value)));
                Some(parsed.map_err(|source| {
                    let error = Error::from(ErrorKind::EntryType { source }).in_subject(&self.name);
                    error.in_file(self.manifest.files[file].relative_path.as_str()).at_rows(number, number)
                }))
            }
        })
    }
}

/// A reader of the rows of a bundle with a chunk table.
struct IndexedRows<'r> {
    reader: ChunkReader<'r>,
    logs: BundleLogs,
    chunk: Option<ChunkRows>,
}

impl IndexedRows<'_> {
    /// Returns the row that [`next_row`](Self::next_row) returned last.
    fn last_row(&mut self) -> Result<Option<Row<'_>>> {
        self.chunk.as_mut().map_or(Ok(None), |chunk| chunk.last_row(&self.logs))
    }

    fn next_row(&mut self) -> Result<Option<Row<'_>>> {
        // The borrow checker rejects a loop that returns a row borrowed from `self`, so the row is read after the
        // loop.
        while self.chunk.as_ref().is_none_or(ChunkRows::is_at_end) {
            if let Some(mut chunk) = self.chunk.take() {
                chunk.next_row(&self.logs)?;
            }
            let Some((chunk_ref, text)) = self.reader.next_text() else {
                return self.reader.check_end().map(|()| None);
            };
            self.chunk = Some(ChunkRows::new(chunk_ref, text, &self.logs));
        }
        self.chunk.as_mut().map_or(Ok(None), |chunk| chunk.next_row(&self.logs))
    }
}
