//! Cuts what follows the first line into parts.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::ops::Range;
use std::sync::Arc;

use super::chunk_lookup::Contents;
use super::resync::{self, ResyncStep};
use super::text::{TextCutter, TextPiece};
use super::{FirstLine, Scan};
use crate::buffers::Buffers;
use crate::bundle::ChunkRef;
use crate::error::GzipFault;
use crate::format::Manifest;
use crate::format::limits::MAX_ENVELOPE_BYTES;
use crate::gzip::{Anomaly, BlockReader, SequentialReader, StreamKind, TAIL_BYTES, Tail};

/// A part of a bundle, in the order of the stream.
#[derive(Debug)]
pub(crate) enum Part {
    /// Compressed data between two flush points, or where that should be.
    Block {
        /// Which chunk of the table it is.
        slot: Option<usize>,
        /// Which chunk of the table is due.
        due: usize,
        /// Where it begins in the file.
        offset: u64,
        data: Vec<u8>,
        /// Whether it may be no block at all, because it lies where damage was found before.
        is_guess: bool,
    },
    /// Whole lines of text.
    Text {
        /// Which chunk of the table stands at this place.
        slot: Option<usize>,
        /// Where it begins in the file, when that is not compressed.
        offset: Option<u64>,
        text: Vec<u8>,
    },
    /// A line that is longer than any row was left out here.
    TooLong,
    /// Chunks that are nowhere.
    Missing(Range<usize>),
    /// Something odd about the container, and its byte.
    Odd(Anomaly, u64),
    /// The end of the member whose blocks came before.
    Tail(Tail),
}

impl Part {
    /// Bytes of the input that it takes, about.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Block { data, .. } => data.len() as u64,
            Self::Text { offset: Some(_), text, .. } => text.len() as u64,
            _ => 0,
        }
    }

    /// About how much memory it takes to read.
    pub(crate) fn weight(&self, chunk_refs: &[ChunkRef]) -> usize {
        match self {
            Self::Block { slot, data, .. } => {
                let declared = slot.map_or(0, |slot| chunk_refs[slot].bytes);
                usize::try_from(declared.saturating_mul(3)).unwrap_or(usize::MAX).saturating_add(data.len())
            }
            Self::Text { text, .. } => text.len().saturating_mul(3),
            _ => 0,
        }
    }
}

/// Text that comes behind what was read of it already.
type RemainingText<R> = io::Chain<Cursor<Vec<u8>>, SequentialReader<R>>;

enum PartSource<R> {
    Blocks(BlockReader<R>),
    /// What comes behind blocks: nothing, in a sound bundle.
    Behind(TextCutter<SequentialReader<R>>),
    Text(TextCutter<RemainingText<R>>),
    End,
}

/// Hands out the parts.
pub(crate) struct Parts<R> {
    way: PartSource<R>,
    chunk_refs: Vec<ChunkRef>,
    contents: Contents,
    /// The chunk that is due.
    next: usize,
    /// Whether the chunk before was not where the table has it, so that the next one must be looked for.
    is_lost: bool,
    /// Whether blocks are looked for behind damage.
    is_guessing: bool,
    is_plain: bool,
    /// The most bytes that a line can have.
    longest_line: u64,
    buffers: Arc<Buffers>,
    ready: VecDeque<Part>,
}

impl<R: Read> Scan<R> {
    /// What follows the first line, which is this manifest's, if that can be read; `chunk_refs` is its chunk table. Without a
    /// manifest, blocks are found by their flush points. With one that has no chunk table, the rest is read as text.
    pub(crate) fn parts(
        mut self,
        manifest: Option<&Manifest>,
        chunk_refs: &[ChunkRef],
        buffers: &Arc<Buffers>,
    ) -> Parts<R> {
        let longest_line = manifest.map_or(MAX_ENVELOPE_BYTES, Manifest::most_envelope_bytes);
        let table =
            manifest.map_or(Some(Vec::new()), |manifest| manifest.has_chunk_table().then(|| chunk_refs.to_vec()));
        let is_guessing = !matches!(self.first_line, FirstLine::ContainerClaim { .. });
        let in_blocks = is_guessing || table.is_some() && self.has_blocks();
        let mut ready = VecDeque::new();
        let way = if in_blocks {
            self.stream.check_flush_point();
            ready.extend(self.stream.take_anomalies().into_iter().map(|(odd, at)| Part::Odd(odd, at)));
            PartSource::Blocks(self.stream.into_blocks())
        } else {
            PartSource::Text(TextCutter::new(Cursor::new(self.behind).chain(self.stream), longest_line))
        };
        let is_plain = self.content == StreamKind::Plain;
        let chunk_refs = table.unwrap_or_default();
        let (contents, buffers) = (Contents::default(), Arc::clone(buffers));
        Parts {
            way,
            chunk_refs,
            contents,
            next: 0,
            is_lost: false,
            is_guessing,
            is_plain,
            longest_line,
            buffers,
            ready,
        }
    }
}

impl<R: Read> Parts<R> {
    /// Whether the rest is read as text, which the reader holds against the end of its member by itself.
    pub(crate) fn are_text(&self) -> bool {
        matches!(self.way, PartSource::Text(_))
    }

    /// The next part, or `None` behind the last.
    ///
    /// # Errors
    /// When reading the input fails.
    pub(crate) fn next_part(&mut self) -> io::Result<Option<Part>> {
        while self.ready.is_empty() {
            let way = std::mem::replace(&mut self.way, PartSource::End);
            self.way = match way {
                PartSource::Blocks(blocks) => self.cut_block(blocks)?,
                PartSource::Text(text) => self.cut_text(text)?,
                PartSource::Behind(text) => self.cut_behind(text)?,
                PartSource::End => return Ok(None),
            };
        }
        Ok(self.ready.pop_front())
    }

    fn cut_block(&mut self, mut blocks: BlockReader<R>) -> io::Result<PartSource<R>> {
        if std::mem::take(&mut self.is_lost) && self.next > 0 {
            let found = resync::find_again(&mut blocks, &self.chunk_refs, &self.contents, self.next - 1)?;
            if found > self.next {
                self.ready.push_back(Part::Missing(self.next..found));
                self.next = found;
            }
        }
        match resync::step(&mut blocks, &self.chunk_refs, &self.contents, self.next)? {
            ResyncStep::AsTable(chunk_refs) => {
                self.next = chunk_refs.end;
                for slot in chunk_refs {
                    let length = resync::plausible_length(&self.chunk_refs[slot]);
                    self.take_block(&mut blocks, Some(slot), length)?;
                }
            }
            ResyncStep::Other { slot, length } => {
                self.take_block(&mut blocks, slot, length)?;
                if let Some(slot) = slot {
                    self.next = slot + 1;
                    self.is_lost = true;
                }
            }
            ResyncStep::Missing(chunk_refs) => {
                self.next = chunk_refs.end;
                self.ready.push_back(Part::Missing(chunk_refs));
            }
            ResyncStep::Tail => return self.cut_tail(blocks),
        }
        Ok(PartSource::Blocks(blocks))
    }

    fn take_block(&mut self, blocks: &mut BlockReader<R>, slot: Option<usize>, length: u64) -> io::Result<()> {
        let offset = blocks.offset();
        let data = blocks.take(length, self.buffers.take())?;
        let due = slot.unwrap_or(self.next);
        self.ready.push_back(Part::Block { slot, due, offset, data, is_guess: self.is_guessing });
        Ok(())
    }

    fn cut_tail(&mut self, mut blocks: BlockReader<R>) -> io::Result<PartSource<R>> {
        let at = blocks.offset();
        if !blocks.is_at_tail()? && !blocks.is_tail_at(0)? {
            if blocks.pass_over_unmarked()? {
                // What is there is neither a block nor the end. More may follow.
                self.odd(GzipFault::Deflate, at);
                self.is_guessing = true;
                return Ok(PartSource::Blocks(blocks));
            }
            let is_cut = blocks.offset() - at < TAIL_BYTES;
            self.odd(if is_cut { GzipFault::Truncated } else { GzipFault::Deflate }, at);
            return Ok(PartSource::End);
        }
        let Some(tail) = blocks.take_tail()? else {
            self.odd(GzipFault::Truncated, blocks.offset());
            return Ok(PartSource::End);
        };
        if !self.is_guessing {
            self.ready.push_back(Part::Tail(tail));
        }
        Ok(PartSource::Behind(TextCutter::new(blocks.behind_member(), self.longest_line)))
    }

    fn odd(&mut self, fault: GzipFault, at: u64) {
        // Where blocks are guessed at, the damage is known.
        if !self.is_guessing {
            self.ready.push_back(Part::Odd(Anomaly::Fault(fault), at));
        }
    }

    fn cut_text(&mut self, mut text: TextCutter<RemainingText<R>>) -> io::Result<PartSource<R>> {
        let offset = text.offset();
        if let Some(mut piece) = text.next_piece(self.chunk_refs.get(self.next..).unwrap_or_default())? {
            if text.inner_mut().get_ref().1.ended_early() {
                piece.drop_cut_line();
            }
            self.push_piece(piece, offset);
            return Ok(PartSource::Text(text));
        }
        let mut stream = text.into_inner().into_inner().1;
        self.push_noted(&mut stream);
        if self.next < self.chunk_refs.len() {
            self.ready.push_back(Part::Missing(self.next..self.chunk_refs.len()));
            self.next = self.chunk_refs.len();
        }
        if !stream.is_broken() {
            return Ok(PartSource::End);
        }
        self.is_guessing = true;
        Ok(PartSource::Blocks(stream.into_blocks()))
    }

    fn cut_behind(&mut self, mut text: TextCutter<SequentialReader<R>>) -> io::Result<PartSource<R>> {
        let piece = text.next_piece(&[])?;
        self.push_noted(text.inner_mut());
        let Some(piece) = piece else { return Ok(PartSource::End) };
        self.push_piece(piece, 0);
        Ok(PartSource::Behind(text))
    }

    fn push_piece(&mut self, piece: TextPiece, offset: u64) {
        let slot = Some(self.next).filter(|next| *next < self.chunk_refs.len());
        let part = match piece {
            TextPiece::TooLong => Part::TooLong,
            TextPiece::Missing => {
                self.next += 1;
                Part::Missing(self.next - 1..self.next)
            }
            TextPiece::PartLines(text) | TextPiece::Beside(text) if text.is_empty() => return,
            TextPiece::Beside(text) => Part::Text { slot: None, offset: self.is_plain.then_some(offset), text },
            TextPiece::PartLines(text) => {
                self.next += usize::from(slot.is_some());
                Part::Text { slot, offset: self.is_plain.then_some(offset), text }
            }
        };
        self.ready.push_back(part);
    }

    fn push_noted(&mut self, stream: &mut SequentialReader<R>) {
        self.ready.extend(stream.take_anomalies().into_iter().map(|(odd, at)| Part::Odd(odd, at)));
    }
}
