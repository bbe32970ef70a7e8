//! Faults of signing keys and of the files that signatures are checked with.

use std::fmt;

/// The reason why something cannot be signed, or why a list of allowed signers cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureFault {
    /// A file is neither an OpenSSH private key nor a public key.
    NotASigningKey,
    /// The type of a key is not supported for signatures.
    UnsupportedKey {
        /// The type, such as `ssh-rsa`.
        key_type: String,
    },
    /// A private key is protected by a passphrase, and there is no way to ask for it.
    PassphraseNeeded,
    /// The passphrase of a private key is wrong, or the key is damaged.
    WrongPassphrase,
    /// The program `ssh-keygen`, which signs with keys of agents and tokens, is not installed.
    KeygenMissing,
    /// The program `ssh-keygen` failed.
    KeygenFailed {
        /// Its last message.
        message: String,
    },
    /// A line of a list of allowed signers is malformed.
    SignersLine {
        /// The problem.
        reason: &'static str,
    },
    /// A bundle already has a signature, which must not be replaced.
    AlreadySigned,
    /// A history has no checkpoint of all of its segments that could be signed.
    CheckpointNotCurrent,
}

impl fmt::Display for SignatureFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotASigningKey => f.write_str("this is not an OpenSSH key"),
            Self::UnsupportedKey { key_type } => write!(f, "keys of the type {key_type} are not supported"),
            Self::PassphraseNeeded => {
                f.write_str("this key is protected by a passphrase, and there is no terminal to ask for it")
            }
            Self::WrongPassphrase => f.write_str("wrong passphrase, or the key is damaged"),
            Self::KeygenMissing => f.write_str("cannot sign with this key: the program ssh-keygen was not found"),
            Self::KeygenFailed { message } => write!(f, "ssh-keygen could not sign with this key: {message}"),
            Self::SignersLine { reason } => write!(f, "invalid list of allowed signers: {reason}"),
            Self::AlreadySigned => f.write_str("this signature already exists"),
            Self::CheckpointNotCurrent => {
                f.write_str("cannot sign this history: its checkpoint is missing or older than its last segment")
            }
        }
    }
}

impl std::error::Error for SignatureFault {}
