//! Aligns a bundle's lines with the local lines by a longest common subsequence.

use super::index::UNMATCHED;

/// The match of a line of the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineMatch {
    /// The local side does not have the line, or has it less often.
    New,
    /// The line matches this local line.
    With(u32),
    /// The local side has the line, but at another position in its order.
    Elsewhere,
}

/// The match of each line of the bundle, in four bytes per line.
#[derive(Debug, Default)]
pub struct Alignment(Vec<u32>);

impl Alignment {
    const NEW: u32 = u32::MAX;
    const ELSEWHERE: u32 = u32::MAX - 1;

    /// Returns the match of line `line` of the bundle, counted from 0.
    pub fn of(&self, line: usize) -> LineMatch {
        match self.0[line] {
            Self::NEW => LineMatch::New,
            Self::ELSEWHERE => LineMatch::Elsewhere,
            local => LineMatch::With(local),
        }
    }

    /// Returns the number of lines of the bundle.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn pair(&mut self, local: usize, bundle: usize) {
        self.0[bundle] = number(local);
    }
}

/// Aligns two sequences of lines, given by their ids. On one side, the ids are line numbers of that
/// side, below `distinct`. On the other side, they are the same numbers or [`UNMATCHED`].
///
/// If the bundle has a line more often than the local side, the surplus is new. The other lines are
/// matched so that as many as possible have the same order on both sides (a longest common
/// subsequence). If thousands of equal lines make that too expensive, equal lines are matched only
/// by their rank from the start or the end.
pub fn align(local: &[u32], bundle: &[u32], distinct: usize) -> Alignment {
    let mut alignment = Alignment(vec![Alignment::NEW; bundle.len()]);
    if !embed(local, bundle, &mut alignment) {
        let start = local.iter().zip(bundle).take_while(|(a, b)| a == b).count();
        let (local_rest, bundle_rest) = (&local[start..], &bundle[start..]);
        let end = local_rest.iter().rev().zip(bundle_rest.iter().rev()).take_while(|(a, b)| a == b).count();
        let (local_end, bundle_end) = (local.len() - end, bundle.len() - end);
        let middle = UnalignedLines { local: &local[start..local_end], bundle: &bundle[start..bundle_end], distinct };
        middle.each_common_line(|local, bundle| alignment.pair(local + start, bundle + start));
        (0..start).for_each(|at| alignment.pair(at, at));
        (0..end).for_each(|at| alignment.pair(local_end + at, bundle_end + at));
    }
    find_elsewhere(local, bundle, distinct, &mut alignment);
    alignment
}

/// Matches all local lines if the bundle has them in the same order, and returns true if so. This
/// is the case if the local lines are the start, the end or any part of the bundle's lines.
fn embed(local: &[u32], bundle: &[u32], alignment: &mut Alignment) -> bool {
    let mut next = 0;
    for (at, id) in bundle.iter().enumerate() {
        if local.get(next) == Some(id) {
            alignment.pair(next, at);
            next += 1;
        }
    }
    if next < local.len() {
        alignment.0.fill(Alignment::NEW);
    }
    next == local.len()
}

/// Marks unmatched lines of the bundle as [`Elsewhere`](LineMatch::Elsewhere) if an equal local
/// line is unmatched too.
fn find_elsewhere(local: &[u32], bundle: &[u32], distinct: usize, alignment: &mut Alignment) {
    let mut unmatched = counts(local, distinct);
    for (line_match, id) in alignment.0.iter().zip(bundle) {
        if *line_match != Alignment::NEW {
            unmatched[*id as usize] -= 1;
        }
    }
    for (line_match, id) in alignment.0.iter_mut().zip(bundle) {
        if *line_match == Alignment::NEW
            && let Some(spare) = unmatched.get_mut(*id as usize)
            && *spare > 0
        {
            *spare -= 1;
            *line_match = Alignment::ELSEWHERE;
        }
    }
}

/// Returns the number of lines with each id.
fn counts(lines: &[u32], distinct: usize) -> Vec<u32> {
    let mut counts = vec![0; distinct];
    for id in lines.iter().filter(|id| **id != UNMATCHED) {
        counts[*id as usize] += 1;
    }
    counts
}

/// Converts a line number, which fits because an [`Index`](super::index::Index) and
/// [`Side`](super::index::Side) hold fewer lines.
#[allow(clippy::cast_possible_truncation, reason = "checked when the lines are counted")]
fn number(line: usize) -> u32 {
    line as u32
}

/// The value of [`LcsPair::before`] for the first pair of a chain.
const NONE: u32 = u32::MAX;

/// A pair of equal lines, with the index of the previous pair in the longest chain that ends with
/// it.
struct LcsPair {
    local: u32,
    bundle: u32,
    before: u32,
}

/// The lines of both sides between their common start and their common end.
struct UnalignedLines<'m> {
    local: &'m [u32],
    bundle: &'m [u32],
    distinct: usize,
}

impl UnalignedLines<'_> {
    /// Finds the longest chain of pairs that ascends on both sides, by the Hunt–Szymanski
    /// algorithm, and passes its pairs to `take`, last pair first.
    fn each_common_line(&self, mut take: impl FnMut(usize, usize)) {
        if self.local.is_empty() || self.bundle.is_empty() {
            return;
        }
        let mut candidates = Candidates::new(self);
        let mut pairs: Vec<LcsPair> = Vec::new();
        // For each length, the last pair of the chain that ends earliest in the bundle.
        let mut chains: Vec<u32> = Vec::new();
        for (at, id) in self.local.iter().enumerate().filter(|(_, id)| **id != UNMATCHED) {
            // In descending order, so that no chain contains the same local line twice.
            candidates.each_descending(*id, |found| {
                let length = chains.partition_point(|pair| pairs[*pair as usize].bundle < found);
                if chains.get(length).is_some_and(|pair| pairs[*pair as usize].bundle == found) {
                    return;
                }
                let before = length.checked_sub(1).map_or(NONE, |shorter| chains[shorter]);
                let pair = number(pairs.len());
                pairs.push(LcsPair { local: number(at), bundle: found, before });
                match chains.get_mut(length) {
                    Some(last) => *last = pair,
                    None => chains.push(pair),
                }
            });
        }
        let mut next = chains.last().copied().unwrap_or(NONE);
        while let Some(pair) = pairs.get(next as usize) {
            take(pair.local as usize, pair.bundle as usize);
            next = pair.before;
        }
    }
}

/// The lines of the bundle that a local line may be matched with.
struct Candidates {
    /// The bundle's line numbers, sorted by id and then ascending.
    positions: Vec<u32>,
    /// The end of each id's range in `positions`. A range starts where that of the previous id
    /// ends.
    ends: Vec<u32>,
    /// For each id, the number of its local occurrences that are still to come, and of those
    /// already passed. `None` unless there are too many equal lines to try all pairs.
    occurrences: Option<Vec<(u32, u32)>>,
}

impl Candidates {
    fn new(middle: &UnalignedLines<'_>) -> Self {
        let UnalignedLines { local, bundle, distinct } = *middle;
        let mut ends = counts(bundle, distinct);
        let all_pairs: u64 = local.iter().filter_map(|id| ends.get(*id as usize)).map(|count| u64::from(*count)).sum();
        let affordable = 8 * (local.len() + bundle.len()) as u64 + (1 << 20);
        let occurrences =
            (all_pairs > affordable).then(|| counts(local, distinct).into_iter().map(|all| (all, 0)).collect());
        // Turns the counts into the start of each id's range, which the loop below then moves to
        // its end.
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        let mut positions = vec![0; start as usize];
        for (at, id) in bundle.iter().enumerate().filter(|(_, id)| **id != UNMATCHED) {
            let end = &mut ends[*id as usize];
            positions[*end as usize] = number(at);
            *end += 1;
        }
        Self { positions, ends, occurrences }
    }

    /// Passes the candidates for the next local line with this id to `take`, in descending order.
    fn each_descending(&mut self, id: u32, mut take: impl FnMut(u32)) {
        let id = id as usize;
        let start = id.checked_sub(1).map_or(0, |before| self.ends[before]);
        let positions = &self.positions[start as usize..self.ends[id] as usize];
        let occurrence = self.occurrences.as_mut().map(|occurrences| &mut occurrences[id]);
        let Some((remaining, rank)) = occurrence.filter(|_| positions.len() > 2).map(next_occurrence) else {
            return positions.iter().rev().for_each(|position| take(*position));
        };
        let from_start = positions.get(rank as usize);
        let from_end = positions.len().checked_sub(remaining as usize).map(|at| &positions[at]);
        let later = from_start.max(from_end);
        let earlier = from_start.min(from_end).filter(|earlier| Some(*earlier) != later);
        later.into_iter().chain(earlier).for_each(|position| take(*position));
    }
}

/// Returns the counts of an id at its next occurrence (to come, passed), and updates them.
fn next_occurrence(occurrence: &mut (u32, u32)) -> (u32, u32) {
    let next = (occurrence.0 - 1, occurrence.1 + 1);
    std::mem::replace(occurrence, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids: a line that occurs many times, one that occurs twice, and from [`MARK`] on, lines that
    /// occur once.
    const SAME: u32 = 0;
    const TWICE: u32 = 1;
    const MARK: u32 = 2;
    /// A line that only the bundle has. Lines that only the local side has are [`UNMATCHED`].
    const OWN: u32 = MARK + 6000;

    /// Returns the marks `from..to`, each followed by an equal line.
    fn marked(from: u32, to: u32) -> Vec<u32> {
        (from..to).flat_map(|mark| [MARK + mark, SAME]).collect()
    }

    /// Returns the local line that each line of the bundle is matched with, if any.
    fn matched(local: &[u32], bundle: &[u32]) -> Vec<Option<usize>> {
        let distinct = 1 + *bundle.iter().chain(local).filter(|id| **id != UNMATCHED).max().unwrap_or(&0) as usize;
        let alignment = align(local, bundle, distinct);
        let line = |at| match alignment.of(at) {
            LineMatch::With(line) => Some(line as usize),
            LineMatch::New | LineMatch::Elsewhere => None,
        };
        (0..alignment.len()).map(line).collect()
    }

    fn count(matched: &[Option<usize>]) -> usize {
        matched.iter().flatten().count()
    }

    #[test]
    fn all_pairs_of_equal_lines_are_tried_up_to_the_limit() {
        let bundle = [marked(0, 1000), vec![SAME; 40]].concat();
        let all_pairs = 1040 * 1040 + 1000;
        let affordable = |others: usize| 8 * (2 * 2040 + others) + (1 << 20);
        for (others, is_affordable) in [(173, true), (172, false)] {
            assert_eq!(all_pairs <= affordable(others), is_affordable);
            let local = [vec![SAME; 40], marked(0, 1000), vec![UNMATCHED; others]].concat();
            let matched = matched(&local, &bundle);
            if is_affordable {
                let marks = (0..2000).map(|line| Some(40 + line)).chain([None; 40]);
                assert!(matched.iter().copied().eq(marks));
            } else {
                // Equal lines match by rank only, so the matches of the marks between them are not
                // found.
                assert_eq!(count(&matched), 1040);
            }
        }
    }

    #[test]
    fn thousands_of_equal_lines_are_matched_by_rank_from_the_start_or_the_end() {
        let bundle = [vec![OWN], marked(0, 2000), vec![OWN]].concat();
        // The local side has other lines in place of the first quarter, the last quarter, or
        // neither.
        for (from, to) in [(0, 1500), (500, 2000), (0, 2000)] {
            let local = [vec![UNMATCHED], marked(from, to), vec![UNMATCHED; 2]].concat();
            let there = 1 + 2 * from as usize..1 + 2 * to as usize;
            let expected = (0..bundle.len()).map(|line| there.contains(&line).then(|| 1 + line - there.start));
            assert!(matched(&local, &bundle).into_iter().eq(expected), "{from} to {to}");
        }
    }

    #[test]
    fn all_pairs_of_lines_that_occur_twice_are_tried_among_thousands_of_equal_lines() {
        let (one, other) = (MARK + 5000, MARK + 5001);
        let many = marked(0, 2000);
        let local = [vec![one, TWICE, other, TWICE, UNMATCHED], many.clone(), vec![UNMATCHED]].concat();
        let bundle = [vec![TWICE, one, TWICE, other], many, vec![OWN; 2]].concat();
        let matched = matched(&local, &bundle);
        assert_eq!(matched[..6], [None, Some(0), Some(1), Some(2), Some(5), Some(6)]);
        assert_eq!(count(&matched), 4003);
    }
}
