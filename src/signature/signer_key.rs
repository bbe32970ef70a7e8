//! The displayed form of the key of a signature.

use std::fmt;

use serde::Serialize;

/// The key of a signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SignerKey {
    /// The fingerprint, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// The type, such as `ssh-ed25519`.
    pub key_type: String,
}

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key_type, self.fingerprint)
    }
}
