//! The strings of a JSON text, with their ranges.

use std::ops::Range;

/// A string of a JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonString {
    /// The range between its quotation marks, in bytes.
    pub raw: Range<usize>,
    /// True for a key.
    pub is_key: bool,
}

/// A container that encloses the current string.
#[derive(Debug, Clone)]
enum NestingLevel {
    /// An object, with its offset and the raw bytes of the last key.
    Object { start: usize, key: Range<usize>, expects_key: bool },
    /// An array, with its offset.
    Array { start: usize },
}

/// A step of the path to a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawStep {
    /// A member, with the raw bytes of its key.
    Key(Range<usize>),
    /// An element of an array.
    Element,
}

/// Iterates over the strings of a JSON text, which must be valid.
#[derive(Debug, Clone)]
pub struct Strings<'t> {
    json: &'t [u8],
    at: usize,
    levels: Vec<NestingLevel>,
}

impl<'t> Strings<'t> {
    pub fn new(json: &'t [u8]) -> Self {
        Self { json, at: 0, levels: Vec::new() }
    }

    /// Returns the raw ranges of the keys that enclose the string just returned, innermost first. If the string is a
    /// key itself, it comes first.
    pub fn keys(&self) -> impl Iterator<Item = Range<usize>> {
        self.levels.iter().rev().filter_map(|level| match level {
            NestingLevel::Object { key, .. } => Some(key.clone()),
            NestingLevel::Array { .. } => None,
        })
    }

    /// Returns the path to the string just returned.
    pub fn path(&self) -> impl Iterator<Item = RawStep> {
        self.levels.iter().map(|level| match level {
            NestingLevel::Object { key, .. } => RawStep::Key(key.clone()),
            NestingLevel::Array { .. } => RawStep::Element,
        })
    }

    /// Returns the offset of the array that the string is an element of.
    pub fn array(&self) -> Option<usize> {
        match self.levels.last()? {
            NestingLevel::Array { start } => Some(*start),
            NestingLevel::Object { .. } => None,
        }
    }

    /// Returns the offset of the object that the string is a key or a value of.
    pub fn object(&self) -> Option<usize> {
        match self.levels.last()? {
            NestingLevel::Object { start, .. } => Some(*start),
            NestingLevel::Array { .. } => None,
        }
    }

    /// Returns the number of containers that enclose the string.
    pub fn depth(&self) -> usize {
        self.levels.len()
    }

    /// Returns the next string.
    pub fn next_string(&mut self) -> Option<JsonString> {
        while let Some(byte) = self.json.get(self.at) {
            self.at += 1;
            match byte {
                b'"' => return Some(self.string()),
                b'{' => self.levels.push(NestingLevel::Object { start: self.at, key: 0..0, expects_key: true }),
                b'[' => self.levels.push(NestingLevel::Array { start: self.at }),
                b'}' | b']' => _ = self.levels.pop(),
                b',' => {
                    if let Some(NestingLevel::Object { expects_key, .. }) = self.levels.last_mut() {
                        *expects_key = true;
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn string(&mut self) -> JsonString {
        let start = self.at;
        let end = string_end(self.json, start);
        self.at = (end + 1).min(self.json.len());
        let raw = start..end;
        match self.levels.last_mut() {
            Some(NestingLevel::Object { key, expects_key: expects_key @ true, .. }) => {
                (*key, *expects_key) = (raw.clone(), false);
                JsonString { raw, is_key: true }
            }
            _ => JsonString { raw, is_key: false },
        }
    }
}

/// Returns the offset of the quotation mark that ends the string at `start`.
pub fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(next) = memchr::memchr2(b'"', b'\\', &json[at..]) {
        match json[at + next] {
            b'"' => return at + next,
            _ => at = (at + next + 2).min(json.len()),
        }
    }
    json.len()
}

/// A valid JSON text, split into its members and elements on request.
#[derive(Debug, Clone, Copy)]
pub struct JsonText<'t> {
    json: &'t [u8],
}

/// A member of an object, or an element of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPart {
    /// The offset after the bracket or comma before it.
    pub start: usize,
    /// The raw bytes of the key, between its quotation marks.
    pub key: Option<Range<usize>>,
    /// The value.
    pub value: Range<usize>,
    /// The offset of the comma or bracket after it.
    pub end: usize,
}

impl<'t> JsonText<'t> {
    pub fn new(json: &'t [u8]) -> Self {
        Self { json }
    }

    pub fn bytes(&self) -> &'t [u8] {
        self.json
    }

    /// Returns the decoded text of a string.
    pub fn string(&self, raw: &Range<usize>) -> String {
        super::decoded::Decoded::new(&self.json[raw.clone()]).text().to_owned()
    }

    /// Returns the range of the value at `at`, after any characters that JavaScript's `trim` removes.
    pub fn value_at(&self, at: usize) -> Range<usize> {
        let starts = |byte: &u8| matches!(byte, b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n');
        let start = self.json[at..].iter().position(starts).map_or(self.json.len(), |offset| at + offset);
        start..self.value_end(start)
    }

    /// Returns the offset after the value that begins at `start`.
    fn value_end(&self, start: usize) -> usize {
        match self.json.get(start) {
            Some(b'"') => (string_end(self.json, start + 1) + 1).min(self.json.len()),
            Some(b'{' | b'[') => self.container_end(start),
            _ => {
                let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
                let length = self.json[start..].iter().position(|byte| !is_plain(byte));
                length.map_or(self.json.len(), |length| start + length)
            }
        }
    }

    fn container_end(&self, start: usize) -> usize {
        let (mut at, mut depth) = (start, 0_usize);
        while let Some(byte) = self.json.get(at) {
            at += 1;
            match byte {
                b'"' => at = (string_end(self.json, at) + 1).min(self.json.len()),
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth <= 1 => return at,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
        }
        self.json.len()
    }

    /// Returns the members or elements of the container at `value`.
    pub fn parts(self, value: &Range<usize>) -> impl Iterator<Item = JsonPart> + use<'t> {
        let is_object = self.json[value.start] == b'{';
        let (end, mut at) = (value.end.saturating_sub(1), value.start + 1);
        std::iter::from_fn(move || {
            let first = self.value_at(at);
            if at >= end || first.start >= end {
                return None;
            }
            let (start, key, value) = match is_object {
                true => (at, Some(first.start + 1..first.end - 1), self.value_at(first.end)),
                false => (at, None, first),
            };
            let after = memchr::memchr(b',', &self.json[value.end..end]).map_or(end, |comma| value.end + comma);
            at = after + 1;
            Some(JsonPart { start, key, value, end: after })
        })
    }
}
