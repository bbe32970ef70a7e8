//! Stages logs beside their targets until all of them are verified.
//!
//! An import creates a hidden directory with mode 0700 in each directory that gets a log. It holds
//! the staged files, with mode 0600, and a file that stays locked while the process runs. If the
//! file is not locked, the directory is a leftover of a killed import. No file in it has the name
//! of a log.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::owner::{copy_ownership, inherit_ownership};
use super::pinned::PinnedDir;
use crate::error::{Error, IoAction, Result};
use crate::progress::Cancellation;
use crate::util::atomic_file::{self, CreatedDirs, sync_dir};
use crate::util::regular_file;

/// The prefix of the name of each staging directory.
const PREFIX: &str = ".patchwork-traces-import-";

/// The name of the locked file in a staging directory.
const LIVE: &str = "live";

/// The extension of each staged file.
const PART: &str = "part";

/// The name of a new directory in a staging directory, before it is moved to its place.
pub const NEW_DIR: &str = "dir";

/// The size of the write and copy buffers.
const BUFFER_BYTES: usize = 256 << 10;

/// The staging directories of one import. On drop they are removed, with any files that are still
/// staged in them.
#[derive(Debug, Default)]
pub struct Staging {
    // The staging directories are dropped first, then the directories created for them.
    dirs: BTreeMap<PathBuf, StagingDir>,
    made_dirs: Vec<CreatedDirs>,
    /// The number of staged files so far.
    files: Cell<u64>,
    cancellation: Cancellation,
}

/// A hidden directory of an import.
#[derive(Debug)]
pub struct StagingDir {
    path: PathBuf,
    /// The same directory, pinned, if another user could replace it.
    pin: Option<PinnedDir>,
    /// The locked file, open.
    live: Option<fs::File>,
    /// True if its files must stay where they are.
    is_kept: Cell<bool>,
}

impl Staging {
    /// Creates the staging directories, and their parents unless these are pinned. Writes to staged
    /// files fail once cancellation is requested.
    pub fn create<'d>(
        dirs: impl Iterator<Item = (&'d Path, Option<&'d PinnedDir>)>,
        cancellation: Cancellation,
    ) -> Result<Self> {
        let mut staging = Self { cancellation, ..Self::default() };
        for (dir, pin) in dirs {
            if staging.dirs.contains_key(dir) {
                continue;
            }
            if pin.is_none() {
                let made = CreatedDirs::make(dir)?;
                made.paths().try_for_each(inherit_ownership)?;
                staging.made_dirs.push(made);
            }
            staging.dirs.insert(dir.to_owned(), StagingDir::create(dir, pin)?);
        }
        Ok(staging)
    }

    /// Converts a path through a pinned directory to the path that users know. Returns other paths
    /// as they are.
    pub fn real_path(&self, path: &Path) -> PathBuf {
        let pins = self.dirs.values().filter_map(|dir| dir.pin.as_ref());
        pins.into_iter().find_map(|pin| pin.real_path(path)).unwrap_or_else(|| path.to_owned())
    }

    /// Starts a staged file for `target`.
    pub fn file(&self, target: &Path) -> Result<StagedFile> {
        let failed = |error| Error::io(IoAction::Create, target, error);
        let dir = self.dirs.get(target.parent().unwrap_or(Path::new("")));
        let dir = dir.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        // The name of the target may already have the maximum length, so it can't be extended.
        let number = self.files.replace(self.files.get() + 1);
        let path = dir.path().join(format!("{number}.{PART}"));
        let out = new_file(&path).map_err(failed)?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, out);
        Ok(StagedFile { target: target.to_owned(), path, out, bytes: 0, cancellation: self.cancellation.clone() })
    }

    /// Stages a copy of the first `bytes` bytes of a file for `target`.
    pub fn copy(&self, target: &Path, from: &mut fs::File, bytes: u64) -> Result<PathBuf> {
        let failed = |error| Error::io(IoAction::Read, target, error);
        let mut copy = self.file(target)?;
        from.rewind().map_err(failed)?;
        let mut from = from.take(bytes);
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match from.read(&mut buffer).map_err(failed)? {
                0 => return copy.finish(),
                n => copy.write(&buffer[..n])?,
            }
        }
    }

    /// Keeps the directory of a staged file with its files, and prevents later imports from
    /// removing it.
    pub fn keep_dir_of(&self, staged: &Path) {
        for dir in self.dirs.values().filter(|dir| staged.parent() == Some(dir.path())) {
            dir.is_kept.set(true);
            // Without this file, a later import removes the directory only if it is empty.
            let _ = fs::remove_file(dir.path().join(LIVE));
        }
    }

    /// Syncs the directories, so that the new names survive a power failure.
    pub fn sync(&self) -> Result<()> {
        self.dirs.values().try_for_each(|dir| sync_dir(&dir.path))?;
        self.made_dirs.iter().try_for_each(CreatedDirs::sync)
    }
}

impl Drop for StagingDir {
    fn drop(&mut self) {
        if self.is_kept.get() {
            return;
        }
        // Windows does not remove a directory that contains an open file.
        if cfg!(windows) {
            self.live = None;
        }
        // A second attempt may remove what the first could not.
        let _ = remove(self.path(), &self.path).or_else(|_| remove(self.path(), &self.path));
    }
}

impl StagingDir {
    /// Creates a staging directory in `parent`, which is pinned if another user can change it.
    pub fn create(parent: &Path, pin: Option<&PinnedDir>) -> Result<Self> {
        let failed = |error| Error::io(IoAction::Create, parent, error);
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        loop {
            let path = builder.tempdir_in(parent).map_err(failed)?.keep();
            let in_use = pin.map(|parent| pin_new(parent, &path)).transpose().and_then(|pin| {
                let live = live_file(pin.as_ref().map_or(&path, PinnedDir::path))?;
                Ok(live.map(|live| (pin, live)))
            });
            match in_use {
                Ok(Some((pin, live))) => return Ok(Self { path, pin, live: Some(live), is_kept: Cell::new(false) }),
                // Another import removed the directory before it was marked as live.
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let _ = fs::remove_dir(&path);
                    return Err(failed(error));
                }
            }
        }
    }

    /// Returns the path that leads to its files.
    pub fn path(&self) -> &Path {
        self.pin.as_ref().map_or(&self.path, PinnedDir::path)
    }
}

/// Pins a directory that was just created, unless another user has replaced it.
fn pin_new(parent: &PinnedDir, path: &Path) -> io::Result<PinnedDir> {
    let pin = parent.child(Path::new(path.file_name().unwrap_or_default()))?;
    match pin.is_private() {
        true => Ok(pin),
        false => Err(io::Error::other("another user replaced it")),
    }
}

/// Creates and locks the file that marks a directory as in use. Returns `None` if another process
/// is about to remove the directory.
fn live_file(dir: &Path) -> io::Result<Option<fs::File>> {
    let path = dir.join(LIVE);
    let live = new_file(&path)?;
    match live.file().try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        // On a system without file locks, other imports can't lock it either, so they don't remove
        // it.
        _ => Ok(path.exists().then_some(live)),
    }
}

fn new_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Removes leftovers of killed imports and exports from `dir`, which is pinned if another user can
/// change it. Returns what it removed. Leftovers that cannot be removed are left for the next
/// import.
pub fn clean_up(dir: &Path, pin: Option<&PinnedDir>) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let ours = entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    let left =
        ours.map(|entry| entry.path()).filter(|path| path.symlink_metadata().is_ok_and(|existing| existing.is_dir()));
    let mut removed: Vec<_> = left.filter(|path| remove_if_dead(path, pin)).collect();
    removed.extend(atomic_file::remove_stale_files(dir));
    removed.sort();
    removed
}

fn remove_if_dead(dir: &Path, parent: Option<&PinnedDir>) -> bool {
    let pin = parent.map(|parent| parent.child(Path::new(dir.file_name().unwrap_or_default()))).transpose();
    let Ok(pin) = pin else { return false };
    let inside = pin.as_ref().map_or(dir, PinnedDir::path);
    match regular_file::open_no_follow(&inside.join(LIVE)) {
        // A directory that is not one of ours is left untouched.
        Ok(_) if !has_only_our_names(inside) => false,
        Ok(live) => live.file().try_lock().is_ok() && remove(inside, dir).is_ok(),
        // The import was killed before it created the locked file. If it has just started instead,
        // it creates another directory.
        Err(_) => fs::remove_dir(dir).is_ok(),
    }
}

/// Returns true if a directory contains only entries that an import creates.
fn has_only_our_names(dir: &Path) -> bool {
    let is_ours = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| {
            let name = entry.file_name();
            name == LIVE || name == NEW_DIR || Path::new(&name).extension().is_some_and(|end| end == PART)
        })
    };
    fs::read_dir(dir).is_ok_and(|mut entries| entries.all(is_ours))
}

/// Removes the directory `dir` and the files in it, to which the path `inside` leads. Removes
/// `live` last, so that an interrupted cleanup is still recognised as stale.
fn remove(inside: &Path, dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(inside)? {
        let path = entry?.path();
        match path.file_name() {
            Some(name) if name == LIVE => {}
            Some(name) if name == NEW_DIR => fs::remove_dir(path)?,
            _ => fs::remove_file(path)?,
        }
    }
    match fs::remove_file(inside.join(LIVE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::remove_dir(dir)
}

/// A file that is being staged.
#[derive(Debug)]
pub struct StagedFile {
    target: PathBuf,
    path: PathBuf,
    out: BufWriter<fs::File>,
    bytes: u64,
    cancellation: Cancellation,
}

impl StagedFile {
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.cancellation.check()?;
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|error| Error::io(IoAction::Write, &self.target, error))
    }

    /// Gives the file to the owner of its target, syncs it and checks its length. Returns its path.
    pub fn finish(self) -> Result<PathBuf> {
        let Self { target, path, out, bytes, cancellation: _ } = self;
        let failed = |error| Error::io(IoAction::Write, &target, error);
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        copy_ownership(&file, &target)?;
        file.sync_all().map_err(failed)?;
        match file.metadata().map_err(failed)?.len() == bytes {
            true => Ok(path),
            false => Err(failed(io::Error::other("its length differs from what was written"))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn kept_files_survive_this_import_and_the_next_cleanup() {
        let dir = tempfile::tempdir().unwrap();
        let staged = |is_kept: bool| {
            let staging = Staging::create([(dir.path(), None)].into_iter(), Cancellation::default()).unwrap();
            let mut file = staging.file(&dir.path().join("runs.jsonl")).unwrap();
            file.write(b"{}\n").unwrap();
            let path = file.finish().unwrap();
            if is_kept {
                staging.keep_dir_of(&path);
            }
            path
        };
        assert!(!staged(false).exists());
        let kept = staged(true);
        assert_eq!(clean_up(dir.path(), None), Vec::<PathBuf>::new());
        assert_eq!(fs::read(kept).unwrap(), b"{}\n");
    }
}
