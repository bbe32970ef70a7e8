//! Reads single blocks of a member whose flush points are known, without reading the data before them.

use std::io::{self, Read, Seek, SeekFrom};

use super::inflate::inflate_block;
use super::member::{FLUSH_MARK, HEADER, LAST_BLOCK, TAIL_BYTES, Trailer};
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
}

impl BlockIndex {
    /// Computes the offsets of `blocks` backwards from the end of a file of `file_bytes` bytes. Returns `None` if the
    /// file is too short for them.
    #[must_use]
    pub fn new(blocks: Vec<Block>, file_bytes: u64) -> Option<Self> {
        let end = file_bytes.checked_sub(TAIL_BYTES)?;
        let all = blocks.iter().try_fold(0u64, |sum, block| sum.checked_add(block.compressed))?;
        let mut next = end.checked_sub(all)?;
        if next < (HEADER.len() + FLUSH_MARK.len()) as u64 {
            return None;
        }
        let mut offsets = vec![next];
        for block in &blocks {
            next += block.compressed;
            offsets.push(next);
        }
        Some(Self { blocks, offsets })
    }

    /// Returns true if the blocks belong to the member at the start of the file. Reads the head and 10 bytes.
    ///
    /// The file must end with the expected final block. The length in its trailer must be that of the head
    /// (`head_bytes` bytes with checksum `head`) and the blocks. The head must inflate correctly and end where the
    /// first block starts.
    ///
    /// # Errors
    /// Fails if reading fails.
    pub fn matches_file<R: Read + Seek>(&self, input: &mut R, head_bytes: u64, head: Crc32) -> io::Result<bool> {
        let bytes = self.blocks.iter().fold(head_bytes, |sum, block| sum.wrapping_add(block.bytes));
        let last_block = read_at::<2, _>(input, self.end())?;
        let isize = self.trailer(input)?.isize;
        let compressed = self.start() - HEADER.len() as u64;
        // A gap of more than twice the head's length cannot be the compressed head. The limit also bounds the read.
        let most = head_bytes.saturating_mul(2).saturating_add(1024);
        if last_block != LAST_BLOCK || isize != Trailer::new(0, bytes).isize || compressed > most {
            return Ok(false);
        }
        let head = Block { compressed, bytes: head_bytes, crc32: head };
        Ok(fetch_block(input, HEADER.len() as u64, head, Buffer::default())?.inflate(&mut Vec::new()).is_ok())
    }

    /// Returns true if the checksums of the head and the blocks combine to the checksum in the member's trailer.
    ///
    /// # Errors
    /// Fails if reading fails.
    pub fn matches_checksum<R: Read + Seek>(&self, input: &mut R, head: Crc32) -> io::Result<bool> {
        let all = self.blocks.iter().fold(head, |all, block| all.then(block.crc32, block.bytes));
        Ok(self.trailer(input)?.crc32 == all.0)
    }

    /// Reads block `index` into `memory` without inflating it, so that another thread can do that.
    ///
    /// # Errors
    /// Fails if reading fails.
    pub fn fetch<R: Read + Seek>(&self, input: &mut R, index: usize, memory: Buffer) -> io::Result<DeflatedBlock> {
        fetch_block(input, self.offsets[index], self.blocks[index], memory)
    }

    /// Returns the offset of the first block.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.offsets[0]
    }

    fn end(&self) -> u64 {
        self.offsets[self.offsets.len() - 1]
    }

    fn trailer<R: Read + Seek>(&self, input: &mut R) -> io::Result<Trailer> {
        Ok(Trailer::decode(read_at(input, self.end() + LAST_BLOCK.len() as u64)?))
    }
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
        inflate_block(&self.data, self.block.bytes, content)?;
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

fn read_at<const N: usize, R: Read + Seek>(input: &mut R, offset: u64) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.seek(SeekFrom::Start(offset))?;
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}
