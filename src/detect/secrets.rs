//! Secrets that have no format of their own: keys in blocks, credentials in headers, and whatever is called a secret.

use std::ops::Range;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use serde::de::IgnoredAny;

use super::address::is_in_authority;
use super::boundary::{is_after_escape, starts_word};
use super::candidates::FindCandidates;
use super::connection::connection_password;
use super::cookies::cookies;
use super::placeholder::can_be_secret;
use super::rules::{BuiltInRule, names_a_secret};
use super::value_shape::{has_code, is_irregular, is_token_like};

/// The longest name that is looked at.
const MAX_NAME_BYTES: usize = 64;

/// The length of a secret key of AWS.
const AWS_SECRET_BYTES: usize = 40;

/// Looks at `-----BEGIN `. A block without an end reaches as far as its lines go on.
pub fn private_key(text: &str, begin: &Range<usize>, found: &mut FindCandidates) {
    let rest = &text[begin.end..];
    let Some(dashes) = rest.find("-----").filter(|dashes| *dashes <= MAX_NAME_BYTES) else { return };
    let label = &rest[..dashes];
    if !label.ends_with("PRIVATE KEY") && !label.ends_with("PRIVATE KEY BLOCK") {
        return;
    }
    let content = begin.end + dashes + 5;
    let end_line = format!("-----END {label}-----");
    let next_begin = text[content..].find("-----BEGIN ").unwrap_or(text.len() - content);
    let end = match text[content..content + next_begin].find(&end_line) {
        Some(end) => content + end + end_line.len(),
        None => content + lines_of_key(&text[content..content + next_begin]),
    };
    found.push(BuiltInRule::PrivateKey, begin.start..end);
}

/// Returns the length of the lines of a key that has no end: base64, headers, and escapes of line feeds.
fn lines_of_key(text: &str) -> usize {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "+/=\\:,-_.".contains(c);
    text.find(|c| !is_part(c)).unwrap_or(text.len())
}

/// Looks at `eyJ`, the beginning of a JSON object in base64.
pub fn json_web_token(text: &str, begin: &Range<usize>, found: &mut FindCandidates) {
    let bytes = text.as_bytes();
    if !starts_word(bytes, begin.start) {
        return;
    }
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let part = |start: usize| start..start + bytes[start..].iter().take_while(is_part).count();
    let header = part(begin.start);
    if bytes.get(header.end) != Some(&b'.') {
        return;
    }
    let payload = part(header.end + 1);
    if bytes.get(payload.end) != Some(&b'.') {
        return;
    }
    let is_object = |part: &Range<usize>| {
        let json = BASE64URL_NOPAD.decode(&bytes[part.clone()]).unwrap_or_default();
        json.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(&json).is_ok()
    };
    if is_object(&header) && is_object(&payload) {
        found.push(BuiltInRule::Jwt, begin.start..part(payload.end + 1).end);
    }
}

/// Looks at `bearer ` and `basic `, in any case.
pub fn authorization(text: &str, scheme: &Range<usize>, found: &mut FindCandidates) {
    let bytes = text.as_bytes();
    if !starts_word(bytes, scheme.start) {
        return;
    }
    let is_basic = matches!(bytes[scheme.start + 1], b'a' | b'A');
    let punctuation = if is_basic { &b"+/="[..] } else { b"._~+/=-" };
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || punctuation.contains(byte);
    let start = scheme.end + bytes[scheme.end..].iter().take_while(|byte| **byte == b' ').count();
    let length = bytes[start..].iter().take_while(is_part).count();
    let credential = text[start..start + length].trim_end_matches(['.', '-']);
    let is_credential = match is_basic {
        true => is_user_and_password(credential),
        false => credential.len() >= 16 && is_irregular(credential),
    };
    if is_credential {
        found.push(BuiltInRule::AuthorizationHeader, start..start + credential.len());
    }
}

/// Returns true for base64 of a text with a colon.
fn is_user_and_password(credential: &str) -> bool {
    let decoded = BASE64_NOPAD.decode(credential.trim_end_matches('=').as_bytes()).unwrap_or_default();
    std::str::from_utf8(&decoded).is_ok_and(|text| text.contains(':') && !text.chars().any(char::is_control))
}

/// Looks for the secret key that belongs to an access key ID of AWS in the same text: 40 characters of base64.
pub fn aws_secret(text: &str, found: &mut FindCandidates) {
    let bytes = text.as_bytes();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_part(**byte)).count();
        let run = &text[at..at + length];
        // An escape can stand directly before the key.
        let shift = usize::from(length == AWS_SECRET_BYTES + 1 && is_after_escape(&bytes[..=at]));
        let is_key = length - shift == AWS_SECRET_BYTES
            && run.bytes().any(|byte| byte.is_ascii_digit())
            && run.bytes().any(|byte| byte.is_ascii_uppercase())
            && run.bytes().any(|byte| byte.is_ascii_lowercase());
        if is_key {
            found.push(BuiltInRule::AwsSecretKey, at + shift..at + length);
        }
        at += length.max(1);
        while !text.is_char_boundary(at) {
            at += 1;
        }
    }
}

/// Looks at a word such as `password` in a text: an assignment, an option or an entry of a JSON text may follow.
pub fn assignment(text: &str, word: &Range<usize>, found: &mut FindCandidates) {
    let bytes = text.as_bytes();
    let name = name_around(bytes, word);
    if let Some(value) = connection_password(text, &name) {
        return found.push(BuiltInRule::ConnectionPassword, value);
    }
    if !names_a_secret(&text[name.clone()]) {
        return;
    }
    let Some(assignment) = Assignment::after(text, &name) else { return };
    let is_header = text[name].to_ascii_lowercase().ends_with("cookie") && !assignment.is_entry;
    if !(is_header && cookies(text, assignment.value.start, found)) && assignment.is_secret(text) {
        found.push(BuiltInRule::AssignedSecret, assignment.value);
    }
}

/// Returns the place of the identifier around a word.
pub fn name_around(bytes: &[u8], word: &Range<usize>) -> Range<usize> {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let least = word.start.saturating_sub(MAX_NAME_BYTES);
    let before = bytes[least..word.start].iter().rev().take_while(is_part).count();
    let after = bytes[word.end..].iter().take(MAX_NAME_BYTES).take_while(is_part).count();
    word.start - before..word.end + after
}

/// The value that a text gives to a name.
struct Assignment {
    value: Range<usize>,
    /// True for an entry of a JSON text, or the like: name and value are in quotation marks.
    is_entry: bool,
    /// True for an option of a command, or a variable in capital letters.
    is_setting: bool,
}

impl Assignment {
    fn after(text: &str, name: &Range<usize>) -> Option<Self> {
        let bytes = text.as_bytes();
        let (name_quote, at) = quote_at(bytes, name.end);
        let spaces =
            |at: usize| at + bytes[at..].iter().take(8).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let at = spaces(at);
        let is_option = text[..name.start].ends_with("--") || text[name.clone()].starts_with("--");
        let (sign, mut at) = match bytes.get(at)? {
            sign @ (b'=' | b':') => (*sign, spaces(at + 1)),
            _ if is_option && at > name.end => (b' ', at),
            _ => return None,
        };
        // `:=` and `=>`
        if matches!(bytes.get(at), Some(b'=' | b'>')) {
            at = spaces(at + 1);
        }
        // In a URL, the password follows the name of a user.
        if sign == b':' && is_in_authority(bytes, name.start) {
            return None;
        }
        let (value_quote, start) = quote_at(bytes, at);
        let end = start + value_length(&text[start..], value_quote.as_ref().map(|quote| &bytes[quote.clone()]));
        let is_entry = name_quote.is_some() && value_quote.is_some();
        let is_setting = is_option || sign == b'=' && bytes[name.clone()].iter().all(|byte| !byte.is_ascii_lowercase());
        Some(Self { value: start..end, is_entry, is_setting })
    }

    /// Returns true if the value can be a secret.
    fn is_secret(&self, text: &str) -> bool {
        let value = &text[self.value.clone()];
        let is_value = match (self.is_entry, self.is_setting) {
            (true, _) => true,
            (_, true) => value.len() >= 4 && !value.starts_with('-') && !has_code(value),
            _ => is_token_like(value) && !has_code(value),
        };
        is_value && can_be_secret(value)
    }
}

/// Returns the quotation mark at `at`, with the backslashes before it, and the offset after it.
fn quote_at(bytes: &[u8], at: usize) -> (Option<Range<usize>>, usize) {
    let slashes = bytes[at..].iter().take(8).take_while(|byte| **byte == b'\\').count();
    match bytes.get(at + slashes) {
        Some(b'"' | b'\'' | b'`') => (Some(at..at + slashes + 1), at + slashes + 1),
        _ => (None, at),
    }
}

/// Returns the length of a value that ends with `quote`, or, without one, where white space or punctuation follows.
fn value_length(text: &str, quote: Option<&[u8]>) -> usize {
    let Some(quote) = quote else {
        let ends = |c: char| c.is_whitespace() || c.is_control() || "\"'`,;&|)}]<>\\".contains(c);
        return text.find(ends).unwrap_or(text.len());
    };
    let slashes = quote.len() - 1;
    let mark = quote[slashes];
    let bytes = text.as_bytes();
    let is_end = |at: &usize| {
        let before = bytes[..*at].iter().rev().take_while(|byte| **byte == b'\\').count();
        before == slashes
    };
    match memchr::memchr_iter(mark, bytes).find(is_end) {
        Some(end) => end - slashes,
        // The text was cut off.
        None => text.find('\n').unwrap_or(text.len()),
    }
}
