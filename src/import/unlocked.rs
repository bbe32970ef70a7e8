//! The protocol for logs that writers append to or replace without a lock.
//!
//! Writers of activity take no lock. Writers of decisions and links rotate without holding their
//! lock: they read the log, and some time later they replace it with the rows that they keep, even
//! if it has changed.
//!
//! 1. **Read** the log while no writer is in the middle of a row ([`LocalLog::open_without_lock`]).
//!    Keep it open, because the inode number of a removed file may be reused.
//! 2. **Stage** the new version. Append the rows that the log received in the meantime
//!    ([`replace_log`]).
//! 3. **Exchange** the two in one step. If the replaced file is not the one that was read, a writer
//!    was faster: put its file back, and start again at 1.
//! 4. **Watch** the path ([`Watch`]): for 0.25 s, because a writer may have opened the old file;
//!    for 3 s if a rotation of the old file may be under way; for longer while a writer's temporary
//!    file exists; for 30 s at most.
//! 5. **Copy** rows that writers append to the old file to the new one: whole lines at first, and
//!    everything at the end.
//! 6. If a rotation of the *new* version replaces it, **follow**: the rotated file takes the place
//!    of the new version in steps 4 and 5. An exact model of rotation recognises such a file.
//! 7. If anything else replaces it, the import was **undone**: copy the rows that were appended to
//!    the new version to that file, and start again at 1. The earlier files stay open, because they
//!    may still get rows.
//!
//! [`LocalLog::open_without_lock`]: super::local::LocalLog::open_without_lock

use std::fs::Metadata;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;

use super::late_writes::ReplacedFile;
use super::lock::Clock;
use super::swap::{self, SwapOutcome};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::logs::rotation::{NewestLines, RotationKind};
use crate::util::file_identity::is_at;
use crate::util::line_reader::{LineError, LineReader};
use crate::util::regular_file;

/// The pause between two polls of a log.
const POLL: Duration = Duration::from_millis(5);

/// The number of polls during which a writer without a lock may still write to the old file: 0.25
/// s.
const LATE_WRITE_POLLS: u32 = 50;

/// The number of polls that a rotation under way may take: 3 s. The median is 42 ms, the 99th
/// percentile 106 ms.
const ROTATION_POLLS: u32 = 600;

/// The number of additional polls while a writer's temporary file is beside the log.
const TEMPORARY_FILE_POLLS: u32 = 100;

/// The maximum number of polls of a log: 30 s.
const MAX_POLLS: u32 = 6000;

/// The age from which a temporary file counts as that of a dead writer.
const TEMPORARY_FILE_AGE: Duration = Duration::from_secs(10);

/// The maximum number of earlier files of a log that stay open.
const MAX_OLD_FILES: usize = 8;

/// The maximum number of times that rows are held back because a writer seems to be in the middle
/// of a row.
const MAX_RESCUES: u32 = 20;

/// The maximum length of a file that is compared with a rotation, in bytes. Rotated logs are far
/// shorter.
const MAX_ROTATED_BYTES: u64 = 64 << 20;

/// A replaced log.
#[derive(Debug)]
pub struct Replacement {
    pub ours: fs::File,
    pub old: ReplacedFile,
    /// The rows that were appended to the old file after it was read.
    pub late: Vec<u8>,
    /// The length of our version when it was put in place.
    pub length: u64,
}

/// The open new version and the error, if a writer's file could not be put back.
type NotPutBack = (fs::File, io::Error);

/// Replaces the log `old` at `path` with its new version `ours`, staged at `staged`. Appends late
/// rows to the new version, unless the old file is kept. Returns `None`, having changed nothing, if
/// `old` is no longer at the path.
pub fn replace_log(
    staged: &Path,
    mut ours: fs::File,
    path: &Path,
    mut old: ReplacedFile,
    keeps_old: bool,
) -> io::Result<Result<Option<Replacement>, NotPutBack>> {
    let late = if keeps_old { old.late_bytes()? } else { old.copy_to_staged(&mut ours)? };
    let length = ours.metadata()?.len();
    if swap::replace(staged, &ours, path)? == SwapOutcome::Exchanged && !is_at(old.file(), staged) {
        let kept = ours.try_clone()?;
        return Ok(swap::take_back(staged, ours, path).map(|()| None).map_err(|error| (kept, error)));
    }
    Ok(Ok(Some(Replacement { ours, old, late, length })))
}

/// A log that was replaced with a new version.
#[derive(Debug)]
pub struct PlacedLog {
    /// The index of its group.
    pub group: usize,
    pub path: PathBuf,
    /// The new version.
    pub ours: ReplacedFile,
    /// The file that it replaced, if late rows are to be copied from it.
    pub old: Option<ReplacedFile>,
    /// True if a rotation of the old file may be under way.
    pub can_be_undone: bool,
    /// The kind of rotation that Patchwork applies to it, if known.
    pub rotation: Option<RotationKind>,
}

/// A placed log that is watched.
#[derive(Debug)]
struct WatchedLog {
    placed: PlacedLog,
    /// Earlier files of the log, newest last.
    old: Vec<ReplacedFile>,
    polls_left: u32,
    polls: u32,
    /// The number of times that late rows could not be copied because a writer was in the middle of
    /// a row in their destination.
    rescues: u32,
}

/// The logs that are watched.
#[derive(Debug)]
pub struct Watch {
    logs: Vec<WatchedLog>,
    /// The first error that occurred when a log was added and rows could not be copied.
    failed: Result<()>,
    /// The old files of logs that were undone, kept until these are placed again because they may
    /// still get rows.
    undone: Vec<(PathBuf, Vec<ReplacedFile>)>,
}

/// A placed log that a writer replaced with something else.
#[derive(Debug)]
pub struct Undone {
    /// The index of its group.
    pub group: usize,
    /// The number of polls that were left when it was undone.
    pub polls_left: u32,
}

/// The state of the file at the path of a log.
enum PathState {
    Ours,
    /// A rotation of our version, and its content.
    Rotated(fs::File, Vec<u8>),
    /// A file that lacks our rows, or no file.
    Other,
}

impl Default for Watch {
    fn default() -> Self {
        Self { logs: Vec::new(), failed: Ok(()), undone: Vec::new() }
    }
}

impl Watch {
    /// Starts to watch a log, or resumes watching it for `polls_left` polls.
    pub fn add(&mut self, mut placed: PlacedLog, polls_left: Option<u32>) {
        let before = self.undone.iter().position(|(path, _)| *path == placed.path);
        let mut old = before.map_or_else(Vec::new, |at| self.undone.swap_remove(at).1);
        if let Err(error) = copy_missing_lines(&mut old, &mut placed.ours) {
            self.failed =
                std::mem::replace(&mut self.failed, Ok(())).and(Err(Error::io(IoAction::Write, &placed.path, error)));
        }
        old.extend(placed.old.take());
        let keep_from = old.len().saturating_sub(MAX_OLD_FILES);
        old.drain(..keep_from);
        let polls_left = polls_left.unwrap_or(if placed.can_be_undone { ROTATION_POLLS } else { LATE_WRITE_POLLS });
        self.logs.push(WatchedLog { placed, old, polls_left, polls: 0, rescues: 0 });
    }

    /// Returns the number of files that it holds open.
    pub fn open_files(&self) -> usize {
        self.logs.iter().map(|log| 1 + log.old.len()).sum()
    }

    /// Returns true if watching may take seconds.
    pub fn is_long(&self) -> bool {
        self.logs.iter().any(|log| log.placed.can_be_undone)
    }

    /// Watches until nothing more can happen to any log, until some logs are undone, or until the
    /// watch is cancelled. Returns the undone logs.
    pub fn run(&mut self, clock: &dyn Clock, is_cancelled: &dyn Fn() -> bool) -> Result<Vec<Undone>> {
        let mut failed = std::mem::replace(&mut self.failed, Ok(()));
        while !self.logs.is_empty() && !is_cancelled() {
            let mut undone = Vec::new();
            let mut at = 0;
            while at < self.logs.len() {
                match self.logs[at].poll(clock) {
                    Ok(Some(PathState::Other)) => {
                        let WatchedLog { placed, old, polls_left, .. } = self.logs.swap_remove(at);
                        self.undone.push((placed.path, old));
                        undone.push(Undone { group: placed.group, polls_left });
                    }
                    Ok(None) => _ = self.logs.swap_remove(at),
                    Ok(Some(_)) => at += 1,
                    Err(error) => {
                        failed = failed.and(Err(error));
                        self.logs.swap_remove(at);
                    }
                }
            }
            if !undone.is_empty() {
                return failed.map(|()| undone);
            }
            if !self.logs.is_empty() {
                clock.sleep(POLL);
            }
        }
        failed.map(|()| Vec::new())
    }

    /// Copies the late rows of all logs, without waiting for more.
    pub fn finish(mut self) -> Result<()> {
        self.logs.iter_mut().map(WatchedLog::finish).fold(Ok(()), Result::and)
    }
}

impl WatchedLog {
    /// Polls the log once. Returns `None` when nothing more can happen to it, and `Other` once it
    /// is undone and its late rows are saved.
    fn poll(&mut self, clock: &dyn Clock) -> Result<Option<PathState>> {
        let path = self.placed.path.clone();
        let failed = |error| Error::io(IoAction::Write, &path, error);
        let came_late = self.copy_late_lines().map_err(failed)?;
        let state = self.path_state().map_err(|error| Error::io(IoAction::Open, &path, error))?;
        self.polls += 1;
        self.polls_left = self.polls_left.saturating_sub(1);
        match state {
            PathState::Rotated(current, content) => self.follow(current, &content).map_err(failed)?,
            PathState::Other if self.rescue_late_rows().map_err(failed)? => return Ok(Some(PathState::Other)),
            PathState::Ours | PathState::Other => {}
        }
        if came_late {
            self.polls_left = self.polls_left.max(LATE_WRITE_POLLS);
        }
        if self.polls_left == 0 && self.placed.can_be_undone && has_temporary_file(&path, clock) {
            self.polls_left = TEMPORARY_FILE_POLLS;
        }
        if self.polls_left == 0 || self.polls >= MAX_POLLS {
            self.finish()?;
            return Ok(None);
        }
        Ok(Some(PathState::Ours))
    }

    fn copy_late_lines(&mut self) -> io::Result<bool> {
        let mut any = false;
        for old in &mut self.old {
            any |= old.copy_lines(self.placed.ours.file(), &[])?;
        }
        Ok(any)
    }

    /// Copies the remaining late bytes, including an incomplete line.
    fn finish(&mut self) -> Result<()> {
        let path = &self.placed.path;
        let new = self.placed.ours.file();
        let copied = self.old.iter_mut().map(|old| old.copy_rest(new).map(drop)).fold(Ok(()), io::Result::and);
        copied.map_err(|error| Error::io(IoAction::Write, path, error))
    }

    fn path_state(&mut self) -> io::Result<PathState> {
        let Self { placed, .. } = self;
        if is_at(placed.ours.file(), &placed.path) {
            return Ok(PathState::Ours);
        }
        let Some(mut current) = open_current(placed)? else { return Ok(PathState::Other) };
        let Some(kind) = placed.rotation.filter(|_| current.metadata().is_ok_and(|now| now.len() <= MAX_ROTATED_BYTES))
        else {
            return Ok(PathState::Other);
        };
        let content = content_of(&mut current)?;
        let Some(read) = bytes_that_rotation_read(kind, &mut placed.ours, &content)? else {
            return Ok(PathState::Other);
        };
        placed.ours.skip_to(read);
        Ok(PathState::Rotated(current, content))
    }

    /// Continues with the result of a rotation of our version.
    fn follow(&mut self, mut current: fs::File, content: &[u8]) -> io::Result<()> {
        let length = content.len() as u64;
        // A row may have been appended between the rotation's read and its rename.
        self.placed.ours.copy_lines(&mut current, content)?;
        self.old.push(std::mem::replace(&mut self.placed.ours, ReplacedFile::new(current, length)));
        if self.old.len() > MAX_OLD_FILES {
            self.old.remove(0);
        }
        Ok(())
    }

    /// Copies the rows that writers appended to our version into the file now at the path. Returns
    /// false if a writer is in the middle of a row there, so that the copy must be tried again.
    fn rescue_late_rows(&mut self) -> io::Result<bool> {
        if !self.placed.ours.has_late_bytes()? {
            return Ok(true);
        }
        let Some(mut current) = open_current(&mut self.placed)? else { return Ok(true) };
        let content = content_of(&mut current)?;
        self.placed.ours.copy_lines(&mut current, &content)?;
        if self.placed.ours.has_late_bytes()? && self.rescues < MAX_RESCUES {
            self.rescues += 1;
            return Ok(false);
        }
        // The writer's row is torn, or our version ends with a torn row.
        self.placed.ours.copy_rest(&mut current).map(|_| true)
    }
}

/// Appends the late lines of a log's earlier files to `ours`, except for those that `ours` already
/// has because a rotation read them.
fn copy_missing_lines(old: &mut [ReplacedFile], ours: &mut ReplacedFile) -> io::Result<()> {
    for old in old {
        if old.has_late_bytes()? {
            let content = content_of(ours.file())?;
            old.copy_lines(ours.file(), &content)?;
        }
    }
    Ok(())
}

/// Opens the file now at the path of a log, for reading and appending. Returns `None` if the path
/// has no file.
///
/// # Errors
/// If the file is a hard link and has another owner than the log: no writer put it there, and it
/// may be any file on the disk.
fn open_current(placed: &mut PlacedLog) -> io::Result<Option<fs::File>> {
    let current = match regular_file::open_to_append(&placed.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match is_link_to_foreign_file(&current.metadata()?, &placed.ours.file().metadata()?) {
        true => Err(Error::from(ErrorKind::LogKeepsChanging).into()),
        false => Ok(Some(current)),
    }
}

#[cfg(unix)]
fn is_link_to_foreign_file(current: &Metadata, ours: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;

    current.nlink() > 1 && current.uid() != ours.uid()
}

#[cfg(not(unix))]
fn is_link_to_foreign_file(_: &Metadata, _: &Metadata) -> bool {
    false
}

/// Returns the number of bytes of `ours` that a rotation read to produce `current`, to which rows
/// may have been appended since. Returns `None` if `current` can't be such a rotation.
fn bytes_that_rotation_read(kind: RotationKind, ours: &mut ReplacedFile, current: &[u8]) -> io::Result<Option<u64>> {
    let copied = ours.copied();
    let file = ours.file();
    file.rewind()?;
    let mut newest = NewestLines::of_log(kind);
    let mut lines = LineReader::new(file, u64::MAX);
    let mut read = 0;
    loop {
        // A rotation reads all of our version, including any rows appended to it before the read.
        if read >= copied {
            let rotated = newest.clone().into_bytes();
            // An empty rotation is a prefix of every file.
            if current.starts_with(&rotated) && rotated.is_empty() == current.is_empty() {
                return Ok(Some(read));
            }
        }
        match lines.next_line() {
            Ok(Some(line)) => {
                newest.push(line.bytes);
                read += line.bytes.len() as u64 + u64::from(line.terminated);
            }
            Ok(None) | Err(LineError::TooLong) => return Ok(None),
            Err(LineError::Read(error)) => return Err(error),
        }
    }
}

fn content_of(file: &mut fs::File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// Returns true if a writer's recent temporary file for a rotation of this log is beside it.
fn has_temporary_file(log: &Path, clock: &dyn Clock) -> bool {
    let (Some(name), Some(dir)) = (log.file_name(), log.parent()) else { return false };
    let prefix = [name.as_encoded_bytes(), b".tmp"].concat();
    let Ok(entries) = fs::read_dir(dir) else { return false };
    let is_recent = |entry: &fs::DirEntry| {
        let made = entry.metadata().and_then(|existing| existing.modified()).ok();
        made.and_then(|made| clock.now().duration_since(made).ok()).is_some_and(|age| age < TEMPORARY_FILE_AGE)
    };
    let is_writers = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let rest = name.as_encoded_bytes().strip_prefix(prefix.as_slice());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"."))
    };
    entries.flatten().any(|entry| is_writers(&entry) && is_recent(&entry))
}

#[cfg(test)]
mod tests;
