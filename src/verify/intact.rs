//! A fast path for intact bundles. It reads chunks where the table places them, alternates between logs, and
//! assembles and hashes several logs concurrently. It gives up at the first deviation; a sequential pass then finds
//! this and every other problem in bundle order.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::thread;

use super::log::LogVerifier;
use super::manifest::unparsed_rows;
use super::table::table_mismatches;
use super::{FileReport, FindingCounts, Verdict, VerifyOptions, VerifyReport};
use crate::buffers::Buffers;
use crate::bundle::{Access, Bundle, ChunkOrder, ChunkRows, Selection, chunk_refs, each_chunk};
use crate::container::FileInput;
use crate::error::{ErrorKind, Result};
use crate::format::Manifest;
use crate::gzip::HEADER;
use crate::log_tasks::{LOGS_AT_ONCE, LogTask, LogTasks, LogThreads, RowBatch};
use crate::progress::Progress;
use crate::salvage::plausible_length;
use crate::salvage::{RowRun, ScanContext};

/// Returns the report for a 1.1 bundle that is intact, unmodified, and meets the options. Returns `None` for any
/// other bundle.
pub(super) fn report_if_intact(
    input: &FileInput<'_>,
    options: &VerifyOptions,
    progress: &dyn Progress,
) -> Option<VerifyReport> {
    let mut header = HEADER.map(|_| 0);
    input.at_start().read_exact(&mut header).ok()?;
    // Only an error shows the name, and errors are discarded here.
    let bundle = (header == HEADER).then(|| Bundle::from_input(input.at_start().into(), ""))?.ok()?;
    let is_expected = options.expect.map(|expected| bundle.digest() == expected);
    let deviates = bundle.access() != Access::Indexed
        || is_expected == Some(false)
        || bundle.manifest().files.iter().any(|file| unparsed_rows(file).next().is_some());
    if deviates {
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
    let context = ScanContext::new(Some(manifest), &chunk_refs, false);
    let (order, all) = (ChunkOrder::TakingTurns(LOGS_AT_ONCE), (0..manifest.files.len()).collect());
    let reports = thread::scope(|scope| {
        let mut logs = LogThreads::start(
            scope,
            manifest,
            all,
            ReportTasks { manifest, buffers: &context.buffers, done: BTreeMap::new() },
        );
        let read = |_: &_, chunk: ChunkRows| {
            progress.advance(chunk.chunk_ref().compressed);
            read_chunk(&context, manifest, &chunk)
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

/// Returns the rows of a chunk if it is exactly as its table entry describes it.
fn read_chunk(context: &ScanContext<'_>, manifest: &Manifest, chunk: &ChunkRows) -> Option<RowBatch<RowRun>> {
    let chunk_ref = chunk.chunk_ref();
    let mut lines = context.chunk(chunk_ref, chunk.verified()?);
    let deviates = !lines.problems.is_empty()
        || !lines.ends_with_line_feed
        || plausible_length(chunk_ref) != chunk_ref.compressed
        || table_mismatches(&lines, chunk_ref).next().is_some();
    let rows =
        lines.runs.pop().filter(|run| run.file.index == Some(chunk_ref.file) && run.rows.len() == chunk_ref.rows)?;
    let is_last = chunk_ref.is_last_of(&manifest.files[chunk_ref.file]);
    (!deviates).then_some(RowBatch { file: chunk_ref.file, rows, is_last })
}

/// Creates the verifier of each log and collects the reports.
struct ReportTasks<'m> {
    manifest: &'m Manifest,
    buffers: &'m Buffers,
    /// The reports by index in the manifest's `files`, because logs may be completed in another order.
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

/// The verification of one log, on its thread.
struct ProofTask<'m> {
    log: LogVerifier<'m>,
    buffers: &'m Buffers,
}

impl LogTask for ProofTask<'_> {
    type Rows = RowRun;
    type Done = FileReport;

    fn take(&mut self, run: RowRun) -> Result<()> {
        self.log.push(&run);
        self.buffers.put(run.rows.into_memory());
        Ok(())
    }

    fn finish(self) -> Result<FileReport> {
        let mut is_as_written = true;
        let report = self.log.finish(|_| is_as_written = false);
        is_as_written.then_some(report).ok_or_else(|| ErrorKind::RestoredDiffers.into())
    }
}
