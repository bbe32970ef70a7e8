//! Tells what is found, and keeps what the verdict needs of it.

use super::FindingCounts;
use super::finding::{Finding, FindingKind, Severity};
use crate::error::Position;

/// Tells and counts what was found.
pub(super) struct Findings<'a> {
    name: &'a str,
    tell: &'a mut dyn FnMut(Finding),
    pub(super) counts: FindingCounts,
    /// Whether something is wrong with the bundle itself, or only with its container.
    pub(super) is_damaged: bool,
    pub(super) is_foreign: bool,
}

impl<'a> Findings<'a> {
    pub(super) fn new(name: &'a str, tell: &'a mut dyn FnMut(Finding)) -> Self {
        Self { name, tell, counts: FindingCounts::default(), is_damaged: false, is_foreign: false }
    }

    pub(super) fn add(&mut self, kind: FindingKind, at: Position) {
        self.is_foreign |= kind.is_of_container();
        match kind.severity() {
            Severity::Error => {
                self.counts.errors += 1;
                self.is_damaged |= !kind.is_of_request();
            }
            Severity::Warning => self.counts.warnings += 1,
            Severity::Info => self.counts.infos += 1,
        }
        (self.tell)(Finding { kind, at: Position { subject: Some(self.name.to_owned()), ..at } });
    }
}
