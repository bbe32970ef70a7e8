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

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let time = text.parse::<jiff::Timestamp>().map_err(|_| InvalidTimestamp)?;
        Self::from_millis(time.as_millisecond()).ok_or(InvalidTimestamp)
    }
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

    /// Parses `value`, the JSON text at this key.
    pub(crate) fn read(self, value: &str) -> Option<Timestamp> {
        match self {
            Self::Millis(_) => Timestamp::from_json_number(value),
            Self::Rfc3339(_) => serde_json::from_str::<Timestamp>(value).ok(),
        }
    }
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
