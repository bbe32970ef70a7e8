//! Looks for blocks within data that is none from its start: where a flush point is lost, two are one, and what is
//! damaged hides where the next one begins.

use super::rows::{PartLines, ScanContext};
use crate::format::envelope::ENVELOPE_START;
use crate::format::limits::MAX_CHUNK_BYTES;
use crate::gzip::{BlockEnd, KEPT, find_block};

/// How many places are tried from where the data begins, and how many up to where it ends.
const MAX_PLACES: usize = KEPT;

/// How many of those where a block seems to begin are read to their end.
const MAX_READ: usize = 16;

/// How many chunks of the table are tried.
const MAX_TRIED: usize = 16;

/// What is known of the data, and a block that ends where the data does, if one is found. Of the table, the chunk `due`
/// stands there, or one soon behind it. `first` is what the data holds when it is read from its start.
pub(super) fn of_block(known: &ScanContext<'_>, due: usize, first: PartLines, data: &[u8]) -> Vec<PartLines> {
    let offset = first.offset.unwrap_or_default();
    let is_in_place = known.chunk_refs.get(due).is_some_and(|slot| slot.compressed == data.len() as u64);
    let at_end = chunk_at_end(known, due, offset, data);
    let found = at_end.or_else(|| if is_in_place { None } else { block_within(known, due, offset, data) });
    std::iter::once(first).chain(found).collect()
}

/// The chunk of the table that ends where the data does.
fn chunk_at_end(known: &ScanContext<'_>, due: usize, offset: u64, data: &[u8]) -> Option<PartLines> {
    let (mut memory, mut inflated) = (Vec::new(), 0);
    known.chunk_refs.get(due..)?.iter().take(MAX_TRIED).find_map(|slot| {
        let at = data.len().checked_sub(usize::try_from(slot.compressed).ok()?).filter(|at| *at > 0)?;
        if inflated > MAX_CHUNK_BYTES {
            return None;
        }
        let chunk = known.block(Some(slot.index), due, true, offset + at as u64, &data[at..], &mut memory);
        inflated += chunk.bytes;
        chunk.is_proven.then_some(chunk)
    })
}

/// A block of whole rows that begins near the start of the data or near its end, and ends where the data does.
fn block_within(known: &ScanContext<'_>, due: usize, offset: u64, data: &[u8]) -> Option<PartLines> {
    let first = 1..data.len().min(MAX_PLACES);
    let last = first.end.max(data.len().saturating_sub(MAX_PLACES))..data.len();
    let (mut read, mut inflated) = (0, 0);
    for places in [first, last] {
        let mut from = places.start;
        // What inflates to so much without becoming a block is made to.
        while read < MAX_READ && inflated <= MAX_CHUNK_BYTES {
            let Some(at) = find_block(data, from, places.end.saturating_sub(from), ENVELOPE_START) else { break };
            let block = known.block(None, due, true, offset + at as u64, &data[at..], &mut Vec::new());
            if block.end == BlockEnd::FlushPoint && block.problems.is_empty() {
                return Some(block);
            }
            (read, inflated, from) = (read + 1, inflated + block.bytes, at + 1);
        }
    }
    None
}
