//! The header and trailer of a gzip member (RFC 1952).

use std::io::{self, Read};

use super::source::PeekReader;
use crate::error::GzipFault;

/// The first bytes of every member.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The compression method of every gzip file.
const DEFLATE: u8 = 8;

/// The header that this library writes. It has no name, no time and an unknown system, so the same content yields the
/// same bytes.
pub const HEADER: [u8; 10] = [MAGIC[0], MAGIC[1], DEFLATE, 0, 0, 0, 0, 0, 0, 255];

/// An empty final block, which ends the compressed data after a flush point.
pub const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// The length of the final block and the trailer, which follow the last flush point.
pub const TAIL_BYTES: usize = 10;

/// The flags for the optional parts of a header.
mod flag {
    pub const HEADER_CRC: u8 = 1 << 1;
    pub const EXTRA: u8 = 1 << 2;
    pub const NAME: u8 = 1 << 3;
    pub const COMMENT: u8 = 1 << 4;
    pub const RESERVED: u8 = 0b1110_0000;
}

/// Returns true if the header that begins with these bytes has an extra field, a name or a comment.
pub fn has_texts(start: [u8; 4]) -> bool {
    start[3] & (flag::EXTRA | flag::NAME | flag::COMMENT) != 0
}

/// The reason why a header could not be read.
pub enum HeaderFault {
    Read(io::Error),
    Truncated,
    Damaged,
}

/// Reads and checks a member's header.
pub fn read_header<R: Read>(source: &mut PeekReader<R>) -> Result<(), HeaderFault> {
    let mut header = HeaderReader { source, crc: crc32fast::Hasher::new() };
    let fixed: [u8; 10] = header.bytes()?;
    let flags = fixed[3];
    if fixed[..2] != MAGIC || fixed[2] != DEFLATE || flags & flag::RESERVED != 0 {
        return Err(HeaderFault::Damaged);
    }
    if flags & flag::EXTRA != 0 {
        let length = u16::from_le_bytes(header.bytes()?);
        for _ in 0..length {
            header.bytes::<1>()?;
        }
    }
    for text in [flag::NAME, flag::COMMENT] {
        if flags & text != 0 {
            while header.bytes()? != [0] {}
        }
    }
    if flags & flag::HEADER_CRC != 0 {
        let computed = header.crc.clone().finalize().to_le_bytes();
        if header.bytes::<2>()? != computed[..2] {
            return Err(HeaderFault::Damaged);
        }
    }
    Ok(())
}

struct HeaderReader<'s, R> {
    source: &'s mut PeekReader<R>,
    crc: crc32fast::Hasher,
}

impl<R: Read> HeaderReader<'_, R> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], HeaderFault> {
        let bytes = self.source.take().map_err(HeaderFault::Read)?.ok_or(HeaderFault::Truncated)?;
        self.crc.update(&bytes);
        Ok(bytes)
    }
}

/// The last eight bytes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// The CRC-32 of the decompressed bytes.
    pub crc32: u32,
    /// The number of decompressed bytes, modulo 2^32.
    pub isize: u32,
}

impl Trailer {
    #[allow(clippy::cast_possible_truncation, reason = "ISIZE is defined modulo 2^32")]
    pub fn new(crc32: u32, bytes: u64) -> Self {
        Self { crc32, isize: bytes as u32 }
    }

    /// Compares the trailer with the values computed from the content. Returns the mismatches.
    pub fn faults(self, found: Self) -> Vec<GzipFault> {
        let checksum = GzipFault::Checksum { expected: self.crc32, found: found.crc32 };
        let length = GzipFault::Length { expected: self.isize, found: found.isize };
        let checksum = (self.crc32 != found.crc32).then_some(checksum);
        checksum.into_iter().chain((self.isize != found.isize).then_some(length)).collect()
    }

    pub fn encode(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.crc32.to_le_bytes());
        bytes[4..].copy_from_slice(&self.isize.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: [u8; 8]) -> Self {
        let all = u64::from_le_bytes(bytes);
        #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
        let crc32 = all as u32;
        Self { crc32, isize: (all >> 32) as u32 }
    }
}
