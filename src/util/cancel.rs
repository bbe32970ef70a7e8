//! Input and output that can be cancelled.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::progress::{Cancellation, Progress};

/// An input or output that fails once the operation is cancelled. Every long loop of an operation
/// uses one.
pub struct CancellableIo<'p, T> {
    inner: T,
    cancellation: Cancellation,
    /// Receives byte counts, if set.
    counted: Option<&'p dyn Progress>,
}

impl<T> CancellableIo<'_, T> {
    /// Wraps `inner` without reporting byte counts.
    pub fn new(inner: T, progress: &dyn Progress) -> Self {
        Self { inner, cancellation: progress.cancellation(), counted: None }
    }
}

impl<'p, T> CancellableIo<'p, T> {
    /// Wraps `inner` and reports the bytes that are read or written to `progress`.
    pub fn counted(inner: T, progress: &'p dyn Progress) -> Self {
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
