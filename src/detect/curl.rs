//! Names, passwords and cookies in the arguments of `curl`: `-u name:password`, `--user`, those for a proxy, and `-b`.

use std::ops::Range;

use super::boundary::starts_word;
use super::candidates::FindCandidates;
use super::cookies::cookies;
use super::placeholder::can_be_secret;
use super::rules::BuiltInRule;
use super::url::user;

/// The maximum number of bytes of a command that are checked.
const MAX_COMMAND_BYTES: usize = 4096;

/// The one-letter options that take no value.
const FLAGS: &str = "#0123456789BGILMNORSVZafgijklnpqsv";

/// Finds the credentials in the arguments of `curl`, which may be written in any case.
pub fn curl(text: &str, word: &Range<usize>, found: &mut FindCandidates) {
    let bytes = text.as_bytes();
    if !starts_word(bytes, word.start) {
        return;
    }
    let is_exe = bytes.get(word.end..word.end + 4).is_some_and(|ending| ending.eq_ignore_ascii_case(b".exe"));
    let at = if is_exe { word.end + 4 } else { word.end };
    // A quotation mark can end the path of the program.
    let slashes = bytes[at..].iter().take(8).take_while(|byte| **byte == b'\\').count();
    let at = if matches!(bytes.get(at + slashes), Some(b'"' | b'\'')) { at + slashes + 1 } else { at };
    let mut arguments = Arguments { text, at, end: text.len().min(word.end + MAX_COMMAND_BYTES) };
    if !arguments.skip_spaces() {
        return;
    }
    while let Some(argument) = arguments.next_argument() {
        let written = &text[argument.clone()];
        // The next command is checked at its own mark.
        if written.ends_with("curl") {
            return;
        }
        let value = |after: usize| argument.start + after..argument.end;
        let (option, value) = match written.strip_prefix("--") {
            Some(long) => match long.split_once('=') {
                Some((name, _)) => (name, Some(value(2 + name.len() + 1))),
                None => (long, None),
            },
            None => match short_option(written) {
                Some((option, after)) => (option, (after < written.len()).then(|| value(after))),
                None => continue,
            },
        };
        let is_cookie = matches!(option, "b" | "cookie");
        if !is_cookie && !matches!(option, "u" | "U" | "user" | "proxy-user") {
            continue;
        }
        let Some(value) = value.or_else(|| arguments.next_argument()) else { return };
        match is_cookie {
            true => _ = cookies(text, value.start, found),
            false => name_and_password(text, &value, found),
        }
    }
}

/// Returns the option that takes a value in a group of one-letter options such as `-sSu`, and the offset after it.
fn short_option(argument: &str) -> Option<(&str, usize)> {
    let letters = argument.strip_prefix('-')?;
    let option = letters.find(|letter: char| !FLAGS.contains(letter))?;
    let letter = letters[option..].chars().next()?;
    Some((&letters[option..option + letter.len_utf8()], 1 + option + letter.len_utf8()))
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

/// The arguments of a command, up to the end of the shell's line.
struct Arguments<'t> {
    text: &'t str,
    at: usize,
    end: usize,
}

impl Arguments<'_> {
    /// Skips spaces, tabs and escaped line ends, including those written as escapes of a nested string. Returns false
    /// if there are none.
    fn skip_spaces(&mut self) -> bool {
        let bytes = &self.text.as_bytes()[..self.end];
        let start = self.at;
        while let Some(rest) = bytes.get(self.at..) {
            self.at += match rest {
                [b' ' | b'\t', ..] => 1,
                [b'\\', b't', ..] => 2,
                [b'\\', b'\n' | b'\r', ..] => {
                    2 + rest[2..].iter().take_while(|byte| byte.is_ascii_whitespace()).count()
                }
                [b'\\', b'\\', b'\\', b'r', b'\\', b'n', ..] => 6,
                [b'\\', b'\\', b'\\', b'n' | b'r', ..] => 4,
                _ => break,
            };
        }
        self.at > start
    }

    /// Returns the range of the next argument, without quotation marks.
    fn next_argument(&mut self) -> Option<Range<usize>> {
        self.skip_spaces();
        let bytes = &self.text.as_bytes()[..self.end];
        let (start, quote) = match bytes.get(self.at)? {
            quote @ (b'"' | b'\'') => (self.at + 1, Some(*quote)),
            b'\\' => match bytes.get(self.at + 1) {
                // A quotation mark of a nested string.
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
