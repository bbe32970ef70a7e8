//! Splits compressed data at its flush points without inflating it. This works for damaged data too.

use std::io::{self, Read};

use super::inflate::ends_stream;
use super::member::{FLUSH_MARK, LAST_BLOCK, MAGIC, TAIL_BYTES, Trailer};
use super::sequential::SequentialReader;
use super::source::{PeekReader, READ_BYTES};
use crate::error::GzipFault;

/// The maximum distance at which a flush point is searched for. A longer stretch without one is skipped in parts.
pub(super) const LOOK_AHEAD: usize = 64 << 20;

/// The number of skipped bytes that stay available, because a block that ends at the next flush point may begin there.
pub(crate) const KEPT: usize = 1 << 20;

/// The lookahead for an expected block: the distance at which it may begin, and the number of flush points to try.
const NEAR_BYTES: usize = 1 << 20;
const MAX_NEAR_MARKS: usize = 64;

/// The total budget of a [`BlockReader`] for such lookahead, in candidate blocks and in inflated bytes. An input that
/// needs more was crafted to.
const MAX_LOOKAHEAD_BLOCKS: usize = 1 << 16;
const MAX_LOOKAHEAD_BYTES: u64 = 256 << 20;

/// A reader of the compressed data of a member, starting at a flush point.
#[derive(Debug)]
pub(crate) struct BlockReader<R> {
    source: PeekReader<R>,
    /// The file offset before which no flush point begins, as far as the search has got.
    unmarked_until: u64,
    /// The remaining budget of [`block_within_lookahead`](Self::block_within_lookahead), in blocks and in inflated
    /// bytes.
    lookahead_left: (usize, u64),
}

/// The end of a member: its final block and its trailer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    /// The file offset of the final block.
    pub(crate) offset: u64,
    /// The final block of the compressed data.
    pub(crate) last_block: LastBlock,
    trailer: Trailer,
}

/// The state of the final block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastBlock {
    /// The block is the one that this library writes.
    AsWritten,
    /// The block ends the data, but is encoded differently.
    Other,
    /// The block does not end the data.
    Damaged,
}

impl LastBlock {
    fn of(bytes: [u8; 2]) -> Self {
        match bytes == LAST_BLOCK {
            true => Self::AsWritten,
            false if ends_stream(&bytes) => Self::Other,
            false => Self::Damaged,
        }
    }
}

impl Tail {
    /// Compares the trailer with the checksum and length of the content. Returns the mismatches.
    pub(crate) fn faults(&self, crc32: crate::digest::Crc32, bytes: u64) -> Vec<GzipFault> {
        self.trailer.faults(Trailer::new(crc32.0, bytes))
    }

    /// Returns the file offset of the trailer.
    pub(crate) fn trailer_offset(&self) -> u64 {
        self.offset + LAST_BLOCK.len() as u64
    }
}

impl<R: Read> BlockReader<R> {
    pub(super) fn new(source: PeekReader<R>) -> Self {
        Self { source, unmarked_until: 0, lookahead_left: (MAX_LOOKAHEAD_BLOCKS, MAX_LOOKAHEAD_BYTES) }
    }

    /// Returns the file offset of the next block.
    pub(crate) fn offset(&self) -> u64 {
        self.source.offset()
    }

    /// Returns true if the input ends here.
    pub(crate) fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.source.peek(1)?.is_empty())
    }

    /// Returns true if a flush point is exactly `length` bytes ahead. Distances beyond [`LOOK_AHEAD`] are checked
    /// only if `far`.
    pub(crate) fn has_flush_point_at(&mut self, length: u64, far: bool) -> io::Result<bool> {
        match usize::try_from(length) {
            Ok(length) if far || length <= LOOK_AHEAD => self.source.has_mark_at(length),
            _ => Ok(false),
        }
    }

    /// Returns the distance to the next flush point, if it is within [`LOOK_AHEAD`].
    pub(crate) fn next_flush_point(&mut self) -> io::Result<Option<u64>> {
        let here = self.source.offset();
        let mut searched = usize::try_from(self.unmarked_until.saturating_sub(here)).unwrap_or(LOOK_AHEAD);
        let mut wanted = searched + FLUSH_MARK.len();
        while wanted <= LOOK_AHEAD {
            let ahead = self.source.peek(wanted)?;
            if ahead.len() < wanted {
                break;
            }
            if let Some(at) = memchr::memmem::find(&ahead[searched..], &FLUSH_MARK) {
                return Ok(Some((searched + at + FLUSH_MARK.len()) as u64));
            }
            searched = ahead.len() - (FLUSH_MARK.len() - 1);
            wanted = ahead.len() + 1;
        }
        self.unmarked_until = here + searched as u64;
        Ok(None)
    }

    /// Returns true if an expected block of `length` bytes begins shortly after the next `gap` bytes.
    ///
    /// Candidates are the `length` bytes before each of the next few flush points. `is_expected` decides, and returns
    /// the number of bytes that it inflated to do so.
    pub(crate) fn block_within_lookahead(
        &mut self,
        gap: u64,
        length: u64,
        is_expected: impl Fn(&[u8]) -> (bool, u64),
    ) -> io::Result<bool> {
        let Some((gap, length)) = usize::try_from(gap).ok().zip(usize::try_from(length).ok()) else {
            return Ok(false);
        };
        let (mut blocks_left, mut bytes_left) = self.lookahead_left;
        if gap.max(length) > LOOK_AHEAD || blocks_left == 0 || bytes_left == 0 {
            return Ok(false);
        }
        let ahead = self.source.peek(gap + NEAR_BYTES + length)?;
        let ahead = ahead.get(gap..).unwrap_or_default();
        // The input may have buffered more, depending on the sizes of its reads.
        let ahead = &ahead[..ahead.len().min(NEAR_BYTES + length)];
        let ends = memchr::memmem::find_iter(ahead, &FLUSH_MARK).map(|at| at + FLUSH_MARK.len()).take(MAX_NEAR_MARKS);
        let mut is_found = false;
        for end in ends {
            blocks_left = blocks_left.saturating_sub(1);
            let Some(block) = end.checked_sub(length).and_then(|start| ahead.get(start..end)) else { continue };
            let (is_this, inflated) = is_expected(block);
            bytes_left = bytes_left.saturating_sub(inflated);
            is_found = is_this;
            if is_found || blocks_left == 0 || bytes_left == 0 {
                break;
            }
        }
        self.lookahead_left = (blocks_left, bytes_left);
        Ok(is_found)
    }

    /// Returns the next `length` bytes without consuming them, or fewer at the end of the input.
    pub(crate) fn peek(&mut self, length: u64) -> io::Result<&[u8]> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let ahead = self.source.peek(length)?;
        Ok(&ahead[..ahead.len().min(length)])
    }

    /// Consumes the next `length` bytes, or fewer at the end of the input, and returns them in `taken`, an empty
    /// buffer.
    pub(crate) fn take(&mut self, length: u64, mut taken: Vec<u8>) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let ahead = self.source.peek(length)?;
        taken.extend_from_slice(&ahead[..ahead.len().min(length)]);
        self.source.consume(taken.len());
        Ok(taken)
    }

    /// Skips the bytes that were searched for a flush point without success, except for the last mebibyte ([`KEPT`]).
    ///
    /// Skips all of them if the file ends there. Returns false then, and also if there was no more than a mebibyte.
    pub(crate) fn pass_over_unmarked(&mut self) -> io::Result<bool> {
        let unmarked = usize::try_from(self.unmarked_until.saturating_sub(self.source.offset())).unwrap_or(0);
        let available = self.source.peek(unmarked + FLUSH_MARK.len())?.len();
        let goes_on = available >= unmarked + FLUSH_MARK.len();
        self.source.consume(if goes_on { unmarked.saturating_sub(KEPT) } else { available });
        Ok(goes_on && unmarked > KEPT)
    }

    /// Returns true if the next bytes are the final block that this library writes.
    pub(crate) fn is_at_tail(&mut self) -> io::Result<bool> {
        Ok(self.source.peek(LAST_BLOCK.len())?.starts_with(&LAST_BLOCK))
    }

    /// Returns true if a member's end at this offset would be followed by something valid: nothing, another member, or
    /// zeros.
    pub(crate) fn may_member_end_here(&mut self) -> io::Result<bool> {
        let length = usize::try_from(TAIL_BYTES).unwrap_or(usize::MAX);
        let following = self.source.peek(length + READ_BYTES)?.get(length..).unwrap_or_default();
        Ok(following.starts_with(&MAGIC) || following.iter().all(|byte| *byte == 0))
    }

    /// Returns true if the file ends with a member's end that begins `ahead` bytes ahead. Only the length is checked.
    pub(crate) fn is_tail_at(&mut self, ahead: u64) -> io::Result<bool> {
        let Some(end) = usize::try_from(ahead + TAIL_BYTES).ok().filter(|end| *end <= LOOK_AHEAD) else {
            return Ok(false);
        };
        Ok(self.source.peek(end + 1)?.len() == end)
    }

    /// Consumes the end of the member. Returns `None` if the file ends early.
    pub(crate) fn take_tail(&mut self) -> io::Result<Option<Tail>> {
        let offset = self.source.offset();
        let Some(last_block) = self.source.take()? else { return Ok(None) };
        let Some(trailer) = self.source.take()? else { return Ok(None) };
        let trailer = Trailer::decode(trailer);
        Ok(Some(Tail { offset, last_block: LastBlock::of(last_block), trailer }))
    }

    /// Returns a reader of everything after the member.
    pub(crate) fn behind_member(self) -> SequentialReader<R> {
        SequentialReader::behind_member(self.source)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const EDGE: u64 = LOOK_AHEAD as u64;

    /// Returns data of `bytes` bytes without a flush point.
    fn unmarked(bytes: u64) -> impl Read {
        io::repeat(0xaa).take(bytes)
    }

    /// Returns a reader whose first flush point ends at `end`, with more data after it.
    fn marked_at(end: u64) -> BlockReader<impl Read> {
        let mark = FLUSH_MARK.len() as u64;
        BlockReader::new(PeekReader::new(unmarked(end - mark).chain(&FLUSH_MARK[..]).chain(unmarked(100))))
    }

    /// A reader that yields three bytes at a time, so that flush marks span two reads.
    struct ShortReads<R>(R);

    impl<R: Read> Read for ShortReads<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(3);
            self.0.read(&mut buffer[..most])
        }
    }

    #[test]
    fn a_flush_point_is_found_up_to_the_lookahead_limit() {
        for end in [4, 5, 65_535, 65_536, 65_537, 65_539, 65_540, EDGE - 1, EDGE] {
            assert_eq!(marked_at(end).next_flush_point().unwrap(), Some(end));
        }
    }

    #[test]
    fn a_flush_point_that_spans_two_reads_is_found() {
        for end in 4..40 {
            let mark = FLUSH_MARK.len() as u64;
            let data = ShortReads(unmarked(end - mark).chain(&FLUSH_MARK[..]).chain(unmarked(100)));
            assert_eq!(BlockReader::new(PeekReader::new(data)).next_flush_point().unwrap(), Some(end));
        }
    }

    #[test]
    fn a_flush_point_beyond_the_lookahead_limit_is_found_after_skipping() {
        for end in EDGE + 1..EDGE + 9 {
            let mut blocks = marked_at(end);
            assert_eq!(blocks.next_flush_point().unwrap(), None);
            // A second call does not search further.
            assert_eq!(blocks.next_flush_point().unwrap(), None);
            assert!(blocks.pass_over_unmarked().unwrap());
            // A block of up to a mebibyte that ends at the flush point stays available.
            assert_eq!(blocks.offset(), EDGE - 3 - (1 << 20));
            assert_eq!(blocks.next_flush_point().unwrap().map(|ahead| blocks.offset() + ahead), Some(end));
        }
    }

    /// Returns true if the reader finds a block of `length` bytes that ends `end` bytes after the first `gap`
    /// bytes.
    fn block_within_lookahead(gap: u64, length: u64, end: u64, left: (usize, u64)) -> bool {
        let mark = FLUSH_MARK.len() as u64;
        let data = unmarked(gap + end - mark).chain(&FLUSH_MARK[..]).chain(unmarked(100));
        let mut blocks = BlockReader::new(PeekReader::new(data));
        blocks.lookahead_left = left;
        blocks.block_within_lookahead(gap, length, |block| (block.len() as u64 == length, 1)).unwrap()
    }

    #[test]
    fn an_expected_block_is_found_within_a_mebibyte_while_the_budget_lasts() {
        const NEAR_BYTES: u64 = 1 << 20;
        let any = (1, 1);
        for (gap, length) in [(0, 5), (7, 100), (3, 100_000), (70_000, 6)] {
            let last = NEAR_BYTES + length;
            for (end, is_found) in [(length - 1, false), (length, true), (last, true), (last + 1, false)] {
                assert_eq!(block_within_lookahead(gap, length, end, any), is_found, "{gap} {length} {end}");
            }
            assert!(
                !block_within_lookahead(gap, length, length, (0, 1))
                    && !block_within_lookahead(gap, length, length, (1, 0))
            );
        }
        for (length, is_found) in [(EDGE, true), (EDGE + 1, false)] {
            assert_eq!(block_within_lookahead(4, length, length, any), is_found);
            assert_eq!(block_within_lookahead(length, 4, 4, any), is_found);
        }
    }

    #[test]
    fn the_search_for_an_expected_block_ends_with_the_block_or_the_budget() {
        let search = |right: u32, left: (usize, u64)| {
            let (data, seen) = (FLUSH_MARK.repeat(3), std::cell::Cell::new(0));
            let mut blocks = BlockReader::new(PeekReader::new(&data[..]));
            blocks.lookahead_left = left;
            let is_expected = |_: &[u8]| {
                seen.set(seen.get() + 1);
                (seen.get() == right, 1)
            };
            (blocks.block_within_lookahead(0, 4, is_expected).unwrap(), seen.get())
        };
        assert_eq!([1, 3, 4].map(|right| search(right, (9, 9))), [(true, 1), (true, 3), (false, 3)]);
        assert_eq!([(2, 9), (9, 2)].map(|left| search(3, left)), [(false, 2); 2]);
    }

    #[test]
    fn a_member_may_end_where_another_zeros_or_nothing_follows() {
        let end = vec![0xaa; usize::try_from(TAIL_BYTES).unwrap()];
        for (following, may_end) in
            [(&b""[..], true), (&MAGIC, true), (&[0; 9], true), (b"row", false), (&[0, 1], false)]
        {
            let data = [&end[..], following].concat();
            let mut blocks = BlockReader::new(PeekReader::new(&data[..]));
            assert_eq!(blocks.may_member_end_here().unwrap(), may_end, "{following:?}");
        }
    }

    #[test]
    fn data_without_a_flush_point_is_skipped_to_its_end() {
        for length in [0, 1, 3, 4, 5, 65_536, EDGE - 1, EDGE, EDGE + 1, EDGE + 4] {
            let mut blocks = BlockReader::new(PeekReader::new(unmarked(length)));
            let mut passes = 0;
            assert_eq!(blocks.next_flush_point().unwrap(), None);
            while blocks.pass_over_unmarked().unwrap() {
                passes += 1;
                assert_eq!(blocks.next_flush_point().unwrap(), None);
            }
            assert_eq!(blocks.offset(), length);
            assert!(blocks.is_at_end().unwrap());
            assert!(passes <= 1, "{passes} passes over {length} bytes");
        }
    }

    #[test]
    fn a_flush_point_beyond_the_lookahead_limit_is_checked_only_if_far() {
        assert!(marked_at(EDGE).has_flush_point_at(EDGE, false).unwrap());
        assert!(!marked_at(EDGE).has_flush_point_at(EDGE - 1, false).unwrap());
        assert!(!marked_at(EDGE).has_flush_point_at(EDGE + 1, true).unwrap());
        assert!(!marked_at(EDGE + 1).has_flush_point_at(EDGE + 1, false).unwrap());
        assert!(marked_at(EDGE + 1).has_flush_point_at(EDGE + 1, true).unwrap());
    }

    #[test]
    fn the_end_of_a_member_is_recognised_up_to_the_lookahead_limit() {
        let is_tail = |length, ahead| BlockReader::new(PeekReader::new(unmarked(length))).is_tail_at(ahead).unwrap();
        assert!(is_tail(TAIL_BYTES, 0));
        assert!(is_tail(TAIL_BYTES + 7, 7));
        assert!(!is_tail(TAIL_BYTES + 7, 6));
        assert!(!is_tail(TAIL_BYTES + 7, 8));
        assert!(is_tail(EDGE, EDGE - TAIL_BYTES));
        assert!(!is_tail(EDGE + 1, EDGE - TAIL_BYTES));
        assert!(!is_tail(EDGE + 1, EDGE + 1 - TAIL_BYTES));
    }
}
