//! Allowlists: the matches of rules that are harmless.

use std::ops::Range;

use aho_corasick::AhoCorasick;
use regex::RegexSet;

/// A match of a rule, for allowlists to check.
#[derive(Debug, Clone)]
pub struct RuleMatch<'t> {
    /// The text that was searched.
    pub text: &'t str,
    /// The range of the whole match.
    pub matched: Range<usize>,
    /// The range of the secret in the match.
    pub secret: Range<usize>,
}

impl<'t> RuleMatch<'t> {
    fn target(&self, target: RegexTarget) -> &'t str {
        match target {
            RegexTarget::Secret => &self.text[self.secret.clone()],
            RegexTarget::Match => self.text[self.matched.clone()].trim_matches('\n'),
            RegexTarget::Line => {
                let start = self.text[..self.matched.start].rfind('\n').map_or(0, |at| at + 1);
                let end = self.text[self.matched.end..].find('\n').map_or(self.text.len(), |at| self.matched.end + at);
                &self.text[start..end]
            }
        }
    }
}

/// The text that an allowlist's expressions are matched against.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RegexTarget {
    #[default]
    Secret,
    /// The whole match of the rule.
    Match,
    /// The line or lines of the match.
    Line,
}

/// An allowlist. One condition is enough, unless all are required.
#[derive(Debug, Clone, Default)]
pub struct Allowlist {
    pub target: RegexTarget,
    pub regexes: Option<RegexSet>,
    /// Finds stop words, which make a match harmless.
    pub stop_words: Option<AhoCorasick>,
    /// True if all conditions must be met.
    pub needs_all: bool,
    /// True if it also has conditions that no log can meet: commits or file paths.
    pub has_other_conditions: bool,
}

impl Allowlist {
    /// Returns true if a find is harmless.
    pub fn allows(&self, found: &RuleMatch<'_>) -> bool {
        let regex = self.regexes.as_ref().map(|regexes| regexes.is_match(found.target(self.target)));
        let word = self.stop_words.as_ref().map(|words| words.is_match(found.target(RegexTarget::Secret)));
        match self.needs_all {
            true => !self.has_other_conditions && regex != Some(false) && word != Some(false),
            false => regex == Some(true) || word == Some(true),
        }
    }
}
