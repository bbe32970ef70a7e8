//! Parses times from the command line and the environment.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Zoned;
use jiff::civil::{Date, DateTime};
use patchwork_traces::format::Timestamp;

use super::failure::Failure;
use super::zone;

/// A time given by the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A point in time.
    Point(Timestamp),
    /// A whole day in the local time zone: its first and its last millisecond.
    Day(Timestamp, Timestamp),
    /// A number of milliseconds ago.
    Ago(i64),
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Moment {
    /// Parses `2026-05-02T10:00:00Z`, `2026-05-02 10:00`, `2026-05-02` or `7d`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let point = || text.parse().ok().map(Self::Point);
        let read = point().or_else(|| day(text)).or_else(|| time_of_day(text)).or_else(|| ago(text).map(Self::Ago));
        read.ok_or("expected a time such as 2026-05-02, \"2026-05-02 10:00\" or 2026-05-02T10:00:00Z, or an age such as 90s, 30m, 12h, 7d or 2w")
    }

    /// Returns the first moment of this time.
    pub fn first(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Point(time) | Self::Day(time, _) => Some(time),
            Self::Ago(millis) => Timestamp::from_millis(now.as_millis() - millis),
        }
    }

    /// Returns the last moment of this time.
    pub fn last(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Day(_, end) => Some(end),
            Self::Point(_) | Self::Ago(_) => self.first(now),
        }
    }
}

fn day(text: &str) -> Option<Moment> {
    // A longer text is a date with a time of day.
    let date: Date = text.parse().ok().filter(|_| text.len() <= "2026-05-02".len())?;
    let start = timestamp(&date.to_zoned(zone::here()).ok()?)?;
    let next = timestamp(&date.tomorrow().ok()?.to_zoned(zone::here()).ok()?)?;
    Some(Moment::Day(start, Timestamp::from_millis(next.as_millis() - 1)?))
}

fn time_of_day(text: &str) -> Option<Moment> {
    let time: DateTime = text.parse().ok()?;
    timestamp(&time.to_zoned(zone::here()).ok()?).map(Moment::Point)
}

fn timestamp(time: &Zoned) -> Option<Timestamp> {
    Timestamp::from_millis(time.timestamp().as_millisecond())
}

fn ago(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return None,
    };
    let digits = text.strip_suffix(unit)?;
    let number: i64 = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()?;
    number.checked_mul(seconds * 1000).filter(|millis| *millis <= 10_000 * 366 * DAY_MS)
}

/// Returns the current time: `SOURCE_DATE_EPOCH` (seconds since 1970) if set, or else that of the clock.
pub fn now() -> Result<Timestamp, Failure> {
    let Some(fixed) = super::variable("SOURCE_DATE_EPOCH") else {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since_1970.as_millis()).ok().and_then(Timestamp::from_millis);
        return millis.ok_or_else(|| {
            Failure::usage("this machine's clock is past the year 9999", "set the clock, or SOURCE_DATE_EPOCH")
        });
    };
    let seconds = fixed.to_str().and_then(|text| text.parse::<i64>().ok());
    let time = seconds.and_then(|seconds| seconds.checked_mul(1000)).and_then(Timestamp::from_millis);
    time.ok_or_else(|| {
        Failure::usage("invalid value of SOURCE_DATE_EPOCH", "set it to a number of seconds since 1970, or unset it")
    })
}
