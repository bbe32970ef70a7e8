//! Finds chunks in the table by their checksum and length.

use std::sync::OnceLock;

use crate::bundle::ChunkRef;
use crate::digest::Crc32;

/// A table's chunks sorted by checksum and length, built on first use. An undamaged bundle never needs it; a damaged
/// one may need it for each block.
#[derive(Debug, Default)]
pub(super) struct ChunkLookup(OnceLock<Vec<usize>>);

impl ChunkLookup {
    /// Returns a chunk with this checksum and length: the first at or after `from`, otherwise the first in the table.
    pub(super) fn find(&self, chunk_refs: &[ChunkRef], crc32: Crc32, bytes: u64, from: usize) -> Option<usize> {
        let sort_key = |chunk: &usize| (chunk_refs[*chunk].crc32.0, chunk_refs[*chunk].bytes, *chunk);
        let order = self.0.get_or_init(|| {
            let mut order: Vec<usize> = (0..chunk_refs.len()).collect();
            order.sort_by_key(sort_key);
            order
        });
        let first_from = |from| {
            let at = order.partition_point(|chunk| sort_key(chunk) < (crc32.0, bytes, from));
            order.get(at).copied().filter(|&chunk| chunk_refs[chunk].crc32 == crc32 && chunk_refs[chunk].bytes == bytes)
        };
        first_from(from).or_else(|| first_from(0))
    }
}
