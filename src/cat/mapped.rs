//! Rows for a mapper, and the report of its failures.

use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::bundle::Row;
use crate::format::log_decoder::printed_row;
use crate::format::{FileName, Manifest, ManifestFile};
use crate::query::{EmitLine, MappedRow, RowMapper};

/// The maximum number of failures that are described.
const MAX_DESCRIBED: usize = 5;

/// A selected row that has not been mapped yet.
#[derive(Debug)]
pub struct UnmappedRow {
    /// The index of its log in the manifest's `files`.
    pub file: usize,
    /// The number of the row within its log.
    number: u64,
    json: String,
    line: Vec<u8>,
    ending: &'static [u8],
}

/// The rows for which a mapper, such as a jq filter, failed. Its output before the failure was printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedRows {
    /// The number of these rows.
    pub count: u64,
    /// The first of these rows.
    pub first: Vec<FailedRow>,
}

/// A row for which a mapper failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FailedRow {
    /// The name of the bundle, or of the segment of a history.
    pub bundle: String,
    /// The name of the log.
    pub file: FileName,
    /// The line of the log, as that bundle holds it, from 1.
    pub line: u64,
    /// The reason, for display.
    pub reason: String,
}

/// A failure on a page.
#[derive(Debug)]
pub struct PageFailure {
    /// The number of lines on the page before it.
    pub at: u64,
    /// The index of the log in the manifest's `files`.
    file: usize,
    number: u64,
    reason: String,
}

impl UnmappedRow {
    pub fn new(row: &Row<'_>, manifest: &Manifest) -> Self {
        let (line, ending) = printed_row(&manifest.files[row.file], &row.envelope, row.number);
        let (json, line) = (json_text(line, row.envelope.entry()).to_owned(), line.to_owned());
        Self { file: row.file, number: row.number, json, line, ending }
    }

    /// Passes the lines of the row, each with its ending, to `take`, until it breaks.
    pub fn map(&self, mapper: &dyn RowMapper, take: EmitLine<'_>) -> Result<(), PageFailure> {
        let row = MappedRow { json: &self.json, line: (&self.line, self.ending) };
        mapper.map(&row, take).map_err(|reason| PageFailure { at: 0, file: self.file, number: self.number, reason })
    }

    /// Returns the number of its lines.
    pub fn count(&self, mapper: &dyn RowMapper) -> u64 {
        let mut lines = 0;
        // A failure is reported when the lines are printed.
        let _ = self.map(mapper, &mut |_, _| {
            lines += 1;
            ControlFlow::Continue(())
        });
        lines
    }
}

/// Passes the lines of a row, each with its ending, to `take`, until it breaks.
pub fn map_row(
    mapper: &dyn RowMapper,
    row: &Row<'_>,
    manifest: &Manifest,
    take: EmitLine<'_>,
) -> Result<(), PageFailure> {
    let line = printed_row(&manifest.files[row.file], &row.envelope, row.number);
    let done = mapper.map(&MappedRow { json: json_text(line.0, row.envelope.entry()), line }, take);
    done.map_err(|reason| PageFailure { at: 0, file: row.file, number: row.number, reason })
}

/// Returns the JSON text of a row: the line of its log, or its entry in the bundle if the line is not UTF-8.
fn json_text<'r>(line: &'r [u8], entry: &'r str) -> &'r str {
    if line.trim_ascii() == entry.as_bytes() {
        return entry;
    }
    let line = str::from_utf8(line).ok();
    line.filter(|line| serde_json::from_str::<&RawValue>(line).is_ok()).unwrap_or(entry)
}

impl FailedRows {
    /// Adds failures in the rows of a bundle.
    pub(super) fn add(&mut self, bundle: &str, manifest: &Manifest, failures: impl IntoIterator<Item = PageFailure>) {
        for PageFailure { file, number, reason, .. } in failures {
            self.count += 1;
            if self.first.len() < MAX_DESCRIBED {
                let log = &manifest.files[file];
                let (file, line) = (log.relative_path.clone(), line_of(log, number));
                self.first.push(FailedRow { bundle: bundle.to_owned(), file, line, reason });
            }
        }
    }
}

/// Returns the number of the line that is a row.
fn line_of(log: &ManifestFile, row: u64) -> u64 {
    log.unparsed.iter().fold(row, |line, item| if item.line <= line { line + item.lines() } else { line })
}
