//! Sums up the lines that a log will have: their number, their bytes, and the effect of rotation on them.

use super::plan::{LineCount, Rotation};
use crate::logs::rotation::{LineSize, LineSizes, MAX_LOG_BYTES, RotationKind};
use crate::util::line_reader::Line;

/// The properties of a line without its text: its sizes, its kind, and its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a line can have any of these properties without the others")]
pub(super) struct LineShape {
    /// Bytes of its content.
    pub(super) bytes: u32,
    /// UTF-16 code units of its content, each invalid part counted as one. Never more than the bytes.
    pub(super) units: u32,
    pub(super) is_terminated: bool,
    pub(super) has_carriage_return: bool,
    pub(super) is_row: bool,
    pub(super) is_blank: bool,
    pub(super) is_utf8: bool,
}

/// The longest line that is read, in bytes without its line feed. All lines of a bundle are shorter, because their
/// envelopes are not longer than this.
pub(super) const MAX_LINE_BYTES: u64 = (1 << 29) - 1;

impl LineShape {
    pub(super) fn of(line: Line<'_>, is_row: bool) -> Self {
        let content = content(line.bytes);
        let size = LineSize::of(content);
        Self {
            bytes: u32::try_from(content.len()).unwrap_or(u32::MAX),
            units: u32::try_from(size.units).unwrap_or(u32::MAX),
            is_terminated: line.terminated,
            has_carriage_return: content.len() < line.bytes.len(),
            is_row,
            is_blank: size.is_blank,
            is_utf8: size.is_utf8,
        }
    }

    pub(super) fn is_row(self) -> bool {
        self.is_row
    }

    pub(super) fn is_terminated(self) -> bool {
        self.is_terminated
    }

    /// Returns its length in bytes, including its line ending.
    pub(super) fn bytes(self) -> u64 {
        u64::from(self.bytes) + u64::from(self.is_terminated) + u64::from(self.has_carriage_return)
    }

    /// Returns its size as Patchwork counts it: a carriage return is part of the line.
    fn size(self) -> LineSize {
        let units = u64::from(self.units) + u64::from(self.has_carriage_return);
        LineSize { units, is_blank: self.is_blank, is_utf8: self.is_utf8 }
    }
}

/// Returns the content of a line, without its line ending. Lines with the same content are the same, so a log
/// whose line endings an editor changed still has the same lines.
pub(super) fn content(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The totals of consecutive lines, each on a line of its own.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) lines: LineCount,
    pub(super) bytes: u64,
    /// True if the last line has no line feed, so that another line needs one before it.
    unterminated: bool,
    sizes: LineSizes,
}

impl Tally {
    pub(super) fn push(&mut self, shape: LineShape) {
        self.lines.add(shape.is_row());
        self.bytes += u64::from(self.unterminated) + shape.bytes();
        self.unterminated = !shape.is_terminated();
        self.sizes.push(shape.size(), shape.is_row());
    }

    /// Appends all lines of another tally.
    pub(super) fn append(&mut self, next: &Self) {
        if next.lines.all() == 0 {
            return;
        }
        self.lines += next.lines;
        self.bytes += u64::from(self.unterminated) + next.bytes;
        self.unterminated = next.unterminated;
        self.sizes.append(&next.sizes);
    }

    /// Returns true if Patchwork rotates a log of these lines before it writes to it.
    pub(super) fn is_rotated(&self) -> bool {
        self.bytes > MAX_LOG_BYTES
    }

    /// Returns the change that Patchwork's next write makes to a log of these lines.
    pub(super) fn rotation(&self, kind: RotationKind, archive: Option<(&'static str, &Self)>) -> Option<Rotation> {
        self.sizes.forecast(kind, self.bytes, archive.map(|(name, archive)| (name, &archive.sizes)))
    }
}
