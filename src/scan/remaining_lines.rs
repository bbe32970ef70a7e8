//! What is left of a part that has very many runs or problems. What is known of them can take a hundred times the memory
//! of their text, so some are taken before more are looked for.

use super::rows::{PartLines, ScanContext};
use crate::gzip::inflate_into;

/// How many runs or problems are kept of a part at once. Most parts have one run and no problem.
const MAX_KEPT: usize = 4096;

/// Lines of a part that were not read yet.
pub(crate) struct RemainingLines {
    /// What is known of the part, with lines before these, but for their runs and problems.
    part: PartLines,
    text: UnreadText,
    /// Where these lines begin in the text.
    at: usize,
}

/// The text of a part, or what gives it.
pub(super) enum UnreadText {
    Text(Vec<u8>),
    /// Compressed data, and how much of what it holds is read.
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
    /// Whether no more of the part is kept before these are taken.
    pub(super) fn is_full(&self) -> bool {
        self.runs.len().max(self.problems.len()) >= MAX_KEPT
    }

    /// Keeps the text from `at` on, if that is where reading stopped, to be read when these lines are taken.
    pub(super) fn with_rest(mut self, at: Option<usize>, text: impl FnOnce() -> UnreadText) -> Self {
        self.rest = at.map(|at| Box::new(RemainingLines { part: self.part_behind(), text: text(), at }));
        self
    }

    /// What is known of the part behind these lines.
    fn part_behind(&self) -> Self {
        let mut times_before = self.times_before.clone();
        self.runs.iter().for_each(|run| times_before.merge(&run.times));
        let (taken_before, runs, problems) = (self.count, Vec::new(), Vec::new());
        Self { taken_before, times_before, runs, problems, rest: None, ..*self }
    }
}

impl ScanContext<'_> {
    /// Reads what comes next of a part.
    pub(crate) fn read_on(&self, rest: RemainingLines) -> PartLines {
        let RemainingLines { part: mut lines, text, at } = rest;
        let text = text.into_text();
        let at = self.read_lines(&text, at, &mut lines);
        lines.with_rest(at, || UnreadText::Text(text))
    }
}
