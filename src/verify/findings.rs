//! Reports and counts findings, and keeps the facts that the verdict needs.

use super::FindingCounts;
use super::finding::{Finding, FindingKind, Severity};
use crate::error::Position;

/// A reporter that counts findings.
pub(super) struct Findings<'a> {
    name: &'a str,
    report: &'a mut dyn FnMut(Finding),
    pub(super) counts: FindingCounts,
    /// True if the bundle itself is damaged.
    pub(super) is_damaged: bool,
    /// True if another program wrote the container.
    pub(super) is_foreign: bool,
}

impl<'a> Findings<'a> {
    pub(super) fn new(name: &'a str, report: &'a mut dyn FnMut(Finding)) -> Self {
        Self { name, report, counts: FindingCounts::default(), is_damaged: false, is_foreign: false }
    }

    pub(super) fn add(&mut self, kind: FindingKind, at: Position) {
        self.is_foreign |= kind.is_container_anomaly();
        match kind.severity() {
            Severity::Error => {
                self.counts.errors += 1;
                self.is_damaged |= !kind.is_unmet_requirement();
            }
            Severity::Warning => self.counts.warnings += 1,
            Severity::Info => self.counts.infos += 1,
        }
        (self.report)(Finding { kind, at: Position { subject: Some(self.name.to_owned()), ..at } });
    }
}
