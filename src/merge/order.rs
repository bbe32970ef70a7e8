//! Sorts the inputs of a merge, so that the result does not depend on the order of the arguments.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, HistoryFault, Result};
use crate::format::Timestamp;
use crate::input::{InputPart, InputSummary, TraceInput};

/// Bundles whose rows are consecutive: a single bundle, or some or all segments of a history.
pub struct BundleSequence<'r> {
    name: String,
    pub parts: Vec<InputPart<'r>>,
}

impl BundleSequence<'_> {
    /// Returns the sort key of the sequence: its latest export time, and the digest to break ties.
    fn rank(&self) -> Option<(Timestamp, BundleDigest)> {
        self.parts.iter().map(|part| (part.exported_at, part.digest)).max()
    }
}

/// Returns the distinct inputs in the order of the merge, and a summary of each input in the given
/// order.
///
/// Individual segments of the same history form one sequence.
///
/// # Errors
/// [`HistoryFault::Duplicate`] if two different segments have the same number.
pub fn in_order(inputs: Vec<TraceInput<'_>>) -> Result<(Vec<BundleSequence<'_>>, Vec<InputSummary>)> {
    let mut reports: Vec<_> = inputs.iter().map(TraceInput::summary).collect();
    let mut known = HashSet::new();
    let mut indexed: Vec<_> = inputs.into_iter().enumerate().collect();
    // A segment that is also in a history is read from there.
    indexed.sort_by_key(|(_, input)| input.history().is_none());
    let (mut sequences, mut segments) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
    for (at, input) in indexed {
        let digests: Vec<_> = input.digests().collect();
        if digests.iter().all(|digest| known.contains(digest)) {
            reports[at].is_duplicate = true;
            continue;
        }
        known.extend(digests);
        let (name, segment) = (input.name().to_owned(), input.segment());
        let sequence = BundleSequence { name, parts: input.into_parts() };
        match segment {
            Some((id, number)) => segments.entry(id.to_string()).or_default().push((number, sequence)),
            None => sequences.push(sequence),
        }
    }
    for of_history in segments.into_values() {
        sequences.push(joined(of_history)?);
    }
    sequences.sort_by_key(BundleSequence::rank);
    Ok((sequences, reports))
}

/// Joins segments of one history, by number.
fn joined(mut segments: Vec<(u64, BundleSequence<'_>)>) -> Result<BundleSequence<'_>> {
    segments.sort_by_key(|(number, _)| *number);
    for pair in segments.windows(2) {
        let [(number, first), (other, second)] = pair else { continue };
        if number == other {
            let fault = HistoryFault::Duplicate { number: *number, other: PathBuf::from(&first.name) };
            return Err(Error::from(ErrorKind::History(fault)).in_subject(&second.name));
        }
    }
    let name = segments.first().map(|(_, first)| first.name.clone()).unwrap_or_default();
    Ok(BundleSequence { name, parts: segments.into_iter().flat_map(|(_, segment)| segment.parts).collect() })
}
