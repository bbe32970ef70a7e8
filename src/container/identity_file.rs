//! Reads files of age identities: text, or text that is encrypted with a passphrase.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use age::secrecy::{ExposeSecret, SecretSlice};

use super::encryption;
use super::key_text::{key_lines, key_text_of};
use crate::error::{Encryption, Error, ErrorKind, IoAction, KeyText, Result};

/// An identity that was read.
#[derive(Clone)]
pub enum AgeIdentity {
    /// An identity that age itself can use.
    Native(age::x25519::Identity),
    /// An identity that a plugin holds or finds.
    Plugin(age::plugin::Identity),
}

/// An identity file.
#[derive(Clone)]
pub enum IdentityFile {
    /// Identities that can be used.
    Open(Vec<AgeIdentity>),
    /// Identities that are encrypted with a passphrase.
    Locked(Arc<LockedIdentities>),
}

/// An identity file that is encrypted with a passphrase. It is decrypted only once, when a bundle needs it.
pub struct LockedIdentities {
    /// The path of the file.
    pub name: String,
    /// The encrypted file.
    pub sealed: Vec<u8>,
    /// Its identities, once it has been decrypted.
    pub opened: OnceLock<Vec<AgeIdentity>>,
}

impl IdentityFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read. [`ErrorKind::InvalidIdentity`] if a line is not an identity, or the file has none.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs_err::read(path).map_err(|error| Error::io(IoAction::Read, path, error))?;
        let name = path.display().to_string();
        match encryption::of(&text) {
            Some(Encryption::AgePassphrase) => {
                Ok(Self::Locked(Arc::new(LockedIdentities { name, sealed: text, opened: OnceLock::new() })))
            }
            Some(_) => {
                let kind = ErrorKind::InvalidIdentity { line: 0, found: KeyText::EncryptedOtherwise };
                Err(Error::from(kind).in_subject(&name))
            }
            None => parse(&SecretSlice::from(text)).map(Self::Open).map_err(|error| error.in_subject(&name)),
        }
    }
}

/// Parses the text of an identity file: one per line, with empty lines and comments.
///
/// # Errors
/// [`ErrorKind::InvalidIdentity`] if a line is not an identity, or the text has none.
pub fn parse(text: &SecretSlice<u8>) -> Result<Vec<AgeIdentity>> {
    let mut identities = Vec::new();
    // Parses one line at a time, so that an error can name the line.
    for (number, line) in key_lines(text.expose_secret()) {
        let identity = std::str::from_utf8(line).ok().and_then(|line| {
            let native = line.parse().map(AgeIdentity::Native).ok();
            native.or_else(|| line.parse().map(AgeIdentity::Plugin).ok())
        });
        let invalid = || ErrorKind::InvalidIdentity { line: number, found: key_text_of(line) };
        identities.push(identity.ok_or_else(invalid)?);
    }
    match identities.is_empty() {
        true => Err(ErrorKind::InvalidIdentity { line: 0, found: KeyText::Nothing }.into()),
        false => Ok(identities),
    }
}
