//! Puts a finished file in its place: all of it, or nothing.
//!
//! What is written goes to a temporary file beside the target. Only [`AtomicFile::finish`] makes it appear there. The
//! system locks the temporary file for as long as this program lives, so the next one knows what a killed one has left.

use std::ffi::OsStr;
use std::fs::TryLockError;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::NamedTempFile;

use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::sources::{is_reserved_for_logs, open_regular_no_follow, refused};

/// What may be done to write a file. By default, neither.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TargetOptions {
    /// Replaces a file that exists already.
    pub replace: bool,
    /// Creates the directory of the file, and those above it, where they are missing.
    pub create_dirs: bool,
}

/// Where a file is to appear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputTarget {
    /// A regular file.
    File {
        /// Its path, with links followed.
        path: PathBuf,
        /// What may be done to write it.
        options: TargetOptions,
    },
    /// A pipe or device, which is written to as it is.
    Stream(PathBuf),
}

impl OutputTarget {
    /// Looks at what is at `path` now. A link is followed.
    ///
    /// # Errors
    /// [`ErrorKind::TargetIsDirectory`], [`ErrorKind::TargetExists`] unless it may be replaced,
    /// [`ErrorKind::NoTargetDirectory`] unless its directory may be created, and [`ErrorKind::TargetIsLog`], whatever the
    /// options, for a path that has the name of a log or leads to one, in any directory. The names of a log's lock, backups
    /// and temporary files count, too.
    pub fn look(path: &Path, options: TargetOptions) -> Result<Self> {
        let TargetOptions { replace, create_dirs } = options;
        let refuse = |kind: ErrorKind| Err(Error::from(kind).in_subject(&path.display().to_string()));
        let path_given = path.to_owned();
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => refuse(ErrorKind::TargetIsDirectory),
            _ if is_reserved_for_logs(path) => refuse(ErrorKind::TargetIsLog),
            Ok(there) if !there.is_file() => Ok(Self::Stream(path_given)),
            Ok(_) => {
                let real = fs::canonicalize(path).map_err(|error| Error::io(IoAction::Open, path, error))?;
                match is_reserved_for_logs(&real) {
                    true => refuse(ErrorKind::TargetIsLog),
                    false if !replace => refuse(ErrorKind::TargetExists),
                    false => Ok(Self::File { path: real, options }),
                }
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(refused(IoAction::Open, path, error)),
            // A dangling symlink is a file that exists, too.
            Err(_) if !replace && fs::symlink_metadata(path).is_ok() => refuse(ErrorKind::TargetExists),
            Err(_) if fs::read_link(path).is_ok_and(|to| is_reserved_for_logs(&to)) => refuse(ErrorKind::TargetIsLog),
            Err(_) if !create_dirs => {
                check_dir(dir_of(path))?;
                Ok(Self::File { path: path_given, options })
            }
            Err(_) => Ok(Self::File { path: path_given, options }),
        }
    }

    /// The directory for files that are needed on the way: on the same disk, and there already.
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

/// A file that has not appeared yet. Dropped before [`finish`](Self::finish), it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: NamedTempFile,
    target: PathBuf,
    options: TargetOptions,
    made_dirs: CreatedDirs,
}

impl AtomicFile {
    /// Starts the file that is to appear at `target`, mode 0600, and creates the directories that it needs, mode 0700, if
    /// `options` allow it. Removes the temporary files that killed programs have left there.
    ///
    /// # Errors
    /// [`ErrorKind::NoTargetDirectory`] unless the directory may be created, and when a directory or the temporary file
    /// cannot be created.
    pub fn create(target: &Path, options: TargetOptions) -> Result<Self> {
        let dir = dir_of(target);
        let made_dirs = match options.create_dirs {
            true => CreatedDirs::make(dir)?,
            false => check_dir(dir).map(|()| CreatedDirs::default())?,
        };
        clean_up(dir);
        let temporary = temporary_in(dir).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Error::io(IoAction::Write, dir, error),
            _ => Error::io(IoAction::Create, target, error),
        })?;
        Ok(Self { temporary, target: target.to_owned(), options, made_dirs })
    }

    /// What was written so far, to be read from its start.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn read_back(&self) -> Result<std::fs::File> {
        self.temporary.reopen().map_err(|error| Error::io(IoAction::Open, &self.target, error))
    }

    /// Syncs the file, puts it in its place and syncs the directory.
    ///
    /// # Errors
    /// When that fails. [`ErrorKind::TargetExists`] when a file has appeared there meanwhile that may not be replaced.
    /// [`ErrorKind::DirectorySyncFailed`] when the file has appeared, but the directory could not be synced.
    pub fn finish(self) -> Result<()> {
        // If it fails, the file goes before the directories that were made for it: in the reverse of this order.
        let Self { made_dirs, target, options, temporary } = self;
        temporary.as_file().sync_all().map_err(|error| Error::io(IoAction::Write, &target, error))?;
        let put = if options.replace { temporary.persist(&target) } else { temporary.persist_noclobber(&target) };
        match put {
            Ok(_) => {}
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::from(ErrorKind::TargetExists).in_subject(&target.display().to_string()));
            }
            Err(error) => return Err(Error::io(IoAction::Rename, &target, error.error)),
        }
        let synced = sync_dir(&target).and_then(|()| made_dirs.sync());
        made_dirs.keep();
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

/// How the name of each temporary file begins and ends.
const TEMPORARY: (&str, &str) = (".patchwork-traces-", ".part");

pub(crate) fn dir_of(file: &Path) -> &Path {
    file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file in `dir`, mode 0600, that the system locks.
pub(crate) fn temporary_in(dir: &Path) -> io::Result<NamedTempFile> {
    loop {
        let temporary = tempfile::Builder::new().prefix(TEMPORARY.0).suffix(TEMPORARY.1).tempfile_in(dir)?;
        // Where the system has no such locks, nobody removes what he cannot lock.
        let lock = temporary.as_file().try_lock();
        // Else somebody took it for dead before it was locked.
        if !matches!(lock, Err(TryLockError::WouldBlock)) && temporary.path().exists() {
            return Ok(temporary);
        }
    }
}

/// Removes the temporary files that killed programs have left in `dir`, and says which those were. What cannot be
/// removed is left for the next time.
pub(crate) fn clean_up(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let ours = entries.flatten().filter(|entry| is_temporary(&entry.file_name())).map(|entry| entry.path());
    let files = ours.filter(|path| path.symlink_metadata().is_ok_and(|there| there.is_file()));
    // A FIFO that takes the place of a file meanwhile is refused without waiting for its other end.
    let is_dead = |path: &PathBuf| open_regular_no_follow(path).is_ok_and(|left| left.file().try_lock().is_ok());
    files.filter(|path| is_dead(path) && fs::remove_file(path).is_ok()).collect()
}

fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(TEMPORARY.0.as_bytes()) && name.ends_with(TEMPORARY.1.as_bytes())
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

/// Makes the new name of `file` last through a power cut.
#[cfg(unix)]
pub(crate) fn sync_dir(file: &Path) -> Result<()> {
    let dir = dir_of(file);
    match fs::File::open(dir).and_then(|dir| dir.sync_all()) {
        // Some file systems cannot sync directories.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced.map_err(|error| Error::io(IoAction::Write, dir, error)),
    }
}

#[cfg(not(unix))]
pub(crate) fn sync_dir(_: &Path) -> Result<()> {
    Ok(())
}

/// Directories that were made for a file. They go again if it never appears.
#[derive(Debug, Default)]
pub(crate) struct CreatedDirs(Vec<PathBuf>);

impl CreatedDirs {
    pub(crate) fn make(dir: &Path) -> Result<Self> {
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
            make_private_dir(dir).map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => Error::io(IoAction::Write, dir_of(dir), error),
                _ => Error::io(IoAction::Create, dir, error),
            })?;
            made.0.push(dir.to_owned());
        }
        Ok(made)
    }

    /// Each of them, after those in which it lies.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }

    /// Makes their names last through a power cut.
    pub(crate) fn sync(&self) -> Result<()> {
        self.0.iter().try_for_each(|dir| sync_dir(dir))
    }

    pub(crate) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for CreatedDirs {
    fn drop(&mut self) {
        for dir in self.0.iter().rev() {
            // What cannot be removed is not empty any more: somebody uses it.
            let _ = fs::remove_dir(dir);
        }
    }
}

/// Creates a directory into which only its owner may look.
#[cfg(unix)]
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(dir)
}

/// Who may look into it follows from the directory above.
#[cfg(not(unix))]
fn make_private_dir(dir: &Path) -> io::Result<()> {
    std::fs::create_dir(dir)
}
