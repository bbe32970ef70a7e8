//! How far an operation is. The library only reports; drawing is the program's.

/// Told by an operation how far it is. Every method has a default that does nothing.
pub trait Progress: Sync {
    /// The work ahead, in bytes, when it is known.
    fn start(&self, total_bytes: Option<u64>) {
        let _ = total_bytes;
    }

    /// `bytes` more of it are done.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// All of it is done, or the operation ended with an error.
    fn finish(&self) {}
}

/// Reports to nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}
