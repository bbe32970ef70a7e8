//! Finds out which of a bundle's lines this machine has already, and where in its order they stand.

use super::index::UNMATCHED;

/// What becomes of a line of the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineMatch {
    /// This machine does not have it, or not as often.
    New,
    /// It is this local line.
    With(u32),
    /// It is some local line, but one that stands elsewhere in the local order.
    Elsewhere,
}

/// What becomes of each line of the bundle, in four bytes.
#[derive(Debug, Default)]
pub(super) struct Alignment(Vec<u32>);

impl Alignment {
    const NEW: u32 = u32::MAX;
    const ELSEWHERE: u32 = u32::MAX - 1;

    /// What becomes of line `line` of the bundle, from 0.
    pub(super) fn of(&self, line: usize) -> LineMatch {
        match self.0[line] {
            Self::NEW => LineMatch::New,
            Self::ELSEWHERE => LineMatch::Elsewhere,
            local => LineMatch::With(local),
        }
    }

    /// How many lines the bundle has.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn pair(&mut self, local: usize, bundle: usize) {
        self.0[bundle] = number(local);
    }
}

/// Compares two sequences of lines, given by their ids. On one side, these are line numbers of that side, below
/// `distinct`; on the other, the same or [`UNMATCHED`].
///
/// As many lines of the bundle are new as it has more of each than this machine. The others are matched so that as
/// many as possible stand in one order on both sides (a longest common subsequence). Where that is too much work, for
/// thousands of equal lines, equal lines are matched by their place from the start or the end only.
pub(super) fn align(local: &[u32], bundle: &[u32], distinct: usize) -> Alignment {
    let mut fates = Alignment(vec![Alignment::NEW; bundle.len()]);
    if !embed(local, bundle, &mut fates) {
        let start = local.iter().zip(bundle).take_while(|(a, b)| a == b).count();
        let (local_rest, bundle_rest) = (&local[start..], &bundle[start..]);
        let end = local_rest.iter().rev().zip(bundle_rest.iter().rev()).take_while(|(a, b)| a == b).count();
        let (local_end, bundle_end) = (local.len() - end, bundle.len() - end);
        let middle = UnalignedLines { local: &local[start..local_end], bundle: &bundle[start..bundle_end], distinct };
        middle.each_common_line(|local, bundle| fates.pair(local + start, bundle + start));
        (0..start).for_each(|at| fates.pair(at, at));
        (0..end).for_each(|at| fates.pair(local_end + at, bundle_end + at));
    }
    find_elsewhere(local, bundle, distinct, &mut fates);
    fates
}

/// Matches all local lines in the bundle's order, if they stand there in this order: when this machine has the start,
/// the end, or any part of what the bundle has.
fn embed(local: &[u32], bundle: &[u32], fates: &mut Alignment) -> bool {
    let mut next = 0;
    for (at, id) in bundle.iter().enumerate() {
        if local.get(next) == Some(id) {
            fates.pair(next, at);
            next += 1;
        }
    }
    if next < local.len() {
        fates.0.fill(Alignment::NEW);
    }
    next == local.len()
}

/// Says which lines that were not matched are some other local line: as many of each as there are.
fn find_elsewhere(local: &[u32], bundle: &[u32], distinct: usize, fates: &mut Alignment) {
    let mut unmatched = counts(local, distinct);
    for (fate, id) in fates.0.iter().zip(bundle) {
        if *fate != Alignment::NEW {
            unmatched[*id as usize] -= 1;
        }
    }
    for (fate, id) in fates.0.iter_mut().zip(bundle) {
        if *fate == Alignment::NEW
            && let Some(spare) = unmatched.get_mut(*id as usize)
            && *spare > 0
        {
            *spare -= 1;
            *fate = Alignment::ELSEWHERE;
        }
    }
}

/// How many lines there are of each id.
fn counts(lines: &[u32], distinct: usize) -> Vec<u32> {
    let mut counts = vec![0; distinct];
    for id in lines.iter().filter(|id| **id != UNMATCHED) {
        counts[*id as usize] += 1;
    }
    counts
}

/// Line numbers fit, because an [`Index`](super::index::Index) and [`KeyedLines`](super::index::KeyedLines) hold fewer.
#[allow(clippy::cast_possible_truncation, reason = "checked when the lines are counted")]
fn number(line: usize) -> u32 {
    line as u32
}

/// No link before this one.
const NONE: u32 = u32::MAX;

/// Two lines that are the same, and the pair before them in the longest chain that ends with them.
struct LcsPair {
    local: u32,
    bundle: u32,
    before: u32,
}

/// What is left of both sides between what they begin and end with alike.
struct UnalignedLines<'m> {
    local: &'m [u32],
    bundle: &'m [u32],
    distinct: usize,
}

impl UnalignedLines<'_> {
    /// Hands the longest chain of pairs that rises on both sides to `take`, the last pair first. After Hunt and
    /// Szymanski.
    fn each_common_line(&self, mut take: impl FnMut(usize, usize)) {
        if self.local.is_empty() || self.bundle.is_empty() {
            return;
        }
        let mut candidates = Candidates::new(self);
        let mut links: Vec<LcsPair> = Vec::new();
        // The last link of the chain of each length that ends earliest in the bundle.
        let mut chains: Vec<u32> = Vec::new();
        for (at, id) in self.local.iter().enumerate().filter(|(_, id)| **id != UNMATCHED) {
            // From the last to the first, so that no chain takes one local line twice.
            candidates.each_descending(*id, |found| {
                let length = chains.partition_point(|link| links[*link as usize].bundle < found);
                if chains.get(length).is_some_and(|link| links[*link as usize].bundle == found) {
                    return;
                }
                let before = length.checked_sub(1).map_or(NONE, |shorter| chains[shorter]);
                let link = number(links.len());
                links.push(LcsPair { local: number(at), bundle: found, before });
                match chains.get_mut(length) {
                    Some(last) => *last = link,
                    None => chains.push(link),
                }
            });
        }
        let mut next = chains.last().copied().unwrap_or(NONE);
        while let Some(link) = links.get(next as usize) {
            take(link.local as usize, link.bundle as usize);
            next = link.before;
        }
    }
}

/// Which lines of the bundle a local line may be.
struct Candidates {
    /// The bundle's line numbers, by id and then rising.
    places: Vec<u32>,
    /// Where in that the places of each id end. They begin where those of the id before end.
    ends: Vec<u32>,
    /// How often each id is yet to come, and how often it came, where there are too many equal lines to try all pairs.
    few: Option<Vec<(u32, u32)>>,
}

impl Candidates {
    fn new(middle: &UnalignedLines<'_>) -> Self {
        let UnalignedLines { local, bundle, distinct } = *middle;
        let mut ends = counts(bundle, distinct);
        let all_pairs: u64 = local.iter().filter_map(|id| ends.get(*id as usize)).map(|count| u64::from(*count)).sum();
        let affordable = 8 * (local.len() + bundle.len()) as u64 + (1 << 20);
        let few = (all_pairs > affordable).then(|| counts(local, distinct).into_iter().map(|all| (all, 0)).collect());
        // From counts to where each id's places begin; each then moves on to where they end.
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        let mut places = vec![0; start as usize];
        for (at, id) in bundle.iter().enumerate().filter(|(_, id)| **id != UNMATCHED) {
            let end = &mut ends[*id as usize];
            places[*end as usize] = number(at);
            *end += 1;
        }
        Self { places, ends, few }
    }

    /// The candidates for the next local line with this id, from the last to the first.
    fn each_descending(&mut self, id: u32, mut take: impl FnMut(u32)) {
        let id = id as usize;
        let start = id.checked_sub(1).map_or(0, |before| self.ends[before]);
        let places = &self.places[start as usize..self.ends[id] as usize];
        let turn = self.few.as_mut().map(|few| &mut few[id]);
        let Some((behind, rank)) = turn.filter(|_| places.len() > 2).map(next_turn) else {
            return places.iter().rev().for_each(|place| take(*place));
        };
        let from_start = places.get(rank as usize);
        let from_end = places.len().checked_sub(behind as usize).map(|at| &places[at]);
        let later = from_start.max(from_end);
        let earlier = from_start.min(from_end).filter(|earlier| Some(*earlier) != later);
        later.into_iter().chain(earlier).for_each(|place| take(*place));
    }
}

/// How often a line is yet to come and how often it came, before it comes now.
fn next_turn(turn: &mut (u32, u32)) -> (u32, u32) {
    let next = (turn.0 - 1, turn.1 + 1);
    std::mem::replace(turn, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line that is there over and over again, two that are there twice, and from [`MARK`] on such as are there once.
    const SAME: u32 = 0;
    const TWICE: u32 = 1;
    const MARK: u32 = 2;
    /// One that only the bundle has; those that only this machine has are [`UNMATCHED`].
    const OWN: u32 = MARK + 6000;

    /// Marks `from..to`, each with an equal line behind it.
    fn marked(from: u32, to: u32) -> Vec<u32> {
        (from..to).flat_map(|mark| [MARK + mark, SAME]).collect()
    }

    /// Which local line each line of the bundle is, if any.
    fn matched(local: &[u32], bundle: &[u32]) -> Vec<Option<usize>> {
        let distinct = 1 + *bundle.iter().chain(local).filter(|id| **id != UNMATCHED).max().unwrap_or(&0) as usize;
        let fates = align(local, bundle, distinct);
        let line = |at| match fates.of(at) {
            LineMatch::With(line) => Some(line as usize),
            LineMatch::New | LineMatch::Elsewhere => None,
        };
        (0..fates.len()).map(line).collect()
    }

    fn count(matched: &[Option<usize>]) -> usize {
        matched.iter().flatten().count()
    }

    #[test]
    fn equal_lines_are_tried_in_all_pairs_while_that_is_affordable() {
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
                // All equal lines, by their place. That the marks between them match too is not found out.
                assert_eq!(count(&matched), 1040);
            }
        }
    }

    #[test]
    fn thousands_of_equal_lines_are_matched_by_their_place_from_the_start_or_the_end() {
        let bundle = [vec![OWN], marked(0, 2000), vec![OWN]].concat();
        // The first or the last quarter is no longer here, something else is.
        for (from, to) in [(0, 1500), (500, 2000), (0, 2000)] {
            let local = [vec![UNMATCHED], marked(from, to), vec![UNMATCHED; 2]].concat();
            let there = 1 + 2 * from as usize..1 + 2 * to as usize;
            let expected = (0..bundle.len()).map(|line| there.contains(&line).then(|| 1 + line - there.start));
            assert!(matched(&local, &bundle).into_iter().eq(expected), "{from} to {to}");
        }
    }

    #[test]
    fn among_thousands_of_equal_lines_those_that_are_there_twice_are_tried_in_all_pairs() {
        let (one, other) = (MARK + 5000, MARK + 5001);
        let many = marked(0, 2000);
        let local = [vec![one, TWICE, other, TWICE, UNMATCHED], many.clone(), vec![UNMATCHED]].concat();
        let bundle = [vec![TWICE, one, TWICE, other], many, vec![OWN; 2]].concat();
        let matched = matched(&local, &bundle);
        assert_eq!(matched[..6], [None, Some(0), Some(1), Some(2), Some(5), Some(6)]);
        assert_eq!(count(&matched), 4003);
    }
}
