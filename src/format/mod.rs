//! The versioned format: every key, version, limit and rule of FORMAT.md, once, with the decoder beside the encoder.
//!
//! Everything here is pure: bytes in, values out. A bundle's text is one manifest line ([`Manifest`]) and then one
//! [`Envelope`] a line. [`log`] turns a log's lines into envelopes and back.

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
