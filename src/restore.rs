//! Restores a bundle's logs in one pass and checks each against the manifest.
//!
//! Worker threads inflate chunks and read their rows. Each log has a thread of its own, which
//! assembles, hashes and writes it. If chunks can be read individually, up to `LOGS_AT_ONCE` logs
//! are processed concurrently.

mod log_threads;
mod sink;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;

use crate::bundle::{Access, Bundle, BundleLogs, ChunkOrder, ChunkRows, Selection, each_chunk};
use crate::error::Result;
use crate::format::log_decoder::RowLines;
use crate::format::{LineEnding, ManifestFile};
use log_threads::{LOGS_AT_ONCE, LogThreads, RowBatch};
pub use sink::{LogSink, LogWriter};

/// The size of a batch of rows if the bundle has no chunk table.
const BATCH_BYTES: usize = 1 << 20;

/// Restores the selected files of a bundle, empty ones included; `None` selects all. Uses `threads`
/// threads to inflate chunks.
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
        let mut logs = LogThreads::start(scope, &manifest, wanted, sink);
        let access = if manifest.has_chunk_table() {
            let order = ChunkOrder::TakingTurns(LOGS_AT_ONCE);
            each_chunk(bundle, &selection, order, threads, rows_of_chunk, |batch| {
                logs.take(batch?).map(ControlFlow::Continue)
            })?
        } else {
            each_batch(&bundle, &selection, |batch| logs.take(batch))?;
            Access::NoChunkTable
        };
        logs.finish().map(|()| access)
    });
    restored.map_err(|error| error.in_subject(&name))
}

/// Reads a bundle without a chunk table sequentially and passes on batches of rows.
fn each_batch(bundle: &Bundle<'_>, selection: &Selection, mut take: impl FnMut(RowBatch) -> Result<()>) -> Result<()> {
    let mut rows = bundle.rows(selection)?;
    let manifest = Arc::clone(rows.manifest());
    let mut batch: Option<RowBatch> = None;
    loop {
        let row = rows.next_row()?;
        let is_full = |batch: &RowBatch| {
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

fn rows_of_chunk(logs: &BundleLogs, mut chunk: ChunkRows) -> Result<RowBatch> {
    let chunk_ref = *chunk.chunk_ref();
    let file = &logs.manifest.files[chunk_ref.file];
    let rows = usize::try_from(chunk_ref.rows).unwrap_or_default();
    let (mut rows, ending) = (RowLines::with_room_for(rows, chunk.bytes()), line_ending(file));
    while let Some(row) = chunk.next_row(logs)? {
        rows.push(&row.envelope, ending);
    }
    Ok(RowBatch { file: chunk_ref.file, rows, is_last: chunk_ref.is_last_of(file) })
}
