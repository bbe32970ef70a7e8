//! Opens a history for appending, and writes the next segment and the checkpoint.

use std::fs::TryLockError;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fs_err as fs;

use super::held::HeldLinks;
use super::log_snapshot::LogPartsReader;
use super::notes::Notes;
use super::pace::Pace;
use super::recorded::{open as open_segment, without_note};
use super::sequence::LogChange;
use super::{KeepOptions, KeepReport, kept_logs};
use crate::align::Fingerprinter;
use crate::bundle::Bundle;
use crate::bundle::writer::{BundleWriter, WriteOptions, WrittenBundle};
use crate::container::write_through;
use crate::error::{Error, ErrorKind, HistoryFault, IoAction, Result};
use crate::format::{DerivedFrom, Follows, HistoryGap, HistoryId, HistoryPosition, Provenance, WholeLog};
use crate::history::{
    Checkpoint, Frontier, History, NotedHeads, SegmentAccess, SegmentHead, SegmentName, lock_path, read_in,
    segment_path, segments_dir,
};
use crate::logs::catalogue_order;
use crate::progress::Progress;
use crate::publish::write_verified;
use crate::util::atomic_file::{AtomicFile, CreatedDirs, TargetOptions, parent_dir, remove_stale_files};
use crate::util::cancel::CancellableIo;
use crate::util::file_identity::is_at;

/// The maximum time to wait for another run.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The maximum length of the identity in the lock file, with a margin.
const MAX_ID_BYTES: u64 = 64;

/// The pause before another attempt to lock the history.
const PAUSE: Duration = Duration::from_millis(50);

/// A history that is open for appending, and locked against other runs.
pub struct OpenHistory {
    dir: PathBuf,
    pub id: HistoryId,
    /// Its segments. `None` for a new history.
    pub history: Option<History>,
    /// The notes on encrypted segments. `None` if the directory of this machine's logs is unknown.
    pub notes: Option<Notes>,
    /// True if the run has keys to decrypt segments.
    has_keys: bool,
    frontier: Frontier,
    created: NewHistory,
    _lock: fs::File,
}

/// The files of a new history. On drop they are removed, unless the history has got a segment.
#[derive(Default)]
struct NewHistory {
    lock: Option<PathBuf>,
    links: Vec<HeldLinks>,
    dirs: CreatedDirs,
}

impl NewHistory {
    /// Keeps the files, because the history has a segment.
    fn keep(&mut self) {
        self.lock = None;
        self.links.clear();
        std::mem::take(&mut self.dirs).keep();
    }
}

impl Drop for NewHistory {
    fn drop(&mut self) {
        self.links.iter().for_each(HeldLinks::discard);
        if let Some(lock) = &self.lock {
            // Leftovers of a history without segments do no harm.
            let _ = fs::remove_file(lock);
        }
    }
}

impl OpenHistory {
    /// Opens the history in `dir`, or prepares a new one. The notes on encrypted segments are
    /// beside the logs in the directory `logs`.
    pub fn open(dir: &Path, logs: Option<&Path>, options: &KeepOptions, progress: &dyn Progress) -> Result<Self> {
        let (mut created, mut lock) = create_and_lock(dir, progress)?;
        let notes_of = |id| logs.map(|logs| Notes::open(HeldLinks::new(logs, id, 0).dir())).transpose();
        let known_id = read_in(dir)?.map(|checkpoint| checkpoint.id).or_else(|| noted_id(&mut lock));
        let mut notes = known_id.map(notes_of).transpose()?.flatten();
        let heads = notes.as_ref().map(|notes| notes as &dyn NotedHeads);
        let history =
            match History::open_with_access(dir, &SegmentAccess { keys: Arc::new(options.keys.clone()), noted: heads })
            {
                Ok(history) => Some(history),
                Err(error) if matches!(error.kind(), ErrorKind::History(HistoryFault::NoSegments)) => None,
                Err(error) => return Err(without_note(error)),
            };
        if history.is_some() {
            created.keep();
        }
        let frontier = match &history {
            Some(history) => history.segments().iter().map(|segment| segment.digest).collect(),
            None => Frontier::default(),
        };
        let id = match &history {
            Some(history) => history.id(),
            None => new_id_in(&mut lock, options.new_id)
                .map_err(|error| Error::io(IoAction::Write, lock_path(dir), error))?,
        };
        if known_id != Some(id) {
            notes = notes_of(id)?;
        }
        let (dir, has_keys) = (dir.to_owned(), options.keys.has_identities());
        let open = Self { dir, id, history, notes, has_keys, frontier, created, _lock: lock };
        if options.write.sealer.is_some() {
            open.complete_notes()?;
        }
        Ok(open)
    }

    /// Returns a fingerprinter whose fingerprints can be compared with those in the notes.
    pub fn fingerprinter(&self) -> Result<Fingerprinter> {
        self.notes.as_ref().map_or_else(Fingerprinter::random, |notes| Ok(notes.fingerprinter()))
    }

    /// Writes the notes that are missing or damaged, so that the next run needs no key.
    fn complete_notes(&self) -> Result<()> {
        let Some((notes, history)) = self.notes.as_ref().zip(self.history.as_ref()) else { return Ok(()) };
        for segment in history.segments().iter().filter(|segment| segment.name.is_sealed) {
            if !notes.has(&segment.name) {
                match notes.write(&segment.name, &open_segment(segment)?) {
                    // The report on the new segment will say why there is no note.
                    Err(_) if self.has_keys => return Ok(()),
                    written => written?,
                }
            }
        }
        Ok(())
    }

    /// Returns the number of the next segment.
    pub fn next(&self) -> u64 {
        self.history.as_ref().and_then(|history| history.segments().last()).map_or(0, |last| last.number + 1)
    }

    /// Registers links to remove if a new history gets no segment.
    pub fn discard_unless_added(&mut self, links: impl Iterator<Item = HeldLinks>) {
        if self.created.lock.is_some() {
            self.created.links.extend(links);
        }
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
        let segment = self.next();
        let position = HistoryPosition { id: self.id, segment, previous: last.map(|last| last.digest) };
        let provenance = Provenance {
            label: options.label.clone(),
            derived_from,
            filter: None,
            redaction: None,
            history: Some(position),
        };
        let write = WriteOptions { work_dir: self.dir.clone(), ..options.write.clone() };
        let is_sealed = write.sealer.is_some();
        let is_plain_after_sealed = !is_sealed && last.is_some_and(|last| last.name.is_sealed);
        let AddedSegment { path, written, not_noted } =
            self.write_segment(segment, changes, provenance, &write, progress).inspect_err(|error| {
                if matches!(error.kind(), ErrorKind::DirectorySyncFailed { .. }) {
                    self.created.keep();
                }
            })?;
        self.frontier.push(written.digest);
        self.write_checkpoint(segment, &path)?;
        let WrittenBundle { digest, manifest, bundle_bytes } = written;
        let (id, exported_at, logs) = (self.id, manifest.exported_at, kept_logs(&manifest));
        let name = SegmentName::new(segment, digest).sealed(is_sealed);
        let head = SegmentHead { name, path: path.clone(), manifest, digest, bundle_bytes, is_encrypted: is_sealed };
        let history = History::extended(self.history.take(), &self.dir, head).map_err(|error| fault(&path, error))?;
        let pace = Pace::of(&history, options.hold);
        self.history = Some(history);
        Ok(KeepReport {
            id,
            segment,
            path,
            digest,
            bundle_bytes,
            is_encrypted: is_sealed,
            exported_at,
            logs,
            not_held: Vec::new(),
            pace,
            is_one_of_several: false,
            is_plain_after_sealed,
            not_noted,
        })
    }

    /// Writes the checkpoint for the new segment at `path`. Removes the segment if that fails.
    fn write_checkpoint(&mut self, segment: u64, path: &Path) -> Result<()> {
        let written = self.created.dirs.sync().and_then(|()| Checkpoint::of(self.id, &self.frontier).write(&self.dir));
        match written {
            Err(cause) if matches!(cause.kind(), ErrorKind::DirectorySyncFailed { .. }) => {
                self.created.keep();
                Err(cause)
            }
            // Without the segment, the history is unchanged.
            Err(cause) if fs::remove_file(path).is_ok() => {
                let _ = fs::remove_dir(parent_dir(path));
                Err(cause)
            }
            Err(cause) => {
                self.created.keep();
                Err(ErrorKind::CheckpointNotWritten { segment, cause }.into())
            }
            Ok(()) => {
                self.created.keep();
                Ok(())
            }
        }
    }

    fn write_segment(
        &self,
        segment: u64,
        changes: Vec<LogChange>,
        provenance: Provenance,
        options: &WriteOptions,
        progress: &dyn Progress,
    ) -> Result<AddedSegment> {
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
        // The name of the segment contains its digest, which is only known once it is written.
        let (mut content, written) =
            write_verified(spooled, options, provenance, &self.dir.display().to_string(), progress)?;
        let name = SegmentName::new(segment, written.digest).sealed(options.sealer.is_some());
        let path = segment_path(&self.dir, &name, options.exported_at);
        let not_noted = self.note(&name, &content)?;
        match write_file(&mut content, &path, options, progress) {
            Ok(bundle_bytes) => {
                Ok(AddedSegment { path, written: WrittenBundle { bundle_bytes, ..written }, not_noted })
            }
            Err(error) => {
                let is_written = matches!(error.kind(), ErrorKind::DirectorySyncFailed { .. });
                self.notes.iter().filter(|_| !is_written).for_each(|notes| notes.remove(&name));
                Err(error)
            }
        }
    }

    /// Writes the note on the next segment, if it will be encrypted. If that fails although the run
    /// has keys, returns the error as a value: later runs can decrypt the segment.
    fn note(&self, name: &SegmentName, content: &std::fs::File) -> Result<Option<Error>> {
        let Some(notes) = self.notes.as_ref().filter(|_| name.is_sealed) else { return Ok(None) };
        let content = content.try_clone().map_err(|error| Error::io(IoAction::Read, &self.dir, error))?;
        match notes.write(name, &Bundle::from_seekable(content, &name.to_string())?) {
            Ok(()) => Ok(None),
            Err(error) if self.has_keys => Ok(Some(error)),
            Err(error) => Err(error),
        }
    }
}

/// Writes the file of a segment. Returns its size in bytes.
fn write_file(
    content: &mut std::fs::File,
    path: &Path,
    options: &WriteOptions,
    progress: &dyn Progress,
) -> Result<u64> {
    let failed = |error| Error::io(IoAction::Write, path, error);
    content.rewind().map_err(failed)?;
    let mut file = AtomicFile::create(path, TargetOptions::default().create_dirs(true))?;
    let copied = write_through(options.sealer.as_ref(), &mut file, |out| std::io::copy(content, out).map_err(failed));
    let (_, bundle_bytes) = copied.map_err(|error| error.in_subject(&path.display().to_string()))?;
    progress.cancellation().check()?;
    file.finish()?;
    Ok(bundle_bytes)
}

/// A segment that was added.
struct AddedSegment {
    path: PathBuf,
    written: WrittenBundle,
    not_noted: Option<Error>,
}

/// Completes the number of rows of the whole log: adds the `count` rows in the segment, except for
/// the `held_rows` of them that come from held files. Such rows may be in the archive of the log,
/// so the numbers are limited to the rows that the history has.
fn with_all_rows(follows: Follows, count: u64, held_rows: u64) -> Follows {
    let most = follows.overlap.saturating_add(count);
    let rows = |log: WholeLog| (log.rows + count.saturating_sub(held_rows)).min(most);
    let known = follows.rows_before.saturating_add(count);
    let gap = follows.gap.map(|gap| HistoryGap { after_row: gap.after_row.min(known), ..gap });
    Follows { log: follows.log.map(|log| WholeLog { rows: rows(log), ..log }), gap, ..follows }
}

fn is_missing_or_empty(dir: &Path) -> Result<bool> {
    match fs::read_dir(dir) {
        Ok(entries) => Ok(entries.flatten().all(|entry| entry.path() == lock_path(dir))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(Error::io(IoAction::List, dir, error)),
    }
}

fn fault(dir: &Path, fault: HistoryFault) -> Error {
    Error::from(ErrorKind::History(fault)).in_subject(&dir.display().to_string())
}

/// Creates the directory of a history if it is missing, and locks it.
fn create_and_lock(dir: &Path, progress: &dyn Progress) -> Result<(NewHistory, fs::File)> {
    loop {
        let mut created = NewHistory::default();
        let is_new = is_missing_or_empty(dir)?;
        if is_new {
            // A missing parent suggests a wrong path or a disk that is not mounted.
            let parent = parent_dir(dir);
            fs::metadata(parent).map_err(|error| Error::io(IoAction::Open, parent, error))?;
            created.dirs = CreatedDirs::make(&segments_dir(dir))?;
        }
        if !segments_dir(dir).is_dir() {
            return Err(fault(dir, HistoryFault::NotAHistory));
        }
        let file = lock(dir, progress).inspect_err(|error| {
            if is_new && matches!(error.kind(), ErrorKind::Io { .. }) {
                let _ = fs::remove_file(lock_path(dir));
            }
        })?;
        // If a run that failed to create the history has removed its files, try again.
        if is_at(&file, &lock_path(dir)) && segments_dir(dir).is_dir() {
            created.lock = is_new.then(|| lock_path(dir));
            return Ok((created, file));
        }
        progress.cancellation().check()?;
    }
}

/// Locks the history. Waits up to 30 seconds for another run to end.
fn lock(dir: &Path, progress: &dyn Progress) -> Result<fs::File> {
    let path = lock_path(dir);
    let failed = |error| Error::io(IoAction::Lock, &path, error);
    let file =
        fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path).map_err(failed)?;
    let started = Instant::now();
    loop {
        match file.file().try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if started.elapsed() < MAX_WAIT => {
                progress.cancellation().check()?;
                thread::sleep(PAUSE);
            }
            Err(TryLockError::WouldBlock) => return Err(fault(dir, HistoryFault::InUse)),
            // The file system does not support locks. Two runs at once may then write segments with
            // the same number, which later runs detect.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
}

/// Returns the identity in the lock file.
fn noted_id(lock: &mut fs::File) -> Option<HistoryId> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.take(MAX_ID_BYTES).read_to_string(&mut text).ok()?;
    HistoryId::parse(text.trim_end())
}

/// Returns the identity of a new history, `given` or random, and writes it to the lock file. If a
/// run was killed before it wrote the first segment, returns the identity that it wrote there,
/// because it is in the path of its links.
fn new_id_in(lock: &mut fs::File, given: Option<HistoryId>) -> std::io::Result<HistoryId> {
    if let Some(id) = noted_id(lock) {
        return Ok(id);
    }
    let mut bits = [0; 16];
    getrandom::fill(&mut bits)?;
    let id = given.unwrap_or(HistoryId::from(bits));
    lock.rewind()?;
    lock.write_all(format!("{id}\n").as_bytes())?;
    Ok(id)
}
