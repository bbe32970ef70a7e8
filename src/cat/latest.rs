//! Finds the last row of each key, such as the last row of each run.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::align::{Fingerprint, Fingerprinter};
use crate::bundle::Row;
use crate::error::{ErrorKind, Result};
use crate::query::{DecimalNumber, KeyPath, PathStep, each_value, string_content};

/// The position of a row in the output: the index of the part, the index of the file in it, and the number of the row.
pub type RowPlace = (u32, u32, u64);

/// Reads the keys of rows.
#[derive(Debug)]
pub struct KeyReader<'k> {
    path: &'k KeyPath,
    fingerprinter: Fingerprinter,
}

impl<'k> KeyReader<'k> {
    /// Reads the value at a path of each row.
    ///
    /// # Errors
    /// [`ErrorKind::KeyOfSeveralValues`] if the path has `[]`, or if there is no randomness.
    pub fn new(path: &'k KeyPath) -> Result<Self> {
        if path.steps().contains(&PathStep::Each) {
            return Err(ErrorKind::KeyOfSeveralValues { path: path.to_string() }.into());
        }
        Ok(Self { path, fingerprinter: Fingerprinter::random()? })
    }

    /// Returns the fingerprint of a row's source and key, if it has a key. Numbers are equal if their values are.
    pub fn key(&self, row: &Row<'_>) -> Option<Fingerprint> {
        let mut key = None;
        each_value(row.envelope.entry(), self.path.steps(), &mut |value| {
            key = value.filter(|value| *value != "null");
            key.is_some()
        });
        let key = key?;
        let (content, kind) = match DecimalNumber::parse(key.as_bytes()) {
            Some(number) => (number.canonical().map_or(key.into(), Cow::Owned), ""),
            None if key.starts_with('"') => (string_content(key), "\""),
            None => (key.into(), ""),
        };
        Some(self.fingerprinter.of([&*row.envelope.source, "\0", &*content, kind, "."].concat().as_bytes()))
    }
}

/// Collects the position of the last row of each key. Takes some 50 bytes per key.
#[derive(Debug, Default)]
pub struct LastPlaces(HashMap<Fingerprint, RowPlace>);

impl LastPlaces {
    /// Adds a row that follows all earlier ones.
    pub fn add(&mut self, key: Fingerprint, place: RowPlace) {
        self.0.insert(key, place);
    }

    pub fn finish(self, keys: KeyReader<'_>) -> LatestRows<'_> {
        let mut places: Vec<_> = self.0.into_values().collect();
        places.sort_unstable();
        LatestRows { keys, places }
    }
}

/// The last row of each key.
#[derive(Debug)]
pub struct LatestRows<'k> {
    keys: KeyReader<'k>,
    places: Vec<RowPlace>,
}

impl LatestRows<'_> {
    /// Returns true if no later row has the same key, or if the row has none.
    pub fn has(&self, row: &Row<'_>, place: RowPlace) -> bool {
        self.places.binary_search(&place).is_ok() || self.keys.key(row).is_none()
    }
}
