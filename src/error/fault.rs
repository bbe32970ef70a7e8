//! The ways in which a bundle, its manifest, its rows or a name can be wrong. Values, so that an operation can refuse
//! at the first one or list them all.

use std::fmt;

/// Why a text is not the plain name of a file or source (FORMAT.md, "Names").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameFault {
    /// It is empty.
    Empty,
    /// It has a `/` or a `\`, or is `.` or `..`: a path.
    Path,
    /// It has a control character.
    Control,
    /// It is longer than 255 bytes.
    TooLong,
    /// It is not Unicode.
    NotUnicode,
}

impl fmt::Display for NameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::Path => "it is a path, and only a plain file name is allowed",
            Self::Control => "it has a control character",
            Self::TooLong => "it is longer than 255 bytes",
            Self::NotUnicode => "it is not Unicode",
        })
    }
}

/// What is wrong with the gzip container (FORMAT.md, "Container").
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GzipFault {
    /// A member's header is not one.
    Header,
    /// The compressed data is not deflate data.
    Deflate,
    /// The file ends before the compressed data does.
    Truncated,
    /// The decompressed bytes do not match the member's CRC-32.
    Checksum {
        /// What the member's trailer says.
        expected: u32,
        /// What the bytes give.
        found: u32,
    },
    /// The number of decompressed bytes does not match the member's ISIZE.
    Length {
        /// What the member's trailer says, modulo 2^32.
        expected: u32,
        /// What was decompressed, modulo 2^32.
        found: u32,
    },
    /// After the last member come bytes that are neither a member nor zeros.
    TrailingBytes,
}

impl fmt::Display for GzipFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("the gzip header is damaged"),
            Self::Deflate => f.write_str("the compressed data is damaged"),
            Self::Truncated => f.write_str("the file is cut off: it ends before its compressed data does"),
            Self::Checksum { expected, found } => {
                write!(f, "the content does not match its gzip checksum (recorded {expected:08x}, found {found:08x})")
            }
            Self::Length { expected, found } => {
                write!(f, "the content does not match its gzip length (recorded {expected} bytes, found {found})")
            }
            Self::TrailingBytes => {
                f.write_str("after the end of the compressed data come bytes that do not belong there")
            }
        }
    }
}

/// What is wrong with a manifest's shape (FORMAT.md, "Manifest").
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestFault {
    /// A key that must be there is not.
    Missing {
        /// Where, as `files[0].count`.
        path: String,
    },
    /// A value is not what the format allows there.
    Value {
        /// Where, as `files[0].count`.
        path: String,
        /// What the format allows, as `a whole number from 0 to 9007199254740991`.
        expected: &'static str,
        /// What stands there, shortened.
        found: String,
    },
    /// It is JSON, but not an object with each of its keys once.
    Shape,
    /// Two statements of the manifest cannot both be true.
    Contradiction(Contradiction),
}

impl fmt::Display for ManifestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(f, "the manifest has no `{path}`"),
            Self::Value { path, expected, found } => {
                write!(f, "the manifest's `{path}` must be {expected}, but is {found}")
            }
            Self::Shape => f.write_str("the manifest must be an object with each of its keys once"),
            Self::Contradiction(contradiction) => write!(f, "the manifest contradicts itself: {contradiction}"),
        }
    }
}

/// Two statements of a manifest that cannot both be true.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contradiction {
    /// `totalCount` is not the sum of the files' counts.
    TotalCount {
        /// What `totalCount` says.
        total: u64,
        /// What the counts add up to.
        sum: u64,
    },
    /// `sources` is not the sorted list of the files' sources, each once.
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
        /// What `count` says.
        count: u64,
        /// What the chunks' `rows` add up to.
        sum: u64,
    },
    /// A chunk is larger than the format allows, or too small to hold its rows.
    ChunkSize {
        /// The file's `relativePath`.
        file: String,
        /// Which chunk of the file, from 1.
        chunk: u64,
    },
    /// The lines in `unparsed` are not in order, overlap, or lie behind the log's last line.
    UnparsedLines {
        /// The file's `relativePath`.
        file: String,
        /// The first line at which it shows, from 1.
        line: u64,
    },
    /// The rows and unparsed lines need more bytes than `bytes`, or an empty log is not empty.
    Bytes {
        /// The file's `relativePath`.
        file: String,
    },
    /// The timeline's bins are not in order, or hold more rows than there are.
    Timeline {
        /// The file's `relativePath`.
        file: String,
    },
    /// A number overflows when it is added up.
    Overflow,
}

impl Contradiction {
    /// The file that it is about, by its `relativePath`.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::DuplicateFile { file }
            | Self::ChunkRows { file, .. }
            | Self::ChunkSize { file, .. }
            | Self::UnparsedLines { file, .. }
            | Self::Bytes { file }
            | Self::Timeline { file } => Some(file),
            Self::TotalCount { .. } | Self::Sources | Self::Overflow => None,
        }
    }

    /// What one statement makes the other, and what that is, where both are numbers.
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
                write!(f, "`totalCount` is {total}, but the files' counts add up to {sum}")
            }
            Self::Sources => f.write_str("`sources` is not the sorted list of the sources of `files`, each once"),
            Self::DuplicateFile { file } => write!(f, "it lists the file {file:?} twice"),
            Self::ChunkRows { file, count, sum } => {
                write!(f, "{file:?} has {count} rows, but its chunks have {sum}")
            }
            Self::ChunkSize { file, chunk } => write!(f, "chunk {chunk} of {file:?} cannot have the size it declares"),
            Self::UnparsedLines { file, line } => {
                write!(f, "the unparsed lines of {file:?} are not in order at line {line}")
            }
            Self::Bytes { file } => write!(f, "{file:?} cannot have as few or as many bytes as it declares"),
            Self::Timeline { file } => write!(f, "the timeline of {file:?} cannot be that of its rows"),
            Self::Overflow => f.write_str("its numbers are too large to add up"),
        }
    }
}

/// Why a line of a bundle is not a row of it (FORMAT.md, "Row").
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowFault {
    /// The line is not JSON.
    NotJson,
    /// The line is JSON, but no object.
    NotAnObject,
    /// It has no `source`, or one that is no string.
    Source,
    /// It has no `entry`.
    Entry,
    /// Its `file` is no string.
    File,
    /// Its `original` is neither `{"text": …}` nor `{"bytes": base64}`.
    Original,
    /// One of its own keys stands twice.
    DuplicateKey,
    /// It names a source and file that the manifest does not have, or not at this place.
    WrongFile {
        /// The row's source.
        source: String,
        /// The row's file, when it names one.
        file: Option<String>,
    },
    /// It is a second manifest.
    Manifest,
    /// It, or the line of the log that it gives, is longer than the format allows.
    TooLong,
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson => f.write_str("the line is not JSON"),
            Self::NotAnObject => f.write_str("the line is no JSON object"),
            Self::Source => f.write_str("the row has no `source`"),
            Self::Entry => f.write_str("the row has no `entry`"),
            Self::File => f.write_str("the row's `file` is no string"),
            Self::Original => f.write_str("the row's `original` is neither {\"text\": …} nor {\"bytes\": base64}"),
            Self::DuplicateKey => f.write_str("the row has one of its keys twice"),
            Self::WrongFile { source, file: Some(file) } => {
                write!(f, "the row belongs to {file:?} of source {source:?}, which the manifest does not have here")
            }
            Self::WrongFile { source, file: None } => {
                write!(f, "the row belongs to source {source:?}, which the manifest does not have here")
            }
            Self::Manifest => f.write_str("a second manifest stands among the rows"),
            Self::TooLong => {
                f.write_str("the row is longer than 536,870,912 bytes, or its line of the log than 268,435,456")
            }
        }
    }
}

/// Where a row's `entry` and its exact line are not what the one makes of the other (FORMAT.md, "Entry").
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryFault {
    /// `entry` is not what the exact line gives.
    Differs {
        /// What the exact line gives, shortened.
        expected: String,
        /// What `entry` is, shortened.
        found: String,
    },
    /// The exact line is no row: it is not JSON, or nests too deep.
    NotARow,
    /// `original` holds a line feed, so it is more than one line.
    LineFeed,
    /// `original` says what `entry` and the log's line ending say already.
    Redundant,
    /// `original` has base64 where the line is text, or text where it has a NUL.
    Form,
}

impl fmt::Display for EntryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs { expected, found } => {
                write!(f, "the row's `entry` is {found}, but its exact line gives {expected}")
            }
            Self::NotARow => f.write_str("the row's exact line is no JSON of a depth that a row may have"),
            Self::LineFeed => f.write_str("the row's `original` is more than one line"),
            Self::Redundant => f.write_str("the row has an `original` that says what its `entry` says already"),
            Self::Form => f.write_str("the row's `original` is not written in the one form that its bytes have"),
        }
    }
}
