//! Detects logs that the system would refuse to replace, before any log is replaced.

use std::path::Path;

use crate::error::Result;

#[cfg(target_os = "linux")]
mod linux {
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

    use crate::error::{Error, ErrorKind, Obstacle, Result};

    pub fn check_replaceable(log: &Path) -> Result<()> {
        let Some(attributes) = attributes(log, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(()) };
        let dir =
            log.parent().and_then(|dir| self::attributes(dir, AtFlags::empty())).unwrap_or(StatxAttributes::empty());
        // In an append-only or immutable directory, no file can be replaced.
        let found = [
            (attributes | dir, StatxAttributes::IMMUTABLE, Obstacle::Immutable),
            (attributes | dir, StatxAttributes::APPEND, Obstacle::AppendOnly),
            (attributes, StatxAttributes::MOUNT_ROOT, Obstacle::MountPoint),
        ];
        match found.into_iter().find(|(attributes, attribute, _)| attributes.contains(*attribute)) {
            Some((.., obstacle)) => {
                Err(Error::from(ErrorKind::CannotReplace { obstacle }).in_subject(&log.display().to_string()))
            }
            None => Ok(()),
        }
    }

    /// Returns the attributes of a file, limited to those that its file system supports. Returns
    /// `None` if they cannot be read.
    fn attributes(path: &Path, flags: AtFlags) -> Option<StatxAttributes> {
        let found = statx(CWD, path, flags, StatxFlags::BASIC_STATS).ok()?;
        Some(found.stx_attributes & found.stx_attributes_mask)
    }
}

/// Checks that the log at `log`, if it exists, can be replaced with another file.
///
/// # Errors
/// [`ErrorKind::CannotReplace`](crate::ErrorKind::CannotReplace) for a log that is immutable,
/// append-only or a mount point. Systems other than Linux detect this only when the log is
/// replaced.
pub fn check_replaceable(log: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    linux::check_replaceable(log)?;
    #[cfg(not(target_os = "linux"))]
    let _ = log;
    Ok(())
}
