//! The versioned format: every key, version, limit and rule of FORMAT.md, once, with the decoder beside the encoder.
//!
//! Everything here is pure: bytes in, values out. A bundle's text is one manifest line ([`Manifest`]) and then one
//! [`Envelope`] a line. [`log`] turns a log's lines into envelopes and back.

mod check;
pub mod check_row;
mod diagnose;
pub mod envelope;
pub mod exact;
pub mod limits;
pub mod line;
pub mod log;
pub mod manifest;
pub mod name;
pub mod schema;
mod text;
pub mod time;
pub mod timeline;
pub mod version;

pub use envelope::Envelope;
pub use exact::ExactLine;
pub use manifest::{Chunk, LineEnding, Manifest, ManifestFile, Record, Unparsed};
pub use name::{Base, FileName, SourceName};
pub use time::{TimeKey, TimeRange, Timestamp};
pub use timeline::Timeline;
