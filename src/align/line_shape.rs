//! The properties of a line that a merge and its report need, without its text.

use crate::logs::rotation::LineSize;
use crate::util::line_reader::Line;

/// The properties of a line without its text: its sizes, its kind, and its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "a line can have any of these properties without the others")]
pub struct LineShape {
    /// Bytes of its content.
    pub bytes: u32,
    /// UTF-16 code units of its content, with each invalid sequence counted as one. Never more than
    /// `bytes`.
    pub units: u32,
    pub is_terminated: bool,
    pub has_carriage_return: bool,
    pub is_row: bool,
    pub is_blank: bool,
    pub is_utf8: bool,
}

/// The maximum length of a line in bytes, without its line feed. All lines of a bundle are shorter,
/// because this also limits their envelopes.
pub const MAX_LINE_BYTES: u64 = (1 << 29) - 1;

impl LineShape {
    pub fn of(line: Line<'_>, is_row: bool) -> Self {
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

    pub fn is_row(self) -> bool {
        self.is_row
    }

    pub fn is_terminated(self) -> bool {
        self.is_terminated
    }

    /// Returns the length of the line in bytes, with its line ending.
    pub fn bytes(self) -> u64 {
        u64::from(self.bytes) + u64::from(self.is_terminated) + u64::from(self.has_carriage_return)
    }

    /// Returns the size of the line as Patchwork counts it, with its carriage return.
    pub fn size(self) -> LineSize {
        let units = u64::from(self.units) + u64::from(self.has_carriage_return);
        LineSize { units, is_blank: self.is_blank, is_utf8: self.is_utf8 }
    }
}

/// Returns the content of a line, without its carriage return. Lines with the same content are
/// equal, so a log still has the same lines after an editor has changed its line endings.
pub fn content(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
