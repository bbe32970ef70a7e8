//! What a well-formed envelope can still get wrong: its two views of one line (FORMAT.md, "Entry" and "Exact lines").

use super::diagnose::shortened;
use super::envelope::Envelope;
use super::exact::ExactLine;
use super::line::classify;
use super::time::{TimeKey, Timestamp};
use crate::error::EntryFault;

/// Holds a row against its own exact line. Returns the row's time, and what is wrong.
///
/// `ending` is what the log's line ending puts before the line feed, where it is known. `times` says where a row of
/// this log has its time.
#[must_use]
pub fn check_row(
    row: &Envelope<'_>,
    ending: Option<&[u8]>,
    times: &[TimeKey],
) -> (Option<Timestamp>, Option<EntryFault>) {
    let entry = row.entry();
    let line = row.original.as_ref().map_or(entry.as_bytes(), ExactLine::as_bytes);
    let Some(text) = classify(line, times) else { return (None, Some(EntryFault::NotARow)) };
    let fault = if text.entry == entry {
        row.original.as_ref().and_then(|original| original_fault(original, entry, ending))
    } else {
        Some(EntryFault::Differs { expected: shortened(&text.entry), found: shortened(entry) })
    };
    (text.time, fault)
}

fn original_fault(original: &ExactLine, entry: &str, ending: Option<&[u8]>) -> Option<EntryFault> {
    let line = original.as_bytes();
    if line.contains(&b'\n') {
        Some(EntryFault::LineFeed)
    } else if ending.is_some_and(|ending| line.strip_suffix(ending) == Some(entry.as_bytes())) {
        Some(EntryFault::Redundant)
    } else if ExactLine::new(line) != *original {
        Some(EntryFault::Form)
    } else {
        None
    }
}
