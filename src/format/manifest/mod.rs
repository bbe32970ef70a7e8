//! The manifest, a bundle's first line, and its versions (FORMAT.md, "Manifest" and "Versions").

mod decode;
mod diagnose;
mod provenance;
mod redaction;
pub mod validate;

pub use provenance::{
    Derivation, DerivedFrom, FilterRecord, Follows, FollowsState, HistoryGap, HistoryId, HistoryPosition, Label,
    Provenance, WholeLog,
};
pub use redaction::{Redaction, RedactionKeyId};

use serde::{Deserialize, Serialize};

use super::bounded::{bounded_list, bounded_objects, count, objects, present, present_object, present_word};
use super::limits::{
    MAX_AROUND_BYTES, MAX_ENVELOPE_BYTES, MAX_FILES, MAX_GROWN_BYTES, MAX_LOG_LINE_BYTES, MAX_MANIFEST_BYTES,
    MAX_REWRITTEN_RATIO,
};
#[cfg(feature = "schema")]
use super::limits::{MAX_CHUNK_BYTES, MAX_COUNT};
use super::name::{Base, FileName, SourceName};
use super::text::escape_line_separators;
use super::timeline::Timeline;
use super::timestamp::Timestamp;
use super::unparsed::Unparsed;
use crate::digest::{Crc32, Integrity, Sha256Digest};
use crate::error::ErrorKind;

/// The major version that this library writes, and the only one that it reads.
pub const VERSION: u64 = 1;

/// The latest minor version that this library knows. Bundles of the original exporter have none, which means 0.
pub const MINOR: u64 = 2;

/// The minor version of a bundle without any key of 1.2.
const MINOR_OF_1_1: u64 = 1;

/// The value of the `type` key in every manifest.
pub const MANIFEST_TYPE: &str = "manifest";

/// The keys that a manifest must have from 1.1 on.
const KEYS_OF_1_1: [&str; 1] = ["generator"];

/// The keys that each item of `files` must have from 1.1 on.
const FILE_KEYS_OF_1_1: [&str; 4] = ["base", "sha256", "lineEnding", "finalNewline"];

/// The length of the shortest envelope line: `{"source":"x","entry":0}` and its line feed.
const SHORTEST_ENVELOPE: u64 = 25;

/// The content of a bundle, and the digests and checksums that prove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schemars(transform = require_1_1_keys))]
pub struct Manifest {
    #[serde(rename = "type")]
    #[cfg_attr(feature = "schema", schemars(extend("const" = MANIFEST_TYPE)))]
    kind: String,
    #[cfg_attr(feature = "schema", schemars(extend("const" = VERSION)))]
    version: u64,
    /// The minor version: 0 (or absent) for bundles of the original exporter. Others have the lowest minor version that
    /// has all of their keys.
    #[serde(default, deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    minor: u64,
    /// The name and version of the program that wrote the bundle. Absent in 1.0.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub generator: Option<String>,
    /// The time when the export began.
    pub exported_at: Timestamp,
    /// The distinct sources of `files`, sorted.
    #[serde(deserialize_with = "bounded_list")]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_FILES)))]
    pub sources: Vec<SourceName>,
    /// The logs, in the order of their rows.
    #[serde(deserialize_with = "bounded_objects")]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_FILES)))]
    pub files: Vec<ManifestFile>,
    /// The number of rows in all files.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    pub total_count: u64,
    /// The user's name for the machine, from 1.2 on.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Label"))]
    pub label: Option<Label>,
    /// The bundles that this one was made of, from 1.2 on.
    #[serde(default, deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "DerivedFrom"))]
    pub derived_from: Option<DerivedFrom>,
    /// The conditions on the rows of a filtered bundle, from 1.2 on.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "FilterRecord"))]
    pub filter: Option<FilterRecord>,
    /// The record of the redaction, from 1.2 on.
    #[serde(default, deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Redaction"))]
    pub redaction: Option<Redaction>,
    /// The place of this bundle in a history, from 1.2 on.
    #[serde(default, deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "HistoryPosition"))]
    pub history: Option<HistoryPosition>,
}

/// One log of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ManifestFile {
    /// The source of the rows.
    pub source: SourceName,
    /// The file name of the log.
    pub relative_path: FileName,
    /// The directory that the log belongs to. Absent in 1.0.
    #[serde(default, deserialize_with = "present_word", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Base"))]
    pub(super) base: Option<Base>,
    /// The number of rows.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    pub count: u64,
    /// The length of the log in bytes, as it was read.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    pub bytes: u64,
    /// The SHA-256 digest of the log. Absent in 1.0.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Sha256Digest"))]
    pub(super) sha256: Option<Sha256Digest>,
    /// The ending of each line whose row has no `original`. Absent in 1.0.
    #[serde(default, deserialize_with = "present_word", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "LineEnding"))]
    pub(super) line_ending: Option<LineEnding>,
    /// True if the last line of the log ends with a line feed. Absent in 1.0.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "bool"))]
    pub(super) final_newline: Option<bool>,
    /// The earliest timestamp of a row. Absent if no row has one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Timestamp"))]
    pub first_time: Option<Timestamp>,
    /// The latest timestamp of a row. Absent if no row has one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Timestamp"))]
    pub last_time: Option<Timestamp>,
    /// The distribution of the rows over time. Absent if no row has a timestamp.
    #[serde(default, deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Timeline"))]
    pub timeline: Option<Timeline>,
    /// The lines that are not rows, in order.
    #[serde(default, deserialize_with = "objects", skip_serializing_if = "Vec::is_empty")]
    pub unparsed: Vec<Unparsed>,
    /// The chunks that hold the rows, in order. A bundle without chunks is read from its start.
    #[serde(default, deserialize_with = "objects", skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<Chunk>,
    /// The relation to earlier segments of the same history, from 1.2 on.
    #[serde(default, deserialize_with = "present_object", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Follows"))]
    pub follows: Option<Follows>,
}

/// The metadata that format 1.1 adds to a log's entry: enough to restore the log byte for byte and to prove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The digest of the log.
    pub sha256: Sha256Digest,
    /// The ending of each line whose row has no `original`.
    pub line_ending: LineEnding,
    /// True if the last line of the log ends with a line feed. Also true for an empty log.
    pub final_newline: bool,
}

/// The line ending of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LineEnding {
    /// A line feed.
    #[default]
    Lf,
    /// A carriage return and a line feed.
    Crlf,
}

impl LineEnding {
    /// Returns the bytes of the line ending.
    #[must_use]
    pub(crate) fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::Crlf => b"\r\n",
        }
    }

    /// Returns the bytes before the line feed.
    #[must_use]
    pub(crate) fn before_line_feed(self) -> &'static [u8] {
        match self {
            Self::Lf => b"",
            Self::Crlf => b"\r",
        }
    }
}

/// Consecutive rows of one log, compressed so that they can be read independently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Chunk {
    /// The compressed length in the bundle file, in bytes.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 2 * MAX_CHUNK_BYTES)))]
    pub compressed: u64,
    /// The length of the envelope lines in bytes, including line feeds.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(min = SHORTEST_ENVELOPE, max = MAX_CHUNK_BYTES)))]
    pub bytes: u64,
    /// The number of rows.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = MAX_COUNT)))]
    pub rows: u64,
    /// The CRC-32 of the envelope lines.
    pub crc32: Crc32,
    /// The earliest timestamp of a row. Absent if no row has one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Timestamp"))]
    pub first_time: Option<Timestamp>,
    /// The latest timestamp of a row. Absent if no row has one.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Timestamp"))]
    pub last_time: Option<Timestamp>,
}

impl Manifest {
    /// Creates a manifest of the current version. `files` must be in the order of their rows in the bundle.
    #[must_use]
    pub fn new(generator: String, exported_at: Timestamp, files: Vec<ManifestFile>) -> Self {
        Self {
            kind: MANIFEST_TYPE.to_owned(),
            version: VERSION,
            minor: MINOR_OF_1_1,
            generator: Some(generator),
            exported_at,
            sources: sources_of(&files),
            total_count: files.iter().map(|file| file.count).sum(),
            files,
            label: None,
            derived_from: None,
            filter: None,
            redaction: None,
            history: None,
        }
    }

    /// Adds where the bundle comes from. The minor version becomes the lowest one that has all keys of the manifest.
    #[must_use]
    pub fn with_provenance(mut self, provenance: Provenance) -> Self {
        let Provenance { label, derived_from, filter, redaction, history } = provenance;
        let has_keys_of_1_2 =
            label.is_some() || derived_from.is_some() || filter.is_some() || redaction.is_some() || history.is_some();
        if has_keys_of_1_2 || self.files.iter().any(|file| file.follows.is_some()) {
            self.minor = MINOR;
        }
        Self { label, derived_from, filter, redaction, history, ..self }
    }

    /// Returns the major and minor version.
    #[must_use]
    pub fn version(&self) -> (u64, u64) {
        (self.version, self.minor)
    }

    /// Returns true if the minor version is later than the latest one that this library knows.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        self.minor > MINOR
    }

    /// Returns true if the bundle is a redaction of others.
    #[must_use]
    pub fn is_redacted(&self) -> bool {
        let how = self.derived_from.as_ref().map(|from| from.how);
        self.redaction.is_some() || how == Some(Derivation::Redacted)
    }

    /// Returns true if every file with rows lists its chunks, so that chunks can be read independently.
    #[must_use]
    pub fn has_chunk_table(&self) -> bool {
        self.minor > 0 && self.files.iter().all(|file| file.count == 0 || !file.chunks.is_empty())
    }

    /// Returns true if the last line of the bundle may lack its line feed (FORMAT.md, "Row"): no chunk counts that
    /// line feed, so no row is lost with it.
    #[must_use]
    pub(crate) fn may_lack_last_line_feed(&self) -> bool {
        !self.has_chunk_table() || self.files.iter().all(|file| file.chunks.is_empty())
    }

    /// Returns the maximum length of a row's line in bytes. For a 1.0 bundle it follows from the lengths of the logs.
    #[must_use]
    pub(crate) fn max_envelope_bytes(&self) -> u64 {
        if self.minor > 0 {
            return MAX_ENVELOPE_BYTES;
        }
        let longest_log = self.files.iter().map(ManifestFile::max_restored_bytes).max().unwrap_or_default();
        longest_log.min(MAX_LOG_LINE_BYTES).saturating_add(MAX_AROUND_BYTES)
    }

    /// Encodes the manifest line, without its line feed.
    ///
    /// # Errors
    /// Returns [`ErrorKind::ManifestTooLong`] or [`ErrorKind::TooManyLogs`].
    pub fn encode(&self) -> Result<Vec<u8>, ErrorKind> {
        if self.files.len() > MAX_FILES {
            return Err(ErrorKind::TooManyLogs { limit: MAX_FILES });
        }
        let line = serde_json::to_string(self).unwrap_or_default();
        let line = escape_line_separators(line.into()).into_owned().into_bytes();
        if line.is_empty() || line.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(ErrorKind::ManifestTooLong { limit: MAX_MANIFEST_BYTES });
        }
        Ok(line)
    }
}

/// Returns the distinct sources of `files`, sorted.
pub(super) fn sources_of(files: &[ManifestFile]) -> Vec<SourceName> {
    let mut sources: Vec<_> = files.iter().map(|file| file.source.clone()).collect();
    sources.sort();
    sources.dedup();
    sources
}

impl ManifestFile {
    /// Returns the directory that the log belongs to. In a 1.0 bundle it follows from the source.
    #[must_use]
    pub fn base(&self) -> Base {
        self.base.unwrap_or(match self.source.as_str() {
            "activity" => Base::Activity,
            _ => Base::Patchwork,
        })
    }

    /// Returns the metadata for restoring the log byte for byte, or `None` for a 1.0 bundle.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        Some(Record { sha256: self.sha256?, line_ending: self.line_ending?, final_newline: self.final_newline? })
    }

    /// Returns the length and digest of the log, or `None` for a 1.0 bundle.
    #[must_use]
    pub fn integrity(&self) -> Option<Integrity> {
        Some(Integrity { bytes: self.bytes, sha256: self.sha256? })
    }

    /// Returns the maximum length of the restored log in bytes. A 1.0 bundle records only the length of the log
    /// before it was read, and its rows were re-serialized.
    #[must_use]
    pub(crate) fn max_restored_bytes(&self) -> u64 {
        match self.sha256 {
            Some(_) => self.bytes,
            None => self.bytes.saturating_mul(MAX_REWRITTEN_RATIO).saturating_add(MAX_GROWN_BYTES),
        }
    }

    /// Returns the number of lines that are not rows.
    #[must_use]
    pub fn unparsed_lines(&self) -> u64 {
        self.unparsed.iter().map(Unparsed::lines).sum()
    }

    /// Returns true if the last line of the log is a row.
    #[must_use]
    pub(crate) fn ends_with_row(&self) -> bool {
        let last_line = |unparsed: &Unparsed| unparsed.line.saturating_add(unparsed.lines()) - 1;
        self.unparsed.last().is_none_or(|last| last_line(last) < self.count.saturating_add(self.unparsed_lines()))
    }
}

/// Adds to the schema the keys that are required from 1.1 on but absent in 1.0.
#[cfg(feature = "schema")]
fn require_1_1_keys(schema: &mut schemars::Schema) {
    schema.insert(
        "if".to_owned(),
        serde_json::json!({ "required": ["minor"], "properties": { "minor": { "minimum": 1 } } }),
    );
    schema.insert(
        "then".to_owned(),
        serde_json::json!({
            "required": KEYS_OF_1_1,
            "properties": { "files": { "items": { "required": FILE_KEYS_OF_1_1 } } },
        }),
    );
}
