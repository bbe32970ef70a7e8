//! Creates a new, valid bundle from all provably intact rows of a damaged one, and reports the missing rows.
//!
//! A row is accepted if its chunk's checksum matches. Otherwise, its line must be a well-formed envelope of a log
//! that the bundle can have, and its `entry` must agree with its exact line. In damaged compressed data, no line
//! after the first sign of damage is accepted, because it may consist of corrupt bytes. If a log's hash proves the
//! whole log, it is accepted as a whole, regardless of problems with its pieces.
//!
//! The rows are restored to logs, which are packed by the same code that export uses. The new bundle is verified before
//! it is published.

mod history;
mod log;
mod manifest;
mod report;
mod search;
mod stream;

use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use crate::bundle::writer::{WriteOptions, WrittenBundle};
use crate::container::{DecryptionKeys, FileInput, Holes, Input};
use crate::error::{Error, IoAction, Result};
use crate::format::Provenance;
use crate::progress::Progress;
use crate::publish::publish;
use crate::util::atomic_file::OutputTarget;
use crate::util::cancel::CancellableIo;
pub use history::{DamagedSegment, HistoryRecoverReport, recover_history};
pub use report::{FileRecovery, ManifestState, Missing, RecoverReport};
use search::SearchResult;

/// Options for recovery. `exported_at` is used only if the damaged bundle's own value is unreadable.
pub use crate::bundle::writer::WriteOptions as RecoverOptions;

/// Recovers the bundle at `path` to `target`, with mode 0600. Publishes a complete bundle or nothing. Temporary files
/// are created in the target's directory, regardless of `options`.
///
/// ```
/// use patchwork_traces::format::Timestamp;
/// use patchwork_traces::progress::NoProgress;
/// use patchwork_traces::{OutputTarget, TargetOptions};
/// use patchwork_traces::recover::{RecoverOptions, recover_file};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// # let dir = tempfile::tempdir()?;
/// let whole = std::fs::read(path)?;
/// let damaged = dir.path().join("damaged.jsonl.gz");
/// std::fs::write(&damaged, &whole[..whole.len() - 100])?;
///
/// let target = OutputTarget::resolve(dir.path().join("recovered.jsonl.gz"), TargetOptions::default())?;
/// let options = RecoverOptions::new("example 1", "2026-05-02T10:00:00Z".parse::<Timestamp>()?);
/// let report = recover_file(&damaged, &options, &target, &NoProgress)?;
/// assert!(report.lost_something());
/// assert_eq!(report.files[0].is_original, Some(true));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`recover`], and if `path` cannot be opened.
pub fn recover_file(
    path: impl AsRef<Path>,
    options: &RecoverOptions,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<RecoverReport> {
    let path = path.as_ref();
    let input = Input::open(path, &DecryptionKeys::default())?;
    recover_input(input, &path.display().to_string(), options, target, progress)
}

/// Recovers a bundle from `input`, which is already decrypted. A stream is copied, unencrypted, to an unnamed file in
/// the target's directory.
///
/// # Errors
/// As [`recover`], and if the copy cannot be written.
pub fn recover_input(
    input: Input<'_>,
    name: &str,
    options: &RecoverOptions,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<RecoverReport> {
    match input {
        Input::File(file) => {
            progress.start(Some(file.length()));
            let holes = file.holes().cloned();
            recover_with_holes((file, holes), name, options, target, progress)
        }
        Input::Stream(stream) => recover_stream(stream, name, options, target, progress),
    }
}

/// Recovers a bundle from an input that cannot seek, by first copying it to a temporary file.
///
/// # Errors
/// As [`recover`], and if the copy cannot be written.
pub fn recover_stream(
    input: impl Read,
    name: &str,
    options: &RecoverOptions,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<RecoverReport> {
    let dir = target.work_dir();
    let mut copy = tempfile::tempfile_in(&dir).map_err(|error| Error::io(IoAction::Create, &dir, error))?;
    progress.start(None);
    let copied = io::copy(&mut CancellableIo::counted(input, progress), &mut copy);
    progress.finish();
    let length = copied.map_err(|error| Error::io_named(IoAction::Read, name, error))?;
    progress.start(Some(length));
    recover(copy, name, options, target, progress)
}

/// Recovers the bundle in `input`, which is read from its first byte to its last, to `target`. Errors call the input
/// `name`.
///
/// # Errors
/// If `input` cannot be read or has an unsupported version, or if `target` cannot be written.
/// [`ErrorKind::NothingToRecover`](crate::ErrorKind::NothingToRecover) if `input` has neither a row nor a manifest.
/// [`ErrorKind::OutputNotIntact`](crate::ErrorKind::OutputNotIntact) if the output fails verification. Nothing is
/// published in these cases. Missing rows are not an error.
pub fn recover(
    input: impl Read + Seek + Send,
    name: &str,
    options: &RecoverOptions,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<RecoverReport> {
    recover_with_holes((input, None), name, options, target, progress)
}

fn recover_with_holes(
    (input, holes): (impl Read + Seek + Send, Option<Arc<Holes>>),
    name: &str,
    options: &RecoverOptions,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<RecoverReport> {
    let options = WriteOptions { work_dir: target.work_dir(), ..options.clone() };
    let input = FileInput::new(CancellableIo::new(input, progress));
    let input = input.map_err(|error| Error::io_named(IoAction::Read, name, error))?.with_holes(holes);
    input.refuse_encrypted(name)?;
    let found = SearchResult::in_bundle(&input, &options, progress);
    progress.finish();
    let found = found.map_err(|error| error.in_subject(name))?;
    let options = WriteOptions { exported_at: found.exported_at.unwrap_or(options.exported_at), ..options };
    let (packed, report) = found.into_parts();
    let provenance = provenance(&report);
    let written = publish(packed, &options, provenance, target, progress)?;
    let WrittenBundle { digest, manifest, bundle_bytes } = written;
    Ok(RecoverReport { digest: Some(digest), written: Some(manifest), bundle_bytes, ..report })
}

/// Returns the provenance for the new bundle, copied from the damaged one.
fn provenance(report: &RecoverReport) -> Provenance {
    let (label, filter, redaction) = (report.label.clone(), report.filter.clone(), report.redaction.clone());
    Provenance { label, filter, redaction, ..Provenance::default() }
}
