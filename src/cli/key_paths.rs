//! Lists of paths as arguments.

use std::str::FromStr;

use patchwork_traces::query::{KeyPath, KeyPathError};

/// A comma-separated list of paths.
#[derive(Debug, Clone)]
pub struct KeyPathList(pub Vec<KeyPath>);

impl FromStr for KeyPathList {
    type Err = KeyPathError;

    fn from_str(text: &str) -> Result<Self, KeyPathError> {
        KeyPath::parse_list(text).map(Self)
    }
}
