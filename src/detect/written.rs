//! Characters of paths and addresses, which can be written as escapes of URLs (`%C3%A4`) or of strings inside strings
//! (`\\u00fc`).

use std::borrow::Cow;

/// The longest character in UTF-8.
const MAX_CHAR_BYTES: usize = 4;

/// The most backslashes before the `u` of an escape.
const MAX_BACKSLASHES: usize = 8;

/// Returns the first character of a text and the number of bytes that it is written with.
pub fn first_char(text: &str) -> Option<(char, usize)> {
    let first = text.chars().next()?;
    let escaped = match first {
        '%' => percent_escape(text.as_bytes()),
        '\\' => unicode_escape(text.as_bytes()),
        _ => None,
    };
    Some(escaped.unwrap_or((first, first.len_utf8())))
}

/// Returns the length of the characters at the beginning of a text that are a part of something.
pub fn run_length(text: &str, is_part: impl Fn(char) -> bool) -> usize {
    let mut length = 0;
    while let Some((_, bytes)) = first_char(&text[length..]).filter(|(c, _)| is_part(*c)) {
        length += bytes;
    }
    length
}

/// Returns a text without these escapes.
pub fn plain(text: &str) -> String {
    let (mut plain, mut at) = (String::with_capacity(text.len()), 0);
    while let Some((c, bytes)) = first_char(&text[at..]) {
        plain.push(c);
        at += bytes;
    }
    plain
}

/// Returns a text without the escapes of URLs.
pub fn without_percent(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let (mut plain, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(first) = text[at..].chars().next() {
        let (c, bytes) = percent_escape(&text.as_bytes()[at..]).unwrap_or((first, first.len_utf8()));
        plain.push(c);
        at += bytes;
    }
    plain.into()
}

/// Returns the byte that `%41` at the beginning of a text stands for.
pub fn percent_byte(text: &[u8]) -> Option<u8> {
    match text {
        [b'%', high, low, ..] => {
            let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            Some(digit(high)? << 4 | digit(low)?)
        }
        _ => None,
    }
}

fn percent_escape(text: &[u8]) -> Option<(char, usize)> {
    let mut bytes = Vec::with_capacity(MAX_CHAR_BYTES);
    while let Some(byte) = text.get(bytes.len() * 3..).and_then(percent_byte).filter(|_| bytes.len() < MAX_CHAR_BYTES) {
        bytes.push(byte);
        if let Some(c) = std::str::from_utf8(&bytes).ok().and_then(|text| text.chars().next()) {
            return Some((c, bytes.len() * 3));
        }
    }
    None
}

fn unicode_escape(text: &[u8]) -> Option<(char, usize)> {
    let slashes = text.iter().take(MAX_BACKSLASHES).take_while(|byte| **byte == b'\\').count();
    let digits = text.get(slashes..slashes + 5)?.strip_prefix(b"u")?;
    let unit = digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))?;
    Some((char::from_u32(unit).unwrap_or('\u{fffd}'), slashes + 5))
}
