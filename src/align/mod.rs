//! Aligns the lines of two sides and determines the order of the merged lines. This module does not
//! access files.
//!
//! 1. `fingerprint_lines` reads the lines of a side. It keeps a fingerprint ([`index`]) and a few
//!    properties ([`row_keys`], [`line_meta`]) of each line.
//! 2. `lcs` matches the lines of both sides, as many as possible in the same order.
//! 3. `steps` yields the lines of the result, in order. `run_order` decides between rows about the
//!    same run.
//! 4. [`side_reader`] reads the text of the lines again.

mod fingerprint_lines;
mod index;
mod lcs;
mod line_meta;
mod line_shape;
mod row_keys;
mod run_order;
mod side_reader;
mod steps;

pub use fingerprint_lines::{each_line, next_line, read_log};
pub use index::{Fingerprint, FingerprintKey, Fingerprinter, KnownLine, LineKeying, Side};
pub use lcs::{Alignment, LineMatch, align};
pub use line_shape::LineShape;
pub use row_keys::RowKeys;
pub use side_reader::SideReader;
pub use steps::{MergeStep, each_step};
