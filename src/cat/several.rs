//! Prints the rows of several inputs, bundles and histories, one after the other.

use std::io::Write;

use super::mapped::FailedRows;
use super::plan::{CatPlan, PlannedPiece};
use super::printer::Printer;
use super::walk::{RowWalk, WalkPart};
use super::{CatOptions, print_walk};
use crate::bundle::Access;
use crate::error::{Error, IoAction, Result};
use crate::format::envelope::EnvelopeWriter;
use crate::format::{FileName, LogId, TimeSpan};
use crate::input::TraceInput;
use crate::progress::Progress;
use crate::query::KeyPath;

/// The result of [`cat_all`], [`cat`](super::cat) and [`cat_by_time`](super::cat_by_time).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CatReport {
    /// The selected logs of all inputs, in catalogue order.
    pub logs: Vec<PrintedLog>,
    /// The timestamps of the first and last rows of these logs, where the manifests record them.
    pub span: TimeSpan,
    /// True if only the selected chunks of every bundle were read.
    pub is_indexed: bool,
    /// The names of bundles whose chunk table does not match because they were recompressed or are damaged. They were
    /// read from the start.
    pub mismatched: Vec<String>,
    /// The columns of a table in which no printed row has a value. Empty if no row was printed.
    pub empty_columns: Vec<KeyPath>,
    /// The rows for which a jq filter failed.
    pub failed: FailedRows,
}

/// A log whose rows were printed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PrintedLog {
    /// The log.
    pub id: LogId,
    /// The number of rows printed.
    pub rows: u64,
    /// The number of lines that were not printed because they are not rows.
    pub skipped_lines: u64,
}

impl CatReport {
    pub(super) fn new(plan: &CatPlan) -> Self {
        let logs = plan.logs.iter();
        let logs =
            logs.map(|(id, skipped_lines)| PrintedLog { id: id.clone(), rows: 0, skipped_lines: *skipped_lines });
        let (mismatched, empty_columns, failed) = (Vec::new(), Vec::new(), FailedRows::default());
        Self { logs: logs.collect(), span: plan.span, is_indexed: true, mismatched, empty_columns, failed }
    }

    /// Returns the number of rows printed.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.logs.iter().map(|log| log.rows).sum()
    }

    /// Records the access methods for bundles.
    pub(super) fn note_all(&mut self, bundles: &[(String, Access)]) {
        for (name, access) in bundles {
            self.note(name, *access);
        }
    }

    /// Records the access method for a bundle.
    pub(super) fn note(&mut self, name: &str, access: Access) {
        self.is_indexed &= access == Access::Indexed;
        if access == Access::TableMismatch && self.mismatched.last().is_none_or(|last| last != name) {
            self.mismatched.push(name.to_owned());
        }
    }
}

/// Prints the rows of all inputs to `out`, input by input, each row followed by a line feed. Prints a history log by
/// log, like a single bundle, and only opens the segments that can have selected rows. Several threads inflate and
/// check chunks; the rows are still printed in order. Write errors name `out_name`.
///
/// # Errors
/// [`UnknownSource`](crate::ErrorKind::UnknownSource) and [`UnknownFile`](crate::ErrorKind::UnknownFile) if no input
/// has the source or file, before anything is printed. If an input is damaged, the rows before the damage are printed
/// before the error is returned. If `out` fails, earlier rows may have been written.
pub fn cat_all(
    inputs: &[TraceInput<'_>],
    options: &CatOptions,
    mut out: impl Write,
    out_name: &str,
    progress: &dyn Progress,
) -> Result<CatReport> {
    let plan = CatPlan::new(inputs, options)?;
    let mut report = CatReport::new(&plan);
    report.note_all(&CatPlan::check_empty(inputs, options)?);
    let parts: Vec<_> = parts_of(&plan).collect();
    let walk = RowWalk {
        parts: parts.iter().map(|pieces| walk_part(inputs, &plan, pieces)).collect(),
        options,
        cancellation: progress.cancellation(),
    };
    progress.start(walk.bytes_to_read());
    let mut printer = Printer::new(&mut out, out_name, progress);
    let walked = print_walk(&walk, &mut printer, &mut |at, rows, name, access| {
        parts[at].iter().for_each(|piece| report.logs[piece.log].rows += rows[piece.file]);
        report.note(name, access);
    });
    progress.finish();
    (report.empty_columns, report.failed) = (options.empty_columns(&printer.filled), printer.failed);
    let flushed = out.flush().map_err(|error| Error::io_named(IoAction::Write, out_name, error));
    walked.and(flushed).map(|()| report)
}

/// Returns the logs whose rows are printed, in catalogue order.
///
/// # Errors
/// [`UnknownSource`](crate::ErrorKind::UnknownSource) and [`UnknownFile`](crate::ErrorKind::UnknownFile) if no input
/// has the source or file.
pub fn selected_logs(inputs: &[TraceInput<'_>], options: &CatOptions) -> Result<Vec<LogId>> {
    CatPlan::new(inputs, options).map(|plan| plan.logs.into_iter().map(|(log, _)| log).collect())
}

/// Returns the pieces that are read together: consecutive ones of one bundle whose logs are named like their files.
pub(super) fn parts_of(plan: &CatPlan) -> impl Iterator<Item = Vec<&PlannedPiece>> {
    let mut pieces = plan.streams.iter().flatten().peekable();
    std::iter::from_fn(move || {
        let mut part = vec![pieces.next()?];
        while let Some(next) = pieces.next_if(|next| {
            let belongs = |first: &&PlannedPiece| first.bundle == next.bundle && first.renamed.is_none();
            next.renamed.is_none() && part.first().is_some_and(belongs)
        }) {
            part.push(next);
        }
        Some(part)
    })
}

/// Returns the part that consists of these pieces, of which there is at least one.
pub(super) fn walk_part<'w, 'r>(
    inputs: &'w [TraceInput<'r>],
    plan: &CatPlan,
    pieces: &[&PlannedPiece],
) -> WalkPart<'w, 'r> {
    let (input, part) = pieces[0].bundle;
    let renamed = pieces[0].renamed.as_ref().map(|name| renamed_envelope(&plan.logs[pieces[0].log].0, name));
    let files = pieces.iter().map(|piece| piece.file).collect();
    WalkPart { bundle: &inputs[input].parts()[part], files, renamed }
}

/// Returns a writer of the envelopes of a log whose name differs from that of the file with its rows.
pub(super) fn renamed_envelope(id: &LogId, renamed: &FileName) -> EnvelopeWriter {
    EnvelopeWriter::new(&id.source, renamed, id.base)
}
