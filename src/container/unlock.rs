//! Unwraps the keys of age files, with passphrases or identities.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use age::armor::ArmoredReader;
use age::secrecy::{ExposeSecret, SecretSlice};
use age::{DecryptError, Decryptor, scrypt};
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use zeroize::Zeroizing;

use super::identity_file::{self, AgeIdentity, IdentityFile, LockedIdentities};
use super::keys::DecryptionKeys;
use super::plugin;
use crate::error::{Encryption, Error, ErrorKind, IoAction, Result};

/// The maximum scrypt work factor of a file that is read, as a binary logarithm.
const MAX_WORK_FACTOR: u8 = 22;

/// Unwraps with the given keys, for the file of this name.
pub struct KeysIdentity<'k> {
    keys: &'k DecryptionKeys,
    name: &'k str,
    is_scrypt: bool,
}

/// The unwrapped key of one file, which opens it again without passphrases or plugins.
#[derive(Default)]
pub struct FileKeyIdentity(Arc<Mutex<Zeroizing<[u8; FILE_KEY_BYTES]>>>);

/// An identity that keeps the key it unwraps.
pub struct CapturingIdentity<'i> {
    inner: &'i KeysIdentity<'i>,
    key: FileKeyIdentity,
}

impl<'k> KeysIdentity<'k> {
    /// Returns the identity for a file that is encrypted with a passphrase or to recipients.
    ///
    /// # Errors
    /// [`ErrorKind::Encrypted`] if keys are needed but none were given.
    pub fn new(keys: &'k DecryptionKeys, name: &'k str, is_scrypt: bool) -> Result<Self> {
        match !is_scrypt && keys.identities.is_empty() {
            true => Err(ErrorKind::Encrypted(Encryption::AgeKey).into()),
            false => Ok(Self { keys, name, is_scrypt }),
        }
    }
}

impl age::Identity for KeysIdentity<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let keys = self.keys;
        match self.is_scrypt {
            true => PassphraseIdentity { keys, name: self.name }.unwrap_stanzas(stanzas),
            false => keys.identities.iter().find_map(|file| FileIdentities { file, keys }.unwrap_stanzas(stanzas)),
        }
    }
}

impl FileKeyIdentity {
    /// Returns `inner`, which sets this key when it unwraps it.
    pub fn captured_from<'i>(&self, inner: &'i KeysIdentity<'i>) -> CapturingIdentity<'i> {
        CapturingIdentity { inner, key: Self(Arc::clone(&self.0)) }
    }
}

impl age::Identity for CapturingIdentity<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let unwrapped = self.inner.unwrap_stanzas(stanzas)?;
        if let Ok(key) = &unwrapped {
            **self.key.0.lock().unwrap_or_else(PoisonError::into_inner) = *key.expose_secret();
        }
        Some(unwrapped)
    }
}

impl age::Identity for FileKeyIdentity {
    fn unwrap_stanza(&self, _: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let key = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Ok(FileKey::init_with_mut(|unwrapped| *unwrapped = **key)))
    }
}

/// Unwraps with the passphrases for the file of this name.
struct PassphraseIdentity<'k> {
    keys: &'k DecryptionKeys,
    name: &'k str,
}

/// Unwraps with the identities of a file, which is decrypted first if necessary.
struct FileIdentities<'k> {
    file: &'k IdentityFile,
    keys: &'k DecryptionKeys,
}

impl age::Identity for PassphraseIdentity<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        let unwrapped = self.keys.open_with_passphrase(self.name, Encryption::AgePassphrase, |passphrase| {
            let mut identity = scrypt::Identity::new(passphrase.secret());
            identity.set_max_work_factor(MAX_WORK_FACTOR);
            let unwrapped = identity.unwrap_stanza(stanza).unwrap_or(Err(DecryptError::NoMatchingKeys));
            unwrapped.map_err(decryption_error)
        });
        Some(unwrapped.map_err(own_error))
    }
}

impl age::Identity for FileIdentities<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let identities = match self.file {
            IdentityFile::Open(identities) => identities,
            IdentityFile::Locked(locked) => match unlock(locked, self.keys) {
                Ok(identities) => identities,
                Err(error) => return Some(Err(own_error(error))),
            },
        };
        // Tries plugins last, because they may need a token and a person.
        let native = identities.iter().find_map(|identity| match identity {
            AgeIdentity::Native(identity) => identity.unwrap_stanzas(stanzas),
            AgeIdentity::Plugin(_) => None,
        });
        native.or_else(|| {
            identities.iter().find_map(|identity| match identity {
                AgeIdentity::Native(_) => None,
                AgeIdentity::Plugin(identity) => {
                    let unwrapped = plugin::unwrap(identity, &self.keys.plugin_prompt, stanzas)?;
                    Some(unwrapped.map_err(own_error))
                }
            })
        })
    }
}

/// Returns the identities of an encrypted file. Decrypts it the first time.
fn unlock<'l>(locked: &'l LockedIdentities, keys: &DecryptionKeys) -> Result<&'l [AgeIdentity]> {
    if let Some(identities) = locked.opened.get() {
        return Ok(identities);
    }
    let identities = decrypt_identities(locked, keys).map_err(|error| error.in_subject(&locked.name))?;
    Ok(locked.opened.get_or_init(|| identities))
}

fn decrypt_identities(locked: &LockedIdentities, keys: &DecryptionKeys) -> Result<Vec<AgeIdentity>> {
    let decryptor = Decryptor::new(ArmoredReader::new(&locked.sealed[..])).map_err(decryption_error)?;
    let passphrase = PassphraseIdentity { keys, name: &locked.name };
    let mut content = decryptor.decrypt([&passphrase as &dyn age::Identity].into_iter()).map_err(decryption_error)?;
    // A vector that grew would leave copies of secrets in memory.
    let mut text = Vec::with_capacity(locked.sealed.len());
    let read = content.read_to_end(&mut text);
    let text = SecretSlice::from(text);
    read.map_err(|error| Error::io_unnamed(IoAction::Read, damage(error)))?;
    identity_file::parse(&text)
}

/// Passes an error of this library through the `age` crate.
fn own_error(error: Error) -> DecryptError {
    DecryptError::Io(error.into())
}

/// Returns the library's error for an error of the `age` crate.
pub fn decryption_error(error: DecryptError) -> Error {
    match error {
        DecryptError::NoMatchingKeys => ErrorKind::NoMatchingKey.into(),
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed | DecryptError::InvalidMac => {
            ErrorKind::DecryptionFailed.into()
        }
        DecryptError::ExcessiveWork { required, .. } => {
            ErrorKind::DecryptionTooCostly { required: required.into(), limit: MAX_WORK_FACTOR.into() }.into()
        }
        DecryptError::Io(error) => Error::io_unnamed(IoAction::Read, damage(error)),
        _ => ErrorKind::CiphertextDamaged.into(),
    }
}

/// Distinguishes damage, which the `age` crate reports as these kinds of error, from errors of the file itself.
pub fn damage(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Error::from(ErrorKind::CiphertextDamaged).into(),
        _ => error,
    }
}
