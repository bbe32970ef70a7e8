//! Recovers a history to one bundle, which has the rows of intact segments and the recoverable rows of damaged ones, in
//! segment order.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::search::SearchResult;
use super::{RecoverOptions, RecoverReport};
use crate::bundle::Bundle;
use crate::bundle::writer::{WriteOptions, WrittenBundle};
use crate::container::{DecryptionKeys, FileInput, Input};
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, HistoryFault, IoAction, Result};
use crate::format::{Derivation, DerivedFrom, HistoryId, Label, Manifest, Provenance, Timestamp};
use crate::history::{SegmentAccess, SegmentHead, list, read_in};
use crate::merge::pack;
use crate::progress::Progress;
use crate::publish::{publish, write_temporary};
use crate::stored::restore_logs;
use crate::util::atomic_file::OutputTarget;
use crate::util::cancel::CancellableIo;
use crate::verify::{VerifyOptions, verify_input};

/// A segment that is not intact.
#[derive(Debug)]
#[non_exhaustive]
pub struct DamagedSegment {
    /// The number of the segment, taken from its name if its first line is unreadable.
    pub number: u64,
    /// Its path.
    pub path: PathBuf,
    /// The result of recovering the segment, or the reason why nothing was recovered.
    pub recovered: Result<RecoverReport>,
}

/// The result of recovering a history.
#[derive(Debug)]
#[non_exhaustive]
pub struct HistoryRecoverReport {
    /// The digest of the new bundle.
    pub digest: BundleDigest,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its size in bytes.
    pub bundle_bytes: u64,
    /// The number of intact segments.
    pub intact_segments: u64,
    /// The other segments.
    pub damaged: Vec<DamagedSegment>,
    /// The first and the last number of each run of missing segments.
    pub missing: Vec<(u64, u64)>,
    /// The bundles that were skipped because they belong to another history or to none.
    pub left_out: Vec<PathBuf>,
}

impl HistoryRecoverReport {
    /// Returns true if any row of the history is missing, or may be.
    #[must_use]
    pub fn lost_something(&self) -> bool {
        let is_lost = |segment: &DamagedSegment| segment.recovered.as_ref().map_or(true, RecoverReport::lost_something);
        !self.missing.is_empty() || self.damaged.iter().any(is_lost)
    }
}

/// Recovers the history in `dir` to one bundle at `target`, with mode 0600. Publishes a complete, verified bundle or
/// nothing. Temporary files are created in the target's directory.
///
/// `keys` decrypt encrypted segments. Each log is the concatenation of its parts in all segments. If two segments have
/// the same number, the bundle has the rows of both.
///
/// # Errors
/// If `dir` is not a history, nothing can be recovered from any segment, or the target or a temporary file cannot be
/// written. Damaged and missing segments are not an error.
pub fn recover_history(
    dir: impl AsRef<Path>,
    keys: &DecryptionKeys,
    options: &RecoverOptions,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<HistoryRecoverReport> {
    let options = WriteOptions { work_dir: target.work_dir(), ..options.clone() };
    let found = FoundSegments::list(dir.as_ref(), keys, options.threads)?;
    let mut salvage =
        Salvage { options: &options, keys, progress, intact: 0, damaged: Vec::new(), taken: HashSet::new() };
    progress.start(Some(found.segments.iter().map(|segment| segment.bundle_bytes).sum()));
    let bundles = found.segments.iter().filter_map(|segment| salvage.open(segment).transpose());
    let logs = restore_logs(bundles, &[], &options.work_dir, options.threads, progress);
    progress.finish();
    let logs = logs?;
    let (intact_segments, damaged) = (salvage.intact, salvage.damaged);
    if intact_segments == 0 && damaged.iter().all(|segment| segment.recovered.is_err()) {
        return Err(Error::from(ErrorKind::NothingToRecover).in_subject(&dir.as_ref().display().to_string()));
    }
    logs.check_places()?;
    let packed = pack(&logs, &options, progress)?;
    let options = WriteOptions { exported_at: found.exported_at.unwrap_or(options.exported_at), ..options };
    let WrittenBundle { digest, manifest, bundle_bytes } =
        publish(packed, &options, found.provenance(), target, progress)?;
    let (missing, left_out) = (found.missing, found.left_out);
    Ok(HistoryRecoverReport { digest, manifest, bundle_bytes, intact_segments, damaged, missing, left_out })
}

/// A segment to recover rows from.
struct FoundSegment {
    number: u64,
    path: PathBuf,
    /// Its digest, if its first line is readable.
    digest: Option<BundleDigest>,
    bundle_bytes: u64,
}

/// The segments of a history that were found.
struct FoundSegments {
    /// The segments, by number.
    segments: Vec<FoundSegment>,
    missing: Vec<(u64, u64)>,
    left_out: Vec<PathBuf>,
    exported_at: Option<Timestamp>,
    label: Option<Label>,
}

impl FoundSegments {
    fn list(dir: &Path, keys: &DecryptionKeys, threads: std::num::NonZeroUsize) -> Result<Self> {
        // An unreadable checkpoint does not prevent the recovery of rows.
        let checkpoint = read_in(dir).ok().flatten();
        let listing = list(dir)?;
        if listing.segments.is_empty() {
            let fault = ErrorKind::History(HistoryFault::NoSegments);
            return Err(Error::from(fault).in_subject(&dir.display().to_string()));
        }
        let mut id = checkpoint.map(|checkpoint| checkpoint.id);
        let mut found =
            Self { segments: Vec::new(), missing: Vec::new(), left_out: Vec::new(), exported_at: None, label: None };
        let access = SegmentAccess { keys: Arc::new(keys.clone()), noted: None };
        SegmentHead::check_keys(&listing.segments, &access)?;
        SegmentHead::read_all(listing.segments, &access, threads, |(segment, head)| {
            match head {
                Ok(head) => found.add(head, &mut id),
                // Fail instead of reporting the segment as damaged: another key may decrypt it.
                Err(error) if matches!(error.kind(), ErrorKind::Encrypted(_)) => return Err(error),
                Err(_) => found.segments.push(FoundSegment {
                    number: segment.name.number,
                    bundle_bytes: std::fs::metadata(&segment.path).map_or(0, |file| file.len()),
                    path: segment.path,
                    digest: None,
                }),
            }
            Ok(())
        })?;
        found.segments.sort_by_key(|segment| segment.number);
        let mut next = 0;
        for segment in &found.segments {
            if segment.number > next {
                found.missing.push((next, segment.number - 1));
            }
            next = segment.number + 1;
        }
        if let Some(size) = checkpoint.map(|checkpoint| checkpoint.size).filter(|size| *size > next) {
            found.missing.push((next, size - 1));
        }
        Ok(found)
    }

    /// Adds a segment of the history `id`. If `id` is `None`, sets it to the segment's history.
    fn add(&mut self, head: SegmentHead, id: &mut Option<HistoryId>) {
        let position = head.manifest.history.as_ref();
        let position = position.filter(|position| *id.get_or_insert(position.id) == position.id);
        let Some(position) = position else {
            self.left_out.push(head.path);
            return;
        };
        self.exported_at = self.exported_at.max(Some(head.manifest.exported_at));
        self.label = head.manifest.label.clone().or(self.label.take());
        self.segments.push(FoundSegment {
            number: position.segment,
            path: head.path,
            digest: Some(head.digest),
            bundle_bytes: head.bundle_bytes,
        });
    }

    /// Returns the provenance for the new bundle.
    fn provenance(&self) -> Provenance {
        let bundles: Vec<_> = self.segments.iter().filter_map(|segment| segment.digest).collect();
        let derived_from = (!bundles.is_empty()).then_some(DerivedFrom { how: Derivation::Merged, bundles });
        Provenance { label: self.label.clone(), derived_from, filter: None, redaction: None, history: None }
    }
}

/// A recovery that opens segments one by one, and recovers damaged ones.
struct Salvage<'o> {
    options: &'o WriteOptions,
    keys: &'o DecryptionKeys,
    progress: &'o dyn Progress,
    intact: u64,
    damaged: Vec<DamagedSegment>,
    /// The digests of the intact segments.
    taken: HashSet<BundleDigest>,
}

impl Salvage<'_> {
    /// Opens a segment, or the bundle recovered from it. Returns `None` if nothing can be recovered.
    fn open(&mut self, segment: &FoundSegment) -> Result<Option<Bundle<'static>>> {
        self.progress.cancellation().check()?;
        // The same segment can exist both encrypted and in plain text.
        if segment.digest.is_some_and(|digest| self.taken.contains(&digest)) {
            return Ok(None);
        }
        let options = VerifyOptions::default().expect(segment.digest).threads(self.options.threads);
        let quiet = CancellationOnly(self.progress);
        let name = segment.path.display().to_string();
        let verified = Input::open(&segment.path, self.keys)
            .and_then(|input| verify_input(input, &name, &options, &quiet, &mut |_| {}));
        let is_good = verified.is_ok_and(|report| report.is_good());
        self.progress.cancellation().check()?;
        self.progress.advance(segment.bundle_bytes);
        if is_good && segment.digest.is_some() {
            self.intact += 1;
            self.taken.extend(segment.digest);
            return Bundle::from_input(Input::open(&segment.path, self.keys)?, &name).map(Some);
        }
        let (bundle, recovered) = match self.recover(&segment.path, &quiet) {
            Ok((bundle, report)) => (Some(bundle), Ok(report)),
            Err(error) if is_of_segment(error.kind()) => (None, Err(error)),
            Err(error) => return Err(error),
        };
        self.damaged.push(DamagedSegment { number: segment.number, path: segment.path.clone(), recovered });
        Ok(bundle)
    }

    /// Recovers a segment to an unnamed temporary file.
    fn recover(&self, path: &Path, progress: &dyn Progress) -> Result<(Bundle<'static>, RecoverReport)> {
        let name = path.display().to_string();
        let Input::File(file) = Input::open_damaged(path, self.keys)? else {
            return Err(Error::from(ErrorKind::NotABundle).in_subject(&name));
        };
        let holes = file.holes().cloned();
        let input = FileInput::new(CancellableIo::new(file, progress));
        let input = input.map_err(|error| Error::io_named(IoAction::Read, &name, error))?.with_holes(holes);
        let found = SearchResult::in_bundle(&input, self.options, progress).map_err(|error| error.in_subject(&name))?;
        let (packed, report) = found.into_parts();
        let (file, _) = write_temporary(packed, self.options, Provenance::default(), progress)?;
        Ok((Bundle::from_seekable(file, &name)?, report))
    }
}

/// Returns true if an error concerns only one segment.
fn is_of_segment(kind: &ErrorKind) -> bool {
    match kind {
        ErrorKind::Io { action, .. } => matches!(action, IoAction::Open | IoAction::Read),
        ErrorKind::Cancelled => false,
        _ => true,
    }
}

/// A progress that forwards only cancellation. The history's own progress advances by whole segments.
struct CancellationOnly<'p>(&'p dyn Progress);

impl Progress for CancellationOnly<'_> {
    fn cancellation(&self) -> crate::progress::Cancellation {
        self.0.cancellation()
    }
}
