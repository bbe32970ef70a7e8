//! Verifies one log from its rows.

use super::FileReport;
use super::finding::{FileMismatch, FindingKind, Mismatch};
use crate::assemble::LogAssembler;
use crate::format::ManifestFile;
use crate::format::Timeline;
use crate::format::timeline::RowTimes;
use crate::salvage::RowRun;

/// A log that is restored only to be hashed.
pub(super) struct LogVerifier<'m> {
    /// The log's index in the manifest's `files`.
    pub(super) index: usize,
    pub(super) file: &'m ManifestFile,
    /// The next row, from 1. Lines that should be rows but are not are counted as rows.
    pub(super) next_row: u64,
    /// True if all rows so far were readable.
    pub(super) is_whole: bool,
    rows: u64,
    /// The total length of its rows' lines.
    bytes: u64,
    times: RowTimes,
    log: LogAssembler<'m>,
}

impl<'m> LogVerifier<'m> {
    pub(super) fn new(index: usize, file: &'m ManifestFile) -> Self {
        Self {
            index,
            file,
            next_row: 1,
            is_whole: true,
            rows: 0,
            bytes: 0,
            times: RowTimes::default(),
            log: LogAssembler::new(Some(file)),
        }
    }

    /// Adds rows.
    pub(super) fn push(&mut self, run: &RowRun) {
        self.rows += run.rows.len();
        self.bytes += run.rows.bytes() as u64;
        self.next_row = self.next_row.saturating_add(run.rows.len());
        if self.is_whole && self.file.integrity().is_some() {
            self.times.merge(&run.times);
            self.log.push(&run.rows);
            self.log.clear();
        }
    }

    /// Completes the log and compares it with the manifest. Passes the mismatches to `found`.
    pub(super) fn finish(mut self, mut found: impl FnMut(FindingKind)) -> FileReport {
        let Self { file, rows, .. } = self;
        let mut mismatch =
            |mismatch: Option<FileMismatch>| mismatch.map(FindingKind::File).into_iter().for_each(&mut found);
        mismatch(Mismatch::between(file.count, rows).map(FileMismatch::Rows));
        let mut report = FileReport {
            source: file.source.clone(),
            name: file.relative_path.clone(),
            base: file.base(),
            rows,
            restored: None,
            is_verified: None,
        };
        let Some(expected) = file.integrity() else {
            let (limit, found) = (file.max_restored_bytes(), self.bytes);
            mismatch((found > limit).then_some(FileMismatch::MaxBytes(Mismatch { expected: limit, found })));
            return report;
        };
        if !self.is_whole {
            found(FindingKind::NotRestored);
            return report;
        }
        self.log.complete();
        let restored = self.log.integrity();
        mismatch(Mismatch::between(expected.bytes, restored.bytes).map(FileMismatch::Bytes));
        mismatch(Mismatch::between(expected.sha256, restored.sha256).map(FileMismatch::Sha256));
        if !self.times.has_other_forms() {
            time_mismatches(file, &self.times).for_each(|found| mismatch(Some(found)));
        }
        report.restored = Some(restored);
        report.is_verified = Some(expected == restored);
        report
    }
}

/// Returns the differences between the declared times of a log and those of its rows.
fn time_mismatches(file: &ManifestFile, times: &RowTimes) -> impl Iterator<Item = FileMismatch> {
    let span = times.span();
    let bins = |timeline: Option<Timeline>, step_ms| {
        timeline.map(|timeline| timeline.coarsened_to(step_ms).bins).unwrap_or_default()
    };
    let fits = file
        .timeline
        .as_ref()
        .is_none_or(|declared| bins(times.timeline(), declared.step_ms) == declared.without_empty_bins().bins);
    let mismatches = [
        Mismatch::of_declared(file.first_time, span.first).map(FileMismatch::FirstTime),
        Mismatch::of_declared(file.last_time, span.last).map(FileMismatch::LastTime),
        (!fits).then_some(FileMismatch::Timeline),
    ];
    mismatches.into_iter().flatten()
}
