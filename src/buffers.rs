//! Memory that threads hand round.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How much is kept, in bytes.
const MOST_KEPT: usize = 16 << 20;

/// A buffer with more room than this is not kept: one of a row that fills it, and no common one.
const MOST_ROOM: usize = 4 << 20;

/// Buffers that were used and can be used again, by any thread.
///
/// What one thread allocates and another one frees goes back to the heap of the first, which is soon in pieces: with many
/// large buffers under way, memory grows for minutes although no more of it is in use.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// An empty buffer, with room where there is one to be used again.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.kept().pop().unwrap_or_default()
    }

    /// Hands a buffer back.
    pub(crate) fn put(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.kept();
        let bytes: usize = kept.iter().map(Vec::capacity).sum();
        if (1..=MOST_ROOM).contains(&buffer.capacity()) && bytes + buffer.capacity() <= MOST_KEPT {
            kept.push(buffer);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
