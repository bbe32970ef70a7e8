//! Writes a member whose blocks end at full-flush points, so that each can be inflated independently.

use std::fmt;
use std::io::{self, Read, Write};

use flate2::{Compress, Compression, FlushCompress};

use super::member::{HEADER, LAST_BLOCK, Trailer};
use crate::digest::Crc32;

/// A compression level from 0 (none) to 9 (slowest), as in `gzip`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(u8);

impl Level {
    /// Creates a level from 0 to 9. Returns `None` for any other number.
    #[must_use]
    pub fn new(level: u8) -> Option<Self> {
        (level <= 9).then_some(Self(level))
    }
}

impl Default for Level {
    /// Returns level 5, which makes a bundle at most 0.5 % larger than `gzip -6` makes its logs.
    fn default() -> Self {
        Self(5)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A compressor of independent blocks. The same bytes and level yield the same block.
#[derive(Debug)]
pub struct Deflater(Compress);

impl Deflater {
    /// Creates a compressor with the given level.
    #[must_use]
    pub fn new(level: Level) -> Self {
        Self(Compress::new(Compression::new(level.0.into()), false))
    }

    /// Appends `content` to `out` as raw deflate data that ends at a full-flush point. Returns the compressed length.
    ///
    /// # Errors
    /// Fails if the compressor fails, which no content causes.
    pub fn deflate(&mut self, content: &[u8], out: &mut Vec<u8>) -> io::Result<u64> {
        /// Spare room that always remains, so that a flush is never split in two, which would write its mark twice.
        const SPARE: usize = 64;
        self.0.reset();
        // Deflate stores incompressible data verbatim, so an eighth plus the spare room is more than it ever adds.
        out.reserve(content.len() + content.len() / 8 + SPARE);
        self.0.compress_vec(content, out, FlushCompress::Full).map_err(io::Error::other)?;
        if self.0.total_in() != content.len() as u64 || out.len() + SPARE / 2 > out.capacity() {
            return Err(io::Error::other("the compressor needs more room than deflate ever takes"));
        }
        Ok(self.0.total_out())
    }
}

/// A writer of one member, block by block.
#[derive(Debug)]
pub struct MemberWriter<W> {
    sink: W,
    crc32: Crc32,
    bytes: u64,
    written: u64,
}

impl<W: Write> MemberWriter<W> {
    /// Creates a writer and writes the header.
    ///
    /// # Errors
    /// Fails if writing fails.
    pub fn new(mut sink: W) -> io::Result<Self> {
        sink.write_all(&HEADER)?;
        Ok(Self { sink, crc32: Crc32::of(b""), bytes: 0, written: HEADER.len() as u64 })
    }

    /// Copies a block of `compressed` bytes from `deflated`. The block must inflate to `bytes` bytes with checksum
    /// `crc32`.
    ///
    /// # Errors
    /// Fails if reading or writing fails, or `deflated` ends early.
    pub fn copy_block(&mut self, deflated: impl Read, compressed: u64, bytes: u64, crc32: Crc32) -> io::Result<()> {
        let copied = io::copy(&mut deflated.take(compressed), &mut self.sink)?;
        if copied != compressed {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.crc32 = self.crc32.combine(crc32, bytes);
        self.bytes += bytes;
        self.written += compressed;
        Ok(())
    }

    /// Ends the member. Returns its length in bytes.
    ///
    /// # Errors
    /// Fails if writing fails.
    pub fn finish(mut self) -> io::Result<u64> {
        self.sink.write_all(&LAST_BLOCK)?;
        self.sink.write_all(&Trailer::new(self.crc32.0, self.bytes).encode())?;
        self.sink.flush()?;
        Ok(self.written + super::member::TAIL_BYTES as u64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::format_collect)]

    use super::*;

    /// The length and checksum of the block at each level.
    const EXPECTED: [(usize, u32); 10] = [
        (106_972, 2_627_551_985),
        (48_736, 2_276_788_507),
        (34_347, 131_548_315),
        (33_330, 497_160_604),
        (33_316, 1_712_243_621),
        (33_187, 746_190_890),
        (33_181, 4_285_871_038),
        (32_292, 2_671_540_340),
        (32_163, 3_948_476_144),
        (33_938, 2_486_901_868),
    ];

    /// The bytes of a bundle depend on flate2's backend. This fails if a dependency selects another one than zlib-rs, or
    /// if a new version of it compresses differently.
    #[test]
    fn the_deflate_backend_is_the_one_whose_bytes_are_promised() {
        let content: String = (0..4000u64).map(|n| format!("{{\"n\":{n},\"w\":\"{:x}\"}}\n", n * n * 7919)).collect();
        let mut of_levels = Vec::new();
        for level in 0..=9 {
            let mut block = Vec::new();
            Deflater::new(Level::new(level).unwrap()).deflate(content.as_bytes(), &mut block).unwrap();
            of_levels.push((block.len(), Crc32::of(&block).0));
        }
        assert_eq!(of_levels, EXPECTED);
    }
}
