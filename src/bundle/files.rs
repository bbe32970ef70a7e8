//! Maps rows to the manifest's files.

use std::collections::HashMap;

use crate::format::{Envelope, Manifest};

/// An index of a manifest's files by source and file name.
#[derive(Debug)]
pub struct FileIndex(HashMap<String, HashMap<String, usize>>);

impl FileIndex {
    pub fn new(manifest: &Manifest) -> Self {
        let mut by_source = HashMap::<String, HashMap<String, usize>>::new();
        for (index, file) in manifest.files.iter().enumerate() {
            let of_source = by_source.entry(file.source.to_string()).or_default();
            of_source.entry(file.relative_path.to_string()).or_insert(index);
        }
        Self(by_source)
    }

    /// Returns the index of a row's file in the manifest's `files`.
    pub fn file_of(&self, row: &Envelope<'_>) -> Option<usize> {
        self.index_of(&row.source, &row.file_name())
    }

    /// Works like [`file_of`](Self::file_of), but takes the source and file name.
    pub fn index_of(&self, source: &str, name: &str) -> Option<usize> {
        self.0.get(source)?.get(name).copied()
    }
}
