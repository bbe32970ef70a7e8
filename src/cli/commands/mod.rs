//! The commands, one file each, with their arguments, text and JSON output, and notes.

pub mod cat;
pub mod completions;
pub mod demo;
pub mod diff;
pub mod export;
pub mod filter;
pub mod follow;
pub mod import;
pub mod inspect;
pub mod keep;
pub mod man;
pub mod merge;
pub mod prove;
pub mod recover;
pub mod redact;
#[cfg(feature = "report")]
pub mod report;
pub mod scan;
pub mod schema;
#[cfg(feature = "seal")]
pub mod sign;
pub mod status;
pub mod verify;
