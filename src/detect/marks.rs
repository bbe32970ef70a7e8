//! The marks of the built-in rules, and the automaton that finds them.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

use super::address::{at_sign, is_host, is_local};
use super::boundary::starts_word;
use super::candidates::FindCandidates;
use super::connection::is_connection_key;
use super::curl::curl;
use super::names::{home_directory, is_in_path, known_name};
use super::rules::{PERSON_KEYS, SECRET_WORDS, secret_name};
use super::secrets::{assignment, authorization, json_web_token, name_around, private_key};
use super::token::{TOKEN_FORMATS, TokenFormat, telegram_token, terraform_token};
use super::url::scheme_end;

/// The rules that a mark triggers.
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
    /// A user name that is known from a home directory.
    KnownName,
    /// A user name that is also a word. It must be the whole value.
    NameAsWord,
    /// A word that is only searched for in the keys of a row.
    PersonWord,
}

/// The marks that are not prefixes of tokens.
const OTHER_MARKS: &[(&str, Mark)] = &[
    ("@", Mark::AtSign),
    ("%40", Mark::AtSign),
    (r"\u0040", Mark::AtSign),
    ("://", Mark::SchemeEnd),
    (r":\/\/", Mark::SchemeEnd),
    ("home", Mark::Home),
    ("users", Mark::Home),
    ("-----begin ", Mark::PrivateKey),
    ("eyj", Mark::JsonWebToken),
    (":aa", Mark::Telegram),
    (".atlasv1.", Mark::Terraform),
    ("bearer", Mark::Authorization),
    ("basic", Mark::Authorization),
    ("pwd", Mark::SecretWord),
    ("accountkey", Mark::SecretWord),
    ("curl", Mark::Curl),
];

/// Returns the usual spellings of a name that is given in lower case. Only the ASCII letters of marks are matched in
/// any case.
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
    /// Builds the automaton for the marks of the built-in rules, for user names, and for user names that are also
    /// words.
    ///
    /// # Errors
    /// If there are too many names, or they are too long.
    pub fn new(names: &[&str], words: &[&str]) -> Result<Self, aho_corasick::BuildError> {
        let tokens = TOKEN_FORMATS.iter().map(|format| (format.prefix.to_owned(), Mark::Token(format)));
        let others = OTHER_MARKS.iter().map(|(text, mark)| ((*text).to_owned(), *mark));
        let secrets = SECRET_WORDS.iter().map(|word| ((*word).to_owned(), Mark::SecretWord));
        let people = PERSON_KEYS.iter().map(|(key, _)| ((*key).to_owned(), Mark::PersonWord));
        let (mut texts, mut marks): (Vec<_>, Vec<_>) = tokens.chain(others).chain(secrets).chain(people).unzip();
        let names = names.iter().map(|name| (name, Mark::KnownName));
        for (name, mark) in names.chain(words.iter().map(|word| (word, Mark::NameAsWord))) {
            for spelling in spellings(name) {
                texts.push(spelling);
                marks.push(mark);
            }
        }
        let kind = if texts.len() < 1000 { AhoCorasickKind::DFA } else { AhoCorasickKind::ContiguousNFA };
        let mut builder = AhoCorasickBuilder::new();
        builder.match_kind(MatchKind::Standard).ascii_case_insensitive(true).kind(Some(kind));
        Ok(Self { automaton: builder.build(&texts)?, marks })
    }

    /// Runs the rules of each mark in a text.
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
                Mark::PersonWord | Mark::NameAsWord => {}
            }
        }
    }

    /// Returns false if no mark leads to a find in any string of a decoded row. Checks the surroundings of a mark just
    /// as its rule does. That is correct for the whole row, because quotation marks enclose each string.
    pub fn may_match(&self, row: &[u8]) -> bool {
        self.automaton.find_overlapping_iter(row).any(|hit| {
            let place = hit.start()..hit.end();
            let (before, after) = (&row[..place.start], &row[place.end..]);
            match self.marks[hit.pattern().as_usize()] {
                Mark::Token(format) => format.find(row, place.start).is_some(),
                Mark::AtSign => {
                    before.last().copied().is_some_and(is_local) && after.first().copied().is_some_and(is_host)
                }
                Mark::Home => is_in_path(before, after),
                Mark::SecretWord => {
                    let name = String::from_utf8_lossy(&row[name_around(row, &place)]);
                    secret_name(&name).is_some() || is_connection_key(&name)
                }
                Mark::KnownName => {
                    starts_word(row, place.start) && !after.first().is_some_and(u8::is_ascii_alphanumeric)
                }
                Mark::JsonWebToken | Mark::Curl | Mark::Authorization => starts_word(row, place.start),
                Mark::NameAsWord => before.last() == Some(&b'"') && after.first() == Some(&b'"'),
                Mark::Telegram => before.last().is_some_and(u8::is_ascii_digit),
                _ => true,
            }
        })
    }
}
