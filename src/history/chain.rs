//! Checks that segments follow each other: their numbers, the digests that name the segment before, and the rows that
//! they count (FORMAT.md, "Minor version 2").

use std::collections::HashMap;

use super::layout::SegmentName;
use super::segment::SegmentHead;
use crate::digest::BundleDigest;
use crate::error::HistoryFault;
use crate::format::{FollowsState, HistoryId, ManifestFile};
use crate::logs::sequence_of;

/// The name of a log, or of the logs of a source that count as one.
type SequenceKey = (String, Option<String>);

/// The segments that were checked so far.
#[derive(Debug, Default)]
pub struct Chain {
    id: Option<HistoryId>,
    /// The number that the next segment has.
    next: u64,
    previous: Option<BundleDigest>,
    rows: HashMap<SequenceKey, u64>,
}

impl Chain {
    /// Returns the identity of the history, once a segment was checked.
    pub fn id(&self) -> Option<HistoryId> {
        self.id
    }

    /// Checks the next segment, and lists what is wrong with it. Later segments are compared with this one even then.
    pub fn push(&mut self, head: &SegmentHead) -> Vec<HistoryFault> {
        let mut faults = Vec::new();
        let Some(position) = &head.manifest.history else {
            return vec![HistoryFault::NotASegment];
        };
        let id = *self.id.get_or_insert(position.id);
        if position.id != id {
            return vec![HistoryFault::OtherHistory { found: position.id.to_string(), expected: id.to_string() }];
        }
        let expected = SegmentName::new(position.segment, head.digest);
        if expected != head.name {
            faults.push(HistoryFault::Renamed { expected: expected.to_string() });
        }
        let number = position.segment;
        if number > self.next {
            faults.push(HistoryFault::Missing { first: self.next, last: number - 1 });
        } else if number == self.next && number > 0 && position.previous != self.previous {
            faults.push(HistoryFault::OtherPrevious { before: number - 1 });
        }
        let is_after_missing = number > self.next;
        for file in &head.manifest.files {
            faults.extend(self.rows_before(file, is_after_missing));
        }
        for file in &head.manifest.files {
            *self.rows.entry(sequence(file)).or_default() += file.count;
        }
        (self.next, self.previous) = (number + 1, Some(head.digest));
        faults
    }

    /// Checks the number of rows that a file of the next segment says earlier segments hold. After a missing segment the
    /// number is taken as it is.
    fn rows_before(&mut self, file: &ManifestFile, is_after_missing: bool) -> Option<HistoryFault> {
        let follows = file.follows.as_ref()?;
        let counted = self.rows.entry(sequence(file)).or_default();
        let (declared, found) = (follows.rows_before, *counted);
        *counted = declared;
        let is_first = follows.state == FollowsState::First;
        (declared != found && !is_after_missing && !is_first || is_first && found != 0)
            .then(|| HistoryFault::RowsBefore { file: file.relative_path.to_string(), declared, found })
    }
}

fn sequence(file: &ManifestFile) -> SequenceKey {
    let (source, name) = sequence_of(file.source.as_str(), file.relative_path.as_str());
    (source.to_owned(), name.map(str::to_owned))
}
