//! Times as people read them: in the time zone of the machine, which is named. JSON has RFC 3339 in UTC instead.

use jiff::Zoned;
use jiff::tz::TimeZone;
use patchwork_traces::format::Timestamp;

/// The time zone that `TZ` or else the system names; UTC where neither does.
pub fn here() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// A moment in a zone.
pub fn zoned(time: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    Some(jiff::Timestamp::from_millisecond(time.as_millis()).ok()?.to_zoned(zone.clone()))
}

/// `2026-05-02 12:00:00 CEST`.
pub fn moment(time: Timestamp, zone: &TimeZone) -> String {
    shown(time, zone, "%Y-%m-%d %H:%M:%S %Z")
}

/// `2026-05-02 12:00:00.5 CEST`: a moment to the millisecond.
pub fn precise_moment(time: Timestamp, zone: &TimeZone) -> String {
    shown(time, zone, "%Y-%m-%d %H:%M:%S%.f %Z")
}

/// `2026-05-02 12:00`, for tables that name the zone elsewhere.
pub fn minute(time: Option<Timestamp>, zone: &TimeZone) -> String {
    time.map_or_else(|| "-".to_owned(), |time| shown(time, zone, "%Y-%m-%d %H:%M"))
}

/// `2026-05-02`, for narrow tables.
pub fn day(time: Option<Timestamp>, zone: &TimeZone) -> String {
    time.map_or_else(|| "-".to_owned(), |time| shown(time, zone, "%Y-%m-%d"))
}

fn shown(time: Timestamp, zone: &TimeZone, format: &str) -> String {
    zoned(time, zone).map_or_else(|| time.to_string(), |time| time.strftime(format).to_string())
}

/// What to call a zone: `Europe/Berlin`, or, where it has no such name, what its clocks say at `time`.
pub fn name(zone: &TimeZone, time: Timestamp) -> String {
    match zone.iana_name() {
        Some(name) => name.to_owned(),
        None => shown(time, zone, "%Z"),
    }
}
