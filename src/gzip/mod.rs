//! The gzip container of a bundle: one member with full-flush points (FORMAT.md, "Container").
//!
//! [`Deflater`] compresses blocks, and [`MemberWriter`] assembles them into a member. [`SequentialReader`] reads any
//! gzip file or plain text from a stream. `BlockIndex` reads single blocks of a member whose flush points are known.
//! This module does not depend on manifests or rows.

mod blocks;
mod indexed;
mod inflate;
mod member;
mod sequential;
mod source;
mod writer;

pub(crate) use blocks::{BlockReader, KEPT, LastBlock, Tail};
pub(crate) use indexed::{Block, BlockIndex, DeflatedBlock};
pub(crate) use inflate::{BlockEnd, find_block, inflate_as_far_as_possible, inflate_into, inflated_length};
pub(crate) use member::{HEADER, TAIL_BYTES};
pub(crate) use sequential::Anomaly;
pub use sequential::{SequentialReader, StreamKind};
pub use writer::{Deflater, Level, MemberWriter};
