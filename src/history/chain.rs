//! Checks that segments are consecutive: their numbers, the digests that name the previous segment,
//! and their row counts (FORMAT.md, "Minor version 2").

use std::collections::HashMap;
use std::path::PathBuf;

use super::layout::SegmentName;
use super::segment::SegmentHead;
use crate::digest::BundleDigest;
use crate::error::HistoryFault;
use crate::format::{HistoryId, HistoryPosition, LogId, ManifestFile};
use crate::logs::GroupKey;

/// The state of the check after some segments.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    id: Option<HistoryId>,
    /// The number of the next segment.
    next: u64,
    /// The segments with the previous number: two if it is a duplicate, none if the segment could
    /// not be read.
    before: Vec<(BundleDigest, PathBuf)>,
    rows: HashMap<GroupKey, u64>,
}

impl Chain {
    /// Returns the identity of the history, once a segment was checked.
    pub fn id(&self) -> Option<HistoryId> {
        self.id
    }

    /// Returns the number of the next segment.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Checks the next segment and returns its faults. Later segments are compared with it even if
    /// it has faults.
    pub fn push(&mut self, head: &SegmentHead) -> Vec<HistoryFault> {
        let Some(position) = &head.manifest.history else {
            return vec![HistoryFault::NotASegment];
        };
        let id = *self.id.get_or_insert(position.id);
        if position.id != id {
            return vec![HistoryFault::OtherHistory { found: position.id.to_string(), expected: id.to_string() }];
        }
        let is_sealed = head.name.is_sealed || head.is_encrypted;
        if !head.name.is_of(position.segment, head.digest) || head.name.is_sealed != is_sealed {
            let expected = SegmentName::new(position.segment, head.digest).sealed(is_sealed);
            let renamed = HistoryFault::Renamed { expected: expected.to_string() };
            // The number may be right and only the content changed.
            let is_here = position.segment == head.name.number && position.segment + 1 != self.next;
            let others = if is_here { self.push_named(head, position) } else { Vec::new() };
            return std::iter::once(renamed).chain(others).collect();
        }
        match self.before.first() {
            Some((_, other)) if position.segment + 1 == self.next => {
                let fault = HistoryFault::Duplicate { number: position.segment, other: other.clone() };
                self.before.push((head.digest, head.path.clone()));
                vec![fault]
            }
            _ => self.push_named(head, position),
        }
    }

    /// Records that the segment with this number could not be read.
    pub fn skip(&mut self, number: u64) {
        if number >= self.next {
            (self.next, self.before) = (number + 1, Vec::new());
        }
    }

    /// Checks the next segment, whose number matches its name.
    fn push_named(&mut self, head: &SegmentHead, position: &HistoryPosition) -> Vec<HistoryFault> {
        let (mut faults, number) = (Vec::new(), position.segment);
        let is_known = |previous| self.before.iter().any(|(digest, _)| Some(*digest) == previous);
        if number > self.next {
            faults.push(HistoryFault::Missing { first: self.next, last: number - 1 });
        } else if !self.before.is_empty() && !is_known(position.previous) {
            faults.push(HistoryFault::OtherPrevious { before: number - 1 });
        }
        let counted = match (number == self.next, self.before.len()) {
            (true, 2..) => Counted::Ambiguous,
            (true, 1) => Counted::All,
            (true, _) if number == 0 => Counted::All,
            _ => Counted::Some,
        };
        for file in &head.manifest.files {
            faults.extend(self.rows_before(file, counted));
        }
        for file in &head.manifest.files {
            *self.rows.entry(group_of(file)).or_default() += file.count;
        }
        (self.next, self.before) = (number + 1, vec![(head.digest, head.path.clone())]);
        faults
    }

    /// Checks the number of rows that a file declares for earlier segments. Later segments are
    /// compared with the declared number.
    fn rows_before(&mut self, file: &ManifestFile, all: Counted) -> Option<HistoryFault> {
        let follows = file.follows.as_ref()?;
        let counted = self.rows.entry(group_of(file)).or_default();
        let (declared, found) = (follows.rows_before, *counted);
        *counted = declared;
        let is_wrong = match all {
            Counted::All => declared != found,
            Counted::Some => declared < found,
            Counted::Ambiguous => false,
        };
        is_wrong.then(|| HistoryFault::RowsBefore { file: file.relative_path.to_string(), declared, found })
    }
}

/// The earlier segments whose rows were counted.
#[derive(Debug, Clone, Copy)]
enum Counted {
    /// All of them.
    All,
    /// Those that exist and could be read.
    Some,
    /// Perhaps others than those that this segment continues.
    Ambiguous,
}

fn group_of(file: &ManifestFile) -> GroupKey {
    GroupKey::of(&LogId::of(file)).0
}
