//! Processes chunks on several threads and delivers the results in order.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use super::chunk_queue::ChunkQueue;
use super::chunk_rows::{BundleLogs, ChunkRows};
use super::chunks::{ChunkReader, FetchedChunk};
use super::{Access, Bundle, Selection};
use crate::buffers::Buffers;
use crate::error::{Error, IoAction, Result};
use crate::pool::{Pool, ThreadDied};

/// The order in which chunks are processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkOrder {
    /// The order of the bundle.
    OfBundle,
    /// Up to so many files take turns, each with its chunks in order. Without indexed access, the order of the bundle.
    TakingTurns(usize),
}

/// Processes the selected chunks of a bundle that has a chunk table.
///
/// Worker threads inflate and verify the chunks and call `work` for each. The calling thread passes the results to
/// `take`, in order, and stops at its first error.
///
/// # Errors
/// Fails if the input cannot be read, text follows the last chunk, or `take` fails. A damaged chunk is not an error
/// here: `work` meets the damage when it reads the rows.
pub(crate) fn each_chunk<T: Send>(
    bundle: Bundle<'_>,
    selection: &Selection,
    ordering: ChunkOrder,
    threads: NonZeroUsize,
    work: impl Fn(&BundleLogs, ChunkRows) -> T + Sync,
    mut take: impl FnMut(T) -> Result<()>,
) -> Result<Access> {
    let Bundle { manifest, manifest_crc32, access, input, .. } = bundle;
    let logs = BundleLogs::new(&manifest);
    let order = |slots: &[super::ChunkRef], is_indexed| match ordering {
        ChunkOrder::TakingTurns(files) if is_indexed => ChunkQueue::taking_turns(slots, selection, files),
        _ => ChunkQueue::of_stream(slots, selection),
    };
    let mut reader = ChunkReader::new(&manifest, manifest_crc32, input, order)?;
    let texts = Arc::<Buffers>::default();
    thread::scope(|scope| {
        let mut pool = Pool::start(scope, threads, || {
            let (logs, work, texts) = (&logs, &work, &texts);
            move |job: ChunkJob| job.run(logs, work, texts)
        });
        loop {
            let next = reader.next_index();
            let bytes = next.map_or(usize::MAX, |index| weight(&reader, index));
            while !pool.has_room_for(bytes) || next.is_none() {
                match pool.pop().map_err(thread_died)? {
                    Some(ChunkOutcome::Made(made)) => take(made)?,
                    Some(ChunkOutcome::Misplaced(index)) => {
                        while pool.pop().map_err(thread_died)?.is_some() {}
                        reader.fall_back(index)?;
                        break;
                    }
                    None => {
                        reader.check_end()?;
                        return Ok(access_now(access, &reader));
                    }
                }
            }
            if let Some(index) = reader.next_index() {
                let job = ChunkJob { index, slot: reader.slot(index), fetched: reader.fetch(index) };
                pool.push(job, bytes).map_err(thread_died)?;
            }
        }
    })
}

fn access_now(before: Access, reader: &ChunkReader<'_>) -> Access {
    match before == Access::Indexed && !reader.is_indexed() {
        true => Access::TableDoesNotFit,
        false => before,
    }
}

/// Estimates the memory that a chunk and its result take.
fn weight(reader: &ChunkReader<'_>, index: usize) -> usize {
    let slot = reader.slot(index);
    usize::try_from(slot.bytes.saturating_mul(2).saturating_add(slot.compressed)).unwrap_or(usize::MAX)
}

struct ChunkJob {
    index: usize,
    slot: super::ChunkRef,
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
            Ok(read) => ChunkOutcome::Made(work(logs, ChunkRows::new(self.slot, read, logs))),
            Err(_) => ChunkOutcome::Misplaced(self.index),
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it takes the place of the error")]
fn thread_died(_: ThreadDied) -> Error {
    Error::io_unnamed(IoAction::Read, std::io::Error::other("a reading thread died"))
}
