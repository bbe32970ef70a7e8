//! Signs bundles and histories with OpenSSH keys, and checks such signatures.
//!
//! The signed message is the manifest line of a bundle without its line feed, or the three lines of the checkpoint of a
//! history (FORMAT.md, "Signatures"). The signature is a separate text file in OpenSSH's SSHSIG format, compatible with
//! `ssh-keygen -Y sign` and `ssh-keygen -Y verify`. It proves that the holder of a key vouched for the content, not
//! that the content is true.

mod allowed_signers;
mod armour;
mod key_line;
mod key_prompt;
mod keygen;
mod pattern;
mod signer_key;
mod signing_key;
mod sshsig;
mod verdict;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use allowed_signers::AllowedSigners;
pub use key_prompt::{KeyPrompt, NoPrompt};
pub use signer_key::SignerKey;
pub use signing_key::SigningKey;
pub use sshsig::{InvalidSignature, Signature};
pub use verdict::{SignatureCheck, SignatureVerdict};

/// The namespace of all signatures. Signatures that were made for another purpose are not valid.
pub const NAMESPACE: &str = "patchwork-traces";

/// The maximum length of a signature, and of a key, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// Returns the path of the signature of the bundle at `bundle`: `<bundle>.sig`.
#[must_use]
pub fn signature_path(bundle: impl AsRef<Path>) -> PathBuf {
    let mut path: OsString = bundle.as_ref().into();
    path.push(".sig");
    path.into()
}

/// Returns the path of the signature of the history in `dir`: `checkpoint.sig`.
#[must_use]
pub fn history_signature_path(dir: impl AsRef<Path>) -> PathBuf {
    dir.as_ref().join("checkpoint.sig")
}
