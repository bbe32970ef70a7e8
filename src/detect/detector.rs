//! A set of rules that is ready to search texts.

use std::collections::BTreeSet;

use strum::{EnumCount as _, VariantArray as _};

use super::address::{dots_and_colons, may_have_address};
use super::candidates::{Find, FindCandidates, RuleId};
use super::marks::Marks;
use super::placeholder::can_be_secret;
use super::rules::{BuiltInRule, FindKind, NameStem, names_a_person, names_a_secret};
use super::secrets::aws_secret;
use crate::error::{ErrorKind, RedactionFault, Result};

/// The choice of rules for a scan or a redaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct DetectOptions {
    /// The names of the rules and kinds to use; empty means all.
    pub only: Vec<String>,
    /// The names of the rules and kinds not to use.
    pub skip: Vec<String>,
}

impl DetectOptions {
    /// Limits the search to these rules and kinds, such as `github-token` or `secret`.
    pub fn only(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { only: names.into_iter().map(Into::into).collect(), ..self }
    }

    /// Returns true if all rules are used.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.only.is_empty() && self.skip.is_empty()
    }

    /// Leaves these rules and kinds out.
    pub fn skip(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { skip: names.into_iter().map(Into::into).collect(), ..self }
    }
}

/// Rules that are ready to search texts, from any number of threads.
///
/// ```
/// use patchwork_traces::detect::{DetectOptions, Detector};
///
/// # fn main() -> patchwork_traces::Result<()> {
/// let detector = Detector::new(&DetectOptions::default())?;
/// let text = "fetch https://mara:hunter2@db.corp.internal/x";
/// let finds = detector.find(text);
/// let found: Vec<_> = finds.iter().map(|find| (detector.name(find.rule), &text[find.span.clone()])).collect();
/// let expected = [("user-name", "mara"), ("connection-password", "hunter2"), ("host-name", "db.corp.internal")];
/// assert_eq!(found, expected);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Detector {
    marks: Marks,
    /// True for each rule that is used.
    enabled: Vec<bool>,
}

impl Detector {
    /// Prepares the chosen rules.
    ///
    /// # Errors
    /// [`RedactionFault::UnknownRule`] if a name is neither a rule nor a kind.
    pub fn new(options: &DetectOptions) -> Result<Self> {
        Self::with_names(options, &BTreeSet::new())
    }

    /// Prepares the chosen rules and looks for the names of users, which are known from home directories, everywhere.
    pub(crate) fn with_names(options: &DetectOptions, names: &BTreeSet<String>) -> Result<Self> {
        let marks = Marks::new(names.iter().map(String::as_str));
        let marks =
            marks.map_err(|_| ErrorKind::Redaction(RedactionFault::TooManyUsers { limit: super::MAX_KNOWN_NAMES }))?;
        let detector = Self { marks, enabled: vec![true; BuiltInRule::COUNT] };
        let (only, skip) = (detector.selected(&options.only)?, detector.selected(&options.skip)?);
        let enabled = only.iter().zip(&skip).map(|(only, skip)| (options.only.is_empty() || *only) && !skip).collect();
        Ok(Self { enabled, ..detector })
    }

    /// Returns true for each rule that one of the names selects.
    fn selected(&self, names: &[String]) -> Result<Vec<bool>> {
        let mut selected = vec![false; self.enabled.len()];
        for name in names {
            let mut is_known = false;
            for (index, selected) in selected.iter_mut().enumerate() {
                if self.name(RuleId(index)) == name || self.kind(RuleId(index)).name() == name {
                    (*selected, is_known) = (true, true);
                }
            }
            if !is_known {
                let kinds = FindKind::VARIANTS.iter().map(|kind| kind.name().to_owned());
                let rules = (0..self.enabled.len()).map(|index| self.name(RuleId(index)).to_owned());
                let fault = RedactionFault::UnknownRule { name: name.clone(), known: kinds.chain(rules).collect() };
                return Err(ErrorKind::Redaction(fault).into());
            }
        }
        Ok(selected)
    }

    /// Returns the rules, in the order of their strength.
    pub fn rules(&self) -> impl Iterator<Item = RuleId> + use<> {
        (0..self.enabled.len()).map(RuleId)
    }

    /// Returns the name of a rule.
    #[must_use]
    pub fn name(&self, rule: RuleId) -> &str {
        BuiltInRule::VARIANTS.get(rule.0).map_or("", |rule| rule.name())
    }

    /// Returns what a rule finds.
    #[must_use]
    pub fn kind(&self, rule: RuleId) -> FindKind {
        BuiltInRule::VARIANTS.get(rule.0).map_or(FindKind::Secret, |rule| rule.kind())
    }

    /// Returns the first word of the names that replace what a rule finds.
    #[must_use]
    pub fn stem(&self, rule: RuleId) -> NameStem {
        BuiltInRule::VARIANTS.get(rule.0).map_or(NameStem::Secret, |rule| rule.stem())
    }

    /// Finds everything in a text, in order and without overlaps.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Find> {
        let mut found = FindCandidates::default();
        self.look(text, &mut found);
        found.resolve()
    }

    /// Finds everything in the text of a JSON string that is the value of `key`.
    #[must_use]
    pub fn find_value(&self, key: &str, text: &str) -> Vec<Find> {
        let mut found = FindCandidates::default();
        self.look(text, &mut found);
        let of_key = names_a_secret(key).then_some(BuiltInRule::NamedSecret).or_else(|| names_a_person(key));
        if let Some(rule) = of_key.filter(|rule| self.enabled[*rule as usize])
            && can_be_secret(text)
            && (rule == BuiltInRule::NamedSecret || is_name_of_one(rule, text))
        {
            found.push(rule, 0..text.len());
        }
        found.resolve()
    }

    /// Proposes what the rules find in a text.
    pub(super) fn look(&self, text: &str, found: &mut FindCandidates) {
        self.marks.look(text, found);
        if found.has_aws_id {
            aws_secret(text, found);
            found.has_aws_id = false;
        }
        dots_and_colons(text, found);
        found.retain(|find| self.enabled[find.rule.0]);
    }

    /// Returns false if nothing will be found in the strings of a row, given as its raw bytes.
    pub(super) fn may_match(&self, raw: &[u8]) -> bool {
        self.marks.may_match(raw) || may_have_address(raw)
    }
}

/// Returns true if a value can be the name of a user or a host, and one that says something.
fn is_name_of_one(rule: BuiltInRule, text: &str) -> bool {
    let is_plain = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'));
    let is_common = match rule {
        BuiltInRule::UserName => super::names::is_common_account(text),
        _ => super::hosts::is_public_host(text),
    };
    is_plain && !is_common
}
