//! Interleaves what this machine has with what a bundle has.
//!
//! What holds for the result, whatever the two are:
//! - Every distinct line is in it as often as in the side that has it more often.
//! - The local lines stand in their order, each in its file. The bundle's stand in theirs, but for those lines that the
//!   local side has in another order: a line can stand in one place only, and what is there stays where it is.
//! - Between two lines that both sides have, a line follows once everything older of the other side is out. A line's
//!   age is the latest time up to it on its side, as lines are written in order, whatever time a row names. Of lines of
//!   the same age, the bundle's come first. A line without a time stays behind the one before it.
//! - Merging the same bundle again gives the same lines.

use super::align::Fate;
use super::index::{Side, UNTIMED};
use super::plan::LineCount;
use super::tally::Tally;

/// Where the next line of the result comes from, by its number on that side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Only this machine has it.
    Local(usize),
    /// It is new.
    Bundle(usize),
    /// Both have it.
    Both { local: usize, bundle: usize },
}

/// Goes through the lines of one side, and knows how old the next one is.
struct Cursor<'m> {
    times: &'m [i64],
    next: usize,
    /// The latest time so far; before the first, that one.
    age: i64,
    met_time: bool,
}

enum Head {
    /// It belongs behind the line before it.
    Follows,
    Aged(i64),
}

impl<'m> Cursor<'m> {
    fn new(times: &'m [i64]) -> Self {
        let first = times.iter().copied().find(|time| *time != UNTIMED);
        Self { times, next: 0, age: first.unwrap_or(UNTIMED), met_time: false }
    }

    fn head(&self) -> Head {
        match self.times[self.next] {
            UNTIMED if self.met_time => Head::Follows,
            UNTIMED => Head::Aged(self.age),
            time => Head::Aged(time.max(self.age)),
        }
    }

    fn take(&mut self) -> usize {
        let time = self.times[self.next];
        if time != UNTIMED {
            self.age = self.age.max(time);
            self.met_time = true;
        }
        self.next += 1;
        self.next - 1
    }
}

/// The lines of the result, in order.
pub(super) struct Steps<'m> {
    local: Cursor<'m>,
    bundle: Cursor<'m>,
    fates: &'m [Fate],
    /// The next line that both sides have in order: its local number and its number in the bundle.
    meeting: Option<(usize, usize)>,
}

impl<'m> Steps<'m> {
    pub(super) fn new(local: &'m Side, bundle: &'m Side, fates: &'m [Fate]) -> Self {
        let (local, bundle) = (Cursor::new(&local.lines.times), Cursor::new(&bundle.lines.times));
        let mut steps = Self { local, bundle, fates, meeting: None };
        steps.meeting = steps.find_meeting();
        steps
    }

    fn find_meeting(&self) -> Option<(usize, usize)> {
        let from = self.bundle.next;
        let mut rest = self.fates[from..].iter().enumerate();
        rest.find_map(|(ahead, fate)| match fate {
            Fate::With(local) => Some((*local as usize, from + ahead)),
            _ => None,
        })
    }

    /// Between two meetings: whether the local line is next.
    fn local_is_next(&self) -> bool {
        match (self.local.head(), self.bundle.head()) {
            (Head::Follows, _) => true,
            (_, Head::Follows) => false,
            (Head::Aged(local), Head::Aged(bundle)) => local < bundle,
        }
    }
}

impl Iterator for Steps<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let (local_end, bundle_end) = self.meeting.unwrap_or((self.local.times.len(), self.fates.len()));
        while self.bundle.next < bundle_end && self.fates[self.bundle.next] == Fate::Elsewhere {
            self.bundle.take();
        }
        match (self.local.next < local_end, self.bundle.next < bundle_end) {
            (true, bundle) if !bundle || self.local_is_next() => Some(Step::Local(self.local.take())),
            (_, true) => Some(Step::Bundle(self.bundle.take())),
            (_, false) => {
                self.meeting?;
                let step = Step::Both { local: self.local.take(), bundle: self.bundle.take() };
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
    fates: &[Fate],
    logs: usize,
    mut take: impl FnMut(Step, usize) -> Result<(), E>,
) -> Result<(), E> {
    let lines = local.lines.len();
    let log_of_next = |next: usize| if next < lines { local.log_of(next) } else { logs - 1 };
    let (mut before, mut behind) = (0, log_of_next(0));
    for step in Steps::new(local, bundle, fates) {
        let log = match step {
            Step::Local(line) | Step::Both { local: line, .. } => {
                before = behind;
                behind = log_of_next(line + 1);
                before
            }
            Step::Bundle(line) => bundle.log_of(line).clamp(before, behind),
        };
        take(step, log)?;
    }
    Ok(())
}

/// What becomes of one log.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) after: Tally,
    pub(super) new: LineCount,
    pub(super) kept: LineCount,
    /// Lines of the bundle's log that are not new.
    pub(super) already_there: LineCount,
    /// Whether the result is the bundle's log, byte for byte.
    pub(super) is_bundled_log: bool,
}

/// What becomes of each of the logs.
pub(super) fn outcome(local: &Side, bundle: &Side, fates: &[Fate], logs: usize) -> Vec<Merged> {
    let mut merged: Vec<_> = (0..logs).map(|_| Merged { is_bundled_log: true, ..Merged::default() }).collect();
    let (local_shapes, bundle_shapes) = (&local.lines.shapes, &bundle.lines.shapes);
    for (line, shape) in bundle_shapes.iter().enumerate().filter(|(line, _)| fates[*line] != Fate::New) {
        merged[bundle.log_of(line)].already_there.add(shape.is_row());
    }
    let done = each_step(local, bundle, fates, logs, |step, log| {
        let result = &mut merged[log];
        let (shape, count, is_bundled) = match step {
            Step::Local(line) => (local_shapes[line], &mut result.kept, false),
            Step::Bundle(line) => (bundle_shapes[line], &mut result.new, bundle.log_of(line) == log),
            Step::Both { local, bundle: line } => {
                let same = local_shapes[local] == bundle_shapes[line];
                (local_shapes[local], &mut result.kept, same && bundle.log_of(line) == log)
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
