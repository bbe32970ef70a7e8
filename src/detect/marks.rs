//! The marks of the built-in rules, and the automaton that finds them.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

use super::address::at_sign;
use super::boundary::is_after_escape;
use super::candidates::FindCandidates;
use super::connection::is_connection_key;
use super::curl::curl;
use super::names::{home_directory, known_name};
use super::rules::{PERSON_KEYS, SECRET_WORDS, secret_name};
use super::secrets::{assignment, authorization, json_web_token, name_around, private_key};
use super::token::{TOKEN_FORMATS, TokenFormat, telegram_token, terraform_token};
use super::url::scheme_end;

/// The rules that look at a mark.
#[derive(Debug, Clone, Copy)]
enum Mark {
    /// The prefix of a token.
    Token(&'static TokenFormat),
    AtSign,
    SchemeEnd,
    Home,
    PrivateKey,
    JsonWebToken,
    Telegram,
    Terraform,
    Authorization,
    Curl,
    /// A word of the name of a secret.
    SecretWord,
    /// The name of a user, which is known from a home directory.
    KnownName,
    /// A word that only the keys of a row are searched for.
    PersonWord,
    /// An escape that can hide a mark.
    Escape,
}

/// The marks that are not prefixes of tokens.
const OTHER_MARKS: &[(&str, Mark)] = &[
    ("@", Mark::AtSign),
    ("://", Mark::SchemeEnd),
    (r":\/\/", Mark::SchemeEnd),
    ("home", Mark::Home),
    ("users", Mark::Home),
    ("-----begin ", Mark::PrivateKey),
    ("eyj", Mark::JsonWebToken),
    (":aa", Mark::Telegram),
    (".atlasv1.", Mark::Terraform),
    ("bearer ", Mark::Authorization),
    ("basic ", Mark::Authorization),
    ("pwd", Mark::SecretWord),
    ("accountkey", Mark::SecretWord),
    ("curl ", Mark::Curl),
    (r"\u00", Mark::Escape),
    (r"\/", Mark::Escape),
];

/// Returns a name, given in lower case, as it is usually written. Marks are found in any case as far as they are ASCII.
fn spellings(name: &str) -> Vec<String> {
    let mut spellings = vec![name.to_owned()];
    if !name.is_ascii() {
        let mut words = name.chars();
        let title = words.next().map(|first| first.to_uppercase().chain(words).collect::<String>());
        spellings.extend([name.to_uppercase()].into_iter().chain(title).filter(|spelling| spelling != name));
    }
    spellings
}

/// Finds marks.
#[derive(Debug)]
pub struct Marks {
    automaton: AhoCorasick,
    marks: Vec<Mark>,
}

impl Marks {
    /// Builds the automaton for the marks of the built-in rules, and for names of users.
    ///
    /// # Errors
    /// If the names are too many or too long.
    pub fn new<'n>(names: impl Iterator<Item = &'n str>) -> Result<Self, aho_corasick::BuildError> {
        let tokens = TOKEN_FORMATS.iter().map(|format| (format.prefix.to_owned(), Mark::Token(format)));
        let others = OTHER_MARKS.iter().map(|(text, mark)| ((*text).to_owned(), *mark));
        let words = SECRET_WORDS.iter().map(|word| ((*word).to_owned(), Mark::SecretWord));
        let people = PERSON_KEYS.iter().map(|(key, _)| ((*key).to_owned(), Mark::PersonWord));
        let (mut texts, mut marks): (Vec<_>, Vec<_>) = tokens.chain(others).chain(words).chain(people).unzip();
        for name in names {
            if !name.is_ascii() {
                // An escape can hide it.
                texts.push(r"\u".to_owned());
                marks.push(Mark::Escape);
            }
            for spelling in spellings(name) {
                texts.push(spelling);
                marks.push(Mark::KnownName);
            }
        }
        let kind = if texts.len() < 1000 { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let mut builder = AhoCorasickBuilder::new();
        builder.match_kind(MatchKind::Standard).ascii_case_insensitive(true).kind(Some(kind));
        Ok(Self { automaton: builder.build(&texts)?, marks })
    }

    /// Has the rules look at each mark in a text.
    pub fn look(&self, text: &str, found: &mut FindCandidates) {
        for hit in self.automaton.find_overlapping_iter(text) {
            let place = hit.start()..hit.end();
            match self.marks[hit.pattern().as_usize()] {
                Mark::Token(format) => {
                    if let Some(span) = format.find(text.as_bytes(), place.start) {
                        found.has_aws_id |= format.rule == super::BuiltInRule::AwsAccessKeyId;
                        found.push(format.rule, span);
                    }
                }
                Mark::AtSign => at_sign(text, &place, found),
                Mark::SchemeEnd => scheme_end(text, &place, found),
                Mark::Home => home_directory(text, &place, found),
                Mark::PrivateKey => private_key(text, &place, found),
                Mark::JsonWebToken => json_web_token(text, &place, found),
                Mark::Telegram => telegram_token(text, &place, found),
                Mark::Terraform => terraform_token(text, &place, found),
                Mark::Authorization => authorization(text, &place, found),
                Mark::Curl => curl(text, &place, found),
                Mark::SecretWord => assignment(text, &place, found),
                Mark::KnownName => known_name(text, &place, found),
                Mark::PersonWord | Mark::Escape => {}
            }
        }
    }

    /// Returns false if no string of a row, given as its raw bytes, has anything that a mark leads to.
    pub fn may_match(&self, raw: &[u8]) -> bool {
        self.automaton.find_overlapping_iter(raw).any(|hit| {
            let place = hit.start()..hit.end();
            let (before, after) = (place.start.checked_sub(1).map(|before| raw[before]), raw.get(place.end).copied());
            match self.marks[hit.pattern().as_usize()] {
                Mark::Token(format) => format.find(raw, place.start).is_some(),
                Mark::AtSign => {
                    before.is_some_and(|byte| {
                        byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte) || !byte.is_ascii()
                    }) && after.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
                }
                Mark::Home => {
                    let is_separator = |byte| matches!(byte, b'/' | b'\\');
                    before.is_some_and(is_separator) && after.is_some_and(is_separator)
                }
                Mark::SecretWord => {
                    let name = String::from_utf8_lossy(&raw[name_around(raw, &place)]);
                    secret_name(&name).is_some() || is_connection_key(&name)
                }
                Mark::KnownName => {
                    let is_word = |byte: u8| byte.is_ascii_alphanumeric();
                    (!before.is_some_and(is_word) || is_after_escape(&raw[..place.start]))
                        && !after.is_some_and(is_word)
                }
                Mark::JsonWebToken | Mark::Curl => is_word_start(raw, &place),
                Mark::Telegram => before.is_some_and(|byte| byte.is_ascii_digit()),
                _ => true,
            }
        })
    }
}

fn is_word_start(raw: &[u8], place: &Range<usize>) -> bool {
    super::boundary::starts_word(raw, place.start)
}
