//! Resynchronises damaged compressed data: finds the next block and identifies its chunk in the table.

use std::io::{self, Read};
use std::ops::Range;

use super::chunk_lookup::ChunkLookup;
use crate::bundle::ChunkRef;
use crate::digest::Crc32;
use crate::format::limits::MAX_CHUNK_BYTES;
use crate::gzip::{BlockEnd, BlockReader, inflate_as_far_as_possible, inflated_length};

/// The most chunks of the table that are tried at one position.
const MAX_TRIED: usize = 4096;

/// The next item in the data.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ResyncStep {
    /// Blocks of the lengths in the table: these chunks in order.
    AsTable(Range<usize>),
    /// A block of another length. It is the chunk `slot`, or `None` if it is not in the table.
    Other { slot: Option<usize>, length: u64 },
    /// Chunks that were not found.
    Missing(Range<usize>),
    /// The end of the blocks: after the last chunk of the table, or where the file ends.
    Tail,
}

/// Finds the next block, given that the chunk `next` is expected.
pub(super) fn step<R: Read>(
    blocks: &mut BlockReader<R>,
    chunk_refs: &[ChunkRef],
    lookup: &ChunkLookup,
    next: usize,
) -> io::Result<ResyncStep> {
    let Some(due) = chunk_refs.get(next) else {
        return step_after_table(blocks, chunk_refs.is_empty());
    };
    if plausible_length(due) == due.compressed && blocks.has_flush_point_at(due.compressed, true)? {
        return Ok(ResyncStep::AsTable(next..next + 1));
    }
    if blocks.is_at_end()? || blocks.is_at_tail()? && blocks.is_tail_at(0)? {
        return Ok(ResyncStep::Missing(next..chunk_refs.len()));
    }
    let Some(length) = blocks.next_flush_point()? else {
        return Ok(ResyncStep::AsTable(next..next + 1));
    };
    // A block's content is stronger evidence than the positions of flush points.
    match find_by_content(blocks.peek(length)?, chunk_refs, lookup, next) {
        Some(slot) if slot < next => return Ok(ResyncStep::Other { slot: None, length }),
        Some(slot) if slot > next => return Ok(ResyncStep::Missing(next..slot)),
        Some(slot) => return Ok(ResyncStep::Other { slot: Some(slot), length }),
        None => {}
    }
    if let Some(end) = chunks_of_length(chunk_refs, next, length) {
        return Ok(ResyncStep::AsTable(next..end));
    }
    // This can be a chunk whose length is wrong in the table, a later chunk, a block that is not in the table, or a
    // remnant of lost chunks. The lengths decide.
    if chunk_fits_at(blocks, chunk_refs, next + 1, length)? {
        return Ok(ResyncStep::Other { slot: Some(next), length });
    }
    if let Some(later) = later_chunk(blocks, chunk_refs, next, length)? {
        return Ok(ResyncStep::Missing(next..later));
    }
    // If the expected chunk follows soon, this block is not it.
    if chunk_fits_at(blocks, chunk_refs, next, length)?
        || blocks.block_within_lookahead(length, due.compressed, |block| inflates_to(block, due))?
    {
        return Ok(ResyncStep::Other { slot: None, length });
    }
    Ok(ResyncStep::Other { slot: Some(next), length })
}

/// Returns the chunk that begins here, if the chunk `last` preceded it but was not where the table places it.
pub(super) fn locate_chunk<R: Read>(
    blocks: &mut BlockReader<R>,
    chunk_refs: &[ChunkRef],
    lookup: &ChunkLookup,
    last: usize,
) -> io::Result<usize> {
    if let Some(length) = blocks.next_flush_point()?
        && let Some(slot) =
            find_by_content(blocks.peek(length)?, chunk_refs, lookup, last + 1).filter(|slot| *slot > last)
    {
        return Ok(slot);
    }
    for candidate in (last + 1..=chunk_refs.len()).take(MAX_TRIED) {
        if chunk_fits_at(blocks, chunk_refs, candidate, 0)? {
            return Ok(candidate);
        }
    }
    Ok(last + 1)
}

/// Identifies a block's chunk by checksum and length. If several match, returns the first at or after `from`.
fn find_by_content(block: &[u8], chunk_refs: &[ChunkRef], lookup: &ChunkLookup, from: usize) -> Option<usize> {
    let block = inflate_as_far_as_possible(block, MAX_CHUNK_BYTES);
    let (crc32, bytes) = (Crc32::of(&block.content), block.content.len() as u64);
    (block.end == BlockEnd::FlushPoint).then(|| lookup.find(chunk_refs, crc32, bytes, from))?
}

/// Returns true if a block inflates to the length that the table records for a chunk. Ignores its content.
pub(super) fn has_recorded_length(block: &[u8], slot: &ChunkRef) -> bool {
    inflated_length(block, slot.bytes) == Some(slot.bytes)
}

/// Returns true if a block inflates to the chunk that the table describes, regardless of its compressed length.
/// Also returns the number of inflated bytes.
fn inflates_to(block: &[u8], slot: &ChunkRef) -> (bool, u64) {
    let block = inflate_as_far_as_possible(block, slot.bytes);
    (block.end == BlockEnd::FlushPoint && is_text_of_chunk(&block.content, slot), block.content.len() as u64)
}

/// Returns true if a text has the length and checksum that the table records for a chunk.
pub(super) fn is_text_of_chunk(text: &[u8], slot: &ChunkRef) -> bool {
    text.len() as u64 == slot.bytes && Crc32::of(text) == slot.crc32
}

/// Finds the next block after the last chunk of the table, or without a table.
fn step_after_table<R: Read>(blocks: &mut BlockReader<R>, has_no_table: bool) -> io::Result<ResyncStep> {
    // Without a table, damage that resembles the end of a member must not hide what follows.
    if blocks.is_tail_at(0)? || blocks.is_at_tail()? && (!has_no_table || blocks.may_member_end_here()?) {
        return Ok(ResyncStep::Tail);
    }
    Ok(match blocks.next_flush_point()? {
        Some(length) => ResyncStep::Other { slot: None, length },
        None => ResyncStep::Tail,
    })
}

/// Finds the chunk after `next` that matches the next block's length and what follows the block.
fn later_chunk<R: Read>(
    blocks: &mut BlockReader<R>,
    chunk_refs: &[ChunkRef],
    next: usize,
    length: u64,
) -> io::Result<Option<usize>> {
    for (index, slot) in chunk_refs.iter().enumerate().skip(next + 1).take(MAX_TRIED) {
        if slot.compressed == length && chunk_fits_at(blocks, chunk_refs, index + 1, length)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Returns true if a flush point ends the chunk `slot` when it begins `ahead` bytes ahead. After the last chunk,
/// returns true if the file ends there as it should.
fn chunk_fits_at<R: Read>(
    blocks: &mut BlockReader<R>,
    chunk_refs: &[ChunkRef],
    slot: usize,
    ahead: u64,
) -> io::Result<bool> {
    match chunk_refs.get(slot) {
        Some(slot) => blocks.has_flush_point_at(ahead.saturating_add(slot.compressed), false),
        None => blocks.is_tail_at(ahead),
    }
}

/// Returns the end of the chunks from `next` on whose lengths add up to `length`. Their flush points are damaged,
/// but their positions are unchanged.
fn chunks_of_length(chunk_refs: &[ChunkRef], next: usize, length: u64) -> Option<usize> {
    let mut end = 0u64;
    for (index, slot) in chunk_refs.iter().enumerate().skip(next).take(MAX_TRIED) {
        end = end.saturating_add(slot.compressed);
        if end >= length {
            return (end == length).then_some(index + 1);
        }
    }
    None
}

/// Returns the recorded length of a chunk's block, capped at the longest that deflate can produce for its content.
pub(crate) fn plausible_length(slot: &ChunkRef) -> u64 {
    slot.compressed.min(longest_block(slot.bytes))
}

/// Returns the maximum length to which deflate compresses `bytes` bytes.
pub(super) fn longest_block(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 8).saturating_add(1024)
}
