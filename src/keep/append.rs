//! Opens a history to add to it, and writes the next segment and the checkpoint.

use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use fs_err as fs;

use super::log_snapshot::LogPartsReader;
use super::pace::Pace;
use super::sequence::LogChange;
use super::{KeepOptions, KeepReport, kept_logs};
use crate::bundle::writer::{BundleWriter, WriteOptions, WrittenBundle};
use crate::error::{Error, ErrorKind, HistoryFault, IoAction, Result};
use crate::format::{DerivedFrom, Follows, HistoryId, HistoryPosition, Provenance, WholeLog};
use crate::history::{Checkpoint, Frontier, History, SegmentHead, SegmentName, lock_path, segment_path, segments_dir};
use crate::logs::catalogue_order;
use crate::progress::Progress;
use crate::publish::write_verified;
use crate::util::atomic_file::{AtomicFile, CreatedDirs, TargetOptions, parent_dir, remove_stale_files};
use crate::util::cancel::CancellableIo;

/// The longest wait for another run.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The pause before the lock of another run is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// A history that is open to receive a segment. No other run can add to it meanwhile.
pub struct OpenHistory {
    dir: PathBuf,
    pub id: HistoryId,
    /// Its segments. `None` for a new history.
    pub history: Option<History>,
    frontier: Frontier,
    created: NewHistory,
    _lock: fs::File,
}

/// The files of a new history. They are removed unless it gets a segment.
#[derive(Default)]
struct NewHistory {
    lock: Option<PathBuf>,
    dirs: CreatedDirs,
}

impl Drop for NewHistory {
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            // What remains of a history without segments does no harm.
            let _ = fs::remove_file(lock);
        }
    }
}

impl OpenHistory {
    /// Opens the history in `dir`, or prepares a new one.
    pub fn open(dir: &Path, new_id: Option<HistoryId>, progress: &dyn Progress) -> Result<Self> {
        let is_new = is_missing_or_empty(dir)?;
        let mut created = NewHistory::default();
        if is_new {
            // A missing parent is a mistake in the path, or a disk that is not mounted.
            let parent = parent_dir(dir);
            fs::metadata(parent).map_err(|error| Error::io(IoAction::Open, parent, error))?;
            created.dirs = CreatedDirs::make(&segments_dir(dir))?;
        }
        if !segments_dir(dir).is_dir() {
            return Err(fault(dir, HistoryFault::NotAHistory));
        }
        let lock = lock(dir, progress)?;
        created.lock = is_new.then(|| lock_path(dir));
        let history = match History::open(dir) {
            Ok(history) => Some(history),
            Err(error) if matches!(error.kind(), ErrorKind::History(HistoryFault::NoSegments)) => None,
            Err(error) => return Err(error),
        };
        let frontier = match &history {
            Some(history) => history.segments().iter().map(|segment| segment.digest).collect(),
            None => Frontier::default(),
        };
        let id = match (&history, new_id) {
            (Some(history), _) => history.id(),
            (None, Some(id)) => id,
            (None, None) => random_id()?,
        };
        Ok(Self { dir: dir.to_owned(), id, history, frontier, created, _lock: lock })
    }

    /// Writes the next segment, and then the checkpoint.
    pub fn add(
        &mut self,
        mut changes: Vec<LogChange>,
        derived_from: Option<DerivedFrom>,
        options: &KeepOptions,
        progress: &dyn Progress,
    ) -> Result<KeepReport> {
        let rank = |change: &LogChange| (change.id.source.to_string(), change.id.name.to_string());
        changes.sort_by_cached_key(|change| {
            let (source, name) = rank(change);
            let (source_rank, within, _) = catalogue_order(&source, &name);
            (source_rank, within, name)
        });
        let last = self.history.as_ref().and_then(|history| history.segments().last());
        let segment = last.map_or(0, |last| last.number + 1);
        let position = HistoryPosition { id: self.id, segment, previous: last.map(|last| last.digest) };
        let provenance = Provenance { label: options.label.clone(), derived_from, history: Some(position) };
        let write = WriteOptions { work_dir: self.dir.clone(), ..options.write.clone() };
        let (path, written) = self.write_segment(segment, changes, provenance, &write, progress)?;
        let dirs = std::mem::take(&mut self.created.dirs);
        self.created.lock = None;
        dirs.sync()?;
        dirs.keep();
        self.frontier.push(written.digest);
        Checkpoint::of(self.id, &self.frontier).write(&self.dir).inspect_err(|error| {
            if !matches!(error.kind(), ErrorKind::DirectorySyncFailed { .. }) {
                // Without it the history is as it was. If it cannot be removed, the next run adds it to the checkpoint.
                let _ = fs::remove_file(&path);
            }
        })?;
        let WrittenBundle { digest, manifest, bundle_bytes } = written;
        let (id, exported_at, logs) = (self.id, manifest.exported_at, kept_logs(&manifest));
        let head =
            SegmentHead { name: SegmentName::new(segment, digest), path: path.clone(), manifest, digest, bundle_bytes };
        let history = History::extended(self.history.take(), &self.dir, head).map_err(|error| fault(&path, error))?;
        let pace = Pace::of(&history, options.hold);
        self.history = Some(history);
        Ok(KeepReport {
            id,
            segment,
            path,
            digest,
            bundle_bytes,
            exported_at,
            logs,
            not_held: Vec::new(),
            pace,
            is_one_of_several: false,
        })
    }

    fn write_segment(
        &self,
        segment: u64,
        changes: Vec<LogChange>,
        provenance: Provenance,
        options: &WriteOptions,
        progress: &dyn Progress,
    ) -> Result<(PathBuf, WrittenBundle)> {
        remove_stale_files(&self.dir);
        let mut relations = Vec::new();
        let spooled = thread::scope(|scope| {
            let mut writer = BundleWriter::start(scope, options);
            for LogChange { id, times, parts, follows, held_rows } in changes {
                let subject = parts.first().map_or_else(String::new, |part| part.content.subject().to_owned());
                let reader = CancellableIo::new(LogPartsReader::new(parts), progress);
                writer.add_log(&id, times, reader, &subject, progress)?;
                relations.push((follows, held_rows));
            }
            writer.finish()
        });
        let mut spooled = spooled?;
        let mut relations = relations.into_iter();
        spooled.set_follows(|file| {
            relations.next().map(|(follows, held_rows)| with_all_rows(follows, file.count, held_rows))
        });
        // The name of the segment has its digest, which is known once it is written.
        let (mut content, written) =
            write_verified(spooled, options, provenance, &self.dir.display().to_string(), progress)?;
        let path = segment_path(&self.dir, &SegmentName::new(segment, written.digest), options.exported_at);
        let mut file = AtomicFile::create(&path, TargetOptions::default().create_dirs(true))?;
        std::io::copy(&mut content, &mut file).map_err(|error| Error::io(IoAction::Write, &path, error))?;
        progress.cancellation().check()?;
        file.finish()?;
        Ok((path, written))
    }
}

/// Completes the number of rows of the whole log, given the number of rows in the segment and of those that come from held
/// files.
fn with_all_rows(follows: Follows, count: u64, held_rows: u64) -> Follows {
    let most = follows.overlap.saturating_add(count);
    let rows = |log: WholeLog| (log.rows + count.saturating_sub(held_rows)).min(most);
    Follows { log: follows.log.map(|log| WholeLog { rows: rows(log), ..log }), ..follows }
}

fn is_missing_or_empty(dir: &Path) -> Result<bool> {
    match fs::read_dir(dir) {
        Ok(entries) => Ok(entries.flatten().all(|entry| entry.path() == lock_path(dir))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Error::io(IoAction::List, dir, error)),
    }
}

fn fault(dir: &Path, fault: HistoryFault) -> Error {
    Error::from(ErrorKind::History(fault)).in_subject(&dir.display().to_string())
}

/// Locks the history. Waits for another run that is about to end.
fn lock(dir: &Path, progress: &dyn Progress) -> Result<fs::File> {
    let path = lock_path(dir);
    let failed = |error| Error::io(IoAction::Lock, &path, error);
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    let started = Instant::now();
    loop {
        match file.file().try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if started.elapsed() < MAX_WAIT => {
                progress.cancellation().check()?;
                thread::sleep(PAUSE);
            }
            Err(TryLockError::WouldBlock) => return Err(fault(dir, HistoryFault::InUse)),
            // The file system has no locks. Two runs at once then make two segments of one number, which is noticed.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

fn random_id() -> Result<HistoryId> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| Error::io_unnamed(IoAction::Read, error.into()))?;
    Ok(bits.into())
}
