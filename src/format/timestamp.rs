//! Row timestamps, and the keys that hold them (FORMAT.md, "Times").

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z, between the years 0001 and 9998.
///
/// Displayed and serialised as RFC 3339 with three decimals and `Z`.
///
/// ```
/// use patchwork_traces::format::Timestamp;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let time: Timestamp = "2026-05-02T12:00:00+02:00".parse()?;
/// assert_eq!(time.to_string(), "2026-05-02T10:00:00.000Z");
/// assert_eq!(Some(time), Timestamp::from_millis(1_777_716_000_000));
/// let now: Timestamp = std::time::SystemTime::now().try_into()?;
/// assert!(now > time);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub(super) const EARLIEST: i64 = -62_135_596_800_000;
    /// The end of 9998. The time library does not reach the end of 9999, and `9999-12-31` means "never", not a time.
    pub(super) const LATEST: i64 = 253_370_764_799_999;

    /// Creates a timestamp from milliseconds since 1970. Returns `None` outside the years 0001 to 9998.
    #[must_use]
    pub fn from_millis(millis: i64) -> Option<Self> {
        (Self::EARLIEST..=Self::LATEST).contains(&millis).then_some(Self(millis))
    }

    /// Returns the milliseconds since 1970.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Parses a JSON string in any form of ISO 8601 that the time library knows.
    fn from_iso_8601(json: &str) -> Option<Self> {
        let text = serde_json::from_str::<Cow<'_, str>>(json).ok()?;
        Self::from_jiff(text.parse().ok()?)
    }

    fn from_jiff(time: jiff::Timestamp) -> Option<Self> {
        Self::from_millis(time.as_millisecond())
    }

    /// Parses a JSON number as milliseconds since 1970. Truncates fractions of a millisecond.
    fn from_json_number(text: &str) -> Option<Self> {
        if let Ok(millis) = text.parse() {
            return Self::from_millis(millis);
        }
        let millis = text.parse::<f64>().ok().filter(|millis| millis.is_finite())?;
        // The cast saturates, and both ends of i64 lie outside the years that are accepted.
        #[allow(clippy::cast_possible_truncation)]
        Self::from_millis(millis as i64)
    }
}

impl TryFrom<SystemTime> for Timestamp {
    type Error = InvalidTimestamp;

    fn try_from(time: SystemTime) -> Result<Self, InvalidTimestamp> {
        let millis = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()),
            Err(before) => i64::try_from(before.duration().as_nanos().div_ceil(1_000_000)).map(i64::wrapping_neg),
        };
        millis.ok().and_then(Self::from_millis).ok_or(InvalidTimestamp)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// The error for a string that is not a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTimestamp;

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time is written as 2026-05-02T10:00:00.000Z")
    }
}

impl std::error::Error for InvalidTimestamp {}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Parses an RFC 3339 time (FORMAT.md, "Times"). Truncates fractions of a millisecond towards 1970.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let time = is_rfc3339(text.as_bytes()).then(|| text.parse::<jiff::Timestamp>().ok()).flatten();
        time.and_then(Self::from_jiff).ok_or(InvalidTimestamp)
    }
}

/// Returns true if a text has the form of an RFC 3339 time with at most nine decimals. The time library accepts more forms,
/// but checks the ranges of all numbers except the offset's.
fn is_rfc3339(text: &[u8]) -> bool {
    let has_form = |text: &[u8], form: &[u8]| {
        let fits = |(byte, form): (&u8, &u8)| match form {
            b'0' => byte.is_ascii_digit(),
            b'T' => byte.eq_ignore_ascii_case(&b'T'),
            form => byte == form,
        };
        text.len() == form.len() && text.iter().zip(form).all(fits)
    };
    let Some((seconds, rest)) = text.split_at_checked("0000-00-00T00:00:00".len()) else { return false };
    let decimals =
        rest.strip_prefix(b".").map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
    let zone = if decimals == 0 { rest } else { &rest[1 + decimals..] };
    let is_zone = match zone {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', offset @ ..] => has_form(offset, b"00:00") && offset < &b"24"[..],
        _ => false,
    };
    has_form(seconds, b"0000-00-00T00:00:00") && decimals <= 9 && is_zone
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A top-level key that holds a row's timestamp, and the form of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeKey {
    /// A number of milliseconds since 1970.
    Millis(&'static str),
    /// An RFC 3339 string.
    Rfc3339(&'static str),
}

impl TimeKey {
    /// Returns the name of the key.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Millis(key) | Self::Rfc3339(key) => key,
        }
    }

    /// Reads `value`, the JSON text at this key.
    pub(crate) fn read(self, value: &str) -> RowTime {
        let timestamp = match self {
            Self::Millis(_) => Timestamp::from_json_number(value),
            Self::Rfc3339(_) => serde_json::from_str::<Timestamp>(value).ok(),
        };
        match self {
            Self::Rfc3339(_) if timestamp.is_none() && value.starts_with('"') => {
                RowTime { timestamp: Timestamp::from_iso_8601(value), is_in_other_form: true }
            }
            _ => RowTime { timestamp, is_in_other_form: false },
        }
    }
}

/// The timestamp of a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowTime {
    /// The timestamp, if the row has one.
    pub timestamp: Option<Timestamp>,
    /// True if the row has a string in place of a timestamp that is not RFC 3339. Programs differ in whether they
    /// read other forms of ISO 8601, so the times of its log must not be compared (FORMAT.md, "Times").
    pub is_in_other_form: bool,
}

/// A time range that includes both ends. An absent end is unbounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// The first moment in the range.
    pub since: Option<Timestamp>,
    /// The last moment in the range.
    pub until: Option<Timestamp>,
}

impl TimeRange {
    /// Returns true if `time` is in the range. Rows without a timestamp match only an unbounded range.
    #[must_use]
    pub fn contains(&self, time: Option<Timestamp>) -> bool {
        *self == Self::default() || time.is_some() && self.overlaps(time, time)
    }

    /// Returns true if the span from `first` to `last` may overlap the range. An unknown end of the span may be
    /// anywhere.
    #[must_use]
    pub fn overlaps(&self, first: Option<Timestamp>, last: Option<Timestamp>) -> bool {
        let comes_before = |one: Option<Timestamp>, other: Option<Timestamp>| match (one, other) {
            (Some(one), Some(other)) => one <= other,
            _ => true,
        };
        comes_before(self.since, last) && comes_before(first, self.until)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Timestamp;

    #[test]
    fn rfc_3339_is_the_only_form() {
        let same = [
            "2026-05-02T10:00:59.000Z",
            "2026-05-02t10:00:59z",
            "2026-05-02T10:00:60Z",
            "2026-05-02T10:00:59-00:00",
            "2026-05-03T09:59:59.000999999+23:59",
            "2026-05-01T10:01:59-23:59",
        ];
        let expected = Timestamp::from_millis(1_777_716_059_000).unwrap();
        for text in same {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        let others = [
            "",
            "2026-05-02",
            "2026-05-02T10:00Z",
            "2026-05-02 10:00:59Z",
            "2026-05-02T10:00:59",
            "20260502T100059Z",
            "2026-05-02T10:00:59,5Z",
            "2026-05-02T10:00:59.Z",
            "2026-05-02T10:00:59.0000000001Z",
            "2026-05-02T10:00:59+00",
            "2026-05-02T10:00:59+24:00",
            "2026-05-02T10:00:59+0000",
            "2026-05-02T10:00:59+00:60",
            "2026-05-02T24:00:00Z",
            "2026-05-02T10:00:61Z",
            "2026-02-29T10:00:00Z",
            "2026-05-02T10:00:59Z[UTC]",
            "2026-05-02T10:00:59+00:00:00",
            "0000-12-31T23:59:59Z",
            "9999-01-01T00:00:00Z",
            "+002026-05-02T10:00:59Z",
            " 2026-05-02T10:00:59Z",
        ];
        for text in others {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
