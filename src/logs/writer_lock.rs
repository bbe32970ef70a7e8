//! Observes the locks of Patchwork's writers.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use fs_err as fs;

use crate::util::file_identity::{is_same_file, is_unchanged};

/// The age above which a lock belongs to a dead writer.
pub const STALE_AFTER: Duration = Duration::from_secs(30);

/// The time to wait for a lock.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A clock, with a way to wait.
pub trait WaitClock {
    /// Returns the time with which files are stamped.
    fn now(&self) -> SystemTime;

    /// Returns the time since this clock was created. It never goes back.
    fn elapsed(&self) -> Duration;

    /// Sleeps for `time`.
    fn sleep(&self, time: Duration);
}

/// The system clock.
#[derive(Debug)]
pub struct SystemWaitClock(Instant);

impl SystemWaitClock {
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl WaitClock for SystemWaitClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration) {
        thread::sleep(time);
    }
}

/// The logs of a group as they were observed once: the path and metadata of each.
pub type LogStates = Vec<(PathBuf, Metadata)>;

/// An observer of the lock of a group of logs.
#[derive(Debug)]
pub struct LockWatch {
    lock: Option<PathBuf>,
    holder: Option<Holder>,
}

/// A writer that holds the lock, and the time since which nothing has changed.
#[derive(Debug)]
struct Holder {
    lock: Metadata,
    logs: LogStates,
    since: Duration,
}

impl LockWatch {
    /// Creates an observer of this lock.
    pub fn new(lock: Option<PathBuf>) -> Self {
        Self { lock, holder: None }
    }

    /// Returns true if a living writer holds the lock and must be waited for. A writer that has held it for long,
    /// while the logs stayed the same, is not waited for, because rows can be read without its lock.
    pub fn must_wait(&mut self, logs: LogStates, clock: &dyn WaitClock) -> bool {
        let Some(lock) = self.lock.as_deref().and_then(|lock| living(lock, clock.now())) else {
            self.holder = None;
            return false;
        };
        match &self.holder {
            Some(holder) if is_same_file(&holder.lock, &lock) && is_same_state(&holder.logs, &logs) => {
                clock.elapsed().saturating_sub(holder.since) < PATIENCE
            }
            _ => {
                self.holder = Some(Holder { lock, logs, since: clock.elapsed() });
                true
            }
        }
    }
}

fn is_same_state(a: &LogStates, b: &LogStates) -> bool {
    let same = |((a_path, a), (b_path, b)): (&(PathBuf, Metadata), &(PathBuf, Metadata))| {
        a_path == b_path && is_unchanged(a, b)
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// Returns the metadata of the lock at `path`, if a living writer holds it.
fn living(path: &Path, now: SystemTime) -> Option<Metadata> {
    let lock = fs::symlink_metadata(path).ok()?;
    let age = lock.modified().ok().and_then(|made| now.duration_since(made).ok());
    (lock.is_file() && age.is_none_or(|age| age <= STALE_AFTER)).then_some(lock)
}
