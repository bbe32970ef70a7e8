//! Interleaves the local lines with the lines of a bundle.
//!
//! The result always has these properties:
//! - Every distinct line occurs as often as on the side that has it more often.
//! - The local lines keep their order and their files. The bundle's lines keep their order, except for lines that
//!   the local side has in another order: a line can be in one place only, and local lines stay where they are.
//! - Between two lines that both sides have, a line follows once all older lines of the other side are written.
//!   The age of a line is the latest timestamp up to it on its side, because lines are written in order, whatever
//!   timestamp a row carries. Of lines of the same age, the bundle's come first. A line without a timestamp stays
//!   after the line before it.
//! - Where both sides end with different rows about the same run, and both rows are between the same two lines
//!   that both sides have, the row with the later end of the run comes last, because a reader takes the last row
//!   of a run. Merging A into B and B into A give such a run the same last row. (If rows cannot all come last
//!   because each side keeps its order, they follow in the order of their ends.)
//! - Merging the same bundle again gives the same lines.

use std::iter::Peekable;

use super::index::Side;
use super::lcs::{Alignment, LineMatch};
use super::line_meta::{LineMeta, LineMetaIter, LineMetas};
use super::line_shape::LineShape;
use super::run_order::RunOrder;

/// The origin of the next line of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeStep {
    /// A line that only this machine has.
    Local(SideLine),
    /// A new line.
    Bundle(SideLine),
    /// A line that both sides have.
    Both { local: SideLine, bundle: SideLine },
}

/// A line of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SideLine {
    /// Its number on that side, counted from 0.
    pub line: usize,
    pub shape: LineShape,
}

/// A position in the lines of one side, with the age of the next line.
struct Cursor<'m> {
    metas: Peekable<LineMetaIter<'m>>,
    next: usize,
    /// The latest timestamp so far; before the first one, that first timestamp. `None` on a side without
    /// timestamps.
    age: Option<i64>,
    met_time: bool,
}

enum NextLine {
    /// The line stays after the line before it.
    Follows,
    /// The age of the line. On a side without timestamps it is `None`: older than everything.
    Aged(Option<i64>),
}

impl<'m> Cursor<'m> {
    fn new(metas: &'m LineMetas) -> Self {
        let first = metas.iter().find_map(|meta| meta.time);
        Self { metas: metas.iter().peekable(), next: 0, age: first, met_time: false }
    }

    fn head(&mut self) -> NextLine {
        match self.metas.peek().and_then(|meta| meta.time) {
            None if self.met_time => NextLine::Follows,
            time => NextLine::Aged(time.max(self.age)),
        }
    }

    /// Returns the next line and moves past it. Returns `None` after the last line.
    fn take(&mut self) -> Option<SideLine> {
        let LineMeta { time, shape, .. } = self.metas.next()?;
        if time.is_some() {
            self.age = self.age.max(time);
            self.met_time = true;
        }
        self.next += 1;
        Some(SideLine { line: self.next - 1, shape })
    }
}

/// The lines of the result, in order.
pub struct MergeSteps<'m> {
    local: Cursor<'m>,
    bundle: Cursor<'m>,
    local_lines: usize,
    alignment: &'m Alignment,
    /// The next line that both sides have in order: its line numbers on the local side and in the bundle.
    meeting: Option<(usize, usize)>,
    order: RunOrder,
}

impl<'m> MergeSteps<'m> {
    pub fn new(local: &'m Side, bundle: &'m Side, alignment: &'m Alignment) -> Self {
        let local_lines = local.metas.len();
        let order = RunOrder::new(local, bundle, alignment);
        let (local, bundle) = (Cursor::new(&local.metas), Cursor::new(&bundle.metas));
        let mut steps = Self { local, bundle, local_lines, alignment, meeting: None, order };
        steps.meeting = steps.find_meeting();
        steps
    }

    fn find_meeting(&self) -> Option<(usize, usize)> {
        (self.bundle.next..self.alignment.len()).find_map(|line| match self.alignment.of(line) {
            LineMatch::With(local) => Some((local as usize, line)),
            _ => None,
        })
    }

    /// Returns true if the local line comes next. Both sides must have lines left before the next meeting.
    fn local_is_next(&mut self) -> bool {
        let local_waits = self.order.local.of(self.local.next).filter(|wait| wait.holds(self.bundle.next));
        let bundle_waits = self.order.bundle.of(self.bundle.next).filter(|wait| wait.holds(self.local.next));
        match (local_waits, bundle_waits) {
            (Some(local), Some(bundle)) => return local.cmp_rows(bundle).is_lt(),
            (Some(_), None) => return false,
            (None, Some(_)) => return true,
            (None, None) => {}
        }
        match (self.local.head(), self.bundle.head()) {
            (NextLine::Follows, _) => true,
            (_, NextLine::Follows) => false,
            (NextLine::Aged(local), NextLine::Aged(bundle)) => local < bundle,
        }
    }
}

impl Iterator for MergeSteps<'_> {
    type Item = MergeStep;

    fn next(&mut self) -> Option<MergeStep> {
        let (local_end, bundle_end) = self.meeting.unwrap_or((self.local_lines, self.alignment.len()));
        while self.bundle.next < bundle_end && self.alignment.of(self.bundle.next) == LineMatch::Elsewhere {
            self.bundle.take();
        }
        match (self.local.next < local_end, self.bundle.next < bundle_end) {
            (true, bundle) if !bundle || self.local_is_next() => self.local.take().map(MergeStep::Local),
            (_, true) => self.bundle.take().map(MergeStep::Bundle),
            (_, false) => {
                self.meeting?;
                let step = MergeStep::Both { local: self.local.take()?, bundle: self.bundle.take()? };
                self.meeting = self.find_meeting();
                Some(step)
            }
        }
    }
}

/// Passes every line of the result to `take`, with the index of its log. A local line stays in its log. A new line
/// goes to the log that it has in the bundle, limited to the logs of the local lines around it.
pub fn each_step<E>(
    local: &Side,
    bundle: &Side,
    alignment: &Alignment,
    logs: usize,
    mut take: impl FnMut(MergeStep, usize) -> Result<(), E>,
) -> Result<(), E> {
    let lines = local.metas.len();
    let log_of_next = |next: usize| if next < lines { local.log_of(next) } else { logs - 1 };
    let (mut before, mut after) = (0, log_of_next(0));
    for step in MergeSteps::new(local, bundle, alignment) {
        let log = match step {
            MergeStep::Local(taken) | MergeStep::Both { local: taken, .. } => {
                before = after;
                after = log_of_next(taken.line + 1);
                before
            }
            MergeStep::Bundle(taken) => bundle.log_of(taken.line).clamp(before, after),
        };
        take(step, log)?;
    }
    Ok(())
}
