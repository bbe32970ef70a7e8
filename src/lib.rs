//! Bundle, restore, verify and search the trace logs of Patchwork OS.
//!
//! A machine's JSON Lines logs become one gzip file, the **bundle**, that any tool can read. Data flows one way, and
//! back: [`sources`] say which logs exist, [`lines`] cuts them, [`mod@format`] makes envelopes of their rows, [`gzip`]
//! packs those, and [`bundle`] opens the result again. The operations ([`export`], [`import`], [`restore`], [`inspect`],
//! [`cat`], [`verify`], [`recover`]) are built on those five and return typed values; none of them prints.
//!
//! FORMAT.md specifies the file; where an item implements a part of it, its documentation names the section.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod bundle;
pub mod cat;
pub mod digest;
pub mod error;
pub mod export;
pub mod format;
pub mod gzip;
pub mod import;
pub mod inspect;
pub mod lines;
mod pack;
mod pool;
pub mod progress;
pub mod publish;
pub mod recover;
pub mod restore;
mod scan;
pub mod sources;
pub mod verify;

pub use error::{Error, ErrorKind, Result};
