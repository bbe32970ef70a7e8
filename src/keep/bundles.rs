//! Keeps the logs of existing bundles instead of the logs of this machine.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom};
use std::path::Path;

use tempfile::SpooledTempFile;

use super::append::OpenHistory;
use super::log_snapshot::LogSnapshot;
use super::recorded::RecordedLogs;
use super::sequence::{CurrentLog, LogChange, LogSequence};
use super::temporary_log::TemporaryLog;
use super::{KeepOptions, KeepReport};
use crate::align::Fingerprinter;
use crate::bundle::Bundle;
use crate::error::{Error, ErrorKind, HistoryFault, IoAction, RedactionFault, Result};
use crate::format::{Derivation, DerivedFrom, LogId, ManifestFile};
use crate::logs::{GroupKey, Source, known, times_of};
use crate::progress::Progress;
use crate::restore::{LogSink, LogWriter, restore};

/// Adds a segment for each bundle to the history in `dir`, oldest export first; bundles with the
/// same export time keep their order. Creates the history if it does not exist. Rows that bundles
/// share are kept once.
///
/// # Errors
/// If a bundle is damaged, redacted or a segment of a history, or was exported before the last
/// segment; otherwise as [`keep`](super::keep). All bundles are checked before the first segment is
/// written, except those from streams. [`ErrorKind::PartiallyKept`] if segments of earlier bundles
/// were added.
pub fn keep_bundles(
    mut bundles: Vec<Bundle<'_>>,
    dir: impl AsRef<Path>,
    options: &KeepOptions,
    progress: &dyn Progress,
) -> Result<Vec<KeepReport>> {
    let dir = dir.as_ref();
    bundles.sort_by_key(|bundle| bundle.manifest().exported_at);
    let mut open = OpenHistory::open(dir, options.notes_beside.as_deref(), options, progress)?;
    check(&bundles, &open, options, progress)?;
    let all = bundles.len();
    let mut reports = Vec::new();
    for bundle in bundles {
        match keep_bundle(bundle, &mut open, dir, options, progress) {
            Ok(report) => reports.push(report),
            Err(cause) if reports.is_empty() => return Err(cause),
            Err(cause) => return Err(ErrorKind::PartiallyKept { added: reports.len(), all, cause }.into()),
        }
    }
    Ok(reports)
}

/// Checks that all bundles can follow the last segment, and are not damaged.
fn check(bundles: &[Bundle<'_>], open: &OpenHistory, options: &KeepOptions, progress: &dyn Progress) -> Result<()> {
    let last = open.history.as_ref().and_then(|history| history.segments().last());
    for bundle in bundles {
        if bundle.manifest().redaction.is_some() {
            return Err(Error::from(RedactionFault::IntoHistory).in_subject(bundle.name()));
        }
        let fault = match (&bundle.manifest().history, last) {
            (Some(_), _) => HistoryFault::SegmentGiven,
            (None, Some(last)) if bundle.manifest().exported_at < last.exported_at => {
                let (exported, last) = (bundle.manifest().exported_at.to_string(), last.exported_at.to_string());
                HistoryFault::TooOld { exported, last }
            }
            _ => continue,
        };
        return Err(Error::from(ErrorKind::History(fault)).in_subject(bundle.name()));
    }
    // A single bundle is checked while its segment is written.
    let readable_again = bundles.iter().filter(|bundle| bundles.len() > 1 && bundle.reopener().is_some());
    for bundle in readable_again {
        progress.cancellation().check()?;
        restore(bundle.clone(), None, options.write.threads, &mut NoLogs)?;
    }
    Ok(())
}

fn keep_bundle(
    bundle: Bundle<'_>,
    open: &mut OpenHistory,
    dir: &Path,
    options: &KeepOptions,
    progress: &dyn Progress,
) -> Result<KeepReport> {
    let (manifest, digest, name) = (bundle.manifest().clone(), bundle.digest(), bundle.name().to_owned());
    let mut sink = TemporaryLogs { dir, logs: Vec::new() };
    restore(bundle, None, options.write.threads, &mut sink)?;
    let run = BundleRun { open, dir, fingerprinter: open.fingerprinter()?, progress };
    // Logs are restored in any order. In a group, the newest log is the last one.
    let mut groups = BTreeMap::<GroupKey, BTreeMap<usize, UnpackedLog>>::new();
    for log in sink.logs {
        let (group, at) = GroupKey::of(&log.0);
        groups.entry(group).or_default().insert(at, log);
    }
    let changes = groups.into_iter().map(|(group, logs)| run.changes(&group, logs.into_values(), &name));
    let changes: Vec<_> = changes.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    let exported_at = manifest.exported_at;
    let write = super::WriteOptions { exported_at, ..options.write.clone() };
    let label = options.label.clone().or_else(|| manifest.label.clone());
    let derived_from = DerivedFrom { how: Derivation::Filtered, bundles: vec![digest] };
    open.add(changes, Some(derived_from), &KeepOptions { write, label, hold: false, ..options.clone() }, progress)
}

struct BundleRun<'r> {
    open: &'r OpenHistory,
    dir: &'r Path,
    fingerprinter: Fingerprinter,
    progress: &'r dyn Progress,
}

impl BundleRun<'_> {
    /// Finds the new lines of a group of the bundle's logs.
    fn changes(
        &self,
        group: &GroupKey,
        logs: impl Iterator<Item = UnpackedLog>,
        bundle: &str,
    ) -> Result<Vec<LogChange>> {
        let mut current = Vec::new();
        for (id, mut file) in logs {
            let failed = |error| Error::io(IoAction::Read, self.dir, error);
            let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
            let subject = format!("{bundle}: {}", id.name);
            current.push(self.current(id, LogSnapshot::new(file, length, &subject)?));
        }
        let Some(newest) = current.last().map(|log| log.id.clone()) else { return Ok(Vec::new()) };
        let live = match current.pop_if(|log| log.id.name.as_str() == group.live_name()) {
            Some(live) => live,
            None => self.missing(&newest, group.live_name())?,
        };
        let history = self.open.history.as_ref();
        let recorded =
            history.map(|history| RecordedLogs { history, group, notes: self.open.notes.as_ref(), work_dir: self.dir });
        let rows_before = recorded.as_ref().map_or(0, RecordedLogs::rows);
        let sequence = LogSequence {
            held: Vec::new(),
            replaced: 0,
            archives: current,
            live,
            rows_before,
            recorded,
            rotates_unlocked: known(group.source()).is_some_and(Source::rotates_unlocked),
            fingerprinter: self.fingerprinter,
            progress: self.progress,
        };
        sequence.changes()
    }

    fn current(&self, id: LogId, content: LogSnapshot) -> CurrentLog {
        let latest = self.open.history.as_ref().and_then(|history| history.log(&id)).and_then(|log| log.latest);
        CurrentLog {
            times: times_of(id.source.as_str()),
            exists: true,
            is_unchanged: false,
            is_followed: true,
            id,
            content,
            latest,
        }
    }

    fn missing(&self, sibling: &LogId, name: &str) -> Result<CurrentLog> {
        let id = sibling.named(name);
        Ok(CurrentLog { exists: false, ..self.current(id, LogSnapshot::new(std::io::empty(), 0, name)?) })
    }
}

/// Restores logs without keeping them, to check a bundle.
struct NoLogs;

impl LogSink for NoLogs {
    type Writer = Self;

    fn begin(&mut self, _: usize, _: &ManifestFile) -> Result<Self> {
        Ok(Self)
    }

    fn end(&mut self, _: usize, _: &ManifestFile, (): ()) -> Result<()> {
        Ok(())
    }
}

impl LogWriter for NoLogs {
    type Done = ();

    fn write(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }

    fn finish(self) -> Result<()> {
        Ok(())
    }
}

/// A log in a temporary file.
type UnpackedLog = (LogId, SpooledTempFile);

/// Restores logs to temporary files in a directory.
struct TemporaryLogs<'d> {
    dir: &'d Path,
    logs: Vec<UnpackedLog>,
}

impl<'d> LogSink for TemporaryLogs<'d> {
    type Writer = TemporaryLog<'d>;

    fn begin(&mut self, _: usize, _: &ManifestFile) -> Result<TemporaryLog<'d>> {
        Ok(TemporaryLog::new(self.dir))
    }

    fn end(&mut self, _: usize, file: &ManifestFile, log: SpooledTempFile) -> Result<()> {
        self.logs.push((LogId::of(file), log));
        Ok(())
    }
}
