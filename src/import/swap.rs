//! Replaces a log with a staged file in one step.
//!
//! A rename can succeed and still report an error: a network file system repeats a request whose
//! reply was lost. So the file that is at the path afterwards decides, not the reported result.

use std::io;
use std::path::Path;

use fs_err as fs;
use tempfile::TempPath;

use crate::util::file_identity::is_at;

/// The maximum number of exchanges to get the newest file back into place.
const MAX_EXCHANGES: usize = 99;

/// The location of the replaced file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SwapOutcome {
    /// It is at the path where the new file was staged.
    Exchanged,
    /// It no longer has a name.
    Unlinked,
}

/// Moves `staged`, which is open as `ours`, to `path`, where nothing may exist.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if something exists at `path`; the staged file is kept.
pub fn create(staged: &Path, ours: &fs::File, path: &Path) -> io::Result<()> {
    let created = TempPath::try_from_path(staged).and_then(|staged| {
        staged.persist_noclobber(path).map_err(|error| {
            // Dropping the path would remove the staged file.
            let _ = error.path.keep();
            error.error
        })
    });
    unless_renamed(created, ours, path)
}

/// Replaces the file at `path` with `staged`, which is open as `ours`. Keeps the replaced file at
/// `staged` if the system can exchange files.
pub fn replace(staged: &Path, ours: &fs::File, path: &Path) -> io::Result<SwapOutcome> {
    let exchanged = exchange(staged, path);
    match exchanged {
        Ok(true) => return Ok(SwapOutcome::Exchanged),
        Ok(false) => {}
        Err(error) => return unless_renamed(Err(error), ours, path).map(|()| SwapOutcome::Exchanged),
    }
    unless_renamed(fs::rename(staged, path), ours, path).map(|()| SwapOutcome::Unlinked)
}

/// Moves the file at `staged` back to `path`, because a writer had put it there just before ours
/// replaced it. If a writer has meanwhile put another file at `path`, the newest one stays.
pub fn take_back(staged: &Path, ours: fs::File, path: &Path) -> io::Result<()> {
    let mut put_last = ours;
    for _ in 0..MAX_EXCHANGES {
        let theirs = fs::File::open(staged)?;
        match exchange(staged, path) {
            Ok(true) if is_at(&put_last, staged) => return Ok(()),
            // The file that was taken out is newer than the one that was put back.
            Ok(true) => put_last = theirs,
            // If the two can't be exchanged, the writer's file is renamed over ours, so that it is
            // not removed with the staging directory.
            Ok(false) | Err(_) => return fs::rename(staged, path),
        }
    }
    Ok(())
}

/// Treats a failed rename as successful if `file` is at `path`.
fn unless_renamed(renamed: io::Result<()>, file: &fs::File, path: &Path) -> io::Result<()> {
    match renamed {
        Err(_) if is_at(file, path) => Ok(()),
        renamed => renamed,
    }
}

/// Exchanges two files. Returns false, having changed nothing, if the system does not support that.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        // Seccomp filters return PERM.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::PERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn exchange(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_successful_rename_that_reports_an_error_counts_as_done() {
        let dir = tempfile::tempdir().unwrap();
        let (staged, path) = (dir.path().join("staged"), dir.path().join("log"));
        fs::write(&staged, "new").unwrap();
        let ours = fs::File::open(&staged).unwrap();
        let failure = || Err(io::Error::other("the answer was lost"));
        assert!(unless_renamed(failure(), &ours, &path).is_err(), "no file is there");
        fs::write(&path, "old").unwrap();
        assert!(unless_renamed(failure(), &ours, &path).is_err(), "another file is there");
        fs::rename(&staged, &path).unwrap();
        assert!(unless_renamed(failure(), &ours, &path).is_ok());
    }

    #[test]
    fn an_existing_file_and_the_staged_log_both_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (staged, path) = (dir.path().join("staged"), dir.path().join("log"));
        fs::write(&staged, "new").unwrap();
        fs::write(&path, "old").unwrap();
        let ours = fs::File::open(&staged).unwrap();
        assert_eq!(create(&staged, &ours, &path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(
            (fs::read_to_string(&staged).unwrap(), fs::read_to_string(&path).unwrap()),
            ("new".into(), "old".into())
        );
        fs::remove_file(&path).unwrap();
        create(&staged, &ours, &path).unwrap();
        assert!(is_at(&ours, &path) && !staged.exists());
    }

    #[test]
    fn a_replaced_file_can_be_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let (staged, path) = (dir.path().join("staged"), dir.path().join("log"));
        fs::write(&staged, "new").unwrap();
        fs::write(&path, "old").unwrap();
        let (ours, theirs) = (fs::File::open(&staged).unwrap(), fs::File::open(&path).unwrap());
        if replace(&staged, &ours, &path).unwrap() == SwapOutcome::Exchanged {
            assert!(is_at(&theirs, &staged));
            take_back(&staged, ours.try_clone().unwrap(), &path).unwrap();
            assert!(is_at(&theirs, &path) && is_at(&ours, &staged));
        }
    }

    #[test]
    fn the_newest_file_stays_if_a_writer_replaces_ours_before_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let (staged, path) = (dir.path().join("staged"), dir.path().join("log"));
        fs::write(&staged, "ours").unwrap();
        fs::write(&path, "older").unwrap();
        let ours = fs::File::open(&staged).unwrap();
        if replace(&staged, &ours, &path).unwrap() == SwapOutcome::Exchanged {
            fs::write(dir.path().join("tmp"), "newest").unwrap();
            fs::rename(dir.path().join("tmp"), &path).unwrap();
            take_back(&staged, ours, &path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "newest");
        }
    }
}
