//! Restores each log of a bundle on a thread of its own, so that several are assembled and hashed
//! concurrently.

use std::collections::VecDeque;
use std::thread::{self, Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::sink::{LogSink, LogWriter};
use crate::assemble::LogAssembler;
use crate::error::{Error, ErrorKind, IoAction, Result, RowFault};
use crate::format::log_decoder::RowLines;
use crate::format::{Manifest, ManifestFile};

/// The number of logs that are restored concurrently.
pub const LOGS_AT_ONCE: usize = 4;

/// The number of row batches that can be queued for a log's thread.
const MAX_WAITING: usize = 2;

/// Consecutive rows of one log.
pub struct RowBatch {
    /// The log's index in the manifest's `files`.
    pub file: usize,
    pub rows: RowLines,
    /// True if these are the last rows of the log.
    pub is_last: bool,
}

/// Distributes rows to the threads of their logs.
pub struct LogThreads<'scope, 'env, 's, S: LogSink> {
    scope: &'scope Scope<'scope, 'env>,
    manifest: &'env Manifest,
    sink: &'s mut S,
    /// The files that have not begun, in order.
    pending: VecDeque<usize>,
    open: Vec<RunningLog<'scope, S>>,
    /// Logs whose rows have all been queued, oldest first.
    closed: VecDeque<RunningLog<'scope, S>>,
}

/// The result of the writer of one log.
type WriterResult<S> = <<S as LogSink>::Writer as LogWriter>::Done;

/// A log and the thread that restores it.
struct RunningLog<'scope, S: LogSink> {
    file: usize,
    /// Takes the rows of the log, and `None` after the last ones.
    batches: Sender<Option<RowLines>>,
    thread: ScopedJoinHandle<'scope, Result<Option<WriterResult<S>>>>,
}

impl<'scope, 'env, 's, S: LogSink> LogThreads<'scope, 'env, 's, S>
where
    S::Writer: 'scope,
    WriterResult<S>: 'scope,
{
    /// Prepares to restore the files `wanted`, which are indices in the manifest in ascending
    /// order.
    pub fn start(
        scope: &'scope Scope<'scope, 'env>,
        manifest: &'env Manifest,
        wanted: Vec<usize>,
        sink: &'s mut S,
    ) -> Self {
        Self { scope, manifest, sink, pending: wanted.into(), open: Vec::new(), closed: VecDeque::new() }
    }

    /// Queues rows for the thread of their log.
    pub fn take(&mut self, batch: RowBatch) -> Result<()> {
        let RowBatch { file, rows, is_last } = batch;
        self.begin_up_to(file)?;
        let Some(at) = self.open.iter().position(|log| log.file == file) else {
            // A log that was closed accepts no more rows.
            let file = &self.manifest.files[file];
            let (source, name) = (file.source.to_string(), file.relative_path.to_string());
            return Err(ErrorKind::Row(RowFault::WrongFile { source, file: Some(name) }).into());
        };
        // Sending fails only if the thread has failed. Joining it returns its error.
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

    /// Begins all pending files up to and including `file`. Those before `file` have no rows.
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

    /// Begins and completes a log without rows.
    fn run_empty(&mut self, file: usize) -> Result<()> {
        let done = self.log_thread(file)?.finish()?;
        self.end(file, done)
    }

    /// Begins a log at the sink.
    fn log_thread(&mut self, index: usize) -> Result<LogThread<'env, S::Writer>> {
        let file = &self.manifest.files[index];
        let writer = self.sink.begin(index, file)?;
        Ok(LogThread { file, log: LogAssembler::new(Some(file)), writer })
    }

    fn end(&mut self, file: usize, done: WriterResult<S>) -> Result<()> {
        self.sink.end(file, &self.manifest.files[file], done)
    }

    fn begin(&mut self, file: usize) -> Result<RunningLog<'scope, S>> {
        let thread_of_log = self.log_thread(file)?;
        let (batches, queue) = bounded(MAX_WAITING);
        let spawned = thread::Builder::new().spawn_scoped(self.scope, move || thread_of_log.run(&queue));
        let thread = spawned.map_err(|error| Error::io_unnamed(IoAction::Write, error))?;
        Ok(RunningLog { file, batches, thread })
    }

    /// Tells the log's thread that no more rows follow.
    fn close(&mut self, log: RunningLog<'scope, S>) -> Result<()> {
        // As in `take`: if the thread has failed, joining it returns its error.
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
            self.end(log.file, done)?;
        }
        Ok(())
    }

    /// Completes all logs, including pending ones, which have no rows.
    pub fn finish(mut self) -> Result<()> {
        for log in std::mem::take(&mut self.open) {
            self.close(log)?;
        }
        while let Some(next) = self.pending.pop_front() {
            self.run_empty(next)?;
        }
        self.finish_closed(0)
    }
}

/// Restores one log, on a thread of its own.
struct LogThread<'m, W> {
    file: &'m ManifestFile,
    log: LogAssembler<'m>,
    writer: W,
}

impl<W: LogWriter> LogThread<'_, W> {
    /// Restores rows until the end marker arrives. Returns `None` if the queue closes first,
    /// because the operation failed.
    fn run(mut self, batches: &Receiver<Option<RowLines>>) -> Result<Option<W::Done>> {
        for rows in batches {
            match rows {
                Some(rows) => {
                    self.log.push(&rows);
                    self.write()?;
                }
                None => return self.finish().map(Some),
            }
        }
        Ok(None)
    }

    /// Writes the restored bytes. Fails if the log becomes longer than the manifest allows.
    fn write(&mut self) -> Result<()> {
        if self.log.bytes() > self.file.max_restored_bytes() {
            return Err(Error::from(ErrorKind::MoreThanDeclared).in_file(self.file.relative_path.as_str()));
        }
        self.writer.write(self.log.restored())?;
        self.log.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<W::Done> {
        self.log.complete();
        self.write()?;
        let restored = self.log.integrity();
        match self.file.integrity().is_none_or(|expected| expected == restored) {
            true => self.writer.finish(),
            false => Err(Error::from(ErrorKind::RestoredDiffers).in_file(self.file.relative_path.as_str())),
        }
    }
}
