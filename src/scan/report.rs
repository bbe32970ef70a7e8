//! The report of a scan: the number of finds, and their places.

use serde::Serialize;

use crate::detect::FindKind;
use crate::format::{FileName, SourceName};
use crate::input::InputSummary;

/// The result of [`scan`](super::scan).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ScanReport {
    /// The inputs.
    pub inputs: Vec<InputSummary>,
    /// The number of lines that were searched.
    pub lines: u64,
    /// The number of finds by each rule that has any: secrets first, then in order of priority.
    pub rules: Vec<RuleCount>,
    /// The finds, grouped by rule, log and path: secrets first, then in order of priority.
    pub groups: Vec<ScanGroup>,
    /// The number of finds outside of the groups, because there would be too many groups.
    pub ungrouped: u64,
}

impl ScanReport {
    /// Returns true if nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns the number of finds of a kind.
    #[must_use]
    pub fn count(&self, kind: FindKind) -> u64 {
        self.rules.iter().filter(|rule| rule.kind == kind).map(|rule| rule.count).sum()
    }
}

/// The number of finds by a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RuleCount {
    /// The name of the rule.
    pub rule: String,
    /// The description of the rule.
    pub kind: FindKind,
    /// The number of finds.
    pub count: u64,
}

/// Finds by one rule in one log, with the same path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ScanGroup {
    /// The name of the rule.
    pub rule: String,
    /// The description of the rule.
    pub kind: FindKind,
    /// The source of the log; null for the manifest.
    pub source: Option<SourceName>,
    /// The name of the log; null for the manifest.
    pub file: Option<FileName>,
    /// The path in the row, as for `cat --where`, or in the manifest; null for unparsed lines. A key that has a find is
    /// replaced by `…`.
    pub path: Option<String>,
    /// True if the find is in a key, not in a value.
    pub in_key: bool,
    /// The number of finds.
    pub count: u64,
    /// The number of lines that have such a find.
    pub lines: u64,
    /// The first places.
    pub places: Vec<ScanPlace>,
}

/// The place of a find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ScanPlace {
    /// The bundle, or the segment of a history.
    pub bundle: String,
    /// The line of the log, as that bundle holds it, from 1; null for the manifest.
    pub line: Option<u64>,
}
