//! The findings about a history, and the verdicts that they contradict.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::error::{Error, HistoryFault, visible};
use crate::format::HistoryGap;
#[cfg(feature = "seal")]
use crate::signature::SignatureVerdict;
use crate::verify::{Finding, Severity};

/// A verdict on a history. The verdicts are independent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum HistoryVerdict {
    /// Every segment is intact.
    Intact,
    /// The segments follow each other, and match the checkpoints.
    Consistent,
    /// No row is missing between two segments.
    Complete,
}

/// A finding of the verification of a history.
#[derive(Debug)]
#[non_exhaustive]
pub struct HistoryFinding {
    /// The file that the finding is about.
    pub path: PathBuf,
    /// The number of the segment, according to the file name.
    pub segment: Option<u64>,
    /// The kind of finding.
    pub kind: HistoryFindingKind,
}

/// The kind of a finding in a history.
#[derive(Debug)]
#[non_exhaustive]
pub enum HistoryFindingKind {
    /// A finding in the bundle of a segment.
    Segment(Finding),
    /// The first line of a segment cannot be read, so its place in the history and its gaps are unknown.
    UnreadableHead(Error),
    /// The rows of a segment cannot be read.
    Unreadable(Error),
    /// A segment does not follow the one before.
    Chain(HistoryFault),
    /// The history does not match its checkpoint.
    Checkpoint(HistoryFault),
    /// The history does not extend the checkpoint that was given.
    Since(HistoryFault),
    /// The checkpoint file cannot be read.
    UnreadableCheckpoint(Error),
    /// The tree head of a checkpoint was not compared, because earlier segments are missing, duplicate or unreadable.
    NotCompared,
    /// The history has no checkpoint.
    NoCheckpoint,
    /// The checkpoint covers fewer segments than exist, as after a run of `keep` that was killed.
    EarlierCheckpoint {
        /// The number of segments of the checkpoint.
        size: u64,
    },
    /// Rows of a log may be missing before this segment.
    Gap {
        /// The log.
        file: String,
        /// The rows on either side of the gap.
        gap: Box<HistoryGap>,
    },
    /// Rows of a log were changed or removed after they were kept.
    Altered {
        /// The log.
        file: String,
    },
    /// A file among the segments does not have the name of a segment.
    Foreign,
    /// The signature of the checkpoint is missing or invalid.
    #[cfg(feature = "seal")]
    Signature(SignatureVerdict),
}

impl HistoryFindingKind {
    /// Returns a stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Segment(finding) => finding.kind.code(),
            Self::UnreadableHead(_) | Self::Unreadable(_) => "segment_unreadable",
            Self::Chain(fault) | Self::Checkpoint(fault) | Self::Since(fault) => fault_code(fault),
            Self::UnreadableCheckpoint(_) => "checkpoint_unreadable",
            Self::NotCompared => "checkpoint_not_compared",
            Self::NoCheckpoint => "checkpoint_missing",
            Self::EarlierCheckpoint { .. } => "checkpoint_earlier",
            Self::Gap { .. } => "gap",
            Self::Altered { .. } => "log_altered",
            Self::Foreign => "foreign_file",
            #[cfg(feature = "seal")]
            Self::Signature(_) => "signature",
        }
    }

    /// Returns the severity. A gap is a warning, because the history itself is intact.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self {
            Self::Segment(finding) => finding.severity(),
            Self::Gap { .. } | Self::Altered { .. } | Self::NoCheckpoint => Severity::Warning,
            Self::Foreign | Self::EarlierCheckpoint { .. } => Severity::Info,
            _ => Severity::Error,
        }
    }

    /// Returns the verdicts that the finding contradicts.
    #[must_use]
    pub fn contradicts(&self) -> &'static [HistoryVerdict] {
        use HistoryVerdict::{Complete, Consistent, Intact};
        match self {
            Self::Segment(finding) if finding.severity() == Severity::Error => &[Intact],
            Self::Unreadable(_) => &[Intact],
            Self::UnreadableHead(_) => &[Intact, Consistent, Complete],
            Self::Chain(HistoryFault::Missing { .. })
            | Self::Checkpoint(HistoryFault::CutOff { .. })
            | Self::Since(HistoryFault::CutOff { .. }) => &[Consistent, Complete],
            Self::Chain(_)
            | Self::Checkpoint(_)
            | Self::Since(_)
            | Self::UnreadableCheckpoint(_)
            | Self::NotCompared => &[Consistent],
            Self::Gap { .. } => &[Complete],
            _ => &[],
        }
    }

    /// Returns the fault of the history in the finding, if it has one.
    #[must_use]
    pub fn fault(&self) -> Option<&HistoryFault> {
        match self {
            Self::Chain(fault) | Self::Checkpoint(fault) | Self::Since(fault) => Some(fault),
            _ => None,
        }
    }
}

fn fault_code(fault: &HistoryFault) -> &'static str {
    match fault {
        HistoryFault::Missing { .. } => "segment_missing",
        HistoryFault::Duplicate { .. } => "segment_duplicate",
        HistoryFault::Renamed { .. } => "segment_renamed",
        HistoryFault::OtherHistory { .. } => "segment_of_other_history",
        HistoryFault::NotASegment => "not_a_segment",
        HistoryFault::OtherPrevious { .. } => "segment_previous",
        HistoryFault::RowsBefore { .. } => "segment_rows_before",
        HistoryFault::OtherCheckpoint { .. } => "checkpoint_of_other_history",
        HistoryFault::CutOff { .. } => "history_cut_off",
        HistoryFault::Rewritten { .. } => "history_rewritten",
        _ => "segment",
    }
}

impl HistoryFinding {
    /// Returns the severity.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.kind.severity()
    }
}

impl fmt::Display for HistoryFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            // These messages already name the file.
            HistoryFindingKind::Segment(finding) => finding.fmt(f),
            HistoryFindingKind::Unreadable(error) | HistoryFindingKind::UnreadableCheckpoint(error) => error.fmt(f),
            kind => f.write_str(&visible(&format!("{}: {kind}", self.path.display()))),
        }
    }
}

impl fmt::Display for HistoryFindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(finding) => finding.kind.fmt(f),
            Self::Unreadable(error) | Self::UnreadableCheckpoint(error) => error.kind().fmt(f),
            Self::UnreadableHead(error) => write!(
                f,
                "the first line cannot be read, so the segment's place in the history and its gaps are unknown: {}",
                error.kind()
            ),
            Self::Chain(fault) | Self::Checkpoint(fault) => fault.fmt(f),
            Self::Since(fault) => write!(f, "compared with the given checkpoint: {fault}"),
            Self::NotCompared => f.write_str(
                "the tree head of the checkpoint was not compared, because earlier segments are missing, duplicate or \
                 unreadable",
            ),
            Self::NoCheckpoint => f.write_str("the history has no checkpoint, so missing newest segments go unnoticed"),
            Self::EarlierCheckpoint { size } => {
                write!(f, "the checkpoint covers only the first {size} segments; the next run of `keep` updates it")
            }
            Self::Gap { file, gap } => write_gap(f, file, gap),
            Self::Altered { file } => write!(
                f,
                "{file} was altered: it changed or lost rows that the history has; the history keeps the original rows"
            ),
            Self::Foreign => f.write_str("this file is not a segment; it was ignored"),
            #[cfg(feature = "seal")]
            Self::Signature(verdict) => verdict.fmt(f),
        }
    }
}

fn write_gap(f: &mut fmt::Formatter<'_>, file: &str, gap: &HistoryGap) -> fmt::Result {
    write!(f, "gap: rows of {file} may be missing after row {}", gap.after_row)?;
    if let Some(time) = gap.after_time {
        write!(f, " ({time})")?;
    }
    if let Some(time) = gap.before_time {
        write!(f, ", before {time}")?;
    }
    // A malformed pair, whose last `id` is less than its first, counts as 0.
    let ids = gap.missing_ids.iter().map(|(first, last)| (last + 1).saturating_sub(*first)).sum::<u64>();
    match ids {
        0 => Ok(()),
        1 => write!(f, "; 1 `id` is missing"),
        ids => write!(f, "; {ids} `id`s are missing"),
    }
}
