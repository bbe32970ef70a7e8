//! Signatures in OpenSSH's SSHSIG format.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ssh_key::{LineEnding, PrivateKey, PublicKey, SshSig};

use super::key_line::{is_supported, take_string, type_of};
use super::signer_key::SignerKey;
use super::{NAMESPACE, armour};
use crate::error::{Error, ErrorKind, Result, SignatureFault};
use crate::util::atomic_file::OutputTarget;

/// The first bytes of the binary form, and the only version.
const HEAD: &[u8] = b"SSHSIG\0\0\0\x01";

/// A signature. Displayed and parsed as the text that `ssh-keygen -Y sign` writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    inner: SshSig,
    /// The public key, with its type.
    blob: Vec<u8>,
    key: SignerKey,
}

impl Signature {
    /// Writes the signature to `target`.
    ///
    /// # Errors
    /// If the signature cannot be written. The target is then unchanged.
    pub fn write(&self, target: &OutputTarget) -> Result<()> {
        target.write(self.to_string().as_bytes())
    }

    /// Returns the key named by the signature. Only [`is_of`](Self::is_of) proves that the key made it.
    #[must_use]
    pub fn key(&self) -> &SignerKey {
        &self.key
    }

    /// Returns the namespace of the signature: [`NAMESPACE`] for signatures by this library.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.inner.namespace()
    }

    /// Returns true if the key made the signature for exactly these bytes, and for [`NAMESPACE`].
    #[must_use]
    pub fn is_of(&self, message: &[u8]) -> bool {
        PublicKey::from(self.inner.public_key().clone()).verify(NAMESPACE, message, &self.inner).is_ok()
    }

    /// Signs bytes.
    pub(super) fn make(key: &PrivateKey, message: &[u8], path: &Path) -> Result<Self> {
        let signed = key.sign(NAMESPACE, ssh_key::HashAlg::Sha512, message).ok();
        let text = signed.and_then(|signed| signed.to_pem(LineEnding::LF).ok());
        let signature = text.and_then(|text| Self::parse(text.as_bytes()).ok());
        signature.filter(|signature| signature.is_of(message)).ok_or_else(|| {
            let fault = SignatureFault::UnsupportedKey { key_type: key.algorithm().to_string() };
            Error::from(ErrorKind::Signature(fault)).in_subject(&path.display().to_string())
        })
    }

    /// Returns the public key in binary form, with its type.
    pub(super) fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Parses a signature as strictly as possible, to reject any that was altered in transit.
    ///
    /// # Errors
    /// If the text is not a signature, or its key type is not supported.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidSignature> {
        let bytes = armour::decode(text).ok_or(InvalidSignature::Malformed)?;
        let rest = bytes.strip_prefix(HEAD).ok_or(InvalidSignature::Malformed)?;
        let (blob, _) = take_string(rest).ok_or(InvalidSignature::Malformed)?;
        let key_type = type_of(blob).ok_or(InvalidSignature::Malformed)?;
        if !is_supported(key_type) {
            return Err(InvalidSignature::UnsupportedKey { key_type: key_type.to_owned() });
        }
        // The parser accepts only lines of one length.
        let canonical = armour::encode(&bytes);
        let inner = SshSig::from_pem(&canonical).map_err(|_| InvalidSignature::Malformed)?;
        let is_canonical = inner.to_pem(LineEnding::LF).is_ok_and(|text| text == canonical);
        let fingerprint = inner.public_key().fingerprint(ssh_key::HashAlg::Sha256).to_string();
        let key = SignerKey { fingerprint, key_type: key_type.to_owned() };
        is_canonical.then(|| Self { inner, blob: blob.to_owned(), key }).ok_or(InvalidSignature::Malformed)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.to_pem(LineEnding::LF).map_err(|_| fmt::Error)?)
    }
}

/// The error for a text that is not a checkable signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidSignature {
    /// The text is not a signature, or is damaged.
    Malformed,
    /// The key type of the signature is not supported.
    UnsupportedKey {
        /// The type, such as `ssh-rsa`.
        key_type: String,
    },
}

impl fmt::Display for InvalidSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("this is not an SSH signature, or it is damaged"),
            Self::UnsupportedKey { key_type } => {
                write!(f, "signatures of keys of the type {key_type} are not supported")
            }
        }
    }
}

impl std::error::Error for InvalidSignature {}

impl FromStr for Signature {
    type Err = InvalidSignature;

    fn from_str(text: &str) -> Result<Self, InvalidSignature> {
        Self::parse(text.as_bytes())
    }
}
