//! The key `redaction`: how a bundle was redacted, so that it can be done again and compared (FORMAT.md, "Redaction").

use std::borrow::Cow;
use std::fmt;

use data_encoding::HEXLOWER;
#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Sha256Digest;
use crate::format::bounded::{at_most, count, present};
#[cfg(feature = "schema")]
use crate::format::limits::MAX_COUNT;
use crate::format::limits::MAX_REDACTION_ITEMS;

/// The rules and options of a redaction, and how much was replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Redaction {
    /// The version of the built-in rules of the program that the manifest names as its generator.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    pub rules: u64,
    /// The rules and kinds that were used. Absent if all were.
    #[serde(default, deserialize_with = "items", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_REDACTION_ITEMS)))]
    pub only: Vec<String>,
    /// The rules and kinds that were left out.
    #[serde(default, deserialize_with = "items", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_REDACTION_ITEMS)))]
    pub skip: Vec<String>,
    /// The digest of the rule file that was used in addition, if any.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Sha256Digest"))]
    pub rules_file: Option<Sha256Digest>,
    /// The identity of the key that the names were made with. Absent if they are numbered.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "RedactionKeyId"))]
    pub key_id: Option<RedactionKeyId>,
    /// The sources that were taken. Absent if all were.
    #[serde(default, deserialize_with = "items", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_REDACTION_ITEMS)))]
    pub sources: Vec<String>,
    /// The paths of the members that were removed.
    #[serde(default, deserialize_with = "items", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_REDACTION_ITEMS)))]
    pub drop: Vec<String>,
    /// The paths of the members that were kept, while all others were removed.
    #[serde(default, deserialize_with = "items", skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_REDACTION_ITEMS)))]
    pub keep_only: Vec<String>,
    /// The number of texts that were replaced.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    pub replaced: u64,
    /// The number of lines that differ from those of the original.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(feature = "schema", schemars(range(max = MAX_COUNT)))]
    pub lines: u64,
}

fn items<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    at_most(deserializer, MAX_REDACTION_ITEMS)
}

/// The identity of a key for names: 16 hexadecimal digits that show which key was used, but not the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RedactionKeyId([u8; 8]);

impl From<[u8; 8]> for RedactionKeyId {
    fn from(bits: [u8; 8]) -> Self {
        Self(bits)
    }
}

impl fmt::Display for RedactionKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl Serialize for RedactionKeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RedactionKeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bits = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bits| bits.try_into().ok());
        bits.map(Self).ok_or_else(|| D::Error::custom("not 16 lower-case hexadecimal digits"))
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for RedactionKeyId {
    fn schema_name() -> Cow<'static, str> {
        "RedactionKeyId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{16}$" })
    }
}
