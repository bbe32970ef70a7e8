//! The key for names that stay the same across redactions.

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use fs_err as fs;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::error::{Error, IoAction, RedactionFault, Result};
use crate::format::RedactionKeyId;

/// The minimum and maximum length of a key, in bytes.
const KEY_BYTES: std::ops::RangeInclusive<u64> = 32..=65_536;

/// A secret key for the names that replace values: with the same key, equal values get equal names in every bundle.
/// Anyone who has the key can find the value behind a name by trying values.
#[derive(Clone)]
pub struct RedactionKey(Hmac<Sha256>);

impl fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedactionKey").field(&self.id()).finish()
    }
}

impl RedactionKey {
    /// Wraps a key, which should be 32 or more random bytes.
    ///
    /// # Errors
    /// [`RedactionFault::KeyFileLength`], [`RedactionFault::KeyFileZero`].
    pub fn new(bytes: &[u8]) -> Result<Self> {
        let length = bytes.len() as u64;
        if KEY_BYTES.contains(&length) && bytes.iter().all(|byte| *byte == 0) {
            return Err(RedactionFault::KeyFileZero.into());
        }
        let key = Hmac::new_from_slice(bytes).ok().filter(|_| KEY_BYTES.contains(&length));
        key.map(Self).ok_or_else(|| RedactionFault::KeyFileLength { bytes: length }.into())
    }

    /// Reads the key from a file. The key is the whole content of the file.
    ///
    /// # Errors
    /// If the file cannot be read, other users can read or change it, or its length is not valid for a key.
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |error| Error::io(IoAction::Read, path, error);
        let file = fs::File::open(path).map_err(|error| Error::io(IoAction::Open, path, error))?;
        let mut bytes = Vec::new();
        check_private(&file.metadata().map_err(failed)?)
            .map_err(|error| error.in_subject(&path.display().to_string()))?;
        file.take(KEY_BYTES.end() + 1).read_to_end(&mut bytes).map_err(failed)?;
        Self::new(&bytes).map_err(|error| error.in_subject(&path.display().to_string()))
    }

    /// Returns the identity of the key, which does not reveal it.
    #[must_use]
    pub fn id(&self) -> RedactionKeyId {
        let digest = self.digest("key", "");
        let mut bits = [0; 8];
        bits.copy_from_slice(&digest[..8]);
        bits.into()
    }

    /// Returns the HMAC-SHA-256 of a kind of values, a zero byte and a value.
    pub(super) fn digest(&self, stem: &str, value: &str) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(stem.as_bytes());
        mac.update(b"\0");
        mac.update(value.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// Checks that only the owner can read or change a file.
#[cfg(unix)]
fn check_private(metadata: &std::fs::Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    match metadata.is_file() && metadata.mode() & 0o066 != 0 {
        true => Err(RedactionFault::KeyFileExposed.into()),
        false => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_private(_: &std::fs::Metadata) -> Result<()> {
    Ok(())
}
