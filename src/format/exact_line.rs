//! The exact bytes of a line in JSON, for rows (`original`) and for unparsed lines (FORMAT.md, "Exact lines").

use std::borrow::Cow;

use data_encoding::BASE64;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::bounded::present;

/// The exact bytes of one or more lines: `{"text": …}` if they are UTF-8 without NUL, otherwise `{"bytes": base64}`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExactLine {
    /// UTF-8 text.
    Text(String),
    /// Any other bytes.
    Bytes(Vec<u8>),
}

impl ExactLine {
    /// Stores `line` as text if possible, otherwise as bytes.
    #[must_use]
    pub fn new(line: &[u8]) -> Self {
        match std::str::from_utf8(line) {
            Ok(text) if !text.contains('\0') => Self::Text(text.to_owned()),
            _ => Self::Bytes(line.to_owned()),
        }
    }

    /// Returns the exact bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// Appends a line feed and `next`. Returns `next` as the error if the two are not of the same variant.
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

/// The JSON form of an [`ExactLine`].
#[derive(Serialize, Deserialize)]
struct ExactWire<'a> {
    #[serde(borrow, default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    bytes: Option<Cow<'a, str>>,
}

impl Serialize for ExactLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => ExactWire { text: Some(text.into()), bytes: None },
            Self::Bytes(bytes) => ExactWire { text: None, bytes: Some(BASE64.encode(bytes).into()) },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExactLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ExactWire::deserialize(deserializer)?.exact_line().map_err(D::Error::custom)
    }
}

impl ExactWire<'_> {
    fn exact_line(self) -> Result<ExactLine, &'static str> {
        match self {
            Self { text: Some(text), bytes: None } => Ok(ExactLine::Text(text.into_owned())),
            Self { text: None, bytes: Some(bytes) } => decode_base64(&bytes).map(ExactLine::Bytes).ok_or("not base64"),
            _ => Err("neither text nor bytes"),
        }
    }
}

impl ExactLine {
    /// Decodes the values of the keys `text` and `bytes`.
    pub(super) fn of_json(text: Option<&RawValue>, bytes: Option<&RawValue>) -> Result<Self, &'static str> {
        let string = |value: Option<&RawValue>| value.map(|value| serde_json::from_str(value.get())).transpose();
        let (text, bytes) = (string(text), string(bytes));
        ExactWire { text: text.map_err(|_| "not a text")?, bytes: bytes.map_err(|_| "not a text")? }.exact_line()
    }
}

/// Decodes base64 that has padding only at its end.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    // The decoder would also accept several concatenated pieces, each with its padding.
    let is_one = !text.trim_end_matches('=').contains('=');
    is_one.then(|| BASE64.decode(text.as_bytes()).ok())?
}
