//! Keys and passphrases that open encrypted files.

use std::fmt;
#[cfg(feature = "seal")]
use std::{path::Path, sync::Arc};

#[cfg(feature = "seal")]
use super::identity_file::IdentityFile;
#[cfg(feature = "seal")]
use super::passphrase::Passphrase;
#[cfg(feature = "seal")]
use super::plugin::{PluginPrompt, Prompt};
#[cfg(feature = "seal")]
use crate::error::{Encryption, ErrorKind, Result};

/// A request for the passphrase of a bundle, or of an identity file.
#[cfg(feature = "seal")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassphraseRequest<'n> {
    /// The name of the file.
    pub name: &'n str,
    /// The encryption of the file.
    pub encryption: Encryption,
    /// The number of passphrases that have failed.
    pub rejected: u32,
}

/// A function that returns a passphrase, or the error to stop with.
#[cfg(feature = "seal")]
type PassphraseSource = dyn Fn(&PassphraseRequest<'_>) -> Result<Passphrase> + Send + Sync;

/// The keys and passphrases that can open encrypted files. By default there are none, so only unencrypted files can be
/// read.
///
/// ```
/// # #[cfg(feature = "seal")] {
/// use patchwork_traces::container::{DecryptionKeys, Passphrase};
///
/// let keys = DecryptionKeys::default().passphrase(Passphrase::new("correct horse battery staple".to_owned()));
/// assert_eq!(format!("{keys:?}"), "DecryptionKeys { identities: 0, passphrase: true, plugin_prompt: None }");
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct DecryptionKeys {
    #[cfg(feature = "seal")]
    pub(super) identities: Vec<IdentityFile>,
    #[cfg(feature = "seal")]
    passphrase: Option<Arc<PassphraseSource>>,
    #[cfg(feature = "seal")]
    pub(super) plugin_prompt: Prompt,
}

impl DecryptionKeys {
    /// Returns true if there are files of identities.
    #[must_use]
    #[cfg_attr(not(feature = "seal"), allow(clippy::unused_self, reason = "there are none"))]
    pub fn has_identities(&self) -> bool {
        #[cfg(feature = "seal")]
        return !self.identities.is_empty();
        #[cfg(not(feature = "seal"))]
        false
    }
}

#[cfg(feature = "seal")]
impl DecryptionKeys {
    /// Tries passphrases for the file of this name until `open` does not fail with [`ErrorKind::DecryptionFailed`], or
    /// there are no more passphrases.
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

    /// Adds the age identities in the file at `path`, in the format of `age-keygen`. If the file is encrypted with a
    /// passphrase, the passphrase is requested when a bundle needs the identities.
    ///
    /// # Errors
    /// If it cannot be read. [`ErrorKind::InvalidIdentity`] if a line is not an identity, or the file has none.
    pub fn identity_file(mut self, path: impl AsRef<Path>) -> Result<Self> {
        self.identities.push(IdentityFile::read(path.as_ref())?);
        Ok(self)
    }

    /// Returns true if an identity file is encrypted with a passphrase.
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

    /// Sets the function that returns the passphrase for a file. It is called for each file that needs one, and again
    /// after a wrong passphrase, until it returns an error.
    pub fn ask_passphrase(
        self,
        ask: impl Fn(&PassphraseRequest<'_>) -> Result<Passphrase> + Send + Sync + 'static,
    ) -> Self {
        Self { passphrase: Some(Arc::new(ask)), ..self }
    }

    /// Sets the prompt for age plugins. Without it, plugins that need to ask the user fail.
    pub fn plugin_prompt(self, prompt: Arc<dyn PluginPrompt>) -> Self {
        Self { plugin_prompt: Prompt(Some(prompt)), ..self }
    }
}

impl fmt::Debug for DecryptionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("DecryptionKeys");
        #[cfg(feature = "seal")]
        debug
            .field("identities", &self.identities.len())
            .field("passphrase", &self.passphrase.is_some())
            .field("plugin_prompt", &self.plugin_prompt);
        debug.finish()
    }
}
