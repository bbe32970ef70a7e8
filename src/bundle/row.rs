//! One row of a bundle.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::format::Envelope;

/// One row of a bundle.
#[derive(Debug)]
pub struct Row<'a> {
    /// The row's log, as an index into the manifest's `files`.
    pub file: usize,
    /// The number of the row within its log, from 1.
    pub number: u64,
    /// The row's line in the bundle, without the line feed.
    pub line: &'a [u8],
    /// The parsed line.
    pub envelope: Envelope<'a>,
}

impl<'a> Row<'a> {
    /// Returns the row's JSON exactly as in the bundle. Numbers are not rounded, and keys are not reordered or merged.
    #[must_use]
    pub fn entry(&self) -> &'a RawValue {
        self.envelope.raw_entry()
    }

    /// Deserializes the row's JSON into a type that may borrow from it.
    ///
    /// # Errors
    /// Fails if the JSON does not match `T`.
    pub fn parse<T: Deserialize<'a>>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.envelope.entry())
    }
}
