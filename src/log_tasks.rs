//! Runs each log of a bundle on a thread of its own, so that several are assembled and hashed concurrently.

use std::collections::VecDeque;
use std::thread::{self, Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::error::{Error, ErrorKind, IoAction, Result, RowFault};
use crate::format::Manifest;

/// The number of logs that are processed concurrently.
pub const LOGS_AT_ONCE: usize = 4;

/// The number of row batches that can be queued for a log's thread.
const MAX_WAITING: usize = 2;

/// Consecutive rows of one log.
pub struct RowBatch<R> {
    /// The log's index in the manifest's `files`.
    pub file: usize,
    pub rows: R,
    /// True if these are the last rows of the log.
    pub is_last: bool,
}

/// The work on one log's rows, done on that log's thread.
pub trait LogTask: Send {
    /// Consecutive rows of the log.
    type Rows: Send;
    /// The result for the whole log.
    type Done: Send;

    /// Processes the log's next rows.
    fn take(&mut self, rows: Self::Rows) -> Result<()>;

    /// Completes the log after its last rows.
    fn finish(self) -> Result<Self::Done>;
}

/// Creates the task of each log and receives its result.
pub trait LogTasks {
    type Task: LogTask;

    /// Creates the task for the manifest's file `index` (from 0). Called in manifest order.
    fn begin(&mut self, index: usize) -> Result<Self::Task>;

    /// Receives the result of the completed file `index`.
    fn end(&mut self, index: usize, done: <Self::Task as LogTask>::Done) -> Result<()>;
}

/// Distributes rows to the threads of their logs.
pub struct LogThreads<'scope, 'env, L: LogTasks> {
    scope: &'scope Scope<'scope, 'env>,
    manifest: &'env Manifest,
    logs: L,
    /// The files that have not been started, in order.
    pending: VecDeque<usize>,
    open: Vec<RunningLog<'scope, L::Task>>,
    /// Logs whose rows have all been queued, oldest first.
    closed: VecDeque<RunningLog<'scope, L::Task>>,
}

/// A log and the thread that processes it.
struct RunningLog<'scope, W: LogTask> {
    file: usize,
    batches: Sender<Option<W::Rows>>,
    thread: ScopedJoinHandle<'scope, Result<Option<W::Done>>>,
}

impl<'scope, 'env, L: LogTasks> LogThreads<'scope, 'env, L>
where
    L::Task: 'scope,
    <L::Task as LogTask>::Rows: 'scope,
    <L::Task as LogTask>::Done: 'scope,
{
    /// Prepares to process the files `wanted`, which are indices in the manifest in ascending order.
    pub fn start(scope: &'scope Scope<'scope, 'env>, manifest: &'env Manifest, wanted: Vec<usize>, logs: L) -> Self {
        Self { scope, manifest, logs, pending: wanted.into(), open: Vec::new(), closed: VecDeque::new() }
    }

    /// Queues rows for the thread of their log.
    pub fn take(&mut self, batch: RowBatch<<L::Task as LogTask>::Rows>) -> Result<()> {
        let RowBatch { file, rows, is_last } = batch;
        self.begin_up_to(file)?;
        let Some(at) = self.open.iter().position(|log| log.file == file) else {
            // A closed file does not accept more rows.
            let file = &self.manifest.files[file];
            let (source, name) = (file.source.to_string(), file.relative_path.to_string());
            return Err(ErrorKind::Row(RowFault::WrongFile { source, file: Some(name) }).into());
        };
        // If the queue is closed, the thread has failed. Joining it returns its error.
        let has_failed = self.open[at].batches.send(Some(rows)).is_err();
        if has_failed || is_last {
            let log = self.open.remove(at);
            self.close(log)?;
        }
        match has_failed {
            true => self.finish_closed(0),
            false => Ok(()),
        }
    }

    /// Starts the files up to and including `file`. Those before it have no rows.
    fn begin_up_to(&mut self, file: usize) -> Result<()> {
        while let Some(&next) = self.pending.front()
            && next <= file
        {
            self.pending.pop_front();
            if next < file {
                self.run_empty(next)?;
                continue;
            }
            self.finish_closed(LOGS_AT_ONCE)?;
            let log = self.begin(next)?;
            self.open.push(log);
        }
        Ok(())
    }

    /// Starts and completes a log without rows.
    fn run_empty(&mut self, file: usize) -> Result<()> {
        let done = self.logs.begin(file)?.finish()?;
        self.logs.end(file, done)
    }

    fn begin(&mut self, file: usize) -> Result<RunningLog<'scope, L::Task>> {
        let work = self.logs.begin(file)?;
        let (batches, queue) = bounded(MAX_WAITING);
        let spawned = thread::Builder::new().spawn_scoped(self.scope, move || run(work, &queue));
        let thread = spawned.map_err(|error| Error::io_unnamed(IoAction::Write, error))?;
        Ok(RunningLog { file, batches, thread })
    }

    /// Tells the log's thread that no more rows follow.
    fn close(&mut self, log: RunningLog<'scope, L::Task>) -> Result<()> {
        // As above: if the thread has failed, joining it returns its error.
        let _ = log.batches.send(None);
        self.closed.push_back(log);
        self.finish_closed(2 * LOGS_AT_ONCE)
    }

    /// Waits until at most `most` closed logs remain.
    fn finish_closed(&mut self, most: usize) -> Result<()> {
        while self.closed.len() > most
            && let Some(log) = self.closed.pop_front()
        {
            let died = || Error::io_unnamed(IoAction::Write, std::io::Error::other("a log's thread died"));
            let done = log.thread.join().map_err(|_| died())??.ok_or_else(died)?;
            self.logs.end(log.file, done)?;
        }
        Ok(())
    }

    /// Completes all logs, including those without rows that were not started yet.
    pub fn finish(mut self) -> Result<L> {
        for log in std::mem::take(&mut self.open) {
            self.close(log)?;
        }
        while let Some(next) = self.pending.pop_front() {
            self.run_empty(next)?;
        }
        self.finish_closed(0)?;
        Ok(self.logs)
    }
}

/// Processes batches on a log's thread. Returns `None` if the queue closes before the end marker arrives, because
/// the operation failed.
fn run<W: LogTask>(mut work: W, batches: &Receiver<Option<W::Rows>>) -> Result<Option<W::Done>> {
    for rows in batches {
        match rows {
            Some(rows) => work.take(rows)?,
            None => return work.finish().map(Some),
        }
    }
    Ok(None)
}
