//! Compares the lines of a log with those that the history has, and selects the new ones.

use std::collections::HashMap;
use std::ops::Range;

use super::line_text::rotated;
use super::log_snapshot::LogPart;
use super::notes::NotedLines;
use super::overlap::{LineState, Overlap, read_lines};
use crate::align::{Fingerprint, Fingerprinter, LineKeying, RowKeys, Side, each_line};
use crate::error::Result;
use crate::format::Timestamp;
use crate::format::row::classify;

/// Consecutive lines of an earlier version of a log.
#[derive(Clone)]
pub enum KnownPart {
    Text(LogPart),
    /// The notes on the lines.
    Noted(NotedLines),
}

impl KnownPart {
    /// Appends the lines that are not blank to a side that will be indexed.
    fn read_into(&self, rules: LineRules, side: &mut Side) -> Result<()> {
        match self {
            Self::Text(part) => {
                read_lines(part.reader()?, rules.keys, LineKeying::Fingerprint(rules.fingerprinter), side)
            }
            Self::Noted(lines) => {
                lines.read_into(side);
                Ok(())
            }
        }
    }

    /// Removes up to `rows` rows from the start, with the other lines between them. Returns the
    /// number of rows that were removed.
    pub fn skip_rows(&mut self, rows: u64) -> Result<u64> {
        let part = match self {
            Self::Noted(lines) => return Ok(lines.skip_rows(rows)),
            Self::Text(part) => part,
        };
        let (mut skipped_bytes, mut left) = (0, rows);
        each_line(part.reader()?, |line| {
            if left > 0 {
                skipped_bytes += line.bytes.len() as u64 + u64::from(line.terminated);
                left -= u64::from(classify(line.bytes, &[]).is_some());
            }
            Ok(())
        })?;
        part.bytes.start += skipped_bytes;
        Ok(rows - left)
    }
}

/// The lines of an earlier version of a log, oldest first.
#[derive(Clone, Default)]
pub struct KnownLines {
    pub parts: Vec<KnownPart>,
    /// The number of rows at the end that this run has found. Earlier segments have the others.
    pub fresh_rows: u64,
}

/// The parameters of a comparison of lines.
#[derive(Clone, Copy)]
pub struct LineRules {
    pub keys: RowKeys,
    pub fingerprinter: Fingerprinter,
    /// True if a rotation may have removed rows that were appended while it ran.
    pub may_race: bool,
}

/// The result of a comparison.
#[derive(Debug)]
pub struct LineComparison {
    /// The new lines of each part, as ranges of bytes.
    pub new: Vec<Vec<Range<u64>>>,
    /// The number of rows of each part that earlier segments have.
    pub known_rows: Vec<u64>,
    /// The number of rows of each part that this run has found in held files.
    pub fresh_rows: Vec<u64>,
    /// The number of rows of each part that are new.
    pub new_rows: Vec<u64>,
    /// The number of rows in earlier segments that were removed from the start of the log.
    pub cut_off_rows: u64,
    /// True if no row is missing between the known lines and the new ones.
    pub continues: bool,
    /// True if known lines are missing after the start of the log.
    pub is_altered: bool,
    /// The timestamp of the last known row.
    pub last_known: Option<Timestamp>,
    /// The timestamp of the first new row.
    pub first_new: Option<Timestamp>,
}

/// A function that passes the fingerprint of every line of the logs to its argument: the lines of
/// all segments, and those that this run has found.
pub type EachFingerprint<'a> = dyn FnMut(&mut dyn FnMut(Fingerprint)) -> Result<()> + 'a;

/// Compares the lines of `now` with `known`. Calls `history` only if a line may be anywhere in the
/// history.
pub fn compare(
    known: &KnownLines,
    now: &[LogPart],
    rules: LineRules,
    history: &mut EachFingerprint<'_>,
) -> Result<LineComparison> {
    let LineRules { keys, fingerprinter, may_race } = rules;
    let mut before = Side::default();
    for part in &known.parts {
        part.read_into(rules, &mut before)?;
    }
    let index = before.index()?;
    let mut after = Side::default();
    for part in now {
        read_lines(part.reader()?, keys, LineKeying::Lookup(fingerprinter, &index), &mut after)?;
        after.end_log();
    }
    let rows_before = |line: usize| before.metas.iter().take(line).filter(|meta| meta.shape.is_row()).count() as u64;
    let earlier_rows = rows_before(before.len()).saturating_sub(known.fresh_rows);
    let overlap = Overlap::new(&before, lines_of_rows(&before, earlier_rows), index.lines(), &after, may_race);
    let Overlap { mut lines, cut_off, continues, is_altered } = overlap;
    find_elsewhere(&mut lines, now, fingerprinter, history)?;
    let time = |millis: Option<i64>| millis.and_then(Timestamp::from_millis);
    let mut compared = LineComparison {
        new: Vec::new(),
        known_rows: vec![0; now.len()],
        fresh_rows: vec![0; now.len()],
        new_rows: vec![0; now.len()],
        cut_off_rows: rows_before(cut_off).min(earlier_rows),
        continues,
        is_altered,
        last_known: time(before.metas.iter().filter_map(|meta| meta.time).last()),
        first_new: None,
    };
    for (line, (meta, state)) in after.metas.iter().zip(&lines).enumerate() {
        let counts = match state {
            LineState::New => &mut compared.new_rows,
            LineState::Fresh => &mut compared.fresh_rows,
            LineState::Known | LineState::Inserted => &mut compared.known_rows,
        };
        counts[after.log_of(line)] += u64::from(meta.shape.is_row());
        if *state == LineState::New && compared.first_new.is_none() {
            compared.first_new = time(meta.time);
        }
    }
    let mut states = lines.iter().map(|state| *state == LineState::New);
    compared.new = now.iter().map(|part| new_ranges(part, &mut states)).collect::<Result<_>>()?;
    Ok(compared)
}

/// Returns the number of lines at the start of the side that have `rows` rows, including the lines
/// before the next row.
fn lines_of_rows(side: &Side, rows: u64) -> usize {
    let mut left = rows;
    let is_within = |is_row: bool| {
        let is_within = left > 0 || !is_row;
        left = left.saturating_sub(u64::from(is_row));
        is_within
    };
    side.metas
        .iter()
        .map(|meta| meta.shape.is_row())
        .take_while({
            let mut is_within = is_within;
            move |is_row| is_within(*is_row)
        })
        .count()
}

/// Decides which inserted lines are new: those that the history does not have, or has less often.
fn find_elsewhere(
    lines: &mut [LineState],
    now: &[LogPart],
    fingerprinter: Fingerprinter,
    history: &mut EachFingerprint<'_>,
) -> Result<()> {
    if !lines.contains(&LineState::Inserted) {
        return Ok(());
    }
    let mut spare: HashMap<Fingerprint, u64> = HashMap::new();
    each_fingerprint(now, lines, fingerprinter, |print, state| {
        if *state == LineState::Inserted {
            spare.entry(print).or_default();
        }
    })?;
    history(&mut |print| {
        if let Some(count) = spare.get_mut(&print) {
            *count += 1;
        }
    })?;
    each_fingerprint(now, lines, fingerprinter, |print, state| {
        if matches!(state, LineState::Known | LineState::Fresh)
            && let Some(count) = spare.get_mut(&print)
        {
            *count = count.saturating_sub(1);
        }
    })?;
    each_fingerprint(now, lines, fingerprinter, |print, state| {
        if *state == LineState::Inserted {
            let count = spare.entry(print).or_default();
            *state = if *count > 0 { LineState::Known } else { LineState::New };
            *count = count.saturating_sub(1);
        }
    })
}

/// Passes the fingerprint of each line that is not blank to `take`.
pub fn fingerprints(part: &LogPart, fingerprinter: Fingerprinter, take: &mut dyn FnMut(Fingerprint)) -> Result<()> {
    each_line(part.reader()?, |line| {
        if let Some(text) = rotated(line.bytes) {
            take(fingerprinter.of(text.as_bytes()));
        }
        Ok(())
    })
}

/// Passes the fingerprint and the state of each line that is not blank to `take`.
fn each_fingerprint(
    now: &[LogPart],
    lines: &mut [LineState],
    fingerprinter: Fingerprinter,
    mut take: impl FnMut(Fingerprint, &mut LineState),
) -> Result<()> {
    let mut states = lines.iter_mut();
    now.iter().try_for_each(|part| {
        fingerprints(part, fingerprinter, &mut |print| {
            if let Some(state) = states.next() {
                take(print, state);
            }
        })
    })
}

/// Returns the byte ranges of the new lines. `is_new` has a value for each line that is not blank.
/// Blank lines belong to the line before them.
fn new_ranges(part: &LogPart, is_new: &mut impl Iterator<Item = bool>) -> Result<Vec<Range<u64>>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let (mut at, mut takes) = (part.bytes.start, false);
    each_line(part.reader()?, |line| {
        if rotated(line.bytes).is_some() {
            takes = is_new.next().unwrap_or_default();
        }
        let end = at + line.bytes.len() as u64 + u64::from(line.terminated);
        match ranges.last_mut().filter(|range| range.end == at) {
            _ if !takes => {}
            Some(range) => range.end = end,
            None => ranges.push(at..end),
        }
        at = end;
        Ok(())
    })?;
    Ok(ranges)
}
