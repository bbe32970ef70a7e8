//! Writes pages of rows, and the output of mappers.

use std::io::Write;
use std::ops::ControlFlow;

use super::mapped::{FailedRows, UnmappedRow};
use super::page::Page;
use super::window::Window;
use super::{CatOptions, RowFormat};
use crate::error::{Error, IoAction, Result};
use crate::format::Manifest;
use crate::progress::{Cancellation, Progress};

/// The amount of mapper output that is buffered before it is written, in bytes.
const MAX_PENDING_BYTES: usize = 256 << 10;

/// The number of output lines between two checks for cancellation.
const LINES_BETWEEN_CHECKS: u64 = 4096;

/// The rows to print: those of a bundle, as selected by options.
#[derive(Clone, Copy)]
pub struct PrintedPart<'p> {
    /// The name of the bundle.
    pub name: &'p str,
    pub manifest: &'p Manifest,
    pub options: &'p CatOptions,
}

/// Writes pages of rows.
pub struct Printer<'p> {
    out: &'p mut dyn Write,
    out_name: &'p str,
    progress: &'p dyn Progress,
    pub cancellation: Cancellation,
    pub window: Window,
    /// The columns of a table in which a row has a value.
    pub filled: Vec<bool>,
    /// The output of the mapper that has not been written yet.
    pending: Vec<u8>,
    pub failed: FailedRows,
}

impl<'p> Printer<'p> {
    pub fn new(out: &'p mut dyn Write, out_name: &'p str, progress: &'p dyn Progress) -> Self {
        let (cancellation, window) = (progress.cancellation(), Window::default());
        let (filled, pending, failed) = (Vec::new(), Vec::new(), FailedRows::default());
        Self { out, out_name, progress, cancellation, window, filled, pending, failed }
    }

    /// Writes the header line, if the format has one.
    pub fn begin(&mut self, options: &CatOptions) -> Result<()> {
        let RowFormat::Table(table) = &options.format else { return Ok(()) };
        let mut header = Vec::new();
        if !options.count_only {
            table.write_header(&mut header);
        }
        self.write(&header)
    }

    /// Prints a page, and adds the number of its rows to `rows`. Rows before damage are intact (before a truncation,
    /// complete rows are), so they are printed before the damage is reported.
    pub fn print(&mut self, mut page: Page, from: PrintedPart<'_>, rows: &mut [u64]) -> Result<ControlFlow<()>> {
        self.cancellation.check()?;
        self.progress.advance(page.read);
        self.window.cut(&mut page);
        let mut printed = self.write_pending().and_then(|()| self.write(page.text()));
        self.fill(&page.filled);
        self.failed.add(from.name, from.manifest, page.failures);
        page.rows.into_iter().for_each(|(file, count)| rows[file] += count);
        for row in page.rest {
            if printed.is_ok() && !self.window.is_over() {
                printed = self.print_mapped(&row, from, &mut rows[row.file]);
            }
        }
        if self.window.is_over() {
            return printed.map(ControlFlow::Break);
        }
        // Report known damage even if its rows can no longer be printed.
        page.end.and(printed).map(ControlFlow::Continue)
    }

    /// Prints all lines that the mapper makes of a row, and adds their number to `count`.
    pub fn print_mapped(&mut self, row: &UnmappedRow, from: PrintedPart<'_>, count: &mut u64) -> Result<()> {
        let Some(mapper) = from.options.mapper.as_deref() else { return Ok(()) };
        let (mut written, mut lines) = (Ok(()), 0_u64);
        let done = row.map(mapper, &mut |line, ending| {
            lines += 1;
            if self.window.admit() {
                *count += 1;
                if !from.options.count_only {
                    self.pending.extend_from_slice(line);
                    self.pending.extend_from_slice(ending);
                }
            }
            if self.pending.len() >= MAX_PENDING_BYTES {
                written = self.write_pending();
            } else if lines % LINES_BETWEEN_CHECKS == 0 {
                written = self.cancellation.check();
            }
            if written.is_err() || self.window.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        written?;
        self.failed.add(from.name, from.manifest, done.err());
        Ok(())
    }

    /// Writes the buffered output of the mapper.
    pub fn write_pending(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut pending = std::mem::take(&mut self.pending);
        let written = self.cancellation.check().and_then(|()| self.write(&pending));
        pending.clear();
        self.pending = pending;
        written
    }

    /// Prints text and clears it.
    pub fn print_text(&mut self, text: &mut Vec<u8>) -> Result<()> {
        self.cancellation.check()?;
        self.progress.advance(text.len() as u64);
        let written = self.write(text);
        text.clear();
        written
    }

    /// Records the columns in which a row has a value.
    pub fn fill(&mut self, filled: &[bool]) {
        self.filled.resize(self.filled.len().max(filled.len()), false);
        self.filled.iter_mut().zip(filled).for_each(|(all, of_page)| *all |= of_page);
    }

    fn write(&mut self, text: &[u8]) -> Result<()> {
        self.out.write_all(text).map_err(|error| Error::io_named(IoAction::Write, self.out_name, error))
    }
}
