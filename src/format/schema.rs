//! The published JSON Schemas, generated from the types that the library reads and writes (FORMAT.md, "Schemas").

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};

use super::{Envelope, Manifest};

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
