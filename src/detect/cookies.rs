//! The values of cookies in the headers `Cookie` and `Set-Cookie`.

use super::candidates::FindCandidates;
use super::placeholder::can_be_secret;
use super::rules::BuiltInRule;
use super::run_ends::RunKind;
use super::value_shape::{has_code, is_token_like};

/// The attributes of a cookie in `Set-Cookie`.
const ATTRIBUTES: &str = "domain expires httponly max-age partitioned path priority samesite secure";

/// The maximum number of cookies that are checked in a header.
const MAX_COOKIES: usize = 200;

/// The maximum length of a cookie name, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// Finds the cookies of a header whose content begins at `start`. Returns false if it has none.
pub fn cookies(text: &str, start: usize, found: &mut FindCandidates) -> bool {
    if start < found.cookies_end {
        return true;
    }
    let header = &text[..found.ends.end(RunKind::Header, text, start)];
    let (mut at, mut has_cookies) = (start, false);
    for _ in 0..MAX_COOKIES {
        let Some(part) = header.get(at..).and_then(CookiePart::first) else { break };
        let end = found.ends.end(RunKind::HeaderPart, text, at);
        if let CookiePart::Cookie { value } = part {
            let value = header[at + value..end].trim_start();
            let start = end - value.len();
            let cookie = value.split(char::is_whitespace).next().unwrap_or_default();
            has_cookies = true;
            if can_be_secret(cookie) && is_token_like(cookie) && !has_code(cookie) {
                found.push(BuiltInRule::AssignedSecret, start..start + cookie.len());
            }
        }
        at = end + 1;
        found.cookies_end = end;
    }
    has_cookies
}

/// A part of a header, between semicolons.
enum CookiePart {
    /// A cookie, with the offset after the equals sign.
    Cookie {
        value: usize,
    },
    Attribute,
}

impl CookiePart {
    /// Returns the first part of a header, or `None` if it is neither a cookie nor an attribute.
    fn first(header: &str) -> Option<Self> {
        let nearby = &header.as_bytes()[..header.len().min(MAX_NAME_BYTES)];
        let end = nearby.iter().position(|byte| matches!(byte, b'=' | b';')).unwrap_or(nearby.len());
        let name = header.get(..end)?.trim();
        if is_attribute(name) {
            return Some(Self::Attribute);
        }
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && !"(){}<>@,:/[]?".contains(c));
        (is_name && nearby.get(end) == Some(&b'=')).then_some(Self::Cookie { value: end + 1 })
    }
}

fn is_attribute(name: &str) -> bool {
    ATTRIBUTES.split(' ').any(|attribute| attribute.eq_ignore_ascii_case(name))
}
