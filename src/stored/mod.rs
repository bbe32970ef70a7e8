//! Stores restored logs in unnamed temporary files, so that logs larger than memory can be compared and merged.
//!
//! A [`LogSet`] holds the logs of an input: those of a bundle, or of all segments of a history. [`combine()`] merges two
//! sets; [`compare()`] aligns the logs of two sets without merging them.

mod collect;
mod combine;
mod compare;
mod content;
mod local;
mod restore;
mod scratch;
mod set;

pub use collect::RowCollector;
pub use combine::combine;
pub use compare::{CompareContext, Compared, compare};
pub use content::ContentReader;
pub use local::copy_logs;
pub use restore::{restore_files, restore_logs};
pub use set::{LogSet, StoredGroup, disagreement};
