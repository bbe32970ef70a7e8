//! The quick way to find a bundle intact: chunks are read from where the table says, so that those of several logs take
//! turns and several are put together and hashed at once. It ends at the first thing that is not as it is written. What
//! that is, and everything else, is then found in the order of the bundle.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::thread;

use super::log::LogVerifier;
use super::manifest::unparsed_rows;
use super::table::table_mismatches;
use super::{FileReport, FindingCounts, Verdict, VerifyOptions, VerifyReport};
use crate::buffers::Buffers;
use crate::bundle::{Access, Bundle, ChunkOrder, ChunkRows, Selection, chunk_refs, each_chunk};
use crate::error::{ErrorKind, Result};
use crate::format::Manifest;
use crate::gzip::HEADER;
use crate::log_tasks::{LOGS_AT_ONCE, LogTask, LogTasks, LogThreads, RowBatch};
use crate::progress::{CancellableIo, Progress};
use crate::scan::plausible_length;
use crate::scan::rows::{RowRun, ScanContext};

/// The report of a bundle of 1.1 that is as it was written and meets what was asked for. `None` of every other, whatever
/// is the matter with it.
pub(super) fn report_if_intact<R: Read + Seek>(
    input: &mut R,
    options: &VerifyOptions,
    progress: &dyn Progress,
) -> Option<VerifyReport> {
    let mut input = CancellableIo::new(input, progress);
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
    let chunk_refs = chunk_refs(manifest);
    let known = ScanContext::new(Some(manifest), &chunk_refs, false);
    let (order, all) = (ChunkOrder::TakingTurns(LOGS_AT_ONCE), (0..manifest.files.len()).collect());
    let reports = thread::scope(|scope| {
        let mut logs = LogThreads::start(
            scope,
            manifest,
            all,
            ReportTasks { manifest, buffers: &known.buffers, done: BTreeMap::new() },
        );
        let read = |_: &_, chunk: ChunkRows| {
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
fn read_chunk(known: &ScanContext<'_>, manifest: &Manifest, chunk: &ChunkRows) -> Option<RowBatch<RowRun>> {
    let slot = chunk.slot();
    let mut lines = known.chunk(slot, chunk.proven()?);
    let is_odd = !lines.problems.is_empty()
        || !lines.ends_with_line_feed
        || plausible_length(slot) != slot.compressed
        || table_mismatches(&lines, slot).next().is_some();
    let rows = lines.runs.pop().filter(|run| run.file.index == Some(slot.file) && run.rows.len() == slot.rows)?;
    let is_last = slot.chunk + 1 == manifest.files[slot.file].chunks.len();
    (!is_odd).then_some(RowBatch { file: slot.file, rows, is_last })
}

/// Opens the logs, and keeps what was found out of each.
struct ReportTasks<'m> {
    manifest: &'m Manifest,
    buffers: &'m Buffers,
    /// By their index into the manifest's `files`: logs end in another order.
    done: BTreeMap<usize, FileReport>,
}

impl<'m> LogTasks for ReportTasks<'m> {
    type Task = ProofTask<'m>;

    fn begin(&mut self, index: usize) -> Result<ProofTask<'m>> {
        let log = LogVerifier::new(index, &self.manifest.files[index]);
        Ok(ProofTask { log, buffers: self.buffers })
    }

    fn end(&mut self, index: usize, report: FileReport) -> Result<()> {
        self.done.insert(index, report);
        Ok(())
    }
}

/// One log, on its thread.
struct ProofTask<'m> {
    log: LogVerifier<'m>,
    buffers: &'m Buffers,
}

impl LogTask for ProofTask<'_> {
    type Rows = RowRun;
    type Done = FileReport;

    fn take(&mut self, run: RowRun) -> Result<()> {
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
