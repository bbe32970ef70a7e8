//! The prompt for the person who signs: asks for passphrases and touches of tokens.

use std::path::Path;

use crate::container::Passphrase;
use crate::error::{Error, ErrorKind, Result, SignatureFault};

/// The connection to the person who signs.
pub trait KeyPrompt {
    /// Returns the passphrase of the private key in the file `key`.
    ///
    /// # Errors
    /// If asking fails. [`SignatureFault::PassphraseNeeded`] if no one can be asked.
    fn passphrase(&mut self, key: &Path) -> Result<Passphrase>;

    /// Shows the request of `ssh-keygen` to touch a hardware token.
    fn notice(&mut self, message: &str);
}

/// The prompt without a person: keys with a passphrase cannot be used, and messages are dropped.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPrompt;

impl KeyPrompt for NoPrompt {
    fn passphrase(&mut self, key: &Path) -> Result<Passphrase> {
        Err(Error::from(ErrorKind::Signature(SignatureFault::PassphraseNeeded)).in_subject(&key.display().to_string()))
    }

    fn notice(&mut self, _message: &str) {}
}
