//! The distribution of a log's rows over time, small enough for the manifest (FORMAT.md, "Timeline").

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::limits::{MAX_COUNT, MAX_TIMELINE_BINS};
use super::timestamp::{RowTime, Timestamp};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The possible bin widths in milliseconds. Each is a multiple of the previous one, so merging bins is exact.
const STEPS_MS: [u64; 27] = [
    SECOND,
    2 * SECOND,
    10 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    4 * DAY,
    8 * DAY,
    16 * DAY,
    32 * DAY,
    64 * DAY,
    128 * DAY,
    256 * DAY,
    512 * DAY,
    1024 * DAY,
    4096 * DAY,
    16_384 * DAY,
    65_536 * DAY,
    262_144 * DAY,
];

/// Row counts in bins of equal width. Empty bins are left out, so a stray timestamp costs only one bin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// The width of a bin in milliseconds.
    #[cfg_attr(feature = "schema", schemars(extend("enum" = STEPS_MS)))]
    pub step_ms: u64,
    /// Pairs of a bin number and a row count, in order. Bin `n` covers the times from `n * stepMs` up to, but
    /// excluding, `(n + 1) * stepMs`, in milliseconds since 1970.
    #[serde(deserialize_with = "bins")]
    #[cfg_attr(feature = "schema", schemars(length(max = MAX_TIMELINE_BINS)))]
    pub bins: Vec<(i64, u64)>,
}

/// Deserializes at most one bin more than the limit, which is enough to show that there are too many.
fn bins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(i64, u64)>, D::Error> {
    super::bounded::first_items(deserializer, MAX_TIMELINE_BINS + 1)
}

impl Timeline {
    /// Returns true if the step, the bins and the row counts are valid for a timeline.
    pub(crate) fn is_sound(&self) -> bool {
        STEPS_MS.contains(&self.step_ms)
            && self.bins.len() <= MAX_TIMELINE_BINS
            && self.bins.is_sorted_by(|a, b| a.0 < b.0)
            && self.bins.iter().all(|&(bin, rows)| self.can_hold(bin, rows))
    }

    /// Returns true if bin `bin` can hold `rows` rows. A bin outside the valid timestamps cannot hold any.
    fn can_hold(&self, bin: i64, rows: u64) -> bool {
        let bin_of = |millis: i64| millis.div_euclid(self.step_ms.cast_signed());
        let times = bin_of(Timestamp::EARLIEST)..=bin_of(Timestamp::LATEST);
        self.start_of(bin).is_some() && rows <= MAX_COUNT && (rows == 0 || times.contains(&bin))
    }

    /// Returns a copy without empty bins, which are optional.
    #[must_use]
    pub(crate) fn without_empty_bins(&self) -> Self {
        let bins = self.bins.iter().copied().filter(|(_, rows)| *rows > 0).collect();
        Self { step_ms: self.step_ms, bins }
    }

    /// Returns the same rows in bins of `step_ms`, which must be one of the format's steps and at least the current
    /// one.
    #[must_use]
    pub(crate) fn coarsened_to(&self, step_ms: u64) -> Self {
        let ratio = (step_ms / self.step_ms).max(1).cast_signed();
        let mut bins = BTreeMap::<i64, u64>::new();
        for (bin, rows) in &self.bins {
            *bins.entry(bin.div_euclid(ratio)).or_default() += rows;
        }
        Self { step_ms: step_ms.max(self.step_ms), bins: bins.into_iter().collect() }
    }

    /// Returns the next coarser step than `step_ms`, or `step_ms` itself if it is the coarsest.
    #[must_use]
    pub fn coarser_step(step_ms: u64) -> u64 {
        STEPS_MS.into_iter().find(|step| *step > step_ms).unwrap_or(step_ms)
    }

    /// Returns the start of bin `bin` in milliseconds since 1970.
    #[must_use]
    pub(crate) fn start_of(&self, bin: i64) -> Option<i64> {
        bin.checked_mul(i64::try_from(self.step_ms).ok()?)
    }
}

/// The earliest and the latest of a set of timestamps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeSpan {
    /// The earliest timestamp.
    pub first: Option<Timestamp>,
    /// The latest timestamp.
    pub last: Option<Timestamp>,
}

impl TimeSpan {
    pub(super) fn add(&mut self, time: Timestamp) {
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = Some(self.last.map_or(time, |last| last.max(time)));
    }

    /// Returns the span of the rows of both.
    pub(crate) fn union(mut self, other: Self) -> Self {
        [other.first, other.last].into_iter().flatten().for_each(|time| self.add(time));
        self
    }
}

/// An accumulator of row timestamps. The result does not depend on the order of the rows or on how they are grouped.
#[derive(Debug, Clone, Default)]
pub struct RowTimes {
    span: TimeSpan,
    timeline: TimelineBuilder,
    has_other_forms: bool,
}

impl RowTimes {
    /// Returns the timestamps that a manifest gives. A timeline that cannot be true is ignored.
    #[must_use]
    pub fn of(span: TimeSpan, timeline: Option<&Timeline>) -> Self {
        let timeline = timeline.filter(|timeline| timeline.is_sound()).map(|timeline| TimelineBuilder {
            step_ms: timeline.step_ms,
            bins: timeline.without_empty_bins().bins.into_iter().collect(),
        });
        Self { span, timeline: timeline.unwrap_or_default(), has_other_forms: false }
    }

    /// Adds the timestamp of a row, if the row has one.
    pub fn add_row(&mut self, row: RowTime) {
        self.has_other_forms |= row.is_in_other_form;
        row.timestamp.into_iter().for_each(|time| self.add(time));
    }

    /// Returns true if the timestamps may differ from those that another program finds in the same rows.
    #[must_use]
    pub fn has_other_forms(&self) -> bool {
        self.has_other_forms
    }

    /// Adds a row's timestamp.
    pub fn add(&mut self, time: Timestamp) {
        self.span.add(time);
        self.timeline.add(time);
    }

    /// Adds the rows of `other`.
    pub fn merge(&mut self, other: &Self) {
        for time in [other.span.first, other.span.last].into_iter().flatten() {
            self.span.add(time);
        }
        self.timeline.merge(&other.timeline);
        self.has_other_forms |= other.has_other_forms;
    }

    /// Returns the earliest and the latest timestamp.
    #[must_use]
    pub fn span(&self) -> TimeSpan {
        self.span
    }

    /// Returns the distribution of the rows, or `None` if there are none.
    #[must_use]
    pub fn timeline(&self) -> Option<Timeline> {
        Some(self.timeline.as_timeline()).filter(|timeline| !timeline.bins.is_empty())
    }
}

/// A builder that counts rows into a [`Timeline`]. Timestamps may arrive in any order.
#[derive(Debug, Clone)]
struct TimelineBuilder {
    step_ms: u64,
    bins: BTreeMap<i64, u64>,
}

impl Default for TimelineBuilder {
    fn default() -> Self {
        Self { step_ms: STEPS_MS[0], bins: BTreeMap::new() }
    }
}

impl TimelineBuilder {
    fn add(&mut self, time: Timestamp) {
        *self.bins.entry(time.as_millis().div_euclid(self.step_ms.cast_signed())).or_default() += 1;
        while self.bins.len() > MAX_TIMELINE_BINS {
            *self = self.coarsened();
        }
    }

    /// Adds the rows of `other`. The result is the same as if one builder had counted all rows.
    fn merge(&mut self, other: &Self) {
        let step = self.step_ms.max(other.step_ms);
        let both = [&*self, other].map(|half| half.as_timeline().coarsened_to(step));
        let mut bins = BTreeMap::new();
        for (bin, rows) in both.into_iter().flat_map(|half| half.bins) {
            *bins.entry(bin).or_default() += rows;
        }
        *self = Self { step_ms: step, bins };
        while self.bins.len() > MAX_TIMELINE_BINS {
            *self = self.coarsened();
        }
    }

    fn as_timeline(&self) -> Timeline {
        Timeline { step_ms: self.step_ms, bins: self.bins.iter().map(|(&bin, &rows)| (bin, rows)).collect() }
    }

    fn coarsened(&self) -> Self {
        let coarser = self.as_timeline().coarsened_to(Timeline::coarser_step(self.step_ms));
        Self { step_ms: coarser.step_ms, bins: coarser.bins.into_iter().collect() }
    }
}
