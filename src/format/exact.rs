//! A line's exact bytes in JSON (FORMAT.md, "Exact lines"), for rows (`original`) and unparsed lines alike.

use std::borrow::Cow;

use data_encoding::BASE64;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The exact bytes of one or more lines: `{"text": …}` where they are UTF-8 without NUL, else `{"bytes": base64}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExactLine {
    /// UTF-8 text.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl ExactLine {
    /// Holds `line`.
    #[must_use]
    pub fn new(line: &[u8]) -> Self {
        match std::str::from_utf8(line) {
            Ok(text) if !text.contains('\0') => Self::Text(text.to_owned()),
            _ => Self::Bytes(line.to_owned()),
        }
    }

    /// The exact bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Appends the next line, with a line feed between, if both are of one kind.
    pub(super) fn join(&mut self, next: Self) -> Result<(), Self> {
        match (self, next) {
            (Self::Text(text), Self::Text(next)) => {
                text.push('\n');
                text.push_str(&next);
                Ok(())
            }
            (Self::Bytes(bytes), Self::Bytes(next)) => {
                bytes.push(b'\n');
                bytes.extend(next);
                Ok(())
            }
            (_, next) => Err(next),
        }
    }
}

/// How it stands in JSON.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    bytes: Option<Cow<'a, str>>,
}

impl Serialize for ExactLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => Wire { text: Some(text.into()), bytes: None },
            Self::Bytes(bytes) => Wire { text: None, bytes: Some(BASE64.encode(bytes).into()) },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExactLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Wire::deserialize(deserializer)? {
            Wire { text: Some(text), bytes: None } => Ok(Self::Text(text.into_owned())),
            Wire { text: None, bytes: Some(bytes) } => {
                BASE64.decode(bytes.as_bytes()).map(Self::Bytes).map_err(|_| D::Error::custom("not base64"))
            }
            _ => Err(D::Error::custom("neither text nor bytes")),
        }
    }
}

impl JsonSchema for ExactLine {
    fn schema_name() -> Cow<'static, str> {
        "ExactLine".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "oneOf": [
                { "required": ["text"], "properties": { "text": { "type": "string" } } },
                {
                    "required": ["bytes"],
                    "properties": { "bytes": { "type": "string", "contentEncoding": "base64" } },
                },
            ],
        })
    }
}
