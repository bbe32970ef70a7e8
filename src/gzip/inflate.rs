//! Inflates one block between two flush points.

use flate2::{Decompress, FlushDecompress, Status};

use crate::error::GzipFault;

/// The most that deflate can make of one byte.
const MAX_RATIO: u64 = 1032;

/// Inflates raw deflate data that ends at a flush point and must give exactly `declared` bytes, into `content`, whose
/// memory is used again.
///
/// Memory grows with what the data really holds, never with what is declared alone.
pub(super) fn inflate_block(deflated: &[u8], declared: u64, content: &mut Vec<u8>) -> Result<(), GzipFault> {
    match inflate_into(content, deflated, declared) {
        BlockEnd::FlushPoint if content.len() as u64 == declared => Ok(()),
        _ => Err(GzipFault::Deflate),
    }
}

/// What a block holds, as far as it can be inflated.
#[derive(Debug)]
pub(crate) struct InflatedBlock {
    /// Its content, up to where that ends.
    pub(crate) content: Vec<u8>,
    /// Why it ends there.
    pub(crate) end: BlockEnd,
}

/// Where inflating a block ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockEnd {
    /// At the end of the data, where also the compressed data may be cut.
    FlushPoint,
    /// At the end of the data, in the middle of what it holds.
    Cut,
    /// At the limit: it holds more.
    Limit,
    /// At damage, this many bytes into the data.
    Damage {
        /// Bytes before it.
        at: u64,
    },
}

/// Inflates raw deflate data as far as it goes, but to no more than `limit` bytes.
pub(crate) fn inflate_as_far_as_possible(deflated: &[u8], limit: u64) -> InflatedBlock {
    let mut content = Vec::new();
    let end = inflate_into(&mut content, deflated, limit);
    InflatedBlock { content, end }
}

/// As [`inflate_as_far_as_possible`], into `content` in place of what is there.
pub(crate) fn inflate_into(content: &mut Vec<u8>, deflated: &[u8], limit: u64) -> BlockEnd {
    let most = (deflated.len() as u64).saturating_mul(MAX_RATIO);
    let limit = usize::try_from(limit.min(most + 1)).unwrap_or(usize::MAX - 1);
    let mut raw = Decompress::new(false);
    // One byte more than allowed, so that a block that holds more shows it.
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

/// How many bytes a block inflates to, if it does so up to a flush point and gives no more than `limit`. None are kept.
pub(crate) fn inflated_length(deflated: &[u8], limit: u64) -> Option<u64> {
    let mut raw = Decompress::new(false);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let before = (consumed(&raw, deflated), raw.total_out());
        let status = raw.decompress(&deflated[before.0..], &mut piece, FlushDecompress::Sync);
        let now = (consumed(&raw, deflated), raw.total_out());
        match status {
            Ok(Status::StreamEnd) | Err(_) => return None,
            Ok(_) if now.1 > limit => return None,
            Ok(_) if now != before => {}
            Ok(_) => return ends_at_boundary(&mut raw).then_some(now.1),
        }
    }
}

/// Where in `data`, behind its start, a block may begin that holds text beginning with `beginning`. Every byte is tried
/// from `from` on, but not more than `most`, each with what so much text takes: data can go on for long without giving any.
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

/// How many bytes the beginning of a block may take up to some bytes of text. Its codes take at most 286 (316 lengths of
/// seven bits, and 74 bits before them), and a byte of text two.
const MAX_BEGINNING: usize = 512;

/// How much is inflated at a time where nothing is kept.
const PIECE_BYTES: usize = 64 << 10;

/// How much room a block gets before it is known what it holds.
const FIRST_BYTES: usize = 2 << 20;

fn consumed(raw: &Decompress, deflated: &[u8]) -> usize {
    usize::try_from(raw.total_in()).map_or(deflated.len(), |read| read.min(deflated.len()))
}

/// The beginning of a block of the one type that there is not.
const NO_BLOCK: [u8; 1] = [0b110];

/// What is said of it.
const NO_SUCH_TYPE: &str = "invalid block type";

/// Whether the data so far could be cut here: a block ends at its end. Nothing can be inflated behind that any more.
///
/// A block that can follow proves nothing: within another block, whoever made that chose what these bits mean, and they
/// may be what ends it. So what follows is one that cannot, and must be refused for its type. Nothing but a block that
/// begins with the first of these bits has that type: one that began a bit earlier or later would have another.
pub(super) fn ends_at_boundary(raw: &mut Decompress) -> bool {
    let refused = raw.decompress(&NO_BLOCK, &mut [0; 1], FlushDecompress::Sync);
    refused.is_err_and(|error| error.message() == Some(NO_SUCH_TYPE))
}

/// Whether `block` is an empty last block.
pub(super) fn ends_stream(block: &[u8]) -> bool {
    let mut raw = Decompress::new(false);
    let end = raw.decompress(block, &mut [0; 1], FlushDecompress::Sync);
    matches!(end, Ok(Status::StreamEnd)) && raw.total_out() == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::member::LAST_BLOCK;
    use super::*;

    /// Whether a block ends where this data does.
    fn is_cut_at_its_end(data: &[u8]) -> bool {
        inflate_into(&mut Vec::new(), data, 1 << 20) == BlockEnd::FlushPoint
    }

    /// These bits, from the lowest of each byte on, with `rest` in what is left of the last.
    fn bytes_of(bits: &str, rest: char) -> Vec<u8> {
        let bits: Vec<char> = bits.chars().filter(|bit| *bit != ' ').collect();
        let byte =
            |bits: &[char]| (0..8).fold(0, |byte, at| byte | u8::from(bits.get(at).unwrap_or(&rest) == &'1') << at);
        bits.chunks(8).map(byte).collect()
    }

    #[test]
    fn a_block_ends_only_where_it_does_whatever_its_codes_are() {
        let stored = [0, 1, 0, 0xfe, 0xff, b'x'];
        let flushed = [&stored[..], &[0, 0, 0, 0xff, 0xff]].concat();
        assert!(is_cut_at_its_end(b""));
        assert!(is_cut_at_its_end(&stored));
        assert!(is_cut_at_its_end(&flushed));
        for end in 1..stored.len() {
            assert!(!is_cut_at_its_end(&stored[..end]), "{end}");
        }
        // A block's end within a byte, with any bits behind it that begin no block.
        for (bits, rest) in [("0 10 0000000", '0'), ("0 10 00110000 0000000", '0'), ("0 10 00110000 0000000", '1')] {
            assert!(!is_cut_at_its_end(&bytes_of(bits, rest)), "{bits} {rest}");
        }
        // Codes of one, two and three bits, of which each ends the block: so many bits of what follows could.
        for lengths in [[1, 2, 3, 3], [2, 1, 3, 3], [2, 3, 1, 3], [3, 3, 1, 2], [3, 3, 2, 1], [2, 2, 2, 2]] {
            for is_last in [false, true] {
                assert!(!is_cut_at_its_end(&unfinished(is_last, lengths)), "{lengths:?} {is_last}");
            }
        }
        assert!(!is_cut_at_its_end(&[&flushed[..], &LAST_BLOCK].concat()));
    }

    #[test]
    fn the_length_of_a_block_is_told_up_to_a_limit_and_of_whole_ones_alone() {
        let text = b"row\n".repeat(1 << 16);
        let mut block = Vec::new();
        crate::gzip::Deflater::new(crate::gzip::Level::default()).deflate(&text, &mut block).unwrap();
        let length = text.len() as u64;
        assert_eq!(inflated_length(&block, length), Some(length));
        assert_eq!(inflated_length(&block, length - 1), None);
        assert_eq!(inflated_length(&block[..block.len() - 5], length), None, "cut off");
        assert_eq!(inflated_length(&[&block[..], &LAST_BLOCK].concat(), length), None, "it ends the stream");
        assert_eq!(inflated_length(b"", 0), Some(0));
    }

    /// A block that ends with the byte in which its codes do: of two literals, its end, and a length.
    fn unfinished(is_last: bool, lengths: [usize; 4]) -> Vec<u8> {
        // Of the codes' lengths: 1, 2 and 3 as two bits, none and 138 or 116 times none as three.
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
