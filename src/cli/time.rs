//! Times on the command line and from the environment.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use patchwork_traces::format::Timestamp;

use super::failure::Failure;

/// A moment as a user names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A point in time.
    Point(Timestamp),
    /// A whole day, UTC.
    Day(Timestamp),
    /// So many milliseconds ago.
    Ago(i64),
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Moment {
    /// Reads `2026-05-02T10:00:00Z`, `2026-05-02` or `7d`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(point) = text.parse() {
            return Ok(Self::Point(point));
        }
        if let Ok(date) = text.parse::<Date>()
            && let Ok(start) = date.to_zoned(TimeZone::UTC)
            && let Some(start) = Timestamp::from_millis(start.timestamp().as_millisecond())
        {
            return Ok(Self::Day(start));
        }
        ago(text).map(Self::Ago).ok_or_else(|| {
            "a time is written as 2026-05-02T10:00:00Z, as a date (2026-05-02, UTC), or as how long ago: 90s, 30m, 12h, 7d, 2w"
                .to_owned()
        })
    }

    /// The first moment that this names.
    pub fn first(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Point(time) | Self::Day(time) => Some(time),
            Self::Ago(millis) => Timestamp::from_millis(now.as_millis() - millis),
        }
    }

    /// The last moment that this names.
    pub fn last(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Day(start) => Timestamp::from_millis(start.as_millis() + DAY_MS - 1),
            Self::Point(_) | Self::Ago(_) => self.first(now),
        }
    }
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

/// The time now: what `SOURCE_DATE_EPOCH` says (seconds since 1970), else the clock's.
pub fn now() -> Result<Timestamp, Failure> {
    let Some(fixed) = super::variable("SOURCE_DATE_EPOCH") else {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since_1970.as_millis()).ok().and_then(Timestamp::from_millis);
        return millis.ok_or_else(|| Failure::Usage("this machine's clock is past the year 9999".to_owned()));
    };
    let seconds = fixed.to_str().and_then(|text| text.parse::<i64>().ok());
    let time = seconds.and_then(|seconds| seconds.checked_mul(1000)).and_then(Timestamp::from_millis);
    time.ok_or_else(|| Failure::Usage("SOURCE_DATE_EPOCH must be a number of seconds since 1970".to_owned()))
}
