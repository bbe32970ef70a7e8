//! The positions where a word can begin or end.

/// Returns true if a token can begin at `at`: the preceding character is not a letter or digit, or belongs to an
/// escape.
pub fn starts_word(text: &[u8], at: usize) -> bool {
    match at.checked_sub(1).map(|before| text[before]) {
        Some(before) if before.is_ascii_alphanumeric() => is_after_escape(&text[..at]),
        _ => true,
    }
}

/// Returns the start of the word in a run of letters and digits from `start` to `end`. If an escape overlaps the start
/// of the run, the word begins after it.
pub fn after_escape(text: &[u8], start: usize, end: usize) -> usize {
    (start..end.min(start + 6)).rev().find(|at| is_after_escape(&text[..*at])).unwrap_or(start)
}

/// Returns true if a text ends with an escape of a nested string (`\n`, `\u0022`), a URL (`%22`) or a terminal (`ESC [
/// 3 1 m`).
pub fn is_after_escape(before: &[u8]) -> bool {
    let are_hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    match before {
        [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f'] => true,
        [.., b'%', a, b] if are_hex(&[*a, *b]) => true,
        [.., b'\\', b'u', a, b, c, d] if are_hex(&[*a, *b, *c, *d]) => true,
        [.., b'm'] => is_after_colour(before),
        _ => false,
    }
}

/// Returns true if a text ends with `[`, digits and semicolons, `m`.
fn is_after_colour(before: &[u8]) -> bool {
    let parameters = &before[before.len().saturating_sub(20)..before.len() - 1];
    let open = parameters.iter().rposition(|byte| !(byte.is_ascii_digit() || *byte == b';'));
    open.is_some_and(|open| parameters[open] == b'[')
}

/// Returns true if no letter or digit, of any script, directly precedes `start` or follows `end`.
pub fn is_whole_word(text: &str, start: usize, end: usize) -> bool {
    let before = text[..start].chars().next_back().is_some_and(char::is_alphanumeric);
    let after = text[end..].chars().next().is_some_and(char::is_alphanumeric);
    (!before || is_after_escape(&text.as_bytes()[..start])) && !after
}
