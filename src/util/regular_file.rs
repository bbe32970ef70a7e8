//! Opens regular files that another user may replace at any moment. Never blocks: a FIFO in place
//! of the file would make an ordinary open wait until another process opens its other end.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use fs_err as fs;

use crate::error::{Error, ErrorKind};

/// The treatment of a symlink in the last component of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    Follow,
    Refuse,
}

/// Opens the regular file at `path` for reading. Follows symlinks.
///
/// # Errors
/// [`ErrorKind::NotAFile`], inside the [`io::Error`], for a FIFO, a directory or the like.
pub fn open(path: &Path) -> io::Result<fs::File> {
    open_with(path, OpenOptions::new().read(true), Links::Follow)
}

/// Opens the regular file at `path` for reading, unless it is a symlink.
///
/// # Errors
/// As [`open`], also for a symlink.
pub fn open_no_follow(path: &Path) -> io::Result<fs::File> {
    open_with(path, OpenOptions::new().read(true), Links::Refuse)
}

/// Opens the regular file at `path` for reading and appending, unless it is a symlink.
///
/// # Errors
/// As [`open_no_follow`].
pub fn open_to_append(path: &Path) -> io::Result<fs::File> {
    open_with(path, OpenOptions::new().read(true).append(true), Links::Refuse)
}

fn open_with(path: &Path, options: &mut OpenOptions, links: Links) -> io::Result<fs::File> {
    let not_a_file = || io::Error::from(Error::from(ErrorKind::NotAFile).in_subject(&path.display().to_string()));
    #[cfg(unix)]
    set_flags(options, links);
    let file = match fs::OpenOptions::from_options(options.clone()).open(path) {
        Ok(file) => file,
        // Opening a socket always fails, and opening a symlink fails if links are refused.
        Err(_) if is_other_than_file(path, links) => return Err(not_a_file()),
        Err(error) => return Err(error),
    };
    let is_refused_link = !cfg!(unix) && links == Links::Refuse && path.is_symlink();
    match file.metadata()?.is_file() && !is_refused_link {
        true => Ok(file),
        false => Err(not_a_file()),
    }
}

/// Makes an open fail or return instead of blocking (the standard library adds `O_CLOEXEC`).
#[cfg(unix)]
fn set_flags(options: &mut OpenOptions, links: Links) {
    use rustix::fs::OFlags;

    let no_follow = if links == Links::Refuse { OFlags::NOFOLLOW } else { OFlags::empty() };
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | no_follow;
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits().cast_signed());
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
    use crate::error::IoAction;

    #[test]
    fn only_regular_files_are_opened_and_a_fifo_never_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        assert!(Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
        let _socket = UnixListener::bind(path("socket")).unwrap();
        std::fs::write(path("file"), "{}\n").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        std::os::unix::fs::symlink("fifo", path("link-to-fifo")).unwrap();
        let refused = |result: io::Result<fs::File>| match result {
            Ok(_) => false,
            Err(error) => matches!(Error::io_unnamed(IoAction::Open, error).kind(), ErrorKind::NotAFile),
        };
        for name in ["fifo", "socket", "link-to-fifo", "."] {
            assert!(refused(open(&path(name))), "{name}");
            assert!(refused(open_no_follow(&path(name))), "{name}");
            assert!(refused(open_to_append(&path(name))), "{name}");
        }
        assert!(open(&path("file")).is_ok() && open(&path("link")).is_ok());
        for refuses_links in [open_no_follow, open_to_append] {
            assert!(refuses_links(&path("file")).is_ok());
            assert!(refused(refuses_links(&path("link"))));
        }
        assert_eq!(open(&path("missing")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
