//! Inflates one block between two flush points.

use flate2::{Decompress, FlushDecompress, Status};

use super::member::LAST_BLOCK;
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
/// from `from` on, but not more than `most`.
pub(crate) fn find_block(data: &[u8], from: usize, most: usize, beginning: &[u8]) -> Option<usize> {
    let mut raw = Decompress::new(false);
    let mut content = vec![0; beginning.len()];
    (from..data.len()).take(most).find(|&at| {
        raw.reset(false);
        let status = raw.decompress(&data[at..], &mut content, FlushDecompress::Sync);
        status.is_ok() && raw.total_out() == beginning.len() as u64 && content == beginning
    })
}

/// How much is inflated at a time where nothing is kept.
const PIECE_BYTES: usize = 64 << 10;

/// How much room a block gets before it is known what it holds.
const FIRST_BYTES: usize = 2 << 20;

fn consumed(raw: &Decompress, deflated: &[u8]) -> usize {
    usize::try_from(raw.total_in()).map_or(deflated.len(), |read| read.min(deflated.len()))
}

/// Whether the data so far could be cut here: an empty last block can follow it directly.
pub(super) fn ends_at_boundary(raw: &mut Decompress) -> bool {
    ends_with(raw, &LAST_BLOCK)
}

/// Whether `block` is an empty last block.
pub(super) fn ends_stream(block: &[u8]) -> bool {
    ends_with(&mut Decompress::new(false), block)
}

fn ends_with(raw: &mut Decompress, block: &[u8]) -> bool {
    let (mut content, before) = ([0; 1], raw.total_out());
    let end = raw.decompress(block, &mut content, FlushDecompress::Sync);
    matches!(end, Ok(Status::StreamEnd)) && raw.total_out() == before
}
