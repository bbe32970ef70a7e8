//! Validated names of files and sources (FORMAT.md, "Names").

use std::borrow::Borrow;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::limits::MAX_NAME_BYTES;
use crate::error::NameFault;

fn check(name: &str) -> Result<(), NameFault> {
    if name.is_empty() {
        Err(NameFault::Empty)
    } else if name.contains(['/', '\\']) || name == "." || name == ".." {
        Err(NameFault::Path)
    } else if name.chars().any(char::is_control) {
        Err(NameFault::Control)
    } else if name.len() > MAX_NAME_BYTES {
        Err(NameFault::TooLong)
    } else {
        Ok(())
    }
}

macro_rules! checked_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Validates a name.
            ///
            /// # Errors
            /// Returns the fault that keeps the text from being a plain name.
            pub fn new(name: impl Into<String>) -> Result<Self, NameFault> {
                let name = name.into();
                check(&name)?;
                Ok(Self(name))
            }

            /// Returns the name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    };
}

checked_name! {
    /// The name of a log file, as in `relativePath`. It is a single name, never a path.
    FileName
}

checked_name! {
    /// The name of a source: `runs`, `activity`, …
    SourceName
}

impl FileName {
    /// Returns the path of this file in `directory`.
    #[must_use]
    pub fn in_dir(&self, directory: impl AsRef<Path>) -> PathBuf {
        directory.as_ref().join(&self.0)
    }
}

/// The directory that a log belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Base {
    /// Patchwork's own directory, `~/.patchwork` unless set otherwise.
    Patchwork,
    /// The directory of the activity logs, `~/.claude/ide` unless set otherwise.
    Activity,
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Patchwork => "patchwork",
            Self::Activity => "activity",
        })
    }
}
