//! Compares a chunk with its entry in the chunk table.

use super::finding::{ChunkMismatch, FindingKind, Mismatch};
use crate::bundle::ChunkRef;
use crate::error::GzipFault;
use crate::gzip::BlockEnd;
use crate::salvage::PartLines;

/// Returns the differences between a chunk and its table entry.
pub(super) fn table_mismatches(lines: &PartLines, chunk_ref: &ChunkRef) -> impl Iterator<Item = ChunkMismatch> {
    let mut times = lines.times_before.clone();
    lines.runs.iter().for_each(|run| times.merge(&run.times));
    // Declared times that are absent are not compared.
    let declared = if times.has_other_forms() { [None; 2] } else { chunk_ref.times };
    let span = times.span();
    let compressed = if lines.is_block { lines.compressed } else { chunk_ref.compressed };
    let mismatches = [
        Mismatch::between(chunk_ref.compressed, compressed).map(ChunkMismatch::Compressed),
        Mismatch::between(chunk_ref.bytes, lines.bytes).map(ChunkMismatch::Bytes),
        Mismatch::between(chunk_ref.rows, lines.count).map(ChunkMismatch::Rows),
        Mismatch::between(chunk_ref.crc32, lines.crc32).map(ChunkMismatch::Crc32),
        Mismatch::of_declared(declared[0], span.first).map(ChunkMismatch::FirstTime),
        Mismatch::of_declared(declared[1], span.last).map(ChunkMismatch::LastTime),
    ];
    mismatches.into_iter().flatten()
}

/// Returns the fault that prevents a block from being read to its end, if any.
pub(super) fn damage(lines: &PartLines, chunk_ref: Option<&ChunkRef>) -> Option<FindingKind> {
    Some(match (lines.end, chunk_ref) {
        (BlockEnd::FlushPoint, _) => return None,
        (BlockEnd::Cut, Some(chunk_ref)) if lines.is_at_end && lines.compressed < chunk_ref.compressed => {
            FindingKind::Gzip(GzipFault::Truncated)
        }
        (BlockEnd::Limit, Some(chunk_ref)) => {
            let mismatch = Mismatch { expected: chunk_ref.bytes, found: lines.bytes };
            FindingKind::Chunk { chunk: chunk_ref.index_in_file as u64 + 1, mismatch: ChunkMismatch::Bytes(mismatch) }
        }
        _ => FindingKind::Gzip(GzipFault::Deflate),
    })
}
