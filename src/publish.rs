//! Puts a finished file in its place: all of it, or nothing.
//!
//! What is written goes to a temporary file beside the target. Only [`PendingFile::finish`] makes it appear there.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::NamedTempFile;

use crate::error::{Error, ErrorKind, IoAction, Result};

/// Where a file is to appear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A regular file, which is replaced only when that was allowed.
    File {
        /// Its place, with links followed.
        path: PathBuf,
        /// Whether a file that is there may be replaced.
        replace: bool,
    },
    /// A pipe or device, which is written to as it is.
    Stream(PathBuf),
}

impl Target {
    /// Looks at what is at `path` now. A link is followed.
    ///
    /// # Errors
    /// [`ErrorKind::TargetIsDirectory`], and [`ErrorKind::TargetExists`] unless `replace`.
    pub fn look(path: &Path, replace: bool) -> Result<Self> {
        let refuse = |kind: ErrorKind| Err(Error::from(kind).in_subject(&path.display().to_string()));
        let path_given = path.to_owned();
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => refuse(ErrorKind::TargetIsDirectory),
            Ok(there) if !there.is_file() => Ok(Self::Stream(path_given)),
            Ok(_) if !replace => refuse(ErrorKind::TargetExists),
            Ok(_) => {
                let path = fs::canonicalize(path).map_err(|error| Error::io(IoAction::Open, path, error))?;
                Ok(Self::File { path, replace })
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(IoAction::Open, path, error)),
            // Also a link to nowhere is something that is there.
            Err(_) if !replace && fs::symlink_metadata(path).is_ok() => refuse(ErrorKind::TargetExists),
            Err(_) => Ok(Self::File { path: path_given, replace }),
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
pub struct PendingFile {
    temporary: NamedTempFile,
    target: PathBuf,
    replace: bool,
    made_dirs: MadeDirs,
}

impl PendingFile {
    /// Starts the file that is to appear at `target`, mode 0600, and makes the directories that it needs, mode 0700.
    ///
    /// # Errors
    /// When a directory or the temporary file cannot be created.
    pub fn create(target: &Path, replace: bool) -> Result<Self> {
        let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let made_dirs = MadeDirs::make(dir)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let temporary = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .suffix(".tmp")
            .tempfile_in(dir)
            .map_err(|error| Error::io(IoAction::Create, target, error))?;
        Ok(Self { temporary, target: target.to_owned(), replace, made_dirs })
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
    pub fn finish(self) -> Result<()> {
        let Self { temporary, target, replace, made_dirs } = self;
        temporary.as_file().sync_all().map_err(|error| Error::io(IoAction::Write, &target, error))?;
        let put = if replace { temporary.persist(&target) } else { temporary.persist_noclobber(&target) };
        match put {
            Ok(_) => made_dirs.keep(),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::from(ErrorKind::TargetExists).in_subject(&target.display().to_string()));
            }
            Err(error) => return Err(Error::io(IoAction::Rename, &target, error.error)),
        }
        sync_dir(&target)
    }
}

impl Write for PendingFile {
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
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| Error::io(IoAction::Write, dir, error))
}

#[cfg(not(unix))]
pub(crate) fn sync_dir(_: &Path) -> Result<()> {
    Ok(())
}

/// Directories that were made for a file. They go again if it never appears.
#[derive(Debug, Default)]
pub(crate) struct MadeDirs(Vec<PathBuf>);

impl MadeDirs {
    pub(crate) fn make(dir: &Path) -> Result<Self> {
        let mut missing: Vec<_> =
            dir.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
        missing.reverse();
        let mut made = Self::default();
        for dir in missing {
            make_private_dir(dir).map_err(|error| Error::io(IoAction::Create, dir, error))?;
            made.0.push(dir.to_owned());
        }
        Ok(made)
    }

    /// Makes their names last through a power cut.
    pub(crate) fn sync(&self) -> Result<()> {
        self.0.iter().try_for_each(|dir| sync_dir(dir))
    }

    pub(crate) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for MadeDirs {
    fn drop(&mut self) {
        for dir in self.0.iter().rev() {
            // What cannot be removed is not empty any more: somebody uses it.
            let _ = fs::remove_dir(dir);
        }
    }
}

#[cfg(unix)]
fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).create(dir)
}

/// Who may look into it follows from the directory above.
#[cfg(not(unix))]
fn make_private_dir(dir: &Path) -> io::Result<()> {
    std::fs::create_dir(dir)
}
