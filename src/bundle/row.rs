//! One row of a bundle.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::format::row::row_time;
use crate::format::{Envelope, ExactLine, Timestamp};
use crate::logs::times_of;

/// One row of a bundle.
#[derive(Debug)]
#[non_exhaustive]
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

    /// Returns the row's timestamp, from the key where its source keeps it.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        row_time(self.envelope.entry(), times_of(&self.envelope.source))
    }

    /// Returns the row's line exactly as in its log. The log's line ending follows it there.
    #[must_use]
    pub fn exact_line(&self) -> &[u8] {
        self.envelope.original.as_ref().map_or(self.envelope.entry().as_bytes(), ExactLine::as_bytes)
    }

    /// Deserializes the row's JSON into a type that may borrow from it.
    ///
    /// # Errors
    /// Fails if the JSON does not match `T`.
    pub fn parse<T: Deserialize<'a>>(&self) -> serde_json::Result<T> {
        serde_json::from_str(self.envelope.entry())
    }
}

/// A deserialized row and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TypedRow<T> {
    /// The row's log, as an index into the manifest's `files`.
    pub file: usize,
    /// The number of the row within its log, from 1.
    pub number: u64,
    /// The row's timestamp.
    pub time: Option<Timestamp>,
    /// The row's line exactly as in its log, without the log's line ending.
    pub line: Vec<u8>,
    /// The deserialized JSON.
    pub value: T,
}
