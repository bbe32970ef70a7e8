//! The keys that sign: private keys in files, agents and hardware tokens.

use std::fmt;
use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};

use fs_err as fs;
use ssh_key::PrivateKey;
use zeroize::Zeroizing;

use super::key_line::{KeyLine, is_supported};
use super::key_prompt::KeyPrompt;
use super::sshsig::Signature;
use super::{MAX_BYTES, keygen};
use crate::error::{Error, ErrorKind, IoAction, Result, SignatureFault};

/// The first line of a private key.
const PRIVATE: &[u8] = b"-----BEGIN OPENSSH PRIVATE KEY-----";

/// A key that signs. Its secret is overwritten in memory when it is dropped.
pub struct SigningKey {
    path: PathBuf,
    /// True if the file has a private key that other users can read.
    is_exposed: bool,
    holder: KeyHolder,
}

/// The holder of the secret.
enum KeyHolder {
    Memory(Box<PrivateKey>),
    /// An agent or hardware token, reached through `ssh-keygen`. The public key is known if the file has it.
    Keygen(Option<KeyLine>),
}

impl SigningKey {
    /// Reads the key in the file `path`: an OpenSSH private key, or the public key of a key in an agent.
    ///
    /// # Errors
    /// If the file cannot be read. [`SignatureFault::NotASigningKey`] and [`SignatureFault::UnsupportedKey`] for any
    /// other content, and [`SignatureFault::WrongPassphrase`].
    pub fn read(path: impl AsRef<Path>, prompt: &mut dyn KeyPrompt) -> Result<Self> {
        let path = path.as_ref();
        let file = fs::File::open(path).map_err(|error| Error::io(IoAction::Open, path, error))?;
        // The buffer must not grow, because that would leave copies of the secret in memory.
        let mut text = Zeroizing::new(vec![0; usize::try_from(MAX_BYTES).unwrap_or(usize::MAX)]);
        let metadata = file.metadata().map_err(|error| Error::io(IoAction::Read, path, error))?;
        let read = read_up_to(file, &mut text).map_err(|error| Error::io(IoAction::Read, path, error))?;
        let text = &text[..read];
        let is_private = text.starts_with(PRIVATE);
        let holder = match is_private {
            true => KeyHolder::of_private_key(text, path, prompt)?,
            false => KeyHolder::of_public_key(text, path)?,
        };
        Ok(Self { path: path.to_owned(), is_exposed: is_private && is_readable_by_others(&metadata), holder })
    }

    /// Returns true if the file has a private key that other users of this machine can read.
    #[must_use]
    pub fn is_exposed(&self) -> bool {
        self.is_exposed
    }

    /// Signs the bytes of a manifest line without its line feed, or of a checkpoint.
    ///
    /// # Errors
    /// [`SignatureFault::KeygenMissing`] and [`SignatureFault::KeygenFailed`] for a key in an agent or token.
    pub fn sign(&self, message: &[u8], prompt: &mut dyn KeyPrompt) -> Result<Signature> {
        match &self.holder {
            KeyHolder::Memory(key) => Signature::make(key, message, &self.path),
            KeyHolder::Keygen(key) => {
                let signature = keygen::sign(&self.path, message, prompt)?;
                let is_of_key = key.as_ref().is_none_or(|key| key.blob == signature.blob());
                if !is_of_key || !signature.is_of(message) {
                    let message = "its signature is not valid".to_owned();
                    return Err(fault(SignatureFault::KeygenFailed { message }, &self.path));
                }
                Ok(signature)
            }
        }
    }
}

/// Shows only the path.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("path", &self.path).finish_non_exhaustive()
    }
}

impl KeyHolder {
    fn of_private_key(text: &[u8], path: &Path, prompt: &mut dyn KeyPrompt) -> Result<Self> {
        let key = PrivateKey::from_openssh(text).map_err(|_| fault(SignatureFault::NotASigningKey, path))?;
        check_type(key.algorithm().as_str(), path)?;
        if key.algorithm().as_str().starts_with("sk-") {
            return Ok(Self::Keygen(None));
        }
        if !key.is_encrypted() {
            return Ok(Self::Memory(Box::new(key)));
        }
        let passphrase = prompt.passphrase(path)?;
        let key = key.decrypt(passphrase.as_bytes()).map_err(|_| fault(SignatureFault::WrongPassphrase, path))?;
        Ok(Self::Memory(Box::new(key)))
    }

    fn of_public_key(text: &[u8], path: &Path) -> Result<Self> {
        let line = std::str::from_utf8(text).ok().map(str::trim).filter(|text| !text.contains('\n'));
        let key = line.and_then(KeyLine::parse).ok_or_else(|| fault(SignatureFault::NotASigningKey, path))?;
        check_type(&key.key_type, path)?;
        Ok(Self::Keygen(Some(key)))
    }
}

fn check_type(key_type: &str, path: &Path) -> Result<()> {
    match is_supported(key_type) {
        true => Ok(()),
        false => Err(fault(SignatureFault::UnsupportedKey { key_type: key_type.to_owned() }, path)),
    }
}

/// Returns true if the permissions of a file allow other users to read it.
#[cfg(unix)]
fn is_readable_by_others(file: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;

    file.is_file() && file.permissions().mode() & 0o077 != 0
}

/// Always returns false: the access lists of this platform are not read.
#[cfg(not(unix))]
fn is_readable_by_others(_: &Metadata) -> bool {
    false
}

fn read_up_to(mut file: impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    loop {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(filled),
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn fault(fault: SignatureFault, path: &Path) -> Error {
    Error::from(ErrorKind::Signature(fault)).in_subject(&path.display().to_string())
}
