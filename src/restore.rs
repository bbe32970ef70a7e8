//! Turns a bundle back into its logs, in one pass, and proves each against the manifest.
//!
//! Threads inflate chunks and read their rows. Each log then has a thread of its own, which puts its rows in order,
//! hashes and writes them; up to `LOGS_AT_ONCE` logs take turns, where chunks can be read alone.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::{self, Scope, ScopedJoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::bundle::{Bundle, ChunkText, Logs, Ordering, Selection, each_chunk};
use crate::digest::IntegrityHasher;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::log::{LogRestorer, RowLines};
use crate::format::{LineEnding, Manifest, ManifestFile};

/// Takes restored logs.
///
/// ```
/// use std::num::NonZeroUsize;
///
/// use patchwork_traces::format::ManifestFile;
/// use patchwork_traces::restore::{LogSink, LogWriter, restore};
/// use patchwork_traces::{Bundle, Result};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// #[derive(Default)]
/// struct Logs(Vec<(String, Vec<u8>)>);
///
/// struct InMemory(Vec<u8>);
///
/// impl LogSink for Logs {
///     type Writer = InMemory;
///
///     fn begin(&mut self, _: usize, _: &ManifestFile) -> Result<InMemory> {
///         Ok(InMemory(Vec::new()))
///     }
///
///     fn end(&mut self, _: usize, file: &ManifestFile, log: Vec<u8>) -> Result<()> {
///         self.0.push((file.relative_path.to_string(), log));
///         Ok(())
///     }
/// }
///
/// impl LogWriter for InMemory {
///     type Done = Vec<u8>;
///
///     fn write(&mut self, bytes: &[u8]) -> Result<()> {
///         self.0.extend_from_slice(bytes);
///         Ok(())
///     }
///
///     fn finish(self) -> Result<Vec<u8>> {
///         Ok(self.0)
///     }
/// }
///
/// let mut logs = Logs::default();
/// restore(Bundle::open(path)?, None, NonZeroUsize::MIN, &mut logs)?;
/// let runs = logs.0.iter().find(|(name, _)| name == "runs.jsonl").expect("it is in the bundle");
/// assert_eq!(runs.1.len() as u64, Bundle::open(path)?.manifest().files[0].bytes);
/// # Ok(())
/// # }
/// ```
pub trait LogSink {
    /// Takes one of them.
    type Writer: LogWriter;

    /// The manifest's file `index` (from 0) begins. Files begin in the order of the manifest, but the next ones may
    /// begin before this one ends.
    ///
    /// # Errors
    /// Any error ends the restoring.
    fn begin(&mut self, index: usize, file: &ManifestFile) -> Result<Self::Writer>;

    /// The log is complete, and `done` is what its writer has of it.
    ///
    /// # Errors
    /// Any error ends the restoring.
    fn end(&mut self, index: usize, file: &ManifestFile, done: <Self::Writer as LogWriter>::Done) -> Result<()>;
}

/// Takes one restored log, on a thread of its own.
pub trait LogWriter: Send {
    /// What becomes of it.
    type Done: Send;

    /// The log's next bytes.
    ///
    /// # Errors
    /// Any error ends the restoring.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// The log is complete, and its length and SHA-256 are those of the manifest, where that has them.
    ///
    /// # Errors
    /// Any error ends the restoring.
    fn finish(self) -> Result<Self::Done>;
}

/// How many logs are restored at once.
const LOGS_AT_ONCE: usize = 4;

/// How many batches of rows wait for the thread of their log.
const MOST_WAITING: usize = 2;

/// How much is restored at once where there are no chunks.
const BATCH_BYTES: usize = 1 << 20;

/// Restores the selected files of a bundle (all when `None`), empty ones included. `threads` inflate chunks.
///
/// # Errors
/// When the bundle is damaged, a restored log is not what the manifest says, or the sink fails.
pub fn restore<S: LogSink>(
    bundle: Bundle<'_>,
    files: Option<Vec<usize>>,
    threads: NonZeroUsize,
    sink: &mut S,
) -> Result<()> {
    let (name, manifest) = (bundle.name().to_owned(), Arc::clone(bundle.manifest()));
    let mut wanted = files.clone().unwrap_or_else(|| (0..manifest.files.len()).collect());
    wanted.sort_unstable();
    wanted.dedup();
    let selection = Selection { files, ..Selection::default() };
    let restored = thread::scope(|scope| {
        let mut logs = OpenLogs::new(scope, &manifest, wanted, sink);
        if manifest.has_chunk_table() {
            let order = Ordering::TakingTurns(LOGS_AT_ONCE);
            each_chunk(bundle, &selection, order, threads, Batch::of_chunk, |batch| logs.take(batch?))?;
        } else {
            each_batch(bundle, &selection, |batch| logs.take(batch))?;
        }
        logs.finish()
    });
    restored.map_err(|error| error.in_subject(&name))
}

/// A bundle without chunk table: one row after the other.
fn each_batch(bundle: Bundle<'_>, selection: &Selection, mut take: impl FnMut(Batch) -> Result<()>) -> Result<()> {
    let mut rows = bundle.rows(selection)?;
    let manifest = Arc::clone(rows.manifest());
    let mut batch: Option<Batch> = None;
    loop {
        let row = rows.next_row()?;
        let is_full =
            |batch: &Batch| row.as_ref().is_none_or(|row| row.file != batch.file) || batch.rows.bytes() >= BATCH_BYTES;
        if let Some(mut full) = batch.take_if(|batch| is_full(batch)) {
            full.is_last = row.as_ref().is_none_or(|row| row.file != full.file);
            take(full)?;
        }
        let Some(row) = row else { return Ok(()) };
        let ending = line_ending(&manifest.files[row.file]);
        let batch = batch.get_or_insert_with(|| Batch { file: row.file, rows: RowLines::default(), is_last: false });
        batch.rows.push(&row.envelope, ending);
    }
}

fn line_ending(file: &ManifestFile) -> LineEnding {
    file.record().map_or(LineEnding::Lf, |record| record.line_ending)
}

/// Rows of one log that follow each other.
struct Batch {
    file: usize,
    rows: RowLines,
    /// Whether they are the last ones of their log.
    is_last: bool,
}

impl Batch {
    fn of_chunk(logs: &Logs, mut chunk: ChunkText) -> Result<Self> {
        let slot = *chunk.slot();
        let file = &logs.manifest.files[slot.file];
        let (mut rows, ending) = (RowLines::with_room_for(chunk.bytes()), line_ending(file));
        while let Some(row) = chunk.next_row(logs)? {
            rows.push(&row.envelope, ending);
        }
        Ok(Self { file: slot.file, rows, is_last: slot.chunk + 1 == file.chunks.len() })
    }
}

/// The logs that are being restored.
struct OpenLogs<'scope, 'env, 's, S: LogSink> {
    scope: &'scope Scope<'scope, 'env>,
    manifest: &'env Manifest,
    sink: &'s mut S,
    /// The files that have not begun.
    left: VecDeque<usize>,
    open: Vec<OpenLog<'scope, S>>,
    /// Those of which all rows are on their way, the oldest first.
    closed: VecDeque<OpenLog<'scope, S>>,
}

/// A log, and the thread that it has.
struct OpenLog<'scope, S: LogSink> {
    file: usize,
    batches: Sender<Option<RowLines>>,
    thread: ScopedJoinHandle<'scope, Result<Option<<S::Writer as LogWriter>::Done>>>,
}

impl<'scope, 'env, 's, S: LogSink> OpenLogs<'scope, 'env, 's, S>
where
    S::Writer: 'scope,
    <S::Writer as LogWriter>::Done: 'scope,
{
    fn new(scope: &'scope Scope<'scope, 'env>, manifest: &'env Manifest, wanted: Vec<usize>, sink: &'s mut S) -> Self {
        Self { scope, manifest, sink, left: wanted.into(), open: Vec::new(), closed: VecDeque::new() }
    }

    /// Hands rows to the thread of their log.
    fn take(&mut self, batch: Batch) -> Result<()> {
        self.begin_up_to(batch.file)?;
        let Some(at) = self.open.iter().position(|log| log.file == batch.file) else {
            // A file whose rows were all there already does not come back.
            let file = &self.manifest.files[batch.file];
            let (source, name) = (file.source.to_string(), file.relative_path.to_string());
            return Err(ErrorKind::Row(crate::error::RowFault::WrongFile { source, file: Some(name) }).into());
        };
        // Where nobody takes them any more, the thread has failed, and says so when it is waited for.
        let has_failed = self.open[at].batches.send(Some(batch.rows)).is_err();
        if has_failed || batch.is_last {
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
            self.finish_closed(LOGS_AT_ONCE)?;
            let log = self.begin(next)?;
            match next == file {
                true => self.open.push(log),
                false => self.close(log)?,
            }
        }
        Ok(())
    }

    fn begin(&mut self, index: usize) -> Result<OpenLog<'scope, S>> {
        let file = &self.manifest.files[index];
        let writer = self.sink.begin(index, file)?;
        let (batches, queue) = bounded(MOST_WAITING);
        let restoring =
            Restoring { file, restorer: LogRestorer::new(file), hasher: IntegrityHasher::default(), writer };
        let spawned = thread::Builder::new().spawn_scoped(self.scope, move || restoring.run(&queue));
        let thread = spawned.map_err(|error| Error::io_unnamed(IoAction::Write, error))?;
        Ok(OpenLog { file: index, batches, thread })
    }

    /// Nothing more comes for the log.
    fn close(&mut self, log: OpenLog<'scope, S>) -> Result<()> {
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
            let died = || Error::io_unnamed(IoAction::Write, std::io::Error::other("a writing thread died"));
            let done = log.thread.join().map_err(|_| died())??.ok_or_else(died)?;
            self.sink.end(log.file, &self.manifest.files[log.file], done)?;
        }
        Ok(())
    }

    /// Ends all logs.
    fn finish(mut self) -> Result<()> {
        for log in std::mem::take(&mut self.open) {
            self.close(log)?;
        }
        while let Some(next) = self.left.pop_front() {
            let log = self.begin(next)?;
            self.close(log)?;
        }
        self.finish_closed(0)
    }
}

/// What the thread of a log works with.
struct Restoring<'m, W> {
    file: &'m ManifestFile,
    restorer: LogRestorer<'m>,
    hasher: IntegrityHasher,
    writer: W,
}

impl<W: LogWriter> Restoring<'_, W> {
    /// `None` when the rows end before the log does, because the restoring ended with an error.
    fn run(mut self, batches: &Receiver<Option<RowLines>>) -> Result<Option<W::Done>> {
        let mut buffer = Vec::new();
        for rows in batches {
            let Some(rows) = rows else { return self.finish(buffer).map(Some) };
            self.restorer.push_rows(&rows, &mut buffer);
            self.write(&mut buffer)?;
        }
        Ok(None)
    }

    /// Hands on what is restored, unless it is more than the log can be that the manifest describes.
    fn write(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
        self.hasher.update(buffer);
        if self.hasher.bytes() > self.file.most_restored_bytes() {
            return Err(Error::from(ErrorKind::MoreThanDeclared).in_file(self.file.relative_path.as_str()));
        }
        self.writer.write(buffer)?;
        buffer.clear();
        Ok(())
    }

    fn finish(mut self, mut buffer: Vec<u8>) -> Result<W::Done> {
        std::mem::replace(&mut self.restorer, LogRestorer::of_rows_alone()).finish(&mut buffer);
        self.write(&mut buffer)?;
        let restored = self.hasher.finish();
        match self.file.integrity().is_none_or(|expected| expected == restored) {
            true => self.writer.finish(),
            false => Err(Error::from(ErrorKind::RestoredDiffers).in_file(self.file.relative_path.as_str())),
        }
    }
}
