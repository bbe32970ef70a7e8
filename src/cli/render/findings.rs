//! Limits the listed findings of `verify` to the first ones of each kind, as a bundle can have millions.

use patchwork_traces::verify::{Finding, Severity};

/// The maximum number of listed findings of each kind, unless all are requested.
pub const MAX_OF_A_KIND: u64 = 100;

/// Findings of one kind.
#[derive(Debug, Clone, Copy)]
pub struct FindingGroup {
    /// Their severity.
    pub severity: Severity,
    /// Their stable code, for programs.
    pub code: &'static str,
    /// Their number so far.
    count: u64,
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
        Self { limit: if all { u64::MAX } else { MAX_OF_A_KIND }, kinds: Vec::new() }
    }

    /// Counts a finding, and returns true if it is to be listed.
    pub fn lists(&mut self, finding: &Finding) -> bool {
        let (severity, code) = (finding.severity(), finding.kind.code());
        let index = self.kinds.iter().position(|kind| kind.code == code && kind.severity == severity);
        let index = index.unwrap_or_else(|| {
            self.kinds.push(FindingGroup { severity, code, count: 0 });
            self.kinds.len() - 1
        });
        self.kinds[index].count += 1;
        self.kinds[index].count <= self.limit
    }

    /// Returns the kinds with unlisted findings, and the number of those.
    pub fn not_listed(&self) -> impl Iterator<Item = (FindingGroup, u64)> {
        self.kinds.iter().filter(|kind| kind.count > self.limit).map(|kind| (*kind, kind.count - self.limit))
    }
}
