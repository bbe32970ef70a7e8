//! Finds the lines of a log that a history already has.
//!
//! Rotation removes the oldest lines of a log, so a log usually begins with lines that the history
//! ends with. Other programs may have inserted or changed lines. Lines are compared as rotation
//! rewrites them.

use std::collections::BTreeSet;
use std::io::Read;

use super::line_text::rotated;
use crate::align::{Alignment, LineKeying, LineMatch, RowKeys, Side, align, each_line};
use crate::error::Result;
use crate::util::line_reader::Line;

/// The maximum time, in milliseconds, between the first and the last of the newest rows that a
/// rotation without the writers' lock removes.
const MAX_RACE_MS: i64 = 60_000;

/// The number of distinct lines without a timestamp that prove as much as one with a timestamp.
const MIN_DISTINCT: usize = 20;

/// The state of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineState {
    /// Earlier segments have it.
    Known,
    /// This run has found it in a held file.
    Fresh,
    /// It precedes a known line. The history may have it at another position.
    Inserted,
    /// It follows all known lines.
    New,
}

impl LineState {
    /// Returns the state of the known line with the number `known`. The first `earlier` known lines
    /// are in earlier segments.
    fn of_known(known: usize, earlier: usize) -> Self {
        if known < earlier { Self::Known } else { Self::Fresh }
    }
}

/// The comparison of a log with the lines that the history has of it.
#[derive(Debug)]
pub struct Overlap {
    /// The state of each line of the log that is not blank.
    pub lines: Vec<LineState>,
    /// The number of known lines that were removed from the start of the log.
    pub cut_off: usize,
    /// True if the log has the last known row, so that no row is missing between the history and
    /// the new lines.
    pub continues: bool,
    /// True if known lines are missing after the start of the log, where rotation removes none.
    pub is_altered: bool,
}

/// Appends the lines of a log that are not blank to a side.
pub fn read_lines(log: impl Read, keys: RowKeys, keying: LineKeying<'_>, side: &mut Side) -> Result<()> {
    each_line(log, |line| {
        if let Some(text) = rotated(line.bytes) {
            side.push(Line { bytes: text.as_bytes(), terminated: line.terminated }, keys, keying);
        }
        Ok(())
    })
}

impl Overlap {
    /// Compares the lines `now` of a log with the lines `known` of its earlier version, the first
    /// `earlier` of which are in earlier segments. `may_race` is true if a rotation may have
    /// removed rows that were appended while it ran. Both sides have ids of the same index, less
    /// than `distinct`.
    pub fn new(known: &Side, earlier: usize, distinct: usize, now: &Side, may_race: bool) -> Self {
        let length = common_length(&known.ids, &now.ids);
        let has_time = now.metas.iter().take(length).any(|meta| meta.time.is_some());
        if has_time || has_many_distinct(&now.ids[..length]) {
            let cut_off = known.len() - length;
            let state = |line| match line < length {
                true => LineState::of_known(cut_off + line, earlier),
                false => LineState::New,
            };
            return Self { lines: (0..now.len()).map(state).collect(), cut_off, continues: true, is_altered: false };
        }
        Self::of_alignment(known, earlier, now, &align(&known.ids, &now.ids, distinct), may_race)
    }

    fn of_alignment(known: &Side, earlier: usize, now: &Side, alignment: &Alignment, may_race: bool) -> Self {
        let mut is_matched = vec![false; known.len()];
        let mut last_match = None;
        for line in 0..now.len() {
            if let LineMatch::With(of_known) = alignment.of(line) {
                is_matched[of_known as usize] = true;
                last_match = Some(line);
            }
        }
        let state = |line| match alignment.of(line) {
            LineMatch::With(known) => LineState::of_known(known as usize, earlier),
            LineMatch::New | LineMatch::Elsewhere if last_match.is_some_and(|last| line < last) => LineState::Inserted,
            LineMatch::New | LineMatch::Elsewhere => LineState::New,
        };
        let lines = (0..now.len()).map(state).collect();
        let first = is_matched.iter().position(|matched| *matched);
        let last = is_matched.iter().rposition(|matched| *matched);
        let (Some(first), Some(last)) = (first, last) else {
            // Without any match, each line may be an old one that the history has.
            let lines = vec![LineState::Inserted; now.len()];
            return Self { lines, cut_off: known.len(), continues: known.len() == 0, is_altered: false };
        };
        let times: Vec<_> = known.metas.iter().map(|meta| meta.time).collect();
        let has_time = times.iter().zip(&is_matched).any(|(time, matched)| *matched && time.is_some());
        let matched: Vec<_> =
            known.ids.iter().zip(&is_matched).filter(|(_, matched)| **matched).map(|(id, _)| *id).collect();
        let has_telling_match = has_time || has_many_distinct(&matched);
        let gone: Vec<_> = times[last + 1..].iter().flatten().copied().collect();
        let is_race = || {
            let span = gone.iter().max().zip(gone.iter().min()).map(|(last, first)| last.saturating_sub(*first));
            may_race && span.is_none_or(|span| span <= MAX_RACE_MS)
        };
        Self {
            lines,
            cut_off: first,
            continues: has_telling_match && (last + 1 == known.len() || is_race()),
            is_altered: is_matched[first..last].contains(&false),
        }
    }
}

/// Returns true if so many lines are distinct that others cannot equal them by chance. A single row
/// with a timestamp proves as much.
fn has_many_distinct(ids: &[u32]) -> bool {
    let mut distinct = BTreeSet::new();
    ids.iter().any(|id| distinct.insert(id) && distinct.len() >= MIN_DISTINCT)
}

/// Returns the length of the longest suffix of `known` that is a prefix of `now`.
fn common_length(known: &[u32], now: &[u32]) -> usize {
    // The prefix function of Knuth, Morris and Pratt: for each prefix of `now`, the length of the
    // longest shorter prefix that is also its suffix.
    let mut shorter = vec![0; now.len()];
    let mut length = 0;
    for at in 1..now.len() {
        while length > 0 && now[at] != now[length] {
            length = shorter[length - 1];
        }
        length += usize::from(now[at] == now[length]);
        shorter[at] = length;
    }
    let mut length = 0;
    for id in known {
        while length > 0 && (length == now.len() || now[length] != *id) {
            length = shorter[length - 1];
        }
        length += usize::from(now.get(length) == Some(id));
    }
    length
}
