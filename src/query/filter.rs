//! Filters rows.

use memchr::memmem;
use regex::Regex;

use super::condition::Condition;
use super::needle::{Needle, plain_run};
use super::path::PathStep;
use super::pattern::{PatternError, compile};
use super::scan_json::unescaped;

/// A row filter with conditions on values and texts. By default, every row matches.
///
/// ```
/// use patchwork_traces::query::RowFilter;
///
/// let filter = RowFilter::default().condition("body.decision=deny".parse()?).text("rm -rf");
/// assert!(filter.matches(r#"{"body":{"decision":"deny"},"command":"rm \u002drf /"}"#));
/// assert!(!filter.matches(r#"{"body":{"decision":"allow"},"command":"rm -rf /"}"#));
/// # Ok::<(), patchwork_traces::query::ConditionError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct RowFilter {
    conditions: Vec<Condition>,
    texts: Vec<TextTest>,
    is_inverted: bool,
}

/// A text or pattern that a row must contain.
#[derive(Debug, Clone)]
enum TextTest {
    Literal(String, Box<memmem::Finder<'static>>),
    Pattern(Regex),
}

impl RowFilter {
    /// Adds a condition that rows must meet.
    pub fn condition(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Adds a text that rows must contain, in their JSON text or with its escapes decoded.
    pub fn text(mut self, text: &str) -> Self {
        let finder = Box::new(memmem::Finder::new(text).into_owned());
        self.texts.push(TextTest::Literal(text.to_owned(), finder));
        self
    }

    /// Adds a regular expression that must match the JSON text of rows, or that text with its escapes decoded.
    ///
    /// # Errors
    /// If the expression is malformed.
    pub fn pattern(mut self, pattern: &str) -> Result<Self, PatternError> {
        self.texts.push(TextTest::Pattern(compile(pattern)?));
        Ok(self)
    }

    /// Chooses whether to invert the filter.
    pub fn inverted(self, is_inverted: bool) -> Self {
        Self { is_inverted, ..self }
    }

    /// Returns the command line options for this filter, and their values.
    pub(crate) fn options(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        let conditions = self.conditions.iter().map(|condition| ("--where", Some(condition.text())));
        let texts = self.texts.iter().map(|text| match text {
            TextTest::Literal(text, _) => ("--grep", Some(text.as_str())),
            TextTest::Pattern(pattern) => ("--grep-regex", Some(pattern.as_str())),
        });
        conditions.chain(texts).chain(self.is_inverted.then_some(("--invert", None)))
    }

    /// Returns true if every row matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty() && self.texts.is_empty() && !self.is_inverted
    }

    /// Returns true if a row, given by its JSON text, matches.
    ///
    /// The text must be valid JSON, as the rows of a bundle are.
    #[must_use]
    pub fn matches(&self, row: &str) -> bool {
        let all = || {
            self.texts.iter().all(|text| text.is_in(row))
                && self.conditions.iter().all(|condition| condition.matches(row))
        };
        all() != self.is_inverted
    }

    /// Returns the needle that rules out the most rows, if there is one.
    pub(crate) fn needle(&self) -> Option<Needle> {
        if self.is_inverted {
            return None;
        }
        let values = self.conditions.iter().filter_map(|condition| {
            let text = condition.required_string()?;
            // If a value needs no escapes, its quotation marks rule out longer texts.
            Some(if plain_run(text) == text { format!("\"{text}\"") } else { plain_run(text).to_owned() })
        });
        let texts = self.texts.iter().filter_map(|text| match text {
            TextTest::Literal(text, _) => Some(plain_run(text).to_owned()),
            TextTest::Pattern(_) => None,
        });
        let best = values.chain(texts).max_by_key(String::len).filter(|needle| !needle.is_empty());
        let keys = || {
            let required = self.conditions.iter().filter(|condition| condition.requires_path());
            let keys = required.flat_map(|condition| condition.path().steps()).filter_map(|step| match step {
                PathStep::Key(key) if plain_run(key) == key => Some(format!("\"{key}\"")),
                _ => None,
            });
            keys.max_by_key(String::len)
        };
        best.or_else(keys).map(|needle| Needle::new(&needle))
    }
}

impl TextTest {
    fn is_in(&self, row: &str) -> bool {
        let is_in = |text: &str| match self {
            Self::Literal(_, finder) => finder.find(text.as_bytes()).is_some(),
            Self::Pattern(pattern) => pattern.is_match(text),
        };
        is_in(row) || (row.contains('\\') && is_in(&unescaped(row)))
    }
}
