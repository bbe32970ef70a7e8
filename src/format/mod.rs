//! The versioned bundle format: the single definition of every key, version, limit and rule of FORMAT.md, with each
//! decoder next to its encoder.
//!
//! This module does no I/O: it takes bytes and returns values. The text of a bundle is one manifest line
//! ([`Manifest`]), followed by one [`Envelope`] per line. `log_encoder` converts the lines of a log to envelopes, and
//! `log_decoder` converts them back.

mod bounded;
pub(crate) mod envelope;
mod exact_line;
pub mod limits;
pub(crate) mod log_decoder;
pub(crate) mod log_encoder;
mod manifest;
mod name;
pub(crate) mod row;
#[cfg(feature = "schema")]
pub mod schema;
mod text;
pub(crate) mod timeline;
mod timestamp;
mod unparsed;

pub use envelope::Envelope;
pub use exact_line::ExactLine;
pub use log_encoder::LogId;
pub(crate) use manifest::MINOR;
pub(crate) use manifest::validate::DistinctFiles;
pub use manifest::{
    Chunk, Derivation, DerivedFrom, FilterRecord, Follows, FollowsState, HistoryGap, HistoryId, HistoryPosition, Label,
    LineEnding, Manifest, ManifestFile, Provenance, Record, Redaction, RedactionKeyId, WholeLog,
};
pub use name::{Base, FileName, SourceName};
#[cfg(feature = "jq")]
pub(crate) use text::nests_too_deep;
pub use timeline::{TimeSpan, Timeline};
pub use timestamp::{RowTime, TimeKey, TimeRange, Timestamp};
pub use unparsed::Unparsed;
