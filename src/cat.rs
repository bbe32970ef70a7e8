//! Prints rows of a bundle exactly as they were in their logs or in another format, or one log byte for byte.

mod by_time;
mod cells;
mod conditions;
mod format;
mod latest;
mod log;
mod mapped;
mod page;
mod plan;
mod pretty;
mod printer;
mod select;
mod several;
mod walk;
mod window;

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::bundle::{Access, Bundle};
use crate::error::Result;
use crate::format::{LogId, TimeRange};
use crate::input::TraceInput;
use crate::progress::Progress;
use crate::query::{KeyPath, RowFilter, RowMapper};
use crate::util::ordered_pool::available_cores;
pub use by_time::cat_by_time;
pub use cells::{CellSeparator, TableFormat};
pub(crate) use conditions::quoted_argument;
pub use format::RowFormat;
pub use log::{PrintLogOptions, PrintLogReport, print_input_log, print_log};
pub use mapped::{FailedRow, FailedRows};
use page::PageContent;
use printer::{PrintedPart, Printer};
pub(crate) use select::SelectedRows;
pub use several::{CatReport, PrintedLog, cat_all, selected_logs};
use walk::{RowWalk, WalkStart};
use window::Window;

/// Options for [`cat`].
///
/// Rows are selected in this order: by source, file and time; the latest of each key; by the filter; the first or last
/// rows.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct CatOptions {
    /// The sources whose rows are printed; all if empty.
    pub sources: Vec<String>,
    /// The files whose rows are printed; all if empty.
    pub files: Vec<String>,
    /// The time range of the rows that are printed. Rows without a timestamp match only an unbounded range.
    pub range: TimeRange,
    /// Prints only the last row of each value of this path in each source, and all rows without it. The rows are read
    /// twice, so the bundle must not be a stream.
    pub latest: Option<KeyPath>,
    /// The filter of the rows that are printed.
    pub filter: RowFilter,
    /// The number of rows after which printing ends, if set.
    pub head: Option<u64>,
    /// The number of rows at the end that are printed, if set. The rows may be read twice, so the bundle must not be a
    /// stream.
    pub tail: Option<u64>,
    /// True to count the rows without printing them.
    pub count_only: bool,
    /// The format of the rows.
    pub format: RowFormat,
    /// The mapper whose lines are printed instead of the rows, if set. The format of the rows then has no effect.
    pub(crate) mapper: Option<Arc<dyn RowMapper>>,
    /// The number of threads that inflate, check and filter chunks.
    pub threads: NonZeroUsize,
}

/// Prints every row as it was in its log, with one thread per core.
impl Default for CatOptions {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            files: Vec::new(),
            range: TimeRange::default(),
            latest: None,
            filter: RowFilter::default(),
            head: None,
            tail: None,
            count_only: false,
            format: RowFormat::default(),
            mapper: None,
            threads: available_cores(),
        }
    }
}

impl CatOptions {
    /// Limits the output to the rows of these sources.
    pub fn sources(self, sources: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { sources: sources.into_iter().map(Into::into).collect(), ..self }
    }

    /// Limits the output to the rows of these files.
    pub fn files(self, files: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { files: files.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets the time range of the rows that are printed.
    pub fn range(self, range: TimeRange) -> Self {
        Self { range, ..self }
    }

    /// Limits the output to the last row of each value of a path.
    pub fn latest(self, key: impl Into<Option<KeyPath>>) -> Self {
        Self { latest: key.into(), ..self }
    }

    /// Sets the filter of the rows that are printed.
    pub fn filter(self, filter: RowFilter) -> Self {
        Self { filter, ..self }
    }

    /// Limits the output to the first rows.
    pub fn head(self, rows: impl Into<Option<u64>>) -> Self {
        Self { head: rows.into(), ..self }
    }

    /// Limits the output to the last rows.
    pub fn tail(self, rows: impl Into<Option<u64>>) -> Self {
        Self { tail: rows.into(), ..self }
    }

    /// Chooses whether to count rows instead of printing them.
    pub fn count_only(self, count_only: bool) -> Self {
        Self { count_only, ..self }
    }

    /// Sets the format of the rows.
    pub fn format(self, format: RowFormat) -> Self {
        Self { format, ..self }
    }

    /// Sets the jq filter whose output lines are printed instead of the rows. The options that count rows, or print
    /// only the first or last ones, then apply to these lines.
    #[cfg(feature = "jq")]
    pub fn jq(self, filter: impl Into<Option<crate::query::JqFilter>>) -> Self {
        Self { mapper: filter.into().map(|filter| Arc::new(filter) as Arc<dyn RowMapper>), ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Returns true if the rows are read twice. No input may then be a stream.
    #[must_use]
    pub fn reads_twice(&self) -> bool {
        self.latest.is_some() || self.tail.is_some()
    }

    /// Returns true if rows of this log are printed.
    #[must_use]
    pub fn selects_log(&self, log: &LogId) -> bool {
        let is_one_of = |names: &[String], name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
        is_one_of(&self.sources, log.source.as_str()) && is_one_of(&self.files, log.name.as_str())
    }

    /// Returns true if all rows of the sources and files are printed, each once.
    fn selects_all(&self) -> bool {
        self.filter.is_empty() && self.range == TimeRange::default() && self.mapper.is_none()
    }

    /// Returns the columns of a table whose flag in `filled` is not true.
    fn empty_columns(&self, filled: &[bool]) -> Vec<KeyPath> {
        let RowFormat::Table(table) = &self.format else { return Vec::new() };
        let columns = table.columns.iter().zip(filled);
        columns.filter(|(_, is_filled)| !**is_filled).map(|(column, _)| column.clone()).collect()
    }

    /// Returns the output for the selected rows, and the window of them that is printed.
    fn printed(&self, start: WalkStart) -> (PageContent<'static>, Window) {
        // Reads all rows after the first of the last ones, because the filter may fail for rows that give no lines.
        let left = if self.tail == Some(0) { self.tail } else { self.head };
        let window = Window::new(start.skipped, left);
        let content = match self.count_only {
            true => PageContent::Count,
            false => PageContent::Text { has_ends: window.is_bounded() },
        };
        (content, window)
    }
}

/// Prints rows of a bundle to `out`. See [`cat_all`] for several inputs.
///
/// ```
/// use patchwork_traces::Bundle;
/// use patchwork_traces::cat::{CatOptions, cat};
/// use patchwork_traces::progress::NoProgress;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// let options = CatOptions::default().sources(["activity"]);
/// let mut rows = Vec::new();
/// cat(Bundle::open(path)?, &options, &mut rows, "memory", &NoProgress)?;
/// assert!(rows.starts_with(br#"{"timestamp":"2026-05-02T10:00:00.000Z","tool":"read"}"#));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`cat_all`].
pub fn cat(
    bundle: Bundle<'_>,
    options: &CatOptions,
    out: impl Write,
    out_name: &str,
    progress: &dyn Progress,
) -> Result<CatReport> {
    cat_all(&[TraceInput::from_bundle(bundle)], options, out, out_name, progress)
}

/// Receives the index of a part that was read, the number of rows printed from each file of its manifest, its name, and how
/// it was accessed.
type NotePart<'n> = &'n mut dyn FnMut(usize, Vec<u64>, &str, Access);

/// Prints the rows of all parts.
fn print_walk(walk: &RowWalk<'_, '_>, printer: &mut Printer<'_>, note: NotePart<'_>) -> Result<()> {
    let latest = walk.latest()?;
    let start =
        walk.options.tail.map(|rows| walk.start_of_last(rows, latest.as_ref())).transpose()?.unwrap_or_default();
    let (content, window) = walk.options.printed(start);
    printer.window = window;
    printer.begin(walk.options)?;
    for (at, part) in walk.parts.iter().enumerate().skip(start.part) {
        if printer.window.is_over() {
            break;
        }
        let bundle = part.open()?;
        let (name, manifest) = (bundle.name().to_owned(), Arc::clone(bundle.manifest()));
        let mut rows = vec![0; manifest.files.len()];
        let from = PrintedPart { name: &name, manifest: &manifest, options: walk.options };
        let mut print = |page| printer.print(page, from, &mut rows);
        let chunks = start.chunks_of(at);
        let walked = walk.each_page((at, bundle), (content, latest.as_ref()), chunks, &mut print);
        // The lines before damage are printed, too.
        let written = printer.write_pending();
        let access = walked.and_then(|access| written.map(|()| access))?;
        note(at, rows, &name, access);
    }
    Ok(())
}
