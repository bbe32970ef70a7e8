//! Describes a history using only the first lines of its segments.

use std::collections::BTreeMap;
use std::time::Duration;

use super::timetable::Timetable;
use crate::format::{FollowsState, HistoryGap, Label, SourceName, TimeSpan, Timestamp};
use crate::history::{Checkpoint, History, HistoryLog, Segment, SegmentFile};
use crate::keep::Pace;

/// The minimum period for computing a rate.
const MIN_RATE_TIME: Duration = Duration::from_secs(60);

/// The period before the last segment for which the rate of new rows is computed.
const RATE_WINDOW: Duration = Duration::from_secs(7 * 24 * 3600);

/// The description that a history gives of itself. Only the first lines of its segments were read; `verify` checks that
/// the rows match them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HistoryInspection {
    /// The user's names for the machine, in the order in which they first appear in the segments.
    pub labels: Vec<Label>,
    /// The time of the first segment.
    pub first_run: Timestamp,
    /// The time of the last segment.
    pub last_run: Timestamp,
    /// The size of all segments in bytes.
    pub bundle_bytes: u64,
    /// The checkpoint of all segments.
    pub checkpoint: Checkpoint,
    /// The sources, sorted.
    pub sources: Vec<SourceTotals>,
    /// The gaps, in the order of the segments.
    pub gaps: Vec<GapInHistory>,
    /// The rate of new rows in the last week of the history. `None` if the history spans less than a minute.
    pub rate: Option<NewRowsRate>,
    /// The time that the history can go without a run, if logs are not held by links.
    pub pace: Option<Pace>,
    /// The distribution of the rows over time. `None` if no row has a timestamp.
    pub timetable: Option<Timetable>,
}

/// The rows of a source in a history.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceTotals {
    /// The source.
    pub source: SourceName,
    /// The number of logs.
    pub logs: u64,
    /// The number of rows.
    pub rows: u64,
    /// The length of all lines in bytes.
    pub bytes: u64,
    /// The earliest and the latest timestamp of a row.
    pub span: TimeSpan,
    /// The number of gaps.
    pub gaps: u64,
}

/// A gap of a history.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GapInHistory {
    /// The number of the segment whose rows follow the gap.
    pub segment: u64,
    /// The log, as an index into [`History::logs`].
    pub log: usize,
    /// The rows on either side of the gap.
    pub gap: HistoryGap,
}

/// The new rows of some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewRowsRate {
    /// The number of rows.
    pub rows: u64,
    /// The length of their lines in bytes.
    pub bytes: u64,
    /// The length of the period.
    pub time: Duration,
}

impl HistoryInspection {
    /// Inspects an opened history.
    #[must_use]
    pub fn new(history: &History) -> Self {
        let segments = history.segments();
        let mut labels: Vec<Label> = Vec::new();
        for label in segments.iter().filter_map(|segment| segment.label.as_ref()) {
            if !labels.contains(label) {
                labels.push(label.clone());
            }
        }
        let gaps = gaps(segments);
        let times = || segments.iter().map(|segment| segment.exported_at);
        let latest = history.latest_manifest().exported_at;
        Self {
            labels,
            first_run: times().next().unwrap_or(latest),
            last_run: latest,
            bundle_bytes: segments.iter().map(|segment| segment.bundle_bytes).sum(),
            checkpoint: history.checkpoint(),
            sources: sources(history.logs(), &gaps),
            gaps,
            rate: rate(segments),
            pace: Pace::of(history, false),
            timetable: Timetable::of_history(history, Timetable::DEFAULT_COLUMNS),
        }
    }
}

fn gaps(segments: &[Segment]) -> Vec<GapInHistory> {
    let of_segment = |segment: &Segment| {
        let number = segment.number;
        let gaps = segment.files.iter().filter_map(|file| Some((file.log, file.gap.as_deref()?.clone())));
        gaps.map(|(log, gap)| GapInHistory { segment: number, log, gap }).collect::<Vec<_>>()
    };
    segments.iter().flat_map(of_segment).collect()
}

fn sources(logs: &[HistoryLog], gaps: &[GapInHistory]) -> Vec<SourceTotals> {
    let mut sources = BTreeMap::<SourceName, SourceTotals>::new();
    for (index, log) in logs.iter().enumerate() {
        let source = log.id.source.clone();
        let nothing =
            || SourceTotals { source: source.clone(), logs: 0, rows: 0, bytes: 0, span: TimeSpan::default(), gaps: 0 };
        let totals = sources.entry(source.clone()).or_insert_with(nothing);
        totals.logs += 1;
        totals.rows += log.rows;
        totals.bytes += log.bytes;
        totals.span.first = [totals.span.first, log.span.first].into_iter().flatten().min();
        totals.span.last = [totals.span.last, log.span.last].into_iter().flatten().max();
        totals.gaps += gaps.iter().filter(|gap| gap.log == index).count() as u64;
    }
    sources.into_values().collect()
}

/// Returns the rate of new rows in the segments of the last week, measured from the time of the preceding segment.
fn rate(segments: &[Segment]) -> Option<NewRowsRate> {
    let last = segments.last()?.exported_at.as_millis();
    let window = i64::try_from(RATE_WINDOW.as_millis()).ok()?;
    let is_recent = |segment: &&Segment| segment.exported_at.as_millis() > last.saturating_sub(window);
    let recent = segments.iter().rev().take_while(is_recent).count().min(segments.len() - 1);
    let (before, recent) = segments.split_at(segments.len() - recent);
    let millis = last.checked_sub(before.last()?.exported_at.as_millis())?;
    let time = Duration::from_millis(u64::try_from(millis).ok()?);
    // The rows of a log that is new in the history can be older than the period.
    let is_known = |file: &&SegmentFile| file.state != FollowsState::First;
    let files = || recent.iter().flat_map(|segment| &segment.files).filter(is_known);
    let (rows, bytes) = (files().map(|file| file.rows).sum(), files().map(|file| file.bytes).sum());
    (time >= MIN_RATE_TIME).then_some(NewRowsRate { rows, bytes, time })
}
