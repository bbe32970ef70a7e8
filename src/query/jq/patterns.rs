//! Regular expressions in filters, because those of jaq only support ASCII.

use std::cell::RefCell;
use std::collections::VecDeque;

use jaq_core::{Cv, Error};
use jaq_json::{Map, Rc, Val};
use regex::{Captures, Regex, RegexBuilder};

use super::bounds::BoundedFilter;

/// The number of patterns that a thread caches.
const MAX_KEPT: usize = 16;

thread_local! {
    /// The most recent patterns, with their texts and flags. A filter uses the same ones for every row.
    static KEPT: RefCell<VecDeque<(String, String, Rc<Regex>)>> = const { RefCell::new(VecDeque::new()) };
}

/// Compiles a pattern, or returns it from the cache.
fn compiled(pattern: String, flags: &str) -> Result<Rc<Regex>, Error<Val>> {
    KEPT.with_borrow_mut(|kept| {
        let known = kept.iter().find(|(text, with, _)| *text == pattern && with == flags);
        if let Some((_, _, regex)) = known {
            return Ok(Rc::clone(regex));
        }
        let has = |flag| flags.contains(flag);
        let built = RegexBuilder::new(&pattern)
            .case_insensitive(has('i'))
            .multi_line(has('m') || has('p'))
            .dot_matches_new_line(has('s') || has('p'))
            .swap_greed(has('l'))
            .ignore_whitespace(has('x'))
            .build();
        let regex = Rc::new(built.map_err(|error| Error::str(format_args!("invalid regular expression: {error}")))?);
        kept.truncate(MAX_KEPT - 1);
        kept.push_front((pattern, flags.to_owned(), Rc::clone(&regex)));
        Ok(regex)
    })
}

/// A pattern, with the flags that are not part of it.
struct Search {
    pattern: Rc<Regex>,
    is_global: bool,
    skips_empty: bool,
}

/// Returns the matches in a string, each as an array of the match and its groups.
pub fn find(cv: Cv<'_, BoundedFilter>) -> Result<Val, Error<Val>> {
    let (search, text) = Search::of(cv)?;
    let mut groups = MatchGroups::of(&search.pattern, &text);
    Ok(array(search.captures(&text).map(|captures| groups.of_match(&captures))))
}

/// Returns the parts of a string between matches.
pub fn split(cv: Cv<'_, BoundedFilter>) -> Result<Val, Error<Val>> {
    let (search, text) = Search::of(cv)?;
    Ok(array(search.parts(&text, |_| None)))
}

/// Returns the parts of a string between matches, and the matches between them.
pub fn find_and_split(cv: Cv<'_, BoundedFilter>) -> Result<Val, Error<Val>> {
    let (search, text) = Search::of(cv)?;
    let mut groups = MatchGroups::of(&search.pattern, &text);
    Ok(array(search.parts(&text, |captures| Some(groups.of_match(captures)))))
}

impl Search {
    /// Reads the arguments of a function: the pattern and its flags. Also returns the string.
    fn of((mut context, input): Cv<'_, BoundedFilter>) -> Result<(Self, String), Error<Val>> {
        let flags = match context.pop_var() {
            Val::Null => String::new(),
            flags => string(&flags)?,
        };
        let pattern = string(&context.pop_var())?;
        if let Some(unknown) = flags.chars().find(|flag| !"gnimslxp".contains(*flag)) {
            return Err(Error::str(format_args!("unknown flag {unknown} of a regular expression")));
        }
        let pattern = compiled(pattern, &flags)?;
        let has = |flag| flags.contains(flag);
        Ok((Self { pattern, is_global: has('g'), skips_empty: has('n') }, string(&input)?))
    }

    fn captures<'s>(&'s self, text: &'s str) -> impl Iterator<Item = Captures<'s>> {
        let found = self.pattern.captures_iter(text);
        let found = found.filter(|captures| !self.skips_empty || !captures[0].is_empty());
        found.take(if self.is_global { usize::MAX } else { 1 })
    }

    /// Returns the parts of a text between matches, and between them the results of `of_match` for the matches.
    fn parts<'t>(&'t self, text: &'t str, mut of_match: impl FnMut(&Captures<'t>) -> Option<Val>) -> Vec<Val> {
        let (mut parts, mut end) = (Vec::new(), 0);
        for captures in self.captures(text) {
            let found = captures.get_match();
            parts.push(of_text(&text[end..found.start()]));
            parts.extend(of_match(&captures));
            end = found.end();
        }
        parts.push(of_text(&text[end..]));
        parts
    }
}

/// Describes matches and their groups like jq's `match` function.
struct MatchGroups<'t> {
    pattern: &'t Regex,
    text: &'t str,
    /// The start of the last match, in bytes and in characters.
    start: (usize, usize),
}

impl<'t> MatchGroups<'t> {
    fn of(pattern: &'t Regex, text: &'t str) -> Self {
        Self { pattern, text, start: (0, 0) }
    }

    /// Returns an object for the match and for each group. The match must follow the last one.
    fn of_match(&mut self, captures: &Captures<'_>) -> Val {
        let length = |from: usize, to: usize| self.text[from..to].chars().count();
        let start = captures.get_match().start();
        let before = self.start.1 + length(self.start.0, start);
        let groups = captures.iter().zip(self.pattern.capture_names()).enumerate().map(|(at, (group, name))| {
            let mut members = match group {
                Some(group) => vec![
                    ("offset", Val::from(before + length(start, group.start()))),
                    ("length", Val::from(length(group.start(), group.end()))),
                    ("string", of_text(group.as_str())),
                ],
                None => vec![("offset", Val::from(-1_isize)), ("length", Val::from(0_usize)), ("string", Val::Null)],
            };
            if at > 0 {
                members.push(("name", name.map_or(Val::Null, of_text)));
            }
            Val::obj(members.into_iter().map(|(key, value)| (of_text(key), value)).collect::<Map>())
        });
        let groups = array(groups);
        self.start = (start, before);
        groups
    }
}

fn string(value: &Val) -> Result<String, Error<Val>> {
    match value {
        Val::TStr(text) => Ok(String::from_utf8_lossy(text).into_owned()),
        _ => Err(Error::typ(value.clone(), "string")),
    }
}

fn array(values: impl IntoIterator<Item = Val>) -> Val {
    Val::Arr(Rc::new(values.into_iter().collect()))
}

fn of_text(text: &str) -> Val {
    Val::utf8_str(text.to_owned())
}
