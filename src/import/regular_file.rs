//! Opens files that another user may replace at any moment, without following a symlink and without waiting for
//! the other end of a pipe.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use fs_err as fs;

use crate::error::{Error, ErrorKind};

/// Opens the regular file at `path` for reading.
///
/// # Errors
/// [`ErrorKind::NotAFile`], inside the [`io::Error`], for a symlink, a pipe, a directory or the like.
pub(super) fn open(path: &Path) -> io::Result<fs::File> {
    open_with(path, OpenOptions::new().read(true))
}

/// Opens the regular file at `path` for reading and appending.
///
/// # Errors
/// As [`open`].
pub(super) fn open_to_append(path: &Path) -> io::Result<fs::File> {
    open_with(path, OpenOptions::new().read(true).append(true))
}

/// Opens the regular file at `path` with other options.
///
/// # Errors
/// As [`open`].
pub(super) fn open_with(path: &Path, options: &mut OpenOptions) -> io::Result<fs::File> {
    let not_a_file = || io::Error::from(Error::from(ErrorKind::NotAFile));
    match no_follow(options).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(fs::File::from_parts(file, path)),
        Ok(_) => Err(not_a_file()),
        Err(error) if is_symlink(&error) => Err(not_a_file()),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    use rustix::fs::OFlags;

    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, i32::try_from(flags.bits()).unwrap_or_default())
}

#[cfg(not(unix))]
fn no_follow(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Returns true if a file could not be opened because it is a symlink.
#[cfg(unix)]
fn is_symlink(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_symlink(_: &io::Error) -> bool {
    false
}
