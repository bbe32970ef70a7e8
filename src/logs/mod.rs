//! The logs of this machine: their catalogue, their locations, and the behaviour of their writers.
//!
//! [`CATALOGUE`] is the one place to add a source. [`discover()`] finds the logs on a machine, and
//! [`open`](LogGroup::open) opens them as they are at one moment.

mod catalogue;
mod dirs;
mod discover;
mod group_key;
mod open;
pub mod rotation;
mod snapshot;
mod writer_lock;

pub use catalogue::{CATALOGUE, Files, RunKeys, Source, known};
pub(crate) use catalogue::{catalogue_order, check_log, has_numbered_rows, is_reserved_for_logs, may_exist, times_of};
pub(crate) use dirs::refused;
pub use dirs::{Dirs, NamedDir, ResolvedDirs, home_dir};
pub use discover::{DiscoverOptions, Discovery, LogFile, LogGroup, SkipReason, SkippedLog, discover};
pub(crate) use group_key::GroupKey;
pub use open::OpenLog;
pub(crate) use writer_lock::{PATIENCE, STALE_AFTER};
