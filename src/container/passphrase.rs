//! Passphrases, which are erased from memory.

use std::{fmt, io};

use age::secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, ErrorKind, IoAction, Result};

/// A passphrase. It is erased from memory when it is dropped, and `Debug` output does not show it.
#[derive(Clone)]
pub struct Passphrase(SecretString);

impl Passphrase {
    /// Wraps a passphrase.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// Reads a passphrase: the first line of `input`, without its line ending. Reads nothing after the line.
    ///
    /// # Errors
    /// If reading fails. [`ErrorKind::InvalidPassphrase`] if the line is empty, longer than 64 KiB, or not UTF-8.
    pub fn read(input: impl io::Read) -> Result<Self> {
        /// The maximum length of a passphrase in bytes.
        const MAX_BYTES: usize = 64 << 10;
        let mut line = zeroize::Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
        #[allow(clippy::unbuffered_bytes, reason = "the bytes after the line are for another reader")]
        for byte in input.bytes().take(MAX_BYTES + 1) {
            match byte.map_err(|error| Error::io_unnamed(IoAction::Read, error))? {
                b'\n' => break,
                byte => line.push(byte),
            }
        }
        let text = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(&line)).ok();
        let text = text.filter(|text| !text.is_empty() && line.len() <= MAX_BYTES);
        text.map(|text| Self::new(text.to_owned())).ok_or_else(|| ErrorKind::InvalidPassphrase.into())
    }

    /// Returns true if the passphrase is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.expose_secret().as_bytes()
    }

    pub(super) fn secret(&self) -> SecretString {
        self.0.clone()
    }
}

impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}
