//! Bounds the memory for a part with very many runs or problems. These can take a hundred times the memory of their
//! text, so the reader hands some out before it looks for more.

use super::rows::{PartLines, ScanContext};
use crate::gzip::inflate_into;

/// The most runs or problems of a part that are kept at once. Most parts have one run and no problems.
const MAX_KEPT: usize = 4096;

/// Lines of a part that have not been read yet.
pub(crate) struct RemainingLines {
    /// The part's metadata including earlier lines, without their runs and problems.
    part: PartLines,
    text: UnreadText,
    /// The offset of these lines in the text.
    at: usize,
}

/// The text of a part, or the data to inflate it from.
pub(super) enum UnreadText {
    Text(Vec<u8>),
    /// Compressed data, and the maximum number of bytes to inflate.
    Block(Vec<u8>, u64),
}

impl UnreadText {
    fn into_text(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text,
            Self::Block(data, most) => {
                let mut text = Vec::new();
                inflate_into(&mut text, &data, most);
                text
            }
        }
    }
}

impl PartLines {
    /// Returns true if reading must stop until these runs and problems are taken.
    pub(super) fn is_full(&self) -> bool {
        self.runs.len().max(self.problems.len()) >= MAX_KEPT
    }

    /// If reading stopped at `at`, keeps the text so that the rest can be read after these lines are taken.
    pub(super) fn with_rest(mut self, at: Option<usize>, text: impl FnOnce() -> UnreadText) -> Self {
        self.rest = at.map(|at| Box::new(RemainingLines { part: self.rest_of_part(), text: text(), at }));
        self
    }

    /// Returns the part's metadata for the lines after these.
    fn rest_of_part(&self) -> Self {
        let mut times_before = self.times_before.clone();
        self.runs.iter().for_each(|run| times_before.merge(&run.times));
        let (taken_before, runs, problems) = (self.count, Vec::new(), Vec::new());
        Self { taken_before, times_before, runs, problems, rest: None, ..*self }
    }
}

impl ScanContext<'_> {
    /// Reads the next lines of a part.
    pub(crate) fn read_on(&self, rest: RemainingLines) -> PartLines {
        let RemainingLines { part: mut lines, text, at } = rest;
        let text = text.into_text();
        let at = self.read_lines(&text, at, &mut lines);
        lines.with_rest(at, || UnreadText::Text(text))
    }
}
