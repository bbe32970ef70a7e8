//! Where the old version of a log is kept when another one takes its place.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::TempPath;

use super::staging::Staging;
use crate::error::{Error, IoAction, Result};
use crate::import::regular_file;
use crate::publish::sync_dir;
use crate::sources::is_same_file;

/// Where the file at `path` is to be kept: beside it, under a name that is free, or that this very file has already
/// because an import was killed right after it had kept it.
pub(super) fn backup_of(path: &Path, stamp: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let dir = path.parent().unwrap_or(Path::new(""));
    if let Some(kept) = kept_already(path, dir, &name) {
        return kept;
    }
    let mut backup = dir.join(format!("{name}.{stamp}.bak"));
    let mut number = 2u64;
    while backup.symlink_metadata().is_ok() {
        backup = dir.join(format!("{name}.{stamp}-{number}.bak"));
        number += 1;
    }
    backup
}

/// Whether a file may have another name than the one by which it was found. To look for one takes a while where logs
/// are many.
#[cfg(unix)]
fn has_another_name(file: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(file) > 1
}

#[cfg(not(unix))]
fn has_another_name(_: &Metadata) -> bool {
    true
}

fn kept_already(path: &Path, dir: &Path, name: &str) -> Option<PathBuf> {
    let current = fs::symlink_metadata(path).ok()?;
    if !has_another_name(&current) {
        return None;
    }
    let prefix = format!("{name}.");
    let entries = fs::read_dir(dir).ok()?.flatten();
    let mut backups = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with(&prefix) && name.ends_with(".bak")
    });
    let kept = backups.find(|entry| entry.metadata().is_ok_and(|there| is_same_file(&there, &current)))?;
    Some(kept.path())
}

/// The backups that were made. Dropped before anything is replaced, they are removed again.
#[derive(Debug, Default)]
pub(super) struct Backups(Vec<Backup>);

#[derive(Debug)]
struct Backup {
    log: PathBuf,
    path: PathBuf,
    /// The log, as it was when it was kept.
    original: Metadata,
}

impl Backups {
    /// Makes those that are not there yet: of each log, and where it is kept.
    pub(super) fn make<'p>(
        &mut self,
        logs: impl Iterator<Item = (&'p Path, &'p Path)>,
        staging: &Staging,
    ) -> Result<()> {
        let before = self.0.len();
        for (log, backup) in logs {
            // It may be there already: see where its name is chosen.
            if backup.symlink_metadata().is_err() {
                let original = fs::symlink_metadata(log).map_err(|error| Error::io(IoAction::BackUp, log, error))?;
                keep_copy(log, backup, staging)?;
                self.0.push(Backup { log: log.to_owned(), path: backup.to_owned(), original });
            }
        }
        self.0[before..].iter().try_for_each(|backup| sync_dir(&backup.path))
    }

    pub(super) fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Backups {
    fn drop(&mut self) {
        for Backup { log, path, original } in &self.0 {
            // If the log was replaced against what the system said, its backup is the only copy.
            if fs::symlink_metadata(log).is_ok_and(|there| is_same_file(&there, original)) {
                let _ = fs::remove_file(path);
            }
        }
    }
}

/// Returns true if two paths lead to one file.
pub(super) fn is_link_of(backup: &Path, log: &Path) -> bool {
    let there = (fs::symlink_metadata(backup), fs::symlink_metadata(log));
    matches!(there, (Ok(kept), Ok(there)) if is_same_file(&kept, &there))
}

/// Keeps the file at `path` under a second name, or, where a file can have only one, a copy of it.
fn keep_copy(path: &Path, backup: &Path, staging: &Staging) -> Result<()> {
    let failed = |error| Error::io(IoAction::BackUp, path, error);
    // A link that was made counts, whatever the system said of it.
    if fs::hard_link(path, backup).is_ok() || is_link_of(backup, path) {
        return Ok(());
    }
    let mut original = regular_file::open(path).map_err(failed)?;
    let copy = staging.copy(path, &mut original, u64::MAX)?;
    let copy = TempPath::try_from_path(copy).map_err(failed)?;
    copy.persist_noclobber(backup).map_err(|error| failed(error.error))
}
