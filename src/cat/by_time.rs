//! Prints the rows of several inputs in the order of their times.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::Write;
use std::sync::Arc;

use super::plan::{CatPlan, PlannedPiece};
use super::several::CatAllReport;
use super::{CatOptions, renamed_envelope};
use crate::bundle::{Bundle, Rows, Selection};
use crate::error::{Error, IoAction, Result};
use crate::format::envelope::EnvelopeWriter;
use crate::format::log_decoder::printed_row;
use crate::format::{LogId, Timestamp};
use crate::input::TraceInput;
use crate::progress::Progress;

/// The amount of text that is printed at once.
const PAGE_BYTES: usize = 256 << 10;

/// Prints the rows of all inputs to `out` in the order of their timestamps. Write errors name `out_name`.
///
/// The rows of a log stay in their order. A row without a timestamp stays after the row before it. Rows with the same
/// timestamp are in the order of the inputs, then of the logs. Takes the memory of one chunk for each log whose rows
/// overlap in time. A bundle must not be a stream, unless it has one log.
///
/// # Errors
/// As [`cat`](super::cat).
pub fn cat_by_time(
    inputs: &[TraceInput<'_>],
    options: &CatOptions,
    out: impl Write,
    out_name: &str,
    progress: &dyn Progress,
) -> Result<CatAllReport> {
    let plan = CatPlan::new(inputs, options)?;
    let report = CatAllReport::new(&plan);
    progress.start(None);
    let mut merge = TimeMerge { inputs, options, logs: &plan.logs, report, page: Vec::new(), out, out_name, progress };
    let merged = merge.run(plan.streams);
    // The rows before an error are intact.
    let flushed = merge.flush();
    progress.finish();
    merged.and(flushed).map(|()| merge.report)
}

/// The rows of one sequence, of which the next one is known.
struct TimedRows<'r> {
    pieces: VecDeque<PlannedPiece>,
    open: Option<OpenPiece<'r>>,
    /// The text of the next row, once it was read.
    next: Option<(Vec<u8>, usize)>,
}

struct OpenPiece<'r> {
    rows: Rows<'r>,
    log: usize,
    renamed: Option<EnvelopeWriter>,
}

struct TimeMerge<'m, 'r, W> {
    inputs: &'m [TraceInput<'r>],
    options: &'m CatOptions,
    logs: &'m [(LogId, u64)],
    report: CatAllReport,
    page: Vec<u8>,
    out: W,
    out_name: &'m str,
    progress: &'m dyn Progress,
}

impl<'r, W: Write> TimeMerge<'_, 'r, W> {
    /// Merges the streams. A stream waits, unopened, until the earliest time of its first rows.
    fn run(&mut self, streams: Vec<Vec<PlannedPiece>>) -> Result<()> {
        let mut streams: Vec<_> =
            streams.into_iter().map(|pieces| TimedRows { pieces: pieces.into(), open: None, next: None }).collect();
        let mut waiting = BinaryHeap::new();
        for (at, stream) in streams.iter().enumerate() {
            if let Some(piece) = stream.pieces.front() {
                waiting.push(Reverse((self.earliest(piece), at)));
            }
        }
        while let Some(Reverse((_, at))) = waiting.pop() {
            let stream = &mut streams[at];
            if let Some((text, log)) = stream.next.take() {
                self.print(&text, log)?;
            }
            // Rows without a timestamp stay after the row before them, or before the first one.
            while let Some(next) = self.advance(stream)? {
                match (next, stream.next.take()) {
                    (Some(next), text) => {
                        stream.next = text;
                        waiting.push(Reverse((Some(next), at)));
                        break;
                    }
                    (None, Some((text, log))) => self.print(&text, log)?,
                    (None, None) => {}
                }
            }
        }
        Ok(())
    }

    /// Returns the earliest time in a piece, as its manifest gives it.
    fn earliest(&self, piece: &PlannedPiece) -> Option<i64> {
        let (input, part) = piece.bundle;
        self.inputs[input].parts()[part].files[piece.file].span.first.map(Timestamp::as_millis)
    }

    /// Reads the next row of a stream. Returns its time, or `None` after the last one.
    fn advance(&mut self, stream: &mut TimedRows<'r>) -> Result<Option<Option<i64>>> {
        loop {
            if stream.open.is_none() {
                let Some(piece) = stream.pieces.pop_front() else { return Ok(None) };
                stream.open = Some(self.open(&piece)?);
            }
            let Some(open) = &mut stream.open else { return Ok(None) };
            let manifest = Arc::clone(open.rows.manifest());
            if let Some(row) = open.rows.next_row()? {
                let mut text = Vec::new();
                match (self.options.envelope, &open.renamed) {
                    (true, Some(writer)) => {
                        writer.write(row.envelope.entry(), row.envelope.original.as_ref(), &mut text);
                    }
                    (true, None) => text.extend([row.line, b"\n"].concat()),
                    (false, _) => {
                        let (line, ending) = printed_row(&manifest.files[row.file], &row.envelope, row.number);
                        text.extend_from_slice(line);
                        text.extend_from_slice(ending);
                    }
                }
                let time = row.time().map(Timestamp::as_millis);
                stream.next = Some((text, open.log));
                return Ok(Some(time));
            }
            stream.open = None;
        }
    }

    fn open(&mut self, piece: &PlannedPiece) -> Result<OpenPiece<'r>> {
        let (input, part) = piece.bundle;
        let bundle: Bundle<'r> = self.inputs[input].parts()[part].open()?;
        let selection = Selection::default().files(vec![piece.file]).range(self.options.range);
        let rows = bundle.rows(&selection)?;
        self.report.note(bundle.name(), rows.access());
        let renamed = piece.renamed.as_ref().map(|name| renamed_envelope(&self.logs[piece.log].0, name));
        Ok(OpenPiece { rows, log: piece.log, renamed })
    }

    fn print(&mut self, text: &[u8], log: usize) -> Result<()> {
        self.report.logs[log].rows += 1;
        self.progress.advance(text.len() as u64);
        self.page.extend_from_slice(text);
        if self.page.len() >= PAGE_BYTES { self.flush_page() } else { Ok(()) }
    }

    fn flush_page(&mut self) -> Result<()> {
        self.progress.cancellation().check()?;
        let written = self.out.write_all(&self.page);
        self.page.clear();
        written.map_err(|error| Error::io_named(IoAction::Write, self.out_name, error))
    }

    fn flush(&mut self) -> Result<()> {
        self.flush_page()?;
        self.out.flush().map_err(|error| Error::io_named(IoAction::Write, self.out_name, error))
    }
}
