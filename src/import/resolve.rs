//! Resolves a path one directory at a time, and follows a symlink only if its owner may choose
//! where an import writes.
//!
//! A user must not be able to redirect an import from that user's directory to another place. So a
//! symlink is followed only if it belongs to the importing user or to root, or if it leads to
//! another name in its own directory. On Linux, each directory stays open from its check until the
//! next one is opened relative to it, so that no other user can replace a directory between its
//! check and its use.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, ErrorKind, IoAction, Result};

/// The maximum number of symlinks to follow, as in the system.
const MAX_LINKS: u32 = 40;

/// The write permissions of the group and of others.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The sticky bit: only the owner of a file in the directory can rename or remove it.
const STICKY: u32 = 0o1000;

/// The resolved path of a directory.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "it is only checked"))]
pub struct Resolved {
    /// The last directory on the path that exists.
    pub dir: Dir,
    /// The names of the directories below it, which do not exist.
    pub missing: Vec<OsString>,
    /// True if a user other than root and the importing user can change the path.
    pub is_exposed: bool,
}

/// The resolved path of a file: its directory, and its name in it.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "it is only checked"))]
pub struct ResolvedFile {
    pub parent: Resolved,
    pub name: OsString,
}

/// Resolves the path of a directory.
///
/// # Errors
/// [`ErrorKind::ForeignLink`].
pub fn resolve_dir(path: &Path) -> Result<Resolved> {
    let mut walk = Walk::start(path)?;
    walk.enter(path)?;
    Ok(walk.end())
}

/// Resolves the path of a regular file, which need not exist.
///
/// # Errors
/// [`ErrorKind::ForeignLink`], [`ErrorKind::DanglingLink`] and [`ErrorKind::NotAFile`].
pub fn resolve_file(path: &Path) -> Result<ResolvedFile> {
    let refuse = |kind: ErrorKind| Error::from(kind).in_subject(&path.display().to_string());
    let mut walk = Walk::start(path)?;
    let mut next = path.to_owned();
    let mut link = None;
    loop {
        let name = next.file_name().ok_or_else(|| refuse(ErrorKind::NotAFile))?.to_owned();
        walk.enter(next.parent().unwrap_or(Path::new("")))?;
        match walk.entry(&name)? {
            Entry::Link { owner, to } => {
                next = walk.follow(&name, owner, to)?;
                link = Some(next.clone());
            }
            Entry::Nothing => match link {
                Some(to) => return Err(refuse(ErrorKind::DanglingLink { to })),
                None => return Ok(ResolvedFile { parent: walk.end(), name }),
            },
            Entry::File => return Ok(ResolvedFile { parent: walk.end(), name }),
            Entry::Dir(_) | Entry::Other => return Err(refuse(ErrorKind::NotAFile)),
        }
    }
}

/// A path that is being resolved.
struct Walk {
    dir: Dir,
    missing: Vec<OsString>,
    is_exposed: bool,
    links: u32,
    user: u32,
}

impl Walk {
    /// Starts at the root, or in the working directory if `path` is relative.
    fn start(path: &Path) -> Result<Self> {
        let failed = |error| Error::io(IoAction::Open, path, error);
        let dir = Dir::root().map_err(failed)?;
        let user = rustix::process::geteuid().as_raw();
        let mut walk = Self { dir, missing: Vec::new(), is_exposed: false, links: 0, user };
        if path.is_relative() {
            walk.enter(&std::env::current_dir().map_err(failed)?)?;
        }
        Ok(walk)
    }

    fn end(mut self) -> Resolved {
        // In a sticky directory, other users cannot rename entries, but they can create them.
        self.is_exposed |= self.is_foreign(&self.dir) || self.dir.metadata.mode() & WRITABLE_BY_OTHERS != 0;
        Resolved { dir: self.dir, missing: self.missing, is_exposed: self.is_exposed }
    }

    fn enter(&mut self, path: &Path) -> Result<()> {
        for component in path.components() {
            match component {
                Component::Prefix(_) | Component::CurDir => {}
                Component::RootDir => {
                    self.dir = Dir::root().map_err(|error| Error::io(IoAction::Open, path, error))?;
                    self.missing.clear();
                }
                Component::ParentDir => {
                    if self.missing.pop().is_none() {
                        let above = self.dir.parent();
                        self.move_to(above.map_err(|error| Error::io(IoAction::Open, &self.dir.path, error))?);
                    }
                }
                Component::Normal(name) => match self.entry(name)? {
                    Entry::Nothing => self.missing.push(name.to_owned()),
                    Entry::Dir(dir) => self.move_to(dir),
                    Entry::Link { owner, to } => {
                        let to = self.follow(name, owner, to)?;
                        self.enter(&to)?;
                    }
                    Entry::File | Entry::Other => {
                        let error = io::ErrorKind::NotADirectory.into();
                        return Err(Error::io(IoAction::Open, self.dir.path.join(name), error));
                    }
                },
            }
        }
        Ok(())
    }

    fn entry(&self, name: &OsStr) -> Result<Entry> {
        if !self.missing.is_empty() {
            return Ok(Entry::Nothing);
        }
        match self.dir.entry(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Entry::Nothing),
            entry => entry.map_err(|error| Error::io(IoAction::Open, self.dir.path.join(name), error)),
        }
    }

    fn move_to(&mut self, dir: Dir) {
        let mode = self.dir.metadata.mode();
        self.is_exposed |= self.is_foreign(&self.dir) || mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY == 0;
        self.dir = dir;
    }

    /// Returns true if a directory belongs neither to root nor to the importing user.
    fn is_foreign(&self, dir: &Dir) -> bool {
        !self.is_trusted(dir.metadata.uid())
    }

    fn is_trusted(&self, user: u32) -> bool {
        user == 0 || user == self.user
    }

    /// Returns the target of the symlink `name`, if it may be followed.
    fn follow(&mut self, name: &OsStr, owner: u32, to: PathBuf) -> Result<PathBuf> {
        self.links += 1;
        let link = self.dir.path.join(name);
        // A user who can write to the root directory can replace everything anyway. In a container,
        // the owner of a link there may be unknown.
        let is_in_root = self.dir.path.parent().is_none();
        if !self.is_trusted(owner) && !is_in_root && !is_plain_name(&to) {
            return Err(Error::from(ErrorKind::ForeignLink { to }).in_subject(&link.display().to_string()));
        }
        match self.links > MAX_LINKS {
            true => Err(Error::io(IoAction::Open, &link, rustix::io::Errno::LOOP.into())),
            false => Ok(to),
        }
    }
}

/// Returns true if a symlink leads to another name in its own directory.
fn is_plain_name(to: &Path) -> bool {
    let mut components = to.components().filter(|component| *component != Component::CurDir);
    matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
}

/// The kind of a directory entry.
enum Entry {
    Nothing,
    Dir(Dir),
    Link {
        owner: u32,
        to: PathBuf,
    },
    File,
    /// A device, a pipe or the like.
    Other,
}

/// A directory without symlinks in its path.
#[derive(Debug)]
pub struct Dir {
    /// The open directory. It can only be used to reach its entries.
    #[cfg(target_os = "linux")]
    pub handle: std::fs::File,
    pub path: PathBuf,
    pub metadata: Metadata,
}

#[cfg(target_os = "linux")]
impl Dir {
    fn root() -> io::Result<Self> {
        Self::open(rustix::fs::CWD, Path::new("/"), PathBuf::from("/"))
    }

    fn parent(&self) -> io::Result<Self> {
        Self::open(&self.handle, Path::new(".."), self.path.parent().unwrap_or(&self.path).to_owned())
    }

    /// Opens the directory at `path`, unless that is a symlink.
    pub fn at(path: &Path, shown_as: PathBuf) -> io::Result<Self> {
        Self::open(rustix::fs::CWD, path, shown_as)
    }

    fn open(from: impl std::os::fd::AsFd, name: &Path, path: PathBuf) -> io::Result<Self> {
        use rustix::fs::{Mode, OFlags, openat};

        // DIRECTORY makes the system mount an automounted file system.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = std::fs::File::from(openat(from, name, flags, Mode::empty())?);
        Ok(Self { metadata: handle.metadata()?, handle, path })
    }

    fn entry(&self, name: &OsStr) -> io::Result<Entry> {
        use std::os::unix::ffi::OsStringExt;

        use rustix::fs::{Mode, OFlags, openat, readlinkat};

        match Self::open(&self.handle, Path::new(name), self.path.join(name)) {
            Ok(dir) => return Ok(Entry::Dir(dir)),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) => return Err(error),
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let existing = std::fs::File::from(openat(&self.handle, name, flags, Mode::empty())?);
        let metadata = existing.metadata()?;
        if metadata.is_symlink() {
            let to = readlinkat(&existing, "", Vec::new())?;
            let to = OsString::from_vec(to.into_bytes()).into();
            return Ok(Entry::Link { owner: metadata.uid(), to });
        }
        Ok(if metadata.is_file() { Entry::File } else { Entry::Other })
    }
}

#[cfg(not(target_os = "linux"))]
impl Dir {
    fn root() -> io::Result<Self> {
        Self::at(PathBuf::from("/"))
    }

    fn parent(&self) -> io::Result<Self> {
        Self::at(self.path.parent().unwrap_or(&self.path).to_owned())
    }

    fn at(path: PathBuf) -> io::Result<Self> {
        Ok(Self { metadata: path.symlink_metadata()?, path })
    }

    fn entry(&self, name: &OsStr) -> io::Result<Entry> {
        let path = self.path.join(name);
        let metadata = path.symlink_metadata()?;
        if metadata.is_symlink() {
            return Ok(Entry::Link { owner: metadata.uid(), to: path.read_link()? });
        }
        Ok(match (metadata.is_dir(), metadata.is_file()) {
            (true, _) => Entry::Dir(Self { path, metadata }),
            (_, true) => Entry::File,
            _ => Entry::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symlink_stays_in_its_directory_if_it_is_a_plain_name() {
        for (to, stays) in [
            ("real.jsonl", true),
            ("./real.jsonl", true),
            ("..", false),
            (".", false),
            ("", false),
            ("/real.jsonl", false),
            ("sub/real.jsonl", false),
            ("../dir/real.jsonl", false),
        ] {
            assert_eq!(is_plain_name(Path::new(to)), stays, "{to}");
        }
    }
}
