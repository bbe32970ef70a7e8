//! The locks that Patchwork's writers use to exclude each other.
//!
//! A writer creates `<file>.lock`, which must not exist, and removes it when it is done. A lock
//! older than 30 seconds belongs to a dead writer and may be removed. An import holds its locks
//! only for a fraction of a second, while it compares and renames files, because a writer drops its
//! row after waiting for five seconds. An import also takes a system lock on its lock file, which
//! lasts as long as the process, so the lock file of a killed import is recognised at once.

use std::fs::Metadata;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use fs_err as fs;

use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::logs::{PATIENCE, STALE_AFTER};
use crate::progress::Cancellation;
use crate::util::atomic_file::{create_temporary_in, parent_dir};
use crate::util::file_identity::is_at;
use crate::util::regular_file;

/// The pause between two attempts. Writers try every 5 ms; a process that tries less often may
/// never get a lock that two busy writers share.
const POLL: Duration = Duration::from_millis(1);

/// The content of an import's lock.
const OURS: &[u8] = b"patchwork-traces import\n";

/// A clock, with a way to wait.
pub trait Clock: Sync {
    /// Returns the current time.
    fn now(&self) -> SystemTime;

    /// Sleeps for `time`.
    fn sleep(&self, time: Duration);
}

/// The system clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, time: Duration) {
        thread::sleep(time);
    }
}

/// A held lock. On drop it is removed, if it is still ours.
#[derive(Debug)]
struct LogLock {
    path: PathBuf,
    file: fs::File,
}

/// A set of held locks.
#[derive(Debug)]
pub struct Locks(Vec<LogLock>);

/// Runs `work` while holding all locks at `paths`. Holds no lock while it waits for another.
///
/// # Errors
/// [`ErrorKind::Locked`] if other programs hold a lock for longer than writers wait.
pub fn with_locks<T>(
    mut paths: Vec<PathBuf>,
    clock: &dyn Clock,
    cancellation: &Cancellation,
    work: impl FnOnce(&Locks) -> Result<T>,
) -> Result<T> {
    // Sorted, so that two imports that need the same locks try the same one first.
    paths.sort();
    let mut waited = Duration::ZERO;
    loop {
        match Locks::try_acquire(&paths, clock.now())? {
            Ok(locks) => return work(&locks),
            Err(held) if waited >= PATIENCE => {
                let kind = ErrorKind::Locked { seconds: PATIENCE.as_secs() };
                return Err(Error::from(kind).in_subject(&held.display().to_string()));
            }
            Err(_) => {}
        }
        cancellation.check()?;
        clock.sleep(POLL);
        waited += POLL;
    }
}

impl Locks {
    /// Acquires all locks at once, or returns the path of one that another program holds.
    fn try_acquire(paths: &[PathBuf], now: SystemTime) -> Result<Result<Self, &Path>> {
        let mut locks = Self(Vec::new());
        for path in paths {
            match LogLock::try_acquire(path, now)? {
                Some(lock) => locks.0.push(lock),
                None => return Ok(Err(path)),
            }
        }
        Ok(Ok(locks))
    }

    /// Checks that no lock was lost to another program.
    ///
    /// # Errors
    /// [`ErrorKind::LockLost`].
    pub fn check(&self) -> Result<()> {
        match self.0.iter().find(|lock| !is_at(&lock.file, &lock.path)) {
            Some(lost) => Err(Error::from(ErrorKind::LockLost).in_subject(&lost.path.display().to_string())),
            None => Ok(()),
        }
    }
}

impl LogLock {
    /// Acquires a lock, unless another program holds it. Removes the lock of a dead writer.
    fn try_acquire(path: &Path, now: SystemTime) -> Result<Option<Self>> {
        loop {
            match create(path) {
                Ok(file) => return Ok(Some(Self { path: path.to_owned(), file })),
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(Error::io(IoAction::Lock, path, error));
                }
                Err(_) if remove_dead(path, now) => {}
                Err(_) => return Ok(None),
            }
        }
    }
}

impl Drop for LogLock {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            // If it can't be removed, it becomes stale after 30 seconds.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Creates a lock file that contains the import's text from the start. A process that finds this
/// text and gets the system lock on the file knows that the import is dead, however old the lock
/// is.
fn create(path: &Path) -> io::Result<fs::File> {
    if path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut lock = create_temporary_in(parent_dir(path))?;
    // The lock works even without its text.
    let _ = lock.write_all(OURS);
    let lock = lock.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(fs::File::from_parts(lock, path))
}

/// Removes the lock of a dead writer and returns true. Returns false if the writer is alive, or if
/// the lock is gone or cannot be removed.
fn remove_dead(path: &Path, now: SystemTime) -> bool {
    let Ok(existing) = path.symlink_metadata() else { return false };
    if !existing.is_file() {
        return false;
    }
    let is_stale = |lock: &Metadata| {
        let age = lock.modified().ok().and_then(|then| now.duration_since(then).ok());
        age.is_some_and(|age| age > STALE_AFTER)
    };
    let is_dead = match regular_file::open_no_follow(path) {
        // While we hold the system lock, no other import considers this lock dead because of its
        // text.
        Ok(file) => {
            let alone = file.file().try_lock().is_ok();
            let is_dead = alone && is_ours(&file) || file.metadata().is_ok_and(|lock| is_stale(&lock));
            is_dead && is_at(&file, path)
        }
        // An unreadable lock of another user may still be removed because of its age.
        Err(_) => is_stale(&existing),
    };
    is_dead && fs::remove_file(path).is_ok()
}

fn is_ours(file: &fs::File) -> bool {
    let mut text = Vec::new();
    file.file().take(OURS.len() as u64 + 1).read_to_end(&mut text).is_ok() && text == OURS
}
