//! Writes a report: one HTML page that shows a bundle or a history in any browser, offline.
//!
//! The page is `page.html`, which is built from the sources in `page/` and committed. A report adds two data blocks:
//! the results of verification, as JSON, and the bundle itself, in base64, unless it is too large. The page reads the
//! bundle like any other reader. A history is embedded as the bundle that [`merge`](crate::merge) makes from it.

mod data;
mod page;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::path::Path;

use crate::bundle::Bundle;
use crate::container::Input;
use crate::error::{Error, IoAction, Result};
use crate::format::Timestamp;
use crate::history::History;
use crate::input::TraceInput;
use crate::inspect::HistoryInspection;
use crate::merge::{MergeOptions, MergedLogs};
use crate::progress::{Progress, Stage};
use crate::util::atomic_file::{AtomicFile, OutputTarget};
use crate::util::cancel::CancellableIo;
use crate::util::ordered_pool::available_cores;
use crate::verify::{
    HistoryFindingKind, HistoryVerifyOptions, RowsToRead, VerifyOptions, verify_history, verify_seekable,
};
pub use data::ReportVerdict;
use data::{FoundList, ReportData};

/// The maximum size of a bundle that a report embeds by default, in bytes.
pub const DEFAULT_MAX_EMBED: u64 = 20_000_000;

/// The rows that a report embeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Embedding {
    /// None: the page shows the results of verification, and opens the bundle when it is dropped on the page.
    None,
    /// All, if the compressed bundle has at most this many bytes.
    UpTo(u64),
    /// All.
    All,
}

/// Options for a report.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct ReportOptions {
    /// The program and version that the report names.
    pub program: String,
    /// The time that the report names.
    pub made_at: Timestamp,
    /// The rows to embed.
    pub embedding: Embedding,
    /// The options for the verification of a bundle.
    pub verify: VerifyOptions,
    /// The options for the verification of a history. Its keys decrypt the segments.
    pub verify_history: HistoryVerifyOptions,
    /// The number of threads.
    pub threads: NonZeroUsize,
}

impl ReportOptions {
    /// Embeds bundles of at most [`DEFAULT_MAX_EMBED`] bytes, and uses one thread per core.
    pub fn new(program: impl Into<String>, made_at: Timestamp) -> Self {
        let (verify, verify_history) = (VerifyOptions::default(), HistoryVerifyOptions::default());
        let embedding = Embedding::UpTo(DEFAULT_MAX_EMBED);
        Self { program: program.into(), made_at, embedding, verify, verify_history, threads: available_cores() }
    }

    /// Sets the rows to embed.
    pub fn embedding(self, embedding: Embedding) -> Self {
        Self { embedding, ..self }
    }

    /// Sets the options for verifying bundles and histories, such as a signature to check.
    pub fn verify(self, verify: VerifyOptions, verify_history: HistoryVerifyOptions) -> Self {
        Self { verify, verify_history, ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }
}

/// The result of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The verdict that the report shows.
    pub verdict: ReportVerdict,
    /// True if verification found no error, and the signature is valid if one was required.
    pub is_good: bool,
    /// The number of rows.
    pub rows: u64,
    /// The size of the embedded bundle in bytes. `None` if no rows are embedded.
    pub embedded_bytes: Option<u64>,
    /// The reason why no rows are embedded, if embedding was requested.
    pub not_embedded: Option<String>,
    /// The size of the report in bytes.
    pub report_bytes: u64,
}

/// Writes a report on the bundle in `input` to `target`, with mode 0600: the whole report, or nothing. Errors and the
/// report refer to the bundle as `name`.
///
/// ```
/// use std::path::Path;
///
/// use patchwork_traces::container::{DecryptionKeys, Input};
/// use patchwork_traces::progress::NoProgress;
/// use patchwork_traces::report::{ReportOptions, report_bundle};
/// use patchwork_traces::{OutputTarget, TargetOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let bundle = Input::open(Path::new("fixtures/conformance/intact.jsonl.gz"), &DecryptionKeys::default())?;
/// let target = OutputTarget::resolve(dir.path().join("report.html"), TargetOptions::default())?;
/// let options = ReportOptions::new("example 1", "2026-05-02T10:00:00Z".parse()?);
/// let report = report_bundle(bundle, "intact.jsonl.gz", &options, &target, &NoProgress)?;
/// assert!(report.is_good && report.rows == 10);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the bundle cannot be read, the input is not a bundle, or the report cannot be written. Damage is not an error.
pub fn report_bundle(
    input: Input<'_>,
    name: &str,
    options: &ReportOptions,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<Report> {
    let input = match input {
        Input::Stream(stream) => Input::Stream(Box::new(CancellableIo::new(stream, progress))),
        file @ Input::File(_) => file,
    };
    let file = input.into_file(target.work_dir(), name)?;
    let mut found = FoundList::default();
    progress.stage(Stage::Checking);
    let verified = verify_seekable(file.at_start(), name, &options.verify, progress, &mut |finding| {
        found.add(finding.severity(), || finding.to_string());
    });
    progress.finish();
    let verified = verified?;
    // A damaged bundle may have no readable manifest.
    let manifest = Bundle::from_seekable(file.at_start(), name).map(|bundle| bundle.manifest().clone()).ok();
    let mut data = ReportData::of_bundle(name, options, &verified, manifest.as_deref(), found);
    let bytes = file.length();
    data.not_embedded = too_large(options.embedding, bytes, OF_BUNDLE);
    let is_embedded = data.not_embedded.is_none();
    if is_embedded {
        data.embed(name, verified.digest, None);
    }
    let bundle = is_embedded.then(|| CancellableIo::new(file.at_start(), progress));
    write_page(&data, bundle.map(|bundle| (bundle, bytes)), name, target)
}

/// Writes a report on the history in `dir` to `target` like [`report_bundle`]. It embeds one bundle of all rows.
///
/// # Errors
/// As [`verify_history`]. If the report cannot be written.
pub fn report_history(
    dir: &Path,
    options: &ReportOptions,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<Report> {
    let mut found = FoundList::default();
    let mut gaps = Vec::new();
    progress.stage(Stage::Checking);
    // Reads all rows, because the report states that they are intact.
    let verify = options.verify_history.clone().rows(RowsToRead::All);
    let verified = verify_history(dir, &verify, progress, &mut |finding| match finding.kind {
        HistoryFindingKind::Gap { .. } if gaps.len() < data::MAX_LISTED => gaps.push(finding.to_string()),
        _ => found.add(finding.severity(), || finding.to_string()),
    });
    progress.finish();
    let verified = verified?;
    let name = dir.display().to_string();
    let mut data = ReportData::of_history(&name, options, &verified, gaps, found);
    let merged = if verified.is_good() {
        merged(dir, options, &target.work_dir(), &mut data, progress)?
    } else {
        let reason = match data.verdict {
            ReportVerdict::Intact => "is not signed as required",
            _ => "is not sound",
        };
        data.not_embedded = Some(format!("The history {reason}, so its rows are not in this report."));
        None
    };
    let bundle = merged.map(|(file, bytes)| (CancellableIo::new(file, progress), bytes));
    write_page(&data, bundle, &name, target)
}

/// Merges a history into one bundle, unless it is too large to embed, and fills in the logs of the report.
fn merged(
    dir: &Path,
    options: &ReportOptions,
    work_dir: &Path,
    data: &mut ReportData,
    progress: &dyn Progress,
) -> Result<Option<(File, u64)>> {
    let history = History::open_with_keys(dir, &options.verify_history.keys)?;
    let bytes = HistoryInspection::new(&history).bundle_bytes;
    // The merged bundle is hardly larger.
    if let Some(reason) = too_large(options.embedding, bytes, OF_HISTORY) {
        data.not_embedded = Some(reason);
        return Ok(None);
    }
    let segments = history.segments().len();
    let merge = MergeOptions::new(options.program.clone()).threads(options.threads);
    let inputs = vec![TraceInput::from_history(history)];
    let (mut file, merged) =
        MergedLogs::new(inputs, &merge, work_dir.to_owned(), progress)?.into_temporary(progress)?;
    file.seek(SeekFrom::Start(0)).map_err(|error| Error::io(IoAction::Read, work_dir, error))?;
    data.list_logs(&merged.manifest);
    let note =
        format!("The rows of all segments ({segments}) were put together into one bundle, which this page shows.");
    data.embed("merged.jsonl.gz", Some(merged.digest), Some(note));
    Ok(Some((file, merged.bundle_bytes)))
}

/// The description of an input whose rows are not embedded, and the way to see them.
type LeftOut = (&'static str, &'static str);

const OF_BUNDLE: LeftOut = ("bundle", "Open the bundle here to see them.");
const OF_HISTORY: LeftOut = (
    "history",
    "This page can open only bundles: write the report again with --embed, or make one bundle of the history with \
     \"patchwork-traces merge\" and open that here.",
);

/// Returns the reason not to embed rows of this compressed length, if there is one.
fn too_large(embedding: Embedding, bytes: u64, (kind, advice): LeftOut) -> Option<String> {
    match embedding {
        Embedding::All => None,
        Embedding::UpTo(limit) if bytes <= limit => None,
        Embedding::UpTo(limit) => Some(format!(
            "The {kind} has {bytes} bytes, more than the {limit} that a report embeds, so its rows are not in this page. \
             {advice}"
        )),
        Embedding::None => Some(format!("The rows are not in this report. {advice}")),
    }
}

/// Writes the page with its data.
fn write_page(
    data: &ReportData,
    bundle: Option<(impl Read, u64)>,
    name: &str,
    target: &OutputTarget,
) -> Result<Report> {
    let embedded_bytes = bundle.as_ref().map(|(_, bytes)| *bytes);
    let bundle = bundle.map(|(bundle, _)| bundle);
    let report_bytes = match target {
        OutputTarget::File { path, options } => {
            let mut file = AtomicFile::create(path, *options)?;
            let bytes = page::write(data, bundle, name, &mut file, path)?;
            file.finish()?;
            bytes
        }
        OutputTarget::Stream(path) => {
            let failed = |error| Error::io(IoAction::Open, path, error);
            let stream = fs_err::OpenOptions::new().write(true).open(path).map_err(failed)?;
            page::write(data, bundle, name, stream, path)?
        }
    };
    Ok(Report {
        verdict: data.verdict,
        is_good: data.is_good,
        rows: data.rows,
        embedded_bytes,
        not_embedded: data.not_embedded.clone(),
        report_bytes,
    })
}
