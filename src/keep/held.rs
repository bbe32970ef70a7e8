//! Hard links to the logs that were read, in a hidden directory beside them. Rotation puts a new file in the place of a
//! log; the link keeps the old one, with the rows that were appended to it after it was read.
//!
//! A run adds a link for each log that is another file than the newest link, and removes the older ones only after its
//! segment is in place. So a run that was killed leaves more links, and the next run reads all of them. The name of a link
//! has the number of the run's segment: the newest link whose segment exists is to the file that the last run read, and
//! earlier runs have read the older ones.

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

/// A link to a file that was a log.
pub struct HeldLink {
    number: LinkNumber,
    path: PathBuf,
    file: fs::File,
    /// Its metadata when it was opened.
    opened: Metadata,
    /// True if the last run has read a later file, so that only rows can be new that were appended since.
    pub was_replaced: bool,
}

/// The number of a link, in the order in which links are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LinkNumber {
    /// The number of the segment that the run was to write.
    segment: u64,
    /// The number among the links that runs for this segment made, from 1.
    attempt: u64,
}

/// A log of which no link could be made.
#[derive(Debug)]
#[non_exhaustive]
pub struct NotHeld {
    /// The log.
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
    /// The system does not allow it.
    Refused(Error),
}

/// Returns the directories of the links of all histories to the logs in `logs`. An error is the directory that can't be
/// listed.
pub fn links_of_histories(logs: &Path) -> std::result::Result<Vec<PathBuf>, PathBuf> {
    let dir = logs.join(DIR);
    match fs::read_dir(&dir) {
        Ok(entries) => Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(_) => Err(dir),
    }
}

impl HeldLinks {
    /// Names the directory of the links of a history to the logs in `logs`. The next segment has the number `segment`.
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

    /// Links the log that is open, unless the newest link is to the same file.
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

    /// Removes all links with their directory.
    pub fn discard(&self) {
        // What cannot be removed only takes space.
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
