//! Combines the timelines of a bundle's files on one axis.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::format::{Manifest, SourceName, Timeline, Timestamp};
use crate::history::History;

/// The maximum number of columns, because each takes memory for each source.
const MAX_COLUMNS: usize = 10_000;

/// Rows may be cut off at an end of the axis if they are at most one in this many …
const OUTLIER_RATIO: u64 = 200;

/// … and if their distance is more than this many times the length of the rest.
const OUTLIER_DISTANCE: i64 = 3;

/// The rows of each source over time, in columns of equal width.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Timetable {
    /// The start of the first column.
    pub start: Timestamp,
    /// The width of a column in milliseconds.
    pub step_ms: u64,
    /// The number of columns.
    #[serde(skip)]
    pub columns: usize,
    /// The sources, sorted.
    pub sources: Vec<SourceTimetable>,
}

/// The rows of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SourceTimetable {
    /// The source.
    pub source: SourceName,
    /// The number of rows in each column.
    pub rows: Vec<u64>,
    /// The number of rows before the first column: few, and far away.
    pub before: u64,
    /// The number of rows after the last column: few, and far away.
    pub after: u64,
    /// The number of rows without a timestamp.
    pub timeless: u64,
}

impl Timetable {
    /// The default maximum number of columns.
    pub(super) const DEFAULT_COLUMNS: usize = 60;

    /// Returns the timetable of all rows in at most 60 columns. `None` if no row has a timestamp.
    #[must_use]
    pub fn new(manifest: &Manifest) -> Option<Self> {
        Self::within(manifest, Self::DEFAULT_COLUMNS)
    }

    /// Returns the timetable of all rows in at most `max_columns` columns (and never more than 10,000), if the
    /// format's widest step allows it. Ignores timelines that cannot be true.
    #[must_use]
    pub fn within(manifest: &Manifest, max_columns: usize) -> Option<Self> {
        let logs = manifest.files.iter().map(|file| TimedLog {
            source: &file.source,
            rows: file.count,
            timeline: file.timeline.as_ref().filter(|timeline| timeline.is_sound()),
        });
        Self::of_logs(&logs.collect::<Vec<_>>(), manifest.sources.iter(), max_columns)
    }

    /// Returns the timetable of all rows of a history in at most `max_columns` columns, like [`within`](Self::within).
    #[must_use]
    pub fn of_history(history: &History, max_columns: usize) -> Option<Self> {
        let logs = history.logs().iter().map(|log| TimedLog {
            source: &log.id.source,
            rows: log.rows,
            timeline: log.timeline.as_ref().filter(|timeline| timeline.is_sound()),
        });
        let logs: Vec<_> = logs.collect();
        let sources: BTreeSet<_> = logs.iter().map(|log| log.source).collect();
        Self::of_logs(&logs, sources.into_iter(), max_columns)
    }

    fn of_logs<'l>(
        logs: &[TimedLog<'l>],
        sources: impl Iterator<Item = &'l SourceName>,
        max_columns: usize,
    ) -> Option<Self> {
        let max_columns = i64::try_from(max_columns.min(MAX_COLUMNS)).unwrap_or(i64::MAX);
        let timelines = || logs.iter().filter_map(|log| log.timeline);
        let finest = timelines().map(|timeline| timeline.step_ms).max()?;
        let axis = Axis::new(&merged(timelines(), finest), finest, max_columns)?;
        let mut logs_of = HashMap::<_, Vec<_>>::new();
        for log in logs {
            logs_of.entry(log.source).or_default().push(log);
        }
        let sources = sources.map(|source| {
            let logs = || logs_of.get(source).into_iter().flatten().copied();
            let bins = merged(logs().filter_map(|log| log.timeline), axis.step_ms);
            axis.source(source, &bins, logs().map(|log| log.rows).sum())
        });
        let sources = sources.collect();
        let start = axis.first.checked_mul(axis.step_ms.cast_signed()).and_then(Timestamp::from_millis)?;
        Some(Self { start, step_ms: axis.step_ms, columns: axis.columns(), sources })
    }
}

/// The properties of a log that a timetable needs.
struct TimedLog<'l> {
    source: &'l SourceName,
    rows: u64,
    /// Its timeline if it can be true, that is, if its bins are within the years that a timestamp can have. This also
    /// bounds the number of columns.
    timeline: Option<&'l Timeline>,
}

/// Merges timelines at one bin width, without empty bins.
fn merged<'t>(timelines: impl Iterator<Item = &'t Timeline>, step_ms: u64) -> Timeline {
    let mut bins = BTreeMap::new();
    let all = timelines.flat_map(|timeline| timeline.coarsened_to(step_ms).bins);
    for (bin, rows) in all.filter(|(_, rows)| *rows > 0) {
        *bins.entry(bin).or_default() += rows;
    }
    Timeline { step_ms, bins: bins.into_iter().collect() }
}

/// The bins that are shown.
struct Axis {
    step_ms: u64,
    first: i64,
    last: i64,
}

impl Axis {
    fn new(all: &Timeline, finest: u64, max_columns: i64) -> Option<Self> {
        let mut step_ms = finest;
        loop {
            let axis = Self::at(&all.coarsened_to(step_ms))?;
            let coarser = Timeline::coarser_step(step_ms);
            if axis.last - axis.first < max_columns || coarser == step_ms {
                return Some(axis);
            }
            step_ms = coarser;
        }
    }

    fn at(bins: &Timeline) -> Option<Self> {
        let rare = bins.bins.iter().map(|(_, rows)| rows).sum::<u64>() / OUTLIER_RATIO;
        let (first, last) = (bins.bins.first()?.0, bins.bins.last()?.0);
        let common_first = first_common(bins.bins.iter(), rare)?;
        let common_last = first_common(bins.bins.iter().rev(), rare)?;
        let far = OUTLIER_DISTANCE * (common_last - common_first + 1);
        let first = if common_first - first > far { common_first } else { first };
        let last = if last - common_last > far { common_last } else { last };
        Some(Self { step_ms: bins.step_ms, first, last })
    }

    fn columns(&self) -> usize {
        usize::try_from(self.last - self.first + 1).unwrap_or_default()
    }

    fn source(&self, source: &SourceName, bins: &Timeline, count: u64) -> SourceTimetable {
        let mut rows = vec![0; self.columns()];
        let (mut before, mut after) = (0, 0);
        for &(bin, n) in &bins.bins {
            let column = usize::try_from(bin - self.first).ok();
            match column.map(|column| rows.get_mut(column)) {
                Some(Some(column)) => *column += n,
                Some(None) => after += n,
                None => before += n,
            }
        }
        let timed = bins.bins.iter().map(|(_, rows)| rows).sum::<u64>();
        let timeless = count.saturating_sub(timed);
        SourceTimetable { source: source.clone(), rows, before, after, timeless }
    }
}

/// Returns the bin in which the running total of rows first exceeds `rare`.
fn first_common<'b>(bins: impl Iterator<Item = &'b (i64, u64)>, rare: u64) -> Option<i64> {
    let mut passed = 0;
    for &(bin, rows) in bins {
        passed += rows;
        if passed > rare {
            return Some(bin);
        }
    }
    None
}
