//! Tells whether two observations saw the same file.

use std::fs::Metadata;
use std::path::Path;
use std::time::SystemTime;

use fs_err as fs;
use serde::{Deserialize, Serialize};

/// Returns true if two metadata reads of a path saw the same file.
///
/// A system may reuse the inode number of a removed file at once, so the answer is certain only while one of the
/// two files is held open. Otherwise the creation time tells them apart, where the file system has one.
#[cfg(unix)]
pub fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino()) && a.created().ok() == b.created().ok()
}

/// Other systems compare the creation time, which two files have in common that were created at the same moment: this can only
/// tell that a path has another file now.
#[cfg(not(unix))]
pub fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    a.created().ok() == b.created().ok()
}

/// Returns true if two metadata reads of a path saw the same file in the same state: nothing was written to it in
/// between, as far as its length and timestamps tell.
pub fn is_unchanged(a: &Metadata, b: &Metadata) -> bool {
    is_same_file(a, b)
        && a.len() == b.len()
        && a.modified().ok() == b.modified().ok()
        && status_changed(a) == status_changed(b)
}

/// The state of a file, to be compared in another run of the program: its identity, its length and its timestamps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// The time of its creation, where the file system has one.
    created: Option<SystemTime>,
}

impl FileState {
    /// Returns true if both are states of one file, which may have changed.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode, self.created) == (other.device, other.inode, other.created)
    }

    /// Returns the state of a file. `None` on systems that do not tell the time of the last change of its attributes, which
    /// no program can set back.
    #[cfg(unix)]
    #[allow(clippy::unnecessary_wraps, reason = "other systems have none")]
    pub fn of(file: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
            created: file.created().ok(),
        })
    }

    #[cfg(not(unix))]
    pub fn of(_: &Metadata) -> Option<Self> {
        None
    }
}

/// Returns the time of the last change of a file or its attributes, in seconds and nanoseconds since 1970. Systems
/// other than Unix have none.
#[cfg(unix)]
fn status_changed(file: &Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt;
    (file.ctime(), file.ctime_nsec())
}

#[cfg(not(unix))]
fn status_changed(_: &Metadata) -> (i64, i64) {
    (0, 0)
}

/// Returns true if `file`, which is open, is the one at `path`. On Unix, a symlink is not followed.
pub fn is_at(file: &fs::File, path: &Path) -> bool {
    #[cfg(windows)]
    return is_one_file(identity(file.file()), identity_at(path));
    #[cfg(not(windows))]
    return is_same(file.metadata(), fs::symlink_metadata(path));
}

/// Returns true if two paths name the same file. On Unix, symlinks are not followed.
pub fn is_link_of(one: &Path, other: &Path) -> bool {
    #[cfg(windows)]
    return is_one_file(identity_at(one), identity_at(other));
    #[cfg(not(windows))]
    return is_same(fs::symlink_metadata(one), fs::symlink_metadata(other));
}

/// Returns true if two paths lead to the same file, by symlinks or hard links.
pub fn lead_to_same_file(one: &Path, other: &Path) -> bool {
    #[cfg(windows)]
    return is_link_of(one, other);
    #[cfg(not(windows))]
    return is_same(fs::metadata(one), fs::metadata(other));
}

#[cfg(not(windows))]
fn is_same(a: std::io::Result<Metadata>, b: std::io::Result<Metadata>) -> bool {
    matches!((a, b), (Ok(a), Ok(b)) if is_same_file(&a, &b))
}

/// Returns the index of an open file on its volume, and the time of its creation. Files on two volumes do not have both in
/// common; and Wine does not tell the volume of a file that was renamed while it was open.
#[cfg(windows)]
fn identity(file: &std::fs::File) -> Option<(u64, Option<u64>)> {
    let information = winapi_util::file::information(file).ok()?;
    Some((information.file_index(), information.creation_time()))
}

#[cfg(windows)]
fn identity_at(path: &Path) -> Option<(u64, Option<u64>)> {
    identity(&std::fs::File::open(path).ok()?)
}

#[cfg(windows)]
fn is_one_file<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.is_some() && one == other
}
