//! The chunk tables of all files as one, in the order of the stream.

use crate::digest::Crc32;
use crate::format::{Manifest, Timestamp};

/// One chunk of the table, and which rows it holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkRef {
    /// Its number in the table of all files, from 0.
    pub(crate) index: usize,
    /// Index into the manifest's `files`.
    pub(crate) file: usize,
    /// Index into the file's `chunks`.
    pub(crate) chunk: usize,
    /// Its first row within the file, from 1.
    pub(crate) first_row: u64,
    /// Its rows.
    pub(crate) rows: u64,
    /// Its first line within the bundle's text, from 1.
    pub(crate) first_line: u64,
    /// Bytes that it takes in the bundle file.
    pub(crate) compressed: u64,
    /// Bytes of its lines.
    pub(crate) bytes: u64,
    /// The checksum of those.
    pub(crate) crc32: Crc32,
    /// The earliest and the latest time of its rows.
    pub(crate) times: [Option<Timestamp>; 2],
}

impl ChunkRef {
    /// Its first and last row.
    pub(crate) fn row_range(&self) -> (u64, u64) {
        (self.first_row, self.first_row.saturating_add(self.rows.saturating_sub(1)))
    }
}

/// All chunks of a manifest, in order.
pub(crate) fn chunk_refs(manifest: &Manifest) -> Vec<ChunkRef> {
    let mut slots = Vec::new();
    let mut first_line = 2u64;
    for (file, entry) in manifest.files.iter().enumerate() {
        let mut first_row = 1u64;
        for (chunk, table) in entry.chunks.iter().enumerate() {
            let &crate::format::Chunk { compressed, bytes, rows, crc32, first_time, last_time } = table;
            let times = [first_time, last_time];
            let index = slots.len();
            slots.push(ChunkRef { index, file, chunk, first_row, rows, first_line, compressed, bytes, crc32, times });
            first_row = first_row.saturating_add(rows);
            first_line = first_line.saturating_add(rows);
        }
    }
    slots
}
