//! Progress reporting and cancellation for long operations. The library only reports; drawing is up to the program.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{ErrorKind, Result};

/// The current stage of an operation. An operation goes through several of them, one after another.
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
    /// Watching for writers that may still undo the changes. This takes seconds and has no byte count.
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

    /// Reports that `bytes` more of the work are done.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Reports that the work is complete or that the operation failed.
    fn finish(&self) {}

    /// Returns the handle that can cancel the operation. Operations call this when they start.
    fn cancellation(&self) -> Cancellation {
        Cancellation::default()
    }
}

/// A [`Progress`] that ignores all reports.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}

/// Cancels operations. All clones share one state: keep one, and return another from [`Progress::cancellation`].
///
/// A cancelled operation fails with [`ErrorKind::Cancelled`] and cleans up as after any other error: files that it
/// began are removed, and existing files are unchanged. An operation that is about to finish may still complete.
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

/// An input or output that fails once the operation is cancelled. Every long loop of an operation uses one.
pub(crate) struct CancellableIo<'p, T> {
    inner: T,
    cancellation: Cancellation,
    /// Receives byte counts, if set.
    counted: Option<&'p dyn Progress>,
}

impl<T> CancellableIo<'_, T> {
    /// Wraps `inner` without reporting byte counts.
    pub(crate) fn new(inner: T, progress: &dyn Progress) -> Self {
        Self { inner, cancellation: progress.cancellation(), counted: None }
    }
}

impl<'p, T> CancellableIo<'p, T> {
    /// Wraps `inner` and reports the bytes that are read or written to `progress`.
    pub(crate) fn counted(inner: T, progress: &'p dyn Progress) -> Self {
        Self { inner, cancellation: progress.cancellation(), counted: Some(progress) }
    }

    fn checked(&mut self, work: impl FnOnce(&mut T) -> io::Result<usize>) -> io::Result<usize> {
        self.cancellation.check().map_err(io::Error::from)?;
        let n = work(&mut self.inner)?;
        if let Some(progress) = self.counted {
            progress.advance(n as u64);
        }
        Ok(n)
    }
}

impl<T: Read> Read for CancellableIo<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.checked(|inner| inner.read(buffer))
    }
}

impl<T: Write> Write for CancellableIo<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.checked(|inner| inner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Seek> Seek for CancellableIo<'_, T> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
