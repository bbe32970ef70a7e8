//! Decodes a manifest line (FORMAT.md, "Manifest").

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::diagnose::{all_faults, manifest_fault};
use super::{MANIFEST_TYPE, Manifest, VERSION};
use crate::error::{ErrorKind, ManifestFault};
use crate::format::bounded::lists_too_many;
use crate::format::limits::MAX_FILES;
use crate::format::text::shortened;

impl Manifest {
    /// Decodes a manifest line, given without its line feed. Returns `Ok(None)` if the line is not JSON.
    ///
    /// The version is checked first. The returned manifest is well-formed but may still contradict itself: see
    /// [`faults`](Self::faults).
    ///
    /// # Errors
    /// Returns [`ErrorKind::RowBeforeManifest`], [`ErrorKind::NotAManifest`], [`ErrorKind::UnsupportedVersion`],
    /// [`ErrorKind::TooManyLogs`] or [`ErrorKind::Manifest`].
    pub fn decode(line: &[u8]) -> Result<Option<Self>, ErrorKind> {
        let Ok(head) = serde_json::from_slice::<ManifestHead>(line) else {
            return match serde_json::from_slice::<IgnoredAny>(line) {
                Ok(_) => Err(ErrorKind::NotAManifest),
                Err(_) => Ok(None),
            };
        };
        if head.kind.and_then(|kind| serde_json::from_str(kind.get()).ok()) != Some(MANIFEST_TYPE.to_owned()) {
            return Err(match head.source.is_some() && head.entry.is_some() {
                true => ErrorKind::RowBeforeManifest,
                false => ErrorKind::NotAManifest,
            });
        }
        let version = head.version.ok_or(ManifestFault::Missing { path: "version".to_owned() });
        accept_version(version.map_err(ErrorKind::Manifest)?)?;
        // Tracking the path takes time, so only a line with a fault is parsed again with it.
        let manifest = Self::deserialize(&mut serde_json::Deserializer::from_slice(line)).or_else(|_| {
            serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(line))
                .map_err(|error| manifest_error(line, error.path()))
        })?;
        // serde skips the values of unknown keys without checking that they are UTF-8.
        Ok(simdutf8::basic::from_utf8(line).is_ok().then_some(manifest))
    }

    /// Lists the faults of a manifest line that [`decode`](Self::decode) rejects.
    ///
    /// Lists at most the first thousand faults, and fewer for a long line. For a line of over 4 MiB, lists only the
    /// first.
    #[must_use]
    pub(crate) fn faults_of_line(line: &[u8]) -> Vec<ManifestFault> {
        all_faults(line)
    }
}

/// The keys that are checked before the rest of the manifest.
#[derive(Deserialize)]
struct ManifestHead<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Option<&'a RawValue>,
    #[serde(default, borrow)]
    version: Option<&'a RawValue>,
    #[serde(default)]
    source: Option<IgnoredAny>,
    #[serde(default)]
    entry: Option<IgnoredAny>,
}

/// Checks the manifest's `version`, given as JSON text.
///
/// # Errors
/// Returns [`ErrorKind::UnsupportedVersion`] for any value other than [`VERSION`].
fn accept_version(version: &RawValue) -> Result<(), ErrorKind> {
    if version.get().parse() == Ok(VERSION) {
        return Ok(());
    }
    Err(ErrorKind::UnsupportedVersion { found: shortened(version.get()), supported: VERSION })
}

/// Creates the error for a manifest line that could not be decoded beyond `path`.
fn manifest_error(line: &[u8], path: &serde_path_to_error::Path) -> ErrorKind {
    match lists_too_many(line) {
        true => ErrorKind::TooManyLogs { limit: MAX_FILES },
        false => ErrorKind::Manifest(manifest_fault(line, path)),
    }
}
