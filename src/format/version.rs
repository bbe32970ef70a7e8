//! Format versions and their acceptance (FORMAT.md, "Versions").

use serde_json::value::RawValue;

use crate::error::ErrorKind;

/// The major version that this library writes, and the only one that it reads.
pub const VERSION: u64 = 1;

/// The minor version that this library writes. Bundles of the original exporter have none, which means 0.
pub const MINOR: u64 = 1;

/// The value of the `type` key in every manifest.
pub const MANIFEST_TYPE: &str = "manifest";

/// Checks the manifest's `version`, given as JSON text.
///
/// # Errors
/// Returns [`ErrorKind::UnsupportedVersion`] for any value other than [`VERSION`].
pub(super) fn accept(version: &RawValue) -> Result<(), ErrorKind> {
    if version.get().parse() == Ok(VERSION) {
        return Ok(());
    }
    Err(ErrorKind::UnsupportedVersion { found: super::diagnose::shortened(version.get()), supported: VERSION })
}
