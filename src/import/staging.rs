//! Where logs wait beside their targets until all of them are good.
//!
//! Each directory that gets a log gets a hidden directory first, mode 0700, with the waiting files, mode 0600, and a
//! file that the system locks for as long as this program lives. What a killed import left is known by that: nobody
//! holds its lock. Nothing there has the name of a log.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::TempDir;

use super::owner::{take_after, take_after_parent};
use crate::error::{Error, IoAction, Result};
use crate::progress::Cancellation;
use crate::publish::{self, MadeDirs, sync_dir};

/// How the name of each of our directories begins.
const PREFIX: &str = ".patchwork-traces-import-";

/// The name of the locked file in it.
const LIVE: &str = "live";

/// How much is written at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// The directories of one import. Dropped, they and whatever still waits in them are gone.
#[derive(Debug, Default)]
pub(super) struct Staging {
    // First the waiting files go, then the directories that were made for them.
    dirs: BTreeMap<PathBuf, StagingDir>,
    made_dirs: Vec<MadeDirs>,
    /// How many files were started.
    files: Cell<u64>,
    cancellation: Cancellation,
}

#[derive(Debug)]
struct StagingDir {
    dir: TempDir,
    _live: fs::File,
}

impl Staging {
    /// Makes the directories, and those in which they lie. Once cancelled, no file takes anything more.
    pub(super) fn create<'d>(dirs: impl Iterator<Item = &'d Path>, cancellation: Cancellation) -> Result<Self> {
        let mut staging = Self { cancellation, ..Self::default() };
        for dir in dirs {
            if !staging.dirs.contains_key(dir) {
                let made = MadeDirs::make(dir)?;
                made.paths().try_for_each(take_after_parent)?;
                staging.made_dirs.push(made);
                staging.dirs.insert(dir.to_owned(), StagingDir::create(dir)?);
            }
        }
        Ok(staging)
    }

    /// Starts a file that waits beside `target`.
    pub(super) fn file(&self, target: &Path) -> Result<StagedFile> {
        let failed = |error| Error::io(IoAction::Create, target, error);
        let dir = self.dirs.get(target.parent().unwrap_or(Path::new("")));
        let dir = dir.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        // The target's own name may be as long as names can be.
        let number = self.files.replace(self.files.get() + 1);
        let path = dir.dir.path().join(format!("{number}.part"));
        let out = new_file(&path).map_err(failed)?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, out);
        Ok(StagedFile { target: target.to_owned(), path, out, bytes: 0, cancellation: self.cancellation.clone() })
    }

    /// Stages a copy of the first `bytes` bytes of a file for `target`.
    pub(super) fn copy(&self, target: &Path, from: &mut fs::File, bytes: u64) -> Result<PathBuf> {
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

    /// Makes the new names last through a power cut, once files were put in their places.
    pub(super) fn sync(&self) -> Result<()> {
        self.dirs.values().try_for_each(|dir| sync_dir(dir.dir.path()))?;
        self.made_dirs.iter().try_for_each(MadeDirs::sync)
    }
}

impl Drop for StagingDir {
    fn drop(&mut self) {
        // What cannot be removed now is tried again with the directory.
        let _ = remove_all_but_live(self.dir.path());
    }
}

impl StagingDir {
    fn create(parent: &Path) -> Result<Self> {
        let failed = |error| Error::io(IoAction::Create, parent, error);
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        loop {
            let dir = builder.tempdir_in(parent).map_err(failed)?;
            match live_file(dir.path()) {
                Ok(Some(live)) => return Ok(Self { dir, _live: live }),
                // Another import cleaned up before we could say that we are alive.
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// Says that a directory is in use. `None` when somebody is about to remove it.
fn live_file(dir: &Path) -> io::Result<Option<fs::File>> {
    let path = dir.join(LIVE);
    let live = new_file(&path)?;
    match live.file().try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        // Where the system has no such locks, nobody removes what he cannot lock.
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

/// Removes what killed imports and exports left in `dir`. Returns what that was. What cannot be removed is left for the next time.
pub(super) fn clean_up(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let ours = entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    let left = ours.map(|entry| entry.path()).filter(|path| path.symlink_metadata().is_ok_and(|there| there.is_dir()));
    let mut removed: Vec<_> = left.filter(|path| remove_if_dead(path)).collect();
    removed.extend(publish::clean_up(dir));
    removed.sort();
    removed
}

fn remove_if_dead(dir: &Path) -> bool {
    match fs::File::open(dir.join(LIVE)) {
        Ok(live) => {
            let is_dead = live.file().try_lock().is_ok();
            is_dead && remove_all_but_live(dir).and_then(|()| fs::remove_dir_all(dir)).is_ok()
        }
        // It was killed before it got further. If it is only that young, it makes another one.
        Err(_) => fs::remove_dir(dir).is_ok(),
    }
}

/// Whoever is killed while he removes a directory must leave the file in it by which the next one knows that.
fn remove_all_but_live(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.file_name() != Some(OsStr::new(LIVE)) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// A file that waits.
#[derive(Debug)]
pub(super) struct StagedFile {
    target: PathBuf,
    path: PathBuf,
    out: BufWriter<fs::File>,
    bytes: u64,
    cancellation: Cancellation,
}

impl StagedFile {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.cancellation.check()?;
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|error| Error::io(IoAction::Write, &self.target, error))
    }

    /// Gives it to the owner of its target, syncs it, checks that all of it is there, and returns where it waits.
    pub(super) fn finish(self) -> Result<PathBuf> {
        let Self { target, path, out, bytes, cancellation: _ } = self;
        let failed = |error| Error::io(IoAction::Write, &target, error);
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        take_after(&file, &target)?;
        file.sync_all().map_err(failed)?;
        match file.metadata().map_err(failed)?.len() == bytes {
            true => Ok(path),
            false => Err(failed(io::Error::other("the file does not have all that was written to it"))),
        }
    }
}
