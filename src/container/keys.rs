//! Keys and passphrases that open encrypted files.

use std::fmt;
#[cfg(feature = "seal")]
use std::{io, path::Path, sync::Arc};

#[cfg(feature = "seal")]
use age::secrecy::{ExposeSecret, SecretString};

#[cfg(feature = "seal")]
use super::identity_file::IdentityFile;
#[cfg(feature = "seal")]
use crate::error::{Encryption, Error, ErrorKind, IoAction, Result};

/// A passphrase. It is erased from memory when it is dropped, and no `Debug` output has it.
#[cfg(feature = "seal")]
#[derive(Clone)]
pub struct Passphrase(SecretString);

/// A request for the passphrase of a bundle, or of a file of identities.
#[cfg(feature = "seal")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassphraseRequest<'n> {
    /// The name of the file.
    pub name: &'n str,
    /// The way in which it is encrypted.
    pub encryption: Encryption,
    /// The number of passphrases that did not open it.
    pub rejected: u32,
}

/// Returns a passphrase, or the error to end with.
#[cfg(feature = "seal")]
type PassphraseSource = dyn Fn(&PassphraseRequest<'_>) -> Result<Passphrase> + Send + Sync;

/// The keys and passphrases that can open encrypted files. None by default: then only files that are not encrypted can be
/// read.
///
/// ```
/// # #[cfg(feature = "seal")] {
/// use patchwork_traces::container::{DecryptionKeys, Passphrase};
///
/// let keys = DecryptionKeys::default().passphrase(Passphrase::new("correct horse battery staple".to_owned()));
/// assert_eq!(format!("{keys:?}"), "DecryptionKeys { identities: 0, passphrase: true }");
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct DecryptionKeys {
    #[cfg(feature = "seal")]
    pub(super) identities: Vec<IdentityFile>,
    #[cfg(feature = "seal")]
    passphrase: Option<Arc<PassphraseSource>>,
}

#[cfg(feature = "seal")]
impl Passphrase {
    /// Takes a passphrase.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(SecretString::from(text))
    }

    /// Reads a passphrase: the first line of `input`, without its line end. Nothing behind the line is read.
    ///
    /// # Errors
    /// If reading fails. [`ErrorKind::InvalidPassphrase`] if the line is empty, longer than 64 KiB, or not UTF-8.
    pub fn read(input: impl io::Read) -> Result<Self> {
        /// The maximum length of a passphrase in bytes.
        const MAX_BYTES: usize = 64 << 10;
        let mut line = zeroize::Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
        #[allow(clippy::unbuffered_bytes, reason = "what is behind the line is for somebody else")]
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

    /// Returns true if it has no characters.
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

#[cfg(feature = "seal")]
impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

#[cfg(feature = "seal")]
impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

#[cfg(feature = "seal")]
impl DecryptionKeys {
    /// Opens the file of this name, which is encrypted in this way, with one passphrase after the other, until `open` no
    /// longer fails with [`ErrorKind::DecryptionFailed`], or there is no other passphrase.
    ///
    /// # Errors
    /// If there is no passphrase, or `open` fails.
    pub(super) fn open_with_passphrase<T>(
        &self,
        name: &str,
        encryption: Encryption,
        mut open: impl FnMut(&Passphrase) -> Result<T>,
    ) -> Result<T> {
        let ask = self.passphrase.as_ref().ok_or(ErrorKind::Encrypted(encryption))?;
        let mut request = PassphraseRequest { name, encryption, rejected: 0 };
        loop {
            match open(&ask(&request)?) {
                Err(error) if matches!(error.kind(), ErrorKind::DecryptionFailed) => request.rejected += 1,
                opened => return opened,
            }
        }
    }

    /// Returns true if there is neither a key nor a passphrase.
    pub(super) fn is_empty(&self) -> bool {
        self.identities.is_empty() && self.passphrase.is_none()
    }

    /// Adds the age identities in the file at `path`, which `age-keygen` writes. If the file is encrypted with a passphrase,
    /// this is asked for when a bundle needs the identities.
    ///
    /// # Errors
    /// If it cannot be read. [`ErrorKind::InvalidIdentity`] if a line is not an identity, or none is there.
    pub fn identity_file(mut self, path: impl AsRef<Path>) -> Result<Self> {
        self.identities.push(IdentityFile::read(path.as_ref())?);
        Ok(self)
    }

    /// Returns true if a file of identities is encrypted with a passphrase.
    #[must_use]
    pub fn has_locked_identities(&self) -> bool {
        self.identities.iter().any(|file| matches!(file, IdentityFile::Locked(_)))
    }

    /// Sets the passphrase.
    pub fn passphrase(self, passphrase: Passphrase) -> Self {
        self.ask_passphrase(move |request| match request.rejected {
            0 => Ok(passphrase.clone()),
            _ => Err(ErrorKind::DecryptionFailed.into()),
        })
    }

    /// Sets the function that returns the passphrase for a file. It is called when a file needs one, for each such file, and
    /// again after a wrong passphrase, until it returns an error.
    pub fn ask_passphrase(
        self,
        ask: impl Fn(&PassphraseRequest<'_>) -> Result<Passphrase> + Send + Sync + 'static,
    ) -> Self {
        Self { passphrase: Some(Arc::new(ask)), ..self }
    }
}

impl fmt::Debug for DecryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("DecryptionKeys");
        #[cfg(feature = "seal")]
        debug.field("identities", &self.identities.len()).field("passphrase", &self.passphrase.is_some());
        debug.finish()
    }
}
