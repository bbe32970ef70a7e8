//! Parses times from the command line and the environment.

use std::ops::RangeInclusive;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::civil::{Date, DateTime, Weekday};
use jiff::{Span, ToSpan, ZonedDateTime};
use patchwork_traces::format::Timestamp;

use crate::cli::failure::Failure;
use crate::cli::render::zone;

/// A time given by the user. Calendar units are those of the local time zone.
#[derive(Debug, Clone, Copy)]
pub enum Moment {
    /// A point in time: `2026-05-02T10:00:00Z`, `2026-05-02 10:00`.
    Point(Timestamp),
    /// The day, month or year that begins on a date: `2026-05-02`, `2026-05`, `2026`.
    Calendar(CalendarUnit, Date),
    /// The current unit, or the one a number of units before it: `today`, `last week`.
    Relative(CalendarUnit, i32),
    /// The time a span before now: `7d`, `1h30m`.
    Ago(Span),
}

/// A unit of the calendar. A week begins on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarUnit {
    Day,
    Week,
    Month,
    Year,
}

/// The description of valid times in the error of an invalid one.
const EXPECTED: &str = "expected a date or a time such as 2026-05-02, 2026-05, \"2026-05-02 10:00\" or 2026-05-02T10:00:00Z, \
    a word such as today, yesterday or \"last week\", or an age such as 90s, 1h30m, 7d or 2w";

impl Moment {
    /// Parses a time: see the variants.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        // The name of a time zone in brackets is not supported, and must not be ignored.
        if text.contains('[') {
            return Err(EXPECTED);
        }
        let point = || text.parse().ok().map(Self::Point);
        let parsed = point().or_else(|| calendar(text)).or_else(|| relative(text));
        parsed.or_else(|| time_of_day(text)).or_else(|| age(text)).ok_or(EXPECTED)
    }

    /// Returns true if the time depends on the current one.
    pub fn is_relative(&self) -> bool {
        matches!(self, Self::Relative(..) | Self::Ago(_))
    }

    /// Returns the first and the last millisecond of this time. Relative times need `now`. Returns `None` if the
    /// calendar of the local time zone has no such time.
    pub fn bounds(self, now: Option<Timestamp>) -> Option<RangeInclusive<Timestamp>> {
        let now = || zone::zoned(now?, &zone::local());
        let bounds = match self {
            Self::Point(time) => time..=time,
            Self::Calendar(unit, date) => unit.bounds(date)?,
            Self::Relative(unit, units_back) => {
                let date = now()?.date().checked_sub(unit.span().checked_mul(units_back.into()).ok()?).ok()?;
                unit.bounds(unit.first_day(date)?)?
            }
            Self::Ago(span) => {
                let time = timestamp(&now()?.checked_sub(span).ok()?)?;
                time..=time
            }
        };
        // A zone that crosses the date line skips a day.
        Some(bounds).filter(|bounds| !bounds.is_empty())
    }
}

impl CalendarUnit {
    fn span(self) -> Span {
        match self {
            Self::Day => 1.day(),
            Self::Week => 1.week(),
            Self::Month => 1.month(),
            Self::Year => 1.year(),
        }
    }

    /// Returns the first day of the unit that contains `date`.
    fn first_day(self, date: Date) -> Option<Date> {
        match self {
            Self::Day => Some(date),
            Self::Week => date.tomorrow().ok()?.nth_weekday(-1, Weekday::Monday).ok(),
            Self::Month => Some(date.first_of_month()),
            Self::Year => Some(date.first_of_year()),
        }
    }

    /// Returns the first and the last millisecond of the unit that begins on `first_day`.
    fn bounds(self, first_day: Date) -> Option<RangeInclusive<Timestamp>> {
        let next = start_of_day(first_day.checked_add(self.span()).ok()?)?;
        let last = Timestamp::from_millis(next.timestamp().as_millisecond() - 1)?;
        Some(timestamp(&start_of_day(first_day)?)?..=last)
    }
}

/// Returns the first moment of a day in the local time zone.
fn start_of_day(date: Date) -> Option<ZonedDateTime> {
    date.to_zoned_datetime(zone::local()).ok()?.start_of_day().ok()
}

fn timestamp(time: &ZonedDateTime) -> Option<Timestamp> {
    Timestamp::from_millis(time.timestamp().as_millisecond())
}

/// Parses `2026-05-02`, `2026-05` or `2026`.
fn calendar(text: &str) -> Option<Moment> {
    let (unit, date) = match text.len() {
        4 => (CalendarUnit::Year, format!("{text}-01-01")),
        7 => (CalendarUnit::Month, format!("{text}-01")),
        _ => (CalendarUnit::Day, text.to_owned()),
    };
    // A date followed by a time of day is parsed as a date, too.
    let is_date = !text.contains([' ', 'T', 't', ':']);
    date.parse().ok().filter(|_| is_date).map(|date| Moment::Calendar(unit, date))
}

/// Parses `today`, `yesterday`, and `this` or `last` with a unit, with spaces or hyphens between words.
fn relative(text: &str) -> Option<Moment> {
    let text = text.to_ascii_lowercase();
    let words: Vec<_> = text.split([' ', '-', '_']).filter(|word| !word.is_empty()).collect();
    let (units_back, unit) = match words[..] {
        ["today"] => (0, "day"),
        ["yesterday"] => (1, "day"),
        ["this", unit] => (0, unit),
        ["last", unit] => (1, unit),
        _ => return None,
    };
    let unit = match unit {
        "day" => CalendarUnit::Day,
        "week" => CalendarUnit::Week,
        "month" => CalendarUnit::Month,
        "year" => CalendarUnit::Year,
        _ => return None,
    };
    Some(Moment::Relative(unit, units_back))
}

fn time_of_day(text: &str) -> Option<Moment> {
    let time: DateTime = text.parse().ok()?;
    timestamp(&time.to_zoned_datetime(zone::local()).ok()?).map(Moment::Point)
}

/// Parses an age such as `7d`, `1h30m`, `2 weeks` or `3 days ago`.
fn age(text: &str) -> Option<Moment> {
    text.parse().ok().map(|span: Span| Moment::Ago(span.abs()))
}

/// Returns the current time: `SOURCE_DATE_EPOCH` (seconds since 1970) if set, or else that of the clock.
pub fn now() -> Result<Timestamp, Failure> {
    let Some(fixed) = crate::cli::variable("SOURCE_DATE_EPOCH") else {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since_1970.as_millis()).ok().and_then(Timestamp::from_millis);
        return millis.ok_or_else(|| {
            Failure::usage("this machine's clock is past the year 9999", "set the clock, or SOURCE_DATE_EPOCH")
        });
    };
    let seconds = fixed.to_str().and_then(|text| text.parse::<i64>().ok());
    let time = seconds.and_then(|seconds| seconds.checked_mul(1000)).and_then(Timestamp::from_millis);
    time.ok_or_else(|| {
        let message = format!("invalid value '{}' for SOURCE_DATE_EPOCH", fixed.display());
        Failure::usage(&message, "set it to a number of seconds since 1970, or unset it")
    })
}
