//! Rules about the text of a row: what is cut around it, how deep it nests, and what is cleaned out of it because it
//! would break other readers (FORMAT.md, "Entry").

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memchr2_iter};

use super::limits::MAX_DEPTH;

/// The characters that JavaScript's `trim` cuts.
fn is_trimmed(c: char) -> bool {
    matches!(
        c,
        '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}' | '\u{feff}'
    )
}

/// Cuts white space, as JavaScript knows it, on both ends.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_trimmed)
}

/// Which kinds of bytes a text has that need a closer look. Most rows have none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ByteKinds {
    /// Below a space: a tab or a carriage return, say.
    pub(super) control: bool,
    /// Of characters that are not ASCII.
    high: bool,
    backslash: bool,
}

impl ByteKinds {
    /// Looks at every byte once, in a loop that compilers turn into vector instructions.
    pub(super) fn of(text: &str) -> Self {
        let mut kinds = Self { control: false, high: false, backslash: false };
        for &byte in text.as_bytes() {
            kinds.control |= byte < b' ';
            kinds.high |= byte >= 0x80;
            kinds.backslash |= byte == b'\\';
        }
        kinds
    }
}

/// Whether valid JSON nests arrays and objects deeper than [`MAX_DEPTH`].
pub(super) fn nests_too_deep(json: &str) -> bool {
    // Nearly every row has fewer brackets than levels that are allowed, strings included: no need to look closer.
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

/// Cleans valid JSON text: unpaired surrogate escapes become U+FFFD, carriage returns (which valid JSON has only
/// between tokens) become spaces, and line separators are escaped.
pub(super) fn clean(json: &str, kinds: ByteKinds) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(json);
    if kinds.backslash {
        text = replace_lone_surrogates(json);
    }
    // Replacing made characters that are not ASCII, but no line separators.
    if kinds.high {
        text = escape_line_separators(text);
    }
    if kinds.control && memchr(b'\r', text.as_bytes()).is_some() {
        text = text.replace('\r', " ").into();
    }
    text
}

/// Escapes what some readers end a line at although it is no line feed. The text is valid JSON, which has these
/// characters only inside of strings and never behind a backslash.
pub(super) fn escape_line_separators(json: Cow<'_, str>) -> Cow<'_, str> {
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
            continue; // inside an escape that was looked at already
        }
        match escape_at(json.as_bytes(), at) {
            Escape::Sound { len } => next = at + len,
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
    Sound { len: usize },
    LoneSurrogate,
}

/// What the escape sequence at `at` is. The text is valid JSON, so it is whole.
fn escape_at(json: &[u8], at: usize) -> Escape {
    match utf16_escape(json, at) {
        None => Escape::Sound { len: 2 },
        Some(0xd800..=0xdbff) => match utf16_escape(json, at + 6) {
            Some(0xdc00..=0xdfff) => Escape::Sound { len: 12 },
            _ => Escape::LoneSurrogate,
        },
        Some(0xdc00..=0xdfff) => Escape::LoneSurrogate,
        Some(_) => Escape::Sound { len: 6 },
    }
}

/// The UTF-16 unit of the `\uXXXX` at `at`, if there is one.
fn utf16_escape(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
