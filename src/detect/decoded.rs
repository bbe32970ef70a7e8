//! Decoded texts that map back to the raw bytes.

use std::borrow::Cow;
use std::ops::Range;

/// The decoded text of a JSON string.
///
/// Invalid escapes are kept as they are, so that torn lines can be read. Invalid UTF-8 and unpaired surrogates become
/// U+FFFD.
#[derive(Debug)]
pub struct Decoded<'t> {
    text: Cow<'t, str>,
    /// The positions at which the distance between the text and its raw form changes, as offsets in both.
    turns: Vec<(usize, usize)>,
}

impl<'t> Decoded<'t> {
    /// Decodes the bytes between the quotation marks of a string, or of any other text with such escapes.
    pub fn new(raw: &'t [u8]) -> Self {
        match std::str::from_utf8(raw) {
            Ok(text) if !raw.contains(&b'\\') => Self { text: text.into(), turns: Vec::new() },
            _ => Decoder::default().run(raw, true),
        }
    }

    /// Wraps bytes without decoding escapes.
    pub fn plain(raw: &'t [u8]) -> Self {
        match std::str::from_utf8(raw) {
            Ok(text) => Self { text: text.into(), turns: Vec::new() },
            Err(_) => Decoder::default().run(raw, false),
        }
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the raw range of a part of the text. `span` must lie on character boundaries.
    pub fn raw(&self, span: &Range<usize>) -> Range<usize> {
        self.raw_offset(span.start)..self.raw_offset(span.end)
    }

    fn raw_offset(&self, at: usize) -> usize {
        let turns = self.turns.partition_point(|(in_text, _)| *in_text <= at);
        let (in_text, in_raw) = turns.checked_sub(1).map_or((0, 0), |last| self.turns[last]);
        in_raw + (at - in_text)
    }
}

/// Returns true if a text has an escape such as `\u0041`.
pub fn has_unicode_escape(text: &[u8]) -> bool {
    memchr::memmem::find_iter(text, "\\u").any(|at| code_unit(text, at).is_some())
}

#[derive(Default)]
struct Decoder {
    text: String,
    turns: Vec<(usize, usize)>,
}

impl Decoder {
    fn run<'t>(mut self, raw: &[u8], has_escapes: bool) -> Decoded<'t> {
        let mut at = 0;
        while at < raw.len() {
            let plain = match has_escapes {
                true => memchr::memchr(b'\\', &raw[at..]).unwrap_or(raw.len() - at),
                false => raw.len() - at,
            };
            self.push_bytes(&raw[at..at + plain], at);
            at += plain;
            if at < raw.len() {
                at = self.push_escape(raw, at);
            }
        }
        Decoded { text: self.text.into(), turns: self.turns }
    }

    /// Appends bytes without escapes.
    fn push_bytes(&mut self, bytes: &[u8], mut at: usize) {
        for chunk in bytes.utf8_chunks() {
            self.text.push_str(chunk.valid());
            at += chunk.valid().len();
            if !chunk.invalid().is_empty() {
                self.push('\u{fffd}', at, chunk.invalid().len());
                at += chunk.invalid().len();
            }
        }
    }

    /// Appends a character that is encoded as `length` raw bytes.
    fn push(&mut self, character: char, at: usize, length: usize) {
        self.turns.push((self.text.len(), at));
        self.text.push(character);
        self.turns.push((self.text.len(), at + length));
    }

    /// Appends the character of the escape at `at`. Returns the offset after the escape.
    fn push_escape(&mut self, raw: &[u8], at: usize) -> usize {
        let simple = match raw.get(at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.push_unicode(raw, at),
            _ => {
                self.text.push('\\');
                return at + 1;
            }
        };
        self.push(simple, at, 2);
        at + 2
    }

    fn push_unicode(&mut self, raw: &[u8], at: usize) -> usize {
        let Some(first) = code_unit(raw, at) else {
            self.text.push('\\');
            return at + 1;
        };
        if let (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) = (first, code_unit(raw, at + 6)) {
            let pair = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            self.push(char::from_u32(pair).unwrap_or('\u{fffd}'), at, 12);
            return at + 12;
        }
        self.push(char::from_u32(first).unwrap_or('\u{fffd}'), at, 6);
        at + 6
    }
}

/// Returns the UTF-16 code unit of the `\u` escape at `at`.
fn code_unit(raw: &[u8], at: usize) -> Option<u32> {
    let digits = raw.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_text_leads_back_to_its_raw_bytes() {
        let raw = r"a\u0067hp\n\ud83d\ude80 \/\ud800 \x é".as_bytes();
        let decoded = Decoded::new(raw);
        assert_eq!(decoded.text(), "aghp\n🚀 /\u{fffd} \\x é");
        for (part, written) in
            [("g", r"\u0067"), ("hp", "hp"), ("\n", r"\n"), ("🚀", r"\ud83d\ude80"), ("\\x é", "\\x é")]
        {
            let start = decoded.text().find(part).unwrap();
            assert_eq!(&raw[decoded.raw(&(start..start + part.len()))], written.as_bytes(), "{part}");
        }
        assert_eq!(decoded.raw(&(0..decoded.text().len())), 0..raw.len());
    }

    #[test]
    fn invalid_utf_8_becomes_replacement_characters() {
        let raw = b"a\xffb\xe2\x82c";
        for decoded in [Decoded::new(raw), Decoded::plain(raw)] {
            assert_eq!(decoded.text(), "a\u{fffd}b\u{fffd}c");
            assert_eq!(decoded.raw(&(4..5)), 2..3);
            assert_eq!(decoded.raw(&(8..9)), 5..6);
        }
    }
}
