//! The finds that rules propose in one text, and the resolution of overlaps.

use std::collections::BTreeMap;
use std::ops::Range;

use super::rules::BuiltInRule;
use super::run_ends::RunEnds;

/// A rule of a detector, by its number: first the built-in rules, then those of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub(super) usize);

impl From<BuiltInRule> for RuleId {
    fn from(rule: BuiltInRule) -> Self {
        Self(rule as usize)
    }
}

/// A part of a text that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// The range in the text, in bytes.
    pub span: Range<usize>,
    /// The rule.
    pub rule: RuleId,
}

/// The finds of one text before overlaps are removed.
#[derive(Debug, Default)]
pub struct FindCandidates {
    found: Vec<Find>,
    /// True if the text has an AWS access key ID, so that it must be searched for the secret key.
    pub(super) has_aws_id: bool,
    pub(super) ends: RunEnds,
    /// The offset up to which cookies were checked.
    pub(super) cookies_end: usize,
}

impl FindCandidates {
    pub fn push(&mut self, rule: impl Into<RuleId>, span: Range<usize>) {
        if !span.is_empty() {
            self.found.push(Find { span, rule: rule.into() });
        }
    }

    /// Returns true if there are no finds.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Keeps the finds for which `keeps` returns true.
    pub fn retain(&mut self, keeps: impl FnMut(&Find) -> bool) {
        self.found.retain(keeps);
    }

    /// Returns the finds in text order, without overlaps. Longer finds win, then earlier rules. The uncovered parts of
    /// a partly covered find are kept, so that the result covers everything that was found.
    pub fn resolve(&mut self) -> Vec<Find> {
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|find| (std::cmp::Reverse(find.span.len()), find.rule, find.span.start));
        let mut taken = BTreeMap::new();
        for find in found {
            for part in uncovered(&taken, find.span) {
                taken.insert(part.start, (part.end, find.rule));
            }
        }
        taken.into_iter().map(|(start, (end, rule))| Find { span: start..end, rule }).collect()
    }
}

/// Returns the parts of `span` that no other find covers.
fn uncovered(taken: &BTreeMap<usize, (usize, RuleId)>, span: Range<usize>) -> Vec<Range<usize>> {
    let mut at = match taken.range(..=span.start).next_back() {
        Some((_, (end, _))) => span.start.max(*end),
        None => span.start,
    };
    let mut parts = Vec::new();
    for (start, (end, _)) in taken.range(span.start..span.end) {
        if at < *start {
            parts.push(at..*start);
        }
        at = at.max(*end);
    }
    if at < span.end {
        parts.push(at..span.end);
    }
    parts
}
