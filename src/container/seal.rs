//! Writes a file through a sealer, if there is one.

use std::io::{self, Write};

#[cfg(feature = "seal")]
use super::age::Sealer;
use crate::error::Result;
#[cfg(feature = "seal")]
use crate::error::{Error, IoAction};

/// The sealer without the feature `seal`, of which no value exists.
#[cfg(not(feature = "seal"))]
#[derive(Debug, Clone)]
pub struct NoSealer(std::convert::Infallible);
#[cfg(not(feature = "seal"))]
use NoSealer as Sealer;

/// A writer that counts bytes.
struct CountedWriter<W> {
    inner: W,
    bytes: u64,
}

/// Calls `write` with a writer that encrypts with `sealer` and writes to `out`. Returns its result, and the number of
/// bytes that reached `out`.
///
/// # Errors
/// If `write` or sealing fails.
pub(crate) fn write_through<T>(
    sealer: Option<&Sealer>,
    out: impl Write,
    write: impl FnOnce(&mut dyn Write) -> Result<T>,
) -> Result<(T, u64)> {
    let mut counted = CountedWriter { inner: out, bytes: 0 };
    let written = match sealer {
        None => write(&mut counted)?,
        Some(sealer) => sealed(sealer, &mut counted, write)?,
    };
    Ok((written, counted.bytes))
}

#[cfg(feature = "seal")]
fn sealed<T>(sealer: &Sealer, out: impl Write, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    let failed = |error| Error::io_unnamed(IoAction::Write, error);
    let mut encrypting = sealer.seal(out).map_err(failed)?;
    let written = write(&mut encrypting)?;
    encrypting.finish().and_then(|mut out| out.flush()).map_err(failed)?;
    Ok(written)
}

#[cfg(not(feature = "seal"))]
fn sealed<T>(sealer: &Sealer, _: impl Write, _: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    match sealer.0 {}
}

impl<W: Write> Write for CountedWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(data)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
