//! Trims, checks and cleans the JSON text of a row, so that it does not break other readers (FORMAT.md, "Entry").

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2_iter};

use super::limits::MAX_DEPTH;

/// Returns true if JavaScript's `trim` removes the character.
fn is_trimmed(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\u{feff}'
    )
}

/// Removes white space, as defined by JavaScript, from both ends.
pub fn trim(text: &str) -> &str {
    text.trim_matches(is_trimmed)
}

/// The kinds of bytes in a text that need a closer look. Most rows have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteKinds {
    /// Bytes below a space, such as a tab or a carriage return.
    pub control: bool,
    /// Bytes with which the line separators other than a line feed begin: 0xc2 and 0xe2.
    separator: bool,
    backslash: bool,
}

impl ByteKinds {
    /// Finds the kinds in one pass, in a loop that compilers vectorise.
    pub fn of(text: &str) -> Self {
        let mut kinds = Self { control: false, separator: false, backslash: false };
        for &byte in text.as_bytes() {
            kinds.control |= byte < b' ';
            kinds.separator |= byte | 0x20 == 0xe2;
            kinds.backslash |= byte == b'\\';
        }
        kinds
    }
}

/// Returns true if valid JSON nests arrays and objects deeper than [`MAX_DEPTH`].
pub fn nests_too_deep(json: &str) -> bool {
    // Nearly every row has fewer brackets, including those in strings, than allowed levels, so it needs no closer
    // look.
    if memchr2_iter(b'[', b'{', json.as_bytes()).take(MAX_DEPTH + 1).count() <= MAX_DEPTH {
        return false;
    }
    let mut depth = 0;
    let mut in_string = false;
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' => _ = bytes.next(),
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

/// Cleans valid JSON text. Replaces unpaired surrogate escapes with U+FFFD and carriage returns (which valid JSON has
/// only between tokens) with spaces, and escapes line separators.
pub fn clean(json: &str, kinds: ByteKinds) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(json);
    if kinds.backslash {
        text = replace_lone_surrogates(json);
    }
    if kinds.separator {
        text = escape_line_separators(text);
    }
    if kinds.control && memchr(b'\r', text.as_bytes()).is_some() {
        text = text.replace('\r', " ").into();
    }
    text
}

/// Escapes the characters, other than a line feed, at which some readers end a line. Valid JSON has these characters
/// only inside strings and never after a backslash.
pub fn escape_line_separators(json: Cow<'_, str>) -> Cow<'_, str> {
    const ESCAPES: [(char, &str); 3] = [('\u{85}', "\\u0085"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")];
    let mut json = json;
    if !json.is_ascii() {
        for (separator, escape) in ESCAPES {
            if json.contains(separator) {
                json = json.replace(separator, escape).into();
            }
        }
    }
    json
}

fn replace_lone_surrogates(json: &str) -> Cow<'_, str> {
    let mut cleaned = String::new();
    let mut copied = 0;
    let mut next = 0;
    for at in memchr_iter(b'\\', json.as_bytes()) {
        if at < next {
            continue; // inside an escape that was already handled
        }
        match escape_at(json.as_bytes(), at) {
            Escape::Valid { len } => next = at + len,
            Escape::LoneSurrogate => {
                next = at + 6;
                cleaned.push_str(&json[copied..at]);
                cleaned.push('\u{fffd}');
                copied = next;
            }
        }
    }
    if copied == 0 {
        return json.into();
    }
    cleaned.push_str(&json[copied..]);
    cleaned.into()
}

enum Escape {
    Valid { len: usize },
    LoneSurrogate,
}

/// Classifies the escape sequence at `at`. It is complete, because the text is valid JSON.
fn escape_at(json: &[u8], at: usize) -> Escape {
    match utf16_escape(json, at) {
        None => Escape::Valid { len: 2 },
        Some(0xd800..=0xdbff) => match utf16_escape(json, at + 6) {
            Some(0xdc00..=0xdfff) => Escape::Valid { len: 12 },
            _ => Escape::LoneSurrogate,
        },
        Some(0xdc00..=0xdfff) => Escape::LoneSurrogate,
        Some(_) => Escape::Valid { len: 6 },
    }
}

/// Returns the UTF-16 unit of the `\uXXXX` at `at`, if there is one.
fn utf16_escape(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Shortens JSON text to fit in a message.
pub fn shortened(json: &str) -> String {
    const LONGEST: usize = 60;
    match json.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &json[..end]),
        None => json.to_owned(),
    }
}
