//! Compresses one chunk.

use crate::digest::Crc32;
use crate::error::{Error, IoAction, Result};
use crate::format::Chunk;
use crate::format::log::RawChunk;
use crate::gzip::Deflater;
use crate::pool::ThreadDied;

/// A chunk of a file that waits to be compressed.
pub(super) struct Job {
    pub(super) file: usize,
    pub(super) raw: RawChunk,
}

/// A compressed chunk, and its line in the chunk table.
pub(super) struct Deflated {
    /// Which file it belongs to.
    pub(super) file: usize,
    pub(super) data: Vec<u8>,
    pub(super) chunk: Chunk,
}

#[allow(clippy::needless_pass_by_value, reason = "a worker takes the job that a thread took off the queue")]
pub(super) fn deflate(deflater: &mut Deflater, Job { file, raw }: Job) -> Result<Deflated> {
    let data = deflater.deflate(&raw.bytes).map_err(|error| Error::io_unnamed(IoAction::Compress, error))?;
    let chunk = Chunk {
        compressed: data.len() as u64,
        bytes: raw.bytes.len() as u64,
        rows: raw.rows,
        crc32: Crc32::of(&raw.bytes),
        first_time: raw.span.first,
        last_time: raw.span.last,
    };
    Ok(Deflated { file, data, chunk })
}

#[allow(clippy::needless_pass_by_value, reason = "it takes the place of the error")]
pub(super) fn thread_died(_: ThreadDied) -> Error {
    Error::io_unnamed(IoAction::Compress, std::io::Error::other("a compressing thread died"))
}
