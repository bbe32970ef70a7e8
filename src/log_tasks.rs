//! Gives each log of a bundle a thread of its own, so that several are put together and hashed at once.

use std::collections::VecDeque;
use std::thread::{self, Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::error::{Error, ErrorKind, IoAction, Result, RowFault};
use crate::format::Manifest;

/// How many logs are worked on at once.
pub(crate) const LOGS_AT_ONCE: usize = 4;

/// How many batches of rows wait for the thread of their log.
const MAX_WAITING: usize = 2;

/// Rows of one log that follow each other.
pub(crate) struct RowBatch<R> {
    /// Index into the manifest's `files`.
    pub(crate) file: usize,
    pub(crate) rows: R,
    /// Whether they are the last ones of their log.
    pub(crate) is_last: bool,
}

/// What is done with the rows of one log, on its thread.
pub(crate) trait LogTask: Send {
    /// Rows that follow each other.
    type Rows: Send;
    /// What becomes of the log.
    type Done: Send;

    /// The log's next rows.
    fn take(&mut self, rows: Self::Rows) -> Result<()>;

    /// No more rows come.
    fn finish(self) -> Result<Self::Done>;
}

/// Begins and ends the work on each log.
pub(crate) trait LogTasks {
    type Task: LogTask;

    /// The manifest's file `index` (from 0) begins. Files begin in the order of the manifest.
    fn begin(&mut self, index: usize) -> Result<Self::Task>;

    /// All of it was taken.
    fn end(&mut self, index: usize, done: <Self::Task as LogTask>::Done) -> Result<()>;
}

/// Hands rows to the threads of their logs.
pub(crate) struct LogThreads<'scope, 'env, L: LogTasks> {
    scope: &'scope Scope<'scope, 'env>,
    manifest: &'env Manifest,
    logs: L,
    /// The files that have not begun.
    left: VecDeque<usize>,
    open: Vec<RunningLog<'scope, L::Task>>,
    /// Those of which all rows are on their way, the oldest first.
    closed: VecDeque<RunningLog<'scope, L::Task>>,
}

/// A log, and the thread that it has.
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
    /// For the files `wanted` of the manifest, in order.
    pub(crate) fn start(
        scope: &'scope Scope<'scope, 'env>,
        manifest: &'env Manifest,
        wanted: Vec<usize>,
        logs: L,
    ) -> Self {
        Self { scope, manifest, logs, left: wanted.into(), open: Vec::new(), closed: VecDeque::new() }
    }

    /// Hands rows to the thread of their log.
    pub(crate) fn take(&mut self, batch: RowBatch<<L::Task as LogTask>::Rows>) -> Result<()> {
        let RowBatch { file, rows, is_last } = batch;
        self.begin_up_to(file)?;
        let Some(at) = self.open.iter().position(|log| log.file == file) else {
            // A file whose rows were all there already does not come back.
            let file = &self.manifest.files[file];
            let (source, name) = (file.source.to_string(), file.relative_path.to_string());
            return Err(ErrorKind::Row(RowFault::WrongFile { source, file: Some(name) }).into());
        };
        // Where nobody takes them any more, the thread has failed, and says so when it is waited for.
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

    /// Begins the files up to `file`. Those before it have no rows.
    fn begin_up_to(&mut self, file: usize) -> Result<()> {
        while let Some(next) = self.left.pop_front_if(|next| *next <= file) {
            if next < file {
                self.pass(next)?;
                continue;
            }
            self.finish_closed(LOGS_AT_ONCE)?;
            let log = self.begin(next)?;
            self.open.push(log);
        }
        Ok(())
    }

    /// Begins and ends a log that has no rows.
    fn pass(&mut self, file: usize) -> Result<()> {
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

    /// Nothing more comes for the log.
    fn close(&mut self, log: RunningLog<'scope, L::Task>) -> Result<()> {
        // As above: a thread that failed says so when it is waited for.
        let _ = log.batches.send(None);
        self.closed.push_back(log);
        self.finish_closed(2 * LOGS_AT_ONCE)
    }

    /// Waits until at most `most` closed logs are left.
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

    /// Ends all logs, and begins and ends those that have no rows.
    pub(crate) fn finish(mut self) -> Result<L> {
        for log in std::mem::take(&mut self.open) {
            self.close(log)?;
        }
        while let Some(next) = self.left.pop_front() {
            self.pass(next)?;
        }
        self.finish_closed(0)?;
        Ok(self.logs)
    }
}

/// What the thread of a log does. `None` when the rows end before the log does, because the operation ended with an
/// error.
fn run<W: LogTask>(mut work: W, batches: &Receiver<Option<W::Rows>>) -> Result<Option<W::Done>> {
    for rows in batches {
        match rows {
            Some(rows) => work.take(rows)?,
            None => return work.finish().map(Some),
        }
    }
    Ok(None)
}
