//! Salvages blocks that begin within damaged data. If a flush point is lost, two blocks become one, and damage hides
//! where the second begins.

use super::lines::PartLines;
use crate::format::envelope::ENVELOPE_START;
use crate::format::limits::MAX_CHUNK_BYTES;
use crate::gzip::{BlockEnd, find_block};

/// The maximum number of offsets that are tried at the start of the data, and again at its end.
const MAX_OFFSETS: usize = 1 << 20;

/// The maximum number of candidate blocks that are read to their end.
const MAX_READ: usize = 16;

/// Finds a block of complete rows that begins near the start or end of the data and ends where the data ends.
/// `read` reads the block that begins at an offset of the data.
pub(super) fn within(data: &[u8], read: impl Fn(usize) -> PartLines) -> Option<PartLines> {
    let first = 1..data.len().min(MAX_OFFSETS);
    let last = first.end.max(data.len().saturating_sub(MAX_OFFSETS))..data.len();
    let (mut tried, mut inflated) = (0, 0);
    for offsets in [first, last] {
        let mut from = offsets.start;
        // Data that inflates to this much without yielding a block was probably crafted to.
        while tried < MAX_READ && inflated <= MAX_CHUNK_BYTES {
            let Some(at) = find_block(data, from, offsets.end.saturating_sub(from), ENVELOPE_START) else { break };
            let block = read(at);
            if block.end == BlockEnd::FlushPoint && block.problems.is_empty() {
                return Some(block);
            }
            (tried, inflated, from) = (tried + 1, inflated + block.bytes, at + 1);
        }
    }
    None
}
