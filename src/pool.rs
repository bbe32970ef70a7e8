//! Threads that do jobs and give the results back in the order in which the jobs came.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::thread::Scope;

use crossbeam_channel::{Receiver, Sender, bounded};

/// A thread of the pool ended before it had done its job.
#[derive(Debug)]
pub(crate) struct ThreadDied;

/// As many threads as there are cores, or one where that is not known.
pub(crate) fn all_cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// The most threads, however many are asked for.
const MAX_THREADS: usize = 256;

/// How much may be under way, in bytes, beyond one job of any size.
const MAX_BYTES: usize = 64 << 20;

/// Jobs under way: at most two a thread, and together at most 64 MiB unless a single one is larger. So memory stays
/// bounded.
pub(crate) struct Pool<J, R> {
    jobs: Sender<(J, Sender<R>)>,
    waiting: VecDeque<(usize, Receiver<R>)>,
    most: usize,
    /// Bytes of all waiting jobs.
    bytes: usize,
}

impl<J: Send, R: Send> Pool<J, R> {
    /// Starts `threads` threads, at most 256, each with a worker of its own.
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
                    // Nobody waits any more when the operation has failed.
                    let _ = done.send(work(job));
                }
            });
            // Where the system gives no more threads, those that are there do the work. If there are none, the first
            // job finds that out.
            if spawned.is_err() {
                break;
            }
        }
        Self { jobs, waiting: VecDeque::new(), most, bytes: 0 }
    }

    /// Whether a job of `bytes` bytes can come now. Otherwise results must be [`pop`](Self::pop)ped first.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        self.waiting.is_empty() || self.waiting.len() < self.most && self.bytes.saturating_add(bytes) <= MAX_BYTES
    }

    /// Hands in the next job, which takes about `bytes` bytes.
    pub(crate) fn push(&mut self, job: J, bytes: usize) -> Result<(), ThreadDied> {
        let (done, waiting) = bounded(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.waiting.push_back((bytes, waiting));
        self.jobs.send((job, done)).map_err(|_| ThreadDied)
    }

    /// The result of the oldest job that was not returned yet, when it is done.
    pub(crate) fn pop(&mut self) -> Result<Option<R>, ThreadDied> {
        let Some((bytes, oldest)) = self.waiting.pop_front() else { return Ok(None) };
        self.bytes = self.bytes.saturating_sub(bytes);
        oldest.recv().map(Some).map_err(|_| ThreadDied)
    }
}
