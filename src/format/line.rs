//! What a line of a log is: a row, or no row (FORMAT.md, "Rows and unparsed lines").

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::text::{ByteKinds, clean, nests_too_deep, trim};
use super::time::{TimeKey, Timestamp};

/// A row: what a reader other than us may see of it, and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowText<'a> {
    /// The row's own JSON text, trimmed and cleaned.
    pub entry: Cow<'a, str>,
    /// When the row says it is from.
    pub time: Option<Timestamp>,
}

/// Reads a line, given without its line feed. `None` means it counts as unparsed.
///
/// `times` says where a row of this log has its time; the first key that gives one counts.
#[must_use]
pub fn classify<'a>(line: &'a [u8], times: &[TimeKey]) -> Option<RowText<'a>> {
    if let Ok(text) = simdutf8::basic::from_utf8(line) {
        return row_text(text, times);
    }
    let text = String::from_utf8_lossy(line);
    row_text(&text, times).map(|row| RowText { entry: row.entry.into_owned().into(), time: row.time })
}

/// Returns true if nothing but white space, as JavaScript's `trim` knows it, is in a text.
pub(crate) fn is_blank(text: &str) -> bool {
    trim(text).is_empty()
}

fn row_text<'a>(text: &'a str, times: &[TimeKey]) -> Option<RowText<'a>> {
    let json = trim(text);
    let kinds = ByteKinds::of(json);
    let time = scan(json, kinds, times)?;
    (!nests_too_deep(json)).then(|| RowText { entry: clean(json, kinds), time })
}

/// The time of a row from its JSON text, if it has one.
#[must_use]
pub(crate) fn row_time(entry: &str, times: &[TimeKey]) -> Option<Timestamp> {
    scan(entry, ByteKinds::of(entry), times).flatten()
}

/// Checks that `json` is JSON, and finds its time. `None` when it is not JSON.
fn scan(json: &str, kinds: ByteKinds, times: &[TimeKey]) -> Option<Option<Timestamp>> {
    // Looking at keys is laxer about control characters than skipping is. Where there are any, one strict pass decides.
    if (kinds.control || !json.starts_with('{')) && serde_json::from_str::<IgnoredAny>(json).is_err() {
        return None;
    }
    if !json.starts_with('{') {
        return Some(None);
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let time = deserializer.deserialize_map(FindTime(times)).ok()?;
    deserializer.end().ok()?;
    Some(time)
}

/// Visits an object's top level; of keys that stand twice the last counts, as in JavaScript.
struct FindTime<'t>(&'t [TimeKey]);

impl<'de> Visitor<'de> for FindTime<'_> {
    type Value = Option<Timestamp>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // Logs have one or two: nothing is allocated for a row of them.
        let (mut few, mut many) = ([None; 4], Vec::new());
        let found = few.get_mut(..self.0.len()).unwrap_or_else(|| {
            many.resize(self.0.len(), None);
            &mut many
        });
        while let Some(rank) = map.next_key_seed(KeyRank(self.0))? {
            match rank {
                Some(rank) => found[rank] = self.0[rank].read(map.next_value::<&RawValue>()?.get()),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(found.iter().find_map(|time| *time))
    }
}

/// Which of the time keys a key is. Keys are read as bytes: those with unpaired surrogates are no strings.
struct KeyRank<'t>(&'t [TimeKey]);

impl<'de> DeserializeSeed<'de> for KeyRank<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for KeyRank<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|time| time.key().as_bytes() == key))
    }
}
