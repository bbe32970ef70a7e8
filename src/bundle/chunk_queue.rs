//! Selects the chunks to read and puts them in order.

use super::chunk_table::ChunkRef;
use super::select::Selection;

/// The maximum number of compressed bytes of adjacent chunks that are read at once.
const MAX_RUN_BYTES: u64 = 1 << 20;

/// The queue of selected chunks, by their index in the combined table.
#[derive(Debug)]
pub struct ChunkQueue {
    chunks: Vec<usize>,
    next: usize,
}

impl ChunkQueue {
    /// Queues the selected chunks in bundle order.
    pub fn of_stream(chunk_refs: &[ChunkRef], selection: &Selection) -> Self {
        let of_files = selection.of_files(chunk_refs.last().map_or(0, |chunk_ref| chunk_ref.file + 1));
        let is_wanted = |chunk_ref: &ChunkRef| {
            of_files[chunk_ref.file]
                && selection.chunks.as_ref().is_none_or(|chunks| chunks.contains(&chunk_ref.index))
                && selection.range.overlaps(chunk_ref.times[0], chunk_ref.times[1])
        };
        let wanted = |(index, chunk_ref): (usize, &ChunkRef)| is_wanted(chunk_ref).then_some(index);
        Self { chunks: chunk_refs.iter().enumerate().filter_map(wanted).collect(), next: 0 }
    }

    /// Queues the selected chunks so that up to `files` files take turns, each with its chunks in order. Several logs
    /// are then hashed and written at once.
    pub fn taking_turns(chunk_refs: &[ChunkRef], selection: &Selection, files: usize) -> Self {
        let in_stream = Self::of_stream(chunk_refs, selection).chunks;
        let mut waiting = in_stream.chunk_by(|a, b| chunk_refs[*a].file == chunk_refs[*b].file);
        let mut open: Vec<_> = waiting.by_ref().take(files).map(<[usize]>::iter).collect();
        let mut chunks = Vec::with_capacity(in_stream.len());
        let mut turn = 0;
        while !open.is_empty() {
            turn %= open.len();
            match open[turn].next() {
                Some(chunk) => {
                    chunks.push(*chunk);
                    turn += 1;
                }
                None => match waiting.next() {
                    Some(next) => open[turn] = next.iter(),
                    None => _ = open.remove(turn),
                },
            }
        }
        Self { chunks, next: 0 }
    }

    /// Returns the next chunk without removing it.
    pub fn next(&self) -> Option<usize> {
        self.chunks.get(self.next).copied()
    }

    /// Returns the end of the run of adjacent chunks that begins with the next chunk and is short enough to be read at
    /// once.
    pub fn end_of_run(&self, chunk_refs: &[ChunkRef]) -> usize {
        let (mut end, mut bytes) = (self.next().unwrap_or(0), 0u64);
        for chunk in &self.chunks[self.next.min(self.chunks.len())..] {
            bytes = bytes.saturating_add(chunk_refs[*chunk].compressed);
            if *chunk != end || bytes > MAX_RUN_BYTES {
                break;
            }
            end += 1;
        }
        end
    }

    pub fn advance(&mut self) {
        self.next += 1;
    }

    /// Rewinds to `chunk`. It and the chunks queued after it follow in bundle order.
    pub fn go_back(&mut self, chunk: usize) {
        self.next = self.chunks.iter().position(|at| *at == chunk).unwrap_or(self.next);
        self.chunks[self.next..].sort_unstable();
    }
}
