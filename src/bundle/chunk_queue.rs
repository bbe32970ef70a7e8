//! Selects the chunks to read and puts them in order.

use super::Selection;
use super::chunk_table::ChunkRef;

/// The queue of selected chunks, by their index in the combined table.
#[derive(Debug)]
pub(super) struct ChunkQueue {
    chunks: Vec<usize>,
    next: usize,
}

impl ChunkQueue {
    /// Queues the selected chunks in bundle order.
    pub(super) fn of_stream(slots: &[ChunkRef], selection: &Selection) -> Self {
        let of_files = selection.of_files(slots.last().map_or(0, |slot| slot.file + 1));
        let is_wanted =
            |slot: &ChunkRef| of_files[slot.file] && selection.chunks_in.overlaps(slot.times[0], slot.times[1]);
        let wanted = |(index, slot): (usize, &ChunkRef)| is_wanted(slot).then_some(index);
        Self { chunks: slots.iter().enumerate().filter_map(wanted).collect(), next: 0 }
    }

    /// Queues the selected chunks so that up to `files` files take turns, each with its chunks in order. Several logs
    /// are then hashed and written at once.
    pub(super) fn taking_turns(slots: &[ChunkRef], selection: &Selection, files: usize) -> Self {
        let in_stream = Self::of_stream(slots, selection).chunks;
        let mut waiting = in_stream.chunk_by(|a, b| slots[*a].file == slots[*b].file);
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
    pub(super) fn next(&self) -> Option<usize> {
        self.chunks.get(self.next).copied()
    }

    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    /// Rewinds to `chunk`. It and the chunks queued after it follow in bundle order.
    pub(super) fn go_back(&mut self, chunk: usize) {
        self.next = self.chunks.iter().position(|at| *at == chunk).unwrap_or(self.next);
        self.chunks[self.next..].sort_unstable();
    }
}
