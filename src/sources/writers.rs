//! The locks of Patchwork's writers, as others see them.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use fs_err as fs;

/// From this age on a lock is a dead writer's.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(30);

/// How long to wait for a lock.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before looking again. A writer holds its lock for about as long.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits for a writer who is amid something, but not for ever: rows can be read without its lock, only not at one moment.
#[derive(Debug)]
pub(super) struct Patience {
    lock: Option<PathBuf>,
    left: Duration,
}

impl Patience {
    /// For the writers that hold this lock.
    pub(super) fn with(lock: Option<PathBuf>) -> Self {
        Self { lock, left: PATIENCE }
    }

    /// Whether a writer holds the lock and is still waited for. If so, some time has passed.
    pub(super) fn is_amid(&mut self) -> bool {
        let is_amid = !self.left.is_zero() && self.lock.as_deref().is_some_and(is_held);
        if is_amid {
            thread::sleep(PAUSE);
            self.left = self.left.saturating_sub(PAUSE);
        }
        is_amid
    }
}

/// Whether a living writer holds the lock at `path`.
fn is_held(path: &Path) -> bool {
    let Ok(lock) = fs::symlink_metadata(path) else { return false };
    let age = lock.modified().ok().and_then(|made| SystemTime::now().duration_since(made).ok());
    lock.is_file() && age.is_none_or(|age| age <= STALE_AFTER)
}
