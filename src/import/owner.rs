//! Gives the new version of a log to the owner of that log, so that its writers can still write to
//! it.

use std::path::Path;

use fs_err as fs;

use crate::error::Result;

#[cfg(unix)]
mod unix {
    use std::fs::{Metadata, Permissions};
    use std::io;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
    use std::path::Path;

    use fs_err as fs;

    use crate::error::{Error, ErrorKind, IoAction, Result};
    use crate::util::file_identity::is_same_file;
    use crate::util::regular_file;

    /// The permission bits that are copied to a new version, which is never executable.
    const PERMISSIONS: u32 = 0o666;

    /// The owner's permissions to read and write, which the import needs to append late rows.
    const OWNER_READ_WRITE: u32 = 0o600;

    /// The group's permissions to read and write.
    const GROUP_READ_WRITE: u32 = 0o060;

    pub fn copy_ownership(file: &fs::File, log: &Path) -> Result<()> {
        let failed = |error| Error::io(IoAction::Write, log, error);
        let ours = file.metadata().map_err(failed)?;
        match regular_file::open_no_follow(log) {
            Ok(log_file) => {
                let existing = log_file.metadata().map_err(failed)?;
                // The permissions are set while the file is still ours. No other user can reach it
                // in the staging directory.
                #[cfg(target_os = "linux")]
                access_list::copy(log_file.file(), file.file()).map_err(failed)?;
                file.set_permissions(Permissions::from_mode(existing.mode() & PERMISSIONS | OWNER_READ_WRITE))
                    .map_err(failed)?;
                match give(file, &ours, &existing) {
                    Err(error) if !is_refused(&error) => Err(failed(error)),
                    Ok(()) => Ok(()),
                    // If the group has no access to the log, the file's group does not matter.
                    Err(_) if ours.uid() == existing.uid() && existing.mode() & GROUP_READ_WRITE == 0 => Ok(()),
                    Err(_) => Err(Error::from(ErrorKind::CannotPreserveOwner).in_subject(&log.display().to_string())),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A new log belongs to the owner of its directory. Only root can give it away, and
                // not even root can on every file system.
                let dir = log.parent().and_then(|dir| fs::metadata(dir).ok());
                match dir.filter(|_| ours.uid() == 0).map_or(Ok(()), |dir| give(file, &ours, &dir)) {
                    Err(error) if !is_refused(&error) => Err(failed(error)),
                    _ => Ok(()),
                }
            }
            Err(error) => Err(failed(error)),
        }
    }

    pub fn inherit_ownership(dir: &Path) -> Result<()> {
        let failed = |error| Error::io(IoAction::Create, dir, error);
        let opened = fs::File::open(dir).map_err(failed)?;
        let ours = opened.metadata().map_err(failed)?;
        // A user who can write to the parent directory may have put a link here meanwhile.
        let is_this = fs::symlink_metadata(dir).is_ok_and(|existing| is_same_file(&existing, &ours));
        let above = dir.parent().and_then(|above| fs::metadata(above).ok()).filter(|_| is_this);
        above.map_or(Ok(()), |above| give_dir(&opened, &above)).map_err(failed)
    }

    /// Gives an open directory to the owner of its parent, if root owns it.
    pub fn give_dir(dir: &fs::File, above: &Metadata) -> io::Result<()> {
        let ours = dir.metadata()?;
        match if ours.uid() == 0 { give(dir, &ours, above) } else { Ok(()) } {
            Err(error) if !is_refused(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives a file the owner and group of another file.
    fn give(file: &fs::File, ours: &Metadata, other: &Metadata) -> io::Result<()> {
        let owner = Some(other.uid()).filter(|owner| *owner != ours.uid());
        let group = Some(other.gid()).filter(|group| *group != ours.gid());
        if owner.is_none() && group.is_none() { Ok(()) } else { fchown(file.file(), owner, group) }
    }

    /// Returns true if the system refuses to change the owner, or does not know the new owner.
    fn is_refused(error: &io::Error) -> bool {
        matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput)
    }

    /// The access control list of a file, which names users and groups beyond its owner and its
    /// group.
    #[cfg(target_os = "linux")]
    mod access_list {
        use std::fs::File;
        use std::io;

        use rustix::fs::{XattrFlags, fgetxattr, fremovexattr, fsetxattr};
        use rustix::io::Errno;

        /// The name of the extended attribute that holds the list.
        const NAME: &str = "system.posix_acl_access";

        /// The maximum size of an extended attribute.
        const MAX_BYTES: usize = 64 << 10;

        /// Copies the list of a file to another, or removes it if the first has none: new files may
        /// have inherited a list from their directory.
        pub fn copy(from: &File, to: &File) -> io::Result<()> {
            let mut list = vec![0; MAX_BYTES];
            let copied = match fgetxattr(from, NAME, &mut list[..]) {
                Ok(length) => fsetxattr(to, NAME, &list[..length], XattrFlags::empty()),
                Err(Errno::NODATA) => fremovexattr(to, NAME),
                Err(error) => Err(error),
            };
            match copied {
                // Not every file system supports such lists.
                Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
                copied => Ok(copied?),
            }
        }
    }
}

#[cfg(target_os = "linux")]
pub use unix::give_dir;

/// Gives the staged `file` the owner, group and permissions of the log that it will replace.
///
/// # Errors
/// [`ErrorKind::CannotPreserveOwner`](crate::ErrorKind::CannotPreserveOwner) if the file cannot be
/// given to the log's owner.
pub fn copy_ownership(file: &fs::File, log: &Path) -> Result<()> {
    #[cfg(unix)]
    unix::copy_ownership(file, log)?;
    #[cfg(not(unix))]
    let _ = (file, log);
    Ok(())
}

/// Gives a new directory to the owner of its parent, so that logs that root imports belong to the
/// owners of the directories.
///
/// # Errors
/// If changing the owner fails. It is not an error if the system refuses, or does not know the
/// owner.
pub fn inherit_ownership(dir: &Path) -> Result<()> {
    #[cfg(unix)]
    unix::inherit_ownership(dir)?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}
