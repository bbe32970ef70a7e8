//! What was recovered, and what is missing.

use std::collections::HashSet;

use crate::digest::{BundleDigest, Integrity};
use crate::format::{FileName, ManifestFile, SourceName};
use crate::pack::WrittenBundle;
use crate::sources::place_of;

/// What the damaged bundle's manifest was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ManifestState {
    /// It could be read and does not contradict itself.
    Intact,
    /// It contradicts itself, but not about where rows are; or what it says is not so, but without it fewer are found.
    Faulty,
    /// What it says of some logs is not so. Where a log comes out with its SHA-256 it was believed all the same; of the
    /// others nothing was, as if it were lost.
    Contradicted,
    /// It is missing or damaged. What only it says is lost: lines that are no rows, line endings, what is missing.
    Lost,
}

/// What the container says of everything that is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContainerClaim {
    /// Its checksum fits.
    Proven,
    /// It has no checksum.
    Unproven,
    Damaged,
}

/// Rows that are missing, and the lines of the log on which they stood. Both from 1, first and last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// The rows.
    pub rows: (u64, u64),
    /// Their lines.
    pub lines: (u64, u64),
}

/// What was recovered of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecovery {
    /// The source that its rows belong to.
    pub source: SourceName,
    /// Its file name.
    pub name: FileName,
    /// Rows of the damaged bundle that were recovered. What it calls a row that is none (in 1.0, one that nests too deep for
    /// 1.1) is an unparsed line in the recovered one, and the other way round.
    pub rows: u64,
    /// Rows of them that no checksum proves, but only their own well-formed line.
    pub rows_by_line: u64,
    /// Rows that the log had, if the manifest says so.
    pub expected_rows: Option<u64>,
    /// The rows that are missing, in order, if the manifest tells: at the first 10,000 places.
    pub missing: Vec<Missing>,
    /// How many rows are missing behind those.
    pub more_missing: u64,
    /// Without a manifest: behind how many recovered rows something is lost, nobody knows how much. The first 10,000
    /// places.
    pub gaps_after: Vec<u64>,
    /// How many more places there are.
    pub more_gaps: u64,
    /// What the recovered log is.
    pub recovered: Integrity,
    /// Whether that is the original log, byte for byte, if the manifest has its hash.
    pub is_original: Option<bool>,
}

impl FileRecovery {
    /// Its source and name.
    pub(super) fn id(&self) -> (&str, &str) {
        (self.source.as_str(), self.name.as_str())
    }
}

/// What was recovered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoverReport {
    /// What the manifest of the damaged bundle was good for.
    pub manifest: ManifestState,
    /// Major and minor version of the damaged bundle, if its manifest could be read.
    pub version: Option<(u64, u64)>,
    /// The digest of the recovered bundle. `None` never occurs in what [`recover`](super::recover) returns.
    pub digest: Option<BundleDigest>,
    /// The size of the recovered bundle in bytes.
    pub bundle_bytes: u64,
    /// Its files, in its order.
    pub files: Vec<FileRecovery>,
    /// Lines that look like rows, but do not belong to this bundle where they stand: of other logs, more than the manifest
    /// counts, or in chunks that do not come in the manifest's order.
    pub ignored: u64,
    /// Whether compressed data or text was damaged.
    pub is_damaged: bool,
}

impl RecoverReport {
    pub(super) fn new(
        manifest: ManifestState,
        version: Option<(u64, u64)>,
        mut files: Vec<FileRecovery>,
        ignored: u64,
        whole: ContainerClaim,
    ) -> Self {
        for file in &mut files {
            // The checksum of the whole proves what single ones did not, but not against the log's own hash.
            let is_proven = file.is_original.unwrap_or(whole == ContainerClaim::Proven);
            if is_proven {
                file.rows_by_line = 0;
            }
        }
        let is_damaged = whole == ContainerClaim::Damaged;
        Self { manifest, version, digest: None, bundle_bytes: 0, files, ignored, is_damaged }
    }

    /// Adds logs that are proven.
    pub(super) fn add_proven(&mut self, logs: Vec<FileRecovery>) {
        self.files.extend(logs);
        self.files.sort_by(|a, b| place_of_log(a).cmp(&place_of_log(b)));
    }

    /// Keeps only these logs, by their index. The rows of the others count as not taken.
    pub(super) fn keep(&mut self, kept: &HashSet<usize>) {
        let (mut index, ignored) = (0.., &mut self.ignored);
        self.files.retain(|log| {
            let is_kept = index.next().is_some_and(|index| kept.contains(&index));
            *ignored += if is_kept { 0 } else { log.rows };
            is_kept
        });
    }

    /// The manifest, of this version, was believed of logs that it proves, and of no others.
    pub(super) fn distrust_manifest(&mut self, version: Option<(u64, u64)>) {
        (self.manifest, self.version) = (ManifestState::Contradicted, version);
    }

    pub(super) fn complete(&mut self, written: &WrittenBundle) {
        self.digest = Some(written.digest);
        self.bundle_bytes = written.bundle_bytes;
    }

    /// Whether anything of what the bundle once held is missing, or cannot be told to be there.
    #[must_use]
    pub fn lost_something(&self) -> bool {
        let is_short = |file: &FileRecovery| {
            !file.missing.is_empty() || !file.gaps_after.is_empty() || file.is_original == Some(false)
        };
        matches!(self.manifest, ManifestState::Contradicted | ManifestState::Lost) || self.files.iter().any(is_short)
    }
}

fn place_of_log(file: &FileRecovery) -> impl Ord + '_ {
    place_of(file.source.as_str(), file.name.as_str())
}

/// The lines of the log on which missing rows stood. `rows` are ranges of rows, in order.
pub(super) fn missing(file: &ManifestFile, rows: &[(u64, u64)]) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut rows = rows.iter().copied().peekable();
    let (mut row, mut line) = (1u64, 1u64);
    let mut unparsed = file.unparsed.iter();
    while let Some(&(first, last)) = rows.peek() {
        // Rows from `row` on stand on lines from `line` on, up to the next unparsed line.
        let next = unparsed.as_slice().first();
        let rows_here = next.map_or(u64::MAX, |next| next.line.saturating_sub(line));
        let end = row.saturating_add(rows_here); // the row behind these
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
