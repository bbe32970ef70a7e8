//! Merges the rows of several inputs by timestamp, and prints them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::Write;
use std::sync::Arc;

use super::CatOptions;
use super::format::RowRenderer;
use super::latest::{KeyReader, LastPlaces, LatestRows, RowPlace};
use super::mapped::UnmappedRow;
use super::page::{PageContent, PageMaker};
use super::plan::{CatPlan, PlannedPiece};
use super::printer::{PrintedPart, Printer};
use super::several::{CatReport, renamed_envelope};
use super::walk::WalkStart;
use crate::align::Fingerprint;
use crate::bundle::{Bundle, Rows, Selection};
use crate::error::{Error, IoAction, Result};
use crate::format::envelope::EnvelopeWriter;
use crate::format::{Manifest, Timestamp};
use crate::input::TraceInput;
use crate::progress::Progress;

/// The amount of text that is printed at once, in bytes.
const PAGE_BYTES: usize = 256 << 10;

/// Merges the rows of all inputs by timestamp, and prints them to `out`. Write errors name `out_name`.
///
/// Each log keeps its own order. A row without a timestamp stays after the row before it in the log, even if that one
/// is not printed. Rows with the same timestamp are in the order of the inputs, then of the logs. Takes the memory of
/// one chunk for each log whose rows overlap in time. A bundle must not be a stream, unless it has one log and is read
/// once.
///
/// # Errors
/// As [`cat_all`](super::cat_all).
pub fn cat_by_time(
    inputs: &[TraceInput<'_>],
    options: &CatOptions,
    mut out: impl Write,
    out_name: &str,
    progress: &dyn Progress,
) -> Result<CatReport> {
    let plan = CatPlan::new(inputs, options)?;
    let mut report = CatReport::new(&plan);
    report.note_all(&CatPlan::check_empty(inputs, options)?);
    progress.start(None);
    let mut printer = Printer::new(&mut out, out_name, progress);
    let merge = TimeMerge { inputs, options, plan: &plan };
    let merged = merge.print(&mut printer, &mut report);
    progress.finish();
    (report.empty_columns, report.failed) = (options.empty_columns(&printer.filled), printer.failed);
    let flushed = out.flush().map_err(|error| Error::io_named(IoAction::Write, out_name, error));
    merged.and(flushed).map(|()| report)
}

/// The rows of one sequence, with the next row read ahead.
struct TimedRows<'p, 'r> {
    pieces: VecDeque<&'p PlannedPiece>,
    open: Option<OpenPiece<'p, 'r>>,
    /// The next row, if it has been read.
    next: Option<TimedRow>,
    /// The timestamp of the last row read, selected or not, or of the last row before it that has one.
    last_time: Option<i64>,
}

struct OpenPiece<'p, 'r> {
    rows: Rows<'r>,
    piece: &'p PlannedPiece,
    /// The name and number of its bundle.
    name: Arc<str>,
    part: u32,
    renamed: Option<EnvelopeWriter>,
}

/// A selected row.
#[derive(Debug)]
struct TimedRow {
    /// Its timestamp, or that of the last row before it that has one.
    time: Option<i64>,
    text: Vec<u8>,
    /// The row, if a mapper makes its text when it is printed.
    unmapped: Option<UnprintedRow>,
    /// The columns of a table in which it has a value.
    filled: Vec<bool>,
    /// The index of its log in the plan.
    log: usize,
    key: Option<(Fingerprint, RowPlace)>,
}

/// A row for a mapper, and its origin.
#[derive(Debug)]
struct UnprintedRow {
    row: UnmappedRow,
    name: Arc<str>,
    manifest: Arc<Manifest>,
}

/// Merges the rows of all streams by timestamp, as often as needed.
struct TimeMerge<'m, 'r> {
    inputs: &'m [TraceInput<'r>],
    options: &'m CatOptions,
    plan: &'m CatPlan,
}

/// The selection of rows, and the parts of the rows that are read.
type MergedRows<'k> = (PageContent<'k>, Option<&'k LatestRows<'k>>);

impl<'m, 'r> TimeMerge<'m, 'r> {
    fn print(&self, printer: &mut Printer<'_>, report: &mut CatReport) -> Result<()> {
        let cancellation = printer.cancellation.clone();
        let mut unread = CatReport::new(self.plan);
        let keys = self.options.latest.as_ref().map(KeyReader::new).transpose()?;
        let latest = match keys {
            None => None,
            Some(keys) => {
                let mut last = LastPlaces::default();
                self.each_row((PageContent::Keys(&keys), None), &mut unread, &mut |row| {
                    row.key.into_iter().for_each(|(key, place)| last.add(key, place));
                    cancellation.check().map(|()| true)
                })?;
                Some(last.finish(keys))
            }
        };
        let mut start = WalkStart::default();
        if let Some(wanted) = self.options.tail {
            let mut rows: u64 = 0;
            self.each_row((PageContent::Count, latest.as_ref()), &mut unread, &mut |row| {
                rows += match self.options.mapper.as_deref().zip(row.unmapped) {
                    Some((mapper, unprinted)) => unprinted.row.count(mapper),
                    None => 1,
                };
                cancellation.check().map(|()| true)
            })?;
            start.skipped = rows.saturating_sub(wanted);
        }
        let (content, window) = self.options.printed(start);
        printer.window = window;
        printer.begin(self.options)?;
        let (mut page, mut rows) = (Vec::new(), vec![0; self.plan.logs.len()]);
        let merged = self.each_row((content, latest.as_ref()), report, &mut |row| {
            if let Some(UnprintedRow { row: unmapped, name, manifest }) = &row.unmapped {
                let from = PrintedPart { name, manifest, options: self.options };
                printer.print_mapped(unmapped, from, &mut rows[row.log])?;
            } else if printer.window.admit() {
                rows[row.log] += 1;
                page.extend_from_slice(&row.text);
                printer.fill(&row.filled);
            }
            if page.len() >= PAGE_BYTES {
                printer.print_text(&mut page)?;
            }
            Ok(!printer.window.is_over())
        });
        report.logs.iter_mut().zip(rows).for_each(|(log, rows)| log.rows = rows);
        // The rows before an error are intact.
        merged.and(printer.print_text(&mut page)).and(printer.write_pending())
    }

    /// Passes the selected rows to `take`, merged by timestamp, until it returns false. A stream is not opened before
    /// the merge reaches its earliest timestamp.
    fn each_row(
        &self,
        read: MergedRows<'_>,
        report: &mut CatReport,
        take: &mut dyn FnMut(TimedRow) -> Result<bool>,
    ) -> Result<()> {
        let streams = self.plan.streams.iter();
        let mut streams: Vec<_> = streams
            .map(|pieces| TimedRows { pieces: pieces.iter().collect(), open: None, next: None, last_time: None })
            .collect();
        let mut waiting = BinaryHeap::new();
        for (at, stream) in streams.iter().enumerate() {
            if let Some(piece) = stream.pieces.front() {
                waiting.push(Reverse((self.earliest(piece), at)));
            }
        }
        while let Some(Reverse((_, at))) = waiting.pop() {
            let stream = &mut streams[at];
            if let Some(row) = stream.next.take()
                && !take(row)?
            {
                return Ok(());
            }
            // Rows before the first timestamp come first.
            while let Some(row) = self.advance(stream, read, report)? {
                if let Some(time) = row.time {
                    stream.next = Some(row);
                    waiting.push(Reverse((Some(time), at)));
                    break;
                }
                if !take(row)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Returns the earliest timestamp in a piece, according to the manifest.
    fn earliest(&self, piece: &PlannedPiece) -> Option<i64> {
        let (input, part) = piece.bundle;
        self.inputs[input].parts()[part].files[piece.file].span.first.map(Timestamp::as_millis)
    }

    /// Reads the next selected row of a stream, or returns `None` after the last one.
    fn advance(
        &self,
        rows: &mut TimedRows<'m, 'r>,
        (content, latest): MergedRows<'_>,
        report: &mut CatReport,
    ) -> Result<Option<TimedRow>> {
        loop {
            if rows.open.is_none() {
                let Some(piece) = rows.pieces.pop_front() else { return Ok(None) };
                rows.open = Some(self.open(piece, report)?);
            }
            let Some(open) = &mut rows.open else { return Ok(None) };
            match open.next_row(self.options, content, latest, &mut rows.last_time)? {
                Some(row) => return Ok(Some(row)),
                None => rows.open = None,
            }
        }
    }

    fn open(&self, piece: &'m PlannedPiece, report: &mut CatReport) -> Result<OpenPiece<'m, 'r>> {
        let (input, part) = piece.bundle;
        let bundle: Bundle<'r> = self.inputs[input].parts()[part].open()?;
        let selection = Selection::default().files(vec![piece.file]).range(self.options.range);
        let rows = bundle.rows(&selection)?;
        report.note(bundle.name(), rows.access());
        let name = bundle.name().into();
        let renamed = piece.renamed.as_ref().map(|name| renamed_envelope(&self.plan.logs[piece.log].0, name));
        // Bundles are numbered input by input.
        let before: usize = self.inputs[..input].iter().map(|input| input.parts().len()).sum();
        let number = u32::try_from(before + part).unwrap_or(u32::MAX);
        Ok(OpenPiece { rows, piece, name, part: number, renamed })
    }
}

impl OpenPiece<'_, '_> {
    /// Returns the next selected row, or `None` after the last one.
    fn next_row(
        &mut self,
        options: &CatOptions,
        content: PageContent<'_>,
        latest: Option<&LatestRows<'_>>,
        last_time: &mut Option<i64>,
    ) -> Result<Option<TimedRow>> {
        let renderer = RowRenderer::new(&options.format, self.renamed.as_ref());
        let maker = PageMaker::new(options, renderer, content, latest, self.part);
        let manifest = Arc::clone(self.rows.manifest());
        while let Some(row) = self.rows.next_row()? {
            *last_time = row.time().map(Timestamp::as_millis).or(*last_time);
            if maker.selects(&row) {
                let unmapped = maker.mapper().map(|_| UnprintedRow {
                    row: UnmappedRow::new(&row, &manifest),
                    name: Arc::clone(&self.name),
                    manifest: Arc::clone(&manifest),
                });
                let (text, filled, key) = match unmapped {
                    Some(_) => Default::default(),
                    None => maker.read(&row, &manifest),
                };
                return Ok(Some(TimedRow { time: *last_time, text, unmapped, filled, log: self.piece.log, key }));
            }
        }
        Ok(None)
    }
}
