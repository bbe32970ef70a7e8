//! Fetches the chunks of a bundle, at their indexed offsets or by reading from the start. [`ChunkQueue`] selects and
//! orders them.

use std::io::{self, Read};
use std::sync::Arc;

use super::chunk_queue::ChunkQueue;
use super::chunk_table::{ChunkRef, chunk_refs};
use super::opened::{BundleInput, ManifestLine, Remainder, check_end, take_stream};
use crate::buffers::{Buffer, Buffers};
use crate::container::FileInput;
use crate::digest::Crc32;
use crate::error::{Error, ErrorKind, GzipFault, IoAction, Result};
use crate::format::Manifest;
use crate::gzip::{Block, BlockIndex, DeflatedBlock, StreamKind};

/// Returns the index of the chunks, if the bundle's chunk table matches the file.
pub(super) fn matching_index(head: &ManifestLine, file: &mut FileInput<'_>) -> io::Result<Option<BlockIndex>> {
    let chunks = head.manifest.files.iter().flat_map(|file| &file.chunks);
    let blocks = chunks.map(|chunk| Block { compressed: chunk.compressed, bytes: chunk.bytes, crc32: chunk.crc32 });
    BlockIndex::of_file(blocks.collect(), file.length(), file, head.bytes, head.crc32)
}

/// A chunk that could not be read, with the lines that precede the failure.
pub(super) struct FailedChunk {
    /// The complete lines before the point where the input is truncated. No checksum proves them.
    pub(super) lines_before: Vec<u8>,
    pub(super) error: Error,
}

impl From<Error> for FailedChunk {
    fn from(error: Error) -> Self {
        Self { lines_before: Vec::new(), error }
    }
}

/// A chunk as fetched from the input.
pub(super) enum FetchedChunk {
    /// Compressed data from the chunk's indexed offset.
    Deflated(DeflatedBlock),
    /// Text that was read sequentially.
    Text(Result<Vec<u8>, FailedChunk>),
}

impl FetchedChunk {
    /// Returns the verified text of the chunk, inflated into `memory` if necessary.
    ///
    /// The outer error means that no valid chunk is at the indexed offset. Only sequential reading can tell whether
    /// the table is wrong or the chunk is damaged.
    pub(super) fn text(self, memory: impl FnOnce() -> Buffer) -> Result<Result<Buffer, FailedChunk>, GzipFault> {
        match self {
            Self::Deflated(block) => {
                let mut text = memory();
                block.inflate(&mut text).map(|()| Ok(text))
            }
            Self::Text(text) => Ok(text.map(Buffer::from)),
        }
    }
}

enum ChunkSource<'r> {
    Indexed(FileInput<'r>, Arc<BlockIndex>),
    /// The remaining text, starting at chunk `next`.
    Sequential {
        rest: Remainder<'r>,
        next: usize,
    },
}

/// A reader of the selected chunks. Each is verified against its checksum; of a truncated one, the complete lines are
/// returned unverified.
pub(super) struct ChunkReader<'r> {
    chunk_refs: Vec<ChunkRef>,
    order: ChunkQueue,
    source: ChunkSource<'r>,
    /// Memory for compressed chunks.
    buffers: Arc<Buffers>,
}

impl<'r> ChunkReader<'r> {
    /// Creates a reader. `order` makes the queue of chunks; its second argument is true if chunks are read at their
    /// indexed offsets.
    pub(super) fn new(
        manifest: &Manifest,
        manifest_crc32: Crc32,
        input: BundleInput<'r>,
        order: impl FnOnce(&[ChunkRef], bool) -> ChunkQueue,
    ) -> Result<Self> {
        let source = match input {
            BundleInput::Stream(stream) => ChunkSource::Sequential { rest: take_stream(&stream)?, next: 0 },
            BundleInput::Indexed(file, index) if index.matches_checksum(manifest_crc32) => {
                ChunkSource::Indexed(file, index)
            }
            BundleInput::File(file) | BundleInput::Indexed(file, _) => ChunkSource::from_start(&file)?,
        };
        let chunk_refs = chunk_refs(manifest);
        let order = order(&chunk_refs, matches!(source, ChunkSource::Indexed(..)));
        Ok(Self { chunk_refs, order, source, buffers: Arc::default() })
    }

    /// Returns true if chunks are read at their indexed offsets.
    pub(super) fn is_indexed(&self) -> bool {
        matches!(self.source, ChunkSource::Indexed(..))
    }

    /// Returns the table's entry for a chunk.
    pub(super) fn chunk_ref(&self, index: usize) -> ChunkRef {
        self.chunk_refs[index]
    }

    /// Returns the index of the next selected chunk, or `None` after the last one.
    pub(super) fn next_index(&self) -> Option<usize> {
        self.order.next()
    }

    /// Fetches the next selected chunk, which must be `index`.
    pub(super) fn fetch(&mut self, index: usize) -> FetchedChunk {
        let run_end = self.order.end_of_run(&self.chunk_refs);
        self.order.advance();
        match &mut self.source {
            ChunkSource::Indexed(input, blocks) => {
                let is_run = run_end > index + 1;
                let ahead = if is_run { input.read_ahead(blocks.range(index..run_end)) } else { Ok(()) };
                match ahead.and_then(|()| blocks.fetch(input, index, self.buffers.checkout())) {
                    Ok(block) => FetchedChunk::Deflated(block),
                    Err(error) => FetchedChunk::Text(Err(read_error(error).into())),
                }
            }
            ChunkSource::Sequential { rest, next } => {
                let skipped: u64 = self.chunk_refs[*next..index].iter().map(|chunk_ref| chunk_ref.bytes).sum();
                let chunk_ref = self.chunk_refs[index];
                *next = index + 1;
                FetchedChunk::Text(
                    skip(rest, skipped).map_err(FailedChunk::from).and_then(|()| read_chunk(rest, &chunk_ref)),
                )
            }
        }
    }

    /// Fetches and inflates the next selected chunk.
    pub(super) fn next_text(&mut self) -> Option<(ChunkRef, Result<Buffer, FailedChunk>)> {
        loop {
            let index = self.next_index()?;
            let text = match self.fetch(index).text(Buffer::default) {
                Ok(text) => text,
                Err(_) => match self.fall_back(index) {
                    Ok(()) => continue,
                    Err(error) => Err(error.into()),
                },
            };
            return Some((self.chunk_refs[index], text));
        }
    }

    /// Switches to sequential reading, because chunk `index` is not at its indexed offset. That chunk and the selected
    /// chunks after it are fetched again.
    pub(super) fn fall_back(&mut self, index: usize) -> Result<()> {
        let placeholder = ChunkSource::Sequential { rest: Remainder::empty(), next: 0 };
        self.source = match std::mem::replace(&mut self.source, placeholder) {
            ChunkSource::Indexed(file, _) => ChunkSource::from_start(&file)?,
            sequential @ ChunkSource::Sequential { .. } => sequential,
        };
        self.order.go_back(index);
        Ok(())
    }

    /// Checks that nothing follows the last chunk, if sequential reading has reached it.
    pub(super) fn check_end(&mut self) -> Result<()> {
        match &mut self.source {
            ChunkSource::Sequential { rest, next } if *next == self.chunk_refs.len() => check_end(rest),
            _ => Ok(()),
        }
    }
}

impl<'r> ChunkSource<'r> {
    fn from_start(file: &FileInput<'r>) -> Result<Self> {
        let (_, rest) = ManifestLine::read(file.at_start())?;
        Ok(Self::Sequential { rest, next: 0 })
    }
}

fn read_error(error: io::Error) -> Error {
    Error::io_unnamed(IoAction::Read, error)
}

fn skip(rest: &mut Remainder<'_>, bytes: u64) -> Result<()> {
    let skipped = io::copy(&mut rest.by_ref().take(bytes), &mut io::sink()).map_err(read_error)?;
    match skipped == bytes {
        true => Ok(()),
        false => Err(ErrorKind::ContentEnds.into()),
    }
}

fn read_chunk(rest: &mut Remainder<'_>, chunk_ref: &ChunkRef) -> Result<Vec<u8>, FailedChunk> {
    let mut content = Vec::new();
    let read = rest.by_ref().take(chunk_ref.bytes).read_to_end(&mut content).map_err(read_error);
    let is_short = (content.len() as u64) < chunk_ref.bytes;
    let error = match read {
        Err(error) => error,
        // Plain text has no end marker, so a short chunk may mean that the text is truncated.
        Ok(_) if is_short && (content.is_empty() || rest.content == StreamKind::Plain) => ErrorKind::ContentEnds.into(),
        Ok(_) if is_short || Crc32::of(&content) != chunk_ref.crc32 => ErrorKind::ChunkMismatch.into(),
        Ok(_) => return Ok(content),
    };
    // Truncation leaves the text before it unchanged; damage may change it.
    let is_cut = matches!(error.kind(), ErrorKind::ContentEnds | ErrorKind::Gzip(GzipFault::Truncated));
    let whole_lines = memchr::memrchr(b'\n', &content).map_or(0, |last| last + 1);
    content.truncate(if is_cut { whole_lines } else { 0 });
    Err(FailedChunk { lines_before: content, error })
}
