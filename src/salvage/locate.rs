//! Finds the chunks of a bundle in its compressed data.
//!
//! The input is read once, as a stream, while each chunk ends at a flush mark where the table places it. At the first
//! chunk that does not, the input is made rereadable, and the rest is searched in this order:
//!
//! 1. Backwards from the end of the file, for chunks that lie between flush marks where the table places them.
//! 2. In the remaining gap, for blocks between flush marks that have the checksum and length of a chunk.
//! 3. Data between the chunks found is damaged. It is attributed to the chunks that are missing there.
//!
//! Without a table, there is a block at every flush mark.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use super::chunk_lookup::ChunkLookup;
use super::part::Part;
use crate::buffers::Buffers;
use crate::bundle::ChunkRef;
use crate::container::{Input, Reread};
use crate::error::GzipFault;
use crate::gzip::{Anomaly, FLUSH_MARK, Fingerprints, PeekReader, READ_BYTES, TAIL_BYTES, Tail};

/// The maximum length of data between two flush marks that is read as one block if it is not a chunk.
const MAX_UNKNOWN_BYTES: u64 = 64 << 20;

/// The number of bytes at the end of longer data that are searched for a block.
const LAST_UNKNOWN_BYTES: u64 = 1 << 20;

/// The length below which no block can hold a row.
const MIN_BLOCK_BYTES: u64 = 16;

/// The number of missing chunks that are searched for at the end of a block.
const MAX_CANDIDATES: usize = 16;

/// The budget for these searches: the number of candidates, and the bytes of their content. Only a crafted input needs
/// more.
const MAX_TRIED: usize = 1 << 16;
const MAX_TRIED_BYTES: u64 = 256 << 20;

/// Iterates over the parts of compressed data.
pub(super) struct Locator<'r> {
    source: BlockSource<'r>,
    chunks: Vec<ChunkRef>,
    /// The chunk that is expected next.
    next: usize,
    is_guessing: bool,
    buffers: Arc<Buffers>,
}

enum BlockSource<'r> {
    /// All chunks so far were at their offsets.
    InPlace(PeekReader<Input<'r>>),
    Damaged(Box<Gap<'r>>),
    /// The input after the member, if the end of the member was found.
    Ended(Option<PeekReader<Input<'r>>>),
}

/// The data from the first damage on.
struct Gap<'r> {
    input: Reread<'r>,
    /// The offset of the first data that has not been attributed yet.
    at: u64,
    /// The first of the chunks that were found backwards from the end of the file, and its offset.
    back: usize,
    back_at: u64,
    /// The next data, if no chunk was found in it, and the chunk found after it.
    unknown: Option<Unknown>,
    found: Option<(usize, Range<u64>)>,
    lookup: ChunkLookup,
    fingerprints: Fingerprints,
    /// The remaining budget for candidates, in blocks and bytes.
    left: (usize, u64),
}

/// Data in which no chunk was found, and the missing chunks that it may be.
struct Unknown {
    chunks: Range<usize>,
    bytes: Range<u64>,
    /// True if the data is as long as these chunks, so that each is where the table places it.
    is_in_place: bool,
    /// True if some earlier data was skipped.
    is_remnant: bool,
}

impl<'r> Locator<'r> {
    /// Starts at the next byte of `source`. `chunks` is the table. `is_guessing` is true if damage was found earlier,
    /// so the data that follows may not be blocks.
    pub(super) fn new(
        source: PeekReader<Input<'r>>,
        chunks: Vec<ChunkRef>,
        is_guessing: bool,
        buffers: &Arc<Buffers>,
    ) -> Self {
        let source = BlockSource::InPlace(source);
        Self { source, chunks, next: 0, is_guessing, buffers: Arc::clone(buffers) }
    }

    /// Returns the input after the member, if its end was found.
    pub(super) fn into_rest(self) -> Option<PeekReader<Input<'r>>> {
        if let BlockSource::Ended(rest) = self.source { rest } else { None }
    }

    /// Returns the next part, or `None` at the end of the member or the input. Omits anomalies and tails while
    /// guessing, because the damage has already been reported.
    pub(super) fn next(&mut self) -> io::Result<Option<Part>> {
        loop {
            match self.next_part()? {
                Some(Part::Anomaly(..) | Part::Tail(_)) if self.is_guessing => {}
                part => return Ok(part),
            }
        }
    }

    fn next_part(&mut self) -> io::Result<Option<Part>> {
        loop {
            let part;
            (part, self.source) = match std::mem::replace(&mut self.source, BlockSource::Ended(None)) {
                BlockSource::InPlace(source) => self.next_in_place(source)?,
                BlockSource::Damaged(mut gap) => match self.next_in_gap(&mut gap)? {
                    Some(part) => (Some(part), BlockSource::Damaged(gap)),
                    None => self.end(*gap)?,
                },
                ended @ BlockSource::Ended(_) => {
                    self.source = ended;
                    return Ok(None);
                }
            };
            if part.is_some() {
                return Ok(part);
            }
        }
    }

    /// Returns the expected chunk if a flush mark is where it should end, or the end of the member after the last
    /// chunk.
    fn next_in_place(&mut self, mut source: PeekReader<Input<'r>>) -> io::Result<(Option<Part>, BlockSource<'r>)> {
        let offset = source.offset();
        if let Some(chunk) = self.chunks.get(self.next).filter(|chunk| is_plausible(chunk)) {
            let length = usize::try_from(chunk.compressed).unwrap_or(usize::MAX);
            if source.has_mark_at(length)? {
                let mut data = self.buffers.take();
                data.extend_from_slice(&source.peek(length)?[..length]);
                source.consume(length);
                self.next += 1;
                let (chunk, due) = (Some(self.next - 1), self.next - 1);
                let part = Part::Block { chunk, due, offset, data, is_at_end: false, is_guess: self.is_guessing };
                return Ok((Some(part), BlockSource::InPlace(source)));
            }
        } else if self.next == self.chunks.len()
            && self.is_tail(source.peek(TAIL_BYTES + READ_BYTES)?)
            && let Some(bytes) = source.take()?
        {
            return Ok((Some(Part::Tail(Tail::decode(offset, bytes))), BlockSource::Ended(Some(source))));
        } else if self.next == self.chunks.len()
            && !self.chunks.is_empty()
            && let Some((tail, length)) = Tail::decode_other(offset, source.peek(READ_BYTES)?)
        {
            source.consume(length);
            return Ok((Some(Part::Tail(tail)), BlockSource::Ended(Some(source))));
        }
        let (input, unread) = source.into_parts();
        let gap = Gap::new(Reread::new(input, &unread, offset)?, offset, self)?;
        Ok((None, BlockSource::Damaged(Box::new(gap))))
    }

    /// Returns true if the member ends at the start of `ahead`, after all chunks.
    fn is_tail(&self, ahead: &[u8]) -> bool {
        // Without a table, damage that resembles the end of a member must not hide what follows.
        ahead.len() == TAIL_BYTES || if self.chunks.is_empty() { Tail::may_be_at(ahead) } else { Tail::is_at(ahead) }
    }

    /// Returns the next part, or `None` after the last.
    fn next_in_gap(&mut self, gap: &mut Gap<'r>) -> io::Result<Option<Part>> {
        loop {
            if let Some(part) = self.next_unknown(gap)? {
                return Ok(Some(part));
            }
            if let Some((chunk, bytes)) = gap.found.take() {
                (self.next, gap.at) = (chunk + 1, bytes.end);
                return self.block(gap, Some(chunk), bytes, self.is_guessing).map(Some);
            }
            let before = (self.next, gap.at);
            if self.next < self.chunks.len() {
                gap.found = gap.locate(&self.chunks, self.next)?;
                let found = gap.found.as_ref().map(|(chunk, bytes)| (*chunk, bytes.start));
                (self.next, gap.at) = found.unwrap_or((self.chunks.len(), gap.back_at));
            } else if self.is_tail(gap.input.peek(gap.at, TAIL_BYTES + READ_BYTES)?) {
                return Ok(None);
            } else if let Some(end) = gap.next_mark(gap.at, gap.input.end())? {
                gap.at = end;
            } else {
                return Ok(None);
            }
            gap.set_unknown(&self.chunks, before.0..self.next, before.1..gap.at);
        }
    }

    /// Returns the next part of the data in which no chunk was found.
    fn next_unknown(&mut self, gap: &mut Gap<'r>) -> io::Result<Option<Part>> {
        let Some(mut unknown) = gap.unknown.take() else { return Ok(None) };
        let Range { start, end } = unknown.bytes.clone();
        if start == end {
            return Ok((!unknown.chunks.is_empty()).then_some(Part::Missing(unknown.chunks)));
        }
        let chunk = unknown.chunks.next();
        let mut end = match chunk.filter(|_| unknown.is_in_place) {
            Some(chunk) => start + self.chunks[chunk].compressed,
            None => gap.next_mark(start, end)?.unwrap_or(end),
        };
        let is_long = end - start > MAX_UNKNOWN_BYTES;
        if let Some(chunk) = chunk.filter(|_| is_long) {
            end = start + plausible_length(&self.chunks[chunk]).min(end - start);
        } else if is_long {
            (unknown.bytes.start, unknown.is_remnant) = (end - LAST_UNKNOWN_BYTES, true);
            gap.unknown = Some(unknown);
            return Ok(Some(Part::Anomaly(Anomaly::Fault(GzipFault::Deflate), start)));
        }
        unknown.bytes.start = end;
        let is_guess = self.is_guessing || unknown.is_remnant;
        unknown.is_remnant = false;
        gap.unknown = Some(unknown);
        self.block(gap, chunk, start..end, is_guess).map(Some)
    }

    fn block(&self, gap: &mut Gap<'r>, chunk: Option<usize>, bytes: Range<u64>, is_guess: bool) -> io::Result<Part> {
        let (offset, is_at_end, mut data) = (bytes.start, bytes.end == gap.input.end(), self.buffers.take());
        gap.input.read(bytes, &mut data)?;
        Ok(Part::Block { chunk, due: chunk.unwrap_or(self.next), offset, data, is_at_end, is_guess })
    }

    /// Returns the end of the member, or of the input.
    fn end(&self, mut gap: Gap<'r>) -> io::Result<(Option<Part>, BlockSource<'r>)> {
        let offset = gap.at;
        let ahead = gap.input.peek(offset, TAIL_BYTES + READ_BYTES)?;
        if let Some(&bytes) = ahead.first_chunk().filter(|_| self.is_tail(ahead)) {
            let after = offset + TAIL_BYTES as u64;
            let rest = PeekReader::at(gap.input.into_input(after)?, after);
            return Ok((Some(Part::Tail(Tail::decode(offset, bytes))), BlockSource::Ended(Some(rest))));
        }
        let (fault, offset) = match ahead.len() < TAIL_BYTES {
            true => (GzipFault::Truncated, if Tail::is_at(ahead) { offset + 2 } else { offset }),
            false => (GzipFault::Deflate, offset),
        };
        Ok((Some(Part::Anomaly(Anomaly::Fault(fault), offset)), BlockSource::Ended(None)))
    }
}

impl<'r> Gap<'r> {
    fn new(mut input: Reread<'r>, at: u64, locator: &Locator<'r>) -> io::Result<Self> {
        let (all, tail_bytes) = (input.end(), TAIL_BYTES as u64);
        let (mut end, mut is_certain) = (all, true);
        if let Some(tail) = all.checked_sub(tail_bytes).filter(|tail| *tail >= at && !locator.chunks.is_empty()) {
            is_certain = Tail::is_at(input.peek(tail, TAIL_BYTES)?);
            if is_certain || input.ends_with(tail, &FLUSH_MARK)? {
                end = tail;
            }
        }
        let mut gap = Self {
            input,
            at,
            back: locator.chunks.len(),
            back_at: end,
            unknown: None,
            found: None,
            lookup: ChunkLookup::default(),
            fingerprints: Fingerprints::default(),
            left: (MAX_TRIED, MAX_TRIED_BYTES),
        };
        while gap.back > locator.next {
            let chunk = &locator.chunks[gap.back - 1];
            let Some(start) = gap.back_at.checked_sub(chunk.compressed).filter(|start| *start >= at) else { break };
            let is_whole = is_plausible(chunk) && gap.has_mark_at(gap.back_at)?;
            if !is_whole || start != at && !gap.has_mark_at(start)? {
                break;
            }
            (gap.back, gap.back_at) = (gap.back - 1, start);
        }
        if !is_certain && gap.back == locator.chunks.len() {
            gap.back_at = all;
        }
        Ok(gap)
    }

    /// Finds the first chunk from `next` on that is still in the input.
    fn locate(&mut self, table: &[ChunkRef], next: usize) -> io::Result<Option<(usize, Range<u64>)>> {
        if next < self.back {
            let end = self.at.saturating_add(table[next].compressed);
            if end <= self.back_at && is_plausible(&table[next]) && self.has_mark_at(end)? {
                return Ok(Some((next, self.at..end)));
            }
            if let Some(found) = self.find_chunk(table, next)? {
                return Ok(Some(found));
            }
        }
        let Some(chunk) = table.get(self.back) else { return Ok(None) };
        let start = self.back_at;
        (self.back, self.back_at) = (self.back + 1, start + chunk.compressed);
        Ok(Some((self.back - 1, start..self.back_at)))
    }

    fn has_mark_at(&mut self, end: u64) -> io::Result<bool> {
        self.input.ends_with(end, &FLUSH_MARK)
    }

    fn next_mark(&mut self, start: u64, end: u64) -> io::Result<Option<u64>> {
        self.input.find(start, end, &FLUSH_MARK)
    }

    fn set_unknown(&mut self, table: &[ChunkRef], chunks: Range<usize>, bytes: Range<u64>) {
        if chunks.is_empty() && bytes.is_empty() {
            return;
        }
        let of_chunks =
            table[chunks.clone()].iter().fold(0u64, |sum, chunk| sum.saturating_add(plausible_length(chunk)));
        let is_in_place = !chunks.is_empty() && of_chunks == bytes.end - bytes.start;
        self.unknown = Some(Unknown { chunks, bytes, is_in_place, is_remnant: false });
    }

    /// Finds the next block with the checksum and length of a chunk from `next` on.
    fn find_chunk(&mut self, table: &[ChunkRef], next: usize) -> io::Result<Option<(usize, Range<u64>)>> {
        let missing = &table[next..self.back];
        let longest = missing.iter().map(|chunk| chunk.bytes).max().unwrap_or(0);
        let mut start = self.at;
        while let Some(end) = self.next_mark(start, self.back_at)? {
            if end - start >= MIN_BLOCK_BYTES {
                let block = self.fingerprint(start..end, longest)?;
                let chunk = block.and_then(|(crc32, bytes)| self.lookup.find(table, crc32, bytes, next));
                if let Some(chunk) = chunk.filter(|chunk| (next..self.back).contains(chunk)) {
                    return Ok(Some((chunk, start..end)));
                }
                if let Some(found) = self.find_chunk_before(missing, start..end)? {
                    return Ok(Some(found));
                }
            }
            start = end;
        }
        Ok(None)
    }

    /// Finds a chunk that ends where the block `bytes` ends, in case the mark before it was lost.
    fn find_chunk_before(
        &mut self,
        missing: &[ChunkRef],
        bytes: Range<u64>,
    ) -> io::Result<Option<(usize, Range<u64>)>> {
        for chunk in missing.iter().take(MAX_CANDIDATES) {
            let (blocks, left) = self.left;
            if blocks == 0 || left == 0 {
                break;
            }
            let Some(start) = bytes.end.checked_sub(chunk.compressed).filter(|start| *start > bytes.start) else {
                continue;
            };
            if self.fingerprint(start..bytes.end, chunk.bytes)? == Some((chunk.crc32, chunk.bytes)) {
                return Ok(Some((chunk.index, start..bytes.end)));
            }
            self.left = (blocks - 1, left.saturating_sub(chunk.bytes.min(1032 * chunk.compressed)));
        }
        Ok(None)
    }

    fn fingerprint(&mut self, bytes: Range<u64>, limit: u64) -> io::Result<Option<(crate::digest::Crc32, u64)>> {
        if let Some(block) = self.input.peek_range(bytes.clone())? {
            return self.fingerprints.of(block, limit);
        }
        self.fingerprints.of(self.input.reader_at(bytes.start)?.take(bytes.end - bytes.start), limit)
    }
}

/// Returns true if deflate can compress the chunk's content to a block of the recorded length.
fn is_plausible(chunk: &ChunkRef) -> bool {
    plausible_length(chunk) == chunk.compressed
}

/// Returns the recorded length of a chunk's block, capped at the maximum that deflate can produce for its content.
pub(super) fn plausible_length(chunk: &ChunkRef) -> u64 {
    chunk.compressed.min(longest_block(chunk.bytes))
}

/// Returns the maximum length to which deflate compresses `bytes` bytes.
pub(super) fn longest_block(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 8).saturating_add(1024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Cursor;

    use super::*;
    use crate::container::FileInput;
    use crate::digest::Crc32;
    use crate::gzip::{Deflater, Level};

    fn input(data: Vec<u8>) -> Input<'static> {
        FileInput::new(Cursor::new(data)).unwrap().into()
    }

    fn marks_of(data: Vec<u8>, start: u64, end: u64) -> Vec<u64> {
        let mut input = Reread::new(input(data), &[], 0).unwrap();
        let mut found = vec![start];
        while let Some(mark) = input.find(found[found.len() - 1], end, &FLUSH_MARK).unwrap() {
            found.push(mark);
        }
        found.split_off(1)
    }

    #[test]
    fn flush_marks_across_read_boundaries_are_found() {
        let read = (4 * READ_BYTES) as u64;
        for end in [4, 5, 65_536, 65_537, read - 1, read, read + 1, read + 2, read + 3, read + 4, 2 * read - 3] {
            let mut data = vec![0xaa; usize::try_from(end).unwrap() + 100];
            let at = data.len() - 100;
            data[at - 4..at].copy_from_slice(&FLUSH_MARK);
            for start in [0, 1, end - 4].into_iter().filter(|start| *start <= end - 4) {
                assert_eq!(marks_of(data.clone(), start, end + 100), [end], "from {start}");
                assert_eq!(marks_of(data.clone(), start, end), [end], "from {start}");
                assert_eq!(marks_of(data.clone(), start, end - 1), [0; 0], "from {start}");
            }
            assert_eq!(marks_of(data.clone(), end - 3, end + 100), [0; 0]);
        }
        let many = FLUSH_MARK.repeat(3 * READ_BYTES);
        assert_eq!(marks_of(many.clone(), 0, many.len() as u64).len(), 3 * READ_BYTES);
    }

    /// Compresses each text to a block. Returns the blocks and their chunk table.
    fn blocks(texts: &[String]) -> (Vec<Vec<u8>>, Vec<ChunkRef>) {
        let mut deflater = Deflater::new(Level::default());
        let pairs = texts.iter().enumerate().map(|(index, text)| {
            let mut block = Vec::new();
            let compressed = deflater.deflate(text.as_bytes(), &mut block).unwrap();
            let (bytes, crc32) = (text.len() as u64, Crc32::of(text.as_bytes()));
            let (first_row, first_line, times) = (1, 2, [None, None]);
            let (file, index_in_file, rows) = (0, index, 1);
            let chunk =
                ChunkRef { index, file, index_in_file, first_row, rows, first_line, compressed, bytes, crc32, times };
            (block, chunk)
        });
        pairs.unzip()
    }

    /// Returns the chunk, offset and length of each block. The chunk is `None` for other data; missing chunks have an
    /// offset and length of 0.
    fn located(data: &[u8], chunks: &[ChunkRef]) -> Vec<(Option<usize>, u64, usize)> {
        let source = PeekReader::new(input(data.to_vec()));
        let mut locator = Locator::new(source, chunks.to_vec(), false, &Arc::default());
        let mut found = Vec::new();
        loop {
            match locator.next().unwrap() {
                Some(Part::Block { chunk, offset, data, .. }) => found.push((chunk, offset, data.len())),
                Some(Part::Missing(chunks)) => found.extend(chunks.map(|chunk| (Some(chunk), 0, 0))),
                Some(Part::Tail(tail)) => found.push((None, tail.offset, TAIL_BYTES)),
                Some(_) => {}
                None => return found,
            }
        }
    }

    #[test]
    fn chunks_are_found_from_both_ends_and_by_their_content() {
        let row = |n: usize| format!("{{\"source\":\"x\",\"entry\":{}}}\n", n * 7919);
        let texts: Vec<String> = (0..6).map(|n| (0..=n).map(|k| row(7 * n + k)).collect()).collect();
        let (blocks, chunks) = blocks(&texts);
        assert!(chunks.windows(2).all(|two| two[0].compressed != two[1].compressed), "they differ in length");
        let offset = |block: usize| blocks[..block].iter().map(Vec::len).sum::<usize>();
        let tail = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let sound = [blocks.concat(), tail.to_vec()].concat();
        let of = |chunk: usize, shift: usize| (Some(chunk), (offset(chunk) + shift) as u64, blocks[chunk].len());
        let end = |shift: usize| (None, (offset(6) + shift) as u64, TAIL_BYTES);
        let all: Vec<_> = (0..6).map(|chunk| of(chunk, 0)).chain([end(0)]).collect();
        assert_eq!(located(&sound, &chunks), all);
        // Insert junk before chunk 2, then within it.
        let junk = [0xffu8; 40];
        for (at, expected) in [
            (
                offset(2),
                vec![
                    of(0, 0),
                    of(1, 0),
                    (None, offset(2) as u64, 40),
                    of(2, 40),
                    of(3, 40),
                    of(4, 40),
                    of(5, 40),
                    end(40),
                ],
            ),
            (
                offset(2) + 9,
                vec![
                    of(0, 0),
                    of(1, 0),
                    (Some(2), offset(2) as u64, blocks[2].len() + 40),
                    of(3, 40),
                    of(4, 40),
                    of(5, 40),
                    end(40),
                ],
            ),
        ] {
            let damaged = [&sound[..at], &junk, &sound[at..]].concat();
            assert_eq!(located(&damaged, &chunks), expected, "{at}");
            // If the end of the file is cut off too, chunks cannot be located backwards from it.
            let cut = &damaged[..damaged.len() - 12];
            let found = located(cut, &chunks);
            assert_eq!(found[..expected.len() - 2], expected[..expected.len() - 2], "{at}");
        }
        // Remove chunk 3.
        let without = [&sound[..offset(3)], &sound[offset(4)..]].concat();
        let back = |chunk: usize| (Some(chunk), (offset(chunk) - blocks[3].len()) as u64, blocks[chunk].len());
        let tail_at = (None, (offset(6) - blocks[3].len()) as u64, TAIL_BYTES);
        assert_eq!(
            located(&without, &chunks),
            [of(0, 0), of(1, 0), of(2, 0), (Some(3), 0, 0), back(4), back(5), tail_at]
        );
    }

    #[test]
    fn chunks_at_the_end_of_blocks_are_searched_for_within_the_budget() {
        let texts = ["{\"source\":\"x\",\"entry\":1}\n".repeat(3)];
        let (blocks, chunks) = blocks(&texts);
        let data = [&[0xff; 40][..], &blocks[0], &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
        let end = (40 + blocks[0].len()) as u64;
        for (left, found) in [((1, 1), Some((0, 40..end))), ((0, 1), None), ((1, 0), None)] {
            let locator = Locator::new(PeekReader::new(input(Vec::new())), chunks.clone(), false, &Arc::default());
            let mut gap = Gap::new(Reread::new(input(data.clone()), &[], 0).unwrap(), 0, &locator).unwrap();
            gap.left = left;
            assert_eq!(gap.find_chunk(&chunks, 0).unwrap(), found, "{left:?}");
        }
    }
}
