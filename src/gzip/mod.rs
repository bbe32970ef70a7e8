//! The container: one gzip member with full-flush points (FORMAT.md, "Container").
//!
//! [`writer`] makes it. [`sequential`] reads any gzip file or plain text from a stream; [`indexed`] reads single blocks
//! of a member whose flush points are known. This module knows nothing of manifests and rows.

pub mod indexed;
mod inflate;
mod member;
pub mod sequential;
pub mod writer;

pub use indexed::{Block, BlockIndex};
pub use sequential::{Content, SequentialReader};
pub use writer::{Deflater, Level, MemberWriter};
