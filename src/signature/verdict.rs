//! The check of a signature against a list of allowed signers.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use fs_err as fs;
use serde::Serialize;

use super::allowed_signers::{AllowedSigner, AllowedSigners, NotAllowed};
use super::signer_key::SignerKey;
use super::sshsig::{InvalidSignature, Signature};
use super::{MAX_BYTES, NAMESPACE};
use crate::error::{Error, IoAction, Result};
use crate::format::Timestamp;

/// The result of the check of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum SignatureVerdict {
    /// An allowed signer signed exactly this content.
    Valid {
        /// The names of the signer, as written in the list of allowed signers.
        principal: String,
        /// The signer's key.
        key: SignerKey,
    },
    /// An allowed signer signed exactly this content, but not the required one.
    OtherSigner {
        /// The names of the signer, as written in the list of allowed signers.
        principal: String,
        /// The signer's key.
        key: SignerKey,
    },
    /// A key that is not in the list of allowed signers signed exactly this content.
    UnknownKey {
        /// The key.
        key: SignerKey,
    },
    /// The list of allowed signers permits the key, but only for other purposes.
    NotForNamespace {
        /// The names of the signer, as written in the list of allowed signers.
        principal: String,
        /// The signer's key.
        key: SignerKey,
    },
    /// The list of allowed signers permits the key, but only after a later time.
    NotYetValid {
        /// The names of the signer, as written in the list of allowed signers.
        principal: String,
        /// The signer's key.
        key: SignerKey,
        /// The time from which the key is valid.
        valid_after: Timestamp,
    },
    /// The list of allowed signers permits the key, but only before an earlier time.
    Expired {
        /// The names of the signer, as written in the list of allowed signers.
        principal: String,
        /// The signer's key.
        key: SignerKey,
        /// The time until which the key was valid.
        valid_before: Timestamp,
    },
    /// An allowed signer signed an earlier checkpoint of the history, so later segments are not covered.
    Outdated {
        /// The names of the signer, as written in the list of allowed signers.
        principal: String,
        /// The signer's key.
        key: SignerKey,
        /// The number of segments that the signature covers.
        signed_segments: u64,
        /// The number of segments of the checkpoint.
        segments: u64,
    },
    /// The signature was made for other content, or by a key other than the one it names.
    Mismatch {
        /// The key named by the signature.
        key: SignerKey,
    },
    /// The signature was made for another purpose.
    OtherNamespace {
        /// The purpose.
        namespace: String,
    },
    /// The key type of the signature is not supported.
    UnsupportedKey {
        /// The type, such as `ssh-rsa`.
        key_type: String,
    },
    /// The file is not a signature, or is damaged.
    Malformed,
    /// There is no signature.
    Missing,
    /// There is a signature, but its content cannot be read.
    NoContent,
}

impl SignatureVerdict {
    /// Returns true for a valid signature by an allowed signer.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        matches!(self, Self::Valid { .. })
    }

    /// Returns the names of the signer, if the list of allowed signers has the key.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        match self {
            Self::Valid { principal, .. }
            | Self::OtherSigner { principal, .. }
            | Self::NotForNamespace { principal, .. }
            | Self::NotYetValid { principal, .. }
            | Self::Expired { principal, .. }
            | Self::Outdated { principal, .. } => Some(principal),
            _ => None,
        }
    }

    /// Returns the key named by the signature.
    #[must_use]
    pub fn key(&self) -> Option<&SignerKey> {
        match self {
            Self::Valid { key, .. }
            | Self::OtherSigner { key, .. }
            | Self::UnknownKey { key }
            | Self::NotForNamespace { key, .. }
            | Self::NotYetValid { key, .. }
            | Self::Expired { key, .. }
            | Self::Outdated { key, .. }
            | Self::Mismatch { key } => Some(key),
            _ => None,
        }
    }
}

impl fmt::Display for SignatureVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Valid { principal, key } => write!(f, "signed by {principal} ({key})"),
            Self::OtherSigner { principal, key } => {
                write!(f, "signed by {principal} ({key}), not by the required signer")
            }
            Self::UnknownKey { key } => write!(f, "signed with an unknown key ({key})"),
            Self::NotForNamespace { principal, key } => {
                write!(f, "signed by {principal} ({key}), whose key is not allowed for the namespace {NAMESPACE}")
            }
            Self::NotYetValid { principal, key, valid_after } => {
                write!(f, "signed by {principal} ({key}), whose key is not valid before {valid_after}")
            }
            Self::Expired { principal, key, valid_before } => {
                write!(f, "signed by {principal} ({key}), whose key expired at {valid_before}")
            }
            Self::Outdated { principal, key, signed_segments, segments } => write!(
                f,
                "signed by {principal} ({key}), but only the first {signed_segments} of {segments} segments: the history \
                 was extended after it was signed"
            ),
            Self::Mismatch { key } => {
                write!(
                    f,
                    "invalid signature: it is for other content, or was not made with the key that it names ({key})"
                )
            }
            Self::OtherNamespace { namespace } => {
                write!(f, "invalid signature: it was made for the namespace {namespace:?}, not {NAMESPACE:?}")
            }
            Self::UnsupportedKey { key_type } => {
                write!(f, "unsupported signature: keys of the type {key_type} cannot be checked")
            }
            Self::Malformed => f.write_str("invalid signature: the file is not an SSH signature, or is damaged"),
            Self::Missing => f.write_str("there is no signature"),
            Self::NoContent => f.write_str("the signature was not checked, because the signed text cannot be read"),
        }
    }
}

/// A signature, and the signers who may have made it.
#[derive(Debug, Clone)]
#[must_use]
pub struct SignatureCheck {
    signature: Option<Vec<u8>>,
    signers: AllowedSigners,
    signer: Option<String>,
    now: Timestamp,
}

impl SignatureCheck {
    /// Creates the check of a signature, given as text, or `None` if it is missing. Keys must be valid at the time
    /// `now`, because signatures have no trustworthy time.
    pub fn new(signature: impl Into<Option<Vec<u8>>>, signers: AllowedSigners, now: Timestamp) -> Self {
        Self { signature: signature.into(), signers, signer: None, now }
    }

    /// Creates the check of the signature in the file `path`, which may be missing.
    ///
    /// # Errors
    /// If the file exists, but cannot be read.
    pub fn read(path: impl AsRef<Path>, signers: AllowedSigners, now: Timestamp) -> Result<Self> {
        let path = path.as_ref();
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::new(None, signers, now)),
            Err(error) => return Err(Error::io(IoAction::Open, path, error)),
        };
        let mut text = Vec::new();
        // A longer file is malformed, because its end is cut off.
        file.take(MAX_BYTES).read_to_end(&mut text).map_err(|error| Error::io(IoAction::Read, path, error))?;
        Ok(Self::new(text, signers, now))
    }

    /// Requires the signature of the signer with this name, if any.
    pub fn signer(self, name: impl Into<Option<String>>) -> Self {
        Self { signer: name.into(), ..self }
    }

    /// Checks that an allowed signer signed `message`.
    #[must_use]
    pub fn verdict(&self, message: &[u8]) -> SignatureVerdict {
        match self.parsed() {
            Ok(signature) if signature.is_of(message) => self.verdict_on_key(&signature),
            Ok(signature) => SignatureVerdict::Mismatch { key: signature.key().clone() },
            Err(verdict) => verdict,
        }
    }

    /// Returns the verdict if the content is unreadable.
    pub(crate) fn without_content(&self) -> SignatureVerdict {
        self.parsed().map_or_else(|verdict| verdict, |_| SignatureVerdict::NoContent)
    }

    /// Checks the signature of a history with `segments` segments. `earlier` returns the text of the checkpoint of its
    /// first N segments.
    pub(crate) fn verdict_on_history(
        &self,
        segments: u64,
        earlier: &dyn Fn(u64) -> Option<String>,
    ) -> SignatureVerdict {
        let signature = match self.parsed() {
            Ok(signature) => signature,
            Err(verdict) => return verdict,
        };
        let oldest = segments.saturating_sub(MAX_EARLIER);
        let is_of = |size: u64| earlier(size).is_some_and(|text| signature.is_of(text.as_bytes()));
        let signed = (oldest..=segments).rev().find(|size| is_of(*size));
        match (signed, self.verdict_on_key(&signature)) {
            (None, _) => SignatureVerdict::Mismatch { key: signature.key().clone() },
            (Some(signed_segments), SignatureVerdict::Valid { principal, key }) if signed_segments < segments => {
                SignatureVerdict::Outdated { principal, key, signed_segments, segments }
            }
            (_, verdict) => verdict,
        }
    }

    fn parsed(&self) -> Result<Signature, SignatureVerdict> {
        let text = self.signature.as_ref().ok_or(SignatureVerdict::Missing)?;
        let signature = Signature::parse(text).map_err(|invalid| match invalid {
            InvalidSignature::Malformed => SignatureVerdict::Malformed,
            InvalidSignature::UnsupportedKey { key_type } => SignatureVerdict::UnsupportedKey { key_type },
        })?;
        match signature.namespace() {
            NAMESPACE => Ok(signature),
            namespace => Err(SignatureVerdict::OtherNamespace { namespace: namespace.to_owned() }),
        }
    }

    /// Returns the verdict on the key of a signature that matches the content: the best verdict of all lines with the
    /// key.
    fn verdict_on_key(&self, signature: &Signature) -> SignatureVerdict {
        let key = || signature.key().clone();
        let lines = self.signers.with_key(signature.blob()).map(|line| self.verdict_on_line(line, key()));
        lines.min_by_key(rank).unwrap_or_else(|| SignatureVerdict::UnknownKey { key: key() })
    }

    fn verdict_on_line(&self, line: &AllowedSigner, key: SignerKey) -> SignatureVerdict {
        let is_other = self.signer.as_ref().is_some_and(|signer| !line.is_for(signer));
        let principal = line.principals.clone();
        match line.refuses(self.now) {
            None if is_other => SignatureVerdict::OtherSigner { principal, key },
            None => SignatureVerdict::Valid { principal, key },
            Some(NotAllowed::Namespace) => SignatureVerdict::NotForNamespace { principal, key },
            Some(NotAllowed::NotYetValid(valid_after)) => SignatureVerdict::NotYetValid { principal, key, valid_after },
            Some(NotAllowed::Expired(valid_before)) => SignatureVerdict::Expired { principal, key, valid_before },
        }
    }
}

/// The maximum number of earlier checkpoints that a signature of a history is compared with. Each takes a tenth of a
/// millisecond with ed25519, and a few milliseconds with other keys.
const MAX_EARLIER: u64 = 2000;

/// Returns the rank of the verdict on a line. The lowest rank is the best.
fn rank(verdict: &SignatureVerdict) -> u8 {
    match verdict {
        SignatureVerdict::Valid { .. } => 0,
        SignatureVerdict::OtherSigner { .. } => 1,
        SignatureVerdict::Expired { .. } | SignatureVerdict::NotYetValid { .. } => 2,
        _ => 3,
    }
}
