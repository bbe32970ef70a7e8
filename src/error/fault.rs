//! Faults of bundles, manifests, rows, histories and names, as data. Some operations stop at the first fault, others
//! list them all.

use std::fmt;
use std::path::PathBuf;

/// The reason why a text is not a valid name of a file or source (FORMAT.md, "Names").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameFault {
    /// The name is empty.
    Empty,
    /// The name is a path: it contains `/` or `\`, or is `.` or `..`.
    Path,
    /// The name contains a control character.
    Control,
    /// The name is longer than 255 bytes.
    TooLong,
    /// The name is not valid Unicode.
    NotUnicode,
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::Path => "it is a path, not a plain file name",
            Self::Control => "it contains a control character",
            Self::TooLong => "it is longer than 255 bytes",
            Self::NotUnicode => "it is not valid Unicode",
        })
    }
}

/// A fault of the gzip container (FORMAT.md, "Container").
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GzipFault {
    /// The header of a member is corrupt.
    Header,
    /// The compressed data is not valid deflate data.
    Deflate,
    /// The file ends within the compressed data.
    Truncated,
    /// The decompressed bytes do not match the member's CRC-32.
    Checksum {
        /// The CRC-32 in the member's trailer.
        expected: u32,
        /// The CRC-32 of the decompressed bytes.
        found: u32,
    },
    /// The number of decompressed bytes does not match the member's ISIZE.
    Length {
        /// The length in the member's trailer, modulo 2^32.
        expected: u32,
        /// The number of decompressed bytes, modulo 2^32.
        found: u32,
    },
    /// The last member is followed by bytes that are neither a member nor zeros.
    TrailingBytes,
}

impl fmt::Display for GzipFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("the gzip header is corrupt"),
            Self::Deflate => f.write_str("the compressed data is corrupt"),
            Self::Truncated => f.write_str("the file is truncated: its compressed data is incomplete"),
            Self::Checksum { expected, found } => {
                write!(f, "gzip checksum mismatch: expected {expected:08x}, found {found:08x}")
            }
            Self::Length { expected, found } => {
                write!(f, "gzip length mismatch: expected {expected} bytes, found {found}")
            }
            Self::TrailingBytes => f.write_str("unexpected bytes after the end of the compressed data"),
        }
    }
}

/// A fault of a manifest (FORMAT.md, "Manifest").
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestFault {
    /// A required key is missing.
    Missing {
        /// The path of the key, such as `files[0].count`.
        path: String,
    },
    /// A value is not one that the format allows for its key.
    Value {
        /// The path of the value, such as `files[0].count`.
        path: String,
        /// The allowed values, such as `a whole number from 0 to 9007199254740991`.
        expected: &'static str,
        /// The value found, shortened.
        found: String,
    },
    /// The manifest is JSON, but not an object without duplicate keys.
    Shape,
    /// Two values of the manifest contradict each other.
    Contradiction(Contradiction),
}

impl fmt::Display for ManifestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "the manifest lacks `{path}`"),
            Self::Value { path, expected, found } => {
                write!(f, "invalid `{path}` in the manifest: expected {expected}, found {found}")
            }
            Self::Shape => f.write_str("the manifest must be an object without duplicate keys"),
            Self::Contradiction(contradiction) => write!(f, "the manifest contradicts itself: {contradiction}"),
        }
    }
}

/// Values of a manifest that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contradiction {
    /// `totalCount` is not the sum of the files' counts.
    TotalCount {
        /// The value of `totalCount`.
        total: u64,
        /// The sum of the counts.
        sum: u64,
    },
    /// `sources` is not the sorted list of the files' sources without duplicates.
    Sources,
    /// Two files share one source and name, or one directory and name.
    DuplicateFile {
        /// The second file's `relativePath`.
        file: String,
    },
    /// A file's chunks do not hold as many rows as its `count`.
    ChunkRows {
        /// The file's `relativePath`.
        file: String,
        /// The value of `count`.
        count: u64,
        /// The sum of the chunks' `rows`.
        sum: u64,
    },
    /// A chunk is larger than the format allows, or too small to hold its rows.
    ChunkSize {
        /// The file's `relativePath`.
        file: String,
        /// The number of the chunk in the file, from 1.
        chunk: u64,
    },
    /// The lines in `unparsed` are out of order, overlap, or lie after the log's last line.
    UnparsedLines {
        /// The file's `relativePath`.
        file: String,
        /// The first offending line, from 1.
        line: u64,
    },
    /// The rows and unparsed lines need more bytes than `bytes`, or a log without lines has bytes.
    Bytes {
        /// The file's `relativePath`.
        file: String,
    },
    /// The timeline's bins are out of order, or count more rows than the file has.
    Timeline {
        /// The file's `relativePath`.
        file: String,
    },
    /// A sum overflows.
    Overflow,
    /// A key was introduced by a later version than the manifest's `minor`.
    LaterKey {
        /// The path of the key, such as `files[0].sha256`.
        path: String,
        /// The minor version that introduced the key.
        since: u64,
        /// The manifest's `minor`.
        minor: u64,
    },
    /// A key of a history breaks a rule.
    History {
        /// The path of the key, such as `files[0].follows.gap`.
        path: String,
        /// The rule, as the end of a sentence that begins with the key.
        rule: &'static str,
    },
}

impl Contradiction {
    /// Returns the `relativePath` of the file concerned, if it is a single one.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::DuplicateFile { file }
            | Self::ChunkRows { file, .. }
            | Self::ChunkSize { file, .. }
            | Self::UnparsedLines { file, .. }
            | Self::Bytes { file }
            | Self::Timeline { file } => Some(file),
            Self::TotalCount { .. } | Self::Sources | Self::Overflow | Self::LaterKey { .. } | Self::History { .. } => {
                None
            }
        }
    }

    /// Returns the number that follows from one value and the number found, if both are numbers.
    pub(crate) fn expected_and_found(&self) -> Option<(String, String)> {
        match self {
            Self::TotalCount { total, sum } => Some((sum.to_string(), total.to_string())),
            Self::ChunkRows { count, sum, .. } => Some((count.to_string(), sum.to_string())),
            _ => None,
        }
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TotalCount { total, sum } => {
                write!(f, "`totalCount` is {total}, but the counts of the files add up to {sum}")
            }
            Self::Sources => {
                f.write_str("`sources` is not the sorted list of the sources of `files` without duplicates")
            }
            Self::DuplicateFile { file } => write!(f, "it lists the file {file:?} twice"),
            Self::ChunkRows { file, count, sum } => {
                write!(f, "{file:?} has {count} rows, but its chunks have {sum}")
            }
            Self::ChunkSize { file, chunk } => write!(f, "chunk {chunk} of {file:?} declares an impossible size"),
            Self::UnparsedLines { file, line } => {
                write!(f, "the unparsed lines of {file:?} are out of order at line {line}")
            }
            Self::Bytes { file } => write!(f, "{file:?} declares an impossible number of bytes"),
            Self::Timeline { file } => write!(f, "{file:?} declares an impossible timeline"),
            Self::Overflow => f.write_str("its numbers overflow when added up"),
            Self::LaterKey { path, since, minor } => {
                write!(f, "`{path}` is a key of format 1.{since}, but `minor` is {minor}")
            }
            Self::History { path, rule } => write!(f, "`{path}` {rule}"),
        }
    }
}

/// The reason why a line of a bundle is not a valid row (FORMAT.md, "Row").
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowFault {
    /// The line is not JSON.
    NotJson,
    /// The line is JSON, but not an object.
    NotAnObject,
    /// `source` is missing or not a string.
    Source,
    /// `entry` is missing.
    Entry,
    /// `file` is not a string.
    File,
    /// `original` is neither `{"text": …}` nor `{"bytes": base64}`.
    Original,
    /// The row has an `original`, but the manifest is of format 1.0, which has no such key.
    OriginalOf1_1,
    /// A key of the row is duplicate.
    DuplicateKey,
    /// The manifest does not list the row's source and file, or not at this position.
    WrongFile {
        /// The row's source.
        source: String,
        /// The row's file, if it names one.
        file: Option<String>,
    },
    /// The line is a second manifest.
    Manifest,
    /// The row, or the log line that it restores, is longer than the format allows.
    TooLong,
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("the line is not JSON"),
            Self::NotAnObject => f.write_str("the line is not a JSON object"),
            Self::Source => f.write_str("the row lacks `source`, or it is not a string"),
            Self::Entry => f.write_str("the row lacks `entry`"),
            Self::File => f.write_str("the row's `file` is not a string"),
            Self::Original => f.write_str("the row's `original` is neither {\"text\": …} nor {\"bytes\": base64}"),
            Self::OriginalOf1_1 => f.write_str("`original` is a key of format 1.1, but `minor` is 0"),
            Self::DuplicateKey => f.write_str("the row has a duplicate key"),
            Self::WrongFile { source, file: Some(file) } => {
                write!(f, "the row belongs to {file:?} of source {source:?}, which the manifest does not list here")
            }
            Self::WrongFile { source, file: None } => {
                write!(f, "the row belongs to source {source:?}, which the manifest does not list here")
            }
            Self::Manifest => f.write_str("unexpected second manifest among the rows"),
            Self::TooLong => {
                f.write_str("the row exceeds 536,870,912 bytes, or its log line exceeds 268,435,456 bytes")
            }
        }
    }
}

/// A contradiction between a row's `entry` and its exact line (FORMAT.md, "Entry").
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryFault {
    /// `entry` does not match the exact line.
    Differs {
        /// The entry that follows from the exact line, shortened.
        expected: String,
        /// The value of `entry`, shortened.
        found: String,
    },
    /// The exact line is not a row: it is not JSON, or is nested too deeply.
    NotARow,
    /// `original` contains a line feed, so it is more than one line.
    LineFeed,
    /// `original` is redundant: `entry` and the log's line ending already determine it.
    Redundant,
    /// `original` is base64 although the line is text, or text although the line has a NUL.
    Form,
}

impl fmt::Display for EntryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { expected, found } => {
                write!(f, "the row's `entry` does not match its exact line: expected {expected}, found {found}")
            }
            Self::NotARow => f.write_str("the row's exact line is not JSON, or is nested too deeply"),
            Self::LineFeed => f.write_str("the row's `original` is more than one line"),
            Self::Redundant => {
                f.write_str("the row's `original` is redundant: its `entry` already determines the line")
            }
            Self::Form => f.write_str("the row's `original` has the wrong form for its bytes (text or base64)"),
        }
    }
}

impl std::error::Error for NameFault {}
impl std::error::Error for GzipFault {}
impl std::error::Error for ManifestFault {}
impl std::error::Error for Contradiction {}
impl std::error::Error for RowFault {}
impl std::error::Error for EntryFault {}

/// A fault of a history (FORMAT.md, "Minor version 2").
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryFault {
    /// The directory does not look like a history.
    NotAHistory,
    /// The history has no segments.
    NoSegments,
    /// Segments are missing before this one.
    Missing {
        /// The number of the first one.
        first: u64,
        /// The number of the last one.
        last: u64,
    },
    /// Two segments have the same number.
    Duplicate {
        /// The number of both.
        number: u64,
        /// The path of the other one.
        other: PathBuf,
    },
    /// The name of a segment does not match its content.
    Renamed {
        /// The name that matches.
        expected: String,
    },
    /// A segment belongs to another history.
    OtherHistory {
        /// The history that the segment names.
        found: String,
        /// The history of the earlier segments.
        expected: String,
    },
    /// A bundle among the segments is not a segment.
    NotASegment,
    /// The segment is encrypted, and there is neither a key for it nor a note on this machine.
    NoNote,
    /// The file of a segment is not a bundle: its first line is damaged.
    NotABundle,
    /// A segment does not continue the segment before it.
    OtherPrevious {
        /// The number of the segment before it.
        before: u64,
    },
    /// A segment records a wrong number of rows of a log in earlier segments.
    RowsBefore {
        /// The name of the log.
        file: String,
        /// The number that the segment records.
        declared: u64,
        /// The number of rows in the earlier segments.
        found: u64,
    },
    /// A segment changed after the history was opened.
    Changed,
    /// Another run is adding to the history.
    InUse,
    /// A bundle to add to a history is itself a segment of one.
    SegmentGiven,
    /// A bundle to add to a history was exported before its last segment.
    TooOld {
        /// The time of the export.
        exported: String,
        /// The time of the last segment.
        last: String,
    },
    /// A text is not a valid checkpoint.
    NotACheckpoint,
    /// A checkpoint belongs to another history.
    OtherCheckpoint {
        /// The history that the checkpoint names.
        found: String,
        /// The history that it is compared with.
        expected: String,
    },
    /// The history has fewer segments than its checkpoint.
    CutOff {
        /// The number of segments of the checkpoint.
        size: u64,
        /// The number of segments of the history.
        found: u64,
    },
    /// The first segments of the history are not those of its checkpoint.
    Rewritten {
        /// The number of segments of the checkpoint.
        size: u64,
    },
    /// The history has no segment with this number.
    NoSuchSegment {
        /// The number.
        number: u64,
        /// The number of segments, numbered from 0.
        size: u64,
    },
    /// A text is not a valid proof.
    NotAProof,
    /// A proof and the checkpoint belong to different histories.
    OtherProof {
        /// The history of the proof.
        found: String,
        /// The history of the checkpoint.
        expected: String,
    },
    /// A proof leads to a checkpoint of another size.
    OtherProofSize {
        /// The number of segments that the proof is for.
        found: u64,
        /// The number of segments of the checkpoint.
        expected: u64,
    },
    /// A proof is for another segment than the bundle.
    OtherProofSegment {
        /// The number of the segment that the proof is for.
        found: u64,
        /// The number of the bundle's segment.
        expected: u64,
    },
    /// A proof does not lead from the bundle to the checkpoint.
    ProofMismatch {
        /// The number of the segment.
        segment: u64,
    },
}

impl fmt::Display for HistoryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAHistory => f.write_str("not a history: it has no segments/<year>/*.jsonl.gz"),
            Self::NoSegments => f.write_str("this history has no segments"),
            Self::Missing { first, last } if first == last => write!(f, "segment {first} is missing before this one"),
            Self::Missing { first, last } => write!(f, "segments {first} to {last} are missing before this one"),
            Self::Duplicate { number, other } => {
                write!(f, "two segments have the number {number}: this one and {}", other.display())
            }
            Self::Renamed { expected } => {
                write!(f, "this segment was renamed: the right name for its content is {expected}")
            }
            Self::OtherHistory { found, expected } => {
                write!(f, "this segment belongs to another history ({found}, not {expected})")
            }
            Self::NotASegment => f.write_str("this bundle is not a segment of a history"),
            Self::NoNote => f.write_str("this segment is encrypted, and this machine has no usable note on it"),
            Self::NotABundle => f.write_str("this segment is damaged: its first line is not a manifest"),
            Self::OtherPrevious { before } => {
                write!(f, "this segment follows a different segment {before} than the one in this history")
            }
            Self::RowsBefore { file, declared, found } => write!(
                f,
                "row count mismatch: the segment says that earlier segments have {declared} rows of {file}, but they have {found}"
            ),
            Self::SegmentGiven => f.write_str("this bundle is already a segment of a history"),
            Self::TooOld { exported, last } => write!(
                f,
                "this bundle is older than the last segment of the history (exported {exported}, last segment {last})"
            ),
            Self::InUse => f.write_str("another run of keep is adding to this history"),
            Self::Changed => f.write_str("this segment changed while the history was being read"),
            Self::NotACheckpoint => f.write_str("this is not a checkpoint of a history"),
            Self::OtherCheckpoint { found, expected } => {
                write!(f, "this checkpoint belongs to another history ({found}, not {expected})")
            }
            Self::CutOff { size, found } => {
                write!(f, "the history was cut off: it had {size} segments at this checkpoint, but has {found}")
            }
            Self::Rewritten { size } => {
                write!(f, "the history was rewritten: its first {size} segments are not those of this checkpoint")
            }
            other => other.fmt_proof(f),
        }
    }
}

impl HistoryFault {
    /// Writes the message of the faults that concern a proof.
    fn fmt_proof(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchSegment { number, size: 0 } => write!(f, "there is no segment {number}: there are no segments"),
            Self::NoSuchSegment { number, size } => {
                write!(f, "there is no segment {number}: the last of {size} is {}", size - 1)
            }
            Self::OtherProof { found, expected } => {
                write!(f, "the proof belongs to another history than the checkpoint ({found}, not {expected})")
            }
            Self::OtherProofSize { found, expected } => {
                write!(f, "the proof is for a history of {found} segments, but the checkpoint is for {expected}")
            }
            Self::OtherProofSegment { found, expected } => {
                write!(f, "the proof is for segment {found}, but this bundle is segment {expected}")
            }
            Self::ProofMismatch { segment } => write!(
                f,
                "this is not segment {segment} of the checkpoint's history: the proof does not lead from the bundle's \
                 digest to the checkpoint"
            ),
            _ => f.write_str("this is not a proof for a segment of a history"),
        }
    }
}

/// The way a file is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption {
    /// With age, for recipients.
    AgeKey,
    /// With age and a passphrase.
    AgePassphrase,
    /// With a passphrase, in the format of Patchwork's exporter.
    Patchwork,
}

impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AgeKey => "it is encrypted with age, to public keys",
            Self::AgePassphrase => "it is encrypted with age and a passphrase",
            Self::Patchwork => "it is encrypted by Patchwork, with a passphrase",
        })
    }
}

/// The kind of a text that is not the expected age key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyText {
    /// No key at all.
    Nothing,
    /// An age identity, which is secret.
    Identity,
    /// An age recipient, which is public.
    Recipient,
    /// A post-quantum age key, which this library cannot use.
    PostQuantum,
    /// An OpenSSH key, or the beginning of one.
    Ssh,
    /// Text in UTF-16.
    Utf16,
    /// A file that is encrypted, but not with age and a passphrase.
    EncryptedOtherwise,
    /// Something else, such as a key with a typing error.
    Other,
}
