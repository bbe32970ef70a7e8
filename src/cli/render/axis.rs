//! The axis of a timeline, with ticks at the beginning of hours, days, months or years.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use patchwork_traces::format::Timestamp;

use crate::cli::render::zone::zoned;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The distance between ticks. The smallest one whose labels do not touch each other is used.
#[derive(Debug, Clone, Copy)]
enum Unit {
    /// A number of seconds, counted from midnight.
    Seconds(i64),
    /// A week, beginning on Monday.
    Week,
    /// A number of months.
    Months(i64),
}

const UNITS: [Unit; 15] = [
    Unit::Seconds(10),
    Unit::Seconds(MINUTE),
    Unit::Seconds(10 * MINUTE),
    Unit::Seconds(30 * MINUTE),
    Unit::Seconds(HOUR),
    Unit::Seconds(6 * HOUR),
    Unit::Seconds(DAY),
    Unit::Week,
    Unit::Months(1),
    Unit::Months(3),
    Unit::Months(12),
    Unit::Months(5 * 12),
    Unit::Months(10 * 12),
    Unit::Months(100 * 12),
    Unit::Months(1000 * 12),
];

/// A tick: its column, from 0, and its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    pub column: usize,
    pub label: String,
}

/// Returns the ticks for `columns` columns of `step_ms` milliseconds, each drawn `column_width` characters wide.
pub fn ticks(start: Timestamp, step_ms: u64, columns: usize, column_width: usize, zone: &TimeZone) -> Vec<Tick> {
    let step_ms = step_ms.cast_signed();
    let ends: Vec<_> = (0..=columns).map_while(|column| local(start, step_ms, column, zone)).collect();
    let units = UNITS.into_iter().filter(|unit| unit.min_seconds() * 1000 >= step_ms);
    let candidates = units.map(|unit| unit.ticks(&ends));
    candidates.into_iter().find(|ticks| is_readable(ticks, column_width)).unwrap_or_default()
}

/// Returns the last moment before a column, in local time.
fn local(start: Timestamp, step_ms: i64, column: usize, zone: &TimeZone) -> Option<DateTime> {
    let millis = step_ms.checked_mul(i64::try_from(column).ok()?)?.checked_add(start.as_millis())?.checked_sub(1)?;
    Some(zoned(Timestamp::from_millis(millis)?, zone)?.datetime())
}

fn is_readable(ticks: &[Tick], column_width: usize) -> bool {
    let is_apart = |pair: &[Tick]| pair[0].label.len() < (pair[1].column - pair[0].column) * column_width;
    ticks.windows(2).all(is_apart)
}

impl Unit {
    fn min_seconds(self) -> i64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Week => 7 * DAY,
            Self::Months(months) => months * 28 * DAY,
        }
    }

    /// Returns the number of the unit that contains a moment.
    fn number(self, time: DateTime) -> i64 {
        let seconds = seconds_of(time);
        match self {
            Self::Seconds(unit) => seconds.div_euclid(unit),
            // 1970 began on a Thursday.
            Self::Week => (seconds.div_euclid(DAY) + 3).div_euclid(7),
            Self::Months(unit) => (i64::from(time.year()) * 12 + i64::from(time.month()) - 1).div_euclid(unit),
        }
    }

    fn label(self, number: i64) -> String {
        let at =
            |seconds: i64| jiff::Timestamp::from_second(seconds).map(|time| time.to_zoned_datetime(TimeZone::UTC)).ok();
        let shown = |seconds: i64, format: &str| at(seconds).map(|time| time.strftime(format).to_string());
        match self {
            Self::Seconds(unit) => {
                let seconds = number * unit;
                let is_midnight = seconds.rem_euclid(DAY) == 0;
                shown(
                    seconds,
                    if is_midnight {
                        "%-d %b"
                    } else if unit < MINUTE {
                        "%H:%M:%S"
                    } else {
                        "%H:%M"
                    },
                )
            }
            Self::Week => shown((number * 7 - 3) * DAY, "%-d %b"),
            Self::Months(unit) => {
                let month = number * unit;
                let (year, month) = (i16::try_from(month.div_euclid(12)), i8::try_from(month.rem_euclid(12) + 1));
                let date = year.ok().zip(month.ok()).and_then(|(year, month)| Date::new(year, month, 1).ok());
                // January is labelled with its year, as midnight is with its day.
                date.map(|date| date.strftime(if date.month() == 1 { "%Y" } else { "%b" }).to_string())
            }
        }
        .unwrap_or_default()
    }

    fn ticks(self, ends: &[DateTime]) -> Vec<Tick> {
        let numbers: Vec<_> = ends.iter().map(|end| self.number(*end)).collect();
        let begins = numbers.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1]);
        begins.map(|(column, pair)| Tick { column, label: self.label(pair[1]) }).collect()
    }
}

/// Returns the seconds since 1970 in local time.
fn seconds_of(time: DateTime) -> i64 {
    time.to_zoned_datetime(TimeZone::UTC).map(|time| time.timestamp().as_second()).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(start: &str, step_seconds: i64, columns: usize, column_width: usize, zone: &str) -> String {
        let (start, zone) = (start.parse().unwrap(), TimeZone::get(zone).unwrap());
        let step_ms = u64::try_from(step_seconds * 1000).unwrap();
        let ticks = ticks(start, step_ms, columns, column_width, &zone);
        ticks.iter().map(|tick| format!("{}:{}", tick.column, tick.label)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_at_the_beginning_of_days_weeks_and_months() {
        assert_eq!(shown("2026-03-30T00:00:00Z", DAY, 15, 1, "UTC"), "0:30 Mar 7:6 Apr 14:13 Apr");
        assert_eq!(shown("2026-03-30T00:00:00Z", DAY, 4, 8, "UTC"), "0:30 Mar 1:31 Mar 2:1 Apr 3:2 Apr");
        assert_eq!(shown("2026-01-15T00:00:00Z", 8 * DAY, 12, 5, "UTC"), "2:Feb 5:Mar 9:Apr");
        assert_eq!(shown("2020-01-01T00:00:00Z", 64 * DAY, 12, 1, "UTC"), "0:2020 5:2021 11:2022");
    }

    #[test]
    fn hours_follow_the_time_zone_across_a_clock_change() {
        // On 29 March 2026 the clocks of Berlin went from 02:00 to 03:00.
        let expected = "0:18:00 3:29 Mar 5:06:00 8:12:00";
        assert_eq!(shown("2026-03-28T17:00:00Z", 2 * HOUR, 11, 4, "Europe/Berlin"), expected);
    }

    #[test]
    fn times_out_of_range_have_no_ticks() {
        assert_eq!(shown("9998-12-01T00:00:00Z", 262_144 * DAY, 3, 1, "UTC"), "");
    }
}
