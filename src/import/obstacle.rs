//! Finds out before anything is replaced what the system would refuse to have replaced.

use std::path::Path;

use crate::error::Result;

#[cfg(target_os = "linux")]
mod linux {
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

    use crate::error::{Error, ErrorKind, Obstacle, Result};

    pub(super) fn check_replaceable(log: &Path) -> Result<()> {
        let Some(attributes) = attributes(log, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(()) };
        let dir =
            log.parent().and_then(|dir| self::attributes(dir, AtFlags::empty())).unwrap_or(StatxAttributes::empty());
        // Also in a directory to which files can only be added nothing can be replaced.
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

    /// The attributes of a file that the system knows of. `None` where it is not there or nothing is known.
    fn attributes(path: &Path, flags: AtFlags) -> Option<StatxAttributes> {
        let found = statx(CWD, path, flags, StatxFlags::BASIC_STATS).ok()?;
        Some(found.stx_attributes & found.stx_attributes_mask)
    }
}

/// Checks that another file can take the place of the log at `log`, if there is one.
///
/// # Errors
/// [`ErrorKind::CannotReplace`](crate::ErrorKind::CannotReplace) for a log that is immutable, append-only or a mount
/// point. On other systems than Linux only the attempt shows that.
pub(super) fn check_replaceable(log: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    linux::check_replaceable(log)?;
    #[cfg(not(target_os = "linux"))]
    let _ = log;
    Ok(())
}
