//! Memory that is used again. Fresh memory comes from the system page by page, which takes longer than filling it does.

use std::ops::{Deref, DerefMut};

use crossbeam_channel::{Receiver, Sender, bounded};

/// The largest buffer that is kept: one for a common chunk, not for one with a row that fills it.
pub(crate) const KEPT_BYTES: usize = 4 << 20;

/// Where buffers of one kind wait to be used again.
#[derive(Debug, Clone)]
pub(crate) struct Spare {
    put: Sender<Vec<u8>>,
    get: Receiver<Vec<u8>>,
}

impl Spare {
    /// For at most `most` buffers.
    pub(crate) fn of(most: usize) -> Self {
        let (put, get) = bounded(most);
        Self { put, get }
    }

    /// An empty buffer, which comes back here when it is dropped.
    pub(crate) fn take(&self) -> Buffer {
        let mut bytes = self.get.try_recv().unwrap_or_default();
        bytes.clear();
        Buffer { bytes, home: Some(self.put.clone()) }
    }
}

/// Bytes in memory that goes back to where it came from.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Option<Sender<Vec<u8>>>,
}

impl From<Vec<u8>> for Buffer {
    /// That comes from nowhere.
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
        if let Some(home) = self.home.take().filter(|_| (1..=KEPT_BYTES).contains(&self.bytes.capacity())) {
            // There may be enough already.
            let _ = home.try_send(std::mem::take(&mut self.bytes));
        }
    }
}
