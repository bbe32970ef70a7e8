//! Rule files in the format of gitleaks.
//!
//! Searches each string of a row, and each value together with its key as `"key": "value"`. A rule with keywords only
//! checks texts that have one of them; one pass over a text finds the keywords of all rules.
#![cfg_attr(not(feature = "rules"), allow(dead_code, reason = "without the feature, no file is read"))]

mod allowlist;
#[cfg(feature = "rules")]
mod go_pattern;
mod keywords;
#[cfg(feature = "rules")]
mod read;
mod rule;
#[cfg(feature = "rules")]
mod toml_table;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::digest::Sha256Digest;
pub use allowlist::{Allowlist, RuleMatch};
use keywords::Keywords;
use rule::FileRule;

/// The rules of a file in the format of gitleaks: `[[rules]]` with `id`, `regex`, `secretGroup`, `entropy`, `keywords`
/// and `allowlists`, and allowlists for all rules.
#[derive(Clone)]
pub struct RuleFile(Arc<RuleSet>);

/// The content of a rule file.
#[derive(Debug)]
struct RuleSet {
    digest: Sha256Digest,
    rules: Vec<FileRule>,
    keywords: Keywords,
    /// The allowlists for all rules of the file.
    allowlists: Vec<Arc<Allowlist>>,
    /// The allowlists for rules that are not in the file, with the names of these rules.
    of_others: Vec<(String, Arc<Allowlist>)>,
    unused: UnusedParts,
}

/// The parts of a rule file that do not apply to logs, because rows have no path and no commit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnusedParts {
    /// The number of rules that have both a `path` and an expression. They are used regardless of the path.
    pub paths_of_rules: usize,
    /// The number of rules that have only a `path`. They are not used.
    pub rules_of_paths: usize,
    /// The number of allowlists with `paths` or `commits`, which logs do not have.
    pub allowlists: usize,
}

impl fmt::Debug for RuleFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleFile").field("digest", &self.0.digest).field("rules", &self.0.rules.len()).finish()
    }
}

impl PartialEq for RuleFile {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for RuleFile {}

impl RuleFile {
    /// Returns the SHA-256 of the file.
    #[must_use]
    pub fn digest(&self) -> Sha256Digest {
        self.0.digest
    }

    /// Returns the names of the rules, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.rules.iter().map(|rule| rule.name.as_str())
    }

    /// Returns the numbers of the parts that do not apply to logs.
    #[must_use]
    pub fn unused(&self) -> UnusedParts {
        self.0.unused
    }

    /// Returns the allowlists for rules that are not in the file, with the names of these rules.
    pub(super) fn allowlists_of_others(&self) -> &[(String, Arc<Allowlist>)] {
        &self.0.of_others
    }

    /// Returns true if a rule must check a string of a row, which is given decoded.
    pub(super) fn may_hit(&self, row: &[u8]) -> bool {
        self.0.keywords.may_hit(row)
    }

    /// Passes the finds in a text to `take`, with the index of the rule. A value is also searched together with its
    /// key.
    pub(super) fn look(&self, key: Option<&str>, text: &str, mut take: impl FnMut(usize, Range<usize>)) {
        let hits = self.0.keywords.hits(key, text);
        if hits.is_empty() {
            return;
        }
        let opening = key.map(|key| format!("\"{key}\": \""));
        let with_key = opening.as_ref().map(|opening| format!("{opening}{text}\""));
        for index in hits.iter() {
            let rule = &self.0.rules[index];
            let mut take = |found: Range<usize>| take(index, found);
            if let (Some(opening), Some(with_key)) = (&opening, &with_key) {
                rule.look(with_key, &self.0.allowlists, |found| {
                    let place = |at: usize| at.saturating_sub(opening.len()).min(text.len());
                    take(place(found.start)..place(found.end));
                });
            }
            if with_key.is_none() || rule.is_anchored {
                rule.look(text, &self.0.allowlists, take);
            }
        }
    }
}
