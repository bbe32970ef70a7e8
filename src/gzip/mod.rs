//! The container: one gzip member with full-flush points (FORMAT.md, "Container").
//!
//! [`writer`] makes it. [`sequential`] reads any gzip file or plain text from a stream; [`indexed`] reads single blocks
//! of a member whose flush points are known. This module knows nothing of manifests and rows.

mod blocks;
pub mod indexed;
mod inflate;
mod member;
pub mod sequential;
mod source;
pub mod writer;

pub(crate) use blocks::{BlockReader, LastBlock, Tail};
pub use indexed::{Block, BlockIndex, DeflatedBlock};
pub(crate) use inflate::{BlockEnd, find_block, inflate_as_far_as_possible};
pub(crate) use member::TAIL_BYTES;
pub(crate) use sequential::Oddity;
pub use sequential::{Content, SequentialReader};
pub use writer::{Deflater, Level, MemberWriter};
