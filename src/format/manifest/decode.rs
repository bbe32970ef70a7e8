//! Decodes a manifest line (FORMAT.md, "Manifest").

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::diagnose::{all_faults, manifest_fault};
use super::{MANIFEST_TYPE, Manifest, VERSION};
use crate::error::{ErrorKind, ManifestFault};
use crate::format::bounded::{KeyBytes, lists_too_many};
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
        // serde skips the values of unknown keys without checking that they are UTF-8.
        if simdutf8::basic::from_utf8(line).is_err() {
            return Ok(None);
        }
        let Ok(head) = serde_json::from_slice::<ManifestHead>(line) else {
            return match serde_json::from_slice::<IgnoredAny>(line) {
                Ok(_) => Err(ErrorKind::NotAManifest),
                Err(_) => Ok(None),
            };
        };
        if head.kind.and_then(|kind| serde_json::from_str(kind.get()).ok()) != Some(MANIFEST_TYPE.to_owned()) {
            return Err(match head.has_source && head.has_entry {
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
        Ok(Some(manifest))
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

/// The keys that are checked before the rest of the manifest. Of duplicate keys the last one counts here; decoding the
/// rest finds the fault.
#[derive(Default)]
struct ManifestHead<'a> {
    kind: Option<&'a RawValue>,
    version: Option<&'a RawValue>,
    has_source: bool,
    has_entry: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for ManifestHead<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadVisitor)
    }
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = ManifestHead<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ManifestHead<'de>, A::Error> {
        let mut head = ManifestHead::default();
        let keys = ["type", "version", "source", "entry"];
        let known = |key: &[u8]| keys.into_iter().find(|known| known.as_bytes() == key);
        while let Some(key) = map.next_key_seed(KeyBytes(known))? {
            match key {
                Some("type") => head.kind = Some(map.next_value()?),
                Some("version") => head.version = map.next_value()?,
                key => {
                    head.has_source |= key == Some("source");
                    head.has_entry |= key == Some("entry");
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(head)
    }
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
