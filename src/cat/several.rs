//! Prints the rows of several inputs, one after the other: bundles, and histories.

use std::io::Write;

use super::plan::{CatPlan, PlannedPiece};
use super::{CatOptions, Printer, print_files, print_renamed};
use crate::bundle::Access;
use crate::error::{Error, IoAction, Result};
use crate::format::LogId;
use crate::input::TraceInput;
use crate::progress::Progress;

/// The result of [`cat_all`] and [`cat_by_time`](super::cat_by_time).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CatAllReport {
    /// The selected logs of all inputs, in catalogue order.
    pub logs: Vec<PrintedLog>,
    /// True if only the selected chunks of every bundle were read.
    pub is_indexed: bool,
    /// The names of bundles whose chunk table does not match, because another program recompressed them or they are
    /// damaged. They were read from the start.
    pub mismatched: Vec<String>,
}

/// A log of which rows were printed.
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

impl CatAllReport {
    pub(super) fn new(plan: &CatPlan) -> Self {
        let logs = plan.logs.iter();
        let logs =
            logs.map(|(id, skipped_lines)| PrintedLog { id: id.clone(), rows: 0, skipped_lines: *skipped_lines });
        Self { logs: logs.collect(), is_indexed: true, mismatched: Vec::new() }
    }

    /// Notes the way in which a bundle was read.
    pub(super) fn note(&mut self, name: &str, access: Access) {
        self.is_indexed &= access == Access::Indexed;
        if access == Access::TableMismatch && self.mismatched.last().is_none_or(|last| last != name) {
            self.mismatched.push(name.to_owned());
        }
    }
}

/// Prints the rows of all inputs to `out`, input by input. The rows of a history are printed as those of one bundle that
/// has them all: log by log. Of a history, only the segments that can have selected rows are opened. Write errors name
/// `out_name`.
///
/// A source or file must be in one of the inputs.
///
/// # Errors
/// As [`cat`](super::cat).
pub fn cat_all(
    inputs: &[TraceInput<'_>],
    options: &CatOptions,
    mut out: impl Write,
    out_name: &str,
    progress: &dyn Progress,
) -> Result<CatAllReport> {
    let plan = CatPlan::new(inputs, options)?;
    let mut report = CatAllReport::new(&plan);
    progress.start(None);
    let printed = print_plan(inputs, &plan, options, &mut Printer::new(&mut out, out_name, progress), &mut report);
    progress.finish();
    let flushed = out.flush().map_err(|error| Error::io_named(IoAction::Write, out_name, error));
    printed.and(flushed).map(|()| report)
}

fn print_plan(
    inputs: &[TraceInput<'_>],
    plan: &CatPlan,
    options: &CatOptions,
    printer: &mut Printer<'_>,
    report: &mut CatAllReport,
) -> Result<()> {
    let pieces: Vec<_> = plan.streams.iter().flatten().collect();
    let belong_together =
        |a: &&PlannedPiece, b: &&PlannedPiece| a.bundle == b.bundle && a.renamed.is_none() && b.renamed.is_none();
    for pieces in pieces.chunk_by(belong_together) {
        let Some(first) = pieces.first() else { continue };
        let bundle = inputs[first.bundle.0].parts()[first.bundle.1].open()?;
        let name = bundle.name().to_owned();
        let access = if let (Some(renamed), true) = (&first.renamed, options.envelope) {
            let (rows, access) = print_renamed(&bundle, first.file, renamed, options, printer)?;
            report.logs[first.log].rows += rows;
            access
        } else {
            let files = pieces.iter().map(|piece| piece.file).collect();
            let (rows, access) = print_files(bundle, files, options, printer)?;
            for piece in pieces {
                report.logs[piece.log].rows += rows[piece.file];
            }
            access
        };
        report.note(&name, access);
    }
    Ok(())
}
