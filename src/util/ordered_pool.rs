//! A thread pool that returns results in the order in which jobs were submitted.

use std::cell::LazyCell;
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::thread::{self, Scope};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::error::{Error, IoAction, Result};

/// Returns the number of available cores, or one if it is unknown.
pub fn available_cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// The maximum number of threads in a pool, regardless of the requested number.
const MAX_THREADS: usize = 256;

/// The maximum memory of jobs in flight, in bytes. A single job may exceed it.
const MAX_BYTES: usize = 64 << 20;

/// The total size of jobs in bytes up to which the calling thread processes them, because starting
/// threads would take longer.
const INLINE_BYTES: usize = 128 << 10;

/// Runs every job of `source` on `threads` threads and passes the results to `take`, in order.
///
/// `source` returns the next job and its approximate size in bytes, or `None` after the last one;
/// it is not called again after that. `worker` creates the function that each thread applies to its
/// jobs.
///
/// # Errors
/// Returns the first error of `source` or `take`.
pub fn run_ordered<J: Send, R: Send, W: FnMut(J) -> R + Send>(
    threads: NonZeroUsize,
    worker: impl Fn() -> W,
    mut source: impl FnMut() -> Result<Option<(J, usize)>>,
    mut take: impl FnMut(R) -> Result<()>,
) -> Result<()> {
    thread::scope(|scope| {
        let mut pool = OrderedPool::start(scope, threads, worker);
        let mut is_exhausted = false;
        let mut source = || {
            let next = if is_exhausted { None } else { source()? };
            is_exhausted = next.is_none();
            Ok(next)
        };
        while let Some(result) = pool.next(&mut source)? {
            take(result)?;
        }
        Ok(())
    })
}

/// A thread pool with bounded memory, for loops that [`run_ordered`] does not fit.
///
/// At most two jobs per thread are in flight. Together they take at most 64 MiB, unless a single
/// job is larger. The calling thread processes the first 128 KiB of jobs itself; then the threads
/// start.
pub struct OrderedPool<'scope, J, R> {
    /// Processes the first jobs on the calling thread.
    inline: Box<dyn FnMut(J) -> R + 'scope>,
    /// The remaining size of jobs that the calling thread processes, in bytes.
    inline_bytes: usize,
    /// The queue of the threads, which start on its first use.
    jobs: LazyCell<JobQueue<J, R>, StartThreads<'scope, J, R>>,
    pending: VecDeque<(usize, PendingResult<R>)>,
    max_pending: usize,
    /// The size of all pending jobs in bytes.
    bytes: usize,
    /// A job that did not fit yet, and its size.
    held: Option<(J, usize)>,
}

/// Jobs, each with the channel for its result.
type JobQueue<J, R> = Sender<(J, Sender<R>)>;

type StartThreads<'scope, J, R> = Box<dyn FnOnce() -> JobQueue<J, R> + 'scope>;

enum PendingResult<R> {
    Done(R),
    Running(Receiver<R>),
}

impl<'scope, J: Send + 'scope, R: Send + 'scope> OrderedPool<'scope, J, R> {
    /// Creates a pool of `threads` threads, at most 256, each with its own worker.
    pub fn start<W>(scope: &'scope Scope<'scope, '_>, threads: NonZeroUsize, worker: impl Fn() -> W + 'scope) -> Self
    where
        W: FnMut(J) -> R + Send + 'scope,
    {
        let threads = threads.get().min(MAX_THREADS);
        let max_pending = 2 * threads;
        let inline = Box::new(worker());
        let start = move || {
            let (jobs, queue) = bounded::<(J, Sender<R>)>(max_pending);
            for _ in 0..threads {
                let (queue, mut work) = (queue.clone(), worker());
                let spawned = thread::Builder::new().spawn_scoped(scope, move || {
                    for (job, done) in queue {
                        // The receiver is gone if the operation has failed.
                        let _ = done.send(work(job));
                    }
                });
                // If the system can't start more threads, the running ones do the work. If none is
                // running, the first job fails.
                if spawned.is_err() {
                    break;
                }
            }
            jobs
        };
        Self {
            inline,
            inline_bytes: INLINE_BYTES,
            jobs: LazyCell::new(Box::new(start)),
            pending: VecDeque::new(),
            max_pending,
            bytes: 0,
            held: None,
        }
    }

    /// Submits jobs from `source` until it is exhausted or the pool is full. Returns true if the
    /// pool is full: then the caller must [`pop`](Self::pop) before it feeds more.
    ///
    /// # Errors
    /// Returns the error of `source`. Fails if all threads died.
    pub fn feed(&mut self, mut source: impl FnMut() -> Result<Option<(J, usize)>>) -> Result<bool> {
        while self.pending.len() < self.max_pending {
            let next = match self.held.take() {
                Some(held) => Some(held),
                None => source()?,
            };
            let Some((job, bytes)) = next else { return Ok(false) };
            if self.bytes.saturating_add(bytes) > MAX_BYTES && !self.pending.is_empty() {
                self.held = Some((job, bytes));
                return Ok(true);
            }
            let result = if let Some(left) = self.inline_bytes.checked_sub(bytes) {
                self.inline_bytes = left;
                PendingResult::Done((self.inline)(job))
            } else {
                self.inline_bytes = 0;
                let (done, result) = bounded(1);
                self.jobs.send((job, done)).map_err(|_| thread_died())?;
                PendingResult::Running(result)
            };
            self.bytes = self.bytes.saturating_add(bytes);
            self.pending.push_back((bytes, result));
        }
        Ok(true)
    }

    /// Waits for the oldest pending job and returns its result. Returns `None` if no job is
    /// pending.
    ///
    /// # Errors
    /// Fails if the job's thread died.
    pub fn pop(&mut self) -> Result<Option<R>> {
        let Some((bytes, oldest)) = self.pending.pop_front() else { return Ok(None) };
        self.bytes = self.bytes.saturating_sub(bytes);
        match oldest {
            PendingResult::Done(result) => Ok(Some(result)),
            PendingResult::Running(result) => result.recv().map(Some).map_err(|_| thread_died()),
        }
    }

    /// Feeds the pool from `source` and returns the oldest result, or `None` after the last one.
    ///
    /// # Errors
    /// As [`feed`](Self::feed) and [`pop`](Self::pop).
    pub fn next(&mut self, source: impl FnMut() -> Result<Option<(J, usize)>>) -> Result<Option<R>> {
        self.feed(source)?;
        self.pop()
    }

    /// Drops all submitted jobs and their results.
    pub fn clear(&mut self) {
        self.held = None;
        self.pending.clear();
        self.bytes = 0;
    }
}

fn thread_died() -> Error {
    Error::io_unnamed(IoAction::Read, std::io::Error::other("a worker thread died"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::num::NonZeroUsize;

    use super::{INLINE_BYTES, run_ordered};

    #[test]
    fn source_is_not_called_again_after_its_end() {
        let (mut calls, mut taken) = (0, Vec::new());
        let source = || {
            calls += 1;
            Ok((calls != 3).then_some((calls, 1)))
        };
        let double = || |job: usize| 2 * job;
        let threads = NonZeroUsize::new(2).unwrap();
        let take = |result| {
            taken.push(result);
            Ok(())
        };
        run_ordered(threads, double, source, take).unwrap();
        assert_eq!((calls, taken), (3, vec![2, 4]));
    }

    #[test]
    fn threads_start_after_the_first_jobs() {
        let caller = std::thread::current().id();
        let (mut jobs, mut is_inline) = (0..4, Vec::new());
        let source = || Ok(jobs.next().map(|job| (job, INLINE_BYTES / 2)));
        let take = |result| {
            is_inline.push(result);
            Ok(())
        };
        let worker = || move |job: usize| (job, std::thread::current().id() == caller);
        run_ordered(NonZeroUsize::MIN, worker, source, take).unwrap();
        assert_eq!(is_inline, [(0, true), (1, true), (2, false), (3, false)]);
    }
}
