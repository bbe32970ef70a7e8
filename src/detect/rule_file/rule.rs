//! A rule of a rule file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use regex::Regex;

use super::allowlist::{Allowlist, RuleMatch};

/// A rule: a regular expression, and the requirements for its secret.
#[derive(Debug)]
pub struct FileRule {
    pub name: String,
    pub regex: Regex,
    /// True if every match begins at the start or ends at the end of the text.
    pub is_anchored: bool,
    /// The capture group of the secret; 0 for the first group that is not empty.
    pub secret_group: usize,
    /// The entropy that a secret must exceed, in bits per byte; 0 for no limit.
    pub min_entropy: f64,
    pub keywords: Vec<String>,
    pub allowlists: Vec<Arc<Allowlist>>,
}

impl FileRule {
    /// Passes the range of each secret in a text to `take`.
    pub fn look(&self, text: &str, allowlists: &[Arc<Allowlist>], mut take: impl FnMut(Range<usize>)) {
        let mut groups = self.regex.capture_locations();
        for matched in self.regex.find_iter(text) {
            let matched = matched.range();
            if groups.len() > 1 {
                self.regex.captures_read_at(&mut groups, text, matched.start);
            }
            let secret = self.secret(text, &matched, &groups);
            if self.min_entropy > 0.0 && entropy(&text[secret.clone()]) <= self.min_entropy {
                continue;
            }
            let found = RuleMatch { text, matched, secret };
            if !allowlists.iter().chain(&self.allowlists).any(|list| list.allows(&found)) {
                take(found.secret);
            }
        }
    }

    fn secret(&self, text: &str, matched: &Range<usize>, groups: &regex::CaptureLocations) -> Range<usize> {
        let mut of_groups = match self.secret_group {
            0 => 1..groups.len(),
            group => group..group + 1,
        };
        let group = of_groups.find_map(|group| groups.get(group).filter(|(start, end)| start < end));
        if let Some((start, end)) = group {
            return start..end;
        }
        let whole = &text[matched.clone()];
        let start = matched.start + (whole.len() - whole.trim_start_matches('\n').len());
        start..start + whole.trim_matches('\n').len()
    }
}

/// Returns the Shannon entropy of a text as gitleaks computes it: from the counts of its characters, divided by its
/// length in bytes.
fn entropy(text: &str) -> f64 {
    let (mut ascii, mut others) = ([0_u32; 128], BTreeMap::<char, u32>::new());
    for c in text.chars() {
        match ascii.get_mut(c as usize) {
            Some(count) => *count += 1,
            None => *others.entry(c).or_default() += 1,
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "texts are shorter than 2^53 bytes")]
    let bytes = text.len() as f64;
    let counts = ascii.iter().chain(others.values()).filter(|count| **count > 0);
    -counts.map(|count| f64::from(*count) / bytes).map(|part| part * part.log2()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_that_of_gitleaks() {
        for (text, expected) in [("aaaa", 0.0), ("abab", 1.0), ("abcdefgh", 3.0), ("aabbccdd", 2.0), ("é", 0.5)] {
            assert!((entropy(text) - expected).abs() < 1e-12, "{text}: {}", entropy(text));
        }
    }
}
