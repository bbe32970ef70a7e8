//! Backs up logs before they are replaced.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::TempPath;

use super::staging::Staging;
use crate::error::{Error, IoAction, Result};
use crate::util::atomic_file::sync_dir;
use crate::util::file_identity::{is_link_of, is_same_file};
use crate::util::regular_file;

/// Returns a free path for a backup of the file at `path`, in the same directory.
pub fn backup_of(path: &Path, stamp: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let dir = path.parent().unwrap_or(Path::new(""));
    let mut backup = dir.join(format!("{name}.{stamp}.bak"));
    let mut number = 2u64;
    while backup.symlink_metadata().is_ok() {
        backup = dir.join(format!("{name}.{stamp}-{number}.bak"));
        number += 1;
    }
    backup
}

/// The backups that were made. On drop, the backups of logs that were not replaced are removed.
#[derive(Debug, Default)]
pub struct Backups(Vec<Backup>);

#[derive(Debug)]
struct Backup {
    log: PathBuf,
    path: PathBuf,
    /// The metadata of the log when it was backed up.
    original: Metadata,
}

impl Backups {
    /// Backs up each log that has no backup yet, at the planned path. If the path is taken, plans
    /// another one, because a file of another program may be removed later.
    pub fn make<'p>(
        &mut self,
        logs: impl Iterator<Item = (&'p Path, &'p mut PathBuf)>,
        stamp: &str,
        staging: &Staging,
    ) -> Result<()> {
        let before = self.0.len();
        for (log, planned) in logs {
            if self.0.iter().any(|backup| backup.path == *planned) && planned.symlink_metadata().is_ok() {
                continue;
            }
            let original = fs::symlink_metadata(log).map_err(|error| Error::io(IoAction::BackUp, log, error))?;
            while !link_or_copy(log, planned, staging)? {
                *planned = backup_of(log, stamp);
            }
            remove_leftover(log, planned, &original);
            self.0.push(Backup { log: log.to_owned(), path: planned.clone(), original });
        }
        self.0[before..].iter().try_for_each(|backup| sync_dir(&backup.path))
    }

    pub fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Backups {
    fn drop(&mut self) {
        for Backup { log, path, original } in &self.0 {
            // If the log was replaced although the system reported an error, the backup is the only
            // copy.
            if fs::symlink_metadata(log).is_ok_and(|existing| is_same_file(&existing, original)) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Removes a backup of the same file that a killed import left. If that import is still running, it
/// notices and makes another backup.
fn remove_leftover(log: &Path, backup: &Path, file: &Metadata) {
    let name = log.file_name().unwrap_or_default().to_string_lossy();
    let entries = log.parent().filter(|_| has_another_name(log)).and_then(|dir| fs::read_dir(dir).ok());
    let is_leftover = |path: &Path| {
        let end = path.file_name().and_then(|end| end.to_str()).and_then(|end| end.strip_prefix(&*name));
        end.is_some_and(is_backup_suffix)
            && path != backup
            && fs::symlink_metadata(path).is_ok_and(|existing| is_same_file(&existing, file))
    };
    let left = entries.into_iter().flatten().flatten().map(|entry| entry.path()).filter(|path| is_leftover(path));
    left.for_each(|path| _ = fs::remove_file(path));
}

/// Returns true if `end` is a suffix that [`backup_of`] adds: `.2026-05-02T10-00-00.000Z.bak`, with
/// a number if that was taken.
fn is_backup_suffix(end: &str) -> bool {
    let Some(stamp) = end.strip_prefix('.').and_then(|end| end.strip_suffix(".bak")) else { return false };
    let digits = stamp.chars().filter(char::is_ascii_digit).count();
    digits >= 17 && stamp.chars().all(|c| c.is_ascii_digit() || "-T.Z".contains(c))
}

/// Returns true if a file has more hard links than its own name and its backup's. Only then is the
/// directory searched, which is slow if it has many logs.
#[cfg(unix)]
fn has_another_name(log: &Path) -> bool {
    fs::symlink_metadata(log).is_ok_and(|file| std::os::unix::fs::MetadataExt::nlink(&file) > 2)
}

#[cfg(not(unix))]
fn has_another_name(_: &Path) -> bool {
    true
}

/// Backs up the file at `path` as a hard link, or as a copy if it cannot be linked. Returns false
/// if the path `backup` is taken.
fn link_or_copy(path: &Path, backup: &Path, staging: &Staging) -> Result<bool> {
    let failed = |error| Error::io(IoAction::BackUp, path, error);
    match fs::hard_link(path, backup) {
        Ok(()) => return Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        // A link that exists counts, even if the system reported an error.
        Err(_) if is_link_of(backup, path) => return Ok(true),
        Err(_) => {}
    }
    let mut original = regular_file::open_no_follow(path).map_err(failed)?;
    let copy = staging.copy(path, &mut original, u64::MAX)?;
    let copy = TempPath::try_from_path(copy).map_err(failed)?;
    match copy.persist_noclobber(backup) {
        Ok(()) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error.error)),
    }
}
