//! Progress reporting and cancellation for long operations. The library only reports; drawing is up
//! to the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{ErrorKind, Result};

/// A stage of an operation. An operation goes through one or more stages, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Reading logs or a bundle.
    Reading,
    /// Comparing a bundle with the local logs.
    Merging,
    /// Writing the output.
    Writing,
    /// Reading back what was written, before it is published.
    Checking,
    /// Watching for writers that may still undo the changes. This takes seconds and has no byte
    /// count.
    Watching,
}

/// Receives progress from an operation. Every method has a default that does nothing.
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
    /// Reports the next stage. Until the first call, an operation is in [`Stage::Reading`].
    fn stage(&self, stage: Stage) {
        let _ = stage;
    }

    /// Reports the amount of work in this stage in bytes, if known.
    fn start(&self, total_bytes: Option<u64>) {
        let _ = total_bytes;
    }

    /// Reports that `bytes` more bytes of the work are done.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Reports that the work is complete or that the operation failed.
    fn finish(&self) {}

    /// Returns the handle that cancels the operation. Operations call this when they start.
    fn cancellation(&self) -> Cancellation {
        Cancellation::default()
    }
}

/// A [`Progress`] that ignores all reports.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}

/// Cancels operations. All clones share one state: keep one, and return another from
/// [`Progress::cancellation`].
///
/// A cancelled operation fails with [`ErrorKind::Cancelled`] and cleans up as after any other
/// error: it removes unfinished files and leaves existing ones unchanged. An operation that is
/// about to finish may still complete.
#[derive(Debug, Clone, Default)]
pub struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Requests cancellation. Operations stop at their next check.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns true if cancellation was requested.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Fails if cancellation was requested.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`] if cancellation was requested.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(ErrorKind::Cancelled.into()) } else { Ok(()) }
    }
}
