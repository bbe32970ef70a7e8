//! The value of a row, with the exact texts of its parts.

use std::collections::HashMap;

use jaq_json::{Map, Num, Rc, Val};

use crate::query::scan_json::{Elements, Members, string_content};

/// The maximum length of an exact integer, in bytes. Longer integers are read as decimal numbers, because the time to
/// parse an integer is quadratic in its length.
const MAX_INTEGER_BYTES: usize = 1000;

/// A value, and the JSON texts of its arrays, objects, and strings with escapes.
///
/// An array, object or string that a filter passes through keeps its address in memory; a new one has another address.
pub struct ExactValue<'j> {
    value: Val,
    texts: Texts<'j>,
}

/// The texts of values, by address. Each value is kept with its text, even if a duplicate key removed it from the row,
/// so that no other value can get its address.
type Texts<'j> = HashMap<(usize, usize), (Val, &'j str)>;

impl<'j> ExactValue<'j> {
    /// Parses JSON text, which must be valid and nested no deeper than a row can be.
    pub fn parse(json: &'j str) -> Self {
        let mut texts = HashMap::new();
        let value = read(json.trim_matches([' ', '\t', '\n', '\r']), &mut texts);
        Self { value, texts }
    }

    pub fn value(&self) -> &Val {
        &self.value
    }

    /// Returns true if a value is the whole value of the row, unchanged. Strings, numbers, booleans and null are
    /// compared by value.
    pub fn is_whole(&self, value: &Val) -> bool {
        match (&self.value, value) {
            (Val::Null, Val::Null) => true,
            (Val::Bool(whole), Val::Bool(value)) => whole == value,
            (Val::Num(whole), Val::Num(value)) => whole.to_string() == value.to_string(),
            (Val::TStr(whole), Val::TStr(value)) => whole == value,
            (Val::Arr(_) | Val::Obj(_), Val::Arr(_) | Val::Obj(_)) => address(&self.value) == address(value),
            _ => false,
        }
    }

    /// Returns the text of an array, object or string with escapes, if it is a part of the value.
    pub fn text(&self, value: &Val) -> Option<&'j str> {
        self.texts.get(&address(value)?).map(|(_, text)| *text)
    }
}

/// Returns the identity of an array, object or string in memory: its address, and the length of a string.
fn address(value: &Val) -> Option<(usize, usize)> {
    match value {
        Val::Arr(values) => Some((Rc::as_ptr(values).addr(), 0)),
        Val::Obj(members) => Some((Rc::as_ptr(members).addr(), 0)),
        Val::TStr(text) if !text.is_empty() => Some((text.as_ptr().addr(), text.len())),
        _ => None,
    }
}

fn read<'j>(json: &'j str, texts: &mut Texts<'j>) -> Val {
    let value = match json.as_bytes().first() {
        Some(b'"') => {
            let value = Val::utf8_str(string_content(json).into_owned());
            if !json.contains('\\') {
                return value;
            }
            value
        }
        Some(b'{') => {
            let mut members = Map::default();
            for (key, value) in Members::of(json).into_iter().flatten() {
                members.insert(Val::utf8_str(string_content(key).into_owned()), read(value, texts));
            }
            Val::obj(members)
        }
        Some(b'[') => {
            Val::Arr(Rc::new(Elements::of(json).into_iter().flatten().map(|value| read(value, texts)).collect()))
        }
        Some(b't') => return Val::Bool(true),
        Some(b'f') => return Val::Bool(false),
        Some(b'n') | None => return Val::Null,
        Some(_) => return Val::Num(number(json)),
    };
    if let Some(address) = address(&value) {
        texts.insert(address, (value.clone(), json));
    }
    value
}

/// Parses a number so that it is written with the same characters.
fn number(json: &str) -> Num {
    let digits = json.strip_prefix('-').unwrap_or(json);
    let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit()) && json != "-0";
    let integer = (is_integer && json.len() <= MAX_INTEGER_BYTES).then(|| Num::from_str_radix(json, 10)).flatten();
    integer.unwrap_or_else(|| Num::Dec(Rc::new(json.to_owned())))
}
