//! Passes on selected rows, for operations that write them to a bundle.

use super::page::PageContent;
use super::plan::CatPlan;
use super::several::{parts_of, walk_part};
use super::walk::RowWalk;
use super::{CatOptions, RowFormat};
use crate::bundle::Row;
use crate::error::Result;
use crate::format::LogId;
use crate::input::TraceInput;
use crate::progress::Progress;
use std::ops::ControlFlow;

/// The rows of inputs that options select.
pub(crate) struct SelectedRows<'s, 'r> {
    inputs: &'s [TraceInput<'r>],
    plan: CatPlan,
    options: CatOptions,
}

impl<'s, 'r> SelectedRows<'s, 'r> {
    /// Plans which logs are read. The options about the output have no effect.
    ///
    /// # Errors
    /// As [`cat_all`](super::cat_all).
    pub(crate) fn new(inputs: &'s [TraceInput<'r>], options: &CatOptions) -> Result<Self> {
        let options = CatOptions { format: RowFormat::Raw, mapper: None, head: None, tail: None, ..options.clone() };
        let plan = CatPlan::new(inputs, &options)?;
        CatPlan::check_empty(inputs, &options)?;
        Ok(Self { inputs, plan, options })
    }

    /// Returns the logs that may have selected rows, in catalogue order.
    pub(crate) fn logs(&self) -> impl Iterator<Item = &LogId> {
        self.plan.logs.iter().map(|(id, _)| id)
    }

    /// Passes the selected rows, as lines of their logs, to `take`, with the index of the log.
    ///
    /// # Errors
    /// As [`cat_all`](super::cat_all), and the error of `take`.
    pub(crate) fn each(&self, progress: &dyn Progress, take: &mut dyn FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
        let cancellation = progress.cancellation();
        let parts: Vec<_> = parts_of(&self.plan).collect();
        let walk = RowWalk {
            parts: parts.iter().map(|pieces| walk_part(self.inputs, &self.plan, pieces)).collect(),
            options: &self.options,
            cancellation: cancellation.clone(),
        };
        let latest = walk.latest()?;
        let content = PageContent::Text { has_ends: true };
        for (at, (part, pieces)) in walk.parts.iter().zip(&parts).enumerate() {
            let log_of = |file: usize| pieces.iter().find(|piece| piece.file == file).map_or(0, |piece| piece.log);
            walk.each_page((at, part.open()?), (content, latest.as_ref()), None, &mut |page| {
                cancellation.check()?;
                progress.advance(page.read);
                page.lines_of_files().try_for_each(|(file, lines)| take(log_of(file), lines))?;
                page.end.map(ControlFlow::Continue)
            })?;
        }
        Ok(())
    }

    /// Calls `look` with each selected row, on several threads. `new` creates a collector for a range of rows; `take`
    /// receives the collectors in row order. Ignores the option for the latest rows.
    ///
    /// # Errors
    /// As [`cat_all`](super::cat_all), and the error of `take`.
    pub(crate) fn collect<A: Send>(
        &self,
        new: impl Fn() -> A + Sync,
        look: impl Fn(&mut A, &Row<'_>) + Sync,
        take: &mut dyn FnMut(A) -> Result<()>,
        progress: &dyn Progress,
    ) -> Result<()> {
        let cancellation = progress.cancellation();
        let parts = parts_of(&self.plan).map(|pieces| walk_part(self.inputs, &self.plan, &pieces)).collect();
        let walk = RowWalk { parts, options: &self.options, cancellation: cancellation.clone() };
        for (at, part) in walk.parts.iter().enumerate() {
            walk.each_batch((at, part.open()?), &new, &look, &mut |collected, bytes| {
                cancellation.check()?;
                progress.advance(bytes);
                take(collected)
            })?;
        }
        Ok(())
    }
}
