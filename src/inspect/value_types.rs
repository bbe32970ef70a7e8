//! Counts values by their types.

use serde::Serialize;

/// A number of values of each type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ValueTypes {
    /// The number of strings.
    pub string: u64,
    /// The number of numbers.
    pub number: u64,
    /// The number of `true` and `false`.
    pub boolean: u64,
    /// The number of `null`.
    pub null: u64,
    /// The number of objects.
    pub object: u64,
    /// The number of arrays.
    pub array: u64,
}

impl ValueTypes {
    /// Returns the number of values.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.named().iter().map(|(_, count)| count).sum()
    }

    /// Returns the numbers with the names of the types.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 6] {
        let Self { string, number, boolean, null, object, array } = *self;
        [
            ("string", string),
            ("number", number),
            ("boolean", boolean),
            ("null", null),
            ("object", object),
            ("array", array),
        ]
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.string += other.string;
        self.number += other.number;
        self.boolean += other.boolean;
        self.null += other.null;
        self.object += other.object;
        self.array += other.array;
    }
}
