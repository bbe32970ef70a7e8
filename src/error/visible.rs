//! Text from outside, as it can be shown.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character is obeyed instead of shown, or changes how the ones around it are shown: control characters, line
/// separators, marks of writing direction, characters without width.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text in which each invisible character stands as an escape, such as `\u{1b}`: names and rows can hold what would move
/// a terminal's cursor, or turn text around.
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
