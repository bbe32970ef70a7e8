//! Compresses chunks on several threads and gives them back in the order in which they came.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::thread::Scope;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::digest::Crc32;
use crate::error::{Error, IoAction, Result};
use crate::format::Chunk;
use crate::format::log::RawChunk;
use crate::gzip::{Deflater, Level};

/// A compressed chunk, and its line in the chunk table.
pub(super) struct Deflated {
    /// Which file it belongs to.
    pub(super) file: usize,
    pub(super) data: Vec<u8>,
    pub(super) chunk: Chunk,
}

struct Job {
    file: usize,
    raw: RawChunk,
    done: Sender<Result<Deflated>>,
}

/// Threads that compress. At most `2 * threads` chunks wait at a time, so memory stays bounded.
pub(super) struct Pool {
    jobs: Sender<Job>,
    waiting: VecDeque<Receiver<Result<Deflated>>>,
    most: usize,
}

impl Pool {
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, '_>, level: Level, threads: NonZeroUsize) -> Self {
        let most = threads.get() * 2;
        let (jobs, queue) = bounded::<Job>(most);
        for _ in 0..threads.get() {
            let queue = queue.clone();
            scope.spawn(move || {
                let mut deflater = Deflater::new(level);
                for job in queue {
                    // Nobody waits any more when the export has failed.
                    let _ = job.done.send(deflate(&mut deflater, job.file, &job.raw));
                }
            });
        }
        Self { jobs, waiting: VecDeque::new(), most }
    }

    /// Hands in the next chunk. Returns the oldest when enough are under way.
    pub(super) fn push(&mut self, file: usize, raw: RawChunk) -> Result<Option<Deflated>> {
        let (done, waiting) = bounded(1);
        self.waiting.push_back(waiting);
        self.jobs.send(Job { file, raw, done }).map_err(|_| thread_died())?;
        if self.waiting.len() > self.most { self.pop() } else { Ok(None) }
    }

    /// The oldest chunk that was not returned yet, when it is done.
    pub(super) fn pop(&mut self) -> Result<Option<Deflated>> {
        match self.waiting.pop_front() {
            Some(oldest) => oldest.recv().map_err(|_| thread_died())?.map(Some),
            None => Ok(None),
        }
    }
}

fn thread_died() -> Error {
    Error::io_unnamed(IoAction::Compress, std::io::Error::other("a compressing thread died"))
}

fn deflate(deflater: &mut Deflater, file: usize, raw: &RawChunk) -> Result<Deflated> {
    let data = deflater.deflate(&raw.bytes).map_err(|error| Error::io_unnamed(IoAction::Compress, error))?;
    let chunk = Chunk {
        compressed: data.len() as u64,
        bytes: raw.bytes.len() as u64,
        rows: raw.rows,
        crc32: Crc32::of(&raw.bytes),
        first_time: raw.span.first,
        last_time: raw.span.last,
    };
    Ok(Deflated { file, data, chunk })
}
