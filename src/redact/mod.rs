//! Replaces secrets and personal data in a bundle or history so that it can be shared, and proves that nothing else was
//! changed.
//!
//! The logs are restored to unnamed temporary files. The new bundle is made from them, with every find replaced by a
//! name such as `user-1` or `secret-2`. Equal values get equal names. The rest of each line and the number of lines
//! stay the same. The new bundle is verified and scanned before it is published.

mod compare;
mod conditions;
mod key;
mod line;
mod logs;
mod members;
mod names;
mod options;
mod packed;

use std::fs::File;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::bundle::Bundle;
use crate::bundle::writer::{WriteOptions, WrittenBundle};
use crate::detect::{Detector, in_line};
use crate::digest::BundleDigest;
use crate::error::{Error, RedactionFault, Result};
use crate::format::{Manifest, Redaction};
use crate::input::{InputSummary, TraceInput};
use crate::merge::check_sources;
use crate::progress::{Progress, Stage};
use crate::publish::{copy_verified, publish_verified, write_verified};
use crate::scan::manifest_texts;
use crate::util::atomic_file::OutputTarget;
pub use compare::{CompareOptions, RedactionCheck, RedactionDifference, check_redaction};
pub use key::RedactionKey;
pub use members::ALWAYS_KEPT;
pub use options::RedactOptions;
use packed::PackedRedaction;

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

/// Redacts a bundle or history into a bundle at `target`, with mode 0600. Publishes a complete bundle that was verified
/// and has no finds, or nothing. Temporary files are created in the target's directory.
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
/// If the input is damaged or has none of the selected sources, a rule is unknown, there are too many different values,
/// or the target or a temporary file cannot be written. Nothing is published in these cases.
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

/// Redacts a bundle or history into a bundle, and copies it to `out` after checking it. Write errors name `out_name`.
/// Temporary files are created in `work_dir`.
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
        options.check()?;
        check_sources(std::slice::from_ref(input), &options.sources)?;
        let PackedRedaction { packed, write, provenance, redaction, detector } =
            PackedRedaction::new(input, options, work_dir, progress)?;
        let (file, written) = write_verified(packed, &write, provenance, name, progress)?;
        expect_nothing_found(&file, name, &detector, options.threads, progress)?;
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

/// Searches a new bundle with the rules of its redaction. Skips the name of this program, and the options, which were
/// searched earlier.
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
    let is_searched = |path: &str| path != "generator" && !path.starts_with("redaction.");
    for (_, text) in manifest_texts(&manifest).filter(|(path, _)| is_searched(path)) {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::bundle::writer::BundleWriter;
    use crate::detect::DetectOptions;
    use crate::format::{Base, FileName, LogId, Provenance, SourceName};
    use crate::progress::NoProgress;

    /// Checks that a bundle with these lines is refused, with an error that names `line`.
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
    fn a_remaining_find_prevents_the_bundle() {
        is_refused_at(b"{\"a\":1}\n{\"m\":\"jane@corp.io\"}\n", 2);
        is_refused_at(b"{\"a\":1}\n{\"a\":2}\ntorn jane@corp.io\n", 3);
    }
}
