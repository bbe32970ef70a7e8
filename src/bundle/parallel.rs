//! Processes chunks on several threads and delivers the results in order.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;

use super::chunk_queue::ChunkQueue;
use super::chunk_rows::{BundleLogs, ChunkRows};
use super::chunks::{ChunkReader, FetchedChunk};
use super::{Access, Bundle, Selection};
use crate::buffers::Buffers;
use crate::error::Result;
use crate::util::ordered_pool::OrderedPool;

/// The order in which chunks are processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkOrder {
    /// The order of the bundle.
    OfBundle,
    /// Up to this number of files take turns, each with its chunks in order. Without indexed access, the order of the
    /// bundle.
    TakingTurns(usize),
}

/// Processes the selected chunks of a bundle that has a chunk table.
///
/// Worker threads inflate and verify the chunks and call `work` for each. The calling thread passes the results to
/// `take`, in order, and stops at its first error, or when it breaks.
///
/// # Errors
/// Fails if the input cannot be read, text follows the last chunk, or `take` fails. A damaged chunk is not an error
/// here: `work` meets the damage when it reads the rows.
pub fn each_chunk<T: Send>(
    bundle: Bundle<'_>,
    selection: &Selection,
    ordering: ChunkOrder,
    threads: NonZeroUsize,
    work: impl Fn(&BundleLogs, ChunkRows) -> T + Sync,
    mut take: impl FnMut(T) -> Result<ControlFlow<()>>,
) -> Result<Access> {
    let Bundle { manifest, manifest_crc32, access, input, .. } = bundle;
    let logs = BundleLogs::new(&manifest);
    let order = |chunk_refs: &[super::ChunkRef], is_indexed| match ordering {
        ChunkOrder::TakingTurns(files) if is_indexed => ChunkQueue::taking_turns(chunk_refs, selection, files),
        _ => ChunkQueue::of_stream(chunk_refs, selection),
    };
    let mut reader = ChunkReader::new(&manifest, manifest_crc32, input, order)?;
    let texts = Arc::<Buffers>::default();
    thread::scope(|scope| {
        let mut pool = OrderedPool::start(scope, threads, || {
            let (logs, work, texts) = (&logs, &work, &texts);
            move |job: ChunkJob| job.run(logs, work, texts)
        });
        loop {
            match pool.next(|| Ok(next_job(&mut reader)))? {
                Some(ChunkOutcome::Made(made)) => {
                    if take(made)?.is_break() {
                        return Ok(access_now(access, &reader));
                    }
                }
                Some(ChunkOutcome::Misplaced(index)) => {
                    pool.clear();
                    reader.fall_back(index)?;
                }
                None => {
                    reader.check_end()?;
                    return Ok(access_now(access, &reader));
                }
            }
        }
    })
}

fn access_now(before: Access, reader: &ChunkReader<'_>) -> Access {
    match before == Access::Indexed && !reader.is_indexed() {
        true => Access::TableMismatch,
        false => before,
    }
}

/// Returns the next chunk and an estimate of the memory that it and its result take.
fn next_job(reader: &mut ChunkReader<'_>) -> Option<(ChunkJob, usize)> {
    let index = reader.next_index()?;
    let chunk = reader.chunk_ref(index);
    let bytes = usize::try_from(chunk.bytes.saturating_mul(2).saturating_add(chunk.compressed)).unwrap_or(usize::MAX);
    Some((ChunkJob { index, chunk_ref: chunk, fetched: reader.fetch(index) }, bytes))
}

struct ChunkJob {
    index: usize,
    chunk_ref: super::ChunkRef,
    fetched: FetchedChunk,
}

enum ChunkOutcome<T> {
    Made(T),
    /// The chunk is not at its indexed offset.
    Misplaced(usize),
}

impl ChunkJob {
    fn run<T>(
        self,
        logs: &BundleLogs,
        work: impl Fn(&BundleLogs, ChunkRows) -> T,
        texts: &Arc<Buffers>,
    ) -> ChunkOutcome<T> {
        match self.fetched.text(|| texts.checkout()) {
            Ok(read) => ChunkOutcome::Made(work(logs, ChunkRows::new(self.chunk_ref, read, logs))),
            Err(_) => ChunkOutcome::Misplaced(self.index),
        }
    }
}
