//! The directories of an import: resolved safely, created if missing, and pinned if another user
//! could replace them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;

use super::pinned::PinnedDir;
use crate::error::{Error, ErrorKind, IoAction, Result};

/// A path to use, and the pinned directory that it leads through, if any.
#[derive(Debug)]
pub struct Located {
    pub path: PathBuf,
    pub pin: Option<Arc<PinnedDir>>,
}

/// The pinned directories of one import. On drop, those that were created are removed if they are
/// empty.
#[derive(Debug)]
pub struct Pins {
    /// True if missing directories are created. False in a dry run.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing is pinned"))]
    creates: bool,
    dirs: Vec<Arc<PinnedDir>>,
    created: Vec<PathBuf>,
}

impl Pins {
    /// Creates an empty set of pins. Missing directories are created if `creates` is true.
    pub fn new(creates: bool) -> Self {
        Self { creates, dirs: Vec::new(), created: Vec::new() }
    }

    /// Converts a path through a pinned directory to the path that users know. Returns other paths
    /// as they are.
    pub fn real_path(&self, path: &Path) -> PathBuf {
        // The newest pin counts, because its descriptor number may have belonged to another
        // directory earlier.
        self.dirs.iter().rev().find_map(|pin| pin.real_path(path)).unwrap_or_else(|| path.to_owned())
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        for dir in self.created.iter().rev() {
            // A directory that can't be removed is no longer empty, so it is in use.
            let _ = fs::remove_dir(dir);
        }
    }
}

/// Returns the path of a file with all symlinks followed. The file need not exist.
fn followed(path: &Path) -> Result<PathBuf> {
    let refuse = |kind: ErrorKind| Error::from(kind).in_subject(&path.display().to_string());
    match fs::metadata(path) {
        Ok(existing) if existing.is_file() => {
            fs::canonicalize(path).map_err(|error| Error::io(IoAction::Open, path, error))
        }
        Ok(_) => Err(refuse(ErrorKind::NotAFile)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
            Ok(to) => Err(refuse(ErrorKind::DanglingLink { to })),
            Err(_) => Ok(path.to_owned()),
        },
        Err(error) => Err(Error::io(IoAction::Open, path, error)),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsStr;
    use std::path::Path;
    use std::sync::Arc;

    use fs_err as fs;
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    use super::{Located, Pins, followed};
    use crate::error::{Error, ErrorKind, IoAction, Result};
    use crate::import::owner::give_dir;
    use crate::import::pinned::PinnedDir;
    use crate::import::resolve::{Dir, Resolved, resolve_dir, resolve_file};
    use crate::import::staging::{NEW_DIR, StagingDir};
    use crate::util::atomic_file::{make_private_dir, sync_dir};

    /// The maximum number of attempts to create a directory that another user keeps removing.
    const MAX_CREATIONS: usize = 100;

    impl Pins {
        /// Locates a directory.
        ///
        /// # Errors
        /// [`ErrorKind::ForeignLink`] and [`ErrorKind::ProcNotMounted`].
        pub fn dir(&mut self, dir: &Path) -> Result<Located> {
            let is_pinned = self.create_exposed(|| resolve_dir(dir))?;
            Ok(is_pinned.unwrap_or_else(|| Located { path: dir.to_owned(), pin: None }))
        }

        /// Locates a directory if it exists and may be used.
        pub fn existing_dir(&mut self, dir: &Path) -> Option<Located> {
            let Resolved { dir: existing, missing, is_exposed } = resolve_dir(dir).ok()?;
            match (missing.is_empty(), is_exposed) {
                (false, _) => None,
                (true, false) => Some(Located { path: dir.to_owned(), pin: None }),
                (true, true) => {
                    let pin = self.pin(existing).ok()?;
                    Some(Located { path: pin.path().to_owned(), pin: Some(pin) })
                }
            }
        }

        /// Locates a file.
        ///
        /// # Errors
        /// As [`dir`](Self::dir), [`ErrorKind::DanglingLink`] and [`ErrorKind::NotAFile`].
        pub fn file(&mut self, path: &Path) -> Result<Located> {
            let mut name = None;
            let resolve = || {
                let resolved = resolve_file(path)?;
                name = Some(resolved.name);
                Ok(resolved.parent)
            };
            match (self.create_exposed(resolve)?, name) {
                (Some(dir), Some(name)) => Ok(Located { path: dir.path.join(name), ..dir }),
                _ => Ok(Located { path: followed(path)?, pin: None }),
            }
        }

        /// Pins the directory that `resolve` finds, and creates missing directories. Returns `None`
        /// if no other user can change its path.
        fn create_exposed(&mut self, mut resolve: impl FnMut() -> Result<Resolved>) -> Result<Option<Located>> {
            for _ in 0..MAX_CREATIONS {
                let Resolved { dir, missing, is_exposed } = resolve()?;
                if !is_exposed {
                    return Ok(None);
                }
                let pin = self.pin(dir)?;
                match missing.first() {
                    Some(name) if self.creates => self.create(&pin, name)?,
                    _ => {
                        let path = missing.iter().fold(pin.path().to_owned(), |path, name| path.join(name));
                        return Ok(Some(Located { path, pin: Some(pin) }));
                    }
                }
            }
            Err(ErrorKind::LogKeepsChanging.into())
        }

        fn pin(&mut self, dir: Dir) -> Result<Arc<PinnedDir>> {
            if let Some(pin) = self.dirs.iter().find(|pin| pin.is(&dir)) {
                return Ok(Arc::clone(pin));
            }
            let pin = Arc::new(PinnedDir::new(dir)?);
            self.dirs.push(Arc::clone(&pin));
            Ok(pin)
        }

        /// Creates a directory that belongs to the owner of its parent. The new directory changes
        /// its owner inside a private directory, where no other user can replace it, and is then
        /// moved to its place.
        fn create(&mut self, parent: &PinnedDir, name: &OsStr) -> Result<()> {
            let path = parent.path().join(name);
            let failed = |error: std::io::Error| Error::io(IoAction::Create, &path, error);
            let private = StagingDir::create(parent.path(), Some(parent))?;
            let new = private.path().join(NEW_DIR);
            make_private_dir(&new).map_err(failed)?;
            let opened = fs::File::open(&new).map_err(failed)?;
            give_dir(&opened, parent.metadata()).map_err(failed)?;
            let renamed = match renameat_with(CWD, &new, CWD, &path, RenameFlags::NOREPLACE) {
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => fs::rename(&new, &path),
                renamed => renamed.map_err(Into::into),
            };
            match renamed {
                Ok(()) => self.created.push(path.clone()),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(error)),
            }
            sync_dir(&path)
        }
    }

    impl Located {
        /// Returns true if the file at `path` is still the one that was located.
        pub fn is_file_at(&self, path: &Path) -> Result<bool> {
            let Some(pin) = &self.pin else { return Ok(followed(path)? == self.path) };
            let now = resolve_file(path)?;
            let is_name = self.path.file_name() == Some(now.name.as_os_str());
            Ok(is_name && now.parent.missing.is_empty() && pin.is(&now.parent.dir))
        }

        /// Returns true if the directory at `path` is still the one that was located.
        pub fn is_dir_at(&self, path: &Path) -> Result<bool> {
            let Some(pin) = &self.pin else { return Ok(true) };
            let now = resolve_dir(path)?;
            Ok(now.missing.is_empty() && pin.is(&now.dir))
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Pins {
    /// Locates a directory.
    ///
    /// # Errors
    /// [`ErrorKind::ForeignLink`].
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "it fails and pins on other systems")]
    pub fn dir(&mut self, dir: &Path) -> Result<Located> {
        #[cfg(unix)]
        super::resolve::resolve_dir(dir)?;
        Ok(Located { path: dir.to_owned(), pin: None })
    }

    /// Locates a directory if it may be used.
    pub fn existing_dir(&mut self, dir: &Path) -> Option<Located> {
        self.dir(dir).ok()
    }

    /// Locates a file.
    ///
    /// # Errors
    /// As [`dir`](Self::dir), [`ErrorKind::DanglingLink`] and [`ErrorKind::NotAFile`].
    #[allow(clippy::unused_self, reason = "it pins on Linux")]
    pub fn file(&mut self, path: &Path) -> Result<Located> {
        #[cfg(unix)]
        super::resolve::resolve_file(path)?;
        Ok(Located { path: followed(path)?, pin: None })
    }
}

#[cfg(not(target_os = "linux"))]
impl Located {
    /// Returns true if the file at `path` is still the one that was located.
    pub fn is_file_at(&self, path: &Path) -> Result<bool> {
        Ok(followed(path)? == self.path)
    }

    /// Returns true if the directory at `path` is still the one that was located.
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "it can fail where directories are pinned")]
    pub fn is_dir_at(&self, _: &Path) -> Result<bool> {
        Ok(true)
    }
}
