//! Checks the first lines of all segments: the chain, the checkpoints, and the gaps that the segments record.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::finding::{HistoryFinding, HistoryFindingKind};
use super::{HistoryFindings, HistoryVerifyOptions};
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, HistoryFault, Result};
use crate::format::FollowsState;
use crate::history::{
    Chain, Checkpoint, Comparison, Frontier, SegmentAccess, SegmentHead, SegmentName, SegmentPath, checkpoint_path,
    list, read_in,
};
use crate::progress::Progress;

/// A segment after an attempt to read its first line.
pub(super) struct ListedSegment {
    pub(super) segment: SegmentPath,
    /// The digest of the first line. `None` if it could not be read.
    pub(super) digest: Option<BundleDigest>,
    pub(super) bundle_bytes: u64,
}

impl ListedSegment {
    /// Returns a finding about the segment.
    pub(super) fn finding(&self, kind: HistoryFindingKind) -> HistoryFinding {
        finding(&self.segment.path, &self.segment.name, kind)
    }
}

fn finding(path: &Path, name: &SegmentName, kind: HistoryFindingKind) -> HistoryFinding {
    HistoryFinding { path: path.to_owned(), segment: Some(name.number), kind }
}

fn finding_of(head: &SegmentHead, kind: HistoryFindingKind) -> HistoryFinding {
    finding(&head.path, &head.name, kind)
}

/// The segments whose first lines were checked so far.
pub(super) struct Heads<'f, 'a> {
    dir: &'f Path,
    findings: &'f mut HistoryFindings<'a>,
    chain: Chain,
    /// The tree of the segments so far. `None` after a missing, duplicate or unreadable segment.
    frontier: Option<Frontier>,
    own: Option<Comparison>,
    since: Option<Comparison>,
    listed: Vec<ListedSegment>,
}

impl<'f, 'a> Heads<'f, 'a> {
    /// Checks the history in `dir`, and returns its segments.
    pub(super) fn check(
        dir: &'f Path,
        options: &HistoryVerifyOptions,
        progress: &dyn Progress,
        findings: &'f mut HistoryFindings<'a>,
    ) -> Result<Vec<ListedSegment>> {
        let cancellation = progress.cancellation();
        // Read the checkpoint before listing the segments, so that it never covers an unlisted one: `keep` adds a
        // segment before its checkpoint.
        let checkpoint = read_in(dir);
        let listing = list(dir)?;
        if listing.segments.is_empty() {
            let fault = ErrorKind::History(HistoryFault::NoSegments);
            return Err(Error::from(fault).in_subject(&dir.display().to_string()));
        }
        for path in listing.foreign {
            findings.add(HistoryFinding { path, segment: None, kind: HistoryFindingKind::Foreign });
        }
        findings.report.segments = listing.segments.len() as u64;
        let since = options.since.map(Comparison::new);
        let (chain, frontier) = (Chain::default(), Some(Frontier::default()));
        let mut heads = Self { dir, findings, chain, frontier, own: None, since, listed: Vec::new() };
        heads.read_checkpoint(checkpoint);
        let access = SegmentAccess { keys: Arc::new(options.keys.clone()), noted: None };
        SegmentHead::check_keys(&listing.segments, &access)?;
        SegmentHead::read_all(listing.segments, &access, options.threads, |(segment, head)| {
            cancellation.check()?;
            match head {
                // A missing key is not a fault of the history.
                Err(error) if matches!(error.kind(), ErrorKind::Encrypted(_)) => return Err(error),
                head => heads.push(segment, head),
            }
            Ok(())
        })?;
        Ok(heads.finish())
    }

    fn read_checkpoint(&mut self, checkpoint: Result<Option<Checkpoint>>) {
        match checkpoint {
            Ok(Some(checkpoint)) => {
                self.own = Some(Comparison::new(checkpoint));
                self.findings.report.checkpoint = Some(checkpoint);
            }
            Ok(None) => self.add_checkpoint_finding(HistoryFindingKind::NoCheckpoint),
            Err(error) => self.add_checkpoint_finding(HistoryFindingKind::UnreadableCheckpoint(error)),
        }
    }

    /// Checks the next segment.
    fn push(&mut self, segment: SegmentPath, head: Result<SegmentHead>) {
        let listed = match head {
            Ok(head) => {
                self.push_head(&head);
                // Keep the path from the listing, which `head` has, not the copy in `segment`. The reading thread
                // allocated that among its large buffers, which could not be reused while it exists.
                let segment = SegmentPath { name: head.name, path: head.path };
                ListedSegment { segment, digest: Some(head.digest), bundle_bytes: head.bundle_bytes }
            }
            Err(error) => {
                self.findings.report.damaged_segments += 1;
                self.chain.skip(segment.name.number);
                self.frontier = None;
                let bundle_bytes = std::fs::metadata(&segment.path).map_or(0, |file| file.len());
                self.findings.add(finding(&segment.path, &segment.name, HistoryFindingKind::UnreadableHead(error)));
                ListedSegment { segment, digest: None, bundle_bytes }
            }
        };
        self.listed.push(listed);
    }

    fn push_head(&mut self, head: &SegmentHead) {
        for fault in self.chain.push(head) {
            if let HistoryFault::Missing { first, last } = fault {
                self.findings.report.missing_segments += last - first + 1;
            }
            if matches!(fault, HistoryFault::Duplicate { .. }) {
                self.frontier = None;
            }
            let is_other = matches!(fault, HistoryFault::NotASegment | HistoryFault::OtherHistory { .. });
            self.findings.add(finding_of(head, HistoryFindingKind::Chain(fault)));
            if is_other {
                return;
            }
        }
        self.add_leaf(head.digest);
        let report = &mut self.findings.report;
        report.rows += head.manifest.total_count;
        let time = head.manifest.exported_at;
        report.written = Some((report.written.map_or(time, |(first, _)| first), time));
        self.list_gaps(head);
    }

    /// Adds the segment to the tree, if it is the next one.
    fn add_leaf(&mut self, digest: BundleDigest) {
        let next = self.chain.next();
        let Some(frontier) = self.frontier.as_mut().filter(|frontier| next <= frontier.size() + 1) else {
            self.frontier = None;
            return;
        };
        if next > frontier.size() {
            frontier.push(digest);
            [&mut self.own, &mut self.since].into_iter().flatten().for_each(|comparison| comparison.push(frontier));
        }
    }

    fn list_gaps(&mut self, head: &SegmentHead) {
        for file in &head.manifest.files {
            let Some(follows) = &file.follows else { continue };
            let file = file.relative_path.to_string();
            if let Some(gap) = &follows.gap {
                self.findings.report.gaps += 1;
                let gap = Box::new(gap.clone());
                self.findings.add(finding_of(head, HistoryFindingKind::Gap { file, gap }));
            } else if follows.state == FollowsState::Altered {
                self.findings.add(finding_of(head, HistoryFindingKind::Altered { file }));
            }
        }
    }

    /// Compares the history with the checkpoints.
    fn finish(mut self) -> Vec<ListedSegment> {
        self.findings.report.id = self.chain.id();
        let (own, since) = (self.own.take(), self.since.take());
        if let Some(size) = own.as_ref().map(Comparison::size).filter(|size| *size < self.chain.next()) {
            self.add_checkpoint_finding(HistoryFindingKind::EarlierCheckpoint { size });
        }
        let own = own.and_then(|own| self.compare(&own, HistoryFindingKind::Checkpoint));
        let since = since.and_then(|since| self.compare(&since, HistoryFindingKind::Since));
        let cut_off = [&own, &since].into_iter().flatten().filter_map(HistoryFindingKind::fault);
        let cut_off = cut_off.filter_map(|fault| match fault {
            HistoryFault::CutOff { size, found } => Some(size - found),
            _ => None,
        });
        self.findings.report.missing_segments += cut_off.max().unwrap_or_default();
        if let Some(kind) = own {
            self.add_checkpoint_finding(kind);
        }
        if let Some(kind) = since {
            self.findings.add(HistoryFinding { path: self.dir.to_owned(), segment: None, kind });
        }
        self.listed
    }

    fn compare(
        &self,
        comparison: &Comparison,
        finding: fn(HistoryFault) -> HistoryFindingKind,
    ) -> Option<HistoryFindingKind> {
        let found = self.chain.next();
        match comparison.fault(self.chain.id()?)? {
            HistoryFault::CutOff { size, .. } if found >= size => Some(HistoryFindingKind::NotCompared),
            HistoryFault::CutOff { size, .. } => Some(finding(HistoryFault::CutOff { size, found })),
            fault => Some(finding(fault)),
        }
    }

    fn add_checkpoint_finding(&mut self, kind: HistoryFindingKind) {
        let path: PathBuf = checkpoint_path(self.dir);
        self.findings.add(HistoryFinding { path, segment: None, kind });
    }
}
