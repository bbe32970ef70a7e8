//! Prints rows of a bundle exactly as they stood in their logs.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use crate::bundle::{Access, Bundle, Row, Rows, Selection, wanted_files};
use crate::error::{Error, IoAction, Result};
use crate::format::log::write_row;
use crate::format::{TimeRange, line};
use crate::sources::times_of;

/// Which rows to print, and how.
#[derive(Debug, Clone, Default)]
pub struct CatOptions {
    /// Only rows of these sources; all when empty.
    pub sources: Vec<String>,
    /// Only rows of these files; all when empty.
    pub files: Vec<String>,
    /// Only rows of this time. A row without a time is of no time but all.
    pub range: TimeRange,
    /// Print the envelopes instead of the rows.
    pub envelope: bool,
}

/// What was printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatReport {
    /// Rows printed of each of the manifest's files.
    pub rows: Vec<u64>,
    /// How the rows were reached.
    pub access: Access,
}

/// Prints the rows to `out`, each with a line feed at its end. What `out` cannot take is reported under `out_name`.
///
/// ```
/// use patchwork_traces::Bundle;
/// use patchwork_traces::cat::{CatOptions, cat};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// let options = CatOptions { sources: vec!["activity".to_owned()], ..CatOptions::default() };
/// let mut rows = Vec::new();
/// cat(Bundle::open(path)?, &options, &mut rows, "memory")?;
/// assert!(rows.starts_with(br#"{"timestamp":"2026-05-02T10:00:00.000Z","tool":"read"}"#));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`UnknownSource`](crate::ErrorKind::UnknownSource) and [`UnknownFile`](crate::ErrorKind::UnknownFile) before
/// anything is printed. When the bundle is damaged or `out` fails, after the rows before.
pub fn cat(bundle: Bundle<'_>, options: &CatOptions, out: impl Write, out_name: &str) -> Result<CatReport> {
    let files = wanted_files(bundle.manifest(), &options.sources, &options.files)
        .map_err(|error| error.in_subject(bundle.name()))?;
    let mut printed = vec![0; bundle.manifest().files.len()];
    let mut rows = bundle.rows(&Selection { files: Some(files), chunks_in: options.range })?;
    let mut out = BufWriter::with_capacity(256 << 10, out);
    let written = |error| Error::io_named(IoAction::Write, out_name, error);
    // Rows before damage are intact: they are printed before it is reported.
    let ended = print_rows(&mut rows, options, &mut printed, |bytes| out.write_all(bytes).map_err(written));
    out.flush().map_err(written)?;
    ended.map(|()| CatReport { rows: printed, access: rows.access() })
}

fn print_rows(
    rows: &mut Rows<'_>,
    options: &CatOptions,
    printed: &mut [u64],
    mut print: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let manifest = Arc::clone(rows.manifest());
    let mut text = Vec::new();
    while let Some(row) = rows.next_row()? {
        if !is_of_time(&row, options.range) {
            continue;
        }
        printed[row.file] += 1;
        text.clear();
        if options.envelope {
            text.extend_from_slice(row.line);
            text.push(b'\n');
        } else {
            write_row(&manifest.files[row.file], &row.envelope, row.number, &mut text);
        }
        print(&text)?;
    }
    Ok(())
}

fn is_of_time(row: &Row<'_>, range: TimeRange) -> bool {
    range == TimeRange::default()
        || range.contains(line::row_time(row.envelope.entry(), times_of(&row.envelope.source)))
}
