//! Estimates how long a history can go without a run before rotation removes rows that it does not
//! have.

use std::time::Duration;

use crate::format::{FollowsState, LogId, Timestamp};
use crate::history::{History, Segment};
use crate::logs::rotation::{MAX_LOG_BYTES, RotationKind};
use crate::logs::{GroupKey, known};

/// The number of bytes at the end of a log that rotation surely keeps: the newer half, less a
/// margin for long lines.
const KEPT_BYTES: u64 = 448 << 10;

/// The number of bytes at the end of an archive that rotation surely keeps.
const KEPT_ARCHIVE_BYTES: u64 = 3 << 20;

/// The periods over which the rate is measured. The highest rate counts.
const WINDOWS: [Duration; 2] = [Duration::from_secs(24 * 3600), Duration::from_secs(7 * 24 * 3600)];

/// The minimum period over which a rate is measured.
const MIN_SPAN: Duration = Duration::from_secs(60);

/// The rate of new rows, and the time until the next run is due.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Pace {
    /// The log that loses rows first.
    pub log: LogId,
    /// The number of bytes that are written to this log per hour.
    pub bytes_per_hour: u64,
    /// The time after the last run from which its rows can be lost.
    pub lost_after: Duration,
    /// The maximum interval between runs that loses no rows, whatever the length of the log, with a
    /// margin.
    pub run_every: Duration,
}

impl Pace {
    /// Returns the pace of a history. `is_held` is true if its logs are held. Returns `None` if no
    /// rotated log gets new rows, or there are too few segments to measure the rate.
    #[must_use]
    pub fn of(history: &History, is_held: bool) -> Option<Self> {
        let logs = (0..history.logs().len()).filter_map(|log| Self::of_log(history, log, is_held));
        logs.min_by_key(|pace| pace.lost_after)
    }

    fn of_log(history: &History, index: usize, is_held: bool) -> Option<Self> {
        let log = &history.logs()[index];
        let source = known(log.id.source.as_str())?;
        let (group, at) = GroupKey::of(&log.id);
        if at + 1 < group.logs() {
            return None;
        }
        let rate = WINDOWS.iter().filter_map(|window| bytes_per_hour(history, index, *window)).max()?;
        let kept = if source.rotation == RotationKind::Archives { KEPT_ARCHIVE_BYTES } else { KEPT_BYTES };
        let until_rotation = MAX_LOG_BYTES.saturating_sub(log.latest.map_or(0, |latest| latest.bytes));
        let headroom = kept + if is_held { until_rotation } else { 0 };
        let after = |bytes: u64| (rate > 0).then(|| Duration::from_secs(bytes.saturating_mul(3600) / rate));
        Some(Self {
            log: log.id.clone(),
            bytes_per_hour: rate,
            lost_after: after(headroom)?,
            run_every: after(kept / 2)?,
        })
    }
}

/// Returns the rate at which a log grew in the segments of the last `window`.
fn bytes_per_hour(history: &History, log: usize, window: Duration) -> Option<u64> {
    let millis = |time: Timestamp| time.as_millis();
    let segments = history.segments();
    let last = millis(segments.last()?.exported_at);
    let earliest = last.saturating_sub(i64::try_from(window.as_millis()).unwrap_or(i64::MAX));
    let is_recent = |segment: &&Segment| millis(segment.exported_at) > earliest;
    let recent = segments.iter().rev().take_while(is_recent).count().min(segments.len() - 1);
    let (before, recent) = segments.split_at(segments.len() - recent);
    let span = Duration::from_millis(u64::try_from(last - millis(before.last()?.exported_at)).ok()?);
    let files = recent.iter().flat_map(|segment| &segment.files);
    let grown = files.filter(|file| file.log == log && file.state != FollowsState::First).map(|file| file.bytes);
    let grown: u64 = grown.sum();
    (span >= MIN_SPAN).then(|| grown.saturating_mul(3600) / span.as_secs().max(1))
}
