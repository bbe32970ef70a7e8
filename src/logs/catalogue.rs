//! The catalogue of sources: their directories, file names, timestamp keys, locks and rotation.
//!
//! [`CATALOGUE`] is the one place to add a source.

use std::path::Path;

use super::rotation::RotationKind;
use crate::error::ErrorKind;
use crate::format::LogId;
use crate::format::{Base, FileName, SourceName, TimeKey};

/// A source that Patchwork knows.
#[derive(Debug)]
#[non_exhaustive]
pub struct Source {
    /// Its name, as rows carry it.
    pub name: &'static str,
    /// The directory of its logs.
    pub base: Base,
    /// The files that are its logs.
    pub files: Files,
    /// The keys under which its rows have their timestamp.
    pub times: &'static [TimeKey],
    /// The lock file that its writers hold while they write, beside the logs. `None` if they hold none.
    pub lock: Option<&'static str>,
    /// The kind of rotation that its writers apply to the newest log.
    pub rotation: RotationKind,
    /// True if a running Patchwork holds its rows in memory, so that rows inserted by others only show after a
    /// restart.
    pub is_held_in_memory: bool,
    /// The run keys of its rows. `None` if its rows are not about runs.
    pub run: Option<RunKeys>,
}

/// The keys of rows about runs. The last row of a run is authoritative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunKeys {
    /// The key of the run's identity.
    pub id: &'static str,
    /// The key of the time at which the run ended.
    pub ended: TimeKey,
}

/// The file names of a source's logs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Files {
    /// Fixed names, oldest rows first.
    Named(&'static [&'static str]),
    /// All names that the function accepts.
    Matching(fn(&str) -> bool),
}

/// Every source that is bundled by default, in bundle order.
pub static CATALOGUE: &[Source] = &[
    Source {
        name: "runs",
        base: Base::Patchwork,
        files: Files::Named(&["runs.jsonl.1", "runs.jsonl"]),
        times: &[TimeKey::Millis("createdAt")],
        lock: Some("runs.jsonl.lock"),
        rotation: RotationKind::Archives,
        is_held_in_memory: false,
        run: Some(RunKeys { id: "taskId", ended: TimeKey::Millis("doneAt") }),
    },
    Source {
        name: "decision_traces",
        base: Base::Patchwork,
        files: Files::Named(&["decision_traces.jsonl"]),
        times: &[TimeKey::Millis("createdAt")],
        lock: Some("decision_traces.jsonl.lock"),
        rotation: RotationKind::Deletes,
        is_held_in_memory: true,
        run: None,
    },
    Source {
        name: "commit_issue_links",
        base: Base::Patchwork,
        files: Files::Named(&["commit_issue_links.jsonl"]),
        times: &[TimeKey::Millis("createdAt")],
        lock: Some("commit_issue_links.jsonl.lock"),
        rotation: RotationKind::Deletes,
        is_held_in_memory: true,
        run: None,
    },
    Source {
        name: "activity",
        base: Base::Activity,
        files: Files::Matching(is_activity_log),
        times: &[TimeKey::Rfc3339("timestamp")],
        lock: None,
        rotation: RotationKind::KeepsNewest,
        is_held_in_memory: true,
        run: None,
    },
];

/// The keys under which rows of logs outside the catalogue may have their timestamp.
static OTHER_TIMES: [TimeKey; 2] = [TimeKey::Millis("createdAt"), TimeKey::Rfc3339("timestamp")];

/// The suffix of the name of every log, except for rotated ones.
pub(super) const LOG_SUFFIX: &str = ".jsonl";

impl Source {
    /// Returns true if `name` is the name of one of its logs.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        match self.files {
            Files::Named(names) => names.contains(&name),
            Files::Matching(accepts) => accepts(name),
        }
    }

    /// Returns the log to which rotation moves the oldest rows of the log `name`. Returns `None` if it drops them.
    #[must_use]
    pub(crate) fn archive_of(&self, name: &str) -> Option<&'static str> {
        let Files::Named(names) = self.files else { return None };
        let at = names.iter().position(|known| *known == name)?;
        at.checked_sub(1).map(|older| names[older])
    }

    /// Returns true if writers rotate its newest log without holding the lock, so that rows can be lost that another writer
    /// appends meanwhile.
    #[must_use]
    pub(crate) fn rotates_unlocked(&self) -> bool {
        self.rotation != RotationKind::Archives
    }

    /// Returns true if rotation moves rows to the log `name`, so that writers do not append to it.
    #[must_use]
    pub(crate) fn is_archive(&self, name: &str) -> bool {
        matches!(self.files, Files::Named(names) if names.last().is_some_and(|live| *live != name))
    }
}

/// Returns true if the `id`s of a source's rows number them without gaps, from 1.
pub(crate) fn has_numbered_rows(source: &str) -> bool {
    source == "activity"
}

/// Checks that [`discover()`](super::discover()) could have found a log of this source, name and directory. Manifests
/// are checked with this before anything is written to their paths.
///
/// Besides the logs of the catalogue, this allows the logs that are bundled on request: any other `*.jsonl` of the
/// Patchwork directory, whose source follows from its name.
///
/// # Errors
/// [`ErrorKind::ForeignSource`] and [`ErrorKind::NotOfSource`].
pub(crate) fn check_log(id: &LogId) -> Result<(), ErrorKind> {
    let (source, name) = (id.source.as_str(), id.name.as_str());
    let of_other_log = other_source(name) == Some(source) && known(source).is_none();
    let allowed = match known(source) {
        Some(known) => id.base == known.base && known.allows(name),
        None => of_other_log && id.base == Base::Patchwork && !is_known(name, Base::Patchwork),
    };
    if allowed && !(cfg!(windows) && is_special_on_windows(name)) {
        Ok(())
    } else if of_other_log || known(source).is_some() {
        Err(ErrorKind::NotOfSource { source: source.to_owned(), base: id.base.to_string() })
    } else {
        Err(ErrorKind::ForeignSource { source: source.to_owned() })
    }
}

/// Returns true if Windows does not interpret a name as a file of that name, but as a device, a stream of another file,
/// a pattern, or a name without its last characters.
fn is_special_on_windows(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let is_port = |prefix| {
        let number = stem.strip_prefix(prefix).map(|number| number.chars().collect::<Vec<_>>());
        matches!(number.as_deref(), Some(['0'..='9' | '¹' | '²' | '³']))
    };
    let is_device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$");
    is_device
        || is_port("COM")
        || is_port("LPT")
        || name.contains(['<', '>', ':', '"', '|', '?', '*'])
        || name.ends_with(['.', ' '])
}

/// Returns true if the catalogue has a log of this name in this directory.
pub(super) fn is_known(name: &str, base: Base) -> bool {
    CATALOGUE.iter().any(|source| source.base == base && source.allows(name))
}

/// Returns true if a file has the name of a log, or of a log's lock, backup or temporary file, in any directory.
pub(crate) fn is_reserved_for_logs(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let belongs_to_log = |(at, _): (usize, &str)| {
        let (log, rest) = (&name[..at], &name[at + 1..]);
        let first = rest.split('.').next();
        let is_beside_log = rest == "lock" || first == Some("tmp") || rest.rsplit('.').next() == Some("bak");
        is_beside_log && is_name_of_log(log)
    };
    is_name_of_log(&name) || name.match_indices('.').any(belongs_to_log)
}

/// Returns true if any log can have this lower-case name, in the catalogue or not.
fn is_name_of_log(name: &str) -> bool {
    name.ends_with(LOG_SUFFIX) || CATALOGUE.iter().any(|source| source.allows(name))
}

/// Returns the source of this name in the catalogue.
#[must_use]
pub fn known(name: &str) -> Option<&'static Source> {
    CATALOGUE.iter().find(|source| source.name == name)
}

/// Returns the sort key that puts logs in catalogue order (FORMAT.md, "Names"). Logs of other sources come last.
#[must_use]
pub(crate) fn catalogue_order<'n>(source: &str, name: &'n str) -> (usize, usize, &'n str) {
    let rank = CATALOGUE.iter().position(|known| known.name == source).unwrap_or(CATALOGUE.len());
    let within = match CATALOGUE.get(rank).map(|source| &source.files) {
        Some(Files::Named(names)) => names.iter().position(|known| *known == name).unwrap_or(names.len()),
        _ => 0,
    };
    (rank, within, name)
}

/// Returns the timestamp keys of rows of the source `name`, known or not.
#[must_use]
pub(crate) fn times_of(name: &str) -> &'static [TimeKey] {
    known(name).map_or(&OTHER_TIMES, |source| source.times)
}

/// Returns true if a log of this name can belong to this source, in the catalogue or not.
#[must_use]
pub(crate) fn may_exist(source: &str, name: &str) -> bool {
    let are_names = SourceName::new(source).is_ok() && FileName::new(name).is_ok();
    are_names && known(source).map_or_else(|| other_source(name) == Some(source), |source| source.allows(name))
}

/// Returns true for `activity.jsonl`, `activity-log.jsonl` and `activity-<port>.jsonl`, in upper or lower case.
fn is_activity_log(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let Some(stem) = name.strip_suffix(LOG_SUFFIX) else { return false };
    match stem.strip_prefix("activity") {
        Some("" | "-log") => true,
        Some(rest) => rest
            .strip_prefix('-')
            .is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())),
        None => false,
    }
}

/// Returns the source of a log that is not in the catalogue: its name without `.jsonl`, or its whole name if the
/// rest is the name of a known source.
pub(super) fn other_source(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(LOG_SUFFIX)?;
    Some(if known(stem).is_some() { name } else { stem })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{is_reserved_for_logs, is_special_on_windows};

    #[test]
    fn names_of_logs_and_their_companion_files_are_reserved() {
        for name in [
            "runs.jsonl",
            "runs.jsonl.1",
            "RUNS.JSONL.1",
            "activity-3100.jsonl",
            "anything.jsonl",
            "runs.jsonl.lock",
            "runs.jsonl.1.lock",
            "decision_traces.jsonl.2026-05-02T10-00-00.bak",
            "runs.jsonl.1.2026-05-02T10-00-00.123-2.bak",
            "outcome-log.jsonl.tmp",
            "outcome-log.jsonl.tmp.123.456",
            "a.b.jsonl.lock",
        ] {
            assert!(is_reserved_for_logs(&Path::new("/anywhere").join(name)), "{name}");
        }
        for name in [
            "b.gz",
            "runs.jsonl.gz",
            "traces-export.jsonl.gz",
            "runs.jsonl.2",
            "runs.lock",
            "x.bak",
            "jsonl",
            "elsewhere",
        ] {
            assert!(!is_reserved_for_logs(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn names_that_are_special_on_windows_are_recognised() {
        for name in
            ["CON.jsonl", "nul.jsonl", "Aux .jsonl", "COM1.jsonl", "lpt³.x.jsonl", "CONIN$", "a:b.jsonl", "a.", "a "]
        {
            assert!(is_special_on_windows(name), "{name}");
        }
        for name in [
            "runs.jsonl",
            "runs.jsonl.1",
            "activity-3100.jsonl",
            "console.jsonl",
            "com.jsonl",
            "com10.jsonl",
            "null.jsonl",
        ] {
            assert!(!is_special_on_windows(name), "{name}");
        }
    }
}
