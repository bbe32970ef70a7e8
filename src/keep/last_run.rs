//! The record of the last run for a history of this machine's logs.

use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::KeepReport;
use crate::format::{FileName, Timestamp};
use crate::logs::known;

/// The last run of `keep` for a history, as recorded beside the logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LastRun {
    /// The directory of the history at that time.
    pub history: PathBuf,
    /// The number of its segments.
    pub segments: u64,
    /// The time of the run.
    pub time: Timestamp,
    /// True if the segment that it wrote is encrypted.
    #[serde(default, rename = "encrypted")]
    pub is_encrypted: bool,
    /// True if it kept logs that are not in the catalogue.
    #[serde(default, rename = "otherLogs")]
    pub has_other_logs: bool,
    /// The time after the run, in seconds, from which rows can be lost; null if unknown.
    pub lost_after_seconds: Option<u64>,
    /// The log that loses rows first.
    pub lost_from: Option<FileName>,
}

impl LastRun {
    /// Describes a run for the history in `dir`. Returns `None` if the path is not Unicode and
    /// cannot be recorded.
    pub(super) fn of(dir: &Path, report: &KeepReport) -> Option<Self> {
        let history = fs::canonicalize(dir).ok()?;
        history.to_str()?;
        Some(Self {
            history,
            segments: report.segment + 1,
            time: report.exported_at,
            is_encrypted: report.is_encrypted,
            has_other_logs: report.logs.iter().any(|log| known(log.id.source.as_str()).is_none()),
            lost_after_seconds: report.pace.as_ref().map(|pace| pace.lost_after.as_secs()),
            lost_from: report.pace.as_ref().map(|pace| pace.log.name.clone()),
        })
    }
}
