//! Passwords in connection strings: `Server=db;User Id=sa;Password=…`, `host=db password=…`, `?user=a&password=…`.

use std::ops::Range;

use super::placeholder::can_be_secret;
use super::rules::names_a_secret;

/// The keys that occur beside the password in a connection string, in lower case and without spaces.
const OTHER_KEYS: [&[u8]; 32] = [
    b"accountname",
    b"addr",
    b"address",
    b"clientid",
    b"database",
    b"datasource",
    b"dbname",
    b"defaultendpointsprotocol",
    b"driver",
    b"dsn",
    b"encrypt",
    b"endpoint",
    b"endpointsuffix",
    b"entitypath",
    b"host",
    b"hostaddr",
    b"hostname",
    b"initialcatalog",
    b"integratedsecurity",
    b"networkaddress",
    b"persistsecurityinfo",
    b"port",
    b"protocol",
    b"provider",
    b"server",
    b"servername",
    b"sharedaccesskeyname",
    b"sslmode",
    b"uid",
    b"user",
    b"userid",
    b"username",
];

/// The maximum length of a key, in bytes.
const MAX_KEY_BYTES: usize = 24;

/// The maximum number of parts that are checked before or after a password.
const MAX_PARTS: usize = 32;

/// The number of bytes around a password that are searched for other keys.
const MAX_CONTEXT_BYTES: usize = 512;

/// The maximum length of a password, in bytes.
const MAX_PASSWORD_BYTES: usize = 256;

/// Returns true for password keys that are used only in connection strings.
pub fn is_connection_key(name: &str) -> bool {
    ["pwd", "pass", "accountkey"].iter().any(|key| key.eq_ignore_ascii_case(name))
}

/// Returns the range of the password if `name` is its key in a connection string.
pub fn connection_password(text: &str, name: &Range<usize>) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    if !is_connection_key(&text[name.clone()]) && !names_a_secret(&text[name.clone()]) {
        return None;
    }
    let spaces = |at: usize| at + bytes[at..].iter().take(4).take_while(|byte| **byte == b' ').count();
    let sign = spaces(name.end);
    if bytes.get(sign) != Some(&b'=') || matches!(bytes.get(sign + 1), Some(b'=' | b'>')) {
        return None;
    }
    let nearby = &bytes[name.start.saturating_sub(MAX_CONTEXT_BYTES)..name.start];
    let before = nearby.iter().rev().find(|byte| **byte != b' ');
    let separator = match before {
        Some(b'?' | b'&') => b'&',
        _ if has_other_key(text, name, b';') => b';',
        _ if has_other_key(text, name, b' ') => b' ',
        _ => return None,
    };
    let start = if separator == b' ' { sign + 1 } else { spaces(sign + 1) };
    let value = value(text, start, separator);
    let first = text[value.clone()].chars().next()?;
    // A variable, or a shell's working directory.
    let is_other = matches!(first, '%' | '/' | '.' | '~' | '\\' | '(');
    (!is_other && can_be_secret(&text[value.clone()])).then_some(value)
}

/// Returns the range of a value, without its quotation marks.
fn value(text: &str, start: usize, separator: u8) -> Range<usize> {
    let bytes = &text.as_bytes()[..text.len().min(start + MAX_PASSWORD_BYTES)];
    let closing = match bytes.get(start) {
        Some(b'{') => Some(b'}'),
        Some(quote @ (b'"' | b'\'')) => Some(*quote),
        _ => None,
    };
    let closed = closing.and_then(|closing| memchr::memchr(closing, &bytes[start + 1..]));
    if let Some(length) = closed.filter(|length| *length > 0) {
        return start + 1..start + 1 + length;
    }
    let ends = |byte: &u8| *byte == separator || byte.is_ascii_whitespace() || b"\"'`<>".contains(byte) || *byte < b' ';
    let length = bytes[start..].iter().position(ends).unwrap_or(bytes.len() - start);
    let mut end = start + length;
    // An escape of a nested string also ends the value.
    if let Some(escape) = text.get(start..end).and_then(|value| value.find('\\')) {
        end = start + escape;
    }
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    start..end
}

/// Returns true if a separated part before or after `name` begins with another key of a connection string.
fn has_other_key(text: &str, name: &Range<usize>, separator: u8) -> bool {
    let bytes = text.as_bytes();
    let ends = |byte: &u8| b"\"`\n\r".contains(byte);
    let least = name.start.saturating_sub(MAX_CONTEXT_BYTES);
    let start = bytes[least..name.start].iter().rposition(ends).map_or(least, |at| least + at + 1);
    let most = bytes.len().min(name.end + MAX_CONTEXT_BYTES);
    let end = bytes[name.end..most].iter().position(ends).map_or(most, |at| name.end + at);
    let is_key = |part: &[u8]| {
        let Some(sign) = memchr::memchr(b'=', part) else { return false };
        // Other text can precede the first key of a connection string.
        let letters =
            part[..sign].iter().rev().filter(|byte| **byte != b' ').take_while(|byte| byte.is_ascii_alphanumeric());
        let (mut key, mut start) = ([0; MAX_KEY_BYTES], MAX_KEY_BYTES);
        for letter in letters {
            let Some(before) = start.checked_sub(1) else { return false };
            (key[before], start) = (letter.to_ascii_lowercase(), before);
        }
        OTHER_KEYS.contains(&&key[start..])
    };
    // The parts around the one with the password.
    let before = bytes[start..name.start].rsplit(|byte| *byte == separator).skip(1).take(MAX_PARTS);
    let after = bytes[name.end..end].split(|byte| *byte == separator).skip(1).take(MAX_PARTS);
    before.chain(after).any(is_key)
}
