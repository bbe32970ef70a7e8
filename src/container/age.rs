//! Reads and writes files that are encrypted with age.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::str::FromStr;
use std::sync::Arc;

use age::stream::{StreamReader, StreamWriter};
use age::{Decryptor, EncryptError, Encryptor, scrypt};

use super::key_text::{key_lines, key_text_of};
use super::keys::DecryptionKeys;
use super::passphrase::Passphrase;
use super::plugin::{PluginPrompt, PluginRecipients, Prompt};
use super::unlock::{self, KeysIdentity};
use crate::error::{Error, ErrorKind, IoAction, KeyText, Result};

/// The binary logarithm of the scrypt work factor for new files. Deriving a key takes about a second.
const WORK_FACTOR: u8 = 18;

/// A public key that files are encrypted to.
#[derive(Clone)]
pub struct Recipient(RecipientKey);

#[derive(Clone)]
enum RecipientKey {
    Native(Arc<dyn age::Recipient + Send + Sync>),
    Plugin(age::plugin::Recipient),
}

/// Encrypts files. Anyone who has one of the keys, or the passphrase, can decrypt them.
///
/// ```
/// use std::io::{Read, Write};
/// use patchwork_traces::container::{Passphrase, Sealer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sealer = Sealer::to_passphrase(Passphrase::new("correct horse battery staple".to_owned()));
/// let mut sealed = Vec::new();
/// let mut out = sealer.seal(&mut sealed)?;
/// out.write_all(b"secret")?;
/// out.finish()?;
/// assert!(sealed.starts_with(b"age-encryption.org/v1\n-> scrypt "));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Sealer {
    to: SealTo,
    plugin_prompt: Prompt,
}

#[derive(Debug, Clone)]
enum SealTo {
    Recipients(Vec<Recipient>),
    Passphrase(Passphrase),
}

/// A writer that encrypts. Call [`finish`](Self::finish) at the end; otherwise the file is truncated.
pub struct SealedWriter<W: Write>(StreamWriter<W>);

/// The decrypted content of a file. Reading fails with [`ErrorKind::CiphertextDamaged`], or with an error of the file.
pub(super) struct Decrypted<R>(StreamReader<R>);

impl FromStr for Recipient {
    type Err = ErrorKind;

    fn from_str(text: &str) -> std::result::Result<Self, ErrorKind> {
        fn native<K>(text: &str) -> Option<RecipientKey>
        where
            K: FromStr + age::Recipient + Send + Sync + 'static,
        {
            text.parse::<K>().ok().map(|key| RecipientKey::Native(Arc::new(key)))
        }
        let key = native::<age::x25519::Recipient>(text)
            .or_else(|| native::<age::tag::Recipient>(text))
            .or_else(|| native::<age::tagpq::Recipient>(text))
            .or_else(|| text.parse().map(RecipientKey::Plugin).ok());
        let invalid = || ErrorKind::InvalidRecipient { line: None, found: key_text_of(text.as_bytes()) };
        key.map(Self).ok_or_else(invalid)
    }
}

impl std::fmt::Debug for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recipient")
    }
}

impl Recipient {
    /// Reads a recipients file: one per line, with empty lines and comments that begin with `#`.
    ///
    /// # Errors
    /// If it cannot be read. [`ErrorKind::InvalidRecipient`] if a line is not a recipient, or the file has none.
    pub fn read_file(path: impl AsRef<std::path::Path>) -> Result<Vec<Self>> {
        let path = path.as_ref();
        let named = |error: Error| error.in_subject(&path.display().to_string());
        let text = fs_err::read(path).map_err(|error| Error::io(IoAction::Read, path, error))?;
        let mut recipients = Vec::new();
        for (number, line) in key_lines(&text) {
            let recipient = std::str::from_utf8(line).ok().and_then(|line| line.parse().ok());
            let invalid = || ErrorKind::InvalidRecipient { line: Some(number), found: key_text_of(line) };
            recipients.push(recipient.ok_or_else(|| named(invalid().into()))?);
        }
        match recipients.is_empty() {
            true => Err(named(NO_RECIPIENT.into())),
            false => Ok(recipients),
        }
    }
}

/// The error for a missing recipient.
const NO_RECIPIENT: ErrorKind = ErrorKind::InvalidRecipient { line: None, found: KeyText::Nothing };

impl Sealer {
    /// Encrypts to these recipients.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRecipient`] if there are none. [`ErrorKind::AgePluginMissing`] if a plugin is not installed.
    pub fn to_recipients(recipients: Vec<Recipient>) -> Result<Self> {
        if recipients.is_empty() {
            return Err(NO_RECIPIENT.into());
        }
        let sealer = Self { to: SealTo::Recipients(recipients), plugin_prompt: Prompt::default() };
        sealer.plugins()?;
        Ok(sealer)
    }

    /// Encrypts with a passphrase.
    #[must_use]
    pub fn to_passphrase(passphrase: Passphrase) -> Self {
        Self { to: SealTo::Passphrase(passphrase), plugin_prompt: Prompt::default() }
    }

    /// Sets the prompt for age plugins. Without it, plugins that need to ask the user fail.
    #[must_use]
    pub fn plugin_prompt(self, prompt: Arc<dyn PluginPrompt>) -> Self {
        Self { plugin_prompt: Prompt(Some(prompt)), ..self }
    }

    /// Starts an encrypted file in `out`.
    ///
    /// # Errors
    /// If the recipients cannot be combined, a plugin fails, or writing fails.
    pub fn seal<W: Write>(&self, out: W) -> io::Result<SealedWriter<W>> {
        let encryptor = match &self.to {
            SealTo::Recipients(recipients) => {
                let plugins = self.plugins()?;
                let native = recipients.iter().filter_map(|recipient| match &recipient.0 {
                    RecipientKey::Native(key) => Some(&**key as &dyn age::Recipient),
                    RecipientKey::Plugin(_) => None,
                });
                Encryptor::with_recipients(native.chain(plugins.iter().map(|plugin| plugin as &dyn age::Recipient)))
            }
            SealTo::Passphrase(passphrase) => {
                let mut recipient = scrypt::Recipient::new(passphrase.secret());
                recipient.set_work_factor(WORK_FACTOR);
                Encryptor::with_recipients([&recipient as &dyn age::Recipient].into_iter())
            }
        };
        let encryptor = encryptor.map_err(|error| match error {
            EncryptError::Io(error) => error,
            _ => Error::from(ErrorKind::RecipientsDiffer).into(),
        })?;
        encryptor.wrap_output(out).map(SealedWriter)
    }

    /// Returns the plugins of the recipients.
    fn plugins(&self) -> Result<Vec<PluginRecipients>> {
        let SealTo::Recipients(recipients) = &self.to else { return Ok(Vec::new()) };
        let of_plugins = recipients.iter().filter_map(|recipient| match &recipient.0 {
            RecipientKey::Plugin(key) => Some(key),
            RecipientKey::Native(_) => None,
        });
        PluginRecipients::group(of_plugins, &self.plugin_prompt)
    }
}

impl<W: Write> SealedWriter<W> {
    /// Writes the end of the file, and returns the inner writer.
    ///
    /// # Errors
    /// If writing fails.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Opens an encrypted file or stream, without its armour. Every byte it returns is authenticated. Passphrase prompts
/// show `name`.
pub(super) fn decrypt<R: Read>(input: R, keys: &DecryptionKeys, name: &str) -> Result<Decrypted<R>> {
    let decryptor = Decryptor::new(input).map_err(unlock::decryption_error)?;
    let identity = KeysIdentity::new(keys, name, decryptor.is_scrypt())?;
    let opened = decryptor.decrypt([&identity as &dyn age::Identity].into_iter());
    Ok(Decrypted(opened.map_err(unlock::decryption_error)?))
}

impl<R: Read> Read for Decrypted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out).map_err(unlock::damage)
    }
}

impl<R: Read + Seek> Seek for Decrypted<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to).map_err(unlock::damage)
    }
}
