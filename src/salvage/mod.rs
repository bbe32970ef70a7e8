//! Reads a bundle from start to end regardless of damage. `verify` and `recover` share this module.
//!
//! [`Scan::open`] finds the first line. [`Scan::parts`] cuts the rest into [`Part`]s: compressed blocks if there are
//! flush points, otherwise lines of text. Any thread can [read](ScanContext) a part. The input is read once, as a
//! stream, up to the first damage. After it, [`locate`] reads in any order, so input that cannot seek is spooled.

mod chunk_lookup;
mod find_block;
mod first_line;
mod lines;
mod locate;
mod part;
mod parts;
mod rows;
mod text;
mod text_digest;

pub(crate) use first_line::{FirstLine, Scan};
pub(crate) use lines::{LineFault, PartLines, Problem, ReadPart, RemainingRows, RowFile, RowRun};
pub(crate) use part::Part;
pub(crate) use parts::Parts;
pub(crate) use rows::ScanContext;
pub(crate) use text_digest::TextDigest;
