//! The report of a scan: how often something was found, and where.

use serde::Serialize;

use crate::detect::FindKind;
use crate::format::{FileName, SourceName};

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
    /// The path in the row, as for `cat --where`, or in the manifest; null for unparsed lines. A key in which something
    /// was found is `…`.
    pub path: Option<String>,
    /// True if it was found in a key and not in a value.
    pub in_key: bool,
    /// The number of finds.
    pub count: u64,
    /// The number of lines that have one.
    pub lines: u64,
    /// The first places.
    pub places: Vec<ScanPlace>,
}

/// A place at which something was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ScanPlace {
    /// The bundle, or the segment of a history.
    pub bundle: String,
    /// The line of the log, as that bundle holds it, from 1; null for the manifest.
    pub line: Option<u64>,
}
