//! Merges bundles and histories into one bundle.
//!
//! Rows that inputs share are kept once, by the rules of import: every distinct line is in the
//! result as often as in the input that has it most often. The logs of a source between which
//! rotation moves rows are merged as one sequence, and the row with the latest end is the last one
//! about its run. The log of a history consists of the rows of all segments, in order.
//!
//! The inputs are merged in the order of their export times, not of the arguments, so the same
//! inputs give the same bytes. Neighbours are merged in pairs, then the results are, so each row is
//! written about log2(inputs) times. The logs are kept in unnamed temporary files. Comparing a log
//! of two inputs takes up to 24 bytes of memory per line, 32 for `runs`.

mod order;
mod redacted;

use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::align::Fingerprinter;
use crate::bundle::writer::{BundleWriter, SpooledBundle, WriteOptions, WrittenBundle};
use crate::container::Sealer;
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, Result};
use crate::export::Level;
use crate::format::{Derivation, DerivedFrom, FilterRecord, Label, Manifest, Provenance};
use crate::input::{InputPart, InputSummary, TraceInput};
use crate::logs::times_of;
use crate::progress::{Progress, Stage};
use crate::publish::{publish, publish_to, write_temporary};
use crate::stored::{CompareContext, LogSet, combine, restore_logs};
use crate::util::atomic_file::OutputTarget;
use crate::util::cancel::CancellableIo;
use crate::util::ordered_pool::available_cores;
use order::{BundleSequence, in_order};
use redacted::{check_redacted, merged_redaction};

/// Options for a merge. The same inputs and options give the same bytes, unless encrypted,
/// regardless of the number of threads and the order of the inputs.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct MergeOptions {
    /// The program and version for the manifest.
    pub generator: String,
    /// The sources to merge; empty means all.
    pub sources: Vec<String>,
    /// The label of the machine, for the manifest.
    pub label: Option<Label>,
    /// The compression level.
    pub level: Level,
    /// The number of threads that inflate, compare and compress.
    pub threads: NonZeroUsize,
    /// Encrypts the bundle, if set.
    pub sealer: Option<Sealer>,
}

impl MergeOptions {
    /// Merges all sources, with the default level and all cores.
    pub fn new(generator: impl Into<String>) -> Self {
        let (sources, level, threads) = (Vec::new(), Level::default(), available_cores());
        Self { generator: generator.into(), sources, label: None, level, threads, sealer: None }
    }

    /// Limits the merge to these sources.
    pub fn sources(self, sources: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { sources: sources.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets the label of the machine.
    pub fn label(self, label: Label) -> Self {
        Self { label: Some(label), ..self }
    }

    /// Sets the compression level.
    pub fn level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Sets the sealer that encrypts the bundle, or none.
    pub fn sealer(self, sealer: impl Into<Option<Sealer>>) -> Self {
        Self { sealer: sealer.into(), ..self }
    }
}

/// The result of a merge.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MergeReport {
    /// The digest of the new bundle.
    pub digest: BundleDigest,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its size in bytes.
    pub bundle_bytes: u64,
    /// The inputs, in the given order.
    pub inputs: Vec<InputSummary>,
}

impl MergeReport {
    /// Returns the total number of rows of all inputs that were read.
    #[must_use]
    pub fn rows_read(&self) -> u64 {
        self.inputs.iter().filter(|input| !input.is_duplicate).map(|input| input.rows).sum()
    }
}

/// Merges `inputs` into one bundle at `target`, with mode 0600. Publishes a complete, verified
/// bundle or nothing. Temporary files are in the target's directory.
///
/// ```
/// use patchwork_traces::input::TraceInput;
/// use patchwork_traces::merge::{MergeOptions, merge_to_file};
/// use patchwork_traces::progress::NoProgress;
/// use patchwork_traces::{OutputTarget, TargetOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (a, b) = ("fixtures/conformance/intact.jsonl.gz", "fixtures/conformance/intact.jsonl.gz");
/// # let dir = tempfile::tempdir()?;
/// let target = OutputTarget::resolve(dir.path().join("all.jsonl.gz"), TargetOptions::default())?;
/// let inputs = vec![TraceInput::open(a)?, TraceInput::open(b)?];
/// let report = merge_to_file(inputs, &MergeOptions::new("example 1"), &target, &NoProgress)?;
/// assert_eq!(report.manifest.total_count, 10);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If there is no input, an input is damaged or has none of the wanted sources, a log has too many
/// lines, redacted inputs do not belong together, or the target or a temporary file cannot be
/// written. Nothing is published in these cases.
pub fn merge_to_file(
    inputs: Vec<TraceInput<'_>>,
    options: &MergeOptions,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<MergeReport> {
    let merged = MergedLogs::new(inputs, options, target.work_dir(), progress)?;
    merged.finish(|packed, options, provenance| publish(packed, options, provenance, target, progress))
}

/// Merges `inputs` into one bundle, verifies it and then writes it to `out`. Errors refer to `out`
/// as `out_name`. Temporary files are in `work_dir`.
///
/// # Errors
/// As [`merge_to_file`]. If `out` fails, a part of the bundle may have been written.
pub fn merge(
    inputs: Vec<TraceInput<'_>>,
    options: &MergeOptions,
    (out, out_name): (impl Write, &str),
    work_dir: impl Into<PathBuf>,
    progress: &dyn Progress,
) -> Result<MergeReport> {
    let merged = MergedLogs::new(inputs, options, work_dir.into(), progress)?;
    merged.finish(|packed, options, provenance| publish_to(packed, options, provenance, (out, out_name), progress))
}

/// The merged logs, compressed but not yet written.
pub(crate) struct MergedLogs {
    packed: SpooledBundle,
    provenance: Provenance,
    options: WriteOptions,
    inputs: Vec<InputSummary>,
}

impl MergedLogs {
    /// Merges the inputs. Temporary files are in `work_dir`.
    pub(crate) fn new(
        inputs: Vec<TraceInput<'_>>,
        options: &MergeOptions,
        work_dir: PathBuf,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let Some(exported_at) = inputs.iter().filter_map(TraceInput::exported_at).max() else {
            return Err(ErrorKind::EmptyInput.into());
        };
        check_sources(&inputs, &options.sources)?;
        check_redacted(&inputs)?;
        let (filter, redaction) = (merged_filter(&inputs), merged_redaction(&inputs));
        let (sequences, inputs) = in_order(inputs)?;
        let mut known = HashSet::new();
        let digests = sequences.iter().flat_map(|sequence| &sequence.parts).map(|part| part.digest);
        let bundles = digests.filter(|digest| known.insert(*digest)).collect();
        let write = WriteOptions::new(options.generator.clone(), exported_at).level(options.level);
        let write = write.threads(options.threads).work_dir(work_dir).sealer(options.sealer.clone());
        let merged = merge_all(sequences, &options.sources, &write, progress);
        progress.finish();
        let packed = pack(&merged?, &write, progress)?;
        let derived_from = Some(DerivedFrom { how: Derivation::Merged, bundles });
        let provenance = Provenance { label: options.label.clone(), derived_from, filter, redaction, history: None };
        Ok(Self { packed, provenance, options: write, inputs })
    }

    /// Writes the bundle to an unnamed file in the directory for temporary files, without verifying
    /// it.
    pub(crate) fn into_temporary(self, progress: &dyn Progress) -> Result<(std::fs::File, MergeReport)> {
        let mut temporary = None;
        let report = self.finish(|packed, options, provenance| {
            let (file, written) = write_temporary(packed, options, provenance, progress)?;
            temporary = Some(file);
            Ok(written)
        })?;
        let file = temporary.ok_or(ErrorKind::OutputNotIntact)?;
        Ok((file, report))
    }

    /// Writes the bundle with `write` and returns the report.
    pub(crate) fn finish(
        self,
        write: impl FnOnce(SpooledBundle, &WriteOptions, Provenance) -> Result<WrittenBundle>,
    ) -> Result<MergeReport> {
        let Self { packed, provenance, options, inputs } = self;
        let WrittenBundle { digest, manifest, bundle_bytes } = write(packed, &options, provenance)?;
        Ok(MergeReport { digest, manifest, bundle_bytes, inputs })
    }
}

/// Checks that each wanted source has a log in some input.
pub(crate) fn check_sources(inputs: &[TraceInput<'_>], wanted: &[String]) -> Result<()> {
    let known: BTreeSet<_> = inputs.iter().flat_map(TraceInput::sources).collect();
    let Some(unknown) = wanted.iter().find(|source| !known.contains(source.as_str())) else { return Ok(()) };
    let known = known.into_iter().map(str::to_owned).collect();
    let error = Error::from(ErrorKind::UnknownSource { name: unknown.clone(), known });
    Err(match inputs {
        [input] => error.in_subject(input.name()),
        _ => error,
    })
}

/// Merges sequences of bundles pairwise: neighbours are joined once both are the result of equally
/// many rounds.
fn merge_all(
    sequences: Vec<BundleSequence<'_>>,
    sources: &[String],
    options: &WriteOptions,
    progress: &dyn Progress,
) -> Result<LogSet> {
    progress.stage(Stage::Reading);
    let bytes = sequences.iter().flat_map(|sequence| &sequence.parts).map(|part| part.log_bytes).sum();
    progress.start(Some(bytes));
    let context = CompareContext { fingerprinter: Fingerprinter::random()?, threads: options.threads, progress };
    let join = |earlier, later| combine(earlier, later, &options.work_dir, context);
    let mut merged: Vec<(u32, LogSet)> = Vec::new();
    for sequence in sequences {
        let bundles = sequence.parts.iter().map(InputPart::open);
        let mut set = restore_logs(bundles, sources, &options.work_dir, options.threads, progress)?;
        let mut times = 0;
        while let Some((_, earlier)) = merged.pop_if(|(earlier_times, _)| *earlier_times == times) {
            set = join(earlier, set)?;
            times += 1;
        }
        merged.push((times, set));
    }
    let mut all = LogSet::default();
    while let Some((_, earlier)) = merged.pop() {
        all = join(earlier, all)?;
    }
    all.check_places().map(|()| all)
}

/// Compresses the merged logs.
pub(crate) fn pack(logs: &LogSet, options: &WriteOptions, progress: &dyn Progress) -> Result<SpooledBundle> {
    progress.stage(Stage::Merging);
    progress.start(Some(logs.logs().map(|(_, log)| log.content.bytes()).sum()));
    let packed = std::thread::scope(|scope| {
        let mut writer = BundleWriter::start(scope, options);
        for (key, log) in logs.logs() {
            let reader = CancellableIo::new(log.reader(), progress);
            writer.add_log(&log.id, times_of(key.source()), reader, log.id.name.as_str(), progress)?;
        }
        writer.finish()
    });
    progress.finish();
    packed
}

/// Returns the conditions of the inputs if each has only some rows of its logs.
fn merged_filter(inputs: &[TraceInput<'_>]) -> Option<FilterRecord> {
    let records: Option<Vec<_>> = inputs.iter().flat_map(TraceInput::parts).map(|part| part.filter.as_ref()).collect();
    let mut conditions = Vec::new();
    for condition in records?.into_iter().flat_map(FilterRecord::conditions) {
        if !conditions.contains(condition) {
            conditions.push(condition.clone());
        }
    }
    FilterRecord::new(conditions)
}
