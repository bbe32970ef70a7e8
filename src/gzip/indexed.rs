//! Reads single blocks of a member whose flush points are known, without what lies before them.

use std::io::{self, Read, Seek, SeekFrom};

use super::inflate::inflate_block;
use super::member::{FLUSH_MARK, HEADER, LAST_BLOCK, TAIL_BYTES, Trailer};
use crate::buffers::Buffer;
use crate::digest::Crc32;
use crate::error::GzipFault;

/// How much of a block is read at once.
const MAX_AT_ONCE: usize = 4 << 20;

/// One block between two flush points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Its bytes in the file.
    pub compressed: u64,
    /// Its bytes when inflated.
    pub bytes: u64,
    /// The checksum of those.
    pub crc32: Crc32,
}

/// Where the blocks of a file lie: directly behind one another, up to the file's end.
#[derive(Debug, Clone)]
pub struct BlockIndex {
    blocks: Vec<Block>,
    /// Where each block begins, and where the last one ends.
    offsets: Vec<u64>,
}

impl BlockIndex {
    /// Lays `blocks` out so that they end where a member of a file of `file_bytes` bytes ends. `None` when they do not
    /// fit into it.
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

    /// Whether the file's end looks as it must, its length is that of the blocks behind the `head_bytes` bytes with
    /// checksum `head`, and that head ends where the first block begins: then the blocks are those of the member that
    /// begins the file. Reads the head and 10 bytes.
    ///
    /// # Errors
    /// When reading fails.
    pub fn fits<R: Read + Seek>(&self, input: &mut R, head_bytes: u64, head: Crc32) -> io::Result<bool> {
        let bytes = self.blocks.iter().fold(head_bytes, |sum, block| sum.wrapping_add(block.bytes));
        let last_block = read_at::<2, _>(input, self.end())?;
        let isize = self.trailer(input)?.isize;
        let compressed = self.start() - HEADER.len() as u64;
        // What is more than twice as long compressed was not compressed to this.
        let most = head_bytes.saturating_mul(2).saturating_add(1024);
        if last_block != LAST_BLOCK || isize != Trailer::new(0, bytes).isize || compressed > most {
            return Ok(false);
        }
        let head = Block { compressed, bytes: head_bytes, crc32: head };
        Ok(fetch_block(input, HEADER.len() as u64, head, Buffer::default())?.inflate(&mut Vec::new()).is_ok())
    }

    /// Whether the blocks' checksums behind the `head` give the checksum of the whole member.
    ///
    /// # Errors
    /// When reading fails.
    pub fn matches_checksum<R: Read + Seek>(&self, input: &mut R, head: Crc32) -> io::Result<bool> {
        let all = self.blocks.iter().fold(head, |all, block| all.then(block.crc32, block.bytes));
        Ok(self.trailer(input)?.crc32 == all.0)
    }

    /// Reads block `index` (from 0) into `memory`, still compressed: inflating it is work for any thread.
    ///
    /// # Errors
    /// When reading fails.
    pub fn fetch<R: Read + Seek>(&self, input: &mut R, index: usize, memory: Buffer) -> io::Result<DeflatedBlock> {
        fetch_block(input, self.offsets[index], self.blocks[index], memory)
    }

    /// Where the first block begins: also the length of what lies before it.
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

/// A block as it lies in the file, and what it must be.
#[derive(Debug)]
pub struct DeflatedBlock {
    data: Buffer,
    block: Block,
}

impl DeflatedBlock {
    /// Inflates it into `content`, in place of what is there, and checks its length and checksum.
    ///
    /// # Errors
    /// What is wrong with it.
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
    // All at once, but for a block that is longer than any usual one.
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
