//! The text of a line after rotation, and its `id`.

use std::borrow::Cow;

use crate::format::row::{classify_and_find, is_blank};

/// Returns a line as rotation rewrites it, or `None` if rotation removes it because it is blank.
pub fn rotated(line: &[u8]) -> Option<Cow<'_, str>> {
    let text = match simdutf8::basic::from_utf8(line) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(line),
    };
    (!is_blank(&text)).then_some(text)
}

/// Returns the `id` of an activity row, if it is less than 2^53.
pub fn id_of(line: &[u8]) -> Option<u64> {
    let mut id = None;
    classify_and_find(line, &[], &["id"], &mut |_, value| id = value.parse().ok())?;
    id.filter(|id| *id < 1 << 53)
}
