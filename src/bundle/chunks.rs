//! Reads a bundle by its chunks, each proven by its checksum, from where the table says or from the start.

use std::io::{self, Read, Seek, SeekFrom};

use super::slots::{Slot, slots};
use super::{Head, Input, ReadSeek, Rest, Selection};
use crate::digest::Crc32;
use crate::error::{Error, ErrorKind, GzipFault, IoAction, Result};
use crate::format::Manifest;
use crate::gzip::{Block, BlockIndex};

/// Where the chunks lie, if they lie there.
pub(super) fn index_that_fits<R: Read + Seek>(
    head: &Head,
    file_bytes: u64,
    input: &mut R,
) -> io::Result<Option<BlockIndex>> {
    let chunks = head.manifest.files.iter().flat_map(|file| &file.chunks);
    let blocks = chunks.map(|chunk| Block { compressed: chunk.compressed, bytes: chunk.bytes, crc32: chunk.crc32 });
    let Some(index) = BlockIndex::new(blocks.collect(), file_bytes) else { return Ok(None) };
    Ok(index.fits(input, head.bytes, head.crc32)?.then_some(index))
}

/// Why a chunk could not be had, and what of it came before that.
pub(super) struct Unread {
    /// Lines that came before the input ended. They are whole, but no checksum proves them.
    pub(super) lines_before: Vec<u8>,
    pub(super) error: Error,
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Self { lines_before: Vec::new(), error }
    }
}

enum Way<'r> {
    Indexed(Box<dyn ReadSeek + 'r>, BlockIndex),
    /// The rest of the text, from slot `next` on.
    Sequential {
        rest: Rest<'r>,
        next: usize,
    },
}

/// Hands out the wanted chunks in order.
pub(super) struct ChunkReader<'r> {
    slots: Vec<Slot>,
    selection: Selection,
    next: usize,
    way: Way<'r>,
}

impl<'r> ChunkReader<'r> {
    pub(super) fn new(
        manifest: &Manifest,
        manifest_crc32: Crc32,
        selection: &Selection,
        input: Input<'r>,
    ) -> Result<Self> {
        let way = match input {
            Input::Stream(rest) => Way::Sequential { rest, next: 0 },
            Input::Seekable(seekable) => Way::from_start(seekable)?,
            Input::Indexed(mut seekable, index) => {
                match index.matches_checksum(&mut seekable, manifest_crc32).map_err(read_error)? {
                    true => Way::Indexed(seekable, index),
                    false => Way::from_start(seekable)?,
                }
            }
        };
        Ok(Self { slots: slots(manifest), selection: selection.clone(), next: 0, way })
    }

    /// Whether chunks are read where the table says they are.
    pub(super) fn is_indexed(&self) -> bool {
        matches!(self.way, Way::Indexed(..))
    }

    /// The next wanted chunk's place and text, or `None` behind the last.
    pub(super) fn next_chunk(&mut self) -> Option<(Slot, Result<Vec<u8>, Unread>)> {
        let ahead = self.slots[self.next..].iter().position(|slot| self.selection.wants_chunk(slot))?;
        let index = self.next + ahead;
        self.next = index + 1;
        Some((self.slots[index], self.read(index)))
    }

    fn read(&mut self, index: usize) -> Result<Vec<u8>, Unread> {
        if let Way::Indexed(input, blocks) = &mut self.way {
            if let Ok(content) = blocks.read(input, index).map_err(read_error)? {
                return Ok(content);
            }
            // The table may be wrong about where the chunk lies. Only the stream itself can tell that from damage.
            self.fall_back()?;
        }
        let Way::Sequential { rest, next } = &mut self.way else { return Ok(Vec::new()) };
        let skipped: u64 = self.slots[*next..index].iter().map(|slot| slot.bytes).sum();
        let slot = self.slots[index];
        *next = index + 1;
        skip(rest, skipped)?;
        read_slot(rest, &slot)
    }

    fn fall_back(&mut self) -> Result<()> {
        let nothing = Way::Sequential { rest: Box::new(io::empty()), next: 0 };
        self.way = match std::mem::replace(&mut self.way, nothing) {
            Way::Indexed(seekable, _) => Way::from_start(seekable)?,
            sequential @ Way::Sequential { .. } => sequential,
        };
        Ok(())
    }

    /// Checks that nothing follows the last chunk, where that was reached from the start.
    pub(super) fn check_end(&mut self) -> Result<()> {
        match &mut self.way {
            Way::Sequential { rest, next } if *next == self.slots.len() => super::check_end(rest),
            _ => Ok(()),
        }
    }
}

impl<'r> Way<'r> {
    fn from_start(mut seekable: Box<dyn ReadSeek + 'r>) -> Result<Self> {
        seekable.seek(SeekFrom::Start(0)).map_err(read_error)?;
        let (_, rest) = Head::read(seekable)?;
        Ok(Self::Sequential { rest, next: 0 })
    }
}

fn read_error(error: io::Error) -> Error {
    Error::io_unnamed(IoAction::Read, error)
}

fn skip(rest: &mut Rest<'_>, bytes: u64) -> Result<()> {
    let skipped = io::copy(&mut rest.by_ref().take(bytes), &mut io::sink()).map_err(read_error)?;
    match skipped == bytes {
        true => Ok(()),
        false => Err(ErrorKind::ContentEnds.into()),
    }
}

fn read_slot(rest: &mut Rest<'_>, slot: &Slot) -> Result<Vec<u8>, Unread> {
    let mut content = Vec::new();
    let error = match rest.by_ref().take(slot.bytes).read_to_end(&mut content) {
        Err(error) => read_error(error),
        Ok(_) if (content.len() as u64) < slot.bytes => ErrorKind::ContentEnds.into(),
        Ok(_) if Crc32::of(&content) != slot.crc32 => return Err(Error::from(ErrorKind::ChunkMismatch).into()),
        Ok(_) => return Ok(content),
    };
    // A cut does not change what lies before it; damage may.
    let is_cut = matches!(error.kind(), ErrorKind::ContentEnds | ErrorKind::Gzip(GzipFault::Truncated));
    let whole_lines = memchr::memrchr(b'\n', &content).map_or(0, |last| last + 1);
    content.truncate(if is_cut { whole_lines } else { 0 });
    Err(Unread { lines_before: content, error })
}
