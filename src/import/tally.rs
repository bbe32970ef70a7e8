//! Adds up the lines that a log will have: their number, their bytes, and what rotation will cut off.

use std::collections::VecDeque;

use super::plan::{LineCount, Rotation};
use crate::lines::Line;

/// Patchwork rewrites a log with its newest part before it writes to one above this size.
const ROTATED_ABOVE_BYTES: u64 = 1 << 20;

/// The most lines that it leaves.
const MOST_LINES: usize = 10_000;

/// What a line is, in four bytes: the length of its content, whether it is a row, and what ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape(u32);

const LINE_FEED: u32 = 1;
const CARRIAGE_RETURN: u32 = 2;
const ROW: u32 = 4;
const LENGTH_SHIFT: u32 = 3;

/// The longest line that is read, in bytes without its line feed: three bits of flags leave 29 for a length. The lines
/// of a bundle are all shorter, as their envelopes are no longer.
pub(super) const LONGEST_LINE: u64 = (1 << 29) - 1;

impl Shape {
    pub(super) fn of(line: Line<'_>, is_row: bool) -> Self {
        let content = content(line.bytes);
        let mut shape = u32::try_from(content.len()).unwrap_or(u32::MAX) << LENGTH_SHIFT;
        shape |= u32::from(line.terminated) * LINE_FEED;
        shape |= u32::from(content.len() < line.bytes.len()) * CARRIAGE_RETURN;
        shape |= u32::from(is_row) * ROW;
        Self(shape)
    }

    /// As a number.
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// The shape that [`bits`](Self::bits) gave.
    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    pub(super) fn is_row(self) -> bool {
        self.0 & ROW != 0
    }

    pub(super) fn is_terminated(self) -> bool {
        self.0 & LINE_FEED != 0
    }

    /// Its bytes, with what ends it.
    pub(super) fn bytes(self) -> u64 {
        let ending = (self.0 & LINE_FEED).count_ones() + (self.0 & CARRIAGE_RETURN).count_ones();
        u64::from(self.0 >> LENGTH_SHIFT) + u64::from(ending)
    }
}

/// What makes two lines the same: their bytes without the line ending, be it a line feed or a carriage return and one.
/// A log whose line endings an editor changed has the same lines as before.
pub(super) fn content(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Lines that are written one behind the other, each on a line of its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) lines: LineCount,
    pub(super) bytes: u64,
    /// Whether nothing ends the last line, so that one more needs a line feed before it.
    unterminated: bool,
    newest: VecDeque<Shape>,
}

impl Tally {
    pub(super) fn push(&mut self, shape: Shape) {
        self.lines.add(shape.is_row());
        self.bytes += u64::from(self.unterminated) + shape.bytes();
        self.unterminated = !shape.is_terminated();
        if self.newest.len() == MOST_LINES {
            self.newest.pop_front();
        }
        self.newest.push_back(shape);
    }

    /// Adds all lines of another tally behind these.
    pub(super) fn append(&mut self, next: &Self) {
        if next.lines.all() == 0 {
            return;
        }
        self.lines += next.lines;
        self.bytes += u64::from(self.unterminated) + next.bytes;
        self.unterminated = next.unterminated;
        self.newest.extend(&next.newest);
        self.newest.drain(..self.newest.len().saturating_sub(MOST_LINES));
    }

    /// What Patchwork's next write cuts off, if there is more than 1 MiB: it leaves the newest lines, at most 10,000,
    /// halved until they are under 1 MiB.
    pub(super) fn rotation(&self, moved_to: Option<&'static str>) -> Option<Rotation> {
        if self.bytes <= ROTATED_ABOVE_BYTES {
            return None;
        }
        let newest = |lines: usize| self.newest.range(self.newest.len() - lines..);
        let mut left = self.newest.len();
        while left > 1 && newest(left).map(|shape| shape.bytes()).sum::<u64>() >= ROTATED_ABOVE_BYTES {
            left /= 2;
        }
        let mut count = LineCount::default();
        newest(left).for_each(|shape| count.add(shape.is_row()));
        let trimmed = self.lines.minus(count);
        (trimmed.all() > 0).then_some(Rotation { trimmed, left: count, moved_to })
    }
}
