//! Reads single blocks of a member whose flush points are known, without reading the data before them.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use super::inflate::{BlockEnd, inflate_into};
use super::member::{HEADER, LAST_BLOCK, TAIL_BYTES, Trailer};
use super::source::FLUSH_MARK;
use crate::buffers::Buffer;
use crate::digest::Crc32;
use crate::error::GzipFault;

/// The largest part of a block for which memory is allocated before it is read.
const MAX_AT_ONCE: usize = 4 << 20;

/// One block between two flush points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The compressed length in bytes.
    pub compressed: u64,
    /// The inflated length in bytes.
    pub bytes: u64,
    /// The checksum of the inflated bytes.
    pub crc32: Crc32,
}

/// The offsets of a file's blocks. The blocks are contiguous and extend to the final block of the member.
#[derive(Debug, Clone)]
pub struct BlockIndex {
    blocks: Vec<Block>,
    /// The start offset of each block, then the end offset of the last one.
    offsets: Vec<u64>,
    trailer: Trailer,
}

impl BlockIndex {
    /// Computes the offsets of `blocks` backwards from the end of a file of `file_bytes` bytes. Returns `None` if the
    /// blocks do not belong to the member at the start of the file. Reads the head and 10 bytes.
    ///
    /// The file must end with the expected final block. The length in its trailer must be that of the head
    /// (`head_bytes` bytes with checksum `head`) and the blocks. The head must inflate correctly and end where the
    /// first block starts.
    ///
    /// # Errors
    /// Fails if reading fails.
    pub fn of_file<R: Read + Seek>(
        blocks: Vec<Block>,
        file_bytes: u64,
        input: &mut R,
        head_bytes: u64,
        head: Crc32,
    ) -> io::Result<Option<Self>> {
        let Some(offsets) = offsets(&blocks, file_bytes) else { return Ok(None) };
        // Without blocks, the one offset is both.
        let (Some(&start), Some(&end)) = (offsets.first(), offsets.last()) else { return Ok(None) };
        let mut tail = [0; TAIL_BYTES];
        input.seek(SeekFrom::Start(end))?;
        input.read_exact(&mut tail)?;
        let [first, second, trailer @ ..] = tail;
        let trailer = Trailer::decode(trailer);
        let bytes = blocks.iter().fold(head_bytes, |sum, block| sum.wrapping_add(block.bytes));
        let compressed = start - HEADER.len() as u64;
        // A gap of more than twice the head's length cannot be the compressed head. The limit also bounds the read.
        let most = head_bytes.saturating_mul(2).saturating_add(1024);
        if [first, second] != LAST_BLOCK || trailer.isize != Trailer::new(0, bytes).isize || compressed > most {
            return Ok(None);
        }
        let head = Block { compressed, bytes: head_bytes, crc32: head };
        let head = fetch_block(input, HEADER.len() as u64, head, Buffer::default())?;
        Ok(head.inflate(&mut Vec::new()).is_ok().then_some(Self { blocks, offsets, trailer }))
    }

    /// Returns true if the checksums of the head and the blocks combine to the checksum in the member's trailer.
    #[must_use]
    pub fn matches_checksum(&self, head: Crc32) -> bool {
        self.blocks.iter().fold(head, |all, block| all.combine(block.crc32, block.bytes)).0 == self.trailer.crc32
    }

    /// Returns the file offsets at which these blocks begin and end.
    #[must_use]
    pub fn range(&self, blocks: Range<usize>) -> Range<u64> {
        self.offsets[blocks.start]..self.offsets[blocks.end]
    }

    /// Reads block `index` into `memory` without inflating it, so that another thread can do that.
    ///
    /// # Errors
    /// Fails if reading fails.
    pub fn fetch<R: Read + Seek>(&self, input: &mut R, index: usize, memory: Buffer) -> io::Result<DeflatedBlock> {
        fetch_block(input, self.offsets[index], self.blocks[index], memory)
    }
}

/// Returns the start offset of each block, then the end offset of the last one; `None` if the file is too short.
fn offsets(blocks: &[Block], file_bytes: u64) -> Option<Vec<u64>> {
    let all = blocks.iter().try_fold(TAIL_BYTES as u64, |sum, block| sum.checked_add(block.compressed))?;
    let mut next = file_bytes.checked_sub(all).filter(|start| *start >= (HEADER.len() + FLUSH_MARK.len()) as u64)?;
    let mut offsets = vec![next];
    for block in blocks {
        next += block.compressed;
        offsets.push(next);
    }
    Some(offsets)
}

/// A compressed block and its expected length and checksum.
#[derive(Debug)]
pub struct DeflatedBlock {
    data: Buffer,
    block: Block,
}

impl DeflatedBlock {
    /// Inflates the block into `content`, replacing its bytes, and checks the length and checksum.
    ///
    /// # Errors
    /// Returns the first problem found: truncation, damaged deflate data, a wrong length or a wrong checksum.
    pub fn inflate(&self, content: &mut Vec<u8>) -> Result<(), GzipFault> {
        if (self.data.len() as u64) < self.block.compressed {
            return Err(GzipFault::Truncated);
        }
        let end = inflate_into(content, &self.data, self.block.bytes);
        if end != BlockEnd::FlushPoint || content.len() as u64 != self.block.bytes {
            return Err(GzipFault::Deflate);
        }
        let (expected, found) = (self.block.crc32, Crc32::of(content));
        match found == expected {
            true => Ok(()),
            false => Err(GzipFault::Checksum { expected: expected.0, found: found.0 }),
        }
    }
}

fn fetch_block<R: Read + Seek>(
    input: &mut R,
    offset: u64,
    block: Block,
    mut data: Buffer,
) -> io::Result<DeflatedBlock> {
    input.seek(SeekFrom::Start(offset))?;
    // Only an unusually long block is read in parts. Its memory grows with the bytes that exist.
    data.resize(usize::try_from(block.compressed).unwrap_or(usize::MAX).min(MAX_AT_ONCE), 0);
    let mut filled = 0;
    while filled < data.len() {
        match input.read(&mut data[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    data.truncate(filled);
    if filled == MAX_AT_ONCE {
        input.by_ref().take(block.compressed - filled as u64).read_to_end(&mut data)?;
    }
    Ok(DeflatedBlock { data, block })
}
