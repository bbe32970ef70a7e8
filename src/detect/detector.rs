//! A set of rules that is ready to search texts.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use strum::{EnumCount as _, VariantArray as _};

use super::address::{dots_and_colons, may_have_address};
use super::candidates::{Find, FindCandidates, RuleId};
use super::decoded::{Decoded, has_unicode_escape};
use super::marks::Marks;
use super::names::is_distinctive;
use super::placeholder::{can_be_secret, without_names};
use super::rule_file::{Allowlist, RuleFile, RuleMatch};
use super::rules::{BuiltInRule, FindKind, NameStem, SecretName, can_name_a_person, names_a_person, secret_name};
use super::secrets::aws_secret;
use super::value_shape::{is_password_like, is_time_or_place, is_token_like};
use crate::error::{ErrorKind, RedactionFault, Result};

/// The maximum number of nested texts, such as JSON in a string of JSON in a string, whose escapes are decoded.
const MAX_NESTED_TEXTS: usize = 4;

/// The choice of rules for a scan or a redaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct DetectOptions {
    /// The names of the rules and kinds to use; empty means all.
    pub only: Vec<String>,
    /// The names of the rules and kinds not to use.
    pub skip: Vec<String>,
    /// Rules that are used in addition to the built-in ones.
    pub rules: Option<RuleFile>,
}

impl DetectOptions {
    /// Limits the search to these rules and kinds, such as `github-token` or `secret`.
    pub fn only(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { only: names.into_iter().map(Into::into).collect(), ..self }
    }

    /// Returns true if the options select all rules.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.only.is_empty() && self.skip.is_empty()
    }

    /// Excludes these rules and kinds.
    pub fn skip(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { skip: names.into_iter().map(Into::into).collect(), ..self }
    }

    /// Also uses the rules of a file. A rule with the name of a built-in one extends it.
    pub fn rules(self, rules: impl Into<Option<RuleFile>>) -> Self {
        Self { rules: rules.into(), ..self }
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
#[derive(Debug, Clone)]
pub struct Detector {
    marks: Arc<Marks>,
    /// The user names that are also words.
    words: BTreeSet<String>,
    /// The rules of a file.
    file: Option<Arc<FileRules>>,
    /// One flag per rule: true if the rule is used.
    enabled: Vec<bool>,
    /// True if the texts were redacted, so that names such as `user-1` are placeholders.
    exempts_names: bool,
}

/// The rules of a file, with their IDs in a detector.
#[derive(Debug)]
struct FileRules {
    file: RuleFile,
    /// The ID of each rule in the detector.
    ids: Vec<RuleId>,
    /// The names of the rules that are not built-in.
    names: Vec<String>,
    /// The allowlists of each built-in rule.
    allowlists: Vec<Vec<Arc<Allowlist>>>,
}

impl FileRules {
    fn new(file: RuleFile) -> Self {
        let (mut ids, mut names) = (Vec::new(), Vec::new());
        for name in file.names() {
            let built_in = BuiltInRule::VARIANTS.iter().find(|rule| rule.name() == name);
            ids.push(built_in.map_or(RuleId(BuiltInRule::COUNT + names.len()), |rule| RuleId::from(*rule)));
            if built_in.is_none() {
                names.push(name.to_owned());
            }
        }
        let of_rule = |rule: &BuiltInRule| {
            let is_of_rule = |name: &str| name == rule.name() || name == rule.kind().name();
            let lists = file.allowlists_of_others().iter().filter(|(name, _)| is_of_rule(name));
            lists.map(|(_, list)| Arc::clone(list)).collect()
        };
        let allowlists = BuiltInRule::VARIANTS.iter().map(of_rule).collect();
        Self { file, ids, names, allowlists }
    }

    /// Returns true if a find of a built-in rule is harmless.
    fn allows(&self, text: &str, found: &Find) -> bool {
        let found_there = RuleMatch { text, matched: found.span.clone(), secret: found.span.clone() };
        self.allowlists.get(found.rule.0).is_some_and(|lists| lists.iter().any(|list| list.allows(&found_there)))
    }
}

impl Detector {
    /// Prepares the chosen rules.
    ///
    /// # Errors
    /// [`RedactionFault::UnknownRule`] if a name is neither a rule nor a kind, and [`RedactionFault::NoRules`] if no rule is
    /// left.
    pub fn new(options: &DetectOptions) -> Result<Self> {
        Self::with_names(options, &BTreeSet::new())
    }

    /// Prepares the chosen rules, and searches for `names` everywhere: user names from home directories, in lower case.
    /// Names that are also words are only found in values that can name a person.
    pub(crate) fn with_names(options: &DetectOptions, names: &BTreeSet<String>) -> Result<Self> {
        let (names, words): (Vec<_>, Vec<_>) = names.iter().map(String::as_str).partition(|name| is_distinctive(name));
        let marks = Marks::new(&names, &words);
        let marks =
            marks.map_err(|_| ErrorKind::Redaction(RedactionFault::TooManyUsers { limit: super::MAX_KNOWN_NAMES }))?;
        let file = options.rules.clone().map(|rules| Arc::new(FileRules::new(rules)));
        let rules = BuiltInRule::COUNT + file.as_ref().map_or(0, |file| file.names.len());
        let words = words.into_iter().map(str::to_owned).collect();
        let (marks, enabled) = (Arc::new(marks), vec![true; rules]);
        let detector = Self { marks, words, file, enabled, exempts_names: false };
        let (only, skip) = (detector.selected(&options.only)?, detector.selected(&options.skip)?);
        let enabled = only.iter().zip(&skip).map(|(only, skip)| (options.only.is_empty() || *only) && !skip);
        let enabled: Vec<_> = enabled.collect();
        match enabled.contains(&true) {
            true => Ok(Self { enabled, ..detector }),
            false => Err(ErrorKind::Redaction(RedactionFault::NoRules).into()),
        }
    }

    /// Returns a detector for redacted texts, which ignores the placeholders of a redaction. In other texts, a
    /// placeholder is a value like any other.
    pub(crate) fn for_redacted(&self) -> Self {
        Self { exempts_names: true, ..self.clone() }
    }

    /// Returns one flag per rule: true if one of the names selects it.
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

    /// Returns the name of a rule.
    #[must_use]
    pub fn name(&self, rule: RuleId) -> &str {
        match BuiltInRule::VARIANTS.get(rule.0) {
            Some(rule) => rule.name(),
            None => self.file.as_ref().map_or("", |file| file.names[rule.0 - BuiltInRule::COUNT].as_str()),
        }
    }

    /// Returns the kind of a rule: secrets or personal data.
    #[must_use]
    pub fn kind(&self, rule: RuleId) -> FindKind {
        BuiltInRule::VARIANTS.get(rule.0).map_or(FindKind::Secret, |rule| rule.kind())
    }

    /// Returns the first word of the placeholders for finds of a rule.
    #[must_use]
    pub fn stem(&self, rule: RuleId) -> NameStem {
        BuiltInRule::VARIANTS.get(rule.0).map_or(NameStem::Secret, |rule| rule.stem())
    }

    /// Returns all finds in a text, in order and without overlaps.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Find> {
        self.search(None, text)
    }

    /// Returns all finds in the decoded text of a JSON string that is the value of `key`.
    #[must_use]
    pub fn find_value(&self, key: &str, text: &str) -> Vec<Find> {
        self.search(Some(&StringKey { text: key, is_in_secret: false }), text)
    }

    /// Returns all finds in a text, which may be the value of a key. JSON inside the text may have escapes of its own,
    /// so the text is also searched with those decoded.
    pub(super) fn search(&self, key: Option<&StringKey<'_>>, text: &str) -> Vec<Find> {
        self.search_nested(key, text, 0)
    }

    fn search_nested(&self, key: Option<&StringKey<'_>>, text: &str, level: usize) -> Vec<Find> {
        let mut found = self.candidates(key, text);
        if level < MAX_NESTED_TEXTS && has_unicode_escape(text.as_bytes()) {
            let inner = Decoded::new(text.as_bytes());
            for find in self.search_nested(key, inner.text(), level + 1) {
                found.push(find.rule, inner.raw(&find.span));
            }
        }
        found.resolve()
    }

    /// Returns the finds in a text, without decoding it.
    fn candidates(&self, key: Option<&StringKey<'_>>, text: &str) -> FindCandidates {
        let mut found = FindCandidates::default();
        self.marks.look(text, &mut found);
        if found.has_aws_id {
            aws_secret(text, &mut found);
        }
        dots_and_colons(text, &mut found);
        if let Some(key) = key {
            named(key, text, &mut found);
            if can_name_a_person(key.text) && self.words.contains(&text.to_lowercase()) {
                found.push(BuiltInRule::UserName, 0..text.len());
            }
        }
        self.keep_wanted(text, &mut found);
        if let Some(FileRules { file, ids, .. }) = self.file.as_deref() {
            file.look(key.map(|key| key.text), text, |rule, span| {
                if let Some(span) = self.without_names(text, span).filter(|_| self.enabled[ids[rule].0]) {
                    found.push(ids[rule], span);
                }
            });
        }
        found
    }

    /// Returns the finds of mark-based rules in the joined strings of an array.
    pub(super) fn search_joined(&self, text: &str) -> Vec<Find> {
        let mut found = FindCandidates::default();
        self.marks.look(text, &mut found);
        self.keep_wanted(text, &mut found);
        found.resolve()
    }

    /// Keeps the finds of enabled rules that are not known to be harmless.
    fn keep_wanted(&self, text: &str, found: &mut FindCandidates) {
        found.retain(|find| {
            self.enabled[find.rule.0]
                && !self.file.as_ref().is_some_and(|file| file.allows(text, find))
                && self.without_names(text, trimmed(text, &find.span)).is_some()
        });
    }

    /// Returns the range of a find, reduced by [`without_names`] if the texts were redacted.
    fn without_names(&self, text: &str, span: Range<usize>) -> Option<Range<usize>> {
        if self.exempts_names { without_names(text, span) } else { Some(span) }
    }

    /// Returns false if no string of a row has a find. `row` is decoded, so it contains the text of each string between
    /// quotation marks.
    pub(super) fn may_match(&self, row: &[u8]) -> bool {
        has_unicode_escape(row)
            || self.marks.may_match(row)
            || may_have_address(row)
            || self.file.as_ref().is_some_and(|rules| rules.file.may_hit(row))
    }
}

/// Returns a range without the white space at its ends.
fn trimmed(text: &str, span: &Range<usize>) -> Range<usize> {
    let found = &text[span.clone()];
    let start = span.start + (found.len() - found.trim_start().len());
    start..start + found.trim().len()
}

/// The key of a string: the string is its value, or an element of its value.
#[derive(Debug, Clone, Copy)]
pub struct StringKey<'k> {
    /// The decoded key.
    pub text: &'k str,
    /// True if an enclosing key names secrets.
    pub is_in_secret: bool,
}

/// Proposes a value whose key marks it as secret or personal.
fn named(key: &StringKey<'_>, text: &str, found: &mut FindCandidates) {
    let rule = match (secret_name(key.text), names_a_person(key.text)) {
        (Some(SecretName::One), _) => BuiltInRule::NamedSecret,
        (Some(SecretName::Several), _) if is_likely_secret(text) => BuiltInRule::NamedSecret,
        (Some(SecretName::Short), _) if is_password_like(text) => BuiltInRule::NamedSecret,
        (_, Some(rule)) if is_name_of_one(rule, text) => rule,
        _ if key.is_in_secret && is_likely_secret(text) => BuiltInRule::NamedSecret,
        _ => return,
    };
    if can_be_secret(text) {
        found.push(rule, 0..text.len());
    }
}

/// Returns true if a string nested in a secret looks like a secret: not like words, a time, a path or a URL.
fn is_likely_secret(text: &str) -> bool {
    is_token_like(text) && !text.contains(char::is_whitespace) && !is_time_or_place(text)
}

/// Returns true if a value can be a user or host name that identifies a user or host.
fn is_name_of_one(rule: BuiltInRule, text: &str) -> bool {
    let is_plain = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'));
    let is_common = match rule {
        BuiltInRule::UserName => super::names::is_common_account(text),
        _ => super::hosts::is_public_host(text),
    };
    is_plain && !is_common
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_measured_again_for_each_mark() {
        let detector = Detector::new(&DetectOptions::default()).unwrap();
        for part in
            ["token=", "eyJ-", "eyJ.", "cookie: a", "cookie: a=b ", "cookie=1;", ";pwd=", "token='", "curl -b a=b "]
        {
            let text = part.repeat(100_000 / part.len());
            let mut found = FindCandidates::default();
            detector.marks.look(&text, &mut found);
            assert!(found.ends.steps <= 4 * text.len(), "{part}: {}", found.ends.steps);
        }
    }
}
