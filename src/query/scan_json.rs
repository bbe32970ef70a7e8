//! Finds values in the text of a row, which must be valid JSON, without building a tree.

use std::borrow::Cow;

use memchr::memchr2;

use super::path::PathStep;

/// Calls `visit` with the text of each value at a path, until it returns true. Returns true if it did.
///
/// As in jq, the last of duplicate keys counts, and a path has one value unless it has [`PathStep::Each`]; a missing
/// value is visited as `None`. `Each` has no values for anything other than an array.
pub fn each_value<'j>(json: &'j str, steps: &[PathStep], visit: &mut dyn FnMut(Option<&'j str>) -> bool) -> bool {
    let Some((step, rest)) = steps.split_first() else { return visit(Some(json.trim_matches(is_space))) };
    let found = match step {
        PathStep::Key(key) => member(json, key),
        PathStep::Index(index) => element(json, *index),
        PathStep::Each => {
            return Elements::of(json).into_iter().flatten().any(|element| each_value(element, rest, visit));
        }
    };
    match found {
        Some(value) => each_value(value, rest, visit),
        // The values below are missing, too, and have no elements.
        None => !rest.contains(&PathStep::Each) && visit(None),
    }
}

/// Returns the value of a key of an object, or of the last one if there are duplicates.
fn member<'j>(json: &'j str, key: &str) -> Option<&'j str> {
    let members = Members::of(json)?;
    members.filter(|(name, _)| is_string(name, key)).last().map(|(_, value)| value)
}

fn element(json: &str, index: i64) -> Option<&str> {
    let mut elements = Elements::of(json)?;
    let at = match usize::try_from(index) {
        Ok(at) => at,
        Err(_) => Elements::of(json)?.count().checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
    };
    elements.nth(at)
}

/// Returns true if the JSON text of a string, with its quotation marks, decodes to `text`.
pub fn is_string(json: &str, text: &str) -> bool {
    let inner = &json[1..json.len() - 1];
    match inner.contains('\\') {
        false => inner == text,
        true => unescaped(inner) == text,
    }
}

/// Returns the decoded content of a JSON string, given with its quotation marks.
pub fn string_content(json: &str) -> Cow<'_, str> {
    unescaped(&json[1..json.len() - 1])
}

/// Decodes every escape sequence in JSON text. Unpaired surrogates become U+FFFD.
pub fn unescaped(json: &str) -> Cow<'_, str> {
    let Some(first) = json.find('\\') else { return json.into() };
    let mut text = String::with_capacity(json.len());
    text.push_str(&json[..first]);
    let mut rest = &json[first..];
    while let Some(escape) = rest.strip_prefix('\\') {
        let (c, length) = escaped(escape);
        text.push(c);
        let after = &escape[length..];
        let plain = after.find('\\').unwrap_or(after.len());
        text.push_str(&after[..plain]);
        rest = &after[plain..];
    }
    text.into()
}

/// Returns the character of an escape sequence, given without its backslash, and its length.
fn escaped(escape: &str) -> (char, usize) {
    let c = match escape.as_bytes().first() {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let unit = |at: usize| escape.get(at..at + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            return match (unit(1).unwrap_or(0), escape.get(5..7)) {
                (high @ 0xd800..=0xdbff, Some("\\u")) => match unit(7) {
                    Some(low @ 0xdc00..=0xdfff) => {
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 11)
                    }
                    _ => (char::REPLACEMENT_CHARACTER, 5),
                },
                (code, _) => (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 5),
            };
        }
        _ => return escape.chars().next().map_or((char::REPLACEMENT_CHARACTER, 0), |c| (c, c.len_utf8())),
    };
    (c, 1)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// A position in JSON text.
struct JsonCursor<'j> {
    json: &'j str,
    at: usize,
}

impl<'j> JsonCursor<'j> {
    /// Enters an array or object. Returns `None` for any other text.
    fn enter(json: &'j str, bracket: u8) -> Option<Self> {
        let mut cursor = Self { json, at: 0 };
        (cursor.peek() == Some(bracket)).then(|| {
            cursor.at += 1;
            cursor
        })
    }

    /// Skips white space and returns the next byte.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.json.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Skips a comma, if it is next. Returns false at the end of the array or object.
    fn next_item(&mut self) -> bool {
        if self.peek() == Some(b',') {
            self.at += 1;
        }
        !matches!(self.peek(), None | Some(b']' | b'}'))
    }

    /// Skips a value and returns its text.
    fn value(&mut self) -> &'j str {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => self.skip_string(),
            Some(b'[' | b'{') => self.skip_nested(),
            _ => {
                let rest = &self.json.as_bytes()[start..];
                let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
                self.at += rest.iter().position(ends).unwrap_or(rest.len());
            }
        }
        &self.json[start..self.at]
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(next) = memchr2(b'"', b'\\', &self.json.as_bytes()[self.at..]) {
            self.at += next;
            if self.json.as_bytes()[self.at] == b'"' {
                self.at += 1;
                return;
            }
            self.at = self.json.len().min(self.at + 2);
        }
        self.at = self.json.len();
    }

    fn skip_nested(&mut self) {
        let mut depth = 0usize;
        while let Some(byte) = self.json.as_bytes().get(self.at) {
            match byte {
                b'"' => {
                    self.skip_string();
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}

/// The members of an object: the text of the key, with its quotation marks, and the text of the value.
pub struct Members<'j>(JsonCursor<'j>);

impl<'j> Members<'j> {
    /// Returns `None` if the text is not an object.
    pub fn of(json: &'j str) -> Option<Self> {
        JsonCursor::enter(json, b'{').map(Self)
    }
}

impl<'j> Iterator for Members<'j> {
    type Item = (&'j str, &'j str);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_item().then(|| {
            let key = self.0.value();
            // The colon.
            self.0.peek();
            self.0.at += 1;
            (key, self.0.value())
        })
    }
}

/// The texts of the elements of an array.
pub struct Elements<'j>(JsonCursor<'j>);

impl<'j> Elements<'j> {
    /// Returns `None` if the text is not an array.
    pub fn of(json: &'j str) -> Option<Self> {
        JsonCursor::enter(json, b'[').map(Self)
    }
}

impl<'j> Iterator for Elements<'j> {
    type Item = &'j str;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_item().then(|| self.0.value())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::format_collect)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{each_value, unescaped};
    use crate::query::{KeyPath, PathStep};

    fn values(json: &str, path: &str) -> Vec<Option<String>> {
        let path: KeyPath = path.parse().unwrap();
        let mut values = Vec::new();
        each_value(json, path.steps(), &mut |value| {
            values.push(value.map(str::to_owned));
            false
        });
        values
    }

    #[test]
    fn paths_lead_to_the_texts_of_values() {
        let json = " { \"a\" : 1.50e0 ,\"a\\u0062\":[ {\"x\":\"]}\\\"\"}, [] ,{\"x\":{\"y\" : [1, 2 ]}}],\"a\":-0 } ";
        for (path, expected) in [
            ("a", vec![Some("-0")]),
            ("ab[0].x", vec![Some("\"]}\\\"\"")]),
            ("ab[].x", vec![Some("\"]}\\\"\""), None, Some("{\"y\" : [1, 2 ]}")]),
            ("ab[-1].x.y[-2]", vec![Some("1")]),
            ("ab[-1].x.y[]", vec![Some("1"), Some("2")]),
            ("ab[3]", vec![None]),
            ("ab[-4]", vec![None]),
            ("a.b.c", vec![None]),
            ("a[]", vec![]),
            ("b[].c", vec![]),
            ("b", vec![None]),
        ] {
            assert_eq!(
                values(json, path),
                expected.iter().map(|value| value.map(str::to_owned)).collect::<Vec<_>>(),
                "{path}"
            );
        }
        assert_eq!(values(" \"x\" ", "."), [Some("\"x\"".to_owned())]);
    }

    #[test]
    fn halves_of_surrogate_pairs_become_replacement_characters() {
        for (json, text) in [
            (r"a\ud800b", "a\u{fffd}b"),
            (r"\ud83d\ude00", "😀"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\udc00\ud800", "\u{fffd}\u{fffd}"),
            (r#"\"\\\/\b\f\n\r\té"#, "\"\\/\u{8}\u{c}\n\r\té"),
        ] {
            assert_eq!(unescaped(json), text, "{json}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c\"\\\\\\[{\u{e9}\n]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c\"]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The values at a path in a tree, as jq gives them.
    fn in_tree<'v>(value: Option<&'v Value>, steps: &[PathStep], found: &mut Vec<Option<&'v Value>>) {
        let Some((step, rest)) = steps.split_first() else { return found.push(value) };
        match step {
            PathStep::Key(key) => in_tree(value.and_then(|value| value.get(key)), rest, found),
            PathStep::Index(index) => {
                let array = value.and_then(Value::as_array);
                let at = array.and_then(|array| match index {
                    0.. => Some(*index as usize),
                    _ => array.len().checked_sub(index.unsigned_abs() as usize),
                });
                in_tree(at.and_then(|at| array?.get(at)), rest, found);
            }
            PathStep::Each => {
                for value in value.and_then(Value::as_array).into_iter().flatten() {
                    in_tree(Some(value), rest, found);
                }
            }
        }
    }

    fn steps() -> impl Strategy<Value = Vec<PathStep>> {
        let step = prop_oneof![
            3 => "[a-c\"]{0,2}".prop_map(PathStep::Key),
            1 => (-3..3i64).prop_map(PathStep::Index),
            1 => Just(PathStep::Each),
        ];
        proptest::collection::vec(step, 0..4)
    }

    proptest! {
        #[test]
        fn any_row_gives_what_its_tree_gives(json in json(), steps in steps(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&json).unwrap() } else { json.to_string() };
            let mut expected = Vec::new();
            in_tree(Some(&json), &steps, &mut expected);
            let mut found = Vec::new();
            each_value(&text, &steps, &mut |value| {
                found.push(value.map(|value| serde_json::from_str::<Value>(value).unwrap()));
                false
            });
            prop_assert_eq!(found.iter().map(Option::as_ref).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn any_string_is_read_back(text in any::<String>()) {
            let json = Value::from(text.as_str()).to_string();
            prop_assert_eq!(unescaped(&json[1..json.len() - 1]), &text[..]);
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            prop_assert_eq!(unescaped(&escaped), text);
        }
    }
}
