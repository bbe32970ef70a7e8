//! A directory that is kept open, so that paths through it always lead to the same directory.
//!
//! `/proc/self/fd/N/name` is the entry `name` of the open directory `N`, even if the directory was
//! moved or replaced. Only Linux has such paths.

use std::path::{Path, PathBuf};

/// An open directory.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "other systems cannot pin a directory"))]
pub struct PinnedDir {
    #[cfg(target_os = "linux")]
    dir: super::resolve::Dir,
    #[cfg(not(target_os = "linux"))]
    dir: std::convert::Infallible,
    path: PathBuf,
}

impl PinnedDir {
    /// Returns the path that leads to the directory while it is pinned.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::Metadata;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    use std::path::{Path, PathBuf};

    use rustix::fs::Mode;

    use super::PinnedDir;
    use crate::error::{Error, ErrorKind, Result};
    use crate::import::resolve::Dir;
    use crate::util::file_identity::is_same_file;

    impl PinnedDir {
        /// Pins an open directory.
        ///
        /// # Errors
        /// [`ErrorKind::ProcNotMounted`].
        pub fn new(dir: Dir) -> Result<Self> {
            let path = PathBuf::from(format!("/proc/self/fd/{}", dir.handle.as_raw_fd()));
            match std::fs::metadata(&path).is_ok_and(|existing| is_same_file(&existing, &dir.metadata)) {
                true => Ok(Self { dir, path }),
                false => Err(Error::from(ErrorKind::ProcNotMounted).in_subject(&dir.path.display().to_string())),
            }
        }

        /// Pins the directory `name` in this one, unless that is a symlink.
        pub fn child(&self, name: &Path) -> io::Result<Self> {
            let dir = Dir::at(&self.path.join(name), self.dir.path.join(name))?;
            Self::new(dir).map_err(io::Error::from)
        }

        /// Converts a path through this directory to the path that users know. Returns `None` for
        /// other paths.
        pub fn real_path(&self, path: &Path) -> Option<PathBuf> {
            let below = path.strip_prefix(&self.path).ok()?;
            Some(if below.as_os_str().is_empty() { self.dir.path.clone() } else { self.dir.path.join(below) })
        }

        pub fn is(&self, dir: &Dir) -> bool {
            is_same_file(&self.dir.metadata, &dir.metadata)
        }

        pub fn metadata(&self) -> &Metadata {
            &self.dir.metadata
        }

        /// Returns true if the importing user owns the directory, and no other user may access it.
        pub fn is_private(&self) -> bool {
            let existing = &self.dir.metadata;
            let is_others = Mode::from_raw_mode(existing.mode()).intersects(Mode::RWXG | Mode::RWXO);
            existing.uid() == rustix::process::geteuid().as_raw() && !is_others
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl PinnedDir {
    pub fn child(&self, _: &Path) -> std::io::Result<Self> {
        match self.dir {}
    }

    pub fn real_path(&self, _: &Path) -> Option<PathBuf> {
        match self.dir {}
    }

    pub fn is_private(&self) -> bool {
        match self.dir {}
    }
}
