//! Records the files that a run has read, so that the next run can skip unchanged logs.
//!
//! The record is a file beside the links. It is used for a log only if it agrees with the history;
//! without it, all logs are read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::held::links_of_histories;
use super::last_run::LastRun;
use crate::digest::Integrity;
use crate::format::WholeLog;
use crate::logs::Dirs;
use crate::util::atomic_file::{AtomicFile, TargetOptions};
use crate::util::file_identity::FileState;

/// The minimum time since the last write to a file that can be skipped. Writes in closer succession
/// may have the same timestamp.
const MIN_AGE: Duration = Duration::from_secs(2);

/// A run, and the files that it has read.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SeenLogs {
    run: Option<LastRun>,
    /// The files, by the names of their logs.
    files: BTreeMap<String, SeenFile>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SeenFile {
    state: FileState,
    /// True if the last write was not too recent, so that a later write has another timestamp.
    is_settled: bool,
    /// The number of bytes that were read.
    bytes: u64,
    sha256: String,
}

impl SeenLogs {
    /// Creates the record of a run, without files.
    pub fn of(run: Option<LastRun>) -> Self {
        Self { run, files: BTreeMap::new() }
    }

    /// Returns the run.
    pub fn last_run(self) -> Option<LastRun> {
        self.run
    }

    /// Reads the record of the last run in `dir`. Returns an empty one if it cannot be read.
    pub fn read(dir: &Path) -> Self {
        Self::load(dir).unwrap_or_default()
    }

    /// Reads the record of the last run in `dir`.
    fn load(dir: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path_in(dir))?)?)
    }

    /// Returns true if the file of a log is unchanged since the last run read `latest` from it.
    pub fn is_unchanged(&self, name: &str, file: &Metadata, latest: Option<&WholeLog>) -> bool {
        let seen = self.files.get(name).zip(latest);
        seen.is_some_and(|(seen, latest)| {
            let is_same_content = seen.bytes == latest.bytes && seen.sha256 == latest.sha256.to_string();
            let is_certain = is_same_content && seen.is_settled && file.len() == seen.bytes;
            is_certain && FileState::of(file).is_some_and(|state| state == seen.state)
        })
    }

    /// Returns true if the last run read this file, to which rows may have been appended since.
    pub fn is_same_file(&self, name: &str, file: &Metadata) -> bool {
        let now = FileState::of(file);
        self.files.get(name).zip(now).is_some_and(|(seen, now)| seen.state.is_same_file(&now))
    }

    /// Records the file of a log, and the content `read` from it.
    pub fn remember(&mut self, name: &str, file: &Metadata, read: Integrity, now: SystemTime) {
        let age = file.modified().ok().and_then(|modified| now.duration_since(modified).ok());
        let is_settled = age.is_some_and(|age| age >= MIN_AGE) && file.len() == read.bytes;
        if let Some(state) = FileState::of(file) {
            let sha256 = read.sha256.to_string();
            self.files.insert(name.to_owned(), SeenFile { state, is_settled, bytes: read.bytes, sha256 });
        }
    }

    /// Writes the record to `dir`. If that fails, the next run reads all logs.
    pub fn write(&self, dir: &Path) {
        let written = AtomicFile::create(&path_in(dir), TargetOptions::default().replace(true)).and_then(|mut file| {
            let text = serde_json::to_vec(self).unwrap_or_default();
            file.write_all(&text).map_err(|error| crate::Error::io(crate::error::IoAction::Write, dir, error))?;
            file.finish_unsynced()
        });
        drop(written);
    }
}

/// The last runs for the histories that have logs of a machine.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LastRuns {
    /// The last finished run for each history, newest first.
    pub runs: Vec<LastRun>,
    /// The directories and files beside the logs that can't be read, or don't name a history. Other
    /// histories may exist.
    pub unknown: Vec<PathBuf>,
}

/// Returns the last run for each history that has logs from these directories.
#[must_use]
pub fn last_runs(dirs: &Dirs) -> LastRuns {
    let mut last = LastRuns::default();
    for logs in [&dirs.patchwork, &dirs.activity] {
        let links = match links_of_histories(logs) {
            Ok(links) => links,
            Err(dir) => {
                last.unknown.push(dir);
                continue;
            }
        };
        for dir in links {
            match SeenLogs::load(&dir).map(SeenLogs::last_run) {
                Ok(Some(run)) => last.runs.push(run),
                // No run has finished yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(None) | Err(_) => last.unknown.push(path_in(&dir)),
            }
        }
    }
    last.runs.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.history.cmp(&b.history)));
    let mut listed = BTreeSet::new();
    last.runs.retain(|run| listed.insert(run.history.clone()));
    last
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join("seen.json")
}
