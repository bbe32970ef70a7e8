//! Counts the lines and bytes that a log will have, and forecasts the effect of rotation on them.

use super::plan::{LineCount, Rotation};
use crate::align::LineShape;
use crate::logs::rotation::{LineSizes, MAX_LOG_BYTES, RotationKind};

/// The totals of consecutive lines, with a line feed between any two.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub lines: LineCount,
    pub bytes: u64,
    /// True if the last line has no line feed, so that another line needs one before it.
    unterminated: bool,
    sizes: LineSizes,
}

impl Tally {
    pub fn push(&mut self, shape: LineShape) {
        self.lines.add(shape.is_row());
        self.bytes += u64::from(self.unterminated) + shape.bytes();
        self.unterminated = !shape.is_terminated();
        self.sizes.push(shape.size(), shape.is_row());
    }

    /// Appends all lines of another tally.
    pub fn append(&mut self, next: &Self) {
        if next.lines.all() == 0 {
            return;
        }
        self.lines += next.lines;
        self.bytes += u64::from(self.unterminated) + next.bytes;
        self.unterminated = next.unterminated;
        self.sizes.append(&next.sizes);
    }

    /// Returns true if Patchwork rotates a log of these lines before it writes to it.
    pub fn is_rotated(&self) -> bool {
        self.bytes > MAX_LOG_BYTES
    }

    /// Returns the change that Patchwork's next write makes to a log of these lines.
    pub fn rotation(&self, kind: RotationKind, archive: Option<(&'static str, &Self)>) -> Option<Rotation> {
        self.sizes.forecast(kind, self.bytes, archive.map(|(name, archive)| (name, &archive.sizes)))
    }
}
