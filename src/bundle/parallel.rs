//! Reads chunks on many threads, and hands on what is made of them in order.

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

/// In which order chunks are handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkOrder {
    /// As they stand in the bundle.
    OfBundle,
    /// The chunks of up to so many files take turns, where chunks can be read alone. Each file's come in their order.
    TakingTurns(usize),
}

/// Reads the wanted chunks of a bundle that has a chunk table. Threads inflate and prove them and do `work` with each;
/// what that gives is handed to `take`, in order, on this thread. The first error of `take` ends it.
///
/// # Errors
/// When the input fails, something follows the last chunk, or `take` fails. Damage to a chunk is for `work` to find.
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
                    Some(ChunkOutcome::NotThere(index)) => {
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

/// About how much memory a chunk takes, with what is made of it.
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
    /// The chunk does not lie where the table says.
    NotThere(usize),
}

impl ChunkJob {
    fn run<T>(
        self,
        logs: &BundleLogs,
        work: impl Fn(&BundleLogs, ChunkRows) -> T,
        texts: &Arc<Buffers>,
    ) -> ChunkOutcome<T> {
        match self.fetched.text(|| texts.lend()) {
            Ok(read) => ChunkOutcome::Made(work(logs, ChunkRows::new(self.slot, read, logs))),
            Err(_) => ChunkOutcome::NotThere(self.index),
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it takes the place of the error")]
fn thread_died(_: ThreadDied) -> Error {
    Error::io_unnamed(IoAction::Read, std::io::Error::other("a reading thread died"))
}
