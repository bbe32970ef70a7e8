//! The values of cookies in the headers `Cookie` and `Set-Cookie`.

use std::ops::Range;

use super::candidates::FindCandidates;
use super::placeholder::can_be_secret;
use super::rules::BuiltInRule;
use super::value_shape::{has_code, is_token_like};

/// The attributes of a cookie in `Set-Cookie`.
const ATTRIBUTES: &str = "domain expires httponly max-age partitioned path priority samesite secure";

/// The most cookies of a header that are looked at.
const MAX_COOKIES: usize = 200;

/// Looks at a header whose content begins at `start`. Returns false if it has no cookies.
pub fn cookies(text: &str, start: usize, found: &mut FindCandidates) -> bool {
    let header = &text[start..];
    let ends = |c: char| c.is_control() || "\"'`\\".contains(c);
    let header = &header[..header.find(ends).unwrap_or(header.len())];
    let (mut at, mut has_cookies) = (start, false);
    for part in header.split(';').take(MAX_COOKIES) {
        let place = at..at + part.len();
        at = place.end + 1;
        match cookie(text, &place) {
            Some(value) => {
                has_cookies = true;
                let cookie = &text[value.clone()];
                if can_be_secret(cookie) && is_token_like(cookie) && !has_code(cookie) {
                    found.push(BuiltInRule::AssignedSecret, value);
                }
            }
            None if !is_attribute(part) => break,
            None => {}
        }
    }
    has_cookies
}

/// Returns the place of the value of `name=value`, without quotation marks.
fn cookie(text: &str, place: &Range<usize>) -> Option<Range<usize>> {
    let part = &text[place.clone()];
    let (name, value) = part.split_once('=')?;
    let is_name =
        !name.trim().is_empty() && name.trim().chars().all(|c| c.is_ascii_graphic() && !"(){}<>@,:/[]?".contains(c));
    if !is_name || is_attribute(part) {
        return None;
    }
    let value = value.trim_start();
    let start = place.end - value.len();
    let length = value.find(char::is_whitespace).unwrap_or(value.len());
    Some(start..start + length)
}

fn is_attribute(part: &str) -> bool {
    let name = part.split('=').next().unwrap_or_default().trim();
    ATTRIBUTES.split(' ').any(|attribute| attribute.eq_ignore_ascii_case(name))
}
