//! Prints rows of a bundle exactly as they stood in their logs, or one log byte for byte.

mod log;

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::buffers::Buffer;
use crate::bundle::{Access, Bundle, BundleLogs, ChunkOrder, ChunkRows, Row, Selection, each_chunk, select_files};
use crate::error::{Error, IoAction, Result};
use crate::format::log::printed_row;
use crate::format::{Manifest, TimeRange, line};
use crate::pool::all_cores;
use crate::progress::Progress;
use crate::sources::times_of;
pub use log::{PrintLogOptions, PrintLogReport, print_log};

/// Which rows to print, and how.
#[derive(Debug, Clone)]
pub struct CatOptions {
    /// Only rows of these sources; all when empty.
    pub sources: Vec<String>,
    /// Only rows of these files; all when empty.
    pub files: Vec<String>,
    /// Only rows of this time. A row without a time is of no time but all.
    pub range: TimeRange,
    /// Print the envelopes instead of the rows.
    pub envelope: bool,
    /// How many threads inflate and check.
    pub threads: NonZeroUsize,
}

/// Every row, as it stood in its log, on as many threads as there are cores.
impl Default for CatOptions {
    fn default() -> Self {
        let (sources, files, range, envelope) = (Vec::new(), Vec::new(), TimeRange::default(), false);
        Self { sources, files, range, envelope, threads: all_cores() }
    }
}

/// What was printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatReport {
    /// Rows printed of each of the manifest's files.
    pub rows: Vec<u64>,
    /// Lines of each of the manifest's files that were not printed, as they are not rows. 0 for a file that was not
    /// chosen. [`print_log`] prints them.
    pub skipped_lines: Vec<u64>,
    /// How the rows were reached.
    pub access: Access,
}

/// Prints the rows to `out`, each with a line feed at its end. What `out` cannot take is reported under `out_name`.
/// Threads inflate and check chunks; their rows come out in order all the same.
///
/// ```
/// use patchwork_traces::Bundle;
/// use patchwork_traces::cat::{CatOptions, cat};
/// use patchwork_traces::progress::NoProgress;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// let options = CatOptions { sources: vec!["activity".to_owned()], ..CatOptions::default() };
/// let mut rows = Vec::new();
/// cat(Bundle::open(path)?, &options, &mut rows, "memory", &NoProgress)?;
/// assert!(rows.starts_with(br#"{"timestamp":"2026-05-02T10:00:00.000Z","tool":"read"}"#));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`UnknownSource`](crate::ErrorKind::UnknownSource) and [`UnknownFile`](crate::ErrorKind::UnknownFile) before
/// anything is printed. When the bundle is damaged or `out` fails, after the rows before.
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
    let selection = Selection { files: Some(files), chunks_in: options.range };
    let cancellation = progress.cancellation();
    let written = |error| Error::io_named(IoAction::Write, out_name, error);
    let mut rows = vec![0; manifest.files.len()];
    // Rows before damage are intact, or the whole ones before a cut: they are printed before it is reported.
    let mut print = |page: Page| {
        cancellation.check()?;
        progress.advance(page.read);
        let printed = out.write_all(&page.text).map_err(written);
        // Damage that is known is reported even where its rows can no longer be printed.
        page.end.and(printed)?;
        page.rows.iter().for_each(|(file, count)| rows[*file] += count);
        Ok(())
    };
    let access = if manifest.has_chunk_table() {
        let of_chunk = |logs: &BundleLogs, chunk: ChunkRows| Page::of_chunk(logs, chunk, options);
        each_chunk(bundle, &selection, ChunkOrder::OfBundle, options.threads, of_chunk, &mut print)
    } else {
        print_lines(bundle, &selection, options, &mut print)
    };
    progress.finish();
    let flushed = out.flush().map_err(written);
    let access = access.map_err(|error| error.in_subject(&name))?;
    flushed.map(|()| CatReport { rows, skipped_lines, access })
}

/// How much is printed at once where there are no chunks.
const PAGE_BYTES: usize = 256 << 10;

/// A bundle without chunk table: one row after the other.
fn print_lines(
    bundle: Bundle<'_>,
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

/// Rows that are printed at once.
struct Page {
    text: Buffer,
    /// How many there are, of each file.
    rows: Vec<(usize, u64)>,
    /// Bytes of the envelopes that were read for it.
    read: u64,
    /// What comes behind them, if that is damage.
    end: Result<()>,
}

impl Page {
    fn of(text: Buffer) -> Self {
        Self { text, rows: Vec::new(), read: 0, end: Ok(()) }
    }

    /// A chunk's rows, in the memory of the chunk.
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

    /// Counts a row, and says what is printed of it and what comes behind that.
    fn count<'r>(
        &mut self,
        row: &'r Row<'_>,
        manifest: &Manifest,
        options: &CatOptions,
    ) -> Option<(&'r [u8], &'static [u8])> {
        self.read += row.line.len() as u64 + 1;
        if !is_of_time(row, options.range) {
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

/// How much of the bundle's text must be read, if its chunk table says so.
fn bytes_to_read(manifest: &Manifest, files: &[usize], range: TimeRange) -> Option<u64> {
    let chunks = files.iter().flat_map(|file| &manifest.files[*file].chunks);
    let wanted = chunks.filter(|chunk| range.overlaps(chunk.first_time, chunk.last_time));
    manifest.has_chunk_table().then(|| wanted.map(|chunk| chunk.bytes).sum())
}

fn is_of_time(row: &Row<'_>, range: TimeRange) -> bool {
    range == TimeRange::default()
        || range.contains(line::row_time(row.envelope.entry(), times_of(&row.envelope.source)))
}
