//! Restores a bundle's logs in one pass and checks each against the manifest.
//!
//! Worker threads inflate chunks and read their rows. Each log has a thread of its own, which orders, hashes and
//! writes its rows. If chunks can be read individually, up to `LOGS_AT_ONCE` logs are processed concurrently.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;

use crate::assemble::LogAssembler;
use crate::bundle::{Access, Bundle, BundleLogs, ChunkOrder, ChunkRows, Selection, each_chunk};
use crate::error::{Error, ErrorKind, Result};
use crate::format::log_decoder::RowLines;
use crate::format::{LineEnding, Manifest, ManifestFile};
use crate::log_tasks::{LOGS_AT_ONCE, LogTask, LogTasks, LogThreads, RowBatch};

/// Receives the restored logs.
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
    /// The writer of one log.
    type Writer: LogWriter;

    /// Begins the manifest's file `index` (from 0). Files begin in manifest order, but a file may begin before the
    /// previous one ends.
    ///
    /// # Errors
    /// Any error stops the restore.
    fn begin(&mut self, index: usize, file: &ManifestFile) -> Result<Self::Writer>;

    /// Ends a complete log. `done` is the result of its writer. Logs may end in another order than they began.
    ///
    /// # Errors
    /// Any error stops the restore.
    fn end(&mut self, index: usize, file: &ManifestFile, done: <Self::Writer as LogWriter>::Done) -> Result<()>;
}

/// Writes one restored log, on a thread of its own.
pub trait LogWriter: Send {
    /// The result for the completed log.
    type Done: Send;

    /// Writes the log's next bytes.
    ///
    /// # Errors
    /// Any error stops the restore.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Completes the log. Its length and SHA-256 match the manifest, if the manifest records them.
    ///
    /// # Errors
    /// Any error stops the restore.
    fn finish(self) -> Result<Self::Done>;
}

/// The size of a batch of rows if the bundle has no chunk table.
const BATCH_BYTES: usize = 1 << 20;

/// Restores the selected files of a bundle, empty ones included; `None` selects all. Uses `threads` threads to
/// inflate chunks.
///
/// # Errors
/// If the bundle is damaged, a restored log does not match the manifest, or the sink fails.
pub fn restore<S: LogSink>(
    bundle: Bundle<'_>,
    files: Option<Vec<usize>>,
    threads: NonZeroUsize,
    sink: &mut S,
) -> Result<()> {
    restore_with_access(bundle, files, threads, sink).map(drop)
}

/// Restores like [`restore`] and returns how the rows were accessed.
pub(crate) fn restore_with_access<S: LogSink>(
    bundle: Bundle<'_>,
    files: Option<Vec<usize>>,
    threads: NonZeroUsize,
    sink: &mut S,
) -> Result<Access> {
    let (name, manifest) = (bundle.name().to_owned(), Arc::clone(bundle.manifest()));
    let mut wanted = files.clone().unwrap_or_else(|| (0..manifest.files.len()).collect());
    wanted.sort_unstable();
    wanted.dedup();
    let selection = Selection { files, ..Selection::default() };
    let restored = thread::scope(|scope| {
        let mut logs = LogThreads::start(scope, &manifest, wanted, SinkTasks { manifest: &manifest, sink });
        let access = if manifest.has_chunk_table() {
            let order = ChunkOrder::TakingTurns(LOGS_AT_ONCE);
            each_chunk(bundle, &selection, order, threads, rows_of_chunk, |batch| {
                logs.take(batch?).map(ControlFlow::Continue)
            })?
        } else {
            each_batch(&bundle, &selection, |batch| logs.take(batch))?;
            Access::NoChunkTable
        };
        logs.finish().map(|_| access)
    });
    restored.map_err(|error| error.in_subject(&name))
}

/// Reads a bundle without a chunk table sequentially and passes on batches of rows.
fn each_batch(
    bundle: &Bundle<'_>,
    selection: &Selection,
    mut take: impl FnMut(RowBatch<RowLines>) -> Result<()>,
) -> Result<()> {
    let mut rows = bundle.rows(selection)?;
    let manifest = Arc::clone(rows.manifest());
    let mut batch: Option<RowBatch<RowLines>> = None;
    loop {
        let row = rows.next_row()?;
        let is_full = |batch: &RowBatch<RowLines>| {
            row.as_ref().is_none_or(|row| row.file != batch.file) || batch.rows.bytes() >= BATCH_BYTES
        };
        if let Some(mut full) = batch.take_if(|batch| is_full(batch)) {
            full.is_last = row.as_ref().is_none_or(|row| row.file != full.file);
            take(full)?;
        }
        let Some(row) = row else { return Ok(()) };
        let ending = line_ending(&manifest.files[row.file]);
        let batch = batch.get_or_insert_with(|| RowBatch { file: row.file, rows: RowLines::default(), is_last: false });
        batch.rows.push(&row.envelope, ending);
    }
}

fn line_ending(file: &ManifestFile) -> LineEnding {
    file.record().map_or(LineEnding::Lf, |record| record.line_ending)
}

fn rows_of_chunk(logs: &BundleLogs, mut chunk: ChunkRows) -> Result<RowBatch<RowLines>> {
    let chunk_ref = *chunk.chunk_ref();
    let file = &logs.manifest.files[chunk_ref.file];
    let rows = usize::try_from(chunk_ref.rows).unwrap_or_default();
    let (mut rows, ending) = (RowLines::with_room_for(rows, chunk.bytes()), line_ending(file));
    while let Some(row) = chunk.next_row(logs)? {
        rows.push(&row.envelope, ending);
    }
    Ok(RowBatch { file: chunk_ref.file, rows, is_last: chunk_ref.is_last_of(file) })
}

/// Creates and completes the logs of a [`LogSink`].
struct SinkTasks<'m, 's, S> {
    manifest: &'m Manifest,
    sink: &'s mut S,
}

impl<'m, S: LogSink> LogTasks for SinkTasks<'m, '_, S> {
    type Task = RestoreTask<'m, S::Writer>;

    fn begin(&mut self, index: usize) -> Result<Self::Task> {
        let file = &self.manifest.files[index];
        let writer = self.sink.begin(index, file)?;
        Ok(RestoreTask { file, log: LogAssembler::new(Some(file)), writer })
    }

    fn end(&mut self, index: usize, done: <S::Writer as LogWriter>::Done) -> Result<()> {
        self.sink.end(index, &self.manifest.files[index], done)
    }
}

/// The state of a log's thread.
struct RestoreTask<'m, W> {
    file: &'m ManifestFile,
    log: LogAssembler<'m>,
    writer: W,
}

impl<W: LogWriter> RestoreTask<'_, W> {
    /// Writes the restored bytes. Fails if the log becomes longer than the manifest allows.
    fn write(&mut self) -> Result<()> {
        if self.log.bytes() > self.file.max_restored_bytes() {
            return Err(Error::from(ErrorKind::MoreThanDeclared).in_file(self.file.relative_path.as_str()));
        }
        self.writer.write(self.log.restored())?;
        self.log.clear();
        Ok(())
    }
}

impl<W: LogWriter> LogTask for RestoreTask<'_, W> {
    type Rows = RowLines;
    type Done = W::Done;

    fn take(&mut self, rows: RowLines) -> Result<()> {
        self.log.push(&rows);
        self.write()
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
