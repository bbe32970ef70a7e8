//! Reads the rows of bundles, one after the other, and makes pages of them.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use super::CatOptions;
use super::format::RowRenderer;
use super::latest::{KeyReader, LastPlaces, LatestRows};
use super::page::{Page, PageContent, PageMaker};
use crate::bundle::{Access, Bundle, BundleLogs, ChunkOrder, ChunkRows, Row, Selection, chunk_refs, each_chunk};
use crate::error::{Error, Result};
use crate::format::envelope::EnvelopeWriter;
use crate::input::InputPart;
use crate::progress::Cancellation;

/// Some files of a bundle, whose rows are printed in order.
pub struct WalkPart<'w, 'r> {
    pub bundle: &'w InputPart<'r>,
    /// The indices of the files in the manifest.
    pub files: Vec<usize>,
    /// Writes the envelopes of a log whose name differs from that of the file with its rows.
    pub renamed: Option<EnvelopeWriter>,
}

/// The pages to print, in order.
pub struct RowWalk<'w, 'r> {
    pub parts: Vec<WalkPart<'w, 'r>>,
    pub options: &'w CatOptions,
    pub cancellation: Cancellation,
}

/// The position from which the last rows are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct WalkStart {
    pub part: usize,
    /// The first chunk of this part that is read.
    chunk: usize,
    /// The number of selected rows to skip after that position.
    pub skipped: u64,
}

/// The amount of text that is printed at once if the bundle has no chunk table, in bytes.
const PAGE_BYTES: usize = 256 << 10;

/// The number of chunks that are first searched for the last rows. It doubles each time, up to the maximum.
const FIRST_CHUNKS: usize = 4;
const MAX_CHUNKS: usize = 256;

impl<'r> WalkPart<'_, 'r> {
    pub fn open(&self) -> Result<Bundle<'r>> {
        self.bundle.open()
    }
}

impl<'r> RowWalk<'_, 'r> {
    /// Returns the number of bytes of text that must be read, if all bundles are open and have a chunk table.
    pub fn bytes_to_read(&self) -> Option<u64> {
        let of_part = |part: &WalkPart<'_, '_>| {
            let manifest = part.bundle.manifest()?;
            let chunks = part.files.iter().flat_map(|file| &manifest.files[*file].chunks);
            let wanted = chunks.filter(|chunk| self.options.range.overlaps(chunk.first_time, chunk.last_time));
            manifest.has_chunk_table().then(|| wanted.map(|chunk| chunk.bytes).sum::<u64>())
        };
        self.parts.iter().map(of_part).sum()
    }

    /// Makes pages of all rows of a part from `start` on, and passes them to `take` until it breaks.
    pub fn each_page(
        &self,
        (at, bundle): (usize, Bundle<'r>),
        (content, latest): (PageContent<'_>, Option<&LatestRows<'_>>),
        chunks: Option<Range<usize>>,
        take: &mut dyn FnMut(Page) -> Result<ControlFlow<()>>,
    ) -> Result<Access> {
        let (part, name) = (&self.parts[at], bundle.name().to_owned());
        let renderer = RowRenderer::new(&self.options.format, part.renamed.as_ref());
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        let maker = PageMaker::new(self.options, renderer, content, latest, number).searching();
        let selection = Selection::default().files(part.files.clone());
        let access = if bundle.manifest().has_chunk_table() {
            let selection = selection.range(self.options.range).chunks(chunks);
            let of_chunk = |logs: &BundleLogs, chunk: ChunkRows| maker.of_chunk(logs, chunk);
            each_chunk(bundle, &selection, ChunkOrder::OfBundle, self.options.threads, of_chunk, take)
        } else {
            each_page_of_lines(&bundle, &selection, &maker, take)
        };
        access.map_err(|error| error.in_subject(&name))
    }

    /// Calls `look` with each selected row of a part, on several threads, and passes the results to `take`, in order,
    /// with the number of bytes read.
    pub fn each_batch<A: Send>(
        &self,
        (at, bundle): (usize, Bundle<'r>),
        new: &(impl Fn() -> A + Sync),
        look: &(impl Fn(&mut A, &Row<'_>) + Sync),
        take: &mut dyn FnMut(A, u64) -> Result<()>,
    ) -> Result<()> {
        let (part, name) = (&self.parts[at], bundle.name().to_owned());
        let renderer = RowRenderer::new(&self.options.format, None);
        let maker = PageMaker::new(self.options, renderer, PageContent::Count, None, 0).searching();
        let selection = Selection::default().files(part.files.clone()).range(self.options.range);
        let read = if bundle.manifest().has_chunk_table() {
            let of_chunk = |logs: &BundleLogs, chunk: ChunkRows| {
                let (mut collected, bytes) = (new(), chunk.bytes() as u64);
                maker.each_selected(logs, chunk, |row| look(&mut collected, row)).map(|()| (collected, bytes))
            };
            let mut take = |made: Result<(A, u64)>| {
                made.and_then(|(collected, bytes)| take(collected, bytes)).map(ControlFlow::Continue)
            };
            let threads = self.options.threads;
            each_chunk(bundle, &selection, ChunkOrder::OfBundle, threads, of_chunk, &mut take).map(drop)
        } else {
            each_batch_of_lines(
                &bundle,
                &selection,
                (new, &|collected, row| {
                    if maker.selects(row) {
                        look(collected, row);
                    }
                }),
                take,
            )
        };
        read.map_err(|error| error.in_subject(&name))
    }

    /// Finds the last row of each key, if only those are printed.
    pub fn latest(&self) -> Result<Option<LatestRows<'_>>> {
        let Some(path) = &self.options.latest else { return Ok(None) };
        let keys = KeyReader::new(path)?;
        let mut last = LastPlaces::default();
        for (at, part) in self.parts.iter().enumerate() {
            self.each_page((at, part.open()?), (PageContent::Keys(&keys), None), None, &mut |page| {
                self.cancellation.check()?;
                page.keys.into_iter().for_each(|(key, place)| last.add(key, place));
                page.end.map(ControlFlow::Continue)
            })?;
        }
        Ok(Some(last.finish(keys)))
    }

    /// Returns the position from which the last `rows` selected rows are read.
    pub fn start_of_last(&self, rows: u64, latest: Option<&LatestRows<'_>>) -> Result<WalkStart> {
        let mut counted = 0;
        for (part, open) in self.parts.iter().enumerate().rev() {
            let (of_part, chunk) = self.count_back((part, open.open()?), rows - counted, latest)?;
            counted += of_part;
            if counted >= rows {
                return Ok(WalkStart { part, chunk, skipped: counted - rows });
            }
        }
        Ok(WalkStart::default())
    }

    /// Counts selected rows of a part, from its end, up to `wanted`. Returns the number and the first chunk that was
    /// read.
    fn count_back(
        &self,
        (at, bundle): (usize, Bundle<'r>),
        wanted: u64,
        latest: Option<&LatestRows<'_>>,
    ) -> Result<(u64, usize)> {
        if bundle.access() != Access::Indexed {
            return Ok((self.count((at, bundle), None, latest)?, 0));
        }
        let (range, files) = (self.options.range, &self.parts[at].files);
        let mut chunks = chunk_refs(bundle.manifest());
        chunks.retain(|chunk| files.contains(&chunk.file) && range.overlaps(chunk.times[0], chunk.times[1]));
        let is_unfiltered = self.options.selects_all() && latest.is_none();
        let (mut counted, mut end, mut step) = (0, chunks.len(), FIRST_CHUNKS);
        while end > 0 && counted < wanted {
            if is_unfiltered {
                end -= 1;
                counted += chunks[end].rows;
                continue;
            }
            let start = end.saturating_sub(step);
            let wide = chunks[start].index..chunks[end - 1].index + 1;
            counted += self.count((at, bundle.clone()), Some(wide), latest)?;
            (end, step) = (start, MAX_CHUNKS.min(2 * step));
        }
        Ok((counted, chunks.get(end).map_or(0, |chunk| chunk.index)))
    }

    fn count(
        &self,
        bundle: (usize, Bundle<'r>),
        chunks: Option<Range<usize>>,
        latest: Option<&LatestRows<'_>>,
    ) -> Result<u64> {
        let mut counted = 0;
        self.each_page(bundle, (PageContent::Count, latest), chunks, &mut |page| {
            self.cancellation.check()?;
            counted += page.rows.iter().map(|(_, rows)| rows).sum::<u64>();
            if let Some(mapper) = self.options.mapper.as_deref() {
                counted += page.rest.iter().map(|row| row.count(mapper)).sum::<u64>();
            }
            page.end.map(ControlFlow::Continue)
        })?;
        Ok(counted)
    }
}

impl WalkStart {
    /// Returns the chunks of a part to read; `None` means all.
    pub fn chunks_of(&self, part: usize) -> Option<Range<usize>> {
        (part == self.part && self.chunk > 0).then_some(self.chunk..usize::MAX)
    }
}

/// Makes pages of a bundle without a chunk table, reading its rows sequentially.
fn each_page_of_lines(
    bundle: &Bundle<'_>,
    selection: &Selection,
    maker: &PageMaker<'_>,
    take: &mut dyn FnMut(Page) -> Result<ControlFlow<()>>,
) -> Result<Access> {
    let mut rows = bundle.rows(selection)?;
    let manifest = Arc::clone(rows.manifest());
    loop {
        let mut page = Page::default();
        let mut is_last = false;
        while page.read < PAGE_BYTES as u64 && page.end.is_ok() && !is_last {
            match rows.next_row() {
                Ok(Some(row)) => {
                    page.read += row.line.len() as u64 + 1;
                    maker.push(&mut page, &row, &manifest);
                }
                Ok(None) => is_last = true,
                Err(error) => page.end = Err::<(), Error>(error),
            }
        }
        if take(page)?.is_break() || is_last {
            return Ok(rows.access());
        }
    }
}

/// Calls `look` with each row of a bundle without a chunk table, and passes the results for ranges of rows to `take`.
fn each_batch_of_lines<A>(
    bundle: &Bundle<'_>,
    selection: &Selection,
    (new, look): (&impl Fn() -> A, &impl Fn(&mut A, &Row<'_>)),
    take: &mut dyn FnMut(A, u64) -> Result<()>,
) -> Result<()> {
    let mut rows = bundle.rows(selection)?;
    let mut is_over = false;
    while !is_over {
        let (mut collected, mut bytes) = (new(), 0);
        while bytes < PAGE_BYTES as u64 && !is_over {
            match rows.next_row()? {
                Some(row) => {
                    bytes += row.line.len() as u64 + 1;
                    look(&mut collected, &row);
                }
                None => is_over = true,
            }
        }
        take(collected, bytes)?;
    }
    Ok(())
}
