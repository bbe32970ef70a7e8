//! Cuts compressed data at its flush points without inflating it, also where it is damaged.

use std::io::{self, Read};

use super::inflate::ends_stream;
use super::member::{FLUSH_MARK, LAST_BLOCK, MAGIC, TAIL_BYTES, Trailer};
use super::sequential::SequentialReader;
use super::source::{PeekReader, READ_BYTES};
use crate::error::GzipFault;

/// How far ahead a flush point is looked for. Data without one for longer is passed over in parts.
pub(super) const LOOK_AHEAD: usize = 64 << 20;

/// How much is kept of what is passed over: a block that ends at the next flush point can begin there.
pub(crate) const KEPT: usize = 1 << 20;

/// How far ahead a certain block may begin, and how many flush points may come before its own.
const SOON: usize = 1 << 20;
const MAX_SOON: usize = 64;

/// How many blocks are looked at in all for such a one, and what they may inflate to: what needs more is made to.
const MAX_SOON_OF_ALL: usize = 1 << 16;
const MAX_SOON_BYTES: u64 = 256 << 20;

/// The compressed data of a member from a flush point on.
#[derive(Debug)]
pub(crate) struct BlockReader<R> {
    source: PeekReader<R>,
    /// Up to where it is known that no flush point comes, as a byte of the file.
    unmarked_until: u64,
    /// How many blocks, and how many bytes of them, may still be looked at for one that [comes soon](Self::block_within_lookahead).
    soon_left: (usize, u64),
}

/// What follows the last block of a member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    /// Where it begins in the file.
    pub(crate) offset: u64,
    /// What ends the compressed data.
    pub(crate) last_block: LastBlock,
    trailer: Trailer,
}

/// The block at the end of compressed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastBlock {
    /// It is the one that is written.
    AsWritten,
    /// It ends the data, but is written in another way.
    Other,
    /// It does not end the data.
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
    /// What of the trailer does not fit content with this checksum and length.
    pub(crate) fn faults(&self, crc32: crate::digest::Crc32, bytes: u64) -> Vec<GzipFault> {
        self.trailer.faults(Trailer::new(crc32.0, bytes))
    }

    /// Where the trailer begins in the file.
    pub(crate) fn trailer_offset(&self) -> u64 {
        self.offset + LAST_BLOCK.len() as u64
    }
}

impl<R: Read> BlockReader<R> {
    pub(super) fn new(source: PeekReader<R>) -> Self {
        Self { source, unmarked_until: 0, soon_left: (MAX_SOON_OF_ALL, MAX_SOON_BYTES) }
    }

    /// Where the next block begins in the file.
    pub(crate) fn offset(&self) -> u64 {
        self.source.offset()
    }

    /// Whether the input ends here.
    pub(crate) fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.source.peek(1)?.is_empty())
    }

    /// Whether a flush point lies `length` bytes ahead. Lengths beyond the look ahead are only looked at when `far`.
    pub(crate) fn has_flush_point_at(&mut self, length: u64, far: bool) -> io::Result<bool> {
        match usize::try_from(length) {
            Ok(length) if far || length <= LOOK_AHEAD => self.source.has_mark_at(length),
            _ => Ok(false),
        }
    }

    /// How far ahead the next flush point lies, if there is one within the look ahead.
    pub(crate) fn next_flush_point(&mut self) -> io::Result<Option<u64>> {
        let here = self.source.offset();
        let mut searched = usize::try_from(self.unmarked_until.saturating_sub(here)).unwrap_or(LOOK_AHEAD);
        let mut wanted = searched + FLUSH_MARK.len();
        while wanted <= LOOK_AHEAD {
            let there = self.source.peek(wanted)?;
            if there.len() < wanted {
                break;
            }
            if let Some(at) = memchr::memmem::find(&there[searched..], &FLUSH_MARK) {
                return Ok(Some((searched + at + FLUSH_MARK.len()) as u64));
            }
            searched = there.len() - (FLUSH_MARK.len() - 1);
            wanted = there.len() + 1;
        }
        self.unmarked_until = here + searched as u64;
        Ok(None)
    }

    /// Whether `is_it` says so of `length` bytes that end at a flush point soon behind the next `behind` bytes. It also says
    /// to how many bytes it inflated them.
    pub(crate) fn block_within_lookahead(
        &mut self,
        behind: u64,
        length: u64,
        is_it: impl Fn(&[u8]) -> (bool, u64),
    ) -> io::Result<bool> {
        let Some((behind, length)) = usize::try_from(behind).ok().zip(usize::try_from(length).ok()) else {
            return Ok(false);
        };
        let (mut blocks_left, mut bytes_left) = self.soon_left;
        if behind.max(length) > LOOK_AHEAD || blocks_left == 0 || bytes_left == 0 {
            return Ok(false);
        }
        let there = self.source.peek(behind + SOON + length)?;
        let there = there.get(behind..).unwrap_or_default();
        // More can be there, by how the data comes.
        let there = &there[..there.len().min(SOON + length)];
        let ends = memchr::memmem::find_iter(there, &FLUSH_MARK).map(|at| at + FLUSH_MARK.len()).take(MAX_SOON);
        let mut is_soon = false;
        for end in ends {
            blocks_left = blocks_left.saturating_sub(1);
            let Some(block) = end.checked_sub(length).and_then(|start| there.get(start..end)) else { continue };
            let (is_this, inflated) = is_it(block);
            bytes_left = bytes_left.saturating_sub(inflated);
            is_soon = is_this;
            if is_soon || blocks_left == 0 || bytes_left == 0 {
                break;
            }
        }
        self.soon_left = (blocks_left, bytes_left);
        Ok(is_soon)
    }

    /// The next `length` bytes, or what there is of them, left where they are.
    pub(crate) fn peek(&mut self, length: u64) -> io::Result<&[u8]> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let there = self.source.peek(length)?;
        Ok(&there[..there.len().min(length)])
    }

    /// Takes the next `length` bytes, or what there is of them, into an empty buffer.
    pub(crate) fn take(&mut self, length: u64, mut taken: Vec<u8>) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let there = self.source.peek(length)?;
        taken.extend_from_slice(&there[..there.len().min(length)]);
        self.source.consume(taken.len());
        Ok(taken)
    }

    /// Takes what was searched in vain for a flush point, but for the last mebibyte. `false` when the file ends there: then
    /// all of it.
    pub(crate) fn pass_over_unmarked(&mut self) -> io::Result<bool> {
        let unmarked = usize::try_from(self.unmarked_until.saturating_sub(self.source.offset())).unwrap_or(0);
        let there = self.source.peek(unmarked + FLUSH_MARK.len())?.len();
        let goes_on = there >= unmarked + FLUSH_MARK.len();
        self.source.consume(if goes_on { unmarked.saturating_sub(KEPT) } else { there });
        Ok(goes_on && unmarked > KEPT)
    }

    /// Whether the end of the member begins here.
    pub(crate) fn is_at_tail(&mut self) -> io::Result<bool> {
        Ok(self.source.peek(LAST_BLOCK.len())?.starts_with(&LAST_BLOCK))
    }

    /// Whether what follows the end of a member, if that begins here, is what may follow one: nothing, another member, or
    /// zeros.
    pub(crate) fn may_member_end_here(&mut self) -> io::Result<bool> {
        let length = usize::try_from(TAIL_BYTES).unwrap_or(usize::MAX);
        let behind = self.source.peek(length + READ_BYTES)?.get(length..).unwrap_or_default();
        Ok(behind.starts_with(&MAGIC) || behind.iter().all(|byte| *byte == 0))
    }

    /// Whether the end of the member, and nothing more, follows `ahead` bytes ahead.
    pub(crate) fn is_tail_at(&mut self, ahead: u64) -> io::Result<bool> {
        let Some(end) = usize::try_from(ahead + TAIL_BYTES).ok().filter(|end| *end <= LOOK_AHEAD) else {
            return Ok(false);
        };
        Ok(self.source.peek(end + 1)?.len() == end)
    }

    /// Takes the end of the member. `None` when the file ends before.
    pub(crate) fn take_tail(&mut self) -> io::Result<Option<Tail>> {
        let offset = self.source.offset();
        let Some(last_block) = self.source.take()? else { return Ok(None) };
        let Some(trailer) = self.source.take()? else { return Ok(None) };
        let trailer = Trailer::decode(trailer);
        Ok(Some(Tail { offset, last_block: LastBlock::of(last_block), trailer }))
    }

    /// What follows the member.
    pub(crate) fn behind_member(self) -> SequentialReader<R> {
        SequentialReader::behind_member(self.source)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const EDGE: u64 = LOOK_AHEAD as u64;

    /// Data in which no flush point begins for so many bytes.
    fn unmarked(bytes: u64) -> impl Read {
        io::repeat(0xaa).take(bytes)
    }

    /// Data whose first flush point lies so far ahead, with something behind it.
    fn marked_at(end: u64) -> BlockReader<impl Read> {
        let mark = FLUSH_MARK.len() as u64;
        BlockReader::new(PeekReader::new(unmarked(end - mark).chain(&FLUSH_MARK[..]).chain(unmarked(100))))
    }

    /// Gives three bytes at a time, so that marks lie in two reads.
    struct InBits<R>(R);

    impl<R: Read> Read for InBits<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(3);
            self.0.read(&mut buffer[..most])
        }
    }

    #[test]
    fn a_flush_point_is_found_up_to_the_edge_of_the_look_ahead() {
        for end in [4, 5, 65_535, 65_536, 65_537, 65_539, 65_540, EDGE - 1, EDGE] {
            assert_eq!(marked_at(end).next_flush_point().unwrap(), Some(end));
        }
    }

    #[test]
    fn a_flush_point_is_found_however_the_data_comes() {
        for end in 4..40 {
            let mark = FLUSH_MARK.len() as u64;
            let data = InBits(unmarked(end - mark).chain(&FLUSH_MARK[..]).chain(unmarked(100)));
            assert_eq!(BlockReader::new(PeekReader::new(data)).next_flush_point().unwrap(), Some(end));
        }
    }

    #[test]
    fn a_flush_point_beyond_the_edge_is_found_when_what_lies_before_it_is_passed_over() {
        for end in EDGE + 1..EDGE + 9 {
            let mut blocks = marked_at(end);
            assert_eq!(blocks.next_flush_point().unwrap(), None);
            // Asked again, it looks no further.
            assert_eq!(blocks.next_flush_point().unwrap(), None);
            assert!(blocks.pass_over_unmarked().unwrap());
            // A block of up to a mebibyte that ends there is not touched.
            assert_eq!(blocks.offset(), EDGE - 3 - (1 << 20));
            assert_eq!(blocks.next_flush_point().unwrap().map(|ahead| blocks.offset() + ahead), Some(end));
        }
    }

    /// Whether a block of so many bytes that is what is looked for comes soon behind others, where one ends so far behind
    /// them.
    fn block_within_lookahead(behind: u64, length: u64, end: u64, left: (usize, u64)) -> bool {
        let mark = FLUSH_MARK.len() as u64;
        let data = unmarked(behind + end - mark).chain(&FLUSH_MARK[..]).chain(unmarked(100));
        let mut blocks = BlockReader::new(PeekReader::new(data));
        blocks.soon_left = left;
        blocks.block_within_lookahead(behind, length, |block| (block.len() as u64 == length, 1)).unwrap()
    }

    #[test]
    fn a_block_comes_soon_within_a_mebibyte_and_as_long_as_any_may_be_looked_at() {
        const SOON: u64 = 1 << 20;
        let any = (1, 1);
        for (behind, length) in [(0, 5), (7, 100), (3, 100_000), (70_000, 6)] {
            let last = SOON + length;
            for (end, is_soon) in [(length - 1, false), (length, true), (last, true), (last + 1, false)] {
                assert_eq!(block_within_lookahead(behind, length, end, any), is_soon, "{behind} {length} {end}");
            }
            assert!(
                !block_within_lookahead(behind, length, length, (0, 1))
                    && !block_within_lookahead(behind, length, length, (1, 0))
            );
        }
        for (length, is_soon) in [(EDGE, true), (EDGE + 1, false)] {
            assert_eq!(block_within_lookahead(4, length, length, any), is_soon);
            assert_eq!(block_within_lookahead(length, 4, 4, any), is_soon);
        }
    }

    #[test]
    fn looking_for_a_block_that_comes_soon_ends_with_it_or_with_what_may_be_looked_at() {
        let soon = |right: u32, left: (usize, u64)| {
            let (data, seen) = (FLUSH_MARK.repeat(3), std::cell::Cell::new(0));
            let mut blocks = BlockReader::new(PeekReader::new(&data[..]));
            blocks.soon_left = left;
            let is_it = |_: &[u8]| {
                seen.set(seen.get() + 1);
                (seen.get() == right, 1)
            };
            (blocks.block_within_lookahead(0, 4, is_it).unwrap(), seen.get())
        };
        assert_eq!([1, 3, 4].map(|right| soon(right, (9, 9))), [(true, 1), (true, 3), (false, 3)]);
        assert_eq!([(2, 9), (9, 2)].map(|left| soon(3, left)), [(false, 2); 2]);
    }

    #[test]
    fn a_member_may_end_where_another_zeros_or_nothing_follows() {
        let end = vec![0xaa; usize::try_from(TAIL_BYTES).unwrap()];
        for (behind, may_end) in [(&b""[..], true), (&MAGIC, true), (&[0; 9], true), (b"row", false), (&[0, 1], false)]
        {
            let data = [&end[..], behind].concat();
            let mut blocks = BlockReader::new(PeekReader::new(&data[..]));
            assert_eq!(blocks.may_member_end_here().unwrap(), may_end, "{behind:?}");
        }
    }

    #[test]
    fn data_that_ends_without_a_flush_point_is_passed_over_to_its_end() {
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
    fn a_flush_point_is_known_at_its_place_and_beyond_the_look_ahead_only_where_that_is_wanted() {
        assert!(marked_at(EDGE).has_flush_point_at(EDGE, false).unwrap());
        assert!(!marked_at(EDGE).has_flush_point_at(EDGE - 1, false).unwrap());
        assert!(!marked_at(EDGE).has_flush_point_at(EDGE + 1, true).unwrap());
        assert!(!marked_at(EDGE + 1).has_flush_point_at(EDGE + 1, false).unwrap());
        assert!(marked_at(EDGE + 1).has_flush_point_at(EDGE + 1, true).unwrap());
    }

    #[test]
    fn the_end_of_a_member_is_known_up_to_the_edge_of_the_look_ahead() {
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
