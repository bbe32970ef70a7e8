//! A thread pool that returns results in the order in which jobs were submitted.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::thread::Scope;

use crossbeam_channel::{Receiver, Sender, bounded};

/// The error for a pool thread that ended before it finished its job.
#[derive(Debug)]
pub(crate) struct ThreadDied;

/// Returns the number of available cores, or one if it is unknown.
pub(crate) fn all_cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// The most threads in a pool, regardless of the requested number.
const MAX_THREADS: usize = 256;

/// The most memory for jobs in flight, in bytes. A single job may exceed it.
const MAX_BYTES: usize = 64 << 20;

/// A thread pool with bounded memory.
///
/// At most two jobs per thread are in flight. Together they take at most 64 MiB, unless a single job is larger.
pub(crate) struct Pool<J, R> {
    jobs: Sender<(J, Sender<R>)>,
    waiting: VecDeque<(usize, Receiver<R>)>,
    most: usize,
    /// The size of all waiting jobs in bytes.
    bytes: usize,
}

impl<J: Send, R: Send> Pool<J, R> {
    /// Starts `threads` threads, at most 256, each with its own worker.
    pub(crate) fn start<'scope, W>(
        scope: &'scope Scope<'scope, '_>,
        threads: NonZeroUsize,
        worker: impl Fn() -> W,
    ) -> Self
    where
        W: FnMut(J) -> R + Send + 'scope,
        J: 'scope,
        R: 'scope,
    {
        let threads = threads.get().min(MAX_THREADS);
        let most = threads * 2;
        let (jobs, queue) = bounded::<(J, Sender<R>)>(most);
        for _ in 0..threads {
            let (queue, mut work) = (queue.clone(), worker());
            let spawned = std::thread::Builder::new().spawn_scoped(scope, move || {
                for (job, done) in queue {
                    // The receiver is gone if the operation has failed.
                    let _ = done.send(work(job));
                }
            });
            // If the system refuses to start more threads, the running ones do the work. If none is running, the first
            // `push` fails.
            if spawned.is_err() {
                break;
            }
        }
        Self { jobs, waiting: VecDeque::new(), most, bytes: 0 }
    }

    /// Returns true if a job of `bytes` bytes fits now. Otherwise the caller must [`pop`](Self::pop) results first.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        self.waiting.is_empty() || self.waiting.len() < self.most && self.bytes.saturating_add(bytes) <= MAX_BYTES
    }

    /// Submits the next job, which takes about `bytes` bytes.
    pub(crate) fn push(&mut self, job: J, bytes: usize) -> Result<(), ThreadDied> {
        let (done, waiting) = bounded(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.waiting.push_back((bytes, waiting));
        self.jobs.send((job, done)).map_err(|_| ThreadDied)
    }

    /// Waits for the oldest pending job and returns its result. Returns `None` if no job is pending.
    pub(crate) fn pop(&mut self) -> Result<Option<R>, ThreadDied> {
        let Some((bytes, oldest)) = self.waiting.pop_front() else { return Ok(None) };
        self.bytes = self.bytes.saturating_sub(bytes);
        oldest.recv().map(Some).map_err(|_| ThreadDied)
    }
}
