//! Writes selected rows of a bundle or history to a new bundle.
//!
//! If only sources or files are selected, their logs are kept byte for byte. Otherwise the new bundle has the matching
//! rows exactly as they are in the logs, without unparsed lines. The rows are kept in unnamed temporary files until the
//! new bundle has been written and verified.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::bundle::writer::{SpooledBundle, WriteOptions, WrittenBundle};
use crate::cat::{CatOptions, SelectedRows};
use crate::container::Sealer;
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, Result};
use crate::export::Level;
use crate::format::{Derivation, DerivedFrom, FilterRecord, Label, Manifest, Provenance, TimeRange};
use crate::input::{InputPart, InputSummary, TraceInput};
use crate::merge::pack;
use crate::progress::{Progress, Stage};
use crate::publish::{publish, publish_to};
use crate::stored::{LogSet, RowCollector, restore_files};
use crate::util::atomic_file::OutputTarget;
use crate::util::ordered_pool::available_cores;

/// Options for [`filter`]. The same input and options give the same bytes, unless encrypted, regardless of the number of
/// threads.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct FilterOptions {
    /// The program and version for the manifest.
    pub generator: String,
    /// The rows to keep. The options about the output have no effect.
    pub rows: CatOptions,
    /// The user's name for the machine, for the manifest; by default, the label of the input.
    pub label: Option<Label>,
    /// True to write a bundle even if no row matches.
    pub allow_empty: bool,
    /// The compression level.
    pub level: Level,
    /// The number of threads that inflate, filter and compress.
    pub threads: NonZeroUsize,
    /// Encrypts the bundle, if set.
    pub sealer: Option<Sealer>,
}

impl FilterOptions {
    /// Keeps these rows, with the default compression level and one thread per core.
    pub fn new(generator: impl Into<String>, rows: CatOptions) -> Self {
        let (generator, level, threads) = (generator.into(), Level::default(), available_cores());
        Self { generator, rows, label: None, allow_empty: false, level, threads, sealer: None }
    }

    /// Sets the user's name for the machine.
    pub fn label(self, label: impl Into<Option<Label>>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// Chooses whether to write a bundle even if no row matches.
    pub fn allow_empty(self, allow_empty: bool) -> Self {
        Self { allow_empty, ..self }
    }

    /// Sets the compression level.
    pub fn level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Sets the sealer that encrypts the bundle, if any.
    pub fn sealer(self, sealer: impl Into<Option<Sealer>>) -> Self {
        Self { sealer: sealer.into(), ..self }
    }

    /// Returns true if all rows of the selected logs are kept.
    fn keeps_whole_logs(&self) -> bool {
        let CatOptions { range, latest, filter, .. } = &self.rows;
        *range == TimeRange::default() && latest.is_none() && filter.is_empty()
    }
}

/// The result of a filter.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FilterReport {
    /// The digest of the new bundle.
    pub digest: BundleDigest,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its size in bytes.
    pub bundle_bytes: u64,
    /// The input.
    pub input: InputSummary,
}

/// Writes the selected rows of `input` to a new bundle at `target`, with mode 0600. Publishes a complete, verified
/// bundle or nothing. Temporary files are created in the target's directory.
///
/// ```
/// use patchwork_traces::cat::CatOptions;
/// use patchwork_traces::filter::{FilterOptions, filter_to_file};
/// use patchwork_traces::input::TraceInput;
/// use patchwork_traces::progress::NoProgress;
/// use patchwork_traces::query::RowFilter;
/// use patchwork_traces::{OutputTarget, TargetOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (path, dir) = ("fixtures/conformance/intact.jsonl.gz", tempfile::tempdir()?);
/// let input = TraceInput::open(path)?;
/// let rows = CatOptions::default().filter(RowFilter::default().condition("tool=read".parse()?));
/// let options = FilterOptions::new("example 1", rows);
/// let target = OutputTarget::resolve(dir.path().join("read.jsonl.gz"), TargetOptions::default())?;
/// let report = filter_to_file(&input, &options, &target, &NoProgress)?;
/// assert_eq!(report.manifest.filter.unwrap().conditions(), ["--where tool=read"]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::NoRowsMatch`], unless an empty bundle is allowed. Also fails if the input is damaged or lacks a
/// selected source or file, or if the target or a temporary file cannot be written. Nothing is published in these
/// cases.
pub fn filter_to_file(
    input: &TraceInput<'_>,
    options: &FilterOptions,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<FilterReport> {
    run(input, options, target.work_dir(), progress, |packed, options, provenance| {
        publish(packed, options, provenance, target, progress)
    })
}

/// Writes the selected rows of `input` to a new bundle, and copies it to `out` after verifying it. Write errors name
/// `out_name`. Temporary files are created in `work_dir`.
///
/// # Errors
/// As [`filter_to_file`]. If `out` fails, a part of the bundle may have been written.
pub fn filter(
    input: &TraceInput<'_>,
    options: &FilterOptions,
    (out, out_name): (impl Write, &str),
    work_dir: impl Into<PathBuf>,
    progress: &dyn Progress,
) -> Result<FilterReport> {
    run(input, options, work_dir.into(), progress, |packed, options, provenance| {
        publish_to(packed, options, provenance, (out, out_name), progress)
    })
}

fn run(
    input: &TraceInput<'_>,
    options: &FilterOptions,
    work_dir: PathBuf,
    progress: &dyn Progress,
    write: impl FnOnce(SpooledBundle, &WriteOptions, Provenance) -> Result<WrittenBundle>,
) -> Result<FilterReport> {
    let named = |error: Error| error.in_subject(input.name());
    let Some(exported_at) = input.exported_at() else { return Err(named(ErrorKind::EmptyInput.into())) };
    let logs = select(input, options, &work_dir, progress).map_err(named)?;
    if logs.logs().next().is_none() && !options.allow_empty {
        return Err(named(ErrorKind::NoRowsMatch.into()));
    }
    let write_options = WriteOptions::new(options.generator.clone(), exported_at).level(options.level);
    let write_options = write_options.threads(options.threads).work_dir(work_dir).sealer(options.sealer.clone());
    let packed = pack(&logs, &write_options, progress)?;
    let WrittenBundle { digest, manifest, bundle_bytes } = write(packed, &write_options, provenance(input, options))?;
    Ok(FilterReport { digest, manifest, bundle_bytes, input: input.summary() })
}

fn select(input: &TraceInput<'_>, options: &FilterOptions, dir: &Path, progress: &dyn Progress) -> Result<LogSet> {
    let rows = CatOptions { threads: options.threads, ..options.rows.clone() };
    // This also checks the names of sources and files.
    let selected = SelectedRows::new(std::slice::from_ref(input), &rows)?;
    progress.stage(Stage::Reading);
    progress.start(None);
    let logs = if options.keeps_whole_logs() {
        let bundles = input.parts().iter().map(InputPart::open);
        restore_files(bundles, (&rows.sources, &rows.files), dir, options.threads, progress)
    } else {
        let mut collector = RowCollector::new(selected.logs().cloned(), dir, progress)?;
        let collected = selected.each(progress, &mut |log, lines| collector.push(log, lines));
        collected.and_then(|()| collector.finish())
    };
    progress.finish();
    logs
}

fn provenance(input: &TraceInput<'_>, options: &FilterOptions) -> Provenance {
    let label = options.label.as_ref().or(input.label()).cloned();
    // The rows of a filtered bundle have been selected before.
    let earlier = input.parts().iter().filter_map(|part| part.filter.as_ref()).flat_map(FilterRecord::conditions);
    let is_partial = !options.keeps_whole_logs();
    let own = if is_partial { options.rows.conditions(|time| time.to_string()) } else { Vec::new() };
    let mut conditions: Vec<_> = earlier.cloned().collect();
    if !conditions.is_empty() && !own.is_empty() {
        conditions.push(FilterRecord::THEN.to_owned());
    }
    conditions.extend(own);
    let filter = FilterRecord::new(conditions);
    let derived_from = DerivedFrom { how: Derivation::Filtered, bundles: input.digests().collect() };
    // A bundle made from a redacted one also has changed rows.
    let redaction = input.parts().iter().find_map(|part| part.redaction.clone());
    Provenance { label, derived_from: Some(derived_from), filter, redaction, history: None }
}
