//! Writes a file that appears at its target path either complete or not at all.
//!
//! The content is written to a temporary file beside the target. Only [`AtomicFile::finish`] makes
//! it appear at the target. The temporary file stays locked while this process runs, so that later
//! runs can tell the leftovers of a killed process from files in use.

use std::ffi::OsStr;
use std::fs::TryLockError;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::NamedTempFile;

use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::logs::{is_reserved_for_logs, refused};
use crate::util::regular_file;

/// The options for writing an output file. By default, both are off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct TargetOptions {
    /// True if an existing file may be replaced.
    pub replace: bool,
    /// True if missing parent directories may be created.
    pub create_dirs: bool,
}

impl TargetOptions {
    /// Allows or forbids replacing an existing file.
    pub fn replace(self, replace: bool) -> Self {
        Self { replace, ..self }
    }

    /// Allows or forbids creating missing directories.
    pub fn create_dirs(self, create_dirs: bool) -> Self {
        Self { create_dirs, ..self }
    }
}

/// The destination of an output file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputTarget {
    /// A regular file.
    File {
        /// Its path, with symlinks resolved.
        path: PathBuf,
        /// The options for writing it.
        options: TargetOptions,
    },
    /// A pipe or device, which is written to directly.
    Stream(PathBuf),
}

impl OutputTarget {
    /// Resolves `path` to a target, following symlinks, and checks that it may be written.
    ///
    /// # Errors
    /// [`ErrorKind::TargetIsDirectory`], [`ErrorKind::TargetExists`] unless it may be replaced,
    /// [`ErrorKind::NoTargetDirectory`] unless its directory may be created, and
    /// [`ErrorKind::TargetIsLog`], with any options, for a path that has the name of a log or leads
    /// to one, in any directory. The names of a log's lock, backups and temporary files are refused
    /// too.
    pub fn resolve(path: impl AsRef<Path>, options: TargetOptions) -> Result<Self> {
        let path = path.as_ref();
        let TargetOptions { replace, create_dirs } = options;
        let refuse = |kind: ErrorKind| Err(Error::from(kind).in_subject(&path.display().to_string()));
        let path_given = path.to_owned();
        match fs::metadata(path) {
            Ok(existing) if existing.is_dir() => refuse(ErrorKind::TargetIsDirectory),
            _ if is_reserved_for_logs(path) => refuse(ErrorKind::TargetIsLog),
            Ok(existing) if !existing.is_file() => Ok(Self::Stream(path_given)),
            Ok(_) => {
                let real = fs::canonicalize(path).map_err(|error| Error::io(IoAction::Open, path, error))?;
                match is_reserved_for_logs(&real) {
                    true => refuse(ErrorKind::TargetIsLog),
                    false if !replace => refuse(ErrorKind::TargetExists),
                    false => Ok(Self::File { path: real, options }),
                }
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(refused(IoAction::Open, path, error)),
            // A dangling symlink counts as an existing file.
            Err(_) if !replace && fs::symlink_metadata(path).is_ok() => refuse(ErrorKind::TargetExists),
            Err(_) if fs::read_link(path).is_ok_and(|to| is_reserved_for_logs(&to)) => refuse(ErrorKind::TargetIsLog),
            Err(_) if !create_dirs => {
                check_dir(parent_dir(path))?;
                Ok(Self::File { path: path_given, options })
            }
            Err(_) => Ok(Self::File { path: path_given, options }),
        }
    }

    /// Writes a short file in one step.
    ///
    /// # Errors
    /// If it cannot be written. A target that is a file is then unchanged.
    pub(crate) fn write(&self, content: &[u8]) -> Result<()> {
        match self {
            Self::Stream(path) => fs::OpenOptions::new()
                .write(true)
                .open(path)
                .and_then(|mut stream| stream.write_all(content))
                .map_err(|error| Error::io(IoAction::Write, path, error)),
            Self::File { path, options } => {
                let mut file = AtomicFile::create(path, *options)?;
                file.write_all(content).map_err(|error| Error::io(IoAction::Write, path, error))?;
                file.finish()
            }
        }
    }

    /// Returns the path of the target.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::File { path, .. } | Self::Stream(path) => path,
        }
    }

    /// Returns a directory for intermediate files. It exists, and is on the target's disk if the
    /// target is a file.
    #[must_use]
    pub fn work_dir(&self) -> PathBuf {
        match self {
            Self::File { path, .. } => {
                let dirs =
                    path.ancestors().skip(1).map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
                dirs.into_iter().find(|dir| dir.is_dir()).unwrap_or(Path::new(".")).to_owned()
            }
            Self::Stream(_) => std::env::temp_dir(),
        }
    }
}

/// A file that has not appeared at its target yet. If dropped before [`finish`](Self::finish), it
/// leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: NamedTempFile,
    target: PathBuf,
    options: TargetOptions,
    created_dirs: CreatedDirs,
}

impl AtomicFile {
    /// Starts the file for `target`, with mode 0600. Creates missing directories, with mode 0700,
    /// if `options` allow it. Removes temporary files that killed processes left in the directory.
    ///
    /// # Errors
    /// [`ErrorKind::NoTargetDirectory`] unless the directory may be created, and if a directory or
    /// the temporary file cannot be created.
    pub fn create(target: &Path, options: TargetOptions) -> Result<Self> {
        let dir = parent_dir(target);
        let created_dirs = match options.create_dirs {
            true => CreatedDirs::make(dir)?,
            false => check_dir(dir).map(|()| CreatedDirs::default())?,
        };
        remove_stale_files(dir);
        let temporary = create_temporary_in(dir).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Error::io(IoAction::Write, dir, error),
            _ => Error::io(IoAction::Create, target, error),
        })?;
        Ok(Self { temporary, target: target.to_owned(), options, created_dirs })
    }

    /// Opens the content written so far, to read it from its start.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn read_back(&self) -> Result<std::fs::File> {
        self.temporary.reopen().map_err(|error| Error::io(IoAction::Open, &self.target, error))
    }

    /// Moves the file to its target, which must be replaceable. A power failure can undo the move
    /// or leave an empty file.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub fn finish_unsynced(self) -> Result<()> {
        let Self { target, temporary, .. } = self;
        temporary.persist(&target).map(drop).map_err(|error| Error::io(IoAction::Rename, &target, error.error))
    }

    /// Syncs the file, moves it to its target and syncs the directory.
    ///
    /// # Errors
    /// If a step fails. [`ErrorKind::TargetExists`] if a file that may not be replaced has appeared
    /// at the target meanwhile. [`ErrorKind::DirectorySyncFailed`] if the file has appeared, but
    /// the directory could not be synced.
    pub fn finish(self) -> Result<()> {
        // On failure, the temporary file must be removed before the directories created for it.
        // These variables are dropped in reverse order.
        let Self { created_dirs, target, options, temporary } = self;
        temporary.as_file().sync_all().map_err(|error| Error::io(IoAction::Write, &target, error))?;
        let moved = if options.replace { temporary.persist(&target) } else { temporary.persist_noclobber(&target) };
        match moved {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::from(ErrorKind::TargetExists).in_subject(&target.display().to_string()));
            }
            Err(error) => return Err(Error::io(IoAction::Rename, &target, error.error)),
        }
        let synced = sync_dir(&target).and_then(|()| created_dirs.sync());
        created_dirs.keep();
        synced.map_err(|cause| {
            Error::from(ErrorKind::DirectorySyncFailed { cause }).in_subject(&target.display().to_string())
        })
    }
}

/// Checks that the directory of a target exists.
fn check_dir(dir: &Path) -> Result<()> {
    match fs::metadata(dir) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let missing = ErrorKind::NoTargetDirectory { is_default: false };
            Err(Error::from(missing).in_subject(&dir.display().to_string()))
        }
        Err(error) => Err(refused(IoAction::Open, dir, error)),
    }
}

/// The prefix of the name of every temporary file; its suffix is [`TEMPORARY_SUFFIX`].
const TEMPORARY_PREFIX: &str = ".patchwork-traces-";

const TEMPORARY_SUFFIX: &str = ".part";

pub fn parent_dir(file: &Path) -> &Path {
    file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates a file in `dir`, with mode 0600 and locked.
pub fn create_temporary_in(dir: &Path) -> io::Result<NamedTempFile> {
    loop {
        let temporary = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).suffix(TEMPORARY_SUFFIX).tempfile_in(dir)?;
        // On a system without file locks, other processes can't lock it either, so they don't
        // remove it.
        let lock = temporary.as_file().try_lock();
        // Otherwise another process has taken the still unlocked file for a leftover. Try again.
        if !matches!(lock, Err(TryLockError::WouldBlock)) && temporary.path().exists() {
            return Ok(temporary);
        }
    }
}

/// Removes the temporary files that killed processes left in `dir`, and returns their paths. A file
/// that cannot be removed is left for the next run.
pub fn remove_stale_files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let ours = entries.flatten().filter(|entry| is_temporary(&entry.file_name())).map(|entry| entry.path());
    let files = ours.filter(|path| path.symlink_metadata().is_ok_and(|existing| existing.is_file()));
    // If a FIFO has replaced the file meanwhile, the open fails instead of blocking.
    let is_stale = |path: &PathBuf| regular_file::open_no_follow(path).is_ok_and(|left| left.file().try_lock().is_ok());
    files.filter(|path| is_stale(path) && fs::remove_file(path).is_ok()).collect()
}

fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(TEMPORARY_PREFIX.as_bytes()) && name.ends_with(TEMPORARY_SUFFIX.as_bytes())
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

/// Syncs the directory of `file`, so that a new name survives a power failure.
#[cfg(unix)]
pub fn sync_dir(file: &Path) -> Result<()> {
    let dir = parent_dir(file);
    match fs::File::open(dir).and_then(|dir| dir.sync_all()) {
        // Some file systems cannot sync directories.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced.map_err(|error| Error::io(IoAction::Write, dir, error)),
    }
}

#[cfg(not(unix))]
pub fn sync_dir(_: &Path) -> Result<()> {
    Ok(())
}

/// Directories that were created for a file. Dropping this removes them, unless they are
/// [kept](Self::keep).
#[derive(Debug, Default)]
pub struct CreatedDirs(Vec<PathBuf>);

impl CreatedDirs {
    pub fn make(dir: &Path) -> Result<Self> {
        let mut missing = Vec::new();
        for dir in dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty()) {
            match dir.try_exists() {
                Ok(true) => break,
                Ok(false) => missing.push(dir),
                Err(error) => return Err(refused(IoAction::Open, dir, error)),
            }
        }
        let mut made = Self::default();
        for dir in missing.into_iter().rev() {
            match make_private_dir(dir) {
                Ok(()) => made.0.push(dir.to_owned()),
                // Another program has created it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(Error::io(IoAction::Write, parent_dir(dir), error));
                }
                Err(error) => return Err(Error::io(IoAction::Create, dir, error)),
            }
        }
        Ok(made)
    }

    /// Returns the directories, each after its parent.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }

    /// Syncs the parents of all directories, so that their names survive a power failure.
    pub fn sync(&self) -> Result<()> {
        self.0.iter().try_for_each(|dir| sync_dir(dir))
    }

    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for CreatedDirs {
    fn drop(&mut self) {
        for dir in self.0.iter().rev() {
            // A directory that can't be removed is no longer empty, so it is in use.
            let _ = fs::remove_dir(dir);
        }
    }
}

/// Creates a directory that only its owner can access.
#[cfg(unix)]
pub fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(dir)
}

/// Creates a directory, which inherits its access rights from its parent.
#[cfg(not(unix))]
pub fn make_private_dir(dir: &Path) -> io::Result<()> {
    std::fs::create_dir(dir)
}
