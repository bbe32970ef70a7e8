//! Where the old version of a log is kept when another one takes its place.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use fs_err as fs;

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
    let current = fs::metadata(path).ok()?;
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
