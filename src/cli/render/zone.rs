//! Formats times for people, in the local time zone. JSON output uses RFC 3339 in UTC instead.

use jiff::ZonedDateTime;
use jiff::tz::TimeZone;
use patchwork_traces::format::Timestamp;

/// Returns the time zone from `TZ`, or else from the system, or else UTC.
pub fn local() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// Converts a time to a zone. Returns `None` if it is out of range.
pub fn zoned(time: Timestamp, zone: &TimeZone) -> Option<ZonedDateTime> {
    Some(jiff::Timestamp::from_millisecond(time.as_millis()).ok()?.to_zoned_datetime(zone.clone()))
}

/// Returns `2026-05-02 12:00:00 CEST`.
pub fn moment(time: Timestamp, zone: &TimeZone) -> String {
    shown(time, zone, "%Y-%m-%d %H:%M:%S %Z")
}

/// Returns `2026-05-02 12:00:00.5 CEST`, with milliseconds.
pub fn precise_moment(time: Timestamp, zone: &TimeZone) -> String {
    shown(time, zone, "%Y-%m-%d %H:%M:%S%.f %Z")
}

/// Returns `2026-05-02 12:00`, for tables that name the zone elsewhere.
pub fn minute(time: Option<Timestamp>, zone: &TimeZone) -> String {
    time.map_or_else(|| "-".to_owned(), |time| shown(time, zone, "%Y-%m-%d %H:%M"))
}

/// Returns `2026-05-02`, for narrow tables.
pub fn day(time: Option<Timestamp>, zone: &TimeZone) -> String {
    time.map_or_else(|| "-".to_owned(), |time| shown(time, zone, "%Y-%m-%d"))
}

fn shown(time: Timestamp, zone: &TimeZone, format: &str) -> String {
    zoned(time, zone).map_or_else(|| time.to_string(), |time| time.strftime(format).to_string())
}

/// Returns the name of a zone, such as `Europe/Berlin`, or else its abbreviation at `time`.
pub fn name(zone: &TimeZone, time: Timestamp) -> String {
    match zone.iana_name() {
        Some(name) => name.to_owned(),
        None => shown(time, zone, "%Z"),
    }
}
