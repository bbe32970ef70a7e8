//! Opens the logs of a group as they were at one moment, while their writers continue.
//!
//! Rotation moves rows from the last log of a group to the one before it. It rewrites that one in place, replaces
//! the last log with a shorter file, and holds the lock of the group meanwhile. So every log except the last is
//! copied, and the copies only count if nothing happened while they were made.

use std::io;
use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use tempfile::SpooledTempFile;

use super::discover::LogGroup;
use super::open::OpenLog;
use super::writer_lock::{LockWatch, LogStates, SystemWaitClock, WaitClock};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::progress::{Cancellation, NoProgress, Progress};
use crate::util::file_identity::{is_same_file, is_unchanged};

/// The time after which opening fails while writers are busy.
const MAX_TRYING: Duration = Duration::from_secs(30);

/// The pause before the next attempt. A writer holds its lock for about as long.
const PAUSE: Duration = Duration::from_millis(2);

/// The interval within which two writes may have the same timestamp.
const TICK: Duration = Duration::from_millis(20);

/// The maximum number of attempts that wait for a fresh timestamp to age. If logs are rewritten even more often,
/// their lock and the identity of the last log must suffice.
const MAX_TICK_WAITS: u32 = 3;

impl LogGroup {
    /// Opens its logs as they were at one moment, with copies in the system's temporary directory. See
    /// [`open_in`](Self::open_in).
    ///
    /// # Errors
    /// As [`open_in`](Self::open_in).
    pub fn open(&self) -> Result<Vec<OpenLog>> {
        self.open_in(std::env::temp_dir(), &NoProgress)
    }

    /// Opens its logs as they were at one moment: a row that rotation moves from one log to another meanwhile is
    /// in exactly one of them. Copies every log except the last, up to 1 MiB of each in memory. A longer copy is
    /// an unnamed file in `work_dir`.
    ///
    /// Waits for a writer that holds the lock of the logs, for up to five seconds unless the logs change. Tries
    /// again if a writer interferes, for up to thirty seconds.
    ///
    /// # Errors
    /// If a log cannot be opened, read or copied, [`ErrorKind::LogsKeepChanging`] after thirty seconds of
    /// attempts, and [`ErrorKind::Cancelled`].
    pub fn open_in(&self, work_dir: impl AsRef<Path>, progress: &dyn Progress) -> Result<Vec<OpenLog>> {
        self.open_changed_in(work_dir.as_ref(), progress, &|_| false)
    }

    /// Opens its logs like [`open_in`](Self::open_in), but does not copy those that will not be read, as `is_known` says.
    ///
    /// # Errors
    /// As [`open_in`](Self::open_in).
    pub(crate) fn open_changed_in(
        &self,
        work_dir: &Path,
        progress: &dyn Progress,
        is_known: &dyn Fn(&OpenLog) -> bool,
    ) -> Result<Vec<OpenLog>> {
        self.open_at(work_dir, &progress.cancellation(), &SystemWaitClock::start(), is_known)
    }

    fn open_at(
        &self,
        work_dir: &Path,
        cancellation: &Cancellation,
        clock: &dyn WaitClock,
        is_known: &dyn Fn(&OpenLog) -> bool,
    ) -> Result<Vec<OpenLog>> {
        if self.rediscover()?.is_none() {
            return self.logs.iter().map(OpenLog::open).collect();
        }
        let lock = LockWatch::new(self.lock());
        let mut snapshot = Snapshot { group: self, work_dir, cancellation, clock, is_known, lock, tick_waits: 0 };
        loop {
            cancellation.check()?;
            if let Some(opened) = snapshot.attempt()? {
                return Ok(opened);
            }
            if clock.elapsed() >= MAX_TRYING {
                let subject = self.logs.last().map(|log| log.path.display().to_string()).unwrap_or_default();
                return Err(Error::from(ErrorKind::LogsKeepChanging).in_subject(&subject));
            }
            clock.sleep(PAUSE);
        }
    }
}

/// The state of the attempts to open a group.
struct Snapshot<'a> {
    group: &'a LogGroup,
    work_dir: &'a Path,
    cancellation: &'a Cancellation,
    clock: &'a dyn WaitClock,
    /// Returns true for a log that is not copied.
    is_known: &'a dyn Fn(&OpenLog) -> bool,
    lock: LockWatch,
    tick_waits: u32,
}

impl Snapshot<'_> {
    /// Opens the logs once. Returns `None` if a writer interfered.
    fn attempt(&mut self) -> Result<Option<Vec<OpenLog>>> {
        let (group, states) = self.look()?;
        if self.lock.must_wait(states, self.clock) {
            return Ok(None);
        }
        let opened = group.logs.iter().map(OpenLog::open).collect::<Result<Vec<_>>>();
        let mut opened = match opened {
            Err(error) if is_not_found(&error) => return Ok(None),
            opened => opened?,
        };
        let Some(copies) = self.copies(&mut opened)? else { return Ok(None) };
        // The opened files are held open until they are compared, so that their inode numbers are not reused.
        let (_, states) = self.look()?;
        let is_moment = is_same_moment(&opened, &states) && !ends_amid_row(&mut opened, &states)?;
        if !is_moment || self.lock.must_wait(states, self.clock) {
            return Ok(None);
        }
        for (log, copy) in opened.iter_mut().zip(copies) {
            copy.map_or(Ok(()), |copy| log.use_copy(copy))?;
        }
        Ok(Some(opened))
    }

    /// Copies every log except the last and known ones. Returns `None` if one became shorter.
    fn copies(&mut self, opened: &mut [OpenLog]) -> Result<Option<Vec<Option<SpooledTempFile>>>> {
        let Some((_, earlier)) = opened.split_last_mut() else { return Ok(Some(Vec::new())) };
        // A file can be rewritten within one tick of its timestamp, which then proves nothing until the tick is
        // over.
        let is_fresh = earlier.iter().any(|log| self.is_fresh(log));
        let mut copies = Vec::new();
        for log in earlier {
            if (self.is_known)(log) {
                copies.push(None);
                continue;
            }
            match log.copy(self.work_dir, || self.cancellation.check())? {
                Some(copy) => copies.push(Some(copy)),
                None => return Ok(None),
            }
        }
        if is_fresh && self.tick_waits < MAX_TICK_WAITS {
            self.tick_waits += 1;
            self.clock.sleep(TICK);
        }
        Ok(Some(copies))
    }

    /// Returns true if a log was written to about now.
    fn is_fresh(&self, log: &OpenLog) -> bool {
        let now = self.clock.now();
        log.opened().modified().is_ok_and(|modified| match now.duration_since(modified) {
            Ok(age) => age < TICK,
            Err(ahead) => ahead.duration() < TICK,
        })
    }

    /// Discovers the current logs of the group, and reads the state of each.
    fn look(&self) -> Result<(LogGroup, LogStates)> {
        let group = self.group.rediscover()?.unwrap_or_else(|| self.group.clone());
        let mut states = Vec::new();
        for log in &group.logs {
            match fs::metadata(&log.path) {
                Ok(state) => states.push((log.path.clone(), state)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io(IoAction::Open, &log.path, error)),
            }
        }
        Ok((group, states))
    }
}

/// Returns true if the opened logs are the current ones. The last one may have grown, because rows are only
/// appended to it. The earlier ones must not have changed, because rows are moved there from the last.
fn is_same_moment(opened: &[OpenLog], now: &LogStates) -> bool {
    let is_same = |(index, (open, (path, state))): (usize, (&OpenLog, &(_, _)))| {
        let is_last = index + 1 == opened.len();
        let is_as_before = if is_last { is_same_file } else { is_unchanged };
        open.log.path == *path && is_as_before(open.opened(), state)
    };
    opened.len() == now.len() && opened.iter().zip(now).enumerate().all(is_same)
}

/// Returns true if the last log was opened in the middle of an append: it ends without a line feed and has grown
/// since.
fn ends_amid_row(opened: &mut [OpenLog], now: &LogStates) -> Result<bool> {
    let (Some(open), Some((_, state))) = (opened.last_mut(), now.last()) else { return Ok(false) };
    Ok(state.len() > open.opened().len() && !open.open_line()?.is_empty())
}

/// Returns true if a log was missing when it was to be opened, because it is just being replaced.
fn is_not_found(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests;
