//! A pool of reusable buffers, shared between threads.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The maximum total capacity of the buffers in a pool, in bytes.
const MAX_POOL_BYTES: usize = 16 << 20;

/// The maximum capacity of a buffer that a pool keeps. Only an unusually long row needs a larger
/// one.
pub const MAX_BUFFER_CAPACITY: usize = 4 << 20;

/// A pool of used buffers for reuse.
///
/// The system maps fresh memory page by page, which takes longer than filling it. Also, memory that
/// one thread allocates and another frees returns to the first thread's heap and fragments it. With
/// many large buffers in flight, the process would grow for minutes without using more memory.
#[derive(Debug, Default)]
pub struct Buffers(Mutex<KeptBuffers>);

/// The buffers in a pool, and the sum of their capacities.
#[derive(Debug, Default)]
struct KeptBuffers {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Buffers {
    /// Takes an empty buffer: a used one with its capacity if the pool has one, otherwise a new
    /// one.
    pub fn take(&self) -> Vec<u8> {
        let mut kept = self.kept();
        let buffer = kept.buffers.pop().unwrap_or_default();
        kept.bytes -= buffer.capacity();
        buffer
    }

    /// Returns a buffer to the pool.
    pub fn put(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.kept();
        if (1..=MAX_BUFFER_CAPACITY).contains(&buffer.capacity()) && kept.bytes + buffer.capacity() <= MAX_POOL_BYTES {
            kept.bytes += buffer.capacity();
            kept.buffers.push(buffer);
        }
    }

    /// Works like [`take`](Self::take), but the buffer returns to the pool when it is dropped.
    pub fn checkout(self: &Arc<Self>) -> Buffer {
        Buffer { bytes: self.take(), pool: Some(Arc::clone(self)) }
    }

    fn kept(&self) -> MutexGuard<'_, KeptBuffers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer that returns to its pool when it is dropped.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    pool: Option<Arc<Buffers>>,
}

impl From<Vec<u8>> for Buffer {
    /// Wraps a vector that does not belong to a pool.
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, pool: None }
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
        if let Some(pool) = self.pool.take() {
            pool.put(std::mem::take(&mut self.bytes));
        }
    }
}
