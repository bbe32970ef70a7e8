//! Lists of paths as arguments.

use std::str::FromStr;

use patchwork_traces::query::{KeyPath, KeyPathError};

/// Paths that are separated by commas.
#[derive(Debug, Clone)]
pub struct KeyPathList(pub Vec<KeyPath>);

impl FromStr for KeyPathList {
    type Err = KeyPathError;

    fn from_str(text: &str) -> Result<Self, KeyPathError> {
        KeyPath::parse_list(text).map(Self)
    }
}
