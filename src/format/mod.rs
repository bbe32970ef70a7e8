//! The versioned bundle format: the single definition of every key, version, limit and rule of FORMAT.md, with each
//! decoder next to its encoder.
//!
//! This module does no I/O: it takes bytes and returns values. The text of a bundle is one manifest line
//! ([`Manifest`]), followed by one [`Envelope`] per line. [`log`] converts the lines of a log to envelopes and back.

mod bounded;
mod check;
pub(crate) mod check_row;
mod diagnose;
pub(crate) mod envelope;
mod exact;
pub mod limits;
pub mod line;
pub mod log;
mod manifest;
mod name;
pub mod schema;
mod text;
mod time;
pub(crate) mod timeline;
mod unparsed;
mod version;

pub(crate) use check::DistinctFiles;
pub use envelope::Envelope;
pub use exact::ExactLine;
pub use manifest::{Chunk, LineEnding, Manifest, ManifestFile, Record};
pub use name::{Base, FileName, SourceName};
pub use time::{TimeKey, TimeRange, Timestamp};
pub use timeline::{TimeSpan, Timeline};
pub use unparsed::Unparsed;
