//! The published JSON Schemas, generated from the types that the library reads and writes (FORMAT.md, "Schemas"), and the
//! schemas of the types that serialise themselves.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};

use super::{Envelope, ExactLine, FileName, Manifest, SourceName, Timestamp};
use crate::digest::{Crc32, Sha256Digest};

/// Returns the schema of a bundle's first line, as indented JSON.
#[must_use]
pub fn manifest() -> String {
    schema_of::<Manifest>()
}

/// Returns the schema of every other line, as indented JSON.
#[must_use]
pub fn row() -> String {
    schema_of::<Envelope<'_>>()
}

/// Returns the schema of `T`, as indented JSON with a final line feed.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> String {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    format!("{:#}\n", generator.into_root_schema_for::<T>().to_value())
}

/// The pattern of both kinds of names.
const NAME_PATTERN: &str = r"^(?!\.{1,2}$)[^/\\\u0000-\u001F\u007F-\u009F]{1,255}$";

/// Implements `JsonSchema` for a type that is serialised as a string.
macro_rules! string_schema {
    ($type:ty, $name:literal, $keyword:literal: $value:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", $keyword: $value })
            }
        }
    };
}

string_schema!(Sha256Digest, "Sha256", "pattern": "^[0-9a-fA-F]{64}$");
string_schema!(Crc32, "Crc32", "pattern": "^[0-9a-fA-F]{8}$");
string_schema!(Timestamp, "Timestamp", "format": "date-time");
string_schema!(FileName, "FileName", "pattern": NAME_PATTERN);
string_schema!(SourceName, "SourceName", "pattern": NAME_PATTERN);

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

impl JsonSchema for Envelope<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Row".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "One row of a log, as it stands in a bundle (every line after the first).",
            "required": ["source", "entry"],
            "properties": {
                "source": generator.subschema_for::<SourceName>(),
                "file": generator.subschema_for::<FileName>(),
                "entry": { "description": "The row's own JSON: any value." },
                "original": generator.subschema_for::<ExactLine>(),
            },
        })
    }
}
