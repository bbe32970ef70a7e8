//! Rows that are selected, formatted and printed together.

use std::ops::{ControlFlow, Range};

use super::CatOptions;
use super::format::RowRenderer;
use super::latest::{KeyReader, LatestRows, RowPlace};
use super::mapped::{PageFailure, UnmappedRow, map_row};
use crate::align::Fingerprint;
use crate::buffers::Buffer;
use crate::bundle::{BundleLogs, ChunkRows, Row};
use crate::error::Result;
use crate::format::{Manifest, TimeRange};
use crate::query::{LineSearch, Needle, RowMapper};

/// The maximum amount of mapper output in a page, in bytes.
const MAX_MAPPED_BYTES: usize = 1 << 20;

/// The maximum number of lines that a mapper makes of one row in a page.
const MAX_MAPPED_LINES: u64 = 1 << 20;

/// A mapper, and the use of its output lines.
#[derive(Debug, Clone, Copy)]
struct MappedLines<'m> {
    mapper: &'m dyn RowMapper,
    content: PageContent<'m>,
    /// The maximum number of lines that any page needs.
    wanted: Option<u64>,
}

/// Rows that are printed together.
pub struct Page {
    text: Buffer,
    /// The part of the text that is printed.
    printed: Range<usize>,
    /// The number of rows of each file.
    pub rows: Vec<(usize, u64)>,
    /// The end of each row in the text, if a part of the page may be cut off.
    ends: Vec<usize>,
    /// The columns of a table in which a row has a cell.
    pub filled: Vec<bool>,
    /// The keys of the rows and their positions, if only keys are read.
    pub keys: Vec<(Fingerprint, RowPlace)>,
    /// The rows that follow those of the text, if the mapper makes too many lines for one page. They precede the
    /// damage.
    pub rest: Vec<UnmappedRow>,
    /// The rows for which the mapper failed.
    pub failures: Vec<PageFailure>,
    /// The number of envelope bytes read for this page.
    pub read: u64,
    /// The damage that follows the page, if any.
    pub end: Result<()>,
}

impl Default for Page {
    fn default() -> Self {
        let (text, printed, rows, ends) = (Buffer::default(), 0..0, Vec::new(), Vec::new());
        let (filled, keys, rest, failures) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { text, printed, rows, ends, filled, keys, rest, failures, read: 0, end: Ok(()) }
    }
}

impl Page {
    /// Returns the text to print.
    pub fn text(&self) -> &[u8] {
        &self.text[self.printed.clone()]
    }

    /// Returns the text of consecutive rows of each file. The ends of the rows must be known.
    pub fn lines_of_files(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let (mut rows_before, mut start) = (0, 0);
        self.rows.iter().map(move |(file, rows)| {
            rows_before += usize::try_from(*rows).unwrap_or_default();
            let end = rows_before.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(start);
            let text = &self.text[start..end];
            start = end;
            (*file, text)
        })
    }

    /// Keeps the rows in a range, counted from 0.
    pub fn keep(&mut self, from: u64, to: u64) {
        let end_of = |rows: u64| match usize::try_from(rows) {
            Ok(0) | Err(_) => 0,
            Ok(rows) => self.ends.get(rows - 1).copied().unwrap_or(self.text.len()),
        };
        self.printed = end_of(from)..end_of(to).max(end_of(from));
        let (mut first, mut kept) = (0, Vec::new());
        for (file, rows) in self.rows.drain(..) {
            let last = first + rows;
            let rows = last.min(to).saturating_sub(first.max(from));
            kept.push((file, rows));
            first = last;
        }
        self.rows = kept;
    }

    fn count(&mut self, file: usize, lines: u64) {
        match self.rows.last_mut().filter(|(last, _)| *last == file) {
            Some((_, rows)) => *rows += lines,
            None => self.rows.push((file, lines)),
        }
    }

    /// Adds the lines that the mapper makes of a row, up to the number needed. Returns false and adds nothing if they
    /// are too many for one page.
    fn add_mapped(&mut self, lines: MappedLines<'_>, row: &Row<'_>, manifest: &Manifest) -> bool {
        let lines_before: u64 = self.rows.iter().map(|(_, rows)| rows).sum();
        if lines.wanted.is_some_and(|wanted| lines_before >= wanted) {
            return true;
        }
        let (start, ends, mut count, mut is_full) = (self.text.len(), self.ends.len(), 0, false);
        let (text, all_ends) = (&mut self.text, &mut self.ends);
        let mapped = map_row(lines.mapper, row, manifest, &mut |line, ending| {
            count += 1;
            if let PageContent::Text { has_ends } = lines.content {
                text.extend_from_slice(line);
                text.extend_from_slice(ending);
                if has_ends {
                    all_ends.push(text.len());
                }
            }
            is_full = text.len() > MAX_MAPPED_BYTES || count > MAX_MAPPED_LINES;
            let is_last = lines.wanted.is_some_and(|wanted| lines_before + count >= wanted);
            if is_full || is_last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if is_full {
            self.text.truncate(start);
            self.ends.truncate(ends);
            return false;
        }
        self.printed.end = self.text.len();
        self.count(row.file, count);
        if let Err(mut failure) = mapped {
            failure.at = lines_before + count;
            self.failures.push(failure);
        }
        true
    }
}

/// The output for the selected rows.
#[derive(Debug, Clone, Copy)]
pub enum PageContent<'k> {
    /// The text of the rows. With their ends, a part of a page can be cut off.
    Text { has_ends: bool },
    /// Only the number of rows.
    Count,
    /// The keys of the rows.
    Keys(&'k KeyReader<'k>),
}

/// Selects rows of one part and makes pages of them. Threads share it.
pub struct PageMaker<'m> {
    options: &'m CatOptions,
    renderer: RowRenderer<'m>,
    content: PageContent<'m>,
    latest: Option<&'m LatestRows<'m>>,
    needle: Option<Needle>,
    part: u32,
}

impl<'m> PageMaker<'m> {
    pub fn new(
        options: &'m CatOptions,
        renderer: RowRenderer<'m>,
        content: PageContent<'m>,
        latest: Option<&'m LatestRows<'m>>,
        part: u32,
    ) -> Self {
        Self { options, renderer, content, latest, needle: None, part }
    }

    /// Enables the search of chunks for a needle that selected rows must have, so that not every row is parsed.
    pub fn searching(self) -> Self {
        let needle = if matches!(self.content, PageContent::Keys(_)) { None } else { self.options.filter.needle() };
        Self { needle, ..self }
    }

    /// Returns the mapper for the selected rows, if there is one.
    pub fn mapper(&self) -> Option<&'m dyn RowMapper> {
        match self.content {
            PageContent::Keys(_) => None,
            PageContent::Text { .. } | PageContent::Count => self.options.mapper.as_deref(),
        }
    }

    /// Returns true if a row is selected.
    pub fn selects(&self, row: &Row<'_>) -> bool {
        let is_in_range = || self.options.range == TimeRange::default() || self.options.range.contains(row.time());
        // A later row with the same key need not match the other conditions.
        if matches!(self.content, PageContent::Keys(_)) {
            return is_in_range();
        }
        let is_latest = || self.latest.is_none_or(|latest| latest.has(row, self.place(row)));
        self.options.filter.matches(row.envelope.entry()) && is_in_range() && is_latest()
    }

    /// Makes a page of a chunk. Text that needs no formatting stays in the chunk's memory.
    pub fn of_chunk(&self, logs: &BundleLogs, mut chunk: ChunkRows) -> Page {
        let mut page = Page { read: chunk.bytes() as u64, ..Page::default() };
        if matches!(self.content, PageContent::Text { .. }) && self.renderer.is_in_row() && self.mapper().is_none() {
            let mut end = 0;
            let (text, damage) = chunk.into_lines(logs, self.needle.as_ref(), |row| {
                let (line, ending) = self.selects(row).then(|| self.renderer.in_row(row, &logs.manifest))??;
                end += line.len() + ending.len();
                self.note(&mut page, row.file, end);
                Some((line, ending))
            });
            (page.printed, page.text, page.end) = (0..text.len(), text, damage);
            return page;
        }
        let mut search = self.needle.as_ref().map(LineSearch::new);
        loop {
            match chunk.next_match(logs, &mut search) {
                Ok(Some(row)) => self.push(&mut page, &row, &logs.manifest),
                ended => {
                    page.end = ended.map(drop);
                    return page;
                }
            }
        }
    }

    /// Calls `look` with the selected rows of a chunk.
    pub fn each_selected(&self, logs: &BundleLogs, mut chunk: ChunkRows, mut look: impl FnMut(&Row<'_>)) -> Result<()> {
        let mut search = self.needle.as_ref().map(LineSearch::new);
        while let Some(row) = chunk.next_match(logs, &mut search)? {
            if self.selects(&row) {
                look(&row);
            }
        }
        Ok(())
    }

    /// Adds a row to a page, if it is selected.
    pub fn push(&self, page: &mut Page, row: &Row<'_>, manifest: &Manifest) {
        if !self.selects(row) {
            return;
        }
        if let Some(mapper) = self.mapper() {
            let wanted = self.options.head.filter(|_| self.options.tail.is_none());
            let lines = MappedLines { mapper, content: self.content, wanted };
            if !page.rest.is_empty() || !page.add_mapped(lines, row, manifest) {
                page.rest.push(UnmappedRow::new(row, manifest));
            }
            return;
        }
        match self.content {
            PageContent::Keys(keys) => page.keys.extend(keys.key(row).map(|key| (key, self.place(row)))),
            PageContent::Count => page.count(row.file, 1),
            PageContent::Text { .. } => {
                self.renderer.render(row, manifest, &mut page.text, &mut page.filled);
                page.printed.end = page.text.len();
                self.note(page, row.file, page.printed.end);
            }
        }
    }

    /// Returns the output for a single row: its text, the columns in which it has a value, and its key.
    pub fn read(&self, row: &Row<'_>, manifest: &Manifest) -> (Vec<u8>, Vec<bool>, Option<(Fingerprint, RowPlace)>) {
        let (mut text, mut filled) = (Vec::new(), Vec::new());
        let key = match self.content {
            PageContent::Keys(keys) => keys.key(row).map(|key| (key, self.place(row))),
            PageContent::Count => None,
            PageContent::Text { .. } => {
                self.renderer.render(row, manifest, &mut text, &mut filled);
                None
            }
        };
        (text, filled, key)
    }

    /// Returns the position of a row of this part.
    pub fn place(&self, row: &Row<'_>) -> RowPlace {
        (self.part, u32::try_from(row.file).unwrap_or(u32::MAX), row.number)
    }

    /// Counts a row of a page that ends at `end` in its text.
    fn note(&self, page: &mut Page, file: usize, end: usize) {
        page.count(file, 1);
        if matches!(self.content, PageContent::Text { has_ends: true }) {
            page.ends.push(end);
        }
    }
}
