//! Adds a segment to a history: the lines of the logs that are new since the previous segment.
//!
//! 1. `held` keeps the files that rotation replaces, and opens them.
//! 2. `sequence` finds the new lines of each group of logs: those appended to the file that the
//!    last run read (`log_snapshot`), or otherwise those that the history does not have (`compare`,
//!    `overlap`, `recorded`).
//! 3. `append` writes the segment, and then the checkpoint.
//!
//! `notes` describe encrypted segments, so that runs on this machine need no keys.

mod append;
mod bundles;
mod compare;
mod held;
mod last_run;
mod line_text;
mod log_snapshot;
mod machine;
mod notes;
mod overlap;
mod pace;
mod recorded;
mod seen;
mod sequence;
mod temporary_log;

use std::path::{Path, PathBuf};

use crate::container::DecryptionKeys;
use crate::digest::BundleDigest;
use crate::error::{Error, Result};
use crate::format::{Follows, FollowsState, HistoryId, Label, LogId, Manifest, Timestamp};
use crate::logs::Discovery;
use crate::progress::Progress;

pub use crate::bundle::writer::WriteOptions;
pub use bundles::keep_bundles;
pub use held::NotHeld;
pub use last_run::LastRun;
pub use pace::Pace;
pub use seen::{LastRuns, last_runs};

/// The options of a run.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct KeepOptions {
    /// The options for writing the segment. Compressed chunks are kept in the history's directory.
    pub write: WriteOptions,
    /// True to hold the logs with hard links, so that rows appended before the next rotation are
    /// not lost.
    pub hold: bool,
    /// The label of the machine.
    pub label: Option<Label>,
    /// The identity of a new history. `None` means a random one.
    pub new_id: Option<HistoryId>,
    /// The keys that decrypt segments without a note on this machine.
    pub keys: DecryptionKeys,
    /// The Patchwork directory of this machine, for [`keep_bundles`]. The notes on encrypted
    /// segments are in it; a run must decrypt segments without notes. `None` means that no notes
    /// are read or written.
    pub notes_beside: Option<PathBuf>,
}

impl KeepOptions {
    /// Holds the logs, and sets no label, identity or keys.
    pub fn new(write: WriteOptions) -> Self {
        let (keys, notes_beside) = (DecryptionKeys::default(), None);
        Self { write, hold: true, label: None, new_id: None, keys, notes_beside }
    }

    /// Enables or disables holding the logs.
    pub fn hold(self, hold: bool) -> Self {
        Self { hold, ..self }
    }

    /// Sets the label of the machine.
    pub fn label(self, label: Option<Label>) -> Self {
        Self { label, ..self }
    }

    /// Sets the keys that decrypt segments without a note on this machine.
    pub fn keys(self, keys: DecryptionKeys) -> Self {
        Self { keys, ..self }
    }

    /// Sets the Patchwork directory of this machine, for [`keep_bundles`].
    pub fn notes_beside(self, dir: Option<PathBuf>) -> Self {
        Self { notes_beside: dir, ..self }
    }

    /// Sets the identity of a new history.
    pub fn new_id(self, id: HistoryId) -> Self {
        Self { new_id: Some(id), ..self }
    }
}

/// The result of a run: the segment that was added.
#[derive(Debug)]
#[non_exhaustive]
pub struct KeepReport {
    /// The identity of the history.
    pub id: HistoryId,
    /// The number of the segment, from 0.
    pub segment: u64,
    /// The path of the segment.
    pub path: PathBuf,
    /// The bundle digest of the segment.
    pub digest: BundleDigest,
    /// The size of the segment's file in bytes.
    pub bundle_bytes: u64,
    /// True if the segment is encrypted.
    pub is_encrypted: bool,
    /// The time of the segment.
    pub exported_at: Timestamp,
    /// The logs of the segment, in its order.
    pub logs: Vec<KeptLog>,
    /// The logs that could not be held.
    pub not_held: Vec<NotHeld>,
    /// The rate of new rows. `None` if it is not known yet.
    pub pace: Option<Pace>,
    /// True if the history is new and another history already keeps these logs.
    pub is_one_of_several: bool,
    /// True if the previous segment is encrypted and this one is not.
    pub is_plain_after_sealed: bool,
    /// The error if the segment is encrypted but its note could not be written: the next run then
    /// needs the same keys. A run without keys fails instead.
    pub not_noted: Option<Error>,
}

/// A log of a new segment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeptLog {
    /// The identity of the log.
    pub id: LogId,
    /// The number of new rows.
    pub rows: u64,
    /// The number of new lines that are not rows.
    pub unparsed_lines: u64,
    /// The relation to earlier segments.
    pub follows: Follows,
}

impl KeepReport {
    /// Returns the number of new rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.logs.iter().map(|log| log.rows).sum()
    }

    /// Returns true if rows may be missing or a log was altered, which a person should look into.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        self.logs.iter().any(|log| matches!(log.follows.state, FollowsState::Gap | FollowsState::Altered))
    }
}

/// Adds a segment with the new lines of this machine's logs to the history in `dir`. Creates the
/// history if it does not exist.
///
/// # Errors
/// If the logs cannot be read, as with [`export`](crate::export::export), the history cannot be
/// opened or does not match its checkpoint, another run holds its lock, or the segment cannot be
/// written. The history is then unchanged.
pub fn keep(
    discovery: &Discovery,
    dir: impl AsRef<Path>,
    options: &KeepOptions,
    progress: &dyn Progress,
) -> Result<KeepReport> {
    machine::keep(discovery, dir.as_ref(), options, progress)
}

/// Returns the logs of a new segment.
fn kept_logs(manifest: &Manifest) -> Vec<KeptLog> {
    let logs = manifest.files.iter().filter_map(|file| {
        let (id, rows, unparsed_lines) = (LogId::of(file), file.count, file.unparsed_lines());
        Some(KeptLog { id, rows, unparsed_lines, follows: file.follows.clone()? })
    });
    logs.collect()
}
