//! Tells whether two paths or two observations refer to the same file.

use std::fs::Metadata;
use std::path::Path;
use std::time::SystemTime;

use fs_err as fs;
use serde::{Deserialize, Serialize};

/// Returns true if two metadata reads of a path saw the same file.
///
/// A system may reuse the inode number of a removed file immediately, so the answer is certain only
/// while one of the two files is held open. Otherwise the creation time tells two files apart, on
/// file systems that record it.
#[cfg(unix)]
pub fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino()) && a.created().ok() == b.created().ok()
}

/// Returns false if two metadata reads of a path saw different files. Two files that were created
/// at the same moment are not told apart.
#[cfg(not(unix))]
pub fn is_same_file(a: &Metadata, b: &Metadata) -> bool {
    a.created().ok() == b.created().ok()
}

/// Returns true if two metadata reads of a path saw the same file in the same state: its length and
/// timestamps are equal.
pub fn is_unchanged(a: &Metadata, b: &Metadata) -> bool {
    is_same_file(a, b)
        && a.len() == b.len()
        && a.modified().ok() == b.modified().ok()
        && status_changed(a) == status_changed(b)
}

/// The identity, length and timestamps of a file, for comparison in a later run of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// The creation time, on file systems that record it.
    created: Option<SystemTime>,
}

impl FileState {
    /// Returns true if both are states of one file, which may have changed.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode, self.created) == (other.device, other.inode, other.created)
    }

    /// Returns the state of a file. `None` on systems without a status change time, which programs
    /// cannot set.
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

/// Returns the status change time of a file in seconds and nanoseconds since 1970. Only Unix has
/// one.
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

/// Returns the file index and creation time of an open file. Files on different volumes are
/// unlikely to share both. The volume is not compared because Wine does not report it for a file
/// that was renamed while open.
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
