//! Prints rows of a bundle exactly as they were in their logs, or one log byte for byte.

mod by_time;
mod log;
mod plan;
mod several;

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::buffers::Buffer;
use crate::bundle::{Access, Bundle, BundleLogs, ChunkOrder, ChunkRows, Row, Selection, each_chunk, select_files};
use crate::error::{Error, IoAction, Result};
use crate::format::envelope::EnvelopeWriter;
use crate::format::log_decoder::printed_row;
use crate::format::{FileName, LogId, Manifest, TimeRange};
use crate::progress::{Cancellation, Progress};
use crate::util::ordered_pool::available_cores;
pub use by_time::cat_by_time;
pub use log::{PrintLogOptions, PrintLogReport, print_input_log, print_log};
pub use several::{CatAllReport, PrintedLog, cat_all};

/// Options for [`cat`].
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
    /// True to print the envelopes instead of the rows.
    pub envelope: bool,
    /// The number of threads that inflate and check chunks.
    pub threads: NonZeroUsize,
}

/// Prints every row as it was in its log, with one thread per core.
impl Default for CatOptions {
    fn default() -> Self {
        let (sources, files, range, envelope) = (Vec::new(), Vec::new(), TimeRange::default(), false);
        Self { sources, files, range, envelope, threads: available_cores() }
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

    /// Chooses whether to print envelopes instead of rows.
    pub fn envelope(self, envelope: bool) -> Self {
        Self { envelope, ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }
}

/// The result of [`cat`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CatReport {
    /// The number of rows printed from each of the manifest's files.
    pub rows: Vec<u64>,
    /// The number of lines in each selected file that were not printed because they are not rows; 0 for other
    /// files. [`print_log`] prints them.
    pub skipped_lines: Vec<u64>,
    /// The way in which the rows were accessed.
    pub access: Access,
}

/// Prints rows to `out`, each followed by a line feed. Write errors name `out_name`. Several threads inflate and
/// check chunks; the rows are still printed in order.
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
/// [`UnknownSource`](crate::ErrorKind::UnknownSource) and [`UnknownFile`](crate::ErrorKind::UnknownFile), before
/// anything is printed. If the bundle is damaged, the rows before the damage are printed before the error is
/// returned. If `out` fails, earlier rows may have been written.
pub fn cat(
    bundle: Bundle<'_>,
    options: &CatOptions,
    mut out: impl Write,
    out_name: &str,
    progress: &dyn Progress,
) -> Result<CatReport> {
    let (name, manifest) = (bundle.name().to_owned(), Arc::clone(bundle.manifest()));
    let files = select_files(&manifest, &options.sources, &options.files).map_err(|error| error.in_subject(&name))?;
    progress.start(bytes_to_read(&manifest, &files, options.range));
    let mut skipped_lines = vec![0; manifest.files.len()];
    for &file in &files {
        skipped_lines[file] = manifest.files[file].unparsed_lines();
    }
    let printed = print_files(bundle, files, options, &mut Printer::new(&mut out, out_name, progress));
    progress.finish();
    let flushed = out.flush().map_err(|error| Error::io_named(IoAction::Write, out_name, error));
    let (rows, access) = printed?;
    flushed.map(|()| CatReport { rows, skipped_lines, access })
}

/// Writes pages of rows.
struct Printer<'p> {
    out: &'p mut dyn Write,
    out_name: &'p str,
    progress: &'p dyn Progress,
    cancellation: Cancellation,
}

impl<'p> Printer<'p> {
    fn new(out: &'p mut dyn Write, out_name: &'p str, progress: &'p dyn Progress) -> Self {
        Self { out, out_name, progress, cancellation: progress.cancellation() }
    }

    /// Prints a page. Rows before damage are intact (before a truncation, the complete ones are), so they are printed
    /// before it is reported.
    fn print(&mut self, page: Page) -> Result<Vec<(usize, u64)>> {
        self.cancellation.check()?;
        self.progress.advance(page.read);
        let printed = self.out.write_all(&page.text);
        let printed = printed.map_err(|error| Error::io_named(IoAction::Write, self.out_name, error));
        // Report known damage even if its rows can no longer be printed.
        page.end.and(printed).map(|()| page.rows)
    }
}

/// Prints the rows of some files of a bundle. Returns the number of rows printed from each of the manifest's files.
fn print_files(
    bundle: Bundle<'_>,
    files: Vec<usize>,
    options: &CatOptions,
    printer: &mut Printer<'_>,
) -> Result<(Vec<u64>, Access)> {
    let (name, manifest) = (bundle.name().to_owned(), Arc::clone(bundle.manifest()));
    let selection = Selection::default().files(files).range(options.range);
    let mut rows = vec![0; manifest.files.len()];
    let mut print = |page: Page| {
        printer.print(page)?.into_iter().for_each(|(file, count)| rows[file] += count);
        Ok(())
    };
    let access = if manifest.has_chunk_table() {
        let of_chunk = |logs: &BundleLogs, chunk: ChunkRows| Page::of_chunk(logs, chunk, options);
        each_chunk(bundle, &selection, ChunkOrder::OfBundle, options.threads, of_chunk, &mut print)
    } else {
        // `Page` selects the rows of the range.
        print_lines(&bundle, &selection.range(TimeRange::default()), options, &mut print)
    };
    access.map(|access| (rows, access)).map_err(|error| error.in_subject(&name))
}

/// Prints the envelopes of a file's rows as those of the log `renamed`. Returns their number.
fn print_renamed(
    bundle: &Bundle<'_>,
    file: usize,
    renamed: &FileName,
    options: &CatOptions,
    printer: &mut Printer<'_>,
) -> Result<(u64, Access)> {
    let envelope = renamed_envelope(&LogId::of(&bundle.manifest().files[file]), renamed);
    let mut rows = bundle.rows(&Selection::default().files(vec![file]).range(options.range))?;
    let mut count = 0;
    let mut page = Page::of(Vec::with_capacity(PAGE_BYTES).into());
    loop {
        let row = match rows.next_row() {
            Ok(Some(row)) => row,
            ended => {
                page.end = ended.map(drop);
                printer.print(page)?;
                return Ok((count, rows.access()));
            }
        };
        let mut line = Vec::new();
        envelope.write(row.envelope.entry(), row.envelope.original.as_ref(), &mut line);
        page.text.extend_from_slice(&line);
        page.read += line.len() as u64;
        count += 1;
        if page.text.len() >= PAGE_BYTES {
            let full = std::mem::replace(&mut page, Page::of(Vec::with_capacity(PAGE_BYTES).into()));
            printer.print(full)?;
        }
    }
}

/// Returns a writer of the envelopes of a log that has another name than the file of its rows.
fn renamed_envelope(id: &LogId, renamed: &FileName) -> EnvelopeWriter {
    EnvelopeWriter::new(&id.source, renamed, id.base)
}

/// The amount of text that is printed at once if the bundle has no chunk table.
const PAGE_BYTES: usize = 256 << 10;

/// Prints a bundle without a chunk table, reading its rows sequentially.
fn print_lines(
    bundle: &Bundle<'_>,
    selection: &Selection,
    options: &CatOptions,
    print: &mut impl FnMut(Page) -> Result<()>,
) -> Result<Access> {
    let mut rows = bundle.rows(selection)?;
    let manifest = Arc::clone(rows.manifest());
    loop {
        let mut page = Page::of(Vec::with_capacity(PAGE_BYTES).into());
        while page.text.len() < PAGE_BYTES && page.end.is_ok() {
            match rows.next_row() {
                Ok(Some(row)) => page.push(&row, &manifest, options),
                Ok(None) => return print(page).map(|()| rows.access()),
                Err(error) => page.end = Err(error),
            }
        }
        print(page)?;
    }
}

/// Rows that are printed together.
struct Page {
    text: Buffer,
    /// The number of rows of each file.
    rows: Vec<(usize, u64)>,
    /// The number of envelope bytes read for this page.
    read: u64,
    /// The damage that follows the page, if any.
    end: Result<()>,
}

impl Page {
    fn of(text: Buffer) -> Self {
        Self { text, rows: Vec::new(), read: 0, end: Ok(()) }
    }

    /// Builds a page from a chunk, reusing the chunk's memory.
    fn of_chunk(logs: &BundleLogs, chunk: ChunkRows, options: &CatOptions) -> Self {
        let mut page = Self::of(Buffer::default());
        (page.text, page.end) = chunk.into_lines(logs, |row| page.count(row, &logs.manifest, options));
        page
    }

    fn push(&mut self, row: &Row<'_>, manifest: &Manifest, options: &CatOptions) {
        if let Some((line, ending)) = self.count(row, manifest, options) {
            self.text.extend_from_slice(line);
            self.text.extend_from_slice(ending);
        }
    }

    /// Counts a row, and returns its text and line ending if it is to be printed.
    fn count<'r>(
        &mut self,
        row: &'r Row<'_>,
        manifest: &Manifest,
        options: &CatOptions,
    ) -> Option<(&'r [u8], &'static [u8])> {
        self.read += row.line.len() as u64 + 1;
        if options.range != TimeRange::default() && !options.range.contains(row.time()) {
            return None;
        }
        match self.rows.last_mut().filter(|(file, _)| *file == row.file) {
            Some((_, count)) => *count += 1,
            None => self.rows.push((row.file, 1)),
        }
        Some(match options.envelope {
            true => (row.line, b"\n"),
            false => printed_row(&manifest.files[row.file], &row.envelope, row.number),
        })
    }
}

/// Returns the number of bytes of the bundle's text that must be read, if it has a chunk table.
fn bytes_to_read(manifest: &Manifest, files: &[usize], range: TimeRange) -> Option<u64> {
    let chunks = files.iter().flat_map(|file| &manifest.files[*file].chunks);
    let wanted = chunks.filter(|chunk| range.overlaps(chunk.first_time, chunk.last_time));
    manifest.has_chunk_table().then(|| wanted.map(|chunk| chunk.bytes).sum())
}
