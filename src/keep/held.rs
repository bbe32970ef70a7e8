//! Hard links to the logs that were read, in a hidden directory beside them. When rotation replaces
//! a log, the link keeps the old file, with the rows that were appended after it was read.
//!
//! A run links each log, unless the newest link is to the same file, and removes older links only
//! after its segment is in place. So a killed run leaves more links, and the next run reads all of
//! them. The name of a link contains the number of the run's segment: the newest link whose segment
//! exists is to the file that the last run read, and earlier runs have read the older ones.

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
    /// The number of the next segment.
    segment: u64,
}

/// A link to a file that is or was a log.
pub struct HeldLink {
    number: LinkNumber,
    path: PathBuf,
    file: fs::File,
    /// Its metadata when it was opened.
    opened: Metadata,
    /// True if the last run has read a later file, so that only rows appended since can be new.
    pub was_replaced: bool,
}

/// The number of a link. Later links have greater numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LinkNumber {
    /// The number of the segment that the run was to write.
    segment: u64,
    /// The number of the link among those for this segment, from 1.
    attempt: u64,
}

/// A log that could not be linked.
#[derive(Debug)]
#[non_exhaustive]
pub struct NotHeld {
    /// The path of the log.
    pub path: PathBuf,
    /// The reason.
    pub error: Error,
}

/// The result of holding a log.
pub enum Hold {
    /// A link to the opened log exists.
    Held,
    /// The log was replaced after it was opened.
    Replaced,
    /// The log could not be linked.
    Refused(Error),
}

/// Returns the directories of the links of all histories to the logs in `logs`. On failure, returns
/// the directory that can't be listed.
pub fn links_of_histories(logs: &Path) -> std::result::Result<Vec<PathBuf>, PathBuf> {
    let dir = logs.join(DIR);
    match fs::read_dir(&dir) {
        Ok(entries) => Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(_) => Err(dir),
    }
}

impl HeldLinks {
    /// Returns the links of the history `id` to the logs in `logs`, without reading them. The next
    /// segment has the number `segment`.
    pub fn new(logs: &Path, id: HistoryId, segment: u64) -> Self {
        Self { dir: logs.join(DIR).join(id.to_string()), segment }
    }

    /// Returns the directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns true if another history keeps links beside these logs.
    pub fn has_others(&self) -> bool {
        let logs = self.dir.parent().and_then(Path::parent);
        logs.is_some_and(|logs| links_of_histories(logs).unwrap_or_default().iter().any(|dir| *dir != self.dir))
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
            let number = of_log.to_str().and_then(|of_log| of_log.strip_prefix(name)?.strip_prefix('.'));
            if let Some(number) = number.and_then(LinkNumber::parse) {
                let failed = |error| Error::io(IoAction::Open, &path, error);
                let file = regular_file::open_no_follow(&path).map_err(failed)?;
                let opened = file.metadata().map_err(failed)?;
                links.push(HeldLink { number, path, file, opened, was_replaced: false });
            }
        }
        links.sort_by_key(|link| link.number);
        let last_read = links.iter().rposition(|link| link.number.segment < self.segment).unwrap_or(0);
        links[..last_read].iter_mut().for_each(|link| link.was_replaced = true);
        Ok(links)
    }

    /// Links an open log, unless the newest link is to the same file.
    pub fn hold(&self, log: &OpenLog, name: &str, links: &[HeldLink]) -> Result<Hold> {
        if links.last().is_some_and(|link| link.is(log.opened())) {
            return Ok(Hold::Held);
        }
        let same_segment = links.last().map(|link| link.number).filter(|last| last.segment == self.segment);
        let attempt = same_segment.map_or(1, |last| last.attempt + 1);
        let path = self.dir.join(format!("{name}.{}.{attempt}", self.segment));
        match self.link(log.path(), &path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Hold::Replaced),
            Err(error) => return Ok(Hold::Refused(Error::io(IoAction::Link, log.path(), error))),
        }
        if fs::symlink_metadata(&path).is_ok_and(|linked| is_same_file(&linked, log.opened())) {
            return Ok(Hold::Held);
        }
        fs::remove_file(&path).map_err(|error| Error::io(IoAction::Remove, &path, error))?;
        Ok(Hold::Replaced)
    }

    fn link(&self, log: &Path, to: &Path) -> io::Result<()> {
        make_links_dir(&self.dir)?;
        fs::hard_link(fs::canonicalize(log)?, to)
    }

    /// Removes links that are no longer needed, and the directory if it is then empty.
    pub fn release(&self, links: Vec<HeldLink>) {
        for link in links {
            // If rows were appended after the file was read, the link stays for the next run.
            if fs::symlink_metadata(&link.path).is_ok_and(|now| now.len() == link.opened.len()) {
                // A link that cannot be removed only takes space.
                let _ = fs::remove_file(&link.path);
            }
        }
        let _ = fs::remove_dir(&self.dir);
    }

    /// Removes all links with their directory.
    pub fn discard(&self) {
        // Links that cannot be removed only take space.
        let _ = fs::remove_dir_all(&self.dir);
        let _ = fs::remove_dir(self.dir.parent().unwrap_or(&self.dir));
    }
}

impl LinkNumber {
    fn parse(text: &str) -> Option<Self> {
        let (segment, attempt) = text.split_once('.')?;
        Some(Self { segment: segment.parse().ok()?, attempt: attempt.parse().ok()? })
    }
}

/// Creates the directory of the links of a history, unless it exists.
pub fn make_links_dir(dir: &Path) -> io::Result<()> {
    let parent = dir.parent().filter(|_| !dir.is_dir());
    parent
        .into_iter()
        .flat_map(|parent| [parent, dir])
        .try_for_each(|dir| make_private_dir(dir).or_else(|error| if dir.is_dir() { Ok(()) } else { Err(error) }))
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
