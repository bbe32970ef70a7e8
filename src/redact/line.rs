//! Redacts one line of a log.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::conditions::RecordedConditions;
use super::members::{LINE_REMOVED, MemberRules};
use super::names::Names;
use crate::detect::{
    BuiltInRule, Decoded, Detector, FoundInLine, NameStem, PRIVATE_KEY_REMOVED, RuleId, Strings, in_line,
};
use crate::error::{RedactionFault, Result};
use crate::format::TimeKey;
use crate::format::row::classify;

/// The maximum number of redaction passes over a line. The last pass replaces whole strings.
const MAX_PASSES: usize = 8;

/// Replaces what a detector finds, and removes members.
#[derive(Debug)]
pub struct LineRedactor {
    /// Searches the texts of the input.
    detector: Detector,
    /// Searches texts in which finds were replaced.
    of_redacted: Detector,
    names: Names,
    pub members: MemberRules,
    /// The conditions that the rows of a filtered input meet.
    pub conditions: RecordedConditions,
    /// The number of texts that were replaced.
    pub replaced: u64,
    /// The number of lines that were changed.
    pub lines: u64,
}

/// A part of a line and what replaces it.
struct FindReplacement {
    raw: Range<usize>,
    text: String,
    is_in_key: bool,
}

impl LineRedactor {
    pub fn new(detector: Detector, names: Names, members: MemberRules) -> Self {
        let of_redacted = detector.for_redacted();
        let conditions = RecordedConditions::default();
        Self { detector, of_redacted, names, members, conditions, replaced: 0, lines: 0 }
    }

    /// Returns the detector for the first or a later pass over a text.
    pub fn detector(&self, pass: usize) -> &Detector {
        if pass == 1 { &self.detector } else { &self.of_redacted }
    }

    /// Redacts a text that is not a line: a label or a name.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub fn text(&mut self, text: &str) -> Result<String> {
        let mut redacted = text.to_owned();
        for pass in 1..=MAX_PASSES {
            let finds = self.detector(pass).find(&redacted);
            if finds.is_empty() {
                return Ok(redacted);
            }
            let (mut next, mut at) = (String::new(), 0);
            for find in finds {
                next.push_str(&redacted[at..find.span.start]);
                next.push_str(&self.name(find.rule, &redacted[find.span.clone()])?);
                at = find.span.end;
            }
            next.push_str(&redacted[at..]);
            redacted = next;
        }
        self.names.name(NameStem::Secret, &redacted)
    }

    /// Redacts a line, given without its line feed. `times` are the keys of a row's timestamp.
    ///
    /// # Errors
    /// If there are too many values, their names collide, or a row would become an unparsed line.
    pub fn line<'l>(&mut self, line: &'l [u8], times: &[TimeKey]) -> Result<Cow<'l, [u8]>> {
        let is_row = classify(line, times).is_some();
        if is_row && !self.members.is_empty() {
            self.members.see(&String::from_utf8_lossy(line));
        }
        let mut redacted = self.without_members(line, is_row);
        // A placeholder can turn the text around it into a find.
        for pass in 1..=MAX_PASSES {
            match self.replace(&redacted, is_row, pass)? {
                Some(again) => redacted = Cow::Owned(again),
                None => break,
            }
        }
        if redacted != line {
            self.lines += 1;
            if classify(&redacted, times).is_some() != is_row {
                return Err(RedactionFault::LineChanged.into());
            }
        }
        if is_row && !self.conditions.is_empty() {
            self.conditions.see(&String::from_utf8_lossy(&redacted));
        }
        Ok(redacted)
    }

    fn without_members<'l>(&self, line: &'l [u8], is_row: bool) -> Cow<'l, [u8]> {
        if self.members.is_empty() {
            return line.into();
        }
        let is_blank = line.iter().all(u8::is_ascii_whitespace);
        match is_row {
            true => self.members.remove_from(line).map_or(line.into(), Cow::Owned),
            false if is_blank => line.into(),
            false => removed_line(line).into(),
        }
    }

    /// Returns a line with its finds replaced by names, or `None` if there are none. The last pass replaces whole
    /// strings with finds, or the whole unparsed line.
    fn replace(&mut self, line: &[u8], is_row: bool, pass: usize) -> Result<Option<Vec<u8>>> {
        let (mut finds, is_whole) = (Vec::new(), pass == MAX_PASSES);
        in_line(self.detector(pass), line, is_row, |_, FoundInLine { raw, rule, value, is_in_key }| {
            finds.push((raw, rule, value.to_owned(), is_in_key));
        });
        if finds.is_empty() {
            return Ok(None);
        }
        if is_whole && !is_row {
            self.replaced += 1;
            return Ok(Some(removed_line(line)));
        }
        if is_whole {
            finds = whole_strings(line, &finds);
        }
        let mut replacements = Vec::with_capacity(finds.len());
        for (raw, rule, value, is_in_key) in finds {
            replacements.push(FindReplacement { raw, text: self.name(rule, &value)?, is_in_key });
        }
        if replacements.iter().any(|replacement| replacement.is_in_key) {
            keep_keys_apart(line, &mut replacements);
        }
        let (mut redacted, mut at) = (Vec::with_capacity(line.len()), 0);
        for FindReplacement { raw, text, .. } in replacements {
            redacted.extend_from_slice(&line[at..raw.start]);
            redacted.extend_from_slice(text.as_bytes());
            at = raw.end;
        }
        redacted.extend_from_slice(&line[at..]);
        Ok(Some(redacted))
    }

    fn name(&mut self, rule: RuleId, value: &str) -> Result<String> {
        self.replaced += 1;
        match rule == RuleId::from(BuiltInRule::PrivateKey) {
            true => Ok(PRIVATE_KEY_REMOVED.to_owned()),
            false => self.names.name(self.detector.stem(rule), value),
        }
    }
}

/// Returns the replacement of an unparsed line.
fn removed_line(line: &[u8]) -> Vec<u8> {
    let ending: &[u8] = if line.ends_with(b"\r") { b"\r" } else { b"" };
    [LINE_REMOVED, ending].concat()
}

/// A find in a line: its range, its rule, its decoded text, and true if it is in a key.
type RawFind = (Range<usize>, RuleId, String, bool);

/// Returns the strings of a row that have finds.
fn whole_strings(line: &[u8], finds: &[RawFind]) -> Vec<RawFind> {
    let (mut strings, mut whole) = (Strings::new(line), Vec::new());
    while let Some(string) = strings.next_string() {
        if finds.iter().any(|(raw, ..)| string.raw.start <= raw.start && raw.end <= string.raw.end) {
            let text = Decoded::new(&line[string.raw.clone()]).text().to_owned();
            whole.push((string.raw, RuleId::from(BuiltInRule::NamedSecret), text, string.is_key));
        }
    }
    whole
}

/// Ensures that different keys of a row stay different: numbers a new key that equals another key.
fn keep_keys_apart(line: &[u8], replacements: &mut [FindReplacement]) {
    let mut changed: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    let mut unchanged = HashSet::new();
    let (mut strings, mut next) = (Strings::new(line), 0);
    while let Some(string) = strings.next_string() {
        let first = next;
        while replacements.get(next).is_some_and(|replacement| replacement.raw.start < string.raw.end) {
            next += 1;
        }
        match (string.is_key, first == next) {
            (true, true) => _ = unchanged.insert(Decoded::new(&line[string.raw]).text().to_owned()),
            (true, false) => changed.push((string.raw, first..next)),
            (false, _) => {}
        }
    }
    let mut originals: HashMap<String, String> = HashMap::new();
    for (raw, of_key) in changed {
        let original = Decoded::new(&line[raw.clone()]).text().to_owned();
        let new = new_key(line, &raw, &replacements[of_key.clone()]);
        let mut number = 1;
        let mut candidate = new.clone();
        while unchanged.contains(&candidate) || originals.get(&candidate).is_some_and(|other| *other != original) {
            number += 1;
            candidate = format!("{new} ({number})");
        }
        if number > 1 {
            let last = &mut replacements[of_key.end - 1];
            last.text.push_str(&String::from_utf8_lossy(&line[last.raw.end..raw.end]));
            last.text.push_str(&format!(" ({number})"));
            last.raw.end = raw.end;
        }
        originals.insert(candidate, original);
    }
}

/// Returns the decoded key with its replacements.
fn new_key(line: &[u8], raw: &Range<usize>, replacements: &[FindReplacement]) -> String {
    let (mut key, mut at) = (Vec::new(), raw.start);
    for FindReplacement { raw, text, .. } in replacements {
        key.extend_from_slice(&line[at..raw.start]);
        key.extend_from_slice(text.as_bytes());
        at = raw.end;
    }
    key.extend_from_slice(&line[at..raw.end]);
    Decoded::new(&key).text().to_owned()
}
