//! Interleaves what this machine has with what a bundle has.
//!
//! What holds for the result, whatever the two are:
//! - Every distinct line is in it as often as in the side that has it more often.
//! - The local lines stand in their order, each in its file. The bundle's stand in theirs, but for those lines that the
//!   local side has in another order: a line can stand in one place only, and what is there stays where it is.
//! - Between two lines that both sides have, a line follows once everything older of the other side is out. A line's
//!   age is the latest time up to it on its side, as lines are written in order, whatever time a row names. Of lines of
//!   the same age, the bundle's come first. A line without a time stays behind the one before it.
//! - Where both sides end with different rows about the same run, and both rows stand between the same two lines that
//!   both sides have, the row of the run that ended later comes last: a reader takes the last row of a run. Merging A
//!   into B and B into A give such a run the same last row. (Rows that cannot all come last, because each side keeps
//!   its order, are let go in the order of their ends.)
//! - Merging the same bundle again gives the same lines.

use std::iter::Peekable;

use super::index::Side;
use super::lcs::{Alignment, LineMatch};
use super::line_meta::{LineMeta, LineMetaIter, LineMetas};
use super::plan::LineCount;
use super::run_order::RunOrder;
use super::tally::{LineShape, Tally};

/// Where the next line of the result comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MergeStep {
    /// Only this machine has it.
    Local(SideLine),
    /// It is new.
    Bundle(SideLine),
    /// Both have it.
    Both { local: SideLine, bundle: SideLine },
}

/// A line of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SideLine {
    /// Its number on that side, from 0.
    pub(super) line: usize,
    pub(super) shape: LineShape,
}

/// Goes through the lines of one side, and knows how old the next one is.
struct Cursor<'m> {
    facts: Peekable<LineMetaIter<'m>>,
    next: usize,
    /// The latest time so far; before the first, that one. `None` on a side without times.
    age: Option<i64>,
    met_time: bool,
}

enum NextLine {
    /// It belongs behind the line before it.
    Follows,
    /// It is as old as this; where its side has no times, older than everything.
    Aged(Option<i64>),
}

impl<'m> Cursor<'m> {
    fn new(facts: &'m LineMetas) -> Self {
        let first = facts.iter().find_map(|fact| fact.time);
        Self { facts: facts.iter().peekable(), next: 0, age: first, met_time: false }
    }

    fn head(&mut self) -> NextLine {
        match self.facts.peek().and_then(|fact| fact.time) {
            None if self.met_time => NextLine::Follows,
            time => NextLine::Aged(time.max(self.age)),
        }
    }

    /// `None` behind the last line.
    fn take(&mut self) -> Option<SideLine> {
        let LineMeta { time, shape, .. } = self.facts.next()?;
        if time.is_some() {
            self.age = self.age.max(time);
            self.met_time = true;
        }
        self.next += 1;
        Some(SideLine { line: self.next - 1, shape })
    }
}

/// The lines of the result, in order.
pub(super) struct MergeSteps<'m> {
    local: Cursor<'m>,
    bundle: Cursor<'m>,
    local_lines: usize,
    fates: &'m Alignment,
    /// The next line that both sides have in order: its local number and its number in the bundle.
    meeting: Option<(usize, usize)>,
    order: RunOrder,
}

impl<'m> MergeSteps<'m> {
    pub(super) fn new(local: &'m Side, bundle: &'m Side, fates: &'m Alignment) -> Self {
        let local_lines = local.facts.len();
        let order = RunOrder::new(local, bundle, fates);
        let (local, bundle) = (Cursor::new(&local.facts), Cursor::new(&bundle.facts));
        let mut steps = Self { local, bundle, local_lines, fates, meeting: None, order };
        steps.meeting = steps.find_meeting();
        steps
    }

    fn find_meeting(&self) -> Option<(usize, usize)> {
        (self.bundle.next..self.fates.len()).find_map(|line| match self.fates.of(line) {
            LineMatch::With(local) => Some((local as usize, line)),
            _ => None,
        })
    }

    /// Between two meetings: whether the local line is next.
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
        let (local_end, bundle_end) = self.meeting.unwrap_or((self.local_lines, self.fates.len()));
        while self.bundle.next < bundle_end && self.fates.of(self.bundle.next) == LineMatch::Elsewhere {
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

/// Hands every line of the result to `take`, with the log that it goes to: a local line to its own, a new one to the
/// log that it has in the bundle, unless local lines around it are elsewhere.
pub(super) fn each_step<E>(
    local: &Side,
    bundle: &Side,
    fates: &Alignment,
    logs: usize,
    mut take: impl FnMut(MergeStep, usize) -> Result<(), E>,
) -> Result<(), E> {
    let lines = local.facts.len();
    let log_of_next = |next: usize| if next < lines { local.log_of(next) } else { logs - 1 };
    let (mut before, mut behind) = (0, log_of_next(0));
    for step in MergeSteps::new(local, bundle, fates) {
        let log = match step {
            MergeStep::Local(taken) | MergeStep::Both { local: taken, .. } => {
                before = behind;
                behind = log_of_next(taken.line + 1);
                before
            }
            MergeStep::Bundle(taken) => bundle.log_of(taken.line).clamp(before, behind),
        };
        take(step, log)?;
    }
    Ok(())
}

/// What becomes of one log.
#[derive(Debug, Default)]
pub(super) struct MergedLog {
    pub(super) after: Tally,
    pub(super) new: LineCount,
    pub(super) kept: LineCount,
    /// Lines of the bundle's log that are not new.
    pub(super) already_there: LineCount,
    /// Whether the result is the bundle's log, byte for byte.
    pub(super) is_bundled_log: bool,
}

/// What becomes of each of the logs.
pub(super) fn outcome(local: &Side, bundle: &Side, fates: &Alignment, logs: usize) -> Vec<MergedLog> {
    let mut merged: Vec<_> = (0..logs).map(|_| MergedLog { is_bundled_log: true, ..MergedLog::default() }).collect();
    for (line, fact) in bundle.facts.iter().enumerate().filter(|(line, _)| fates.of(*line) != LineMatch::New) {
        merged[bundle.log_of(line)].already_there.add(fact.shape.is_row());
    }
    let done = each_step(local, bundle, fates, logs, |step, log| {
        let result = &mut merged[log];
        let (shape, count, is_bundled) = match step {
            MergeStep::Local(taken) => (taken.shape, &mut result.kept, false),
            MergeStep::Bundle(taken) => (taken.shape, &mut result.new, bundle.log_of(taken.line) == log),
            MergeStep::Both { local, bundle: taken } => {
                (local.shape, &mut result.kept, local.shape == taken.shape && bundle.log_of(taken.line) == log)
            }
        };
        count.add(shape.is_row());
        result.is_bundled_log &= is_bundled;
        result.after.push(shape);
        Ok::<_, std::convert::Infallible>(())
    });
    let Ok(()) = done;
    for (log, result) in merged.iter_mut().enumerate() {
        result.is_bundled_log &= result.after.lines.all() == bundle.lines_of(log);
    }
    merged
}
