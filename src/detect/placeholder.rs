//! Texts that stand for a value and are none: the names that a redaction puts in, and variables.

use strum::VariantArray;

use super::rules::NameStem;

/// The hexadecimal digits of a name that was made with a key.
pub const KEYED_DIGITS: usize = 16;

/// The most digits of the number in a name.
const MAX_NUMBER_DIGITS: usize = 8;

/// The replacement of a private key.
pub const PRIVATE_KEY_REMOVED: &str = "[private key removed]";

/// Returns true if a text is a name that a redaction puts in place of a value, such as `user-1` or
/// `email-3f9a51c7d2e08b64`.
pub fn is_replacement(text: &str) -> bool {
    let Some((stem, number)) = text.rsplit_once('-') else { return text == PRIVATE_KEY_REMOVED };
    let is_number = (1..=MAX_NUMBER_DIGITS).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_keyed = number.len() == KEYED_DIGITS && number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_number || is_keyed) && NameStem::VARIANTS.iter().any(|known| known.as_str() == stem)
}

/// Returns true if the value of something that is called a secret can be one.
pub fn can_be_secret(value: &str) -> bool {
    let value = value.trim();
    let is_in = |open: &str, close: &str| value.starts_with(open) && value.ends_with(close);
    let Some(first) = value.chars().next() else { return false };
    let is_reference =
        value.starts_with('$') || value.starts_with('%') && value.ends_with('%') || value.starts_with("env:");
    let is_word = matches!(
        value.to_ascii_lowercase().as_str(),
        "null"
            | "none"
            | "nil"
            | "undefined"
            | "true"
            | "false"
            | "yes"
            | "no"
            | "redacted"
            | "removed"
            | "hidden"
            | "empty"
    );
    !(is_reference
        || is_word
        || is_replacement(value)
        || is_in("[", "]")
        || is_in("<", ">")
        || is_in("{{", "}}")
        || value.chars().all(|c| c == first) && !first.is_alphanumeric()
        || value.chars().all(|c| matches!(c, 'x' | 'X' | '*' | '•' | '.' | '…')))
}
