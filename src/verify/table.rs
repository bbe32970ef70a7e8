//! Compares one chunk with its entry in the table.

use super::finding::{ChunkMismatch, FindingKind, Mismatch};
use crate::bundle::ChunkRef;
use crate::error::GzipFault;
use crate::gzip::BlockEnd;
use crate::scan::rows::PartLines;

/// Returns the differences between a chunk and its table entry.
pub(super) fn table_mismatches(lines: &PartLines, slot: &ChunkRef) -> impl Iterator<Item = ChunkMismatch> {
    let mut times = lines.times_before.clone();
    lines.runs.iter().for_each(|run| times.merge(&run.times));
    let span = times.span();
    let compressed = if lines.is_block { lines.compressed } else { slot.compressed };
    let mismatches = [
        Mismatch::between(slot.compressed, compressed).map(ChunkMismatch::Compressed),
        Mismatch::between(slot.bytes, lines.bytes).map(ChunkMismatch::Bytes),
        Mismatch::between(slot.rows, lines.count).map(ChunkMismatch::Rows),
        Mismatch::between(slot.crc32, lines.crc32).map(ChunkMismatch::Crc32),
        Mismatch::of_declared(slot.times[0], span.first).map(ChunkMismatch::FirstTime),
        Mismatch::of_declared(slot.times[1], span.last).map(ChunkMismatch::LastTime),
    ];
    mismatches.into_iter().flatten()
}

/// Returns the reason why a block cannot be read to its end, if it cannot.
pub(super) fn damage(lines: &PartLines, slot: Option<&ChunkRef>) -> Option<FindingKind> {
    Some(match (lines.end, slot) {
        (BlockEnd::FlushPoint, _) => return None,
        (BlockEnd::Cut, Some(slot)) if lines.compressed < slot.compressed => FindingKind::Gzip(GzipFault::Truncated),
        (BlockEnd::Limit, Some(slot)) => {
            let mismatch = Mismatch { expected: slot.bytes, found: lines.bytes };
            FindingKind::Chunk { chunk: slot.chunk as u64 + 1, mismatch: ChunkMismatch::Bytes(mismatch) }
        }
        _ => FindingKind::Gzip(GzipFault::Deflate),
    })
}
