//! The manifest, a bundle's first line (FORMAT.md, "Manifest").

use schemars::{JsonSchema, Schema};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::bounded::{count, lists_too_many, one_for_each_file};
use super::limits::{
    MAX_AROUND_BYTES, MAX_CHUNK_BYTES, MAX_COUNT, MAX_ENVELOPE_BYTES, MAX_FILES, MAX_GROWN_BYTES, MAX_LOG_LINE_BYTES,
    MAX_MANIFEST_BYTES, MAX_REWRITTEN_RATIO,
};
use super::name::{Base, FileName, SourceName};
use super::text::escape_line_separators;
use super::time::Timestamp;
use super::timeline::Timeline;
use super::unparsed::Unparsed;
use super::version::{MANIFEST_TYPE, MINOR, VERSION};
use super::{check, diagnose, version};
use crate::digest::{Crc32, Integrity, Sha256Digest};
use crate::error::{ErrorKind, ManifestFault};

/// What a bundle holds, and how to prove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = require_1_1_keys)]
pub struct Manifest {
    #[serde(rename = "type")]
    #[schemars(extend("const" = MANIFEST_TYPE))]
    kind: String,
    #[schemars(extend("const" = VERSION))]
    version: u64,
    /// The minor version: 0 (or absent) for bundles of the original exporter, 1 for those that this library writes.
    #[serde(default, deserialize_with = "count")]
    #[schemars(range(max = MAX_COUNT))]
    minor: u64,
    /// The program that wrote the bundle, with its version. Absent in 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub generator: Option<String>,
    /// When the export began.
    pub exported_at: Timestamp,
    /// The sources of `files`, sorted, each once.
    #[serde(deserialize_with = "one_for_each_file")]
    #[schemars(length(max = MAX_FILES))]
    pub sources: Vec<SourceName>,
    /// The logs, in the order of their rows.
    #[serde(deserialize_with = "one_for_each_file")]
    #[schemars(length(max = MAX_FILES))]
    pub files: Vec<ManifestFile>,
    /// Rows of all files.
    #[serde(deserialize_with = "count")]
    #[schemars(range(max = MAX_COUNT))]
    pub total_count: u64,
}

/// One log of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestFile {
    /// The source that its rows belong to.
    pub source: SourceName,
    /// Its file name.
    pub relative_path: FileName,
    /// Which directory it belongs to. Absent in 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Base")]
    pub(super) base: Option<Base>,
    /// Its rows.
    #[serde(deserialize_with = "count")]
    #[schemars(range(max = MAX_COUNT))]
    pub count: u64,
    /// Its length in bytes, as it was read.
    #[serde(deserialize_with = "count")]
    #[schemars(range(max = MAX_COUNT))]
    pub bytes: u64,
    /// The SHA-256 of its bytes. Absent in 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Sha256Digest")]
    pub(super) sha256: Option<Sha256Digest>,
    /// What ends a line whose row carries no `original`. Absent in 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LineEnding")]
    pub(super) line_ending: Option<LineEnding>,
    /// Whether its last line is terminated. Absent in 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub(super) final_newline: Option<bool>,
    /// The earliest row time, when rows have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Timestamp")]
    pub first_time: Option<Timestamp>,
    /// The latest row time, when rows have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Timestamp")]
    pub last_time: Option<Timestamp>,
    /// How its rows are spread over time, when rows have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Timeline")]
    pub timeline: Option<Timeline>,
    /// The lines that are no rows, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unparsed: Vec<Unparsed>,
    /// Where the rows are, in order. A bundle without chunks is read from its start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chunks: Vec<Chunk>,
}

/// What format 1.1 records about a log beyond 1.0: enough to restore it byte for byte and prove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The digest of its bytes.
    pub sha256: Sha256Digest,
    /// What ends a line whose row carries no `original`.
    pub line_ending: LineEnding,
    /// Whether its last line is terminated. True for an empty log.
    pub final_newline: bool,
}

/// What ends the lines of a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LineEnding {
    /// A line feed.
    #[default]
    Lf,
    /// A carriage return and a line feed.
    Crlf,
}

impl LineEnding {
    /// Its bytes.
    #[must_use]
    pub(crate) fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::Crlf => b"\r\n",
        }
    }

    /// What stands before the line feed.
    #[must_use]
    pub(crate) fn before_line_feed(self) -> &'static [u8] {
        match self {
            Self::Lf => b"",
            Self::Crlf => b"\r",
        }
    }
}

/// Some neighbouring rows of one log, compressed so that they can be read alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Chunk {
    /// Bytes that it takes in the bundle file.
    #[serde(deserialize_with = "count")]
    #[schemars(range(min = 1, max = 2 * MAX_CHUNK_BYTES))]
    pub compressed: u64,
    /// Bytes of its envelope lines, line feeds included.
    #[serde(deserialize_with = "count")]
    #[schemars(range(min = check::SHORTEST_ENVELOPE, max = MAX_CHUNK_BYTES))]
    pub bytes: u64,
    /// Rows in it.
    #[serde(deserialize_with = "count")]
    #[schemars(range(min = 1, max = MAX_COUNT))]
    pub rows: u64,
    /// The CRC-32 of its envelope lines.
    pub crc32: Crc32,
    /// The earliest time of its rows, when they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Timestamp")]
    pub first_time: Option<Timestamp>,
    /// The latest time of its rows, when they have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Timestamp")]
    pub last_time: Option<Timestamp>,
}

impl Manifest {
    /// The manifest of a bundle of the written version, with `files` in the order of their rows.
    #[must_use]
    pub fn new(generator: String, exported_at: Timestamp, files: Vec<ManifestFile>) -> Self {
        Self {
            kind: MANIFEST_TYPE.to_owned(),
            version: VERSION,
            minor: MINOR,
            generator: Some(generator),
            exported_at,
            sources: sources_of(&files),
            total_count: files.iter().map(|file| file.count).sum(),
            files,
        }
    }

    /// Major and minor version.
    #[must_use]
    pub fn version(&self) -> (u64, u64) {
        (self.version, self.minor)
    }

    /// Whether every file says where its rows are, so that chunks can be read alone.
    #[must_use]
    pub fn has_chunk_table(&self) -> bool {
        self.minor > 0 && self.files.iter().all(|file| file.count == 0 || !file.chunks.is_empty())
    }

    /// Returns true if the last line of the bundle may lack its line feed (FORMAT.md, "Row"): no chunk counts that line
    /// feed, so no row is lost with it.
    #[must_use]
    pub(crate) fn may_lack_last_line_feed(&self) -> bool {
        !self.has_chunk_table() || self.files.iter().all(|file| file.chunks.is_empty())
    }

    /// The most bytes that the line of a row can have. What a 1.0 bundle can hold follows from the lengths of its logs.
    #[must_use]
    pub(crate) fn most_envelope_bytes(&self) -> u64 {
        if self.minor > 0 {
            return MAX_ENVELOPE_BYTES;
        }
        let longest_log = self.files.iter().map(ManifestFile::most_restored_bytes).max().unwrap_or_default();
        longest_log.min(MAX_LOG_LINE_BYTES).saturating_add(MAX_AROUND_BYTES)
    }

    /// The manifest line, without its line feed.
    ///
    /// # Errors
    /// [`ErrorKind::ManifestTooLong`] or [`ErrorKind::TooManyLogs`].
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

    /// Reads a manifest line, given without its line feed.
    ///
    /// The version is looked at first. What the manifest says is well-formed then, but may still contradict itself:
    /// see [`faults`](Self::faults).
    ///
    /// # Errors
    /// `Ok(None)` when the line is not JSON. Otherwise [`ErrorKind::RowBeforeManifest`], [`ErrorKind::NotAManifest`],
    /// [`ErrorKind::UnsupportedVersion`], [`ErrorKind::TooManyLogs`] or [`ErrorKind::Manifest`].
    pub fn decode(line: &[u8]) -> Result<Option<Self>, ErrorKind> {
        let Ok(head) = serde_json::from_slice::<ManifestHead>(line) else {
            return match serde_json::from_slice::<IgnoredAny>(line) {
                Ok(_) => Err(ErrorKind::NotAManifest),
                Err(_) => Ok(None),
            };
        };
        if head.kind.and_then(|kind| serde_json::from_str(kind.get()).ok()) != Some(MANIFEST_TYPE.to_owned()) {
            return Err(match head.source.is_some() && head.entry.is_some() {
                true => ErrorKind::RowBeforeManifest,
                false => ErrorKind::NotAManifest,
            });
        }
        let version = head.version.ok_or(ManifestFault::Missing { path: "version".to_owned() });
        version::accept(version.map_err(ErrorKind::Manifest)?)?;
        // Keeping track of the place takes time. Only a line with a fault needs it.
        let manifest = Self::deserialize(&mut serde_json::Deserializer::from_slice(line)).or_else(|_| {
            serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(line))
                .map_err(|error| manifest_error(line, error.path()))
        })?;
        // JSON is UTF-8, also in the values of keys that nobody looks at.
        Ok(simdutf8::basic::from_utf8(line).is_ok().then_some(manifest))
    }

    /// Everything that keeps a line that [`decode`](Self::decode) refuses from being a manifest. Where there are over
    /// a thousand such faults, the first thousand; of a line of over 4 MiB, the first one.
    #[must_use]
    pub(crate) fn faults_of_line(line: &[u8]) -> Vec<ManifestFault> {
        diagnose::all_faults(line)
    }

    /// What in the manifest cannot be true, everything there is of it.
    #[must_use]
    pub fn faults(&self) -> Vec<ManifestFault> {
        check::faults(self)
    }
}

/// What is wrong with a manifest that cannot be read beyond `path`.
fn manifest_error(line: &[u8], path: &serde_path_to_error::Path) -> ErrorKind {
    match lists_too_many(line) {
        true => ErrorKind::TooManyLogs { limit: MAX_FILES },
        false => ErrorKind::Manifest(diagnose::manifest_fault(line, path)),
    }
}

/// The distinct sources of some files, sorted.
pub(super) fn sources_of(files: &[ManifestFile]) -> Vec<SourceName> {
    let mut sources: Vec<_> = files.iter().map(|file| file.source.clone()).collect();
    sources.sort();
    sources.dedup();
    sources
}

impl ManifestFile {
    /// Which directory it belongs to.
    #[must_use]
    pub fn base(&self) -> Base {
        self.base.unwrap_or(match self.source.as_str() {
            "activity" => Base::Activity,
            _ => Base::Patchwork,
        })
    }

    /// What is needed to restore it byte for byte. 1.0 bundles do not have it.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        Some(Record { sha256: self.sha256?, line_ending: self.line_ending?, final_newline: self.final_newline? })
    }

    /// What proves its restored bytes. 1.0 bundles do not have it.
    #[must_use]
    pub fn integrity(&self) -> Option<Integrity> {
        Some(Integrity { bytes: self.bytes, sha256: self.sha256? })
    }

    /// The most bytes that its restored log can have. 1.0 bundles say only how long the log was before it was read,
    /// and hold its rows written anew.
    #[must_use]
    pub(crate) fn most_restored_bytes(&self) -> u64 {
        match self.sha256 {
            Some(_) => self.bytes,
            None => self.bytes.saturating_mul(MAX_REWRITTEN_RATIO).saturating_add(MAX_GROWN_BYTES),
        }
    }

    /// How many of its lines are no rows.
    #[must_use]
    pub fn unparsed_lines(&self) -> u64 {
        self.unparsed.iter().map(Unparsed::lines).sum()
    }

    /// Whether its last line is a row.
    #[must_use]
    pub(crate) fn ends_with_row(&self) -> bool {
        let behind_last = |unparsed: &Unparsed| unparsed.line.saturating_add(unparsed.lines()) - 1;
        self.unparsed.last().is_none_or(|last| behind_last(last) < self.count.saturating_add(self.unparsed_lines()))
    }
}

/// What is looked at before the rest.
#[derive(Deserialize)]
struct ManifestHead<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Option<&'a RawValue>,
    #[serde(default, borrow)]
    version: Option<&'a RawValue>,
    #[serde(default)]
    source: Option<IgnoredAny>,
    #[serde(default)]
    entry: Option<IgnoredAny>,
}

/// Adds to the schema what 1.1 makes a MUST and 1.0 does not have.
fn require_1_1_keys(schema: &mut Schema) {
    schema.insert(
        "if".to_owned(),
        serde_json::json!({ "required": ["minor"], "properties": { "minor": { "minimum": 1 } } }),
    );
    schema.insert(
        "then".to_owned(),
        serde_json::json!({
            "required": check::KEYS_OF_1_1,
            "properties": { "files": { "items": { "required": check::FILE_KEYS_OF_1_1 } } },
        }),
    );
}
