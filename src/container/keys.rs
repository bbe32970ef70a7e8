//! Keys and passphrases that open encrypted files.

use std::fmt;
#[cfg(feature = "seal")]
use std::{io, path::Path, sync::Arc};

#[cfg(feature = "seal")]
use age::secrecy::{ExposeSecret, SecretString};

#[cfg(feature = "seal")]
use crate::error::{Encryption, Error, ErrorKind, IoAction, Result};

/// A passphrase. It is erased from memory when it is dropped, and no `Debug` output has it.
#[cfg(feature = "seal")]
#[derive(Clone)]
pub struct Passphrase(SecretString);

/// Returns the passphrase for the file of this name, which is encrypted in this way.
#[cfg(feature = "seal")]
type PassphraseSource = dyn Fn(&str, Encryption) -> Result<Passphrase> + Send + Sync;

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
    pub(super) identities: Vec<Arc<dyn age::Identity + Send + Sync>>,
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
    /// Returns the passphrase for the file of this name, which is encrypted in this way.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn passphrase_of(&self, name: &str, encryption: Encryption) -> Result<Passphrase> {
        let ask = self.passphrase.as_ref().ok_or(ErrorKind::Encrypted(encryption))?;
        ask(name, encryption)
    }

    /// Returns true if there is neither a key nor a passphrase.
    pub(super) fn is_empty(&self) -> bool {
        self.identities.is_empty() && self.passphrase.is_none()
    }

    /// Adds the age identities in the file at `path`, which `age-keygen` writes.
    ///
    /// # Errors
    /// If it cannot be read. [`ErrorKind::InvalidIdentity`] if a line is not an identity, or none is there.
    pub fn identity_file(mut self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let invalid = |line| Error::from(ErrorKind::InvalidIdentity { line });
        let named = |error: Error| error.in_subject(&path.display().to_string());
        let text = fs_err::read(path).map_err(|error| Error::io(IoAction::Read, path, error))?;
        let text = age::secrecy::SecretSlice::from(text);
        // One line at a time, so that an error can give its number.
        let mut identities = Vec::new();
        for (index, line) in text.expose_secret().split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let identity = std::str::from_utf8(line).ok().and_then(|line| line.parse::<age::x25519::Identity>().ok());
            identities.push(identity.ok_or_else(|| named(invalid(index as u64 + 1)))?);
        }
        if identities.is_empty() {
            return Err(named(invalid(0)));
        }
        self.identities.extend(identities.into_iter().map(|identity| Arc::new(identity) as Arc<_>));
        Ok(self)
    }

    /// Sets the passphrase.
    pub fn passphrase(self, passphrase: Passphrase) -> Self {
        self.ask_passphrase(move |_, _| Ok(passphrase.clone()))
    }

    /// Sets the function that returns the passphrase for a file, given its name and its encryption. It is called when a file
    /// needs one, for each such file.
    pub fn ask_passphrase(self, ask: impl Fn(&str, Encryption) -> Result<Passphrase> + Send + Sync + 'static) -> Self {
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
