//! Opens regular files without ever waiting: a FIFO in the place of a file would block an ordinary open until another
//! process opens its other end.

use std::path::Path;

use fs_err as fs;

use crate::error::{Error, ErrorKind, IoAction, Result};

/// Opens the regular file at `path` for reading. Follows symlinks.
///
/// # Errors
/// [`ErrorKind::NotAFile`] for anything but a regular file (a FIFO is refused at once), and what the system reports.
pub(crate) fn open_regular(path: &Path) -> Result<fs::File> {
    open(path, Links::Follow)
}

/// Opens the regular file at `path` for reading, unless it is a symlink.
///
/// # Errors
/// As [`open_regular`], also for a symlink.
pub(crate) fn open_regular_no_follow(path: &Path) -> Result<fs::File> {
    open(path, Links::Refuse)
}

/// The treatment of a symlink at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    Follow,
    Refuse,
}

fn open(path: &Path, links: Links) -> Result<fs::File> {
    let failed = |error| Error::io(IoAction::Open, path, error);
    let not_a_file = || Error::from(ErrorKind::NotAFile).in_subject(&path.display().to_string());
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    set_flags(&mut options, links);
    let file = match options.open(path) {
        Ok(file) => file,
        // A socket can't be opened at all, and a symlink isn't when it is refused.
        Err(_) if is_other_than_file(path, links) => return Err(not_a_file()),
        Err(error) => return Err(failed(error)),
    };
    let is_refused_link = !cfg!(unix) && links == Links::Refuse && path.is_symlink();
    match file.metadata().map_err(failed)?.is_file() && !is_refused_link {
        true => Ok(file),
        false => Err(not_a_file()),
    }
}

/// Makes an open return at once where it would wait (the standard library adds `O_CLOEXEC`).
#[cfg(unix)]
fn set_flags(options: &mut fs::OpenOptions, links: Links) {
    use rustix::fs::OFlags;
    let no_follow = if links == Links::Refuse { OFlags::NOFOLLOW } else { OFlags::empty() };
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | no_follow;
    fs_err::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits().cast_signed());
}

fn is_other_than_file(path: &Path, links: Links) -> bool {
    let found = match links {
        Links::Follow => fs::metadata(path),
        Links::Refuse => fs::symlink_metadata(path),
    };
    found.is_ok_and(|found| !found.is_file())
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_a_fifo_never_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
        let _socket = UnixListener::bind(path("socket")).unwrap();
        std::fs::write(path("file"), "{}\n").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        std::os::unix::fs::symlink("fifo", path("link-to-fifo")).unwrap();
        let refused = |result: Result<fs::File>| match result {
            Ok(_) => false,
            Err(error) => matches!(error.kind(), ErrorKind::NotAFile),
        };
        for name in ["fifo", "socket", "link-to-fifo", "."] {
            assert!(refused(open_regular(&path(name))), "{name}");
            assert!(refused(open_regular_no_follow(&path(name))), "{name}");
        }
        assert!(open_regular(&path("file")).is_ok() && open_regular(&path("link")).is_ok());
        assert!(open_regular_no_follow(&path("file")).is_ok());
        assert!(refused(open_regular_no_follow(&path("link"))));
        let missing = open_regular(&path("missing")).unwrap_err();
        assert!(matches!(missing.kind(), ErrorKind::Io { action: IoAction::Open, .. }), "{missing}");
    }
}
