//! Limits the listed findings of `verify` to the first ones of each kind, because a bundle can have
//! millions.

use patchwork_traces::verify::Severity;
use schemars::JsonSchema;
use serde::Serialize;

/// The maximum number of listed findings of each kind, unless all are requested.
pub const MAX_PER_KIND: u64 = 100;

/// Findings of one kind.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct FindingGroup {
    pub severity: Severity,
    /// The stable code, for programs.
    pub code: &'static str,
    /// The number of these findings.
    pub count: u64,
}

/// The number of findings of each kind.
#[derive(Debug)]
pub struct FindingList {
    limit: u64,
    /// The kinds in order of their first finding.
    kinds: Vec<FindingGroup>,
}

impl FindingList {
    /// Creates a list of all findings, or of the first ones of each kind.
    pub fn new(all: bool) -> Self {
        Self { limit: if all { u64::MAX } else { MAX_PER_KIND }, kinds: Vec::new() }
    }

    /// Counts a finding of this kind, and returns true if it is to be listed.
    pub fn should_list(&mut self, severity: Severity, code: &'static str) -> bool {
        let index = self.kinds.iter().position(|kind| kind.code == code && kind.severity == severity);
        let index = index.unwrap_or_else(|| {
            self.kinds.push(FindingGroup { severity, code, count: 0 });
            self.kinds.len() - 1
        });
        self.kinds[index].count += 1;
        self.kinds[index].count <= self.limit
    }

    /// Returns the numbers of findings that are not listed, by kind.
    pub fn not_listed(&self) -> impl Iterator<Item = FindingGroup> {
        let more = self.kinds.iter().filter(|kind| kind.count > self.limit);
        more.map(|kind| FindingGroup { count: kind.count - self.limit, ..*kind })
    }
}
