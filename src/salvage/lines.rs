//! The lines of a part, after reading.
//!
//! The runs or problems of a part can take a hundred times the memory of its text. If there are too many, reading
//! pauses until the caller has taken those found so far.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::part::Part;
use crate::digest::Crc32;
use crate::error::{EntryFault, RowFault};
use crate::format::log_decoder::RowLines;
use crate::format::timeline::RowTimes;
use crate::gzip::{BlockEnd, inflate_into};

/// The log to which rows belong.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowFile {
    pub source: String,
    pub name: String,
    /// The log's index in the manifest's `files`.
    pub index: Option<usize>,
}

/// Rows of one log on consecutive lines.
pub struct RowRun {
    pub file: Arc<RowFile>,
    /// The run's first line within the part, from 0.
    pub first_line: u64,
    pub rows: RowLines,
    pub times: RowTimes,
}

/// A problem with one line.
pub struct Problem {
    /// The line within the part, from 0.
    pub line: u64,
    /// The line's offset in the part's text.
    pub at: u64,
    pub fault: LineFault,
}

pub enum LineFault {
    /// The line is not a row.
    NotARow(RowFault),
    /// The line is a row, and part of a run unless strict reading dropped it.
    Entry(EntryFault),
}

/// The lines of a part.
#[allow(clippy::struct_excessive_bools, reason = "they are independent facts")]
pub struct PartLines {
    pub chunk: Option<usize>,
    /// The part's offset in the file, if known.
    pub offset: Option<u64>,
    /// The length of the part in the file; 0 if it is not a block.
    pub compressed: u64,
    pub is_block: bool,
    pub is_at_end: bool,
    pub is_guess: bool,
    /// The way the text ends.
    pub end: BlockEnd,
    pub bytes: u64,
    pub crc32: Crc32,
    /// The number of lines read so far, including one without a line feed.
    pub count: u64,
    /// The number of lines that were taken earlier.
    pub taken_before: u64,
    /// The timestamps of rows that were taken earlier.
    pub times_before: RowTimes,
    pub ends_with_line_feed: bool,
    /// True if the table's checksum and length match the text.
    pub is_verified: bool,
    /// True if nothing after the first problem can be trusted.
    pub(super) stops_at_damage: bool,
    pub runs: Vec<RowRun>,
    pub problems: Vec<Problem>,
    /// The part's remaining lines, if there are too many runs or problems to keep at once.
    pub rest: Option<Box<RemainingLines>>,
}

/// A part after reading.
pub enum ReadPart {
    /// The lines of the part, then those of a block that begins within it, if it is damaged.
    Lines(Vec<PartLines>),
    /// A part without rows, unchanged.
    Other(Part),
}

impl PartLines {
    pub(super) fn problem(&mut self, at: u64, fault: LineFault) {
        self.problems.push(Problem { line: self.count, at, fault });
    }
}

/// The number of rows that each log has in the remaining runs of a part.
pub struct RemainingRows<K>(HashMap<K, u64>);

impl<K: Hash + Eq> RemainingRows<K> {
    /// Counts the rows of runs per log. `key` returns the log of a run.
    pub fn of<'r>(runs: impl Iterator<Item = &'r RowRun>, key: impl Fn(&'r RowRun) -> K) -> Self {
        let mut left = HashMap::new();
        runs.for_each(|run| *left.entry(key(run)).or_default() += run.rows.len());
        Self(left)
    }

    /// Removes the next run, which belongs to `log`, from the count. Returns true if the run interrupts the `open` log:
    /// the open log still has rows, and at least as many as `log` has in this run and later ones.
    pub fn is_interrupted_by(&mut self, run: &RowRun, log: &K, open: Option<&K>) -> bool {
        let of_open = open.filter(|open| *open != log).and_then(|open| self.0.get(open)).copied().unwrap_or(0);
        let left = self.0.get_mut(log);
        let of_log = left.map_or(0, |left| std::mem::replace(left, left.saturating_sub(run.rows.len())));
        of_open > 0 && of_open >= of_log
    }
}

/// The maximum number of runs or problems of a part that are kept at once. Most parts have one run and no problems.
const MAX_KEPT: usize = 4096;

/// Lines of a part that have not been read yet.
pub struct RemainingLines {
    /// The part's metadata including earlier lines, without their runs and problems.
    pub(super) part: PartLines,
    pub(super) text: UnreadText,
    /// The offset of these lines in the text.
    pub(super) at: usize,
}

/// The text of a part, or the data to inflate it from.
pub(super) enum UnreadText {
    Text(Vec<u8>),
    /// Compressed data, and the maximum number of bytes to inflate.
    Block(Vec<u8>, u64),
}

impl UnreadText {
    pub(super) fn into_text(self) -> Vec<u8> {
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
