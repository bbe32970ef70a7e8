//! How far an operation is, and how to end it early. The library only reports; drawing is the program's.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{ErrorKind, Result};

/// What an operation is doing. One does several of these, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Reading logs, or a bundle.
    Reading,
    /// Comparing a bundle with the logs that are there.
    Merging,
    /// Writing what is to appear.
    Writing,
    /// Reading back what was written, before it appears.
    Checking,
    /// Waiting for writers that may still undo what was done. Takes seconds, and has no bytes.
    Watching,
}

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
    /// What comes now. Without it, an operation reads.
    fn stage(&self, stage: Stage) {
        let _ = stage;
    }

    /// The work ahead in this stage, in bytes, when it is known.
    fn start(&self, total_bytes: Option<u64>) {
        let _ = total_bytes;
    }

    /// `bytes` more of it are done.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// All of it is done, or the operation ended with an error.
    fn finish(&self) {}

    /// By what the operation can be ended early. It is asked for when the operation starts.
    fn cancellation(&self) -> Cancellation {
        Cancellation::default()
    }
}

/// Reports to nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}

/// Ends operations early. Clones are one and the same: keep one, and give the other to the operation through
/// [`Progress::cancellation`].
///
/// An operation that is cancelled fails with [`ErrorKind::Cancelled`] as it would for any other reason: nothing that it
/// began is left, and what was there is as it was. What is only a moment from its end may still get there.
#[derive(Debug, Clone, Default)]
pub struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Ends the operations, as soon as they look.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether they are to end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// # Errors
    /// [`ErrorKind::Cancelled`] when they are to end.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(ErrorKind::Cancelled.into()) } else { Ok(()) }
    }
}

/// An input or output that fails once the operation is cancelled: every long loop of an operation goes through one.
pub(crate) struct CancellableIo<'p, T> {
    inner: T,
    cancellation: Cancellation,
    /// Whom to tell what goes through.
    counted: Option<&'p dyn Progress>,
}

impl<T> CancellableIo<'_, T> {
    /// Looks whether the operation is cancelled.
    pub(crate) fn new(inner: T, progress: &dyn Progress) -> Self {
        Self { inner, cancellation: progress.cancellation(), counted: None }
    }
}

impl<'p, T> CancellableIo<'p, T> {
    /// Reports what goes through, too.
    pub(crate) fn counted(inner: T, progress: &'p dyn Progress) -> Self {
        Self { inner, cancellation: progress.cancellation(), counted: Some(progress) }
    }

    fn pass(&mut self, work: impl FnOnce(&mut T) -> io::Result<usize>) -> io::Result<usize> {
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
        self.pass(|inner| inner.read(buffer))
    }
}

impl<T: Write> Write for CancellableIo<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pass(|inner| inner.write(bytes))
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
