//! Which findings of `verify` are listed: the first ones of each kind, as a bundle can have millions.

use patchwork_traces::verify::{Finding, Severity};

/// How many of each kind are listed, unless all are asked for.
pub const MAX_OF_A_KIND: u64 = 100;

/// Findings of one kind.
#[derive(Debug, Clone, Copy)]
pub struct FindingGroup {
    /// How bad they are.
    pub severity: Severity,
    /// What they are, for programs.
    pub code: &'static str,
    /// How many there are so far.
    count: u64,
}

/// Counts findings.
#[derive(Debug)]
pub struct FindingList {
    most: u64,
    /// In the order in which they came first.
    kinds: Vec<FindingGroup>,
}

impl FindingList {
    /// Lists all findings, or the first ones of each kind.
    pub fn new(all: bool) -> Self {
        Self { most: if all { u64::MAX } else { MAX_OF_A_KIND }, kinds: Vec::new() }
    }

    /// Whether the next finding is listed.
    pub fn lists(&mut self, finding: &Finding) -> bool {
        let (severity, code) = (finding.severity(), finding.kind.code());
        let place = self.kinds.iter().position(|kind| kind.code == code && kind.severity == severity);
        let place = place.unwrap_or_else(|| {
            self.kinds.push(FindingGroup { severity, code, count: 0 });
            self.kinds.len() - 1
        });
        self.kinds[place].count += 1;
        self.kinds[place].count <= self.most
    }

    /// The kinds of which not all are listed, and how many are not.
    pub fn not_listed(&self) -> impl Iterator<Item = (FindingGroup, u64)> {
        self.kinds.iter().filter(|kind| kind.count > self.most).map(|kind| (*kind, kind.count - self.most))
    }
}
