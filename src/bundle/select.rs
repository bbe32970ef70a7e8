//! Selects the files and chunks of a bundle that are read.

use std::ops::Range;

use crate::error::{ErrorKind, Result};
use crate::format::{Manifest, SourceName, TimeRange};

/// The selection of rows to read. By default, all rows.
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
/// let mut rows = bundle.rows(&Selection::default().files(files).range(since))?;
/// assert!(rows.next_row()?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
#[non_exhaustive]
pub struct Selection {
    /// Indices into the manifest's `files`. `None` selects all files.
    pub files: Option<Vec<usize>>,
    /// The time range of the rows. Rows without a timestamp match only an unbounded range.
    pub range: TimeRange,
    /// The chunks to read, by their index in the combined table. `None` reads all.
    pub(crate) chunks: Option<Range<usize>>,
}

impl Selection {
    /// Selects files by their indices in the manifest's `files`.
    pub fn files(self, files: Vec<usize>) -> Self {
        Self { files: Some(files), ..self }
    }

    /// Selects the rows in a time range. Chunks that cannot hold such a row are not read.
    pub fn range(self, range: TimeRange) -> Self {
        Self { range, ..self }
    }

    /// Selects the rows of some chunks, by their index in the combined table. It has no effect without a chunk table.
    pub(crate) fn chunks(self, chunks: impl Into<Option<Range<usize>>>) -> Self {
        Self { chunks: chunks.into(), ..self }
    }

    /// Returns one flag for each of `files` files: true if the file is selected.
    pub(super) fn of_files(&self, files: usize) -> Vec<bool> {
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

/// Returns the indices, in ascending order, of the files that belong to `sources` and are named in `files`. An empty
/// list matches every file.
///
/// # Errors
/// Returns [`ErrorKind::UnknownSource`] or [`ErrorKind::UnknownFile`] for a name that the bundle does not have.
pub fn select_files(manifest: &Manifest, sources: &[String], files: &[String]) -> Result<Vec<usize>> {
    let names = |known: Vec<&str>| known.into_iter().map(str::to_owned).collect();
    let known_sources: Vec<_> = manifest.sources.iter().map(SourceName::as_str).collect();
    if let Some(unknown) = sources.iter().find(|name| !known_sources.contains(&name.as_str())) {
        return Err(ErrorKind::UnknownSource { name: unknown.clone(), known: names(known_sources) }.into());
    }
    let of_sources = manifest
        .files
        .iter()
        .enumerate()
        .filter(|(_, file)| sources.is_empty() || sources.iter().any(|source| source == file.source.as_str()));
    let of_sources: Vec<_> = of_sources.map(|(index, file)| (index, file.relative_path.as_str())).collect();
    if let Some(unknown) = files.iter().find(|name| !of_sources.iter().any(|(_, known)| known == name)) {
        let known = of_sources.into_iter().map(|(_, name)| name).collect();
        return Err(ErrorKind::UnknownFile { name: unknown.clone(), known: names(known) }.into());
    }
    let wanted = of_sources.into_iter().filter(|(_, name)| files.is_empty() || files.iter().any(|file| file == name));
    Ok(wanted.map(|(index, _)| index).collect())
}
