//! Verifies a history: that the rows of its segments are intact, that the segments follow each other, and that no rows
//! are missing between them.
//!
//! The first lines of all segments are read first, then the rows, several segments at once. Only a segment with damage
//! is read a second time, to report its findings, so memory does not grow with their number.

mod finding;
mod heads;
#[cfg(feature = "seal")]
mod signed;

use std::num::NonZeroUsize;
use std::path::Path;

use super::{Finding, FindingCounts, Severity, VerifyOptions, VerifyReport, verify_input};
use crate::container::{DecryptionKeys, Input};
use crate::error::{ErrorKind, HistoryFault, Result};
use crate::format::{HistoryId, Timestamp};
use crate::history::{Checkpoint, in_file};
use crate::progress::{Cancellation, Progress};
#[cfg(feature = "seal")]
use crate::signature::{SignatureCheck, SignatureVerdict};
use crate::util::ordered_pool::{available_cores, run_ordered};
pub use finding::{HistoryFinding, HistoryFindingKind, HistoryVerdict};
use heads::{Heads, ListedSegment};

/// The approximate memory for verifying one segment, which bounds the number of segments that are verified at once.
const SEGMENT_BYTES: usize = 8 << 20;

/// A part of the segments of a history. Several runs, each with another part, can verify all segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentPart {
    number: u64,
    of: u64,
}

impl SegmentPart {
    /// Returns the part with this number, from 1. Returns `None` if there is no such part.
    #[must_use]
    pub fn new(number: u64, of: u64) -> Option<Self> {
        (1..=of).contains(&number).then_some(Self { number, of })
    }

    /// Returns the number of the part, from 1.
    #[must_use]
    pub fn number(self) -> u64 {
        self.number
    }

    /// Returns the number of parts.
    #[must_use]
    pub fn of(self) -> u64 {
        self.of
    }

    /// Returns true if the segment with this number belongs to the part.
    #[must_use]
    pub fn includes(self, segment: u64) -> bool {
        segment % self.of == self.number - 1
    }
}

/// The segments whose rows are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RowsToRead {
    /// All segments.
    #[default]
    All,
    /// A part of the segments.
    Part(SegmentPart),
    /// No segments: only the first lines are read.
    None,
}

impl RowsToRead {
    fn includes(self, segment: u64) -> bool {
        match self {
            Self::All => true,
            Self::Part(part) => part.includes(segment),
            Self::None => false,
        }
    }
}

/// Options for the verification of a history.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct HistoryVerifyOptions {
    /// A checkpoint that the history must extend.
    pub since: Option<Checkpoint>,
    /// The segments whose rows are verified.
    pub rows: RowsToRead,
    /// The check of the signature of the checkpoint.
    #[cfg(feature = "seal")]
    pub signature: Option<SignatureCheck>,
    /// The keys that decrypt encrypted segments.
    pub keys: DecryptionKeys,
    /// The number of segments that are verified at once.
    pub threads: NonZeroUsize,
}

/// Verifies the rows of all segments, and uses as many threads as there are cores.
impl Default for HistoryVerifyOptions {
    fn default() -> Self {
        Self {
            since: None,
            rows: RowsToRead::default(),
            #[cfg(feature = "seal")]
            signature: None,
            keys: DecryptionKeys::default(),
            threads: available_cores(),
        }
    }
}

impl HistoryVerifyOptions {
    /// Sets a checkpoint that the history must extend, if any.
    pub fn since(self, checkpoint: impl Into<Option<Checkpoint>>) -> Self {
        Self { since: checkpoint.into(), ..self }
    }

    /// Chooses the segments whose rows are verified.
    pub fn rows(self, rows: RowsToRead) -> Self {
        Self { rows, ..self }
    }

    /// Requires a signature of all segments by an allowed signer, as `check` describes.
    #[cfg(feature = "seal")]
    pub fn signature(self, check: impl Into<Option<SignatureCheck>>) -> Self {
        Self { signature: check.into(), ..self }
    }

    /// Sets the keys that decrypt encrypted segments.
    pub fn keys(self, keys: DecryptionKeys) -> Self {
        Self { keys, ..self }
    }

    /// Sets the number of segments that are verified at once.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }
}

/// The report of the verification of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryReport {
    /// The identity of the history. `None` if no segment is readable.
    pub id: Option<HistoryId>,
    /// The number of files with the name of a segment.
    pub segments: u64,
    /// The number of rows that the segments declare.
    pub rows: u64,
    /// The time of the first and of the last segment.
    pub written: Option<(Timestamp, Timestamp)>,
    /// The number of segments whose rows were read.
    pub read_segments: u64,
    /// The number of readable rows in these segments.
    pub read_rows: u64,
    /// The number of segments that are damaged or cannot be read.
    pub damaged_segments: u64,
    /// The number of missing segments, as far as the other segments and the checkpoints show.
    pub missing_segments: u64,
    /// The number of gaps that the segments record.
    pub gaps: u64,
    /// The checkpoint of the history, if it has a readable one.
    pub checkpoint: Option<Checkpoint>,
    /// True if every segment is intact. `None` if some rows were not read and no damage was found in the others.
    pub is_intact: Option<bool>,
    /// True if the segments follow each other, and match the checkpoints.
    pub is_consistent: bool,
    /// True if no segment is missing or records a gap.
    pub is_complete: bool,
    /// The verdict on the signature of the checkpoint. `None` if its check was not requested.
    #[cfg(feature = "seal")]
    pub signature: Option<SignatureVerdict>,
    /// The number of findings.
    pub findings: FindingCounts,
}

impl HistoryReport {
    /// Returns true if the history has no known damage, is consistent, and has a valid signature if one was required.
    /// It may have gaps.
    #[must_use]
    pub fn is_good(&self) -> bool {
        #[cfg(feature = "seal")]
        if self.signature.as_ref().is_some_and(|verdict| !verdict.is_valid()) {
            return false;
        }
        self.is_intact != Some(false) && self.is_consistent
    }
}

/// Verifies the history in `dir`, and passes every finding to `found`: first those about first lines, then those about
/// rows, both in segment order.
///
/// # Errors
/// [`HistoryFault::NotAHistory`] and [`HistoryFault::NoSegments`], and if a directory cannot be listed. Damage, even of
/// a first line, is not an error.
pub fn verify_history(
    dir: impl AsRef<Path>,
    options: &HistoryVerifyOptions,
    progress: &dyn Progress,
    found: &mut dyn FnMut(HistoryFinding),
) -> Result<HistoryReport> {
    let mut findings = HistoryFindings { found, report: HistoryReport::empty() };
    let mut segments = Heads::check(dir.as_ref(), options, progress, &mut findings)?;
    #[cfg(feature = "seal")]
    if let Some(check) = &options.signature {
        signed::check(check, dir.as_ref(), &segments, &mut findings);
    }
    segments.retain(|segment| options.rows.includes(segment.segment.name.number));
    progress.start(Some(segments.iter().map(|segment| segment.bundle_bytes).sum()));
    let read = read_rows(segments, options, progress, &mut findings);
    progress.finish();
    read?;
    let mut report = findings.report;
    let is_all = report.read_segments == report.segments;
    report.is_intact = report.is_intact.filter(|is_intact| is_all || !is_intact);
    Ok(report)
}

/// Verifies the rows of segments.
fn read_rows(
    segments: Vec<ListedSegment>,
    options: &HistoryVerifyOptions,
    progress: &dyn Progress,
    findings: &mut HistoryFindings<'_>,
) -> Result<()> {
    let (mut segments, within) = (segments.into_iter(), WithinSegment(progress));
    let check = |segment: ListedSegment| {
        let mut has_findings = false;
        let report = segment.verify(&options.keys, &within, &mut |_| has_findings = true);
        (segment, report.map(|report| (report, has_findings)))
    };
    let next = || Ok(segments.next().map(|segment| (segment, SEGMENT_BYTES)));
    run_ordered(
        options.threads,
        || check,
        next,
        |(segment, report)| {
            findings.segment(&segment, report, &options.keys, &within)?;
            progress.advance(segment.bundle_bytes);
            Ok(())
        },
    )
}

impl ListedSegment {
    fn verify(
        &self,
        keys: &DecryptionKeys,
        progress: &dyn Progress,
        found: &mut dyn FnMut(Finding),
    ) -> Result<VerifyReport> {
        let options = VerifyOptions::default().expect(self.digest).threads(NonZeroUsize::MIN);
        let path = &self.segment.path;
        verify_input(Input::open(path, keys)?, &path.display().to_string(), &options, progress, found)
    }
}

/// Reports and counts findings.
struct HistoryFindings<'a> {
    found: &'a mut dyn FnMut(HistoryFinding),
    report: HistoryReport,
}

impl HistoryReport {
    fn empty() -> Self {
        Self {
            id: None,
            segments: 0,
            rows: 0,
            written: None,
            read_segments: 0,
            read_rows: 0,
            damaged_segments: 0,
            missing_segments: 0,
            gaps: 0,
            checkpoint: None,
            is_intact: Some(true),
            is_consistent: true,
            is_complete: true,
            #[cfg(feature = "seal")]
            signature: None,
            findings: FindingCounts::default(),
        }
    }
}

impl HistoryFindings<'_> {
    fn add(&mut self, finding: HistoryFinding) {
        for verdict in finding.kind.contradicts() {
            match verdict {
                HistoryVerdict::Intact => self.report.is_intact = Some(false),
                HistoryVerdict::Consistent => self.report.is_consistent = false,
                HistoryVerdict::Complete => self.report.is_complete = false,
            }
        }
        let counts = &mut self.report.findings;
        match finding.severity() {
            Severity::Error => counts.errors += 1,
            Severity::Warning => counts.warnings += 1,
            Severity::Info => counts.infos += 1,
        }
        (self.found)(finding);
    }

    /// Counts a segment whose rows were read. If it has findings, it is read again to list them.
    fn segment(
        &mut self,
        segment: &ListedSegment,
        report: Result<(VerifyReport, bool)>,
        keys: &DecryptionKeys,
        progress: &dyn Progress,
    ) -> Result<()> {
        self.report.read_segments += 1;
        if let Ok((report, false)) = &report {
            self.report.read_rows += report.rows;
            return Ok(());
        }
        let errors = self.report.findings.errors;
        match segment
            .verify(keys, progress, &mut |finding| self.add(segment.finding(HistoryFindingKind::Segment(finding))))
        {
            Ok(report) => self.report.read_rows += report.rows,
            Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => return Err(error),
            // An unreadable first line has already been reported.
            Err(_) if segment.digest.is_none() => {}
            Err(error) => self.add(segment.finding(HistoryFindingKind::Unreadable(error))),
        }
        let is_good = report.is_ok_and(|(report, _)| report.is_good());
        if self.report.findings.errors == errors && !is_good && segment.digest.is_some() {
            // The second read found no damage, so the segment changed in between.
            self.add(
                segment.finding(HistoryFindingKind::Unreadable(in_file(&segment.segment.path, HistoryFault::Changed))),
            );
        }
        if self.report.findings.errors > errors && segment.digest.is_some() {
            self.report.damaged_segments += 1;
        }
        Ok(())
    }
}

/// A progress that forwards only cancellation. The history's own progress advances by whole segments.
struct WithinSegment<'p>(&'p dyn Progress);

impl Progress for WithinSegment<'_> {
    fn cancellation(&self) -> Cancellation {
        self.0.cancellation()
    }
}
