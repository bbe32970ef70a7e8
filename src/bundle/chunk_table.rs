//! The combined chunk table of all files, in bundle order.

use crate::digest::Crc32;
use crate::format::{Manifest, ManifestFile, Timestamp};

/// One chunk of the table, with the position of its rows.
#[derive(Debug, Clone, Copy)]
pub struct ChunkRef {
    /// The index of the chunk in the combined table.
    pub index: usize,
    /// The index of its file in the manifest's `files`.
    pub file: usize,
    /// The index of the chunk in the file's `chunks`.
    pub index_in_file: usize,
    /// The number of its first row within the file, from 1.
    pub first_row: u64,
    /// The number of its rows.
    pub rows: u64,
    /// The number of its first line within the bundle's text, from 1.
    pub first_line: u64,
    /// The compressed length in the bundle file, in bytes.
    pub compressed: u64,
    /// The length of its lines in bytes, including line feeds.
    pub bytes: u64,
    /// The checksum of its lines.
    pub crc32: Crc32,
    /// The earliest and the latest timestamp of its rows.
    pub times: [Option<Timestamp>; 2],
}

impl ChunkRef {
    /// Returns true if this is the last chunk of its file.
    pub fn is_last_of(&self, file: &ManifestFile) -> bool {
        self.index_in_file + 1 == file.chunks.len()
    }

    /// Returns true if a text has the recorded length and checksum.
    pub fn has_text(&self, text: &[u8]) -> bool {
        text.len() as u64 == self.bytes && Crc32::of(text) == self.crc32
    }

    /// Returns the numbers of the first and the last row.
    pub fn row_range(&self) -> (u64, u64) {
        (self.first_row, self.first_row.saturating_add(self.rows.saturating_sub(1)))
    }
}

/// Lists all chunks of a manifest, in bundle order.
pub fn chunk_refs(manifest: &Manifest) -> Vec<ChunkRef> {
    let mut chunk_refs = Vec::new();
    let mut first_line = 2u64;
    for (file, entry) in manifest.files.iter().enumerate() {
        let mut first_row = 1u64;
        for (index_in_file, table) in entry.chunks.iter().enumerate() {
            let &crate::format::Chunk { compressed, bytes, rows, crc32, first_time, last_time } = table;
            let times = [first_time, last_time];
            let index = chunk_refs.len();
            chunk_refs.push(ChunkRef {
                index,
                file,
                index_in_file,
                first_row,
                rows,
                first_line,
                compressed,
                bytes,
                crc32,
                times,
            });
            first_row = first_row.saturating_add(rows);
            first_line = first_line.saturating_add(rows);
        }
    }
    chunk_refs
}
