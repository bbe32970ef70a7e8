//! Reports what was recovered and what is missing.

use serde::Serialize;

use crate::digest::{BundleDigest, Integrity};
use crate::format::{FileName, FilterRecord, HistoryPosition, Label, Manifest, ManifestFile, Redaction, SourceName};

/// The usability of the damaged bundle's manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ManifestState {
    /// It was readable and does not contradict itself.
    Intact,
    /// It contradicts itself, but not about the positions of rows; or its claims are wrong, but ignoring them would
    /// recover fewer rows.
    Faulty,
    /// Its claims about some logs are wrong. It was still used for logs that match their SHA-256, and ignored for
    /// the others, as if it were lost.
    Contradicted,
    /// It is missing or damaged. The facts that only it records are lost: lines that are not rows, line endings,
    /// and the extent of what is missing.
    Lost,
}

/// A range of missing rows and of the log lines on which they were. Both are first and last numbers, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Missing {
    /// The first and last row.
    pub rows: (u64, u64),
    /// The first and last line.
    pub lines: (u64, u64),
}

/// The source and the file name of a log.
pub(super) type LogName = (SourceName, FileName);

/// The result of recovering one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FileRecovery {
    /// The source of the log.
    pub source: SourceName,
    /// The file name of the log.
    #[serde(rename = "file")]
    pub name: FileName,
    /// The number of recovered rows, as the damaged bundle counts them. A line that it counts as a row but that is
    /// not one (in 1.0, a line nested too deeply for 1.1) is an unparsed line in the recovered bundle, and vice
    /// versa.
    pub rows: u64,
    /// The number of these rows that are well-formed, but that no checksum proves.
    pub unverified_rows: u64,
    /// The number of rows in the original log, if the manifest records it.
    pub expected_rows: Option<u64>,
    /// The missing rows in order, if the manifest records enough to tell; limited to the first 10,000 gaps.
    pub missing: Vec<Missing>,
    /// The number of missing rows after those.
    pub more_missing: u64,
    /// Gaps of unknown size, if there is no manifest. Each gap is given as the number of recovered rows before it;
    /// limited to the first 10,000 gaps.
    pub gaps_after: Vec<u64>,
    /// The number of further gaps of unknown size.
    pub more_gaps: u64,
    /// The length and SHA-256 of the recovered log.
    #[serde(flatten)]
    pub recovered: Integrity,
    /// True if the recovered log is byte for byte the original; unknown if the manifest has no hash of it.
    #[serde(rename = "original")]
    pub is_original: Option<bool>,
}

impl FileRecovery {
    /// Returns the source and name.
    pub(super) fn id(&self) -> LogName {
        (self.source.clone(), self.name.clone())
    }
}

/// The result of a recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoverReport {
    /// The usability of the damaged bundle's manifest.
    pub manifest: ManifestState,
    /// The major and minor version of the damaged bundle, if its manifest was readable.
    pub version: Option<(u64, u64)>,
    /// The user's name for the machine, if the manifest was readable. The recovered bundle also has it.
    pub label: Option<Label>,
    /// The position of the damaged bundle in a history. The recovered bundle has none.
    pub history: Option<HistoryPosition>,
    /// The conditions on the rows of a filtered bundle. The recovered bundle also has them.
    pub filter: Option<FilterRecord>,
    /// The record of the redaction of the damaged bundle. The recovered bundle also has it.
    pub redaction: Option<Redaction>,
    /// The digest of the recovered bundle. [`recover`](super::recover) always sets it.
    pub digest: Option<BundleDigest>,
    /// The manifest of the recovered bundle. [`recover`](super::recover) always sets it.
    pub written: Option<Manifest>,
    /// The size of the recovered bundle in bytes.
    pub bundle_bytes: u64,
    /// The files of the recovered bundle, in its order.
    pub files: Vec<FileRecovery>,
    /// The number of lines that look like rows but were not accepted at their position: they belong to another log,
    /// exceed the manifest's count, or are in chunks out of the manifest's order.
    pub ignored: u64,
    /// True if compressed data or text was damaged.
    pub is_damaged: bool,
}

impl RecoverReport {
    /// Returns true if any of the original contents are missing or cannot be confirmed to be complete.
    #[must_use]
    pub fn lost_something(&self) -> bool {
        lost_something(self.manifest, &self.files)
    }
}

/// Returns true if any of the original contents are missing or cannot be confirmed to be complete.
pub(super) fn lost_something(manifest: ManifestState, files: &[FileRecovery]) -> bool {
    let is_short = |file: &FileRecovery| {
        !file.missing.is_empty() || !file.gaps_after.is_empty() || file.is_original == Some(false)
    };
    matches!(manifest, ManifestState::Contradicted | ManifestState::Lost) || files.iter().any(is_short)
}

/// Returns missing rows with their log lines. `rows` has ranges of rows in ascending order.
pub(super) fn missing(file: &ManifestFile, rows: &[(u64, u64)]) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut rows = rows.iter().copied().peekable();
    let (mut row, mut line) = (1u64, 1u64);
    let mut unparsed = file.unparsed.iter();
    while let Some(&(first, last)) = rows.peek() {
        // Rows from `row` on are on the lines from `line` on, up to the next unparsed line.
        let next = unparsed.as_slice().first();
        let rows_here = next.map_or(u64::MAX, |next| next.line.saturating_sub(line));
        let end = row.saturating_add(rows_here); // the row after these
        let (from, to) = (first.max(row), last.min(end.saturating_sub(1)));
        if from <= to {
            missing.push(Missing { rows: (from, to), lines: (line + (from - row), line + (to - row)) });
        }
        if last < end {
            rows.next();
        } else if let Some(unparsed) = unparsed.next() {
            (row, line) = (end, unparsed.line + unparsed.lines());
        }
    }
    missing
}
