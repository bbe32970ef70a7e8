//! Inflates single blocks between flush points.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress, Status};

use crate::digest::Crc32;

/// The maximum compression ratio of deflate, in inflated bytes per compressed byte.
const MAX_RATIO: u64 = 1032;

/// The reason why inflating a block ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockEnd {
    /// The data ends at the end of a deflate block, where it may be split.
    FlushPoint,
    /// The data ends in the middle of a deflate block.
    Cut,
    /// The content exceeds the limit.
    Limit,
    /// The data is damaged.
    Damage {
        /// The offset of the damage within the compressed data.
        at: u64,
    },
}

/// Inflates as much raw deflate data as possible, up to `limit` bytes, and replaces the bytes in `content` by it.
///
/// Memory grows with the actual content of the data, never with the limit alone.
pub(crate) fn inflate_into(content: &mut Vec<u8>, deflated: &[u8], limit: u64) -> BlockEnd {
    let most = (deflated.len() as u64).saturating_mul(MAX_RATIO);
    let limit = usize::try_from(limit.min(most + 1)).unwrap_or(usize::MAX - 1);
    let mut raw = Decompress::new(false);
    // One byte more than the limit shows whether the block exceeds it.
    content.clear();
    content.reserve((limit + 1).min(FIRST_BYTES));
    let end = loop {
        let (read, length) = (consumed(&raw, deflated), content.len());
        if length > limit {
            break BlockEnd::Limit;
        }
        if length == content.capacity() {
            content.reserve_exact((limit + 1 - length).min(length.max(FIRST_BYTES)));
        }
        let status = raw.decompress_vec(&deflated[read..], content, FlushDecompress::Sync);
        let at = consumed(&raw, deflated) as u64;
        match status {
            Ok(Status::StreamEnd) | Err(_) => break BlockEnd::Damage { at },
            Ok(_) if (consumed(&raw, deflated), content.len()) != (read, length) => {}
            Ok(_) if content.len() == content.capacity() => {}
            Ok(_) => break if ends_at_boundary(&mut raw) { BlockEnd::FlushPoint } else { BlockEnd::Cut },
        }
    };
    content.truncate(limit);
    end
}

/// Computes the checksums and lengths of blocks without keeping their content, in memory that is reused.
#[derive(Debug)]
pub(crate) struct Fingerprints {
    raw: Decompress,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Default for Fingerprints {
    fn default() -> Self {
        Self { raw: Decompress::new(false), input: vec![0; PIECE_BYTES], output: vec![0; PIECE_BYTES] }
    }
}

impl Fingerprints {
    /// Returns the checksum and length of the content of a block, of which `block` yields the compressed data. Returns
    /// `None` if the block does not end at a flush point or inflates to more than `limit` bytes.
    ///
    /// # Errors
    /// Fails if reading fails.
    pub(crate) fn of(&mut self, mut block: impl Read, limit: u64) -> io::Result<Option<(Crc32, u64)>> {
        let Self { raw, input, output } = self;
        raw.reset(false);
        let mut crc32 = crc32fast::Hasher::new();
        loop {
            let read = block.read(input)?;
            if read == 0 {
                let bytes = raw.total_out();
                return Ok(ends_at_boundary(raw).then(|| (Crc32(crc32.finalize()), bytes)));
            }
            let (start, mut is_full) = (raw.total_in(), true);
            while is_full || raw.total_in() - start < read as u64 {
                let (from, before) = (usize::try_from(raw.total_in() - start).unwrap_or(read), raw.total_out());
                let status = raw.decompress(&input[from..read], output, FlushDecompress::Sync);
                let written = usize::try_from(raw.total_out() - before).unwrap_or(output.len());
                crc32.update(&output[..written]);
                is_full = written == output.len();
                if !matches!(status, Ok(Status::Ok | Status::BufError)) || raw.total_out() > limit {
                    return Ok(None);
                }
            }
        }
    }
}

/// Finds an offset in `data` at which a deflate block may start whose text begins with `beginning`.
///
/// Tries up to `most` offsets, starting at `from`. Each attempt reads at most [`MAX_BEGINNING`] bytes, because data
/// can go on for long without yielding any text.
pub(crate) fn find_block(data: &[u8], from: usize, most: usize, beginning: &[u8]) -> Option<usize> {
    let mut raw = Decompress::new(false);
    let mut content = vec![0; beginning.len()];
    (from..data.len()).take(most).find(|&at| {
        raw.reset(false);
        let window = &data[at..data.len().min(at + MAX_BEGINNING)];
        let status = raw.decompress(window, &mut content, FlushDecompress::Sync);
        status.is_ok() && raw.total_out() == beginning.len() as u64 && content == beginning
    })
}

/// The maximum compressed length of the first few bytes of text in a block. The code tables take at most 286 bytes
/// (316 lengths of seven bits, and 74 bits before them), and each byte of text at most two.
const MAX_BEGINNING: usize = 512;

/// The number of bytes inflated at a time when the content is not kept.
const PIECE_BYTES: usize = 64 << 10;

/// The initial room for the content of a block whose inflated length is not known yet.
const FIRST_BYTES: usize = 2 << 20;

fn consumed(raw: &Decompress, deflated: &[u8]) -> usize {
    usize::try_from(raw.total_in()).map_or(deflated.len(), |read| read.min(deflated.len()))
}

/// A block header with the reserved type `11`.
const RESERVED_BLOCK: [u8; 1] = [0b110];

/// The error message for a block of the reserved type.
const INVALID_TYPE: &str = "invalid block type";

/// Returns true if a deflate block ends exactly at the end of the data so far. `raw` cannot inflate anything
/// afterwards.
///
/// Probing with a valid block would prove nothing: inside another block, the author of the data decides what the
/// probe's bits mean, and they may even end that block. So the probe is a block of the reserved type, which must be
/// rejected for its type. That error means that a block header starts at the first bit of the probe, because a header
/// that started one bit earlier or later would have a different type.
pub(super) fn ends_at_boundary(raw: &mut Decompress) -> bool {
    let rejected = raw.decompress(&RESERVED_BLOCK, &mut [0; 1], FlushDecompress::Sync);
    rejected.is_err_and(|error| error.message() == Some(INVALID_TYPE))
}

/// Returns true if `block` is an empty final block.
pub(super) fn ends_stream(block: &[u8]) -> bool {
    length_of_empty_end(block).is_some()
}

/// Returns the length of the empty deflate blocks at the start of `ahead`, if the last one of them is marked as the last.
pub fn length_of_empty_end(ahead: &[u8]) -> Option<usize> {
    let mut raw = Decompress::new(false);
    let end = raw.decompress(ahead, &mut [0; 1], FlushDecompress::Sync);
    let is_empty_end = matches!(end, Ok(Status::StreamEnd)) && raw.total_out() == 0;
    is_empty_end.then(|| usize::try_from(raw.total_in()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::member::LAST_BLOCK;
    use super::*;

    /// Returns true if the data ends at the end of a deflate block.
    fn ends_with_block(data: &[u8]) -> bool {
        inflate_into(&mut Vec::new(), data, 1 << 20) == BlockEnd::FlushPoint
    }

    /// Packs bits into bytes, lowest bit first, and pads the last byte with `rest`.
    fn bytes_of(bits: &str, rest: char) -> Vec<u8> {
        let bits: Vec<char> = bits.chars().filter(|bit| *bit != ' ').collect();
        let byte =
            |bits: &[char]| (0..8).fold(0, |byte, at| byte | u8::from(bits.get(at).unwrap_or(&rest) == &'1') << at);
        bits.chunks(8).map(byte).collect()
    }

    #[test]
    fn the_end_of_a_block_is_recognised_for_any_codes() {
        let stored = [0, 1, 0, 0xfe, 0xff, b'x'];
        let flushed = [&stored[..], &[0, 0, 0, 0xff, 0xff]].concat();
        assert!(ends_with_block(b""));
        assert!(ends_with_block(&stored));
        assert!(ends_with_block(&flushed));
        for end in 1..stored.len() {
            assert!(!ends_with_block(&stored[..end]), "{end}");
        }
        // The block ends within a byte, and the remaining bits do not begin another block.
        for (bits, rest) in [("0 10 0000000", '0'), ("0 10 00110000 0000000", '0'), ("0 10 00110000 0000000", '1')] {
            assert!(!ends_with_block(&bytes_of(bits, rest)), "{bits} {rest}");
        }
        // The code that ends the block has one, two or three bits, which the following bits could supply.
        for lengths in [[1, 2, 3, 3], [2, 1, 3, 3], [2, 3, 1, 3], [3, 3, 1, 2], [3, 3, 2, 1], [2, 2, 2, 2]] {
            for is_last in [false, true] {
                assert!(!ends_with_block(&unfinished(is_last, lengths)), "{lengths:?} {is_last}");
            }
        }
        assert!(!ends_with_block(&[&flushed[..], &LAST_BLOCK].concat()));
    }

    #[test]
    fn a_fingerprint_needs_a_whole_block_within_the_limit() {
        let text = b"row\n".repeat(1 << 16);
        let mut block = Vec::new();
        crate::gzip::Deflater::new(crate::gzip::Level::default()).deflate(&text, &mut block).unwrap();
        let length = text.len() as u64;
        let mut fingerprints = Fingerprints::default();
        let mut of = |block: &[u8], limit| fingerprints.of(block, limit).unwrap();
        let whole = Some((Crc32::of(&text), length));
        assert_eq!(of(&block, length), whole);
        assert_eq!(of(&block, length - 1), None);
        assert_eq!(of(&block[..block.len() - 5], length), None, "truncated");
        assert_eq!(of(&[&block[..], &LAST_BLOCK].concat(), length), None, "ends the stream");
        assert_eq!(of(b"", 0), Some((Crc32::of(b""), 0)));
    }

    /// Builds a block that stops in the byte in which its code tables end. It has codes for two literals, the end of
    /// the block, and a length.
    fn unfinished(is_last: bool, lengths: [usize; 4]) -> Vec<u8> {
        // The code lengths are themselves coded: 1, 2 and 3 in two bits; 0 and two runs of zeros (138 and 116) in
        // three.
        let lengths = lengths.map(|length| ["00", "01", "10"][length - 1]);
        let codes = format!("000 000 110 110 {} 010 000 010 000 010", "000".repeat(9));
        let first = if is_last { "1 01" } else { "0 01" };
        let none = "111 1111111 111 1001011";
        let header = format!("{first} 10000 10000 0111 {codes}");
        let [first, second, end, length] = lengths;
        let block = bytes_of(&format!("{header} {first} {second} {none} {end} {length} 00 110"), '0');
        assert_eq!(block.len(), 13);
        block
    }
}
