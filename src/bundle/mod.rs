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
mod parallel;
mod reopen;
mod rows;
mod select;
mod sequential_rows;
pub(crate) mod writer;

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;

use crate::digest::{BundleDigest, Crc32};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::limits::MAX_MANIFEST_BYTES;
use crate::format::{Manifest, TimeRange};
use crate::gzip::{SequentialReader, StreamKind};
use crate::util::line_reader::{LineError, LineReader};

pub(crate) use chunk_rows::{BundleLogs, ChunkRows};
pub(crate) use chunk_table::{ChunkRef, chunk_refs};
pub(crate) use files::FileIndex;
pub(crate) use parallel::{ChunkOrder, each_chunk};
pub(crate) use reopen::Reopener;
pub use rows::{Row, Rows};
pub use select::select_files;

/// A seekable input.
trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}

type Seekable<'r> = Box<dyn ReadSeek + 'r>;

/// The decompressed text after the manifest line.
struct Remainder<'r> {
    text: Box<dyn Read + 'r>,
    /// The kind of the stream that the text was read from.
    content: StreamKind,
}

impl Read for Remainder<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.text.read(out)
    }
}

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
    TableDoesNotFit,
}

/// An open bundle whose manifest has been read.
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
pub struct Bundle<'r> {
    name: String,
    manifest: Arc<Manifest>,
    manifest_crc32: Crc32,
    digest: BundleDigest,
    file_bytes: Option<u64>,
    access: Access,
    input: Input<'r>,
}

enum Input<'r> {
    Indexed(Seekable<'r>, crate::gzip::BlockIndex),
    Seekable(Seekable<'r>),
    Stream(Remainder<'r>),
}

/// The selection of files and chunks to read.
///
/// ```
/// use patchwork_traces::Bundle;
/// use patchwork_traces::bundle::{Selection, select_files};
/// use patchwork_traces::format::TimeRange;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// let bundle = Bundle::open(path)?;
/// let files = select_files(bundle.manifest(), &["runs".to_owned(), "activity".to_owned()], &[])?;
/// let since = TimeRange { since: Some("2026-05-02T10:30:00Z".parse()?), until: None };
/// let mut rows = bundle.rows(&Selection { files: Some(files), chunks_in: since })?;
/// assert!(rows.next_row()?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Indices into the manifest's `files`. `None` selects all files.
    pub files: Option<Vec<usize>>,
    /// The time range by which chunks are selected. Chunks that cannot hold a row in this range are skipped. A chunk
    /// that is read yields all its rows, also those outside the range.
    pub chunks_in: TimeRange,
}

impl Selection {
    /// Returns one flag for each of `files` files: true if the file is selected.
    fn of_files(&self, files: usize) -> Vec<bool> {
        let Some(wanted) = &self.files else { return vec![true; files] };
        let mut of_files = vec![false; files];
        for file in wanted {
            if let Some(of_file) = of_files.get_mut(*file) {
                *of_file = true;
            }
        }
        of_files
    }
}

impl<'r> Bundle<'r> {
    /// Opens the bundle at `path`.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not a bundle, or has an inconsistent manifest.
    pub fn open(path: &Path) -> Result<Bundle<'static>> {
        let name = path.display().to_string();
        match open_input(path)? {
            (file, Some(_)) => Bundle::from_seekable(file, &name),
            (file, None) => Bundle::from_stream(file, &name),
        }
    }

    /// Opens a bundle that spans the whole of `input`. Errors refer to the bundle as `name`.
    ///
    /// # Errors
    /// Fails if the input cannot be read, is not a bundle, or has an inconsistent manifest.
    pub fn from_seekable(mut input: impl Read + Seek + 'r, name: &str) -> Result<Self> {
        let read = |error| Error::io_named(IoAction::Read, name, error);
        input.seek(SeekFrom::Start(0)).map_err(read)?;
        let (head, _) = ManifestLine::read(&mut input).map_err(|error| error.in_subject(name))?;
        let file_bytes = input.seek(SeekFrom::End(0)).map_err(read)?;
        let (access, input) = if !head.manifest.has_chunk_table() {
            (Access::NoChunkTable, Input::Seekable(Box::new(input) as Seekable<'r>))
        } else if head.content == StreamKind::Plain {
            (Access::Stream, Input::Seekable(Box::new(input) as Seekable<'r>))
        } else {
            match chunks::matching_index(&head, file_bytes, &mut input).map_err(read)? {
                Some(index) => (Access::Indexed, Input::Indexed(Box::new(input), index)),
                None => (Access::TableDoesNotFit, Input::Seekable(Box::new(input) as Seekable<'r>)),
            }
        };
        Ok(Self::new(name, head, Some(file_bytes), access, input))
    }

    /// Opens a bundle from a stream. Errors refer to the bundle as `name`.
    ///
    /// # Errors
    /// Fails if the input cannot be read, is not a bundle, or has an inconsistent manifest.
    pub fn from_stream(input: impl Read + 'r, name: &str) -> Result<Self> {
        let (head, rest) = ManifestLine::read(input).map_err(|error| error.in_subject(name))?;
        let access = if head.manifest.has_chunk_table() { Access::Stream } else { Access::NoChunkTable };
        Ok(Self::new(name, head, None, access, Input::Stream(rest)))
    }

    fn new(name: &str, head: ManifestLine, file_bytes: Option<u64>, access: Access, input: Input<'r>) -> Self {
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
}

/// Opens a bundle file. Also returns its length if it is a regular file.
pub(crate) fn open_input(path: &Path) -> Result<(std::fs::File, Option<u64>)> {
    let opened = |error| Error::io(IoAction::Open, path, error);
    let metadata = fs::metadata(path).map_err(opened)?;
    if metadata.is_dir() {
        return Err(Error::from(ErrorKind::InputIsDirectory).in_subject(&path.display().to_string()));
    }
    let file = fs::File::open(path).map_err(opened)?.into_parts().0;
    Ok((file, metadata.is_file().then_some(metadata.len())))
}

/// A bundle's first line and the values derived from it.
struct ManifestLine {
    manifest: Manifest,
    /// The length of the manifest line, including its line feed.
    bytes: u64,
    /// The checksum of the manifest line, including its line feed.
    crc32: Crc32,
    digest: BundleDigest,
    content: StreamKind,
}

/// The size of the first read. It covers the manifest of a small bundle, and little of what follows.
const FIRST_BYTES: usize = 16 << 10;

impl ManifestLine {
    /// Reads the first line. Returns it with the rest of the text.
    fn read<'r>(input: impl Read + 'r) -> Result<(Self, Remainder<'r>)> {
        let failed = |error| Error::io_unnamed(IoAction::Read, error);
        let mut stream = SequentialReader::new(input);
        let content = stream.content().map_err(failed)?.ok_or(ErrorKind::EmptyInput)?;
        let not_a_bundle = || match content {
            StreamKind::Gzip => ErrorKind::GzipOfSomethingElse,
            StreamKind::Plain => ErrorKind::NotABundle,
        };
        // A line that does not start like a JSON object is not searched for its end.
        let mut first = Vec::new();
        stream.by_ref().take(1).read_to_end(&mut first).map_err(failed)?;
        if first != b"{" {
            return Err(not_a_bundle().into());
        }
        let text = Cursor::new(first).chain(stream);
        let mut lines = LineReader::new(text, MAX_MANIFEST_BYTES).with_first_read(FIRST_BYTES);
        let mut line = match lines.next_line() {
            Ok(line) => line.map(|line| line.bytes.to_vec()).unwrap_or_default(),
            Err(LineError::Read(error)) => return Err(failed(error)),
            Err(LineError::TooLong) => {
                let limit = MAX_MANIFEST_BYTES;
                return Err(Error::from(ErrorKind::ManifestTooLong { limit }).at_line(1));
            }
        };
        let at_line_1 = |kind| Error::from(kind).at_line(1);
        let manifest = Manifest::decode(&line).map_err(at_line_1)?.ok_or_else(not_a_bundle)?;
        if let Some(fault) = manifest.faults().into_iter().next() {
            return Err(at_line_1(ErrorKind::Manifest(fault)));
        }
        let digest = BundleDigest::of_manifest_line(&line);
        line.push(b'\n');
        let head = Self { manifest, bytes: line.len() as u64, crc32: Crc32::of(&line), digest, content };
        let (stream, read_ahead) = lines.into_parts();
        let text = Box::new(Cursor::new(read_ahead).chain(stream.into_inner().1));
        Ok((head, Remainder { text, content }))
    }
}

/// Checks that no text follows and that the container ends correctly.
fn check_end(rest: &mut dyn Read) -> Result<()> {
    let mut more = Vec::new();
    match rest.take(1).read_to_end(&mut more) {
        Ok(0) => Ok(()),
        Ok(_) => Err(ErrorKind::MoreThanDeclared.into()),
        Err(error) => Err(Error::io_unnamed(IoAction::Read, error)),
    }
}
