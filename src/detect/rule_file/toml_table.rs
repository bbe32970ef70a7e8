//! TOML tables with case-insensitive keys, and errors that name the line.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

use crate::error::{Error, RedactionFault, Result};

/// The text of a TOML file.
#[derive(Debug, Clone, Copy)]
pub struct TomlText<'t>(pub &'t str);

impl TomlText<'_> {
    /// Returns an error about the bytes at `span` of the file.
    pub fn error(self, place: Option<&str>, reason: impl Into<String>, span: &Range<usize>) -> Error {
        let line = 1 + memchr::memchr_iter(b'\n', &self.0.as_bytes()[..span.start.min(self.0.len())]).count();
        let fault = RedactionFault::RuleNotUnderstood { place: place.map(str::to_owned), reason: reason.into() };
        Error::from(fault).at_line(line as u64)
    }
}

/// A value with its range in the file.
pub type TomlValue<'t> = Spanned<DeValue<'t>>;

/// A table of a TOML file.
#[derive(Debug)]
pub struct TomlTable<'t, 'v> {
    text: TomlText<'t>,
    /// The name of the table, for errors.
    pub place: Option<String>,
    /// The range of the table in the file.
    pub span: Range<usize>,
    /// The values by lower-case key, with the ranges of the keys.
    values: BTreeMap<String, (Range<usize>, &'v TomlValue<'t>)>,
}

impl<'t, 'v> TomlTable<'t, 'v> {
    /// Wraps a table.
    ///
    /// # Errors
    /// If two keys differ only in case.
    pub fn new(text: TomlText<'t>, place: Option<&str>, span: Range<usize>, table: &'v DeTable<'t>) -> Result<Self> {
        let mut values = BTreeMap::new();
        for (key, value) in table {
            let name = key.get_ref().to_ascii_lowercase();
            if values.insert(name, (key.span(), value)).is_some() {
                return Err(text.error(place, format!("duplicate key `{}`", key.get_ref()), &key.span()));
            }
        }
        Ok(Self { text, place: place.map(str::to_owned), span, values })
    }

    /// Returns an error if the table has any key other than these lower-case ones.
    pub fn expect_only(&self, known: &[&str]) -> Result<()> {
        match self.values.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            Some((_, (span, _))) => {
                let key = self.text.0.get(span.clone()).unwrap_or_default();
                Err(self.error(format!("unknown key `{key}`"), span))
            }
            None => Ok(()),
        }
    }

    /// Returns an error about the bytes at `span` in this table.
    pub fn error(&self, reason: impl Into<String>, span: &Range<usize>) -> Error {
        self.text.error(self.place.as_deref(), reason, span)
    }

    /// Returns the value of a key.
    pub fn value(&self, key: &str) -> Option<&'v TomlValue<'t>> {
        self.values.get(key).map(|(_, value)| *value)
    }

    fn of_type<T>(&self, key: &str, name: &str, get: impl Fn(&'v DeValue<'t>) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match get(value.get_ref()) {
            Some(value) => Ok(Some(value)),
            None => Err(self.error(format!("`{key}` must be {name}"), &value.span())),
        }
    }

    /// Returns the string of a key.
    pub fn text(&self, key: &str) -> Result<Option<&'v str>> {
        self.of_type(key, "a text", DeValue::as_str)
    }

    /// Returns the strings of an array, with their ranges.
    pub fn texts(&self, key: &str) -> Result<Vec<(&'v str, Range<usize>)>> {
        let texts = self.of_type(key, "an array of texts", |value| {
            let values = value.as_array()?.iter();
            values.map(|value| Some((value.get_ref().as_str()?, value.span()))).collect::<Option<Vec<_>>>()
        });
        Ok(texts?.unwrap_or_default())
    }

    /// Returns a non-negative number.
    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        self.of_type(key, "a number from 0 on", |value| {
            let text = value.as_float().map(DeFloat::as_str);
            let text = text.or_else(|| value.as_integer().filter(|number| number.radix() == 10).map(DeInteger::as_str));
            text?.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
        })
    }

    /// Returns a count.
    pub fn count(&self, key: &str) -> Result<Option<usize>> {
        self.of_type(key, "a count", |value| {
            value.as_integer().filter(|number| number.radix() == 10)?.as_str().parse().ok()
        })
    }

    /// Returns a boolean.
    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.of_type(key, "true or false", DeValue::as_bool)
    }

    /// Returns the tables of an array. `place` names each by its number, from 1.
    pub fn tables(&self, key: &str, place: impl Fn(usize) -> String) -> Result<Vec<TomlTable<'t, 'v>>> {
        let tables = self.of_type(key, "an array of tables", |value| {
            let values = value.as_array()?.iter();
            values.map(|value| Some((value.get_ref().as_table()?, value.span()))).collect::<Option<Vec<_>>>()
        });
        let tables = tables?.unwrap_or_default().into_iter().zip(1..);
        tables.map(|((table, span), number)| Self::new(self.text, Some(&place(number)), span, table)).collect()
    }

    /// Returns a table.
    pub fn table(&self, key: &str, place: &str) -> Result<Option<TomlTable<'t, 'v>>> {
        let Some(table) = self.of_type(key, "a table", DeValue::as_table)? else { return Ok(None) };
        let span = self.value(key).map_or(0..0, Spanned::span);
        Self::new(self.text, Some(place), span, table).map(Some)
    }
}
