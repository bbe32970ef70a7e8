//! Orders the last rows of both sides about the same run where a merge could put either last.
//! Readers use the last row about a run, so the row with the later end comes last, whichever side
//! it is on.

use std::cmp::{Ordering, Reverse};

use super::index::Side;
use super::lcs::{Alignment, LineMatch};
use super::line_meta::LineMetas;
use super::row_keys::RunRow;

/// A constraint that a row must follow a row of the other side, because it ends the same run later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowConstraint {
    /// The row's line number on its side.
    line: usize,
    /// The line number of the other row.
    other: usize,
    row: RunRow,
}

impl RowConstraint {
    /// Returns true if the other row is not yet written: its side continues with line `next`.
    pub fn is_unmet(&self, next: usize) -> bool {
        next <= self.other
    }

    /// Compares the rows of two constraints that block each other. The lesser row comes first.
    pub fn cmp_rows(&self, other: &Self) -> Ordering {
        (self.row.ended, self.row.run).cmp(&(other.row.ended, other.row.run))
    }
}

/// The constraints on rows of one side, in the order of their lines.
#[derive(Debug, Default)]
pub struct RowConstraints(Vec<RowConstraint>);

impl RowConstraints {
    /// Returns the constraint on line `line`, if any.
    pub fn of(&self, line: usize) -> Option<&RowConstraint> {
        let at = self.0.binary_search_by_key(&line, |constraint| constraint.line).ok()?;
        self.0.get(at)
    }
}

/// The constraints on the rows of both sides.
#[derive(Debug, Default)]
pub struct RunOrder {
    pub local: RowConstraints,
    pub bundle: RowConstraints,
}

impl RunOrder {
    /// Finds the runs whose last rows differ on the two sides although either could come last,
    /// because both rows are between the same two common lines.
    pub fn new(local: &Side, bundle: &Side, alignment: &Alignment) -> Self {
        let mut order = Self::default();
        let mut pairs = last_rows(&local.metas, &bundle.metas, alignment);
        if pairs.is_empty() {
            return order;
        }
        keep_free(&mut pairs, alignment);
        let in_bundle = rows_at(&bundle.metas, pairs.iter().map(|pair| pair.bundle));
        let in_local = rows_at(&local.metas, pairs.iter().map(|pair| pair.local));
        for (pair, (local, bundle)) in pairs.iter().zip(in_local.into_iter().zip(in_bundle)) {
            let constraint =
                |line: u32, other: u32, row| RowConstraint { line: line as usize, other: other as usize, row };
            match local.ended.cmp(&bundle.ended) {
                Ordering::Greater => order.local.0.push(constraint(pair.local, pair.bundle, local)),
                Ordering::Less => order.bundle.0.push(constraint(pair.bundle, pair.local, bundle)),
                Ordering::Equal => {}
            }
        }
        order.local.0.sort_unstable_by_key(|constraint| constraint.line);
        order.bundle.0.sort_unstable_by_key(|constraint| constraint.line);
        order
    }
}

/// The last rows of both sides about one run.
#[derive(Debug, Clone, Copy)]
struct Pair {
    local: u32,
    bundle: u32,
}

/// Returns the pairs of last rows whose bundle row is new.
fn last_rows(local: &LineMetas, bundle: &LineMetas, alignment: &Alignment) -> Vec<Pair> {
    let mut in_bundle = last_rows_of(bundle, |_| true);
    in_bundle.retain(|(_, line)| alignment.of(*line as usize) == LineMatch::New);
    let is_in_bundle = |run: u32| in_bundle.binary_search_by_key(&run, |(run, _)| *run).is_ok();
    let in_local = last_rows_of(local, is_in_bundle);
    let mut bundled = in_bundle.iter();
    let pair = |(run, local): (u32, u32)| {
        let (_, bundle) = bundled.find(|(other, _)| *other == run)?;
        Some(Pair { local, bundle: *bundle })
    };
    in_local.into_iter().filter_map(pair).collect()
}

/// Returns each wanted run with the line number of its last row, sorted by run.
fn last_rows_of(metas: &LineMetas, is_wanted: impl Fn(u32) -> bool) -> Vec<(u32, u32)> {
    let rows = (0..).zip(metas.iter()).filter_map(|(line, meta)| meta.run.map(|row| (row.run, line)));
    let mut rows: Vec<(u32, u32)> = rows.filter(|(run, _)| is_wanted(*run)).collect();
    rows.sort_unstable_by_key(|(run, line)| (*run, Reverse(*line)));
    rows.dedup_by_key(|(run, _)| *run);
    rows
}

/// Keeps the pairs whose local row is not in the bundle, and whose rows are between the same two
/// common lines.
fn keep_free(pairs: &mut Vec<Pair>, alignment: &Alignment) {
    let mut gaps = vec![0; pairs.len()];
    let mut matched = matches(alignment).peekable();
    let mut before = 0_u32;
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_unstable_by_key(|at| pairs[*at].bundle);
    for at in order.iter().copied() {
        while matched.next_if(|(_, bundle)| *bundle < pairs[at].bundle).is_some() {
            before += 1;
        }
        gaps[at] = before;
    }
    order.sort_unstable_by_key(|at| pairs[*at].local);
    let mut matched = matches(alignment).peekable();
    before = 0;
    let mut is_free = vec![false; pairs.len()];
    for at in order {
        while matched.next_if(|(local, _)| *local < pairs[at].local).is_some() {
            before += 1;
        }
        let is_matched = matched.peek().is_some_and(|(local, _)| *local == pairs[at].local);
        is_free[at] = !is_matched && gaps[at] == before;
    }
    let mut is_free = is_free.into_iter();
    pairs.retain(|_| is_free.next().unwrap_or_default());
}

/// Returns the line numbers (local, bundle) of the common lines. Both numbers ascend.
fn matches(alignment: &Alignment) -> impl Iterator<Item = (u32, u32)> {
    (0..).zip((0..alignment.len()).map(|line| alignment.of(line))).filter_map(|(bundle, line_match)| match line_match {
        LineMatch::With(local) => Some((local, bundle)),
        LineMatch::New | LineMatch::Elsewhere => None,
    })
}

/// Returns the rows on the given lines.
fn rows_at(metas: &LineMetas, lines: impl Iterator<Item = u32>) -> Vec<RunRow> {
    let mut lines: Vec<(u32, usize)> = lines.zip(0..).collect();
    lines.sort_unstable();
    let mut rows = vec![RunRow { run: 0, ended: None }; lines.len()];
    let mut wanted = lines.into_iter().peekable();
    for (line, meta) in (0..).zip(metas.iter()) {
        if let Some((_, at)) = wanted.next_if(|(wanted, _)| *wanted == line)
            && let Some(row) = meta.run
        {
            rows[at] = row;
        }
    }
    rows
}
