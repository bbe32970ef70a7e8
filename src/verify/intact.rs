//! The quick way to find a bundle intact: chunks are read from where the table says, so that those of several logs take
//! turns and several are put together and hashed at once. It ends at the first thing that is not as it is written. What
//! that is, and everything else, is then found in the order of the bundle.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::thread;

use super::log::OpenLog;
use super::manifest::unparsed_rows;
use super::table::table_mismatches;
use super::{FileReport, FindingCounts, Verdict, VerifyOptions, VerifyReport};
use crate::buffers::Buffers;
use crate::bundle::{Access, Bundle, ChunkText, Ordering, Selection, each_chunk, slots};
use crate::error::{ErrorKind, Result};
use crate::format::Manifest;
use crate::gzip::HEADER;
use crate::log_threads::{Batch, LOGS_AT_ONCE, LogThreads, LogWork, LogsAtOnce};
use crate::progress::{Progress, Watched};
use crate::scan::plausible_length;
use crate::scan::rows::{Known, Run};

/// The report of a bundle of 1.1 that is as it was written and meets what was asked for. `None` of every other, whatever
/// is the matter with it.
pub(super) fn report_if_intact<R: Read + Seek>(
    input: &mut R,
    options: &VerifyOptions,
    progress: &dyn Progress,
) -> Option<VerifyReport> {
    let mut input = Watched::new(input, progress);
    let mut header = HEADER.map(|_| 0);
    input.seek(SeekFrom::Start(0)).ok()?;
    input.read_exact(&mut header).ok()?;
    // Only damage has a message, and none of this bundle's will be seen.
    let bundle = (header == HEADER).then(|| Bundle::from_seekable(input, ""))?.ok()?;
    let is_expected = options.expect.map(|expected| bundle.digest() == expected);
    let is_odd = bundle.access() != Access::Indexed
        || is_expected == Some(false)
        || bundle.manifest().files.iter().any(|file| unparsed_rows(file).next().is_some());
    if is_odd {
        return None;
    }
    let (digest, manifest) = (Some(bundle.digest()), Arc::clone(bundle.manifest()));
    let files = prove_logs(bundle, &manifest, options, progress).ok()?;
    Some(VerifyReport {
        digest,
        version: Some(manifest.version()),
        is_expected,
        verdict: Verdict::Intact,
        findings: FindingCounts::default(),
        rows: files.iter().map(|file| file.rows).sum(),
        files,
    })
}

fn prove_logs(
    bundle: Bundle<'_>,
    manifest: &Manifest,
    options: &VerifyOptions,
    progress: &dyn Progress,
) -> Result<Vec<FileReport>> {
    let slots = slots(manifest);
    let known = Known::new(Some(manifest), &slots, false);
    let (order, all) = (Ordering::TakingTurns(LOGS_AT_ONCE), (0..manifest.files.len()).collect());
    let reports = thread::scope(|scope| {
        let mut logs = LogThreads::start(
            scope,
            manifest,
            all,
            Reports { manifest, buffers: &known.buffers, done: BTreeMap::new() },
        );
        let read = |_: &_, chunk: ChunkText| {
            progress.advance(chunk.slot().compressed);
            read_chunk(&known, manifest, &chunk)
        };
        let access = each_chunk(bundle, &Selection::default(), order, options.threads, read, |batch| {
            logs.take(batch.ok_or(ErrorKind::ChunkMismatch)?)
        })?;
        match access {
            Access::Indexed => logs.finish().map(|logs| logs.done),
            _ => Err(ErrorKind::ChunkMismatch.into()),
        }
    })?;
    Ok(reports.into_values().collect())
}

/// The rows of a chunk that is as it is written.
fn read_chunk(known: &Known<'_>, manifest: &Manifest, chunk: &ChunkText) -> Option<Batch<Run>> {
    let slot = chunk.slot();
    let mut lines = known.chunk(slot, chunk.proven()?);
    let is_odd = !lines.problems.is_empty()
        || !lines.ends_with_line_feed
        || plausible_length(slot) != slot.compressed
        || table_mismatches(&lines, slot).next().is_some();
    let rows = lines.runs.pop().filter(|run| run.file.index == Some(slot.file) && run.rows.len() == slot.rows)?;
    let is_last = slot.chunk + 1 == manifest.files[slot.file].chunks.len();
    (!is_odd).then_some(Batch { file: slot.file, rows, is_last })
}

/// Opens the logs, and keeps what was found out of each.
struct Reports<'m> {
    manifest: &'m Manifest,
    buffers: &'m Buffers,
    /// By their index into the manifest's `files`: logs end in another order.
    done: BTreeMap<usize, FileReport>,
}

impl<'m> LogsAtOnce for Reports<'m> {
    type Work = Proving<'m>;

    fn begin(&mut self, index: usize) -> Result<Proving<'m>> {
        let log = OpenLog::new(index, &self.manifest.files[index]);
        Ok(Proving { log, buffers: self.buffers })
    }

    fn end(&mut self, index: usize, report: FileReport) -> Result<()> {
        self.done.insert(index, report);
        Ok(())
    }
}

/// One log, on its thread.
struct Proving<'m> {
    log: OpenLog<'m>,
    buffers: &'m Buffers,
}

impl LogWork for Proving<'_> {
    type Rows = Run;
    type Done = FileReport;

    fn take(&mut self, run: Run) -> Result<()> {
        self.log.push(&run, &mut |_| {});
        self.buffers.put(run.rows.into_memory());
        Ok(())
    }

    fn finish(self) -> Result<FileReport> {
        let mut is_as_written = true;
        let report = self.log.finish(&mut |_| {}, |_| is_as_written = false);
        is_as_written.then_some(report).ok_or_else(|| ErrorKind::RestoredDiffers.into())
    }
}
