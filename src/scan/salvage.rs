//! Salvages blocks from data that is not a block from its start. If a flush point is lost, two blocks become one,
//! and damage hides where the next one begins.

use super::rows::{PartLines, ScanContext};
use crate::format::envelope::ENVELOPE_START;
use crate::format::limits::MAX_CHUNK_BYTES;
use crate::gzip::{BlockEnd, KEPT, find_block};

/// The number of offsets that are tried from the start of the data, and again before its end.
const MAX_PLACES: usize = KEPT;

/// The most candidate blocks that are read to their end.
const MAX_READ: usize = 16;

/// The most chunks of the table that are tried.
const MAX_TRIED: usize = 16;

/// Returns `first` and, if found, a block that ends where the data ends. `first` is the result of reading the data
/// from its start. `due` is the chunk of the table that is expected here; a chunk soon after it may also match.
pub(super) fn of_block(context: &ScanContext<'_>, due: usize, first: PartLines, data: &[u8]) -> Vec<PartLines> {
    let offset = first.offset.unwrap_or_default();
    let is_in_place = context.chunk_refs.get(due).is_some_and(|slot| slot.compressed == data.len() as u64);
    let at_end = chunk_at_end(context, due, offset, data);
    let found = at_end.or_else(|| if is_in_place { None } else { block_within(context, due, offset, data) });
    std::iter::once(first).chain(found).collect()
}

/// Finds the chunk of the table that ends where the data ends.
fn chunk_at_end(context: &ScanContext<'_>, due: usize, offset: u64, data: &[u8]) -> Option<PartLines> {
    let (mut memory, mut inflated) = (Vec::new(), 0);
    context.chunk_refs.get(due..)?.iter().take(MAX_TRIED).find_map(|slot| {
        let at = data.len().checked_sub(usize::try_from(slot.compressed).ok()?).filter(|at| *at > 0)?;
        if inflated > MAX_CHUNK_BYTES {
            return None;
        }
        let chunk = context.block(Some(slot.index), due, true, offset + at as u64, &data[at..], &mut memory);
        inflated += chunk.bytes;
        chunk.is_proven.then_some(chunk)
    })
}

/// Finds a block of complete rows that begins near the start or end of the data and ends where the data ends.
fn block_within(context: &ScanContext<'_>, due: usize, offset: u64, data: &[u8]) -> Option<PartLines> {
    let first = 1..data.len().min(MAX_PLACES);
    let last = first.end.max(data.len().saturating_sub(MAX_PLACES))..data.len();
    let (mut read, mut inflated) = (0, 0);
    for places in [first, last] {
        let mut from = places.start;
        // Stop at data that was crafted to inflate to this much without yielding a block.
        while read < MAX_READ && inflated <= MAX_CHUNK_BYTES {
            let Some(at) = find_block(data, from, places.end.saturating_sub(from), ENVELOPE_START) else { break };
            let block = context.block(None, due, true, offset + at as u64, &data[at..], &mut Vec::new());
            if block.end == BlockEnd::FlushPoint && block.problems.is_empty() {
                return Some(block);
            }
            (read, inflated, from) = (read + 1, inflated + block.bytes, at + 1);
        }
    }
    None
}
