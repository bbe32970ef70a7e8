//! Cuts the input after the first line into parts.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::ops::Range;
use std::sync::Arc;

use super::chunk_lookup::ChunkLookup;
use super::resync::{self, ResyncStep};
use super::text::{TextCutter, TextPiece};
use super::{FirstLine, Scan};
use crate::buffers::Buffers;
use crate::bundle::ChunkRef;
use crate::error::GzipFault;
use crate::format::Manifest;
use crate::format::limits::MAX_ENVELOPE_BYTES;
use crate::gzip::{Anomaly, BlockReader, SequentialReader, StreamKind, TAIL_BYTES, Tail};

/// A part of a bundle, in stream order.
#[derive(Debug)]
pub(crate) enum Part {
    /// Compressed data between two flush points, or between the offsets where they should be.
    Block {
        /// The chunk of the table that this block is.
        slot: Option<usize>,
        /// The chunk of the table that is expected here.
        due: usize,
        /// The block's offset in the file.
        offset: u64,
        data: Vec<u8>,
        /// True if this may not be a block because damage was found earlier.
        is_guess: bool,
    },
    /// Whole lines of text.
    Text {
        /// The chunk of the table at this position.
        slot: Option<usize>,
        /// The text's offset in the file, if the file is not compressed.
        offset: Option<u64>,
        text: Vec<u8>,
    },
    /// A line longer than any row was skipped here.
    TooLong,
    /// Chunks that were not found.
    Missing(Range<usize>),
    /// An anomaly of the container and its byte offset.
    Odd(Anomaly, u64),
    /// The end of the member that held the preceding blocks.
    Tail(Tail),
}

impl Part {
    /// Returns the approximate number of input bytes in this part.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Block { data, .. } => data.len() as u64,
            Self::Text { offset: Some(_), text, .. } => text.len() as u64,
            _ => 0,
        }
    }

    /// Returns the approximate memory needed to read this part.
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

/// Text that was already read, followed by the rest of the stream.
type RemainingText<R> = io::Chain<Cursor<Vec<u8>>, SequentialReader<R>>;

enum PartSource<R> {
    Blocks(BlockReader<R>),
    /// The input after the member; empty in a sound bundle.
    AfterMember(TextCutter<SequentialReader<R>>),
    Text(TextCutter<RemainingText<R>>),
    End,
}

/// Iterates over the parts.
pub(crate) struct Parts<R> {
    source: PartSource<R>,
    chunk_refs: Vec<ChunkRef>,
    lookup: ChunkLookup,
    /// The chunk that is expected next.
    next: usize,
    /// True if the previous chunk was not where the table places it, so the next one must be searched for.
    must_relocate: bool,
    /// True if blocks are being searched for after damage.
    is_guessing: bool,
    is_plain: bool,
    /// The maximum line length in bytes.
    longest_line: u64,
    buffers: Arc<Buffers>,
    ready: VecDeque<Part>,
}

impl<R: Read> Scan<R> {
    /// Returns the parts after the first line. `manifest` is the manifest of that line, if readable, and
    /// `chunk_refs` is its chunk table. Without a manifest, blocks are found by their flush points. With a manifest
    /// that has no chunk table, the rest is read as text.
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
        let source = if in_blocks {
            self.stream.check_flush_point();
            ready.extend(self.stream.take_anomalies().into_iter().map(|(anomaly, at)| Part::Odd(anomaly, at)));
            PartSource::Blocks(self.stream.into_blocks())
        } else {
            PartSource::Text(TextCutter::new(Cursor::new(self.after_first_line).chain(self.stream), longest_line))
        };
        let is_plain = self.content == StreamKind::Plain;
        let chunk_refs = table.unwrap_or_default();
        let (lookup, buffers) = (ChunkLookup::default(), Arc::clone(buffers));
        Parts {
            source,
            chunk_refs,
            lookup,
            next: 0,
            must_relocate: false,
            is_guessing,
            is_plain,
            longest_line,
            buffers,
            ready,
        }
    }
}

impl<R: Read> Parts<R> {
    /// Returns true if the rest is read as text. The stream reader then checks the end of its member itself.
    pub(crate) fn are_text(&self) -> bool {
        matches!(self.source, PartSource::Text(_))
    }

    /// Returns the next part, or `None` after the last.
    ///
    /// # Errors
    /// If reading the input fails.
    pub(crate) fn next_part(&mut self) -> io::Result<Option<Part>> {
        while self.ready.is_empty() {
            let source = std::mem::replace(&mut self.source, PartSource::End);
            self.source = match source {
                PartSource::Blocks(blocks) => self.cut_block(blocks)?,
                PartSource::Text(text) => self.cut_text(text)?,
                PartSource::AfterMember(text) => self.cut_after_member(text)?,
                PartSource::End => return Ok(None),
            };
        }
        Ok(self.ready.pop_front())
    }

    fn cut_block(&mut self, mut blocks: BlockReader<R>) -> io::Result<PartSource<R>> {
        if std::mem::take(&mut self.must_relocate) && self.next > 0 {
            let found = resync::locate_chunk(&mut blocks, &self.chunk_refs, &self.lookup, self.next - 1)?;
            if found > self.next {
                self.ready.push_back(Part::Missing(self.next..found));
                self.next = found;
            }
        }
        match resync::step(&mut blocks, &self.chunk_refs, &self.lookup, self.next)? {
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
                    self.must_relocate = true;
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
                // This is neither a block nor the end of the member. More may follow.
                self.push_fault(GzipFault::Deflate, at);
                self.is_guessing = true;
                return Ok(PartSource::Blocks(blocks));
            }
            let is_cut = blocks.offset() - at < TAIL_BYTES;
            self.push_fault(if is_cut { GzipFault::Truncated } else { GzipFault::Deflate }, at);
            return Ok(PartSource::End);
        }
        let Some(tail) = blocks.take_tail()? else {
            self.push_fault(GzipFault::Truncated, blocks.offset());
            return Ok(PartSource::End);
        };
        if !self.is_guessing {
            self.ready.push_back(Part::Tail(tail));
        }
        Ok(PartSource::AfterMember(TextCutter::new(blocks.behind_member(), self.longest_line)))
    }

    fn push_fault(&mut self, fault: GzipFault, at: u64) {
        // While guessing at blocks, the damage has already been reported.
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
        self.push_anomalies(&mut stream);
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

    fn cut_after_member(&mut self, mut text: TextCutter<SequentialReader<R>>) -> io::Result<PartSource<R>> {
        let piece = text.next_piece(&[])?;
        self.push_anomalies(text.inner_mut());
        let Some(piece) = piece else { return Ok(PartSource::End) };
        self.push_piece(piece, 0);
        Ok(PartSource::AfterMember(text))
    }

    fn push_piece(&mut self, piece: TextPiece, offset: u64) {
        let slot = Some(self.next).filter(|next| *next < self.chunk_refs.len());
        let part = match piece {
            TextPiece::TooLong => Part::TooLong,
            TextPiece::Missing => {
                self.next += 1;
                Part::Missing(self.next - 1..self.next)
            }
            TextPiece::PartLines(text) | TextPiece::Unassigned(text) if text.is_empty() => return,
            TextPiece::Unassigned(text) => Part::Text { slot: None, offset: self.is_plain.then_some(offset), text },
            TextPiece::PartLines(text) => {
                self.next += usize::from(slot.is_some());
                Part::Text { slot, offset: self.is_plain.then_some(offset), text }
            }
        };
        self.ready.push_back(part);
    }

    fn push_anomalies(&mut self, stream: &mut SequentialReader<R>) {
        self.ready.extend(stream.take_anomalies().into_iter().map(|(anomaly, at)| Part::Odd(anomaly, at)));
    }
}
