//! Finds likely secrets and personal data in bundles and histories. Reports where each find is, never its value.
//!
//! Each input is read twice: first for user names in home directory paths, then for everything else.

mod finds;
mod lines;
mod report;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use crate::detect::{DetectOptions, Detector, MAX_KNOWN_NAMES, NameCollector};
use crate::error::{ErrorKind, RedactionFault, Result};
use crate::format::{FilterRecord, Manifest};
use crate::input::TraceInput;
use crate::merge::check_sources;
use crate::progress::Progress;
use crate::util::ordered_pool::available_cores;
use finds::{BundleFinds, Groups};
use lines::wanted_files;
pub(crate) use lines::{LineNumbers, ScannedLine, each_line, unparsed_lines};
pub use report::{RuleCount, ScanGroup, ScanPlace, ScanReport};

/// Options for [`scan`].
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct ScanOptions {
    /// The sources to scan; empty means all.
    pub sources: Vec<String>,
    /// The rules.
    pub detect: DetectOptions,
    /// The number of places that are listed for each group of finds.
    pub places: usize,
    /// The number of threads that inflate and search.
    pub threads: NonZeroUsize,
}

/// Scans all sources with all rules and one thread per core, and lists five places of each group.
impl Default for ScanOptions {
    fn default() -> Self {
        Self { sources: Vec::new(), detect: DetectOptions::default(), places: 5, threads: available_cores() }
    }
}

impl ScanOptions {
    /// Limits the scan to these sources.
    pub fn sources(self, sources: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { sources: sources.into_iter().map(Into::into).collect(), ..self }
    }

    /// Chooses the rules.
    pub fn detect(self, detect: DetectOptions) -> Self {
        Self { detect, ..self }
    }

    /// Sets the number of places that are listed for each group of finds.
    pub fn places(self, places: usize) -> Self {
        Self { places, ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }
}

/// Scans inputs: every decoded string and key of every row, the unparsed lines, and the texts of the manifests.
///
/// An input that is a stream can be read only once, so it must be copied to a file first.
///
/// ```
/// use patchwork_traces::input::TraceInput;
/// use patchwork_traces::progress::NoProgress;
/// use patchwork_traces::scan::{ScanOptions, scan};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let input = TraceInput::open("fixtures/conformance/intact.jsonl.gz")?;
/// let report = scan(&[input], &ScanOptions::default(), &NoProgress)?;
/// assert!(report.is_clean());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If an input is damaged or has none of the selected sources, or a rule name is unknown.
pub fn scan(inputs: &[TraceInput<'_>], options: &ScanOptions, progress: &dyn Progress) -> Result<ScanReport> {
    Detector::new(&options.detect)?;
    check_sources(inputs, &options.sources)?;
    let bytes: u64 = inputs.iter().map(TraceInput::log_bytes).sum();
    progress.start(Some(bytes.saturating_mul(2)));
    let scanned = known_users(inputs, options, progress).and_then(|names| {
        let detector = Detector::with_names(&options.detect, &names)?;
        search(inputs, options, &detector, progress)
    });
    progress.finish();
    scanned
}

/// Returns the user names in home directory paths, in lower case.
fn known_users(inputs: &[TraceInput<'_>], options: &ScanOptions, progress: &dyn Progress) -> Result<BTreeSet<String>> {
    let collector = NameCollector::new()?;
    let mut names = BTreeSet::new();
    let mut add = |found: BTreeSet<String>| {
        names.extend(found);
        check_users(&names)
    };
    for part in inputs.iter().flat_map(TraceInput::parts) {
        let bundle = part.open()?;
        let name = bundle.name().to_owned();
        let mut of_manifest = BTreeSet::new();
        for (_, text) in manifest_texts(bundle.manifest()) {
            collector.collect(text.as_bytes(), &mut of_manifest);
        }
        add(of_manifest)?;
        let files = wanted_files(bundle.manifest(), &options.sources);
        let collect = |names: &mut BTreeSet<String>, line: lines::ScannedLine<'_>| collector.collect(line.bytes, names);
        each_line(bundle, files, options.threads, collect, &mut add, progress)
            .map_err(|error| error.in_subject(&name))?;
    }
    Ok(names)
}

/// Returns an error if there are too many user names.
pub(crate) fn check_users(names: &BTreeSet<String>) -> Result<()> {
    match names.len() > MAX_KNOWN_NAMES {
        true => Err(ErrorKind::Redaction(RedactionFault::TooManyUsers { limit: MAX_KNOWN_NAMES }).into()),
        false => Ok(()),
    }
}

fn search(
    inputs: &[TraceInput<'_>],
    options: &ScanOptions,
    detector: &Detector,
    progress: &dyn Progress,
) -> Result<ScanReport> {
    let mut groups = Groups::new(options.places);
    let mut lines = 0;
    let for_redacted = detector.for_redacted();
    for part in inputs.iter().flat_map(TraceInput::parts) {
        let bundle = part.open()?;
        let (name, manifest) = (bundle.name().to_owned(), std::sync::Arc::clone(bundle.manifest()));
        let detector = if part.is_redacted { &for_redacted } else { detector };
        let files = wanted_files(&manifest, &options.sources);
        let mut of_bundle = BundleFinds::default();
        for (path, text) in manifest_texts(&manifest) {
            of_bundle.add_manifest_text(detector, &path, text);
        }
        groups.add(&name, &manifest, detector, of_bundle);
        let look = |found: &mut BundleFinds, line: lines::ScannedLine<'_>| found.add_line(detector, &line);
        let mut take = |found: BundleFinds| {
            lines += found.lines;
            groups.add(&name, &manifest, detector, found);
            Ok(())
        };
        each_line(bundle, files, options.threads, look, &mut take, progress)
            .map_err(|error| error.in_subject(&name))?;
    }
    Ok(groups.into_report(inputs.iter().map(TraceInput::summary).collect(), lines))
}

/// The name of this program at the beginning of a manifest's `generator`.
const OWN_GENERATOR: &str = "patchwork-traces ";

/// Returns true if a `generator` is the name and version of this program, which needs no search.
pub(crate) fn is_own_generator(text: &str) -> bool {
    let is_version = |version: &str| !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.strip_prefix(OWN_GENERATOR).is_some_and(is_version)
}

/// Returns the free texts of a manifest, which are neither derived from the logs nor fixed by the format, each with its
/// place. Excludes the name of this program.
pub(crate) fn manifest_texts(manifest: &Manifest) -> impl Iterator<Item = (String, &str)> {
    let generator = manifest.generator.as_deref().filter(|text| !is_own_generator(text));
    let of_bundle = [
        generator.map(|text| ("generator".to_owned(), text)),
        manifest.label.as_ref().map(|label| ("label".to_owned(), label.as_str())),
    ];
    let of_files = manifest.files.iter().enumerate().flat_map(|(index, file)| {
        [
            (format!("files[{index}].source"), file.source.as_str()),
            (format!("files[{index}].relativePath"), file.relative_path.as_str()),
        ]
    });
    let conditions = manifest.filter.iter().flat_map(FilterRecord::conditions).enumerate();
    let conditions = conditions.map(|(index, text)| (format!("filter[{index}]"), text.as_str()));
    let paths = manifest.redaction.iter().flat_map(|redaction| {
        let lists = [("drop", &redaction.drop), ("keepOnly", &redaction.keep_only), ("sources", &redaction.sources)];
        lists.into_iter().flat_map(|(key, texts)| {
            texts.iter().enumerate().map(move |(index, text)| (format!("redaction.{key}[{index}]"), text.as_str()))
        })
    });
    of_bundle.into_iter().flatten().chain(of_files).chain(conditions).chain(paths)
}
