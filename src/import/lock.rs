//! The lock by which Patchwork's writers take turns, and how long to wait for it.
//!
//! A writer creates `<file>.lock`, which must not exist, and removes it when it is done. A lock that is older than 30
//! seconds is a dead writer's and may be removed. Ours is touched every few seconds, so that it does not look dead when
//! a large log takes longer. Besides, the system holds a lock of its own on ours for as long as we live: so the lock of
//! an import that was killed is known at once.

use std::fs::Metadata;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{RecvTimeoutError, bounded};
use fs_err as fs;

use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::progress::Cancellation;
use crate::publish::{dir_of, temporary_in};
use crate::sources::{PATIENCE, STALE_AFTER, is_same_file};

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(50);

/// How often a lock is touched while it is held.
const TOUCH_EVERY: Duration = Duration::from_secs(5);

/// What stands in a lock of ours.
const OURS: &[u8] = b"patchwork-traces import\n";

/// The time, and waiting for it to pass.
pub trait Clock: Sync {
    /// The time now.
    fn now(&self) -> SystemTime;

    /// Waits.
    fn sleep(&self, time: Duration);
}

/// The system's clock.
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

/// A lock that is held. Dropped, it is removed, if it is still ours.
#[derive(Debug)]
struct LogLock {
    path: PathBuf,
    file: fs::File,
}

/// Some locks that are held.
#[derive(Debug)]
pub(super) struct Locks(Vec<LogLock>);

/// Does `work` while holding the locks at `paths`.
///
/// # Errors
/// [`ErrorKind::Locked`] for a lock that somebody else holds for longer than writers wait.
pub(super) fn with_locks<T>(
    mut paths: Vec<PathBuf>,
    clock: &dyn Clock,
    cancellation: &Cancellation,
    work: impl FnOnce(&Locks) -> Result<T>,
) -> Result<T> {
    // Two imports that take the same locks take them in the same order, or each would wait for the other.
    paths.sort();
    let acquired = paths.into_iter().map(|path| LogLock::acquire(path, clock, cancellation));
    let locks = Locks(acquired.collect::<Result<_>>()?);
    let (stop, stopped) = bounded::<()>(0);
    thread::scope(|scope| {
        let locks = &locks;
        scope.spawn(move || {
            while stopped.recv_timeout(TOUCH_EVERY) == Err(RecvTimeoutError::Timeout) {
                locks.touch(clock.now());
            }
        });
        let done = work(locks);
        drop(stop);
        done
    })
}

impl Locks {
    /// A lock that cannot be touched only gets older: [`check`](Self::check) finds out if somebody took it for dead.
    fn touch(&self, now: SystemTime) {
        for lock in &self.0 {
            let _ = lock.file.file().set_modified(now);
        }
    }

    /// Checks that nobody took a lock away.
    ///
    /// # Errors
    /// [`ErrorKind::LockLost`].
    pub(super) fn check(&self) -> Result<()> {
        match self.0.iter().find(|lock| !is_at(&lock.file, &lock.path)) {
            Some(lost) => Err(Error::from(ErrorKind::LockLost).in_subject(&lost.path.display().to_string())),
            None => Ok(()),
        }
    }
}

impl LogLock {
    fn acquire(path: PathBuf, clock: &dyn Clock, cancellation: &Cancellation) -> Result<Self> {
        let mut waited = Duration::ZERO;
        loop {
            match create(&path) {
                Ok(file) => return Ok(Self { path, file }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(IoAction::Lock, &path, error)),
            }
            if remove_dead(&path, clock.now()) {
                continue;
            }
            if waited >= PATIENCE {
                let kind = ErrorKind::Locked { seconds: PATIENCE.as_secs() };
                return Err(Error::from(kind).in_subject(&path.display().to_string()));
            }
            cancellation.check()?;
            clock.sleep(PAUSE);
            waited += PAUSE;
        }
    }
}

impl Drop for LogLock {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            // If it cannot be removed, it is stale in half a minute.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Creates a lock that has its text from the first moment on: who reads that and gets the system's lock knows that we
/// are dead, whenever it was.
fn create(path: &Path) -> io::Result<fs::File> {
    if path.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let mut lock = temporary_in(dir_of(path))?;
    // Without its text it is a lock all the same.
    let _ = lock.write_all(OURS);
    let lock = lock.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(fs::File::from_parts(lock, path))
}

/// Removes the lock of a dead writer. Says whether it did; if not, it is alive, or gone, or cannot be removed.
fn remove_dead(path: &Path, now: SystemTime) -> bool {
    let Ok(there) = path.symlink_metadata() else { return false };
    // Opening a pipe would wait for its other end.
    if !there.is_file() {
        return false;
    }
    let is_stale = |lock: &Metadata| {
        let age = lock.modified().ok().and_then(|then| now.duration_since(then).ok());
        age.is_some_and(|age| age > STALE_AFTER)
    };
    let is_dead = match fs::File::open(path) {
        // While we hold the system's lock, no other import takes this one for dead.
        Ok(file) => {
            let alone = file.file().try_lock().is_ok();
            let is_dead = alone && is_ours(&file) || file.metadata().is_ok_and(|lock| is_stale(&lock));
            is_dead && is_at(&file, path)
        }
        // Another user's may be removed by its age all the same.
        Err(_) => is_stale(&there),
    };
    is_dead && fs::remove_file(path).is_ok()
}

fn is_ours(file: &fs::File) -> bool {
    let mut text = Vec::new();
    file.file().take(OURS.len() as u64 + 1).read_to_end(&mut text).is_ok() && text == OURS
}

/// Whether it is `file` that lies at `path`.
fn is_at(file: &fs::File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(there)) => is_same_file(&ours, &there),
        _ => false,
    }
}
