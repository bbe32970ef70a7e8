//! Consistency checks for a well-formed envelope, whose `entry` and `original` describe the same line (FORMAT.md,
//! "Entry" and "Exact lines").

use super::diagnose::shortened;
use super::envelope::Envelope;
use super::exact::ExactLine;
use super::line::classify;
use super::time::{TimeKey, Timestamp};
use crate::error::EntryFault;

/// Checks a row against its exact line. Returns the row's timestamp and the fault, if any.
///
/// `ending` holds the bytes that the log's line ending has before the line feed, if known. `times` lists the keys that
/// can hold the timestamp of a row of this log.
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
