//! Makes untrusted text safe to print.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns true if a terminal does not show this character, or if it changes how the characters around it are shown:
/// control characters, line separators, direction marks and zero-width characters.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Escapes each invisible character, such as ESC as `\u{1b}`. Names and rows can hold characters that move a
/// terminal's cursor or reverse text.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_invisible) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_invisible(c) {
            // Writing to a string cannot fail.
            true => _ = write!(shown, "{}", c.escape_unicode()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}
