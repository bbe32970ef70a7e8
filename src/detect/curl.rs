//! Names and passwords in the arguments of `curl`: `-u name:password`, `--user`, and those for a proxy.

use std::ops::Range;

use super::boundary::starts_word;
use super::candidates::FindCandidates;
use super::placeholder::can_be_secret;
use super::rules::BuiltInRule;
use super::url::user;

/// The most bytes of a command that are looked at.
const MAX_COMMAND_BYTES: usize = 4096;

/// The options of one letter that take no value.
const FLAGS: &str = "#0123456789BGILMNORSVZafgijklnpqsv";

/// Looks at `curl `, in any case.
pub fn curl(text: &str, word: &Range<usize>, found: &mut FindCandidates) {
    if !starts_word(text.as_bytes(), word.start) {
        return;
    }
    let mut arguments = Arguments { text, at: word.end, end: text.len().min(word.end + MAX_COMMAND_BYTES) };
    while let Some(argument) = arguments.next_argument() {
        let credentials = match &text[argument.clone()] {
            "--user" | "--proxy-user" => arguments.next_argument(),
            long if long.starts_with("--user=") || long.starts_with("--proxy-user=") => {
                Some(argument.start + long.find('=').map_or(0, |sign| sign + 1)..argument.end)
            }
            short => match short_option(short) {
                Some(after) if after == short.len() => arguments.next_argument(),
                Some(after) => Some(argument.start + after..argument.end),
                None => None,
            },
        };
        if let Some(credentials) = credentials {
            name_and_password(text, &credentials, found);
        }
    }
}

/// Returns the offset after the letter `u` or `U` in options of one letter, which can be written together: `-sSu`.
fn short_option(argument: &str) -> Option<usize> {
    let letters = argument.strip_prefix('-').filter(|letters| !letters.starts_with('-'))?;
    let option = letters.find(|letter: char| !FLAGS.contains(letter))?;
    matches!(letters.as_bytes()[option], b'u' | b'U').then_some(option + 2)
}

fn name_and_password(text: &str, place: &Range<usize>, found: &mut FindCandidates) {
    let Some(colon) = text[place.clone()].find(':').map(|at| place.start + at) else { return };
    user(text, place.start..colon, found);
    let password = colon + 1..place.end;
    let is_variable = text[password.clone()].starts_with(['$', '{', '<', '%', '*', '`']);
    if !is_variable && can_be_secret(&text[password.clone()]) {
        found.push(BuiltInRule::AssignedSecret, password);
    }
}

/// The arguments of a command, as far as a shell's line goes.
struct Arguments<'t> {
    text: &'t str,
    at: usize,
    end: usize,
}

impl Arguments<'_> {
    /// Returns the place of the next argument, without quotation marks.
    fn next_argument(&mut self) -> Option<Range<usize>> {
        let bytes = &self.text.as_bytes()[..self.end];
        self.at += bytes.get(self.at..)?.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        // A backslash at the end of a line continues it.
        while bytes.get(self.at) == Some(&b'\\') && matches!(bytes.get(self.at + 1), Some(b'\n' | b'\r')) {
            self.at += 2 + bytes[self.at + 2..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        }
        let (start, quote) = match bytes.get(self.at)? {
            quote @ (b'"' | b'\'') => (self.at + 1, Some(*quote)),
            b'\\' => match bytes.get(self.at + 1) {
                // A quotation mark of a string inside a string.
                Some(quote @ (b'"' | b'\'')) => (self.at + 2, Some(*quote)),
                _ => return None,
            },
            b'\n' | b'\r' | b';' | b'|' | b'&' | b')' | b'`' => return None,
            _ => (self.at, None),
        };
        let ends = |byte: &u8| match quote {
            Some(quote) => *byte == quote || *byte == b'\n',
            None => byte.is_ascii_whitespace() || b"\"'`;|&)\\".contains(byte),
        };
        let mut end = start + bytes[start..].iter().position(ends).unwrap_or(bytes.len() - start);
        self.at = if quote.is_some() { (end + 1).min(bytes.len()) } else { end.max(start + 1) };
        if quote.is_some() && bytes[start..end].ends_with(b"\\") {
            end -= 1;
        }
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        Some(start..end)
    }
}
