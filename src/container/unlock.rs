//! Unwraps the keys of files that are encrypted with age: with a passphrase, or with files of identities.

use std::io::{self, Read};

use age::armor::ArmoredReader;
use age::secrecy::SecretSlice;
use age::{DecryptError, Decryptor, scrypt};
use age_core::format::{FileKey, Stanza};

use super::identity_file::{self, AgeIdentity, IdentityFile, LockedIdentities};
use super::keys::DecryptionKeys;
use super::plugin;
use crate::error::{Encryption, Error, ErrorKind, IoAction, Result};

/// The most work that a file may ask for on reading.
const MAX_WORK_FACTOR: u8 = 22;

/// Unwraps with the passphrases for the file of this name.
pub struct PassphraseIdentity<'k> {
    pub keys: &'k DecryptionKeys,
    pub name: &'k str,
}

/// Unwraps with the identities of a file, which is decrypted for this if need be.
pub struct FileIdentities<'k> {
    pub file: &'k IdentityFile,
    pub keys: &'k DecryptionKeys,
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
        // Plugins, which may need a token and a person, are tried last.
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

/// Hands an error of this library through the crate `age`.
fn own_error(error: Error) -> DecryptError {
    DecryptError::Io(error.into())
}

/// Returns the library's error for one of the crate `age`.
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

/// Tells damage, which the age crate reports as these kinds of error, from errors of the file itself.
pub fn damage(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Error::from(ErrorKind::CiphertextDamaged).into(),
        _ => error,
    }
}
