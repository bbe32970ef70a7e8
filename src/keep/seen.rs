//! Remembers the files that a run has read, so that a log which nobody has touched since is not read again.
//!
//! The memory is a file beside the links. It only counts for a log if the history says the same about it; without it, logs
//! are read as always.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::digest::Integrity;
use crate::format::WholeLog;
use crate::util::atomic_file::{AtomicFile, TargetOptions};
use crate::util::file_identity::FileState;

/// The time since the last write after which a file is remembered. Writes that follow more closely can have the same
/// timestamp.
const MIN_AGE: Duration = Duration::from_secs(2);

/// The files that a run has read, by the names of their logs.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SeenLogs(BTreeMap<String, SeenFile>);

#[derive(Debug, Serialize, Deserialize)]
struct SeenFile {
    state: FileState,
    /// The content that was read.
    bytes: u64,
    sha256: String,
}

impl SeenLogs {
    /// Reads what the last run remembered in `dir`. Nothing, if that cannot be read.
    pub fn read(dir: &Path) -> Self {
        let text = fs::read(path_in(dir)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Returns true if the file of a log is as it was when the last run read `latest` in it.
    pub fn is_unchanged(&self, name: &str, file: &Metadata, latest: Option<&WholeLog>) -> bool {
        let seen = self.0.get(name).zip(latest);
        seen.is_some_and(|(seen, latest)| {
            let is_same_content = seen.bytes == latest.bytes && seen.sha256 == latest.sha256.to_string();
            is_same_content && file.len() == seen.bytes && FileState::of(file).is_some_and(|state| state == seen.state)
        })
    }

    /// Remembers the file of a log, in which `read` was all that there was.
    pub fn remember(&mut self, name: &str, file: &Metadata, read: Integrity, now: SystemTime) {
        let age = file.modified().ok().and_then(|modified| now.duration_since(modified).ok());
        let is_old = age.is_some_and(|age| age >= MIN_AGE);
        if let Some(state) = FileState::of(file).filter(|_| is_old && file.len() == read.bytes) {
            self.0.insert(name.to_owned(), SeenFile { state, bytes: read.bytes, sha256: read.sha256.to_string() });
        }
    }

    /// Writes the memory of this run. The next run reads all logs if that fails.
    pub fn write(&self, dir: &Path) {
        let written = AtomicFile::create(&path_in(dir), TargetOptions::default().replace(true)).and_then(|mut file| {
            let text = serde_json::to_vec(self).unwrap_or_default();
            file.write_all(&text).map_err(|error| crate::Error::io(crate::error::IoAction::Write, dir, error))?;
            file.finish_unsynced()
        });
        drop(written);
    }
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join("seen.json")
}
