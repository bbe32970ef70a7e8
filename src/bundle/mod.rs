//! Opens bundles of either version, from a file or a stream, and yields their rows.
//!
//! A bundle with a chunk table is read chunk by chunk, and a row is returned only after the checksum of its chunk has
//! been verified. Indexed reading, which reads only the selected chunks, and sequential reading yield the same rows.
//! The one exception to verification is the chunk in which a truncated bundle ends: its complete lines are returned
//! although no checksum proves them.

mod chunk_queue;
mod chunk_rows;
mod chunk_table;
mod chunks;
mod files;
mod opened;
mod parallel;
mod row;
mod rows;
mod select;
mod sequential_rows;
pub(crate) mod writer;

use std::fmt;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::container::{DecryptionKeys, FileInput, Input};
use crate::digest::{BundleDigest, Crc32};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::Manifest;
use crate::gzip::StreamKind;

pub(crate) use chunk_rows::{BundleLogs, ChunkRows};
pub(crate) use chunk_table::{ChunkRef, chunk_refs};
pub(crate) use files::FileIndex;
pub(crate) use opened::read_manifest;
use opened::{BundleInput, ManifestLine};
pub(crate) use parallel::{ChunkOrder, each_chunk};
pub use row::{Row, TypedRow};
pub use rows::Rows;
pub use select::{Selection, select_files};

/// The way in which a bundle's rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Chunks are read individually, at their indexed offsets.
    Indexed,
    /// The bundle is read from its start, because the input cannot seek or is not compressed.
    Stream,
    /// The bundle is read from its start, because it has no chunk table. This is true of every 1.0 bundle.
    NoChunkTable,
    /// The bundle is read from its start, because its chunks are not at the offsets that its table gives. Another
    /// program recompressed the bundle, or it is damaged.
    TableMismatch,
}

/// An open bundle whose manifest has been read.
///
/// Its rows can be read many times, also by several threads at once. Clones are cheap and share the input. A bundle from a
/// stream is the exception: its rows can be read once, and a second read fails.
///
/// ```
/// use patchwork_traces::Bundle;
/// use serde::Deserialize;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// #[derive(Deserialize)]
/// struct Call {
///     tool: String,
/// }
///
/// let bundle = Bundle::open(path)?;
/// assert_eq!(bundle.manifest().total_count, 10);
///
/// let calls = bundle.rows_of("activity")?.entries::<Call>();
/// let tools: Vec<String> = calls.map(|call| Ok(call?.tool)).collect::<patchwork_traces::Result<_>>()?;
/// assert_eq!(tools[..2], ["read", "write"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Bundle<'r> {
    name: String,
    manifest: Arc<Manifest>,
    manifest_crc32: Crc32,
    digest: BundleDigest,
    file_bytes: Option<u64>,
    access: Access,
    input: BundleInput<'r>,
}

impl<'r> Bundle<'r> {
    /// Opens the bundle at `path`.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not a bundle, or has an inconsistent manifest.
    pub fn open(path: impl AsRef<Path>) -> Result<Bundle<'static>> {
        let path = path.as_ref();
        Bundle::from_input(Input::open(path, &DecryptionKeys::default())?, &path.display().to_string())
    }

    /// Opens a bundle that spans the whole of `input`. Errors refer to the bundle as `name`.
    ///
    /// # Errors
    /// Fails if the input cannot be read, is not a bundle, or has an inconsistent manifest.
    pub fn from_seekable(input: impl Read + Seek + Send + 'r, name: &str) -> Result<Self> {
        let file = FileInput::new(input).map_err(|error| Error::io_named(IoAction::Read, name, error))?;
        Self::from_input(Input::from_file(file, &DecryptionKeys::default(), name)?, name)
    }

    /// Opens a bundle from a stream. Errors refer to the bundle as `name`.
    ///
    /// # Errors
    /// Fails if the input cannot be read, is not a bundle, or has an inconsistent manifest.
    pub fn from_stream(input: impl Read + Send + 'r, name: &str) -> Result<Self> {
        Self::from_input(Input::from_stream(input, &DecryptionKeys::default(), name)?, name)
    }

    /// Opens a bundle from an input that was opened and, if necessary, decrypted. Errors refer to the bundle as `name`.
    ///
    /// # Errors
    /// Fails if the input cannot be read, is not a bundle, or has an inconsistent manifest.
    pub fn from_input(input: Input<'r>, name: &str) -> Result<Self> {
        let named = |error: Error| error.in_subject(name);
        let mut file = match input {
            Input::File(file) => file,
            Input::Stream(stream) => {
                let (head, rest) = ManifestLine::read(stream).map_err(named)?;
                let access = if head.manifest.has_chunk_table() { Access::Stream } else { Access::NoChunkTable };
                return Ok(Self::new(name, head, None, access, BundleInput::Stream(Arc::new(Mutex::new(Some(rest))))));
            }
        };
        let (head, _) = ManifestLine::read(file.at_start()).map_err(named)?;
        let file_bytes = Some(file.length());
        let (access, input) = if !head.manifest.has_chunk_table() {
            (Access::NoChunkTable, BundleInput::File(file))
        } else if head.content == StreamKind::Plain {
            (Access::Stream, BundleInput::File(file))
        } else {
            let index = chunks::matching_index(&head, &mut file);
            match index.map_err(|error| Error::io_named(IoAction::Read, name, error))? {
                Some(index) => (Access::Indexed, BundleInput::Indexed(file, Arc::new(index))),
                None => (Access::TableMismatch, BundleInput::File(file)),
            }
        };
        Ok(Self::new(name, head, file_bytes, access, input))
    }

    fn new(name: &str, head: ManifestLine, file_bytes: Option<u64>, access: Access, input: BundleInput<'r>) -> Self {
        Self {
            name: name.to_owned(),
            manifest: Arc::new(head.manifest),
            manifest_crc32: head.crc32,
            digest: head.digest,
            file_bytes,
            access,
            input,
        }
    }

    /// Returns true if the whole file is the gzip member that the chunk table describes, by its length, its offsets and
    /// the checksum in its trailer. Then it has no rows that the manifest does not declare.
    pub(crate) fn matches_chunk_table(&self) -> bool {
        matches!(&self.input, BundleInput::Indexed(_, index) if index.matches_checksum(self.manifest_crc32))
    }

    /// Returns the name by which errors refer to the bundle.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the manifest, which has passed all consistency checks.
    ///
    /// ```
    /// use patchwork_traces::Bundle;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
    /// let bundle = Bundle::open(path)?;
    /// for file in &bundle.manifest().files {
    ///     let sha256 = file.integrity().ok_or("1.0 has none")?.sha256;
    ///     println!("{sha256}  {} rows of {}, {} other lines", file.count, file.relative_path, file.unparsed_lines());
    /// }
    /// assert_eq!(bundle.manifest().version(), (1, 1));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// Reads the manifest line again, exactly as it is, without its line feed.
    ///
    /// # Errors
    /// If it cannot be read, or is not the one that was read first. If the bundle is from a stream.
    pub fn manifest_line(&self) -> Result<Vec<u8>> {
        let again = |error| Error::io_named(IoAction::Read, &self.name, error);
        let (BundleInput::Indexed(file, _) | BundleInput::File(file)) = &self.input else {
            return Err(again(io::Error::other("this stream was already read")));
        };
        let line = opened::read_line(file.at_start()).map_err(|error| error.in_subject(&self.name))?;
        match BundleDigest::of_manifest_line(&line) == self.digest {
            true => Ok(line),
            false => Err(Error::from(ErrorKind::RestoredDiffers).in_subject(&self.name)),
        }
    }

    /// Returns true if the gzip file has texts that are not in the bundle's text: a name, a comment or an extra field in its
    /// header, or a second member. A stream cannot be read again.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn has_texts_around(&self) -> Result<bool> {
        let (BundleInput::Indexed(file, _) | BundleInput::File(file)) = &self.input else { return Ok(false) };
        opened::has_texts_around(file).map_err(|error| Error::io_named(IoAction::Read, &self.name, error))
    }

    /// Returns the bundle digest, computed from the manifest line exactly as it was read.
    #[must_use]
    pub fn digest(&self) -> BundleDigest {
        self.digest
    }

    /// Returns the size of the bundle in bytes, if its input can seek.
    #[must_use]
    pub fn file_bytes(&self) -> Option<u64> {
        self.file_bytes
    }

    /// Returns the way in which the rows are read.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Returns a handle that can reopen this bundle, or `None` if its input is a stream.
    pub(crate) fn reopener(&self) -> Option<Reopener<'r>> {
        let (BundleInput::Indexed(file, _) | BundleInput::File(file)) = &self.input else { return None };
        Some(Reopener { file: file.clone(), name: self.name.clone(), digest: self.digest })
    }
}

impl fmt::Debug for Bundle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, digest, access, .. } = self;
        f.debug_struct("Bundle")
            .field("name", name)
            .field("digest", digest)
            .field("access", access)
            .finish_non_exhaustive()
    }
}

/// A handle that can open a bundle again, even after the first [`Bundle`] was consumed.
pub(crate) struct Reopener<'r> {
    file: FileInput<'r>,
    name: String,
    digest: BundleDigest,
}

impl<'r> Reopener<'r> {
    /// Opens the bundle from its start.
    ///
    /// # Errors
    /// Fails if the input cannot be read or now has a different bundle digest.
    pub(crate) fn open(&self) -> Result<Bundle<'r>> {
        let bundle = Bundle::from_input(self.file.clone().into(), &self.name)?;
        match bundle.digest() == self.digest {
            true => Ok(bundle),
            false => Err(Error::from(ErrorKind::RestoredDiffers).in_subject(&self.name)),
        }
    }
}
