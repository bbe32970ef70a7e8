//! Bundle, restore, verify and search the trace logs of Patchwork OS.
//!
//! A machine's JSON Lines logs become one gzip file, the **bundle**, which any gzip and JSON tool can read.
//! [`logs`] finds and opens the logs, [`mod@format`] defines the rows and the manifest, and [`bundle`] opens the
//! result. The operations, such as [`export`], [`import`], [`inspect`], [`cat`], [`verify`] and
//! [`recover`], build on these modules. They return typed values; none of them prints.
//!
//! The feature `schema` adds JSON Schemas of the format and of the reports. The feature `seal` adds encryption
//! ([`container`]) and signatures. The feature `report` adds reports as HTML pages. The feature `jq` adds filters in the
//! language of jq. The feature `cli` adds the program and `schema`. All but `schema` are on by default.
//!
//! FORMAT.md specifies the file. The documentation of an item that implements a part of it names the section.
//!
//! # Example
//!
//! Bundles the logs of a directory into memory, as a server would for a response, and reads a row back:
//!
//! ```
//! use std::io::Cursor;
//!
//! use patchwork_traces::bundle::{Bundle, Selection};
//! use patchwork_traces::export::{ExportOptions, export};
//! use patchwork_traces::format::Timestamp;
//! use patchwork_traces::progress::NoProgress;
//! use patchwork_traces::logs::{Dirs, DiscoverOptions, discover};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! std::fs::write(home.path().join("runs.jsonl"), "{\"taskId\":\"a\",\"n\":12345678901234567890}\n")?;
//!
//! let dirs = Dirs { patchwork: home.path().into(), activity: home.path().join("ide") };
//! let options = ExportOptions::new("example 1", "2026-05-02T10:00:00Z".parse::<Timestamp>()?);
//! let mut bundle = Vec::new();
//! let report = export(&discover(&dirs, &DiscoverOptions::default())?, &options, &mut bundle, "memory", &NoProgress)?;
//! assert_eq!(report.manifest.total_count, 1);
//!
//! let mut rows = Bundle::from_seekable(Cursor::new(&bundle), "memory")?.rows(&Selection::default())?;
//! let row = rows.next_row()?.ok_or("the bundle has a row")?;
//! assert_eq!(row.envelope.entry(), "{\"taskId\":\"a\",\"n\":12345678901234567890}");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod align;
mod assemble;
mod buffers;
pub mod bundle;
pub mod cat;
pub mod container;
pub mod detect;
pub mod diff;
pub mod digest;
pub mod error;
pub mod export;
pub mod filter;
pub mod format;
mod gzip;
pub mod history;
pub mod import;
pub mod input;
pub mod inspect;
pub mod keep;
pub mod logs;
pub mod merge;
pub mod progress;
mod publish;
pub mod query;
pub mod recover;
pub mod redact;
#[cfg(feature = "report")]
pub mod report;
pub mod restore;
mod salvage;
pub mod scan;
#[cfg(feature = "seal")]
pub mod signature;
pub mod status;
mod stored;
mod util;
pub mod verify;

pub use bundle::Bundle;
pub use error::{Error, ErrorKind, Result};
pub use history::History;
pub use util::atomic_file::{OutputTarget, TargetOptions};

/// The parts that this project's own tests, fuzz targets and benchmarks use. They are not for other programs and may
/// change at any time.
#[doc(hidden)]
pub mod internal {
    #[cfg(feature = "seal")]
    pub use crate::container::encryption::PWTRACE as PWTRACE_MAGIC;
    #[cfg(feature = "seal")]
    pub use crate::container::pwtrace::{FileKey, PwtraceReader, open as open_pwtrace, open_with as open_pwtrace_with};
    pub use crate::format::log_decoder::LogRestorer;
    pub use crate::format::log_encoder::{BadLine, BlockEncoder, EncodedBlock, FileBuilder, RawChunk};
    pub use crate::format::row::classify;
    pub use crate::gzip::{Deflater, MemberWriter, SequentialReader, StreamKind};
    pub use crate::util::atomic_file::AtomicFile;
    pub use crate::util::hashing::IntegrityHasher;
    pub use crate::util::line_reader::{BlockError, Line, LineBlocks, lines_of};
}
