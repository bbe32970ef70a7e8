//! Finds out which of a bundle's lines this machine has already, and where in its order they stand.

/// What becomes of a line of the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// This machine does not have it, or not as often.
    New,
    /// It is this local line.
    With(u32),
    /// It is some local line, but one that stands elsewhere in the local order.
    Elsewhere,
}

/// Compares two sequences of lines, given by their ids below `distinct`.
///
/// As many lines of the bundle are new as it has more of each than this machine. The others are matched so that as
/// many as possible stand in one order on both sides (a longest common subsequence). Where that is too much work, for
/// thousands of equal lines, equal lines are matched by their place from the start or the end only.
pub(super) fn align(local: &[u32], bundle: &[u32], distinct: usize) -> Vec<Fate> {
    let mut fates = vec![Fate::New; bundle.len()];
    let mut unmatched = counts(local, distinct);
    for pair in pairs(local, bundle, distinct) {
        fates[pair.bundle as usize] = Fate::With(pair.local);
        unmatched[bundle[pair.bundle as usize] as usize] -= 1;
    }
    for (fate, id) in fates.iter_mut().zip(bundle) {
        let spare = &mut unmatched[*id as usize];
        if *fate == Fate::New && *spare > 0 {
            *spare -= 1;
            *fate = Fate::Elsewhere;
        }
    }
    fates
}

/// A local line and a line of the bundle that are the same.
#[derive(Debug, Clone, Copy)]
struct Pair {
    local: u32,
    bundle: u32,
}

fn counts(lines: &[u32], distinct: usize) -> Vec<u32> {
    let mut counts = vec![0; distinct];
    for id in lines {
        counts[*id as usize] += 1;
    }
    counts
}

/// Pairs in rising order on both sides.
fn pairs(local: &[u32], bundle: &[u32], distinct: usize) -> Vec<Pair> {
    if let Some(all) = embedding(local, bundle) {
        return all;
    }
    let start = local.iter().zip(bundle).take_while(|(a, b)| a == b).count();
    let (local_rest, bundle_rest) = (&local[start..], &bundle[start..]);
    let end = local_rest.iter().rev().zip(bundle_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (local_end, bundle_end) = (local.len() - end, bundle.len() - end);
    let middle = longest_common(&local[start..local_end], &bundle[start..bundle_end], distinct);

    let mut pairs: Vec<_> = (0..start).map(|at| pair(at, at)).collect();
    pairs.extend(middle.into_iter().map(|p| pair(p.local as usize + start, p.bundle as usize + start)));
    pairs.extend((0..end).map(|at| pair(local_end + at, bundle_end + at)));
    pairs
}

/// Line numbers fit, because [`LineIds`](super::index::LineIds) and [`Side`](super::index::Side) hold fewer.
#[allow(clippy::cast_possible_truncation, reason = "checked when the lines are counted")]
fn pair(local: usize, bundle: usize) -> Pair {
    Pair { local: local as u32, bundle: bundle as u32 }
}

/// All local lines in the bundle's order, if they stand there in this order: when this machine has the start, the end,
/// or any part of what the bundle has.
fn embedding(local: &[u32], bundle: &[u32]) -> Option<Vec<Pair>> {
    let mut all = Vec::new();
    for (at, id) in bundle.iter().enumerate() {
        if local.get(all.len()) == Some(id) {
            all.push(pair(all.len(), at));
        }
    }
    (all.len() == local.len()).then_some(all)
}

/// No link before this one.
const NONE: u32 = u32::MAX;

/// A pair, and the one before it in the longest chain that ends with it.
struct Link {
    pair: Pair,
    before: u32,
}

/// The longest chain of pairs that rises on both sides, after Hunt and Szymanski.
fn longest_common(local: &[u32], bundle: &[u32], distinct: usize) -> Vec<Pair> {
    let candidates = Candidates::new(local, bundle, distinct);
    let mut ranks = vec![0; distinct];
    let mut links: Vec<Link> = Vec::new();
    // The last link of the chain of each length that ends earliest in the bundle.
    let mut chains: Vec<u32> = Vec::new();
    for (at, id) in local.iter().enumerate() {
        let rank = ranks[*id as usize];
        ranks[*id as usize] += 1;
        // From the last to the first, so that no chain takes one local line twice.
        candidates.each_descending(*id, rank, |found| {
            let length = chains.partition_point(|link| links[*link as usize].pair.bundle < found);
            if chains.get(length).is_some_and(|link| links[*link as usize].pair.bundle == found) {
                return;
            }
            let before = length.checked_sub(1).map_or(NONE, |shorter| chains[shorter]);
            let link = pair(links.len(), 0).local;
            links.push(Link { pair: Pair { bundle: found, ..pair(at, 0) }, before });
            match chains.get_mut(length) {
                Some(last) => *last = link,
                None => chains.push(link),
            }
        });
    }
    let mut chain = Vec::with_capacity(chains.len());
    let mut next = chains.last().copied().unwrap_or(NONE);
    while let Some(link) = links.get(next as usize) {
        chain.push(link.pair);
        next = link.before;
    }
    chain.reverse();
    chain
}

/// Which lines of the bundle a local line may be.
struct Candidates {
    /// The bundle's line numbers, by id and then rising.
    places: Vec<u32>,
    /// Where the places of each id begin in that, and where the last ones end.
    starts: Vec<u32>,
    local_counts: Vec<u32>,
    /// Whether there are too many equal lines to try all pairs.
    few: bool,
}

impl Candidates {
    fn new(local: &[u32], bundle: &[u32], distinct: usize) -> Self {
        let local_counts = counts(local, distinct);
        let bundle_counts = counts(bundle, distinct);
        let mut starts = Vec::with_capacity(distinct + 1);
        let mut start = 0;
        for count in &bundle_counts {
            starts.push(start);
            start += count;
        }
        starts.push(start);
        let mut next = starts.clone();
        let mut places = vec![0; bundle.len()];
        for (at, id) in bundle.iter().enumerate() {
            let slot = &mut next[*id as usize];
            places[*slot as usize] = pair(0, at).bundle;
            *slot += 1;
        }
        let all_pairs = local_counts.iter().zip(&bundle_counts).map(|(a, b)| u64::from(*a) * u64::from(*b));
        let affordable = 8 * (local.len() + bundle.len()) as u64 + (1 << 20);
        let few = all_pairs.fold(0u64, u64::saturating_add) > affordable;
        Self { places, starts, local_counts, few }
    }

    /// The candidates for the local line that is number `rank` (from 0) of its equals, from the last to the first.
    fn each_descending(&self, id: u32, rank: u32, mut take: impl FnMut(u32)) {
        let id = id as usize;
        let places = &self.places[self.starts[id] as usize..self.starts[id + 1] as usize];
        if !self.few || places.len() <= 2 {
            places.iter().rev().for_each(|place| take(*place));
            return;
        }
        let from_start = places.get(rank as usize);
        let behind = (self.local_counts[id] - rank) as usize;
        let from_end = places.len().checked_sub(behind).map(|at| &places[at]);
        let later = from_start.max(from_end);
        let earlier = from_start.min(from_end).filter(|earlier| Some(*earlier) != later);
        later.into_iter().chain(earlier).for_each(|place| take(*place));
    }
}
