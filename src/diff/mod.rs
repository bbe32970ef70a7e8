//! Compares the rows of two inputs, log by log: bundles, histories, and the logs of this machine.
//!
//! Lines are compared without their line endings. The logs of a source between which rotation moves rows are compared as
//! one sequence, so a row that was moved is the same row.

mod lines;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::Serialize;

use crate::align::Fingerprinter;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Base, FileName, LogId, SourceName};
use crate::import::LineCount;
use crate::input::{InputPart, InputSummary, TraceInput};
use crate::logs::{Discovery, GroupKey, LogGroup, known};
use crate::progress::{Progress, Stage};
use crate::stored::{CompareContext, LogSet, StoredGroup, compare, copy_logs, disagreement, restore_logs};
use crate::util::ordered_pool::available_cores;
pub use lines::{DiffLine, Difference, TakeLine};

/// Options for [`diff`].
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct DiffOptions {
    /// The sources to compare; empty means all.
    pub sources: Vec<String>,
    /// The number of threads that inflate and compare.
    pub threads: NonZeroUsize,
    /// The directory for temporary files. It holds the logs of both sides while they are compared.
    pub work_dir: PathBuf,
}

/// Compares all sources with one thread per core, and with temporary files in the system's directory.
impl Default for DiffOptions {
    fn default() -> Self {
        Self { sources: Vec::new(), threads: available_cores(), work_dir: std::env::temp_dir() }
    }
}

impl DiffOptions {
    /// Limits the comparison to these sources.
    pub fn sources(self, sources: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { sources: sources.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Sets the directory for temporary files.
    pub fn work_dir(self, work_dir: impl Into<PathBuf>) -> Self {
        Self { work_dir: work_dir.into(), ..self }
    }
}

/// The second side of a comparison.
#[derive(Debug)]
#[non_exhaustive]
pub enum Other<'o> {
    /// A bundle or a history.
    Input(TraceInput<'o>),
    /// The logs of this machine. Logs outside of the catalogue are compared if the first side has their source.
    Here(Discovery),
}

/// The result of a comparison of two inputs A and B. A is the one named first.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiffReport {
    /// The first input.
    pub a: InputSummary,
    /// The second input. `None` for the logs of this machine.
    pub b: Option<InputSummary>,
    /// The logs that A or B has, in catalogue order.
    pub files: Vec<FileDiff>,
}

impl DiffReport {
    /// Returns true if A and B have the same lines in the same order.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.files.iter().all(FileDiff::is_equal)
    }
}

/// The differences of one log. A line that rotation moved from one log of a source to another counts for the log where A
/// has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FileDiff {
    /// The source of the log.
    pub source: SourceName,
    /// The file name of the log.
    pub file: FileName,
    /// The directory of the log.
    pub base: Base,
    /// Lines that are only in A, and surplus copies in A.
    pub only_in_a: LineCount,
    /// Lines that are only in B, and surplus copies in B.
    pub only_in_b: LineCount,
    /// Lines that both have, but in a different order.
    pub reordered: LineCount,
    /// Lines that both have in the same order.
    pub same: LineCount,
}

impl FileDiff {
    fn nothing_of(id: &LogId) -> Self {
        let (source, file, base) = (id.source.clone(), id.name.clone(), id.base);
        let none = LineCount::default;
        Self { source, file, base, only_in_a: none(), only_in_b: none(), reordered: none(), same: none() }
    }

    /// Returns true if A and B have the same lines of this log in the same order.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        [self.only_in_a, self.only_in_b, self.reordered].iter().all(|lines| lines.all() == 0)
    }
}

/// Compares two inputs. Passes each line that differs to `take`, log by log and in log order. Between two common lines,
/// those of the first input come first.
///
/// ```
/// use patchwork_traces::diff::{DiffLine, DiffOptions, Other, diff};
/// use patchwork_traces::input::TraceInput;
/// use patchwork_traces::progress::NoProgress;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (a, b) = ("fixtures/conformance/intact.jsonl.gz", "fixtures/conformance/intact_empty.jsonl.gz");
/// let (a, b) = (TraceInput::open(a)?, Other::Input(TraceInput::open(b)?));
/// let mut lines = Vec::new();
/// let mut take = |line: DiffLine<'_>| {
///     lines.push(line.text.to_vec());
///     Ok(())
/// };
/// let report = diff(&a, &b, &DiffOptions::default(), &NoProgress, Some(&mut take))?;
/// assert!(!report.is_equal());
/// assert_eq!(report.files[0].only_in_a.all(), 9);
/// assert_eq!(lines.len(), 12);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If an input is damaged or a log cannot be read, a selected source is in neither input, a log has too many lines, or
/// a temporary file cannot be written. Also the errors of `take`.
pub fn diff(
    a: &TraceInput<'_>,
    b: &Other<'_>,
    options: &DiffOptions,
    progress: &dyn Progress,
    take: Option<&mut TakeLine<'_>>,
) -> Result<DiffReport> {
    check_sources(a, b, &options.sources)?;
    let summaries = (a.summary(), b.summary());
    let compared = read_both(a, b, options, progress);
    progress.finish();
    let (a, b) = compared?;
    progress.stage(Stage::Merging);
    progress.start(None);
    let context = CompareContext { fingerprinter: Fingerprinter::random()?, threads: options.threads, progress };
    let files = compare_sets(a, b, context, take);
    progress.finish();
    Ok(DiffReport { a: summaries.0, b: summaries.1, files: files? })
}

impl Other<'_> {
    fn summary(&self) -> Option<InputSummary> {
        match self {
            Self::Input(input) => Some(input.summary()),
            Self::Here(_) => None,
        }
    }

    fn sources(&self) -> Vec<&str> {
        match self {
            Self::Input(input) => input.sources().collect(),
            Self::Here(found) => found.logs().map(|log| log.id.source.as_str()).collect(),
        }
    }

    fn log_bytes(&self) -> u64 {
        match self {
            Self::Input(input) => input.log_bytes(),
            Self::Here(found) => found.logs().map(|log| log.bytes).sum(),
        }
    }
}

/// Checks that an input has a log of each selected source.
fn check_sources(a: &TraceInput<'_>, b: &Other<'_>, wanted: &[String]) -> Result<()> {
    let known: BTreeSet<_> = a.sources().chain(b.sources()).collect();
    match wanted.iter().find(|source| !known.contains(source.as_str())) {
        None => Ok(()),
        Some(unknown) => {
            let known = known.into_iter().map(str::to_owned).collect();
            Err(Error::from(ErrorKind::UnknownSource { name: unknown.clone(), known }).in_subject(a.name()))
        }
    }
}

/// Reads the logs of both inputs.
fn read_both(
    a: &TraceInput<'_>,
    b: &Other<'_>,
    options: &DiffOptions,
    progress: &dyn Progress,
) -> Result<(LogSet, LogSet)> {
    let DiffOptions { sources, threads, work_dir } = options;
    progress.stage(Stage::Reading);
    progress.start(Some(a.log_bytes() + b.log_bytes()));
    let of_a: BTreeSet<_> = a.sources().map(str::to_owned).collect();
    let is_wanted = |group: &&LogGroup| {
        group.logs.first().is_some_and(|log| {
            let source = log.id.source.as_str();
            let is_compared = known(source).is_some() || of_a.contains(source);
            is_compared && (sources.is_empty() || sources.iter().any(|wanted| wanted == source))
        })
    };
    let restore = |input: &TraceInput<'_>| {
        restore_logs(input.parts().iter().map(InputPart::open), sources, work_dir, *threads, progress)
    };
    let a = restore(a)?;
    let b = match b {
        Other::Input(input) => restore(input)?,
        Other::Here(found) => copy_logs(found.groups.iter().filter(is_wanted), work_dir, progress)?,
    };
    Ok((a, b))
}

fn compare_sets(
    a: LogSet,
    b: LogSet,
    context: CompareContext<'_>,
    mut take: Option<&mut TakeLine<'_>>,
) -> Result<Vec<FileDiff>> {
    let mut groups: BTreeMap<GroupKey, (Option<StoredGroup>, Option<StoredGroup>)> = BTreeMap::new();
    for (key, group) in a.groups {
        groups.entry(key).or_default().0 = Some(group);
    }
    for (key, group) in b.groups {
        groups.entry(key).or_default().1 = Some(group);
    }
    let mut files = Vec::new();
    for (key, (a, b)) in groups {
        let nothing = || StoredGroup::nothing_of(&key);
        let (a, b) = (a.unwrap_or_else(nothing), b.unwrap_or_else(nothing));
        let ids = ids_of(&a, &b)?;
        let mut diffs: Vec<_> = ids.iter().map(|id| id.as_ref().map(FileDiff::nothing_of)).collect();
        let compared = compare(&key, &a, &b, context)?;
        let take = take.as_deref_mut();
        lines::each_difference(&compared, (&a, &b), &ids, &mut diffs, take)?;
        files.extend(diffs.into_iter().flatten());
    }
    Ok(files)
}

/// Returns the identity of each log of a group that one side has.
fn ids_of(a: &StoredGroup, b: &StoredGroup) -> Result<Vec<Option<LogId>>> {
    let ids = a.logs.iter().zip(&b.logs).map(|logs| match logs {
        (Some(a), Some(b)) if a.id.base != b.id.base => Err(disagreement(&a.id, &b.id)),
        (Some(log), _) | (None, Some(log)) => Ok(Some(log.id.clone())),
        (None, None) => Ok(None),
    });
    ids.collect()
}
