//! Lines of a log that are not rows (FORMAT.md, "Manifest").

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::bounded::{count, present};
use super::exact_line::ExactLine;

/// One or more consecutive lines that are not rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unparsed {
    /// The number of the first line in the log, from 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = super::limits::MAX_COUNT)))]
    pub line: u64,
    /// The lines, separated by line feeds.
    #[serde(flatten)]
    pub content: ExactLine,
}

// A derived `flatten` would buffer every unknown key in memory, at many times its length, and would reject some.
impl<'de> Deserialize<'de> for Unparsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct UnparsedWire {
            #[serde(deserialize_with = "count")]
            line: u64,
            #[serde(default, deserialize_with = "present")]
            text: Option<Box<RawValue>>,
            #[serde(default, deserialize_with = "present")]
            bytes: Option<Box<RawValue>>,
        }
        let UnparsedWire { line, text, bytes } = UnparsedWire::deserialize(deserializer)?;
        let content = ExactLine::of_json(text.as_deref(), bytes.as_deref()).map_err(serde::de::Error::custom)?;
        Ok(Self { line, content })
    }
}

impl Unparsed {
    /// Returns the number of lines.
    #[must_use]
    pub fn lines(&self) -> u64 {
        memchr::memchr_iter(b'\n', self.content.as_bytes()).count() as u64 + 1
    }
}
