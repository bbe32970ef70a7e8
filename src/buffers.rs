//! Memory that is used again, by any thread.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How much is kept, in bytes.
const MAX_KEPT: usize = 16 << 20;

/// A buffer with more room than this is not kept: one of a row that fills it, and no common one.
pub(crate) const MAX_ROOM: usize = 4 << 20;

/// Buffers that were used and can be used again.
///
/// Fresh memory comes from the system page by page, which takes longer than filling it does. And what one thread
/// allocates and another one frees goes back to the heap of the first, which is soon in pieces: with many large buffers
/// under way, memory grows for minutes although no more of it is in use.
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
        if (1..=MAX_ROOM).contains(&buffer.capacity()) && bytes + buffer.capacity() <= MAX_KEPT {
            kept.push(buffer);
        }
    }

    /// As [`take`](Self::take), but it comes back by itself.
    pub(crate) fn lend(self: &Arc<Self>) -> Buffer {
        Buffer { bytes: self.take(), home: Some(Arc::clone(self)) }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer that goes back to where it came from when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Option<Arc<Buffers>>,
}

impl From<Vec<u8>> for Buffer {
    /// One that comes from nowhere.
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, home: None }
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            home.put(std::mem::take(&mut self.bytes));
        }
    }
}
