//! The gzip container of a bundle: one member with full-flush points (FORMAT.md, "Container").
//!
//! [`Deflater`] compresses blocks, and [`MemberWriter`] assembles them into a member. [`SequentialReader`] reads any
//! gzip file or plain text from a stream. `BlockIndex` reads single blocks of a member whose flush points are known.
//! This module does not depend on manifests or rows.

mod indexed;
mod inflate;
mod member;
mod sequential;
mod source;
mod tail;
mod writer;

pub(crate) use indexed::{Block, BlockIndex, DeflatedBlock};
pub(crate) use inflate::{BlockEnd, Fingerprints, find_block, inflate_into};
pub(crate) use member::{TAIL_BYTES, has_texts};
pub(crate) use sequential::Anomaly;
pub use sequential::{SequentialReader, StreamKind};
pub(crate) use source::{FLUSH_MARK, PeekReader, READ_BYTES};
pub(crate) use tail::{LastBlock, Tail};
pub use writer::{Deflater, Level, MemberWriter};
