//! Finds chunks of the table by what they hold.

use std::sync::OnceLock;

use crate::bundle::ChunkRef;
use crate::digest::Crc32;

/// The chunks of a table in the order of their content, put together when it is asked for first: a bundle that is as it
/// was written never asks, and a damaged one may ask for each block.
#[derive(Debug, Default)]
pub(super) struct Contents(OnceLock<Vec<usize>>);

impl Contents {
    /// A chunk with this checksum and length: the first from `from` on, else the first of all.
    pub(super) fn find(&self, chunk_refs: &[ChunkRef], crc32: Crc32, bytes: u64, from: usize) -> Option<usize> {
        let place = |slot: &usize| (chunk_refs[*slot].crc32.0, chunk_refs[*slot].bytes, *slot);
        let order = self.0.get_or_init(|| {
            let mut order: Vec<usize> = (0..chunk_refs.len()).collect();
            order.sort_by_key(place);
            order
        });
        let first_from = |from| {
            let at = order.partition_point(|slot| place(slot) < (crc32.0, bytes, from));
            order.get(at).copied().filter(|&slot| chunk_refs[slot].crc32 == crc32 && chunk_refs[slot].bytes == bytes)
        };
        first_from(from).or_else(|| first_from(0))
    }
}
