//! Replaces secrets and personal data in a bundle or a history, so that it can be shared, and shows that nothing else was
//! changed.
//!
//! The logs are restored into unnamed temporary files, and a new bundle is made of them in which every find is replaced
//! by a name: `user-1`, `secret-2`. Equal values get equal names. Everything else of a line stays byte for byte, as does
//! the number of lines. The new bundle is verified and scanned before it is published.

mod compare;
mod key;
mod line;
mod logs;
mod members;
mod names;

use std::fs::File;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::bundle::Bundle;
use crate::bundle::writer::{BundleWriter, SpooledBundle, WriteOptions, WrittenBundle};
use crate::container::Sealer;
use crate::detect::{DetectOptions, Detector, RULES_VERSION, RuleFile, in_line};
use crate::digest::BundleDigest;
use crate::error::{Error, RedactionFault, Result};
use crate::export::Level;
use crate::format::{Derivation, DerivedFrom, FilterRecord, Manifest, Provenance, Redaction};
use crate::input::{InputSummary, TraceInput};
use crate::logs::times_of;
use crate::merge::check_sources;
use crate::progress::{Progress, Stage};
use crate::publish::{copy_verified, publish_verified, write_verified};
use crate::query::KeyPath;
use crate::scan::manifest_texts;
use crate::util::atomic_file::OutputTarget;
use crate::util::ordered_pool::available_cores;
pub use compare::{CompareOptions, RedactionCheck, RedactionDifference, check_redaction};
pub use key::RedactionKey;
use logs::{RedactedLogs, check_paths};
pub use members::ALWAYS_KEPT;

/// Options for a redaction. The same input and options give the same bytes, unless encrypted, regardless of the number of
/// threads.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct RedactOptions {
    /// The program and version for the manifest.
    pub generator: String,
    /// The sources to take; empty means all.
    pub sources: Vec<String>,
    /// The rules.
    pub detect: DetectOptions,
    /// The key that makes the names. Without one, they are numbered.
    pub key: Option<RedactionKey>,
    /// The members of rows to remove.
    pub drop: Vec<KeyPath>,
    /// If not empty, all members of rows but these are removed. [`ALWAYS_KEPT`] lists the keys that stay in any case.
    pub keep_only: Vec<KeyPath>,
    /// The compression level.
    pub level: Level,
    /// The number of threads that inflate and compress.
    pub threads: NonZeroUsize,
    /// Encrypts the bundle, if set.
    pub sealer: Option<Sealer>,
}

impl RedactOptions {
    /// Redacts all sources by all rules with numbered names, with the default level and all cores.
    pub fn new(generator: impl Into<String>) -> Self {
        Self {
            generator: generator.into(),
            sources: Vec::new(),
            detect: DetectOptions::default(),
            key: None,
            drop: Vec::new(),
            keep_only: Vec::new(),
            level: Level::default(),
            threads: available_cores(),
            sealer: None,
        }
    }

    /// Limits the new bundle to these sources.
    pub fn sources(self, sources: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { sources: sources.into_iter().map(Into::into).collect(), ..self }
    }

    /// Chooses the rules.
    pub fn detect(self, detect: DetectOptions) -> Self {
        Self { detect, ..self }
    }

    /// Sets the key that makes the names.
    pub fn key(self, key: impl Into<Option<RedactionKey>>) -> Self {
        Self { key: key.into(), ..self }
    }

    /// Removes these members of rows.
    pub fn drop(self, paths: impl IntoIterator<Item = KeyPath>) -> Self {
        Self { drop: paths.into_iter().collect(), ..self }
    }

    /// Removes all members of rows but these.
    pub fn keep_only(self, paths: impl IntoIterator<Item = KeyPath>) -> Self {
        Self { keep_only: paths.into_iter().collect(), ..self }
    }

    /// Sets the compression level.
    pub fn level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Sets what encrypts the bundle, if anything.
    pub fn sealer(self, sealer: impl Into<Option<Sealer>>) -> Self {
        Self { sealer: sealer.into(), ..self }
    }

    /// Returns the options as the manifest records them.
    fn record(&self) -> Redaction {
        let texts = |paths: &[KeyPath]| paths.iter().map(ToString::to_string).collect();
        Redaction {
            rules: RULES_VERSION,
            only: self.detect.only.clone(),
            skip: self.detect.skip.clone(),
            rules_file: self.detect.rules.as_ref().map(RuleFile::digest),
            key_id: self.key.as_ref().map(RedactionKey::id),
            sources: self.sources.clone(),
            drop: texts(&self.drop),
            keep_only: texts(&self.keep_only),
            replaced: 0,
            lines: 0,
        }
    }
}

/// The result of a redaction.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RedactReport {
    /// The digest of the new bundle.
    pub digest: BundleDigest,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its size in bytes.
    pub bundle_bytes: u64,
    /// The input.
    pub input: InputSummary,
    /// The record of the redaction in the manifest.
    pub redaction: Redaction,
}

/// Redacts a bundle or a history into a bundle at `target`, mode 0600. It publishes a complete bundle, which was verified
/// and in which nothing more is found, or nothing. Temporary files are in the target's directory.
///
/// An input that is a stream can be read only once, so it must be copied to a file first.
///
/// ```
/// use patchwork_traces::input::TraceInput;
/// use patchwork_traces::progress::NoProgress;
/// use patchwork_traces::redact::{RedactOptions, redact_to_file};
/// use patchwork_traces::{OutputTarget, TargetOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let target = OutputTarget::resolve(dir.path().join("shared.jsonl.gz"), TargetOptions::default())?;
/// let input = TraceInput::open("fixtures/conformance/intact.jsonl.gz")?;
/// let options = RedactOptions::new("example 1").drop(["tool".parse()?]);
/// let report = redact_to_file(&input, &options, &target, &NoProgress)?;
/// assert_eq!(report.manifest.total_count, 10);
/// assert!(report.redaction.lines > 0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If the input is damaged or has none of the wanted sources, a rule is unknown, there are too many different values, or
/// the target or a temporary file cannot be written. Nothing is published in these cases.
pub fn redact_to_file(
    input: &TraceInput<'_>,
    options: &RedactOptions,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<RedactReport> {
    let name = target.path().display().to_string();
    let redacted = RedactedBundle::new(input, options, target.work_dir(), &name, progress)?;
    redacted.finish(input, |file, written, write| publish_verified(file, written, write, target, progress))
}

/// Redacts a bundle or a history into a bundle, and writes it to `out`, which errors call `out_name`, once it was checked.
/// Temporary files are in `work_dir`.
///
/// # Errors
/// As [`redact_to_file`]. If `out` fails, a part of the bundle may have been written.
pub fn redact(
    input: &TraceInput<'_>,
    options: &RedactOptions,
    (out, out_name): (impl Write, &str),
    work_dir: impl Into<PathBuf>,
    progress: &dyn Progress,
) -> Result<RedactReport> {
    let redacted = RedactedBundle::new(input, options, work_dir.into(), out_name, progress)?;
    redacted.finish(input, |file, written, write| copy_verified(file, written, write, (out, out_name), progress))
}

/// The new bundle in an unnamed file, checked but not yet published.
struct RedactedBundle {
    file: File,
    written: WrittenBundle,
    write: WriteOptions,
    redaction: Redaction,
}

impl RedactedBundle {
    fn new(
        input: &TraceInput<'_>,
        options: &RedactOptions,
        work_dir: PathBuf,
        name: &str,
        progress: &dyn Progress,
    ) -> Result<Self> {
        check_paths(options)?;
        check_sources(std::slice::from_ref(input), &options.sources)?;
        let mut logs = RedactedLogs::new(input, options, &work_dir, options.threads, progress)?;
        let write = WriteOptions::new(options.generator.clone(), logs.exported_at).level(options.level);
        let write = write.threads(options.threads).work_dir(work_dir).sealer(options.sealer.clone());
        let packed = pack(&mut logs, &write, progress).map_err(|error| error.in_subject(input.name()))?;
        let (replaced, lines) = (logs.redactor.replaced, logs.redactor.lines);
        let redaction = Redaction { replaced, lines, ..options.record() };
        let derived_from = DerivedFrom { how: Derivation::Redacted, bundles: logs.digests.clone() };
        let provenance = Provenance {
            label: logs.label.clone(),
            derived_from: Some(derived_from),
            filter: redacted_filter(input, &mut logs.redactor)?,
            redaction: Some(redaction.clone()),
            history: None,
        };
        let (file, written) = write_verified(packed, &write, provenance, name, progress)?;
        expect_nothing_found(&file, name, logs.redactor.detector(), options.threads, progress)?;
        Ok(Self { file, written, write, redaction })
    }

    fn finish(
        self,
        input: &TraceInput<'_>,
        publish: impl FnOnce(File, WrittenBundle, &WriteOptions) -> Result<WrittenBundle>,
    ) -> Result<RedactReport> {
        let Self { file, written, write, redaction } = self;
        let WrittenBundle { digest, manifest, bundle_bytes } = publish(file, written, &write)?;
        Ok(RedactReport { digest, manifest, bundle_bytes, input: input.summary(), redaction })
    }
}

/// Redacts and compresses logs.
fn pack(logs: &mut RedactedLogs, options: &WriteOptions, progress: &dyn Progress) -> Result<SpooledBundle> {
    progress.stage(Stage::Writing);
    progress.start(Some(logs.bytes()));
    let packed = std::thread::scope(|scope| {
        let mut writer = BundleWriter::start(scope, options);
        logs.each_log(progress, |id, reader| {
            writer.add_log(id, times_of(id.source.as_str()), reader, id.name.as_str(), progress)
        })?;
        writer.finish()
    });
    progress.finish();
    packed
}

/// Searches a new bundle by the rules that it was redacted with.
///
/// # Errors
/// [`RedactionFault::StillFound`].
fn expect_nothing_found(
    file: &File,
    name: &str,
    detector: &Detector,
    threads: NonZeroUsize,
    progress: &dyn Progress,
) -> Result<()> {
    let bundle = Bundle::from_seekable(file, name)?;
    let found =
        |rule| Error::from(RedactionFault::StillFound { rule: detector.name(rule).to_owned() }).in_subject(name);
    let manifest = std::sync::Arc::clone(bundle.manifest());
    for (_, text) in manifest_texts(&manifest) {
        if let Some(find) = detector.find(text).first() {
            return Err(found(find.rule));
        }
    }
    progress.stage(Stage::Checking);
    progress.start(Some(manifest.files.iter().map(|file| file.bytes).sum()));
    let files = (0..manifest.files.len()).collect();
    let look = |first: &mut Option<(crate::detect::RuleId, usize, u64)>, line: crate::scan::ScannedLine<'_>| {
        in_line(detector, line.bytes, line.is_row, |_, find| {
            first.get_or_insert((find.rule, line.file, line.number));
        });
    };
    let mut take = |first: Option<(crate::detect::RuleId, usize, u64)>| match first {
        Some((rule, file, line)) => Err(found(rule).in_file(manifest.files[file].relative_path.as_str()).at_line(line)),
        None => Ok(()),
    };
    let checked = crate::scan::each_line(bundle, files, threads, look, &mut take, progress);
    progress.finish();
    checked
}

/// Returns the redacted conditions of a filtered original.
fn redacted_filter(input: &TraceInput<'_>, redactor: &mut line::LineRedactor) -> Result<Option<FilterRecord>> {
    let conditions = input.parts().iter().filter_map(|part| part.filter.as_ref()).flat_map(FilterRecord::conditions);
    let redacted: Result<Vec<_>> = conditions.map(|condition| redactor.text(condition)).collect();
    Ok(FilterRecord::new(redacted?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::detect::DetectOptions;
    use crate::format::{Base, FileName, LogId, SourceName};
    use crate::progress::NoProgress;

    /// Checks that a bundle with these lines of a log is refused, at this line.
    fn is_refused_at(log: &[u8], line: u64) {
        let (source, name) = (SourceName::new("runs").unwrap(), FileName::new("runs.jsonl").unwrap());
        let id = LogId { source, name, base: Base::Patchwork };
        let options = WriteOptions::new("tests", crate::format::Timestamp::from_millis(0).unwrap());
        let packed = std::thread::scope(|scope| {
            let mut writer = BundleWriter::start(scope, &options);
            writer.add_log(&id, &[], log, "runs.jsonl", &NoProgress).unwrap();
            writer.finish().unwrap()
        });
        let mut file = tempfile::tempfile().unwrap();
        packed.write(&options, Provenance::default(), &mut file).unwrap();
        file.flush().unwrap();
        let detector = Detector::new(&DetectOptions::default()).unwrap();
        let error = expect_nothing_found(&file, "new", &detector, NonZeroUsize::MIN, &NoProgress).unwrap_err();
        assert!(matches!(error.kind(), crate::ErrorKind::Redaction(RedactionFault::StillFound { .. })), "{error}");
        assert_eq!(error.position().line, Some(line), "{error}");
    }

    #[test]
    fn a_find_that_remains_keeps_the_bundle_from_being_written() {
        is_refused_at(b"{\"a\":1}\n{\"m\":\"jane@corp.io\"}\n", 2);
        is_refused_at(b"{\"a\":1}\n{\"a\":2}\ntorn jane@corp.io\n", 3);
    }
}
