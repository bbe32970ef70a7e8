//! The end of a member: its final block and its trailer.

use super::inflate::{ends_stream, length_of_empty_end};
use super::member::{LAST_BLOCK, MAGIC, TAIL_BYTES, Trailer};
use crate::digest::Crc32;
use crate::error::GzipFault;

/// The end of a member.
#[derive(Debug, Clone, Copy)]
pub struct Tail {
    /// The file offset of the final block.
    pub offset: u64,
    /// The final block of the compressed data.
    pub last_block: LastBlock,
    /// The length of the final block in bytes, with empty blocks before it.
    blocks: u64,
    trailer: Trailer,
}

/// The state of the final block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastBlock {
    /// The block is the one that this library writes.
    AsWritten,
    /// The block ends the data, but is encoded differently.
    Other,
    /// The block does not end the data.
    Damaged,
}

impl LastBlock {
    fn of(bytes: [u8; 2]) -> Self {
        match bytes == LAST_BLOCK {
            true => Self::AsWritten,
            false if ends_stream(&bytes) => Self::Other,
            false => Self::Damaged,
        }
    }
}

impl Tail {
    /// Decodes the end of a member that begins `offset` bytes into the file.
    pub fn decode(offset: u64, bytes: [u8; TAIL_BYTES]) -> Self {
        let [first, second, trailer @ ..] = bytes;
        let (last_block, trailer) = (LastBlock::of([first, second]), Trailer::decode(trailer));
        Self { offset, last_block, blocks: LAST_BLOCK.len() as u64, trailer }
    }

    /// Decodes the end of a member that another program wrote, with other empty blocks before the trailer. Returns it with
    /// its length in bytes.
    pub fn decode_other(offset: u64, ahead: &[u8]) -> Option<(Self, usize)> {
        let blocks = length_of_empty_end(ahead)?;
        let trailer = Trailer::decode(*ahead.get(blocks..)?.first_chunk()?);
        let tail = Self { offset, last_block: LastBlock::Other, blocks: blocks as u64, trailer };
        Some((tail, blocks + TAIL_BYTES - LAST_BLOCK.len()))
    }

    /// Returns true if `ahead`, the bytes at a flush point, begin with a final block as this library writes it.
    pub fn is_at(ahead: &[u8]) -> bool {
        ahead.starts_with(&LAST_BLOCK)
    }

    /// Returns true if a member's end at the start of `ahead` would be followed by something valid: nothing, another
    /// member, or zeros.
    pub fn may_be_at(ahead: &[u8]) -> bool {
        let following = ahead.get(TAIL_BYTES..).unwrap_or_default();
        Self::is_at(ahead) && (following.starts_with(&MAGIC) || following.iter().all(|byte| *byte == 0))
    }

    /// Compares the trailer with the checksum and length of the content. Returns the mismatches.
    pub fn faults(&self, crc32: Crc32, bytes: u64) -> Vec<GzipFault> {
        self.trailer.faults(Trailer::new(crc32.0, bytes))
    }

    /// Returns the file offset of the trailer.
    pub fn trailer_offset(&self) -> u64 {
        self.offset + self.blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_may_end_where_another_zeros_or_nothing_follows() {
        let end = [&LAST_BLOCK[..], &[0xaa; 8]].concat();
        for (following, may_end) in
            [(&b""[..], true), (&MAGIC, true), (&[0; 9], true), (b"row", false), (&[0, 1], false)]
        {
            assert_eq!(Tail::may_be_at(&[&end, following].concat()), may_end, "{following:?}");
        }
        assert!(!Tail::may_be_at(&[0xaa; 10]));
    }
}
