//! Hard links to the logs that were read, in a hidden directory beside them. Rotation puts a new file in the place of a
//! log; the link keeps the old one, with the rows that were appended to it after it was read.
//!
//! Links are numbered. A run adds one for each log that is another file than the newest link, and removes the older ones
//! only after its segment is in place. So a run that was killed leaves more links, and the next run reads all of them.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::log_snapshot::LogSnapshot;
use crate::error::{Error, IoAction, Result};
use crate::format::HistoryId;
use crate::logs::OpenLog;
use crate::util::atomic_file::make_private_dir;
use crate::util::file_identity::is_same_file;
use crate::util::regular_file;

/// The name of the hidden directory.
const DIR: &str = ".patchwork-traces";

/// The links of one history to the logs of one directory.
pub struct HeldLinks {
    dir: PathBuf,
}

/// A link to a file that was a log.
pub struct HeldLink {
    number: u64,
    path: PathBuf,
    file: fs::File,
    /// Its metadata when it was opened.
    opened: Metadata,
}

/// A log of which no link could be made.
#[derive(Debug)]
#[non_exhaustive]
pub struct NotHeld {
    /// The log.
    pub path: PathBuf,
    /// The reason.
    pub error: io::Error,
}

/// The result of holding a log.
pub enum Hold {
    /// A link to the opened log exists.
    Held,
    /// The log was replaced after it was opened.
    Replaced,
    /// The system does not allow it.
    Refused(io::Error),
}

impl HeldLinks {
    /// Names the directory of the links of a history to the logs in `logs`.
    pub fn new(logs: &Path, id: HistoryId) -> Self {
        Self { dir: logs.join(DIR).join(id.to_string()) }
    }

    /// Returns the directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns true if another history keeps links beside these logs.
    pub fn has_others(&self) -> bool {
        let entries = self.dir.parent().and_then(|all| fs::read_dir(all).ok());
        entries.is_some_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| entry.path() != self.dir)))
    }

    /// Opens the links to the log `name`, oldest first.
    pub fn open(&self, name: &str) -> Result<Vec<HeldLink>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io(IoAction::List, &self.dir, error)),
        };
        let mut links = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| Error::io(IoAction::List, &self.dir, error))?;
            let (of_log, path) = (entry.file_name(), entry.path());
            let number = of_log.to_str().and_then(|of_log| of_log.strip_prefix(name)?.strip_prefix('.')?.parse().ok());
            if let Some(number) = number {
                let failed = |error| Error::io(IoAction::Open, &path, error);
                let file = regular_file::open_no_follow(&path).map_err(failed)?;
                let opened = file.metadata().map_err(failed)?;
                links.push(HeldLink { number, path, file, opened });
            }
        }
        links.sort_by_key(|link| link.number);
        Ok(links)
    }

    /// Links the log that is open, unless the newest link is to the same file.
    pub fn hold(&self, log: &OpenLog, name: &str, links: &[HeldLink]) -> Result<Hold> {
        if links.last().is_some_and(|link| link.is(log.opened())) {
            return Ok(Hold::Held);
        }
        let number = links.last().map_or(1, |link| link.number + 1);
        let path = self.dir.join(format!("{name}.{number}"));
        match self.link(log.path(), &path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Hold::Replaced),
            Err(error) => return Ok(Hold::Refused(error)),
        }
        if fs::symlink_metadata(&path).is_ok_and(|linked| is_same_file(&linked, log.opened())) {
            return Ok(Hold::Held);
        }
        fs::remove_file(&path).map_err(|error| Error::io(IoAction::Remove, &path, error))?;
        Ok(Hold::Replaced)
    }

    fn link(&self, log: &Path, to: &Path) -> io::Result<()> {
        if !self.dir.is_dir() {
            let parent = self.dir.parent().unwrap_or(&self.dir);
            for dir in [parent, &self.dir] {
                make_private_dir(dir).or_else(|error| if dir.is_dir() { Ok(()) } else { Err(error) })?;
            }
        }
        fs::hard_link(fs::canonicalize(log)?, to)
    }

    /// Removes links that are not needed any more, and the directory once it is empty.
    pub fn release(&self, links: Vec<HeldLink>) {
        for link in links {
            // Rows that were appended after it was read are read by the next run.
            if fs::symlink_metadata(&link.path).is_ok_and(|now| now.len() == link.opened.len()) {
                // A link that cannot be removed only takes space.
                let _ = fs::remove_file(&link.path);
            }
        }
        let _ = fs::remove_dir(&self.dir);
    }
}

impl HeldLink {
    /// Returns true if it is a link to this file.
    pub fn is(&self, file: &Metadata) -> bool {
        is_same_file(&self.opened, file)
    }

    /// Returns the content of the file.
    pub fn content(&self) -> Result<LogSnapshot> {
        let failed = |error| Error::io(IoAction::Open, &self.path, error);
        let file = self.file.file().try_clone().map_err(failed)?;
        LogSnapshot::new(file, self.opened.len(), &self.path.display().to_string())
    }
}
