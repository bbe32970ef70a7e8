//! Interleaves the local lines with the lines of a bundle. Common lines are those that both sides
//! have in the same order.
//!
//! The result always has these properties:
//! - Every distinct line occurs as often as on the side that has it more often.
//! - The local lines keep their order and their files. The bundle's lines keep their order, except
//!   for lines that the local side has in another order: the local order wins.
//! - Between two common lines, the lines of both sides are merged by time, older lines first. The
//!   time of a line is the latest timestamp up to it on its side, because a log is written in
//!   order, whatever timestamps its rows have. Of lines with the same time, the bundle's come
//!   first. A line without a timestamp follows the line before it.
//! - If the sides have different last rows about the same run, and both rows are between the same
//!   two common lines, the row with the later end comes last, because readers use the last row
//!   about a run. Merging A into B and merging B into A give such a run the same last row. (If the
//!   orders of the sides prevent that for some runs, their rows follow in the order of the ends.)
//! - Merging the same bundle again gives the same lines.

use std::iter::Peekable;

use super::index::Side;
use super::lcs::{Alignment, LineMatch};
use super::line_meta::{LineMeta, LineMetaIter, LineMetas};
use super::line_shape::LineShape;
use super::run_order::RunOrder;

/// A line of the result, by its origin.
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

/// A position in the lines of one side.
struct Cursor<'m> {
    metas: Peekable<LineMetaIter<'m>>,
    next: usize,
    /// The latest timestamp so far, or before the first one, the first timestamp. `None` on a side
    /// without timestamps.
    latest_time: Option<i64>,
    seen_time: bool,
}

enum NextLine {
    /// The line follows the line before it.
    Follows,
    /// The time of the line. `None`, on a side without timestamps, is before any other.
    At(Option<i64>),
}

impl<'m> Cursor<'m> {
    fn new(metas: &'m LineMetas) -> Self {
        let first = metas.iter().find_map(|meta| meta.time);
        Self { metas: metas.iter().peekable(), next: 0, latest_time: first, seen_time: false }
    }

    fn head(&mut self) -> NextLine {
        match self.metas.peek().and_then(|meta| meta.time) {
            None if self.seen_time => NextLine::Follows,
            time => NextLine::At(time.max(self.latest_time)),
        }
    }

    /// Returns the next line and moves past it. Returns `None` after the last line.
    fn take(&mut self) -> Option<SideLine> {
        let LineMeta { time, shape, .. } = self.metas.next()?;
        if time.is_some() {
            self.latest_time = self.latest_time.max(time);
            self.seen_time = true;
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
    /// The line numbers (local, bundle) of the next common line.
    next_common: Option<(usize, usize)>,
    order: RunOrder,
}

impl<'m> MergeSteps<'m> {
    pub fn new(local: &'m Side, bundle: &'m Side, alignment: &'m Alignment) -> Self {
        let local_lines = local.metas.len();
        let order = RunOrder::new(local, bundle, alignment);
        let (local, bundle) = (Cursor::new(&local.metas), Cursor::new(&bundle.metas));
        let mut steps = Self { local, bundle, local_lines, alignment, next_common: None, order };
        steps.next_common = steps.find_common();
        steps
    }

    fn find_common(&self) -> Option<(usize, usize)> {
        (self.bundle.next..self.alignment.len()).find_map(|line| match self.alignment.of(line) {
            LineMatch::With(local) => Some((local as usize, line)),
            _ => None,
        })
    }

    /// Returns true if the local line comes next. Both sides must have lines left before the next
    /// common line.
    fn local_is_next(&mut self) -> bool {
        let local_constraint =
            self.order.local.of(self.local.next).filter(|constraint| constraint.is_unmet(self.bundle.next));
        let bundle_constraint =
            self.order.bundle.of(self.bundle.next).filter(|constraint| constraint.is_unmet(self.local.next));
        match (local_constraint, bundle_constraint) {
            (Some(local), Some(bundle)) => return local.cmp_rows(bundle).is_lt(),
            (Some(_), None) => return false,
            (None, Some(_)) => return true,
            (None, None) => {}
        }
        match (self.local.head(), self.bundle.head()) {
            (NextLine::Follows, _) => true,
            (_, NextLine::Follows) => false,
            (NextLine::At(local), NextLine::At(bundle)) => local < bundle,
        }
    }
}

impl Iterator for MergeSteps<'_> {
    type Item = MergeStep;

    fn next(&mut self) -> Option<MergeStep> {
        let (local_end, bundle_end) = self.next_common.unwrap_or((self.local_lines, self.alignment.len()));
        while self.bundle.next < bundle_end && self.alignment.of(self.bundle.next) == LineMatch::Elsewhere {
            self.bundle.take();
        }
        match (self.local.next < local_end, self.bundle.next < bundle_end) {
            (true, bundle) if !bundle || self.local_is_next() => self.local.take().map(MergeStep::Local),
            (_, true) => self.bundle.take().map(MergeStep::Bundle),
            (_, false) => {
                self.next_common?;
                let step = MergeStep::Both { local: self.local.take()?, bundle: self.bundle.take()? };
                self.next_common = self.find_common();
                Some(step)
            }
        }
    }
}

/// Passes every line of the result to `take`, with the index of its log. A local line stays in its
/// log. A new line goes to the same log as in the bundle, clamped to the logs of the local lines
/// around it.
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
