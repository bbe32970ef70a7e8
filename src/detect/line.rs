//! The finds in a line of a log: in the strings of a row, or in the text of an unparsed line.

use std::borrow::Cow;
use std::ops::Range;

use super::array::ArrayFinds;
use super::candidates::{Find, FindCandidates, RuleId};
use super::decoded::Decoded;
use super::detector::{Detector, StringKey};
use super::rules::{SecretName, secret_name};
use super::strings::{RawStep, Strings};
use crate::query::{KeyPath, PathStep};

/// The part of a line that a find is in.
#[derive(Debug)]
pub enum LinePlace<'l, 's> {
    /// In a string of a row.
    Row(&'s Strings<'l>),
    /// In an unparsed line.
    Unparsed,
}

/// A find in a line.
#[derive(Debug)]
pub struct FoundInLine<'t> {
    /// The range in the line, in bytes.
    pub raw: Range<usize>,
    pub rule: RuleId,
    /// The decoded text.
    pub value: &'t str,
    /// True if the find is in a key.
    pub is_in_key: bool,
}

/// Passes each find in a line to `take`, in order. `is_row` is true if the line is JSON.
pub fn in_line(
    detector: &Detector,
    line: &[u8],
    is_row: bool,
    mut take: impl FnMut(LinePlace<'_, '_>, FoundInLine<'_>),
) {
    if is_row {
        in_row(detector, line, take);
    } else {
        for (raw, rule, value) in in_unparsed(detector, line) {
            take(LinePlace::Unparsed, FoundInLine { raw, rule, value: &value, is_in_key: false });
        }
    }
}

fn in_row(detector: &Detector, line: &[u8], mut take: impl FnMut(LinePlace<'_, '_>, FoundInLine<'_>)) {
    // A row without escapes needs no decoding.
    let unescaped = line.contains(&b'\\').then(|| Decoded::new(line));
    if !detector.may_match(unescaped.as_ref().map_or(line, |row| row.text().as_bytes())) {
        return;
    }
    let (mut strings, mut outer) = (Strings::new(line), OuterKeys::default());
    let (mut pair, mut arrays) = (NamedPair::default(), ArrayFinds::default());
    while let Some(string) = strings.next_string() {
        let decoded = Decoded::new(&line[string.raw.clone()]);
        let finds = match strings.keys().next().filter(|_| !string.is_key) {
            Some(key) => {
                let (key, is_in_secret) = (Decoded::new(&line[key]), outer.name_secrets(&strings, line));
                let text = pair.key_of(&strings, key.text(), decoded.text());
                detector.search(Some(&StringKey { text: &text, is_in_secret }), decoded.text())
            }
            None => detector.find(decoded.text()),
        };
        let finds = arrays.add_to(finds, detector, line, &strings, &string);
        for Find { span, rule } in finds {
            let raw = decoded.raw(&span);
            let raw = string.raw.start + raw.start..string.raw.start + raw.end;
            let found = FoundInLine { raw, rule, value: &decoded.text()[span], is_in_key: string.is_key };
            take(LinePlace::Row(&strings), found);
        }
    }
}

/// The name in an object with separate members for name and value: `{"name":"DB_PASSWORD","value":"…"}`.
#[derive(Default)]
struct NamedPair {
    /// The offset of the object, and the name if it names a secret.
    name: Option<(usize, String)>,
}

impl NamedPair {
    /// Returns the key that describes a value: the recorded name, if the object has one, or else `key`. Records the
    /// value if it is such a name.
    fn key_of<'k>(&mut self, strings: &Strings<'_>, key: &'k str, value: &str) -> Cow<'k, str> {
        let is_one_of = |known: &str| known.split(' ').any(|known| known.eq_ignore_ascii_case(key));
        let Some(object) = strings.object() else { return key.into() };
        if is_one_of("header key name param parameter var variable") && secret_name(value).is_some() {
            self.name = Some((object, value.to_owned()));
        }
        match &self.name {
            Some((of, name)) if *of == object && is_one_of("content data default val value") => name.clone().into(),
            _ => key.into(),
        }
    }
}

/// Recognises strings inside the value of a key that names secrets. Caches the answer, because most strings have the
/// same outer keys as the previous one.
#[derive(Default)]
struct OuterKeys {
    /// The outer keys of the previous string, innermost first.
    keys: Vec<Range<usize>>,
    name_secrets: bool,
}

impl OuterKeys {
    /// Returns true if a key outside the innermost one names secrets.
    fn name_secrets(&mut self, strings: &Strings<'_>, line: &[u8]) -> bool {
        if !strings.keys().skip(1).eq(self.keys.iter().cloned()) {
            self.keys = strings.keys().skip(1).collect();
            let is_secret = |key: &Range<usize>| {
                let name = secret_name(Decoded::new(&line[key.clone()]).text());
                name.is_some_and(|name| name != SecretName::Short)
            };
            self.name_secrets = self.keys.iter().any(is_secret);
        }
        self.name_secrets
    }
}

/// Returns the finds in an unparsed line. Searches it twice, as it is and decoded, because it may be part of a row.
fn in_unparsed(detector: &Detector, line: &[u8]) -> Vec<(Range<usize>, RuleId, String)> {
    let mut all = FindCandidates::default();
    let views = [Decoded::plain(line), Decoded::new(line)];
    for view in &views {
        for find in detector.find(view.text()) {
            all.push(find.rule, view.raw(&find.span));
        }
    }
    let finds = all.resolve().into_iter();
    finds.map(|find| (find.span.clone(), find.rule, Decoded::new(&line[find.span]).text().to_owned())).collect()
}

/// The path to a string of a row, for display.
#[derive(Debug)]
pub struct StringPath(KeyPath);

impl StringPath {
    /// The maximum length of a key that is shown, in characters.
    const MAX_KEY_CHARS: usize = 64;

    /// Returns the path to the string that `strings` has just returned. Keys that have finds, which the path must not
    /// show, are replaced by `…`, and so are long keys.
    pub fn of(strings: &Strings<'_>, line: &[u8], detector: &Detector, is_in_key: bool) -> Self {
        let depth = strings.depth();
        let steps = strings.path().enumerate().map(|(at, step)| match step {
            RawStep::Key(raw) => {
                let key = Decoded::new(&line[raw]);
                let is_hidden = is_in_key && at + 1 == depth
                    || key.text().chars().count() > Self::MAX_KEY_CHARS
                    || !detector.find(key.text()).is_empty();
                PathStep::Key(if is_hidden { "…".to_owned() } else { key.text().to_owned() })
            }
            RawStep::Element => PathStep::Each,
        });
        Self(KeyPath::from_steps(steps.collect()))
    }
}

impl std::fmt::Display for StringPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
