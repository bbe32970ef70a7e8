//! Classifies the lines of a log as rows or unparsed lines, and checks rows against their lines (FORMAT.md, "Rows and
//! unparsed lines", "Entry" and "Exact lines").

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::bounded::KeyBytes;
use super::envelope::Envelope;
use super::exact_line::ExactLine;
use super::text::{ByteKinds, clean, nests_too_deep, shortened, trim};
use super::timestamp::{RowTime, TimeKey, Timestamp};
use crate::error::EntryFault;

/// The JSON text of a row, safe for other readers, and the row's timestamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowText<'a> {
    /// The row's own JSON text, trimmed and cleaned.
    pub entry: Cow<'a, str>,
    /// The timestamp that the row holds.
    pub time: RowTime,
}

/// Classifies a line, given without its line feed. Returns `None` if the line counts as unparsed.
///
/// `times` lists the keys that can hold a row's timestamp. The first one that yields a timestamp wins.
#[must_use]
pub fn classify<'a>(line: &'a [u8], times: &[TimeKey]) -> Option<RowText<'a>> {
    classify_and_find(line, times, &[], &mut |_, _| {})
}

/// Classifies a line like [`classify`], and passes the JSON text of each value whose key is one of `keys` to `found`,
/// with the index of its key. It does so before it is known whether the line is a row.
pub fn classify_and_find<'a>(
    line: &'a [u8],
    times: &[TimeKey],
    keys: &[&str],
    found: &mut dyn FnMut(usize, &str),
) -> Option<RowText<'a>> {
    let mut finder = FindKeys { times, keys, found };
    if let Ok(text) = simdutf8::basic::from_utf8(line) {
        return row_text(text, &mut finder);
    }
    let text = String::from_utf8_lossy(line);
    row_text(&text, &mut finder).map(|row| RowText { entry: row.entry.into_owned().into(), ..row })
}

/// Returns true if a text has only white space, as defined by JavaScript's `trim`.
pub fn is_blank(text: &str) -> bool {
    trim(text).is_empty()
}

/// Checks a row against its exact line. Returns the row's timestamp and the fault, if any.
///
/// `ending` holds the bytes that the log's line ending has before the line feed, if known. `times` lists the keys that
/// can hold the timestamp of a row of this log.
#[must_use]
pub fn check_row(row: &Envelope<'_>, ending: Option<&[u8]>, times: &[TimeKey]) -> (RowTime, Option<EntryFault>) {
    let entry = row.entry();
    let line = row.original.as_ref().map_or(entry.as_bytes(), ExactLine::as_bytes);
    let Some(text) = classify(line, times) else {
        return (RowTime::default(), Some(EntryFault::NotARow));
    };
    let fault = if text.entry == entry {
        row.original.as_ref().and_then(|original| original_fault(original, entry, ending))
    } else {
        Some(EntryFault::Differs { expected: shortened(&text.entry), found: shortened(entry) })
    };
    (text.time, fault)
}

fn original_fault(original: &ExactLine, entry: &str, ending: Option<&[u8]>) -> Option<EntryFault> {
    let line = original.as_bytes();
    if line.contains(&b'\n') {
        Some(EntryFault::LineFeed)
    } else if ending.is_some_and(|ending| line.strip_suffix(ending) == Some(entry.as_bytes())) {
        Some(EntryFault::Redundant)
    } else if ExactLine::new(line) != *original {
        Some(EntryFault::Form)
    } else {
        None
    }
}

fn row_text<'a>(text: &'a str, finder: &mut FindKeys<'_>) -> Option<RowText<'a>> {
    let json = trim(text);
    let kinds = ByteKinds::of(json);
    let time = scan(json, kinds, finder)?;
    (!nests_too_deep(json)).then(|| RowText { entry: clean(json, kinds), time })
}

/// Returns the timestamp in a row's JSON text, if it has one.
#[must_use]
pub fn row_time(entry: &str, times: &[TimeKey]) -> Option<Timestamp> {
    let mut finder = FindKeys { times, keys: &[], found: &mut |_, _| {} };
    scan(entry, ByteKinds::of(entry), &mut finder)?.timestamp
}

/// Checks that `json` is JSON and finds its timestamp. Returns `None` if it is not JSON.
fn scan(json: &str, kinds: ByteKinds, finder: &mut FindKeys<'_>) -> Option<RowTime> {
    // Reading keys as bytes accepts control characters that skipping rejects. If there are any, a strict pass decides.
    if (kinds.control || !json.starts_with('{')) && serde_json::from_str::<IgnoredAny>(json).is_err() {
        return None;
    }
    if !json.starts_with('{') {
        return Some(RowTime::default());
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let time = deserializer.deserialize_map(finder).ok()?;
    deserializer.end().ok()?;
    Some(time)
}

/// A visitor of an object's top level. Of duplicate keys the last one wins, as in JavaScript.
struct FindKeys<'t> {
    times: &'t [TimeKey],
    /// Other keys whose values are passed to `found`.
    keys: &'t [&'t str],
    found: &'t mut dyn FnMut(usize, &str),
}

impl<'de> Visitor<'de> for &mut FindKeys<'_> {
    type Value = RowTime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // Logs have one or two time keys, so no row of theirs needs an allocation.
        let (mut inline, mut heap) = ([None; 4], Vec::new());
        let found = inline.get_mut(..self.times.len()).unwrap_or_else(|| {
            heap.resize(self.times.len(), None);
            &mut heap
        });
        let mut is_in_other_form = false;
        let rank_of = |key: &[u8]| {
            let mut all = self.times.iter().map(|time| time.key()).chain(self.keys.iter().copied());
            all.position(|wanted| wanted.as_bytes() == key)
        };
        while let Some(rank) = map.next_key_seed(KeyBytes(rank_of))? {
            match rank {
                Some(rank) => {
                    let value = map.next_value::<&RawValue>()?.get();
                    match rank.checked_sub(self.times.len()) {
                        None => {
                            let read = self.times[rank].read(value);
                            found[rank] = read.timestamp;
                            is_in_other_form |= read.is_in_other_form;
                        }
                        Some(key) => (self.found)(key, value),
                    }
                }
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(RowTime { timestamp: found.iter().find_map(|time| *time), is_in_other_form })
    }
}
