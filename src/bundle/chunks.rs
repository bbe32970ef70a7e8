//! Gets the chunks of a bundle, from where the table says or from the start. Which of them, and in which order, is for
//! [`ChunkQueue`] to say.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::chunk_queue::ChunkQueue;
use super::chunk_table::{ChunkRef, chunk_refs};
use super::{Input, ManifestLine, ReadSeek, Remainder};
use crate::buffers::{Buffer, Buffers};
use crate::digest::Crc32;
use crate::error::{Error, ErrorKind, GzipFault, IoAction, Result};
use crate::format::Manifest;
use crate::gzip::{Block, BlockIndex, DeflatedBlock, StreamKind};

/// Where the chunks lie, if they lie there.
pub(super) fn index_that_fits<R: Read + Seek>(
    head: &ManifestLine,
    file_bytes: u64,
    input: &mut R,
) -> io::Result<Option<BlockIndex>> {
    let chunks = head.manifest.files.iter().flat_map(|file| &file.chunks);
    let blocks = chunks.map(|chunk| Block { compressed: chunk.compressed, bytes: chunk.bytes, crc32: chunk.crc32 });
    let Some(index) = BlockIndex::new(blocks.collect(), file_bytes) else { return Ok(None) };
    Ok(index.fits(input, head.bytes, head.crc32)?.then_some(index))
}

/// Why a chunk could not be had, and what of it came before that.
pub(super) struct FailedChunk {
    /// Lines that came before the input was cut off. They are whole, but no checksum proves them.
    pub(super) lines_before: Vec<u8>,
    pub(super) error: Error,
}

impl From<Error> for FailedChunk {
    fn from(error: Error) -> Self {
        Self { lines_before: Vec::new(), error }
    }
}

/// A chunk as it comes from the input.
pub(super) enum FetchedChunk {
    /// From where the table says, to be inflated.
    Deflated(DeflatedBlock),
    /// Out of the stream.
    Text(Result<Vec<u8>, FailedChunk>),
}

impl FetchedChunk {
    /// The chunk's text, once it is proven, in `memory` if that is needed. The outer error means that it does not lie
    /// where the table says. Only the stream itself can tell that from damage.
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
    Indexed(Box<dyn ReadSeek + 'r>, BlockIndex),
    /// The rest of the text, from slot `next` on.
    Sequential {
        rest: Remainder<'r>,
        next: usize,
    },
}

/// Hands out the wanted chunks, each proven by its checksum before anybody sees it, and what came of one that was cut off.
pub(super) struct ChunkReader<'r> {
    slots: Vec<ChunkRef>,
    order: ChunkQueue,
    way: ChunkSource<'r>,
    /// Memory for compressed chunks.
    buffers: Arc<Buffers>,
}

impl<'r> ChunkReader<'r> {
    /// `chunk_queue` is asked for once it is known whether chunks can be read where the table says they are.
    pub(super) fn new(
        manifest: &Manifest,
        manifest_crc32: Crc32,
        input: Input<'r>,
        order: impl FnOnce(&[ChunkRef], bool) -> ChunkQueue,
    ) -> Result<Self> {
        let way = match input {
            Input::Stream(rest) => ChunkSource::Sequential { rest, next: 0 },
            Input::Seekable(seekable) => ChunkSource::from_start(seekable)?,
            Input::Indexed(mut seekable, index) => {
                match index.matches_checksum(&mut seekable, manifest_crc32).map_err(read_error)? {
                    true => ChunkSource::Indexed(seekable, index),
                    false => ChunkSource::from_start(seekable)?,
                }
            }
        };
        let slots = chunk_refs(manifest);
        let order = order(&slots, matches!(way, ChunkSource::Indexed(..)));
        Ok(Self { slots, order, way, buffers: Arc::default() })
    }

    /// Whether chunks are read where the table says they are.
    pub(super) fn is_indexed(&self) -> bool {
        matches!(self.way, ChunkSource::Indexed(..))
    }

    /// What the table says about a chunk.
    pub(super) fn slot(&self, index: usize) -> ChunkRef {
        self.slots[index]
    }

    /// The next wanted chunk, or `None` behind the last.
    pub(super) fn next_index(&self) -> Option<usize> {
        self.order.next()
    }

    /// Gets the next wanted chunk, which is `index`.
    pub(super) fn fetch(&mut self, index: usize) -> FetchedChunk {
        self.order.advance();
        match &mut self.way {
            ChunkSource::Indexed(input, blocks) => match blocks.fetch(input, index, self.buffers.lend()) {
                Ok(block) => FetchedChunk::Deflated(block),
                Err(error) => FetchedChunk::Text(Err(read_error(error).into())),
            },
            ChunkSource::Sequential { rest, next } => {
                let skipped: u64 = self.slots[*next..index].iter().map(|slot| slot.bytes).sum();
                let slot = self.slots[index];
                *next = index + 1;
                FetchedChunk::Text(skip(rest, skipped).map_err(FailedChunk::from).and_then(|()| read_slot(rest, &slot)))
            }
        }
    }

    /// Gets the next wanted chunk and inflates it.
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
            return Some((self.slots[index], text));
        }
    }

    /// Reads from the start from now on, because chunk `index` does not lie where the table says. It comes again, and
    /// so does what was wanted behind it.
    pub(super) fn fall_back(&mut self, index: usize) -> Result<()> {
        let nothing = ChunkSource::Sequential {
            rest: Remainder { text: Box::new(io::empty()), content: StreamKind::Plain },
            next: 0,
        };
        self.way = match std::mem::replace(&mut self.way, nothing) {
            ChunkSource::Indexed(seekable, _) => ChunkSource::from_start(seekable)?,
            sequential @ ChunkSource::Sequential { .. } => sequential,
        };
        self.order.go_back(index);
        Ok(())
    }

    /// Checks that nothing follows the last chunk, where that was reached from the start.
    pub(super) fn check_end(&mut self) -> Result<()> {
        match &mut self.way {
            ChunkSource::Sequential { rest, next } if *next == self.slots.len() => super::check_end(rest),
            _ => Ok(()),
        }
    }
}

impl<'r> ChunkSource<'r> {
    fn from_start(mut seekable: Box<dyn ReadSeek + 'r>) -> Result<Self> {
        seekable.seek(SeekFrom::Start(0)).map_err(read_error)?;
        let (_, rest) = ManifestLine::read(seekable)?;
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

fn read_slot(rest: &mut Remainder<'_>, slot: &ChunkRef) -> Result<Vec<u8>, FailedChunk> {
    let mut content = Vec::new();
    let read = rest.by_ref().take(slot.bytes).read_to_end(&mut content).map_err(read_error);
    let is_short = (content.len() as u64) < slot.bytes;
    let error = match read {
        Err(error) => error,
        // Text that is not compressed does not say where it ends, so it may have been cut off.
        Ok(_) if is_short && (content.is_empty() || rest.content == StreamKind::Plain) => ErrorKind::ContentEnds.into(),
        Ok(_) if is_short || Crc32::of(&content) != slot.crc32 => ErrorKind::ChunkMismatch.into(),
        Ok(_) => return Ok(content),
    };
    // A cut does not change what lies before it; damage may.
    let is_cut = matches!(error.kind(), ErrorKind::ContentEnds | ErrorKind::Gzip(GzipFault::Truncated));
    let whole_lines = memchr::memrchr(b'\n', &content).map_or(0, |last| last + 1);
    content.truncate(if is_cut { whole_lines } else { 0 });
    Err(FailedChunk { lines_before: content, error })
}
