//! The findings of `verify`: typed values with a severity and, where possible, the expected and found values.

use std::fmt;

use serde::Serialize;

use crate::digest::{BundleDigest, Crc32, Sha256Digest};
use crate::error::{EntryFault, GzipFault, HistoryFault, ManifestFault, Position, RowFault, visible};
use crate::format::Timestamp;
#[cfg(feature = "seal")]
use crate::signature::SignatureVerdict;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Severity {
    /// Information about an intact bundle.
    Info,
    /// A difference from the form in which exporters write bundles. Nothing is lost or changed.
    Warning,
    /// The bundle is damaged or was changed, or it is not the expected bundle.
    Error,
}

/// A finding of `verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The kind of finding.
    pub kind: FindingKind,
    /// The position. A line number refers to the bundle's text. For compressed rows, the byte offset is the start
    /// of their chunk in the bundle file.
    pub at: Position,
}

/// A recorded value and the actual value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch<T> {
    /// The value that the bundle records.
    pub expected: T,
    /// The actual value.
    pub found: T,
}

impl<T: PartialEq> Mismatch<Option<T>> {
    /// Returns a mismatch of an optional value. A value that is not recorded never mismatches.
    pub(super) fn of_declared(expected: Option<T>, found: Option<T>) -> Option<Self> {
        expected.is_some().then(|| Self::between(expected, found))?
    }
}

impl<T: PartialEq> Mismatch<T> {
    /// Returns `None` if the two values are equal.
    pub(super) fn between(expected: T, found: T) -> Option<Self> {
        (expected != found).then_some(Self { expected, found })
    }
}

/// An error in a chunk's entry in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChunkMismatch {
    /// The chunk's length in the file.
    Compressed(Mismatch<u64>),
    /// The length of the chunk's lines.
    Bytes(Mismatch<u64>),
    /// The number of rows.
    Rows(Mismatch<u64>),
    /// The checksum of the chunk's lines.
    Crc32(Mismatch<Crc32>),
    /// The earliest timestamp of its rows.
    FirstTime(Mismatch<Option<Timestamp>>),
    /// The latest timestamp of its rows.
    LastTime(Mismatch<Option<Timestamp>>),
}

/// An error in a file's entry in the manifest, compared with its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileMismatch {
    /// The number of rows.
    Rows(Mismatch<u64>),
    /// The length of the restored log.
    Bytes(Mismatch<u64>),
    /// The length of the rows of a 1.0 bundle. It may exceed the length of the file, but not by this much
    /// (FORMAT.md, "Limits"). The expected value is the maximum.
    MaxBytes(Mismatch<u64>),
    /// The SHA-256 of the restored log.
    Sha256(Mismatch<Sha256Digest>),
    /// The earliest timestamp of its rows.
    FirstTime(Mismatch<Option<Timestamp>>),
    /// The latest timestamp of its rows.
    LastTime(Mismatch<Option<Timestamp>>),
    /// The distribution of its rows over time.
    Timeline,
}

/// The kind of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FindingKind {
    /// The gzip container is damaged.
    Gzip(GzipFault),
    /// Another gzip member follows.
    FurtherMember,
    /// Zeros follow the compressed data.
    Padding {
        /// The number of zero bytes.
        bytes: u64,
    },
    /// Another program recompressed the bundle, so its chunk table does not locate the rows.
    Recompressed,
    /// The bundle is not compressed.
    NotCompressed,
    /// The gzip header differs from the one that an exporter writes.
    ForeignHeader,
    /// The empty block at the end of the compressed data differs from the one that an exporter writes.
    LastBlock,
    /// The manifest is unreadable, so rows were only checked individually.
    NoManifest,
    /// The manifest has a fault.
    Manifest(ManifestFault),
    /// A line that the manifest lists as unparsed is a row.
    UnparsedIsRow {
        /// The line of the log, from 1.
        log_line: u64,
    },
    /// The digest of the bundle is not the expected one.
    Digest(Mismatch<BundleDigest>),
    /// A proof does not show that the bundle is a segment of the history of a checkpoint.
    Proof(HistoryFault),
    /// The signature of the bundle is missing, or not valid.
    #[cfg(feature = "seal")]
    Signature(SignatureVerdict),
    /// The manifest lacks a file's hash, or has no hashes at all, and hashes were required.
    NoHash,
    /// A 1.0 bundle has no hashes: its rows were counted, but nothing proves their content.
    WithoutHashes,
    /// A line is not a row, or a row is in a position where it must not be.
    Row(RowFault),
    /// A row's `entry` and its exact line contradict each other.
    Entry(EntryFault),
    /// A line exceeds the length limit of a row.
    LineTooLong,
    /// The text does not end with a line feed, or a chunk ends within a line.
    NoLineFeed,
    /// The last line of a bundle without chunks has no line feed. No row is lost.
    LastLineFeedMissing,
    /// Consecutive chunks in a file's chunk table are missing.
    ChunksMissing {
        /// The first missing chunk, from 1.
        first: u64,
        /// The last missing chunk.
        last: u64,
        /// The number of rows in these chunks.
        rows: u64,
    },
    /// Compressed data contains something that is not in the chunk table.
    NotInTable,
    /// A chunk's entry in the table does not match the stream.
    Chunk {
        /// The chunk's number in the file, from 1.
        chunk: u64,
        /// The mismatch.
        mismatch: ChunkMismatch,
    },
    /// A file's entry in the manifest does not match its rows.
    File(FileMismatch),
    /// Some rows of a file are unreadable, so its length, SHA-256 and timestamps were not checked.
    NotRestored,
}

impl FindingKind {
    /// Returns a stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code_and_text().0
    }

    /// Returns the code and the message. For a mismatch, the message is the name of the value; for some kinds, it is
    /// empty.
    fn code_and_text(&self) -> (&'static str, &'static str) {
        match self {
            Self::Gzip(GzipFault::Header) => ("gzip_header", ""),
            Self::Gzip(GzipFault::Deflate) => ("gzip_data", ""),
            Self::Gzip(GzipFault::Truncated) => ("gzip_truncated", ""),
            Self::Gzip(GzipFault::Checksum { .. }) => ("gzip_crc32", ""),
            Self::Gzip(GzipFault::Length { .. }) => ("gzip_length", ""),
            Self::Gzip(GzipFault::TrailingBytes) => ("gzip_trailing_bytes", ""),
            Self::FurtherMember => {
                ("gzip_further_member", "another gzip member follows; many programs read only the first")
            }
            Self::Padding { .. } => ("gzip_padding", ""),
            Self::Recompressed => {
                ("recompressed", "another program recompressed the bundle; its chunk table no longer locates the rows")
            }
            Self::NotCompressed => ("not_compressed", "the bundle is not compressed"),
            Self::ForeignHeader => {
                ("gzip_foreign_header", "the gzip header differs from the one that an exporter writes")
            }
            Self::LastBlock => {
                ("gzip_last_block", "the compressed data does not end with the block that an exporter writes")
            }
            Self::NoManifest => {
                ("manifest_unreadable", "the manifest cannot be read, so each row was checked only on its own")
            }
            Self::Manifest(ManifestFault::Missing { .. }) => ("manifest_key_missing", ""),
            Self::Manifest(ManifestFault::Shape) => ("manifest_shape", ""),
            Self::Manifest(ManifestFault::Value { .. }) => ("manifest_value", ""),
            Self::Manifest(ManifestFault::Contradiction(_)) => ("manifest_contradiction", ""),
            Self::UnparsedIsRow { .. } => ("manifest_unparsed_is_row", ""),
            Self::Digest(_) => ("digest", "digest mismatch"),
            Self::Proof(_) => ("proof", ""),
            #[cfg(feature = "seal")]
            Self::Signature(_) => ("signature", ""),
            Self::NoHash => {
                ("hash_missing", "the manifest has no SHA-256, so the content of the rows cannot be verified")
            }
            Self::WithoutHashes => (
                "without_hashes",
                "a format 1.0 bundle has no hashes: its rows were counted, but their content cannot be verified",
            ),
            other => other.code_and_text_of_rows(),
        }
    }

    fn code_and_text_of_rows(&self) -> (&'static str, &'static str) {
        match self {
            Self::Row(_) => ("row", ""),
            Self::Entry(_) => ("row_entry", ""),
            Self::LineTooLong => ("line_too_long", "this line exceeds the length limit of a row"),
            Self::NoLineFeed => ("line_feed_missing", "the line feed at the end is missing"),
            Self::LastLineFeedMissing => {
                ("last_line_feed_missing", "the last line of the bundle has no line feed; no row is lost")
            }
            Self::ChunksMissing { .. } => ("chunk_missing", ""),
            Self::NotInTable => {
                ("chunk_not_in_table", "the bundle has content here that its chunk table does not list")
            }
            Self::Chunk { mismatch, .. } => match mismatch {
                ChunkMismatch::Compressed(_) => ("chunk_compressed", "compressed size"),
                ChunkMismatch::Bytes(_) => ("chunk_bytes", "length"),
                ChunkMismatch::Rows(_) => ("chunk_rows", "row count"),
                ChunkMismatch::Crc32(_) => ("chunk_crc32", "checksum"),
                ChunkMismatch::FirstTime(_) => ("chunk_first_time", "first timestamp"),
                ChunkMismatch::LastTime(_) => ("chunk_last_time", "last timestamp"),
            },
            Self::File(mismatch) => match mismatch {
                FileMismatch::Rows(_) => ("file_rows", "row count"),
                FileMismatch::Bytes(_) => ("file_bytes", "length"),
                FileMismatch::MaxBytes(_) => ("file_too_long", "length"),
                FileMismatch::Sha256(_) => ("file_sha256", "SHA-256"),
                FileMismatch::FirstTime(_) => ("file_first_time", "first timestamp"),
                FileMismatch::LastTime(_) => ("file_last_time", "last timestamp"),
                FileMismatch::Timeline => ("file_timeline", "timeline"),
            },
            _ => (
                "file_not_restored",
                "some rows of this file could not be read, so its length, SHA-256 and timestamps were not checked",
            ),
        }
    }

    /// Returns the severity.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::WithoutHashes => Severity::Info,
            Self::Entry(EntryFault::Redundant | EntryFault::Form) => Severity::Warning,
            _ if self.is_container_anomaly() => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// Returns true if the finding shows that another program wrote the container. The content may be intact.
    pub(super) fn is_container_anomaly(&self) -> bool {
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

    /// Returns true if the bundle fails a requirement of the caller. It may be undamaged.
    pub(super) fn is_unmet_requirement(&self) -> bool {
        #[cfg(feature = "seal")]
        if matches!(self, Self::Signature(_)) {
            return true;
        }
        matches!(self, Self::Digest(_) | Self::Proof(_) | Self::NoHash)
    }

    /// Returns the recorded or required value and the actual value, if both can be shown.
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
                FileMismatch::Rows(m) | FileMismatch::Bytes(m) | FileMismatch::MaxBytes(m) => both(m),
                FileMismatch::Sha256(m) => both(m),
                FileMismatch::FirstTime(m) | FileMismatch::LastTime(m) => times(m),
                FileMismatch::Timeline => return None,
            },
            _ => return None,
        })
    }
}

impl Finding {
    /// Returns the severity.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.kind.severity()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names and values come from the bundle. Escape control characters that could affect a terminal.
        f.write_str(&visible(&match self.at == Position::default() {
            true => self.kind.to_string(),
            false => format!("{}: {}", self.at, self.kind),
        }))
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, text) = self.code_and_text();
        match self {
            Self::Gzip(fault) => return fault.fmt(f),
            Self::Manifest(fault) => return fault.fmt(f),
            Self::Row(fault) => return fault.fmt(f),
            Self::Entry(fault) => return fault.fmt(f),
            Self::Proof(fault) => return fault.fmt(f),
            #[cfg(feature = "seal")]
            Self::Signature(verdict) => return verdict.fmt(f),
            Self::Padding { bytes } => return write!(f, "zero padding follows the compressed data ({bytes} bytes)"),
            Self::UnparsedIsRow { log_line } => {
                return write!(f, "line {log_line} of the log is listed as unparsed, but is a row");
            }
            Self::ChunksMissing { first, last, .. } if first == last => {
                return write!(f, "chunk {first} of the file is missing");
            }
            Self::ChunksMissing { first, last, rows } => {
                return write!(f, "chunks {first} to {last} of the file are missing, with {rows} rows");
            }
            Self::Chunk { chunk, .. } => {
                write!(f, "chunk {chunk} of the file: {text} mismatch")?;
            }
            Self::File(FileMismatch::MaxBytes(Mismatch { expected, found })) => {
                return write!(
                    f,
                    "the rows are too long for the recorded length of the file: expected at most {expected} bytes, found {found}"
                );
            }
            Self::File(FileMismatch::Timeline) => return f.write_str("the timeline does not match the rows"),
            Self::File(_) => write!(f, "{text} mismatch")?,
            _ => f.write_str(text)?,
        }
        match self.expected_and_found() {
            Some((expected, found)) => write!(f, ": expected {expected}, found {found}"),
            None => Ok(()),
        }
    }
}
