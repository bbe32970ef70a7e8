//! Describes the contents of a bundle using only its manifest, and of a history using those of its segments.
//! [`list_keys`] also reads the rows.

mod history;
mod key_trie;
mod keys;
mod timetable;
mod value_types;

use std::sync::Arc;

use crate::bundle::{Access, Bundle};
use crate::digest::BundleDigest;
use crate::format::{Manifest, ManifestFile};

pub use history::{GapInHistory, HistoryInspection, NewRowsRate, SourceTotals};
pub use keys::{KeysOptions, KeysReport, ListedPath, SourceKeys, list_keys};
pub use timetable::{SourceTimetable, Timetable};
pub use value_types::ValueTypes;

/// The description that a bundle gives of itself. Only the manifest was read; `verify` checks that the rows match it.
///
/// ```
/// use patchwork_traces::Bundle;
/// use patchwork_traces::inspect::Inspection;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// let inspection = Inspection::new(&Bundle::open(path)?);
/// let sources = inspection.timetable.ok_or("its rows have times")?.sources;
/// assert_eq!(sources.iter().map(|source| source.source.as_str()).collect::<Vec<_>>(), ["activity", "runs"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Inspection {
    /// The manifest.
    pub manifest: Arc<Manifest>,
    /// The digest of the bundle.
    pub digest: BundleDigest,
    /// The size of the bundle, if it is a file.
    pub bundle_bytes: Option<u64>,
    /// The possible access to its rows. For a stream, only the manifest was examined.
    pub access: Access,
    /// The distribution of its rows over time. `None` for 1.0 bundles, which do not record it, and if no row has a
    /// timestamp.
    pub timetable: Option<Timetable>,
}

/// A range of consecutive lines, numbered from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineRange {
    /// The first line.
    pub first: u64,
    /// The last line.
    pub last: u64,
}

impl Inspection {
    /// Inspects an opened bundle.
    #[must_use]
    pub fn new(bundle: &Bundle<'_>) -> Self {
        Self {
            manifest: Arc::clone(bundle.manifest()),
            digest: bundle.digest(),
            bundle_bytes: bundle.file_bytes(),
            access: bundle.access(),
            timetable: Timetable::new(bundle.manifest()),
        }
    }

    /// Returns true if the bundle is in the original format, which records only row counts and lengths.
    #[must_use]
    pub fn is_1_0(&self) -> bool {
        self.manifest.version().1 == 0
    }

    /// Returns the total length of all logs.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.manifest.files.iter().map(|file| file.bytes).sum()
    }
}

/// Returns the number of bytes that a file's rows take in the bundle, as it was written. `None` if the bundle does
/// not record it.
#[must_use]
pub fn compressed_bytes(file: &ManifestFile) -> Option<u64> {
    let known = file.record().is_some() && (file.count == 0 || !file.chunks.is_empty());
    known.then(|| file.chunks.iter().map(|chunk| chunk.compressed).sum())
}

/// Returns the line numbers of a file's unparsed lines, with consecutive lines combined.
#[must_use]
pub fn unparsed_ranges(file: &ManifestFile) -> Vec<LineRange> {
    let mut ranges: Vec<LineRange> = Vec::new();
    for unparsed in &file.unparsed {
        let last = unparsed.line + unparsed.lines() - 1;
        match ranges.last_mut() {
            Some(before) if before.last + 1 == unparsed.line => before.last = last,
            _ => ranges.push(LineRange { first: unparsed.line, last }),
        }
    }
    ranges
}
