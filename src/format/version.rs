//! Versions and their negotiation (FORMAT.md, "Versions").

use serde_json::value::RawValue;

use crate::error::ErrorKind;

/// The major version that is written, and the only one that is read.
pub const VERSION: u64 = 1;

/// The minor version that is written. Bundles of the original exporter have none, which means 0.
pub const MINOR: u64 = 1;

/// What [`Manifest::kind`](super::Manifest) says in every manifest.
pub const MANIFEST_TYPE: &str = "manifest";

/// Accepts the manifest's `version`, given as it stands there, or says which one it is.
///
/// # Errors
/// [`ErrorKind::UnsupportedVersion`] for any other value than [`VERSION`].
pub(super) fn accept(version: &RawValue) -> Result<(), ErrorKind> {
    if version.get().parse() == Ok(VERSION) {
        return Ok(());
    }
    Err(ErrorKind::UnsupportedVersion { found: super::diagnose::shortened(version.get()), supported: VERSION })
}
