//! Where the next block of damaged compressed data is, and which chunk of the table it is.

use std::io::{self, Read};
use std::ops::Range;

use super::chunk_lookup::Contents;
use crate::bundle::ChunkRef;
use crate::digest::Crc32;
use crate::format::limits::MAX_CHUNK_BYTES;
use crate::gzip::{BlockEnd, BlockReader, inflate_as_far_as_possible, inflated_length};

/// How many chunks of the table are tried for a place before it counts as unknown.
const MAX_TRIED: usize = 4096;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ResyncStep {
    /// Blocks of the length that the table says: these chunks, one after the other.
    AsTable(Range<usize>),
    /// A block of another length. It is the chunk `slot`, or none of the table.
    Other { slot: Option<usize>, length: u64 },
    /// These chunks are nowhere.
    Missing(Range<usize>),
    /// Behind the last chunk, or where the file ends.
    Tail,
}

/// Finds the next block, when the chunk `next` is due.
pub(super) fn step<R: Read>(
    blocks: &mut BlockReader<R>,
    chunk_refs: &[ChunkRef],
    contents: &Contents,
    next: usize,
) -> io::Result<ResyncStep> {
    let Some(due) = chunk_refs.get(next) else {
        return behind_table(blocks, chunk_refs.is_empty());
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
    // What a block holds tells more than where flush points lie.
    match by_content(blocks.peek(length)?, chunk_refs, contents, next) {
        Some(slot) if slot < next => return Ok(ResyncStep::Other { slot: None, length }),
        Some(slot) if slot > next => return Ok(ResyncStep::Missing(next..slot)),
        Some(slot) => return Ok(ResyncStep::Other { slot: Some(slot), length }),
        None => {}
    }
    if let Some(end) = in_place(chunk_refs, next, length) {
        return Ok(ResyncStep::AsTable(next..end));
    }
    // One whose length the table has wrong, a later one, one that the table does not have, or what is left where
    // chunks are lost. Lengths tell.
    if fits(blocks, chunk_refs, next + 1, length)? {
        return Ok(ResyncStep::Other { slot: Some(next), length });
    }
    if let Some(later) = later_chunk(blocks, chunk_refs, next, length)? {
        return Ok(ResyncStep::Missing(next..later));
    }
    // What stands here is not the chunk that is due where that itself comes soon.
    if fits(blocks, chunk_refs, next, length)?
        || blocks.block_within_lookahead(length, due.compressed, |block| block_of(block, due))?
    {
        return Ok(ResyncStep::Other { slot: None, length });
    }
    Ok(ResyncStep::Other { slot: Some(next), length })
}

/// Which chunk begins here, when the chunk `last` came before, but was not where the table has it.
pub(super) fn find_again<R: Read>(
    blocks: &mut BlockReader<R>,
    chunk_refs: &[ChunkRef],
    contents: &Contents,
    last: usize,
) -> io::Result<usize> {
    if let Some(length) = blocks.next_flush_point()?
        && let Some(slot) = by_content(blocks.peek(length)?, chunk_refs, contents, last + 1).filter(|slot| *slot > last)
    {
        return Ok(slot);
    }
    for candidate in (last + 1..=chunk_refs.len()).take(MAX_TRIED) {
        if fits(blocks, chunk_refs, candidate, 0)? {
            return Ok(candidate);
        }
    }
    Ok(last + 1)
}

/// Which chunk a block is, by the checksum and length of what it holds: of several, the first from `from` on.
fn by_content(block: &[u8], chunk_refs: &[ChunkRef], contents: &Contents, from: usize) -> Option<usize> {
    let block = inflate_as_far_as_possible(block, MAX_CHUNK_BYTES);
    let (crc32, bytes) = (Crc32::of(&block.content), block.content.len() as u64);
    (block.end == BlockEnd::FlushPoint).then(|| contents.find(chunk_refs, crc32, bytes, from))?
}

/// Whether a block holds as much as the table says of a chunk, whatever it is.
pub(super) fn is_as_long(block: &[u8], slot: &ChunkRef) -> bool {
    inflated_length(block, slot.bytes) == Some(slot.bytes)
}

/// Whether a block holds what the table says of a chunk, however long it is, and to how many bytes it was inflated.
fn block_of(block: &[u8], slot: &ChunkRef) -> (bool, u64) {
    let block = inflate_as_far_as_possible(block, slot.bytes);
    (block.end == BlockEnd::FlushPoint && is_text_of(&block.content, slot), block.content.len() as u64)
}

/// Whether a text is what the table says of a chunk.
pub(super) fn is_text_of(text: &[u8], slot: &ChunkRef) -> bool {
    text.len() as u64 == slot.bytes && Crc32::of(text) == slot.crc32
}

/// What comes behind the last chunk of the table, or without one.
fn behind_table<R: Read>(blocks: &mut BlockReader<R>, has_no_table: bool) -> io::Result<ResyncStep> {
    // Without a table, damage that looks like the end of a member may not hide what follows it.
    if blocks.is_tail_at(0)? || blocks.is_at_tail()? && (!has_no_table || blocks.may_member_end_here()?) {
        return Ok(ResyncStep::Tail);
    }
    Ok(match blocks.next_flush_point()? {
        Some(length) => ResyncStep::Other { slot: None, length },
        None => ResyncStep::Tail,
    })
}

/// Which chunk behind `next` the coming block is, going by its length and by what follows it.
fn later_chunk<R: Read>(
    blocks: &mut BlockReader<R>,
    chunk_refs: &[ChunkRef],
    next: usize,
    length: u64,
) -> io::Result<Option<usize>> {
    for (index, slot) in chunk_refs.iter().enumerate().skip(next + 1).take(MAX_TRIED) {
        if slot.compressed == length && fits(blocks, chunk_refs, index + 1, length)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

/// Whether a flush point ends the chunk `slot`, if that begins `ahead` bytes ahead. Behind the last chunk, whether the
/// file ends as it must.
fn fits<R: Read>(blocks: &mut BlockReader<R>, chunk_refs: &[ChunkRef], slot: usize, ahead: u64) -> io::Result<bool> {
    match chunk_refs.get(slot) {
        Some(slot) => blocks.has_flush_point_at(ahead.saturating_add(slot.compressed), false),
        None => blocks.is_tail_at(ahead),
    }
}

/// Up to which chunk from `next` on the lengths add up to `length`: their flush points are damaged, but not their place.
fn in_place(chunk_refs: &[ChunkRef], next: usize, length: u64) -> Option<usize> {
    let mut end = 0u64;
    for (index, slot) in chunk_refs.iter().enumerate().skip(next).take(MAX_TRIED) {
        end = end.saturating_add(slot.compressed);
        if end >= length {
            return (end == length).then_some(index + 1);
        }
    }
    None
}

/// The length of a chunk's block, but no more than deflate can make of its content.
pub(crate) fn plausible_length(slot: &ChunkRef) -> u64 {
    slot.compressed.min(longest_block(slot.bytes))
}

/// The most that deflate makes of so many bytes.
pub(super) fn longest_block(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 8).saturating_add(1024)
}
