//! Cuts the input after the first line into parts.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use super::first_line::{FirstLine, Scan};
use super::locate::{LocatedItem, Locator};
use super::part::Part;
use super::text::{TextCutter, TextPiece};
use crate::buffers::Buffers;
use crate::bundle::ChunkRef;
use crate::container::Input;
use crate::format::Manifest;
use crate::format::limits::MAX_ENVELOPE_BYTES;
use crate::gzip::{Anomaly, SequentialReader, StreamKind};

/// Text that was already read, followed by the rest of the stream.
type RemainingText<'r> = io::Chain<Cursor<Vec<u8>>, SequentialReader<Input<'r>>>;

enum PartSource<'r> {
    Blocks(Box<Locator<'r>>),
    /// The input after the member; empty in a sound bundle.
    AfterMember(TextCutter<SequentialReader<Input<'r>>>),
    Text(TextCutter<RemainingText<'r>>),
    End,
}

/// Iterates over the parts.
pub(crate) struct Parts<'r> {
    source: PartSource<'r>,
    chunk_refs: Vec<ChunkRef>,
    /// The chunk whose text is expected next.
    next: usize,
    is_plain: bool,
    /// The maximum line length in bytes.
    longest_line: u64,
    buffers: Arc<Buffers>,
    ready: VecDeque<Part>,
}

impl<'r> Scan<'r> {
    /// Returns the parts after the first line. `manifest` is the manifest of that line, if readable, and
    /// `chunk_refs` is its chunk table. Without a manifest, blocks are found by their flush points. With a manifest
    /// that has no chunk table, the rest is read as text.
    pub(crate) fn parts(
        mut self,
        manifest: Option<&Manifest>,
        chunk_refs: &[ChunkRef],
        buffers: &Arc<Buffers>,
    ) -> Parts<'r> {
        let longest_line = manifest.map_or(MAX_ENVELOPE_BYTES, Manifest::max_envelope_bytes);
        let table = manifest.is_none_or(Manifest::has_chunk_table).then(|| chunk_refs.to_vec());
        let is_guessing = !matches!(self.first_line, FirstLine::Line { .. });
        let in_blocks = is_guessing || table.is_some() && self.has_blocks();
        let (chunk_refs, mut ready) = (table.unwrap_or_default(), VecDeque::new());
        let source = if in_blocks {
            self.stream.check_flush_point();
            ready.extend(self.stream.take_anomalies().into_iter().map(|(anomaly, at)| Part::Anomaly(anomaly, at)));
            let source = self.stream.into_source();
            PartSource::Blocks(Box::new(Locator::new(source, chunk_refs.clone(), is_guessing, buffers)))
        } else {
            PartSource::Text(TextCutter::new(Cursor::new(self.after_first_line).chain(self.stream), longest_line))
        };
        let (is_plain, buffers) = (self.content == StreamKind::Plain, Arc::clone(buffers));
        Parts { source, chunk_refs, next: 0, is_plain, longest_line, buffers, ready }
    }
}

impl<'r> Parts<'r> {
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
            if let PartSource::Blocks(blocks) = &mut self.source {
                let located = blocks.next()?;
                let is_guessing = blocks.is_guessing();
                self.take_located(located, is_guessing);
                continue;
            }
            self.source = match std::mem::replace(&mut self.source, PartSource::End) {
                PartSource::Text(text) => self.cut_text(text)?,
                PartSource::AfterMember(text) => self.cut_after_member(text)?,
                PartSource::End | PartSource::Blocks(_) => return Ok(None),
            };
        }
        Ok(self.ready.pop_front())
    }

    /// Takes an item that was found between flush points. While guessing at blocks, the damage has already been
    /// reported.
    fn take_located(&mut self, located: LocatedItem<'r>, is_guessing: bool) {
        let part = match located {
            LocatedItem::Part(part) => part,
            LocatedItem::Tail(tail, after) => {
                self.next = self.chunk_refs.len();
                let after = TextCutter::new(SequentialReader::after_member(after), self.longest_line);
                self.source = PartSource::AfterMember(after);
                Part::Tail(tail)
            }
            LocatedItem::End { fault, offset } => {
                self.source = PartSource::End;
                Part::Anomaly(Anomaly::Fault(fault), offset)
            }
        };
        if !is_guessing || !matches!(part, Part::Anomaly(..) | Part::Tail(_)) {
            self.ready.push_back(part);
        }
    }

    fn cut_text(&mut self, mut text: TextCutter<RemainingText<'r>>) -> io::Result<PartSource<'r>> {
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
        let blocks = Locator::new(stream.into_source(), Vec::new(), true, &self.buffers);
        Ok(PartSource::Blocks(Box::new(blocks)))
    }

    fn cut_after_member(&mut self, mut text: TextCutter<SequentialReader<Input<'r>>>) -> io::Result<PartSource<'r>> {
        let piece = text.next_piece(&[])?;
        self.push_anomalies(text.inner_mut());
        let Some(piece) = piece else { return Ok(PartSource::End) };
        self.push_piece(piece, 0);
        Ok(PartSource::AfterMember(text))
    }

    fn push_piece(&mut self, piece: TextPiece, offset: u64) {
        let chunk = Some(self.next).filter(|next| *next < self.chunk_refs.len());
        let part = match piece {
            TextPiece::TooLong => Part::TooLong,
            TextPiece::Missing => {
                self.next += 1;
                Part::Missing(self.next - 1..self.next)
            }
            TextPiece::Lines(text) | TextPiece::Unassigned(text) if text.is_empty() => return,
            TextPiece::Unassigned(text) => Part::Text { chunk: None, offset: self.is_plain.then_some(offset), text },
            TextPiece::Lines(text) => {
                self.next += usize::from(chunk.is_some());
                Part::Text { chunk, offset: self.is_plain.then_some(offset), text }
            }
        };
        self.ready.push_back(part);
    }

    fn push_anomalies(&mut self, stream: &mut SequentialReader<Input<'r>>) {
        self.ready.extend(stream.take_anomalies().into_iter().map(|(anomaly, at)| Part::Anomaly(anomaly, at)));
    }
}
