//! What verify can find: typed values that know their severity, and what they expected.

use std::fmt;

use crate::digest::{BundleDigest, Crc32, Sha256Digest};
use crate::error::{EntryFault, GzipFault, ManifestFault, Position, RowFault, visible};
use crate::format::Timestamp;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing. Nothing is wrong.
    Info,
    /// Not as this format writes it, but nothing is lost or changed.
    Warning,
    /// The bundle is damaged, was changed, or is not the one that was meant.
    Error,
}

/// Something that verify found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Where it is. A line is one of the bundle's text. Where rows are compressed, the byte is that at which their
    /// chunk begins in the bundle file.
    pub at: Position,
}

/// What a bundle says, and what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch<T> {
    /// What the bundle says.
    pub expected: T,
    /// What there is.
    pub found: T,
}

impl<T: PartialEq> Mismatch<Option<T>> {
    /// The same of what the manifest need not say.
    pub(super) fn of_declared(expected: Option<T>, found: Option<T>) -> Option<Self> {
        expected.is_some().then(|| Self::between(expected, found))?
    }
}

impl<T: PartialEq> Mismatch<T> {
    pub(super) fn between(expected: T, found: T) -> Option<Self> {
        (expected != found).then_some(Self { expected, found })
    }
}

/// What a chunk's entry in the table has wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChunkMismatch {
    /// Bytes that it takes in the file.
    Compressed(Mismatch<u64>),
    /// Bytes of its lines.
    Bytes(Mismatch<u64>),
    /// Its rows.
    Rows(Mismatch<u64>),
    /// The checksum of its lines.
    Crc32(Mismatch<Crc32>),
    /// The earliest time of its rows.
    FirstTime(Mismatch<Option<Timestamp>>),
    /// The latest time of its rows.
    LastTime(Mismatch<Option<Timestamp>>),
}

/// What a file's entry in the manifest has wrong, held against its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileMismatch {
    /// Its rows.
    Rows(Mismatch<u64>),
    /// The length of the restored log.
    Bytes(Mismatch<u64>),
    /// The length of the rows of a 1.0 bundle, which may be more than its file had, but not this much more (FORMAT.md,
    /// "Limits"). What is expected is the most.
    MostBytes(Mismatch<u64>),
    /// The SHA-256 of the restored log.
    Sha256(Mismatch<Sha256Digest>),
    /// The earliest time of its rows.
    FirstTime(Mismatch<Option<Timestamp>>),
    /// The latest time of its rows.
    LastTime(Mismatch<Option<Timestamp>>),
    /// How its rows are spread over time.
    Timeline,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// The gzip container is damaged.
    Gzip(GzipFault),
    /// Another gzip member follows.
    FurtherMember,
    /// Zeros follow the compressed data.
    Padding {
        /// How many.
        bytes: u64,
    },
    /// The bundle was compressed again, so its chunk table does not say where its rows are.
    Recompressed,
    /// The bundle is not compressed.
    NotCompressed,
    /// The header of the gzip file is not the one that is written.
    ForeignHeader,
    /// The empty block at the end of the compressed data is not the one that is written.
    LastBlock,
    /// The manifest cannot be read, so rows were only checked each for itself.
    NoManifest,
    /// The manifest has something wrong.
    Manifest(ManifestFault),
    /// A line that the manifest counts as unparsed is a row.
    UnparsedIsRow {
        /// The log's line, from 1.
        log_line: u64,
    },
    /// The digest of the bundle is not the one that was asked for.
    Digest(Mismatch<BundleDigest>),
    /// The manifest has no hash of a file, or of anything, and hashes were asked for.
    NoHash,
    /// A 1.0 bundle has no hashes: rows were counted, but nothing proves what they say.
    WithoutHashes,
    /// A line is no row, or a row where it must not be.
    Row(RowFault),
    /// A row's two views of its line contradict each other.
    Entry(EntryFault),
    /// A line is longer than any row.
    LineTooLong,
    /// The text does not end with a line feed, or a chunk ends within a line.
    NoLineFeed,
    /// The last line of a bundle without chunks has no line feed. Nothing is lost with it.
    LastLineFeedMissing,
    /// Neighbouring chunks of a file that its chunk table names are nowhere.
    ChunksMissing {
        /// The first of them, from 1.
        first: u64,
        /// The last of them.
        last: u64,
        /// How many rows they have.
        rows: u64,
    },
    /// Compressed data holds something that the chunk table does not name.
    NotInTable,
    /// A chunk's entry in the table is not what the stream holds.
    Chunk {
        /// Which chunk of the file, from 1.
        chunk: u64,
        /// What is wrong.
        mismatch: ChunkMismatch,
    },
    /// A file's entry in the manifest is not what its rows give.
    File(FileMismatch),
    /// Rows of a file could not be read, so its length, SHA-256 and times were not checked.
    NotRestored,
}

impl FindingKind {
    /// A stable name, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Gzip(fault) => match fault {
                GzipFault::Header => "gzip_header",
                GzipFault::Deflate => "gzip_data",
                GzipFault::Truncated => "gzip_truncated",
                GzipFault::Checksum { .. } => "gzip_crc32",
                GzipFault::Length { .. } => "gzip_length",
                GzipFault::TrailingBytes => "gzip_trailing_bytes",
            },
            Self::FurtherMember => "gzip_further_member",
            Self::Padding { .. } => "gzip_padding",
            Self::Recompressed => "recompressed",
            Self::NotCompressed => "not_compressed",
            Self::ForeignHeader => "gzip_foreign_header",
            Self::LastBlock => "gzip_last_block",
            Self::NoManifest => "manifest_unreadable",
            Self::Manifest(ManifestFault::Missing { .. }) => "manifest_key_missing",
            Self::Manifest(ManifestFault::Shape) => "manifest_shape",
            Self::Manifest(ManifestFault::Value { .. }) => "manifest_value",
            Self::Manifest(ManifestFault::Contradiction(_)) => "manifest_contradiction",
            Self::UnparsedIsRow { .. } => "manifest_unparsed_is_row",
            Self::Digest(_) => "digest",
            Self::NoHash => "hash_missing",
            Self::WithoutHashes => "without_hashes",
            Self::Row(_) => "row",
            Self::Entry(_) => "row_entry",
            Self::LineTooLong => "line_too_long",
            Self::NoLineFeed => "line_feed_missing",
            Self::LastLineFeedMissing => "last_line_feed_missing",
            Self::ChunksMissing { .. } => "chunk_missing",
            Self::NotInTable => "chunk_not_in_table",
            Self::Chunk { mismatch, .. } => match mismatch {
                ChunkMismatch::Compressed(_) => "chunk_compressed",
                ChunkMismatch::Bytes(_) => "chunk_bytes",
                ChunkMismatch::Rows(_) => "chunk_rows",
                ChunkMismatch::Crc32(_) => "chunk_crc32",
                ChunkMismatch::FirstTime(_) => "chunk_first_time",
                ChunkMismatch::LastTime(_) => "chunk_last_time",
            },
            Self::File(mismatch) => match mismatch {
                FileMismatch::Rows(_) => "file_rows",
                FileMismatch::Bytes(_) => "file_bytes",
                FileMismatch::MostBytes(_) => "file_too_long",
                FileMismatch::Sha256(_) => "file_sha256",
                FileMismatch::FirstTime(_) => "file_first_time",
                FileMismatch::LastTime(_) => "file_last_time",
                FileMismatch::Timeline => "file_timeline",
            },
            Self::NotRestored => "file_not_restored",
        }
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::WithoutHashes => Severity::Info,
            Self::Entry(EntryFault::Redundant | EntryFault::Form) => Severity::Warning,
            _ if self.is_of_container() => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// Whether it says that another program wrote the container, around content that may be whole.
    pub(super) fn is_of_container(&self) -> bool {
        matches!(
            self,
            Self::FurtherMember
                | Self::Padding { .. }
                | Self::Recompressed
                | Self::NotCompressed
                | Self::ForeignHeader
                | Self::LastBlock
                | Self::LastLineFeedMissing
                | Self::Chunk { mismatch: ChunkMismatch::Compressed(_), .. }
        )
    }

    /// Whether it says that the bundle is not the one that was asked for, rather than that it is damaged.
    pub(super) fn is_of_request(&self) -> bool {
        matches!(self, Self::Digest(_) | Self::NoHash)
    }

    /// What the bundle says or the format asks for, and what there is, where both can be shown.
    #[must_use]
    pub fn expected_and_found(&self) -> Option<(String, String)> {
        fn both<T: fmt::Display>(mismatch: &Mismatch<T>) -> (String, String) {
            (mismatch.expected.to_string(), mismatch.found.to_string())
        }
        fn times(mismatch: &Mismatch<Option<Timestamp>>) -> (String, String) {
            let shown = |time: Option<Timestamp>| time.map_or_else(|| "none".to_owned(), |time| time.to_string());
            (shown(mismatch.expected), shown(mismatch.found))
        }
        Some(match self {
            Self::Gzip(GzipFault::Checksum { expected, found }) => {
                (Crc32(*expected).to_string(), Crc32(*found).to_string())
            }
            Self::Gzip(GzipFault::Length { expected, found }) => (expected.to_string(), found.to_string()),
            Self::Manifest(ManifestFault::Value { expected, found, .. }) => ((*expected).to_owned(), found.clone()),
            Self::Manifest(ManifestFault::Contradiction(contradiction)) => return contradiction.expected_and_found(),
            Self::Digest(mismatch) => both(mismatch),
            Self::Entry(EntryFault::Differs { expected, found }) => (expected.clone(), found.clone()),
            Self::Chunk { mismatch, .. } => match mismatch {
                ChunkMismatch::Compressed(m) | ChunkMismatch::Bytes(m) | ChunkMismatch::Rows(m) => both(m),
                ChunkMismatch::Crc32(m) => both(m),
                ChunkMismatch::FirstTime(m) | ChunkMismatch::LastTime(m) => times(m),
            },
            Self::File(mismatch) => match mismatch {
                FileMismatch::Rows(m) | FileMismatch::Bytes(m) | FileMismatch::MostBytes(m) => both(m),
                FileMismatch::Sha256(m) => both(m),
                FileMismatch::FirstTime(m) | FileMismatch::LastTime(m) => times(m),
                FileMismatch::Timeline => return None,
            },
            _ => return None,
        })
    }
}

impl Finding {
    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.kind.severity()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names and values come from the bundle: none of their characters may move a terminal's cursor.
        f.write_str(&visible(&match self.at == Position::default() {
            true => self.kind.to_string(),
            false => format!("{}: {}", self.at, self.kind),
        }))
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gzip(fault) => return fault.fmt(f),
            Self::Manifest(fault) => return fault.fmt(f),
            Self::Row(fault) => return fault.fmt(f),
            Self::Entry(fault) => return fault.fmt(f),
            Self::Padding { bytes } => return write!(f, "{bytes} zero bytes follow the compressed data"),
            Self::UnparsedIsRow { log_line } => {
                return write!(f, "line {log_line} of the log counts as unparsed, but it is a row");
            }
            Self::ChunksMissing { first, last, .. } if first == last => {
                return write!(f, "chunk {first} of the file is not in the bundle");
            }
            Self::ChunksMissing { first, last, rows } => {
                return write!(f, "chunks {first} to {last} of the file, with {rows} rows, are not in the bundle");
            }
            Self::Chunk { chunk, mismatch } => {
                write!(f, "chunk {chunk} of the file does not have {}", mismatch.what())?;
            }
            Self::File(FileMismatch::MostBytes(Mismatch { expected, found })) => {
                return write!(
                    f,
                    "the rows of the file are longer than a log of its recorded length can have become (at most {expected} bytes, found {found})"
                );
            }
            Self::File(FileMismatch::Timeline) => return f.write_str("the timeline is not that of the rows"),
            Self::File(mismatch) => write!(f, "the file does not have {}", mismatch.what())?,
            other => f.write_str(other.sentence())?,
        }
        match self.expected_and_found() {
            Some((expected, found)) => write!(f, " (recorded {expected}, found {found})"),
            None => Ok(()),
        }
    }
}

impl FindingKind {
    /// What is said of kinds without data of their own.
    fn sentence(&self) -> &'static str {
        match self {
            Self::FurtherMember => "another gzip member follows; many programs read only the first",
            Self::Recompressed => {
                "the bundle was compressed again by another program; its chunk table no longer says where rows are"
            }
            Self::NotCompressed => "the bundle is not compressed",
            Self::ForeignHeader => "the gzip header is not the one that bundles are written with",
            Self::LastBlock => "the compressed data does not end with the block that bundles are written with",
            Self::NoManifest => "the manifest cannot be read, so rows were only checked each for itself",
            Self::Digest(_) => "this is another bundle than the one that was asked for",
            Self::NoHash => "the manifest has no SHA-256, so nothing proves what the rows say",
            Self::WithoutHashes => "this is a 1.0 bundle: its rows were counted, but nothing proves what they say",
            Self::LineTooLong => "this line is longer than any row",
            Self::NoLineFeed => "a line feed is missing at the end",
            Self::LastLineFeedMissing => "the last line of the bundle has no line feed; no row is lost with it",
            Self::NotInTable => "the bundle holds something here that its chunk table does not name",
            Self::NotRestored => {
                "rows of this file could not be read, so its length, SHA-256 and times were not checked"
            }
            _ => "",
        }
    }
}

impl ChunkMismatch {
    fn what(&self) -> &'static str {
        match self {
            Self::Compressed(_) => "the recorded compressed size",
            Self::Bytes(_) => "the recorded length",
            Self::Rows(_) => "the recorded number of rows",
            Self::Crc32(_) => "the recorded checksum",
            Self::FirstTime(_) => "the recorded first time",
            Self::LastTime(_) => "the recorded last time",
        }
    }
}

impl FileMismatch {
    fn what(&self) -> &'static str {
        match self {
            Self::Rows(_) => "the recorded number of rows",
            Self::Bytes(_) | Self::MostBytes(_) => "the recorded length",
            Self::Sha256(_) => "the recorded SHA-256",
            Self::FirstTime(_) => "the recorded first time",
            Self::LastTime(_) => "the recorded last time",
            Self::Timeline => "the recorded timeline",
        }
    }
}
