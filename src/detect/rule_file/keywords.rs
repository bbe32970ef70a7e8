//! The keywords without which a rule finds nothing, and the automaton that finds them.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, BuildError, MatchKind};

/// Finds the rules whose keywords a text has, in one pass.
#[derive(Debug)]
pub struct Keywords {
    automaton: AhoCorasick,
    /// The rules of each pattern of the automaton.
    rules: Vec<Vec<usize>>,
    /// The rules without keywords.
    always: Vec<usize>,
}

/// The rules that may find something in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleHits(Vec<u64>);

impl RuleHits {
    fn add(&mut self, rule: usize) {
        self.0[rule / 64] |= 1 << (rule % 64);
    }

    /// Returns true if there are no rules.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|bits| *bits == 0)
    }

    /// Returns the indices of the rules, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(at, bits)| {
            let mut bits = *bits;
            std::iter::from_fn(move || {
                let next = (bits != 0).then(|| at * 64 + bits.trailing_zeros() as usize);
                bits &= bits.wrapping_sub(1);
                next
            })
        })
    }
}

impl Keywords {
    /// Builds the automaton from the keywords of each rule.
    ///
    /// # Errors
    /// If there are too many keywords.
    pub fn new<'k>(of_rules: impl Iterator<Item = &'k [String]>) -> Result<Self, BuildError> {
        let (mut patterns, mut rules, mut always) = (Vec::<String>::new(), Vec::<Vec<usize>>::new(), Vec::new());
        for (rule, keywords) in of_rules.enumerate() {
            if keywords.iter().all(String::is_empty) {
                always.push(rule);
            }
            for keyword in
                keywords.iter().map(|keyword| lower(keyword).into_owned()).filter(|keyword| !keyword.is_empty())
            {
                let at = patterns.iter().position(|known| *known == keyword).unwrap_or(patterns.len());
                if at == patterns.len() {
                    patterns.push(keyword);
                    rules.push(Vec::new());
                }
                rules[at].push(rule);
            }
        }
        let kind = if patterns.len() < 2000 { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let mut builder = AhoCorasickBuilder::new();
        builder.match_kind(MatchKind::Standard).ascii_case_insensitive(true).kind(Some(kind));
        Ok(Self { automaton: builder.build(&patterns)?, rules, always })
    }

    /// Returns true if a rule must check a string of a row, which is given decoded.
    pub fn may_hit(&self, row: &[u8]) -> bool {
        !self.always.is_empty() || self.automaton.is_match(&*lower(&String::from_utf8_lossy(row)))
    }

    /// Returns the rules that must check a text, or the value of a key.
    pub fn hits(&self, key: Option<&str>, text: &str) -> RuleHits {
        let rules = self.always.iter().chain(self.rules.iter().flatten()).max().map_or(0, |most| most + 1);
        let mut hits = RuleHits(vec![0; rules.div_ceil(64)]);
        self.always.iter().for_each(|rule| hits.add(*rule));
        for text in key.into_iter().chain([text]) {
            for hit in self.automaton.find_overlapping_iter(&*lower(text)) {
                self.rules[hit.pattern().as_usize()].iter().for_each(|rule| hits.add(*rule));
            }
        }
        hits
    }
}

/// Returns a text in lower case. ASCII letters may stay, because the automaton matches them in any case.
fn lower(text: &str) -> Cow<'_, str> {
    match text.is_ascii() {
        true => text.into(),
        // Maps one character to one, as Go does.
        false => text.chars().filter_map(|c| c.to_lowercase().next()).collect(),
    }
}
