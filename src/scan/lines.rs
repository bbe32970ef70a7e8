//! Iterates over every line of the logs of a bundle: the rows, on several threads, and the unparsed lines of the
//! manifest.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::bundle::{Bundle, BundleLogs, ChunkOrder, ChunkRows, Selection, each_chunk};
use crate::error::Result;
use crate::format::{Manifest, ManifestFile, Unparsed};
use crate::progress::Progress;

/// A line of a log.
pub struct ScannedLine<'l> {
    /// The index of the log in the manifest's `files`.
    pub file: usize,
    /// The number of the line in the log, from 1.
    pub number: u64,
    /// The line as it is in the log, without its line ending.
    pub bytes: &'l [u8],
    /// True for a row.
    pub is_row: bool,
}

/// The number of bytes to search before finds are passed on, if the bundle has no chunk table.
const BATCH_BYTES: u64 = 1 << 20;

/// Returns the indices of the files of these sources (of all, if empty).
pub fn wanted_files(manifest: &Manifest, sources: &[String]) -> Vec<usize> {
    let is_wanted = |file: &ManifestFile| sources.is_empty() || sources.iter().any(|name| name == file.source.as_str());
    let files = manifest.files.iter().enumerate().filter(|(_, file)| is_wanted(file));
    files.map(|(index, _)| index).collect()
}

/// Calls `look` with each line of some files of a bundle, on several threads, and passes what it has collected to
/// `take`, in order.
///
/// # Errors
/// If the bundle is damaged, or `take` fails.
pub fn each_line<A: Default + Send>(
    bundle: Bundle<'_>,
    files: Vec<usize>,
    threads: NonZeroUsize,
    look: impl Fn(&mut A, ScannedLine<'_>) + Sync,
    take: &mut impl FnMut(A) -> Result<()>,
    progress: &dyn Progress,
) -> Result<()> {
    let manifest = Arc::clone(bundle.manifest());
    let cancellation = progress.cancellation();
    let numbers: Vec<_> = manifest.files.iter().map(LineNumbers::new).collect();
    for &file in &files {
        let mut collected = A::default();
        for (number, bytes) in manifest.files[file].unparsed.iter().flat_map(unparsed_lines) {
            look(&mut collected, ScannedLine { file, number, bytes, is_row: false });
        }
        take(collected)?;
    }
    let selection = Selection::default().files(files);
    let of_row = |collected: &mut A, row: &crate::bundle::Row<'_>| {
        let number = numbers[row.file].of_row(row.number);
        look(collected, ScannedLine { file: row.file, number, bytes: row.exact_line(), is_row: true });
        row.line.len() as u64 + 1
    };
    if manifest.has_chunk_table() {
        let of_chunk = |logs: &BundleLogs, mut chunk: ChunkRows| -> Result<(A, u64)> {
            let (mut collected, mut bytes) = (A::default(), 0);
            while let Some(row) = chunk.next_row(logs)? {
                bytes += of_row(&mut collected, &row);
            }
            Ok((collected, bytes))
        };
        let take = |made: Result<(A, u64)>| {
            cancellation.check()?;
            let (collected, bytes) = made?;
            progress.advance(bytes);
            take(collected).map(ControlFlow::Continue)
        };
        return each_chunk(bundle, &selection, ChunkOrder::OfBundle, threads, of_chunk, take).map(drop);
    }
    let mut rows = bundle.rows(&selection)?;
    loop {
        let (mut collected, mut bytes) = (A::default(), 0);
        while bytes < BATCH_BYTES {
            match rows.next_row()? {
                Some(row) => bytes += of_row(&mut collected, &row),
                None => return take(collected),
            }
        }
        cancellation.check()?;
        progress.advance(bytes);
        take(collected)?;
    }
}

/// Returns the lines of an item of `unparsed`, with their numbers.
pub fn unparsed_lines(unparsed: &Unparsed) -> impl Iterator<Item = (u64, &[u8])> {
    (unparsed.line..).zip(unparsed.content.as_bytes().split(|byte| *byte == b'\n'))
}

/// Converts row numbers to line numbers.
pub struct LineNumbers {
    /// For each item of `unparsed`, the number of rows before it and the number of unparsed lines up to its end.
    unparsed: Vec<(u64, u64)>,
}

impl LineNumbers {
    pub fn new(file: &ManifestFile) -> Self {
        let mut lines = 0;
        let unparsed = file.unparsed.iter().map(|item| {
            let rows_before = item.line.saturating_sub(1 + lines);
            lines += item.lines();
            (rows_before, lines)
        });
        Self { unparsed: unparsed.collect() }
    }

    pub fn of_row(&self, row: u64) -> u64 {
        let before = self.unparsed.partition_point(|(rows_before, _)| *rows_before < row);
        row + before.checked_sub(1).map_or(0, |last| self.unparsed[last].1)
    }
}
