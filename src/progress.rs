//! How far an operation is. The library only reports; drawing is the program's.

/// Told by an operation how far it is. Every method has a default that does nothing.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use patchwork_traces::progress::Progress;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// /// Counts bytes. Operations call this from several threads.
/// #[derive(Default)]
/// struct Bytes(AtomicU64);
///
/// impl Progress for Bytes {
///     fn advance(&self, bytes: u64) {
///         self.0.fetch_add(bytes, Ordering::Relaxed);
///     }
/// }
/// # let bytes = Bytes::default();
/// # bytes.advance(3);
/// # assert_eq!(bytes.0.into_inner(), 3);
/// # Ok(())
/// # }
/// ```
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
