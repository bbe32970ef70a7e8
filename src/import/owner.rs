//! Lets a new version of a log belong to whom the log belongs, so that its writers can go on.

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

    /// What the file of a log may be for whom. That it is a program, say, it may not.
    const PERMISSIONS: u32 = 0o666;

    /// That its owner may read and write it: rows that come while it is put in its place are added then.
    const OWN: u32 = 0o600;

    /// That its group may.
    const OF_GROUP: u32 = 0o060;

    pub(super) fn take_after(file: &fs::File, log: &Path) -> Result<()> {
        let failed = |error| Error::io(IoAction::Write, log, error);
        let ours = file.metadata().map_err(failed)?;
        match fs::metadata(log) {
            Ok(there) => {
                let has_group = give(file, &ours, &there).map_err(|error| match error.kind() {
                    io::ErrorKind::PermissionDenied => {
                        Error::from(ErrorKind::OthersLog).in_subject(&log.display().to_string())
                    }
                    _ => failed(error),
                })?;
                let mode = there.mode() & PERMISSIONS | OWN;
                let mode = if has_group { mode } else { mode & !OF_GROUP };
                file.set_permissions(Permissions::from_mode(mode)).map_err(failed)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A new log is for those whose directory it is. Only root can make it so.
                let dir = log.parent().and_then(|dir| fs::metadata(dir).ok());
                dir.filter(|_| ours.uid() == 0).map_or(Ok(()), |dir| give(file, &ours, &dir).map(drop)).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Gives a file the owner and group of another. `false` when the group does not take it.
    fn give(file: &fs::File, ours: &Metadata, other: &Metadata) -> io::Result<bool> {
        if ours.uid() != other.uid() {
            fchown(file.file(), Some(other.uid()), None)?;
        }
        match ours.gid() == other.gid() {
            true => Ok(true),
            false => match fchown(file.file(), None, Some(other.gid())) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
                given => given.map(|()| true),
            },
        }
    }
}

/// Gives `file`, which waits, the owner, the group and the permissions of the log whose place it will take.
///
/// # Errors
/// [`ErrorKind::OthersLog`](crate::ErrorKind::OthersLog) when it cannot belong to the log's owner.
pub(super) fn take_after(file: &fs::File, log: &Path) -> Result<()> {
    #[cfg(unix)]
    unix::take_after(file, log)?;
    #[cfg(not(unix))]
    let _ = (file, log);
    Ok(())
}
