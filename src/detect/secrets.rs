//! Secrets without a token format: private key blocks, credentials in headers, and values whose name says that they are
//! secrets.

use std::ops::Range;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use serde::de::IgnoredAny;

use super::address::is_in_authority;
use super::boundary::{after_escape, is_after_escape, starts_word};
use super::candidates::FindCandidates;
use super::connection::connection_password;
use super::cookies::cookies;
use super::placeholder::can_be_secret;
use super::rules::{BuiltInRule, MAX_NAME_BYTES, is_short_password, names_a_secret};
use super::run_ends::{RunEnds, RunKind};
use super::value_shape::{has_code, is_irregular, is_password_like, is_token_like};

/// The number of bytes of a long value that are judged.
const MAX_JUDGED_BYTES: usize = 256;

/// The length of an AWS secret access key, in bytes.
const AWS_SECRET_BYTES: usize = 40;

/// Finds the private key block at `-----BEGIN `. A block without an end marker ends after its last line that can belong
/// to a key.
pub fn private_key(text: &str, begin: &Range<usize>, found: &mut FindCandidates) {
    let rest = &text[begin.end..];
    let nearby = &rest.as_bytes()[..rest.len().min(MAX_NAME_BYTES + 5)];
    let Some(dashes) = nearby.windows(5).position(|window| window == b"-----") else { return };
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

/// The maximum length of the text before a line of a key, such as `> `, `  12→` or `" +\n  "`.
const MAX_LINE_PREFIX: usize = 16;

/// The minimum length of a line of a key after such a prefix, in bytes.
const MIN_LINE_BYTES: usize = 16;

/// Returns the length of the lines of a key without an end marker: base64, headers, and escaped line feeds.
fn lines_of_key(text: &str) -> usize {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "+/=\\:,-_.".contains(c);
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let is_line = |line: &[u8]| line.get(..MIN_LINE_BYTES).is_some_and(|line| line.iter().all(is_base64));
    let mut end = 0;
    loop {
        end += text[end..].find(|c| !is_part(c)).unwrap_or(text.len() - end);
        let Some(prefix) =
            (1..=MAX_LINE_PREFIX).find(|prefix| text.as_bytes().get(end + prefix..).is_some_and(is_line))
        else {
            return end;
        };
        end += prefix;
    }
}

/// The maximum length of a token header, in bytes.
const MAX_HEADER_BYTES: usize = 16 << 10;

/// Finds the token at `eyJ`, the start of a JSON object in base64. A signed token has three parts, an encrypted one has
/// five.
pub fn json_web_token(text: &str, begin: &Range<usize>, found: &mut FindCandidates) {
    let bytes = text.as_bytes();
    if !starts_word(bytes, begin.start) {
        return;
    }
    let (mut parts, mut at) = (Vec::with_capacity(5), begin.start);
    while parts.len() < 5 {
        let end = found.ends.end(RunKind::Base64Url, text, at);
        parts.push(at..end);
        if bytes.get(end) != Some(&b'.') {
            break;
        }
        at = end + 1;
    }
    let json = |part: &Range<usize>| {
        let json = BASE64URL_NOPAD.decode(&bytes[part.clone()]).unwrap_or_default();
        let is_object = json.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(&json).is_ok();
        is_object.then_some(json)
    };
    let [header, payload, signature, ..] = &parts[..] else { return };
    let Some(names) = Some(header).filter(|header| header.len() <= MAX_HEADER_BYTES).and_then(json) else { return };
    let is_encrypted = memchr::memmem::find(&names, b"\"enc\"").is_some();
    match parts.get(4) {
        Some(last) if is_encrypted => found.push(BuiltInRule::Jwt, begin.start..last.end),
        _ if json(payload).is_some() => found.push(BuiltInRule::Jwt, begin.start..signature.end),
        _ => {}
    }
}

/// Finds the credential after `bearer` or `basic`, in any case.
pub fn authorization(text: &str, scheme: &Range<usize>, found: &mut FindCandidates) {
    let bytes = text.as_bytes();
    if !starts_word(bytes, scheme.start) {
        return;
    }
    let is_basic = matches!(bytes[scheme.start + 1], b'a' | b'A');
    let punctuation = if is_basic { &b"+/="[..] } else { b"._~+/=-" };
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || punctuation.contains(byte);
    let start = scheme.end + bytes[scheme.end..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    if start == scheme.end {
        return;
    }
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

/// Returns true for base64 that decodes to a text with a colon.
fn is_user_and_password(credential: &str) -> bool {
    let decoded = BASE64_NOPAD.decode(credential.trim_end_matches('=').as_bytes()).unwrap_or_default();
    std::str::from_utf8(&decoded).is_ok_and(|text| text.contains(':') && !text.chars().any(char::is_control))
}

/// Finds the secret access key that belongs to an AWS access key ID in the same text: 40 characters of base64.
pub fn aws_secret(text: &str, found: &mut FindCandidates) {
    let bytes = text.as_bytes();
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_part(**byte)).count();
        let run = &text[at..at + length];
        // The key can directly follow an escape.
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

/// Finds the value of a word such as `password`: in an assignment, an option, or a member of nested JSON.
pub fn assignment(text: &str, word: &Range<usize>, found: &mut FindCandidates) {
    let bytes = text.as_bytes();
    let name = name_around(bytes, word);
    if let Some(value) = connection_password(text, &name) {
        return found.push(BuiltInRule::ConnectionPassword, value);
    }
    let is_short = is_short_password(&text[name.clone()]);
    if !is_short && !names_a_secret(&text[name.clone()]) {
        return;
    }
    let Some(assignment) = Assignment::after(text, &name, &mut found.ends) else { return };
    let lower = text[name].to_ascii_lowercase();
    if lower.ends_with("cookie") && !assignment.is_entry && cookies(text, assignment.value.start, found) {
        return;
    }
    if lower.ends_with("authorization") && !assignment.is_entry {
        credential(text, &assignment.value, found);
    }
    let is_secret = if is_short { assignment.is_password(text) } else { assignment.is_secret(text) };
    if is_secret {
        found.push(BuiltInRule::AssignedSecret, assignment.value);
    }
}

/// Finds the credential of an `Authorization` header. `scheme` is the first word of its value.
fn credential(text: &str, scheme: &Range<usize>, found: &mut FindCandidates) {
    let is_scheme = text[scheme.clone()].bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    if is_scheme && text[scheme.end..].starts_with(' ') {
        let start = scheme.end + 1;
        let credential = start..found.ends.end(RunKind::Value, text, start);
        let judged = beginning(&text[credential.clone()]);
        if is_token_like(judged) && can_be_secret(judged) && !has_code(judged) {
            found.push(BuiltInRule::AuthorizationHeader, credential);
        }
    }
}

/// Returns the range of the identifier around a word.
pub fn name_around(bytes: &[u8], word: &Range<usize>) -> Range<usize> {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let least = word.start.saturating_sub(MAX_NAME_BYTES);
    let before = bytes[least..word.start].iter().rev().take_while(is_part).count();
    let after = bytes[word.end..].iter().take(MAX_NAME_BYTES).take_while(is_part).count();
    after_escape(bytes, word.start - before, word.start + 1)..word.end + after
}

/// The value that a text assigns to a name.
struct Assignment {
    value: Range<usize>,
    /// True for a member of nested JSON or similar: both name and value are quoted.
    is_entry: bool,
    /// True for a command option, or a variable in capital letters.
    is_setting: bool,
    /// True if an equals sign is between the name and the value.
    has_equals_sign: bool,
}

impl Assignment {
    fn after(text: &str, name: &Range<usize>, ends: &mut RunEnds) -> Option<Self> {
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
        // In a URL, the password follows the user name.
        if sign == b':' && is_in_authority(bytes, name.start) {
            return None;
        }
        let (value_quote, start) = quote_at(bytes, at);
        let end = match &value_quote {
            Some(quote) => start + quoted_length(&text[start..], &bytes[quote.clone()]),
            None => ends.end(RunKind::Value, text, start),
        };
        let is_entry = name_quote.is_some() && value_quote.is_some();
        let is_setting = is_option || sign == b'=' && bytes[name.clone()].iter().all(|byte| !byte.is_ascii_lowercase());
        Some(Self { value: start..end, is_entry, is_setting, has_equals_sign: sign == b'=' })
    }

    /// Returns true if the value can be a secret.
    fn is_secret(&self, text: &str) -> bool {
        let value = beginning(&text[self.value.clone()]);
        let is_value = match (self.is_entry, self.is_setting) {
            (true, _) => true,
            (_, true) => value.len() >= 4 && !value.starts_with('-') && !has_code(value),
            _ => is_token_like(value) && !has_code(value),
        };
        is_value && can_be_secret(value)
    }

    /// Returns true if the value can be a password, although its name is ambiguous.
    fn is_password(&self, text: &str) -> bool {
        let value = beginning(&text[self.value.clone()]);
        let is_assigned = self.is_entry || self.is_setting || self.has_equals_sign;
        is_assigned && is_password_like(value) && !value.starts_with('-') && !has_code(value) && can_be_secret(value)
    }
}

/// Returns the start of a value, which is the part that is judged.
fn beginning(value: &str) -> &str {
    let mut end = value.len().min(MAX_JUDGED_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    &value[..end]
}

/// Returns the quotation mark at `at`, with the backslashes before it, and the offset after it.
fn quote_at(bytes: &[u8], at: usize) -> (Option<Range<usize>>, usize) {
    let slashes = bytes[at..].iter().take(8).take_while(|byte| **byte == b'\\').count();
    match bytes.get(at + slashes) {
        Some(b'"' | b'\'' | b'`') => (Some(at..at + slashes + 1), at + slashes + 1),
        _ => (None, at),
    }
}

/// Returns the length of a value that ends with `quote`.
fn quoted_length(text: &str, quote: &[u8]) -> usize {
    let slashes = quote.len() - 1;
    let mark = quote[slashes];
    let bytes = text.as_bytes();
    let is_end = |at: &usize| {
        let before = bytes[..*at].iter().rev().take_while(|byte| **byte == b'\\').count();
        before == slashes
    };
    match memchr::memchr_iter(mark, bytes).find(is_end) {
        Some(end) => end - slashes,
        // The text is truncated.
        None => text.find('\n').unwrap_or(text.len()),
    }
}
