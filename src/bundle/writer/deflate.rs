//! Encodes one block of a log's lines and compresses its chunks.

use std::sync::Arc;

use crate::buffers::Buffers;
use crate::digest::Crc32;
use crate::error::{Error, IoAction, Result};
use crate::format::Chunk;
use crate::format::log_encoder::{BadLine, BlockEncoder, BlockRecord, RawChunk};
use crate::gzip::Deflater;

/// A block of a file that waits for a thread.
pub struct DeflateJob {
    pub file: usize,
    pub encoder: Arc<BlockEncoder>,
    /// Whole lines.
    pub block: Vec<u8>,
}

/// The result for one block.
pub struct Deflated {
    /// The index of the block's file.
    pub file: usize,
    /// The chunks; the inner error is about a line of the block.
    pub content: Result<Result<BlockChunks, BadLine>>,
}

/// The chunks of a block.
pub struct BlockChunks {
    /// The compressed chunks, concatenated.
    pub data: Vec<u8>,
    /// Their entries in the chunk table.
    pub chunks: Vec<Chunk>,
    pub record: BlockRecord,
}

#[allow(clippy::needless_pass_by_value, reason = "a worker owns the job that it took from the queue")]
pub fn deflate(
    deflater: &mut Deflater,
    buffers: &Buffers,
    DeflateJob { file, encoder, block }: DeflateJob,
) -> Deflated {
    let encoded = encoder.encode_in(buffers.take(), &block);
    buffers.put(block);
    let content = match encoded {
        Err(bad) => Ok(Err(bad)),
        Ok(encoded) => {
            let mut content = BlockChunks { data: buffers.take(), chunks: Vec::new(), record: encoded.record };
            let added = encoded.chunks.into_iter().try_for_each(|chunk| {
                content.add(deflater, &chunk)?;
                buffers.put(chunk.bytes);
                Ok(())
            });
            added.map(|()| Ok(content))
        }
    };
    Deflated { file, content }
}

impl BlockChunks {
    fn add(&mut self, deflater: &mut Deflater, raw: &RawChunk) -> Result<()> {
        let failed = |error| Error::io_unnamed(IoAction::Compress, error);
        let compressed = deflater.deflate(&raw.bytes, &mut self.data).map_err(failed)?;
        self.chunks.push(Chunk {
            compressed,
            bytes: raw.bytes.len() as u64,
            rows: raw.rows,
            crc32: Crc32::of(&raw.bytes),
            first_time: raw.span.first,
            last_time: raw.span.last,
        });
        Ok(())
    }
}
