//! Placeholders for values: the names that a redaction inserts, and variables.

use std::ops::Range;

use strum::VariantArray;

use super::rules::NameStem;
use super::value_shape::is_irregular;

/// The number of hexadecimal digits in a name that was made with a key.
pub const KEYED_DIGITS: usize = 16;

/// The maximum number of digits in a numbered name.
const MAX_NUMBER_DIGITS: usize = 8;

/// The replacement of a private key.
pub const PRIVATE_KEY_REMOVED: &str = "[private key removed]";

/// Returns the length of the number or digest at the start of a text if it can be part of a name. Ignores what follows.
fn number_length(text: &[u8]) -> Option<usize> {
    let count = |is_part: fn(&u8) -> bool| text.iter().take(KEYED_DIGITS).take_while(|byte| is_part(byte)).count();
    let (digits, hex) = (count(u8::is_ascii_digit), count(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    match (digits, hex) {
        (_, KEYED_DIGITS) => Some(KEYED_DIGITS),
        (0, _) => None,
        _ => Some(digits.min(MAX_NUMBER_DIGITS)),
    }
}

/// Returns the ranges of all names in a text that a redaction may have inserted. Ignores their surroundings.
pub fn names_in(text: &[u8]) -> impl Iterator<Item = (NameStem, Range<usize>)> {
    memchr::memchr_iter(b'-', text).filter_map(|hyphen| {
        let stem = NameStem::VARIANTS.iter().find(|stem| {
            let word = hyphen.checked_sub(stem.as_str().len()).and_then(|start| text.get(start..hyphen));
            word.is_some_and(|word| word.eq_ignore_ascii_case(stem.as_str().as_bytes()))
        })?;
        let number = number_length(&text[hyphen + 1..])?;
        Some((*stem, hyphen - stem.as_str().len()..hyphen + 1 + number))
    })
}

/// Returns the range of a find, extended to whole names of a redaction, or `None` if it lies within such a name. This
/// guarantees that repeated redaction terminates, whatever the rules find.
pub fn without_names(text: &str, mut span: Range<usize>) -> Option<Range<usize>> {
    let around = NameStem::VARIANTS.iter().map(|stem| stem.as_str().len()).max().unwrap_or(0) + 1 + KEYED_DIGITS;
    let least = span.start.saturating_sub(around);
    let nearby = &text.as_bytes()[least..text.len().min(span.end + around)];
    for (_, name) in names_in(nearby) {
        let name = least + name.start..least + name.end;
        if name.start <= span.start && span.end <= name.end {
            return None;
        }
        if name.start < span.end && span.start < name.end {
            span = span.start.min(name.start)..span.end.max(name.end);
        }
    }
    Some(span)
}

/// Words that are used in place of a secret: types, modes, and empty values.
const NOT_SECRETS: &str = "\
    any basic bearer boolean disabled empty enabled false hidden include integer nil no none null number omit optional \
    redacted removed required same-origin str string true undefined unknown yes";

/// The maximum length of the start of a secret that does not reveal it, in bytes.
const MAX_CUT_BYTES: usize = 8;

/// Returns true for references to a variable: `$NAME`, `${name}`, `%NAME%`, `env:NAME`.
fn is_reference(value: &str) -> bool {
    let Some(rest) = value.strip_prefix('$') else {
        return value.starts_with('%') && value.ends_with('%') || value.starts_with("env:");
    };
    let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let (name, after) = rest.split_at(length);
    let has = |test: fn(&u8) -> bool| name.as_bytes().iter().any(test);
    match name.is_empty() {
        true => after.len() <= 1 || after.starts_with(['{', '(', '[']),
        // A password can begin with a dollar sign.
        false if has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit) => false,
        false => after.starts_with(['/', '\\', '.', ':', '$', '}', ' ']) || !is_irregular(after),
    }
}

/// Returns true if a value that is named a secret can be one.
pub fn can_be_secret(value: &str) -> bool {
    let value = value.trim();
    let is_in = |open: &str, close: &str| value.starts_with(open) && value.ends_with(close);
    let Some(first) = value.chars().next() else { return false };
    let is_word = NOT_SECRETS.split(' ').any(|word| word.eq_ignore_ascii_case(value));
    // `sk-...`
    let start = value.trim_end_matches(['.', '…']);
    let is_cut = start.len() < value.len() && start.len() <= MAX_CUT_BYTES && !is_irregular(start);
    !(is_reference(value)
        || is_word
        || is_cut
        || is_in("[", "]")
        || is_in("<", ">")
        || is_in("{{", "}}")
        || value.chars().all(|c| c == first) && !first.is_alphanumeric()
        || value.chars().all(|c| matches!(c, 'x' | 'X' | '*' | '•' | '.' | '…')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_neither_found_nor_cut() {
        let text = "xuser-12, secret-0123456789abcdefg";
        let names: Vec<_> = names_in(text.as_bytes()).collect();
        assert_eq!(names, [(NameStem::User, 1..8), (NameStem::Secret, 10..33)]);
        assert_eq!(without_names(text, 3..7), None);
        assert_eq!(without_names(text, 1..8), None);
        assert_eq!(without_names(text, 0..5), Some(0..8));
        assert_eq!(without_names(text, 7..12), Some(1..33));
        assert_eq!(without_names(text, 8..10), Some(8..10));
        assert_eq!(names_in(b"ip-x host- zip -1").count(), 0);
        assert_eq!(names_in(b"ip-123456789").next(), Some((NameStem::Ip, 0..11)));
    }
}
