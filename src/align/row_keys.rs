//! Reads the parts of a row that a merge needs: its timestamp and the run that it is about.

use std::borrow::Cow;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::format::row::classify_and_find;
use crate::format::{TimeKey, Timestamp};
use crate::logs::RunKeys;

/// The keys of a row that a merge reads.
#[derive(Debug, Clone, Copy)]
pub struct RowKeys {
    pub times: &'static [TimeKey],
    /// The keys of rows that are about a run.
    pub run: Option<RunKeys>,
}

/// The properties of a row that a merge needs.
#[derive(Debug, Default)]
pub struct KeyedRow {
    /// Milliseconds since 1970.
    pub time: Option<i64>,
    pub run: Option<RunRow>,
}

/// The run that a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRow {
    /// A hash of the run's identity. Two runs that share a hash by chance are at worst ordered
    /// needlessly. The hash has a fixed key, so that equal imports give equal logs.
    pub run: u32,
    /// The end of the run, in milliseconds since 1970.
    pub ended: Option<i64>,
}

impl RowKeys {
    /// Reads a line, given without its line feed. Returns `None` if it is not a row.
    pub fn read(self, line: &[u8]) -> Option<KeyedRow> {
        let names = self.run.map(|keys| [keys.id, keys.ended.key()]);
        let (mut run, mut ended) = (None, None);
        // The last of duplicate keys counts, as in JavaScript.
        let row =
            classify_and_find(line, self.times, names.as_ref().map_or(&[], |names| names), &mut |name, value| match (
                name, self.run,
            ) {
                (0, _) => run = hash_of_id(value),
                (_, keys) => ended = keys.and_then(|keys| keys.ended.read(value).timestamp).map(Timestamp::as_millis),
            })?;
        Some(KeyedRow { time: row.time.timestamp.map(Timestamp::as_millis), run: run.map(|run| RunRow { run, ended }) })
    }
}

/// Hashes the identity of a run, given as JSON. Returns `None` if it is empty or not a string.
fn hash_of_id(json: &str) -> Option<u32> {
    let json = json.starts_with('"').then_some(json)?;
    // serde_json rejects a string with an unpaired surrogate. Such an identity is compared as it is
    // written.
    let id = serde_json::from_str::<Cow<'_, str>>(json).unwrap_or(Cow::Borrowed(json));
    let mut hasher = SipHasher13::new();
    hasher.write(id.as_bytes());
    #[allow(clippy::cast_possible_truncation, reason = "any 32 bits of a hash are a hash")]
    (!id.is_empty()).then_some(hasher.finish() as u32)
}
