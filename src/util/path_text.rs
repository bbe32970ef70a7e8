//! Serialises paths as text. Invalid Unicode is replaced with U+FFFD.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// Serialises a path.
pub fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Serialises a path, or null for `None`.
#[allow(clippy::ref_option, reason = "serde passes the field by reference")]
pub fn optional_path<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.display().to_string()).serialize(serializer)
}
