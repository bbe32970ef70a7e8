//! Tests that take more than some seconds. `cargo test` runs their short forms; each module says how to run its long one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::format_push_string)]

#[path = "../common/mod.rs"]
mod common;

#[cfg(all(unix, feature = "cli"))]
mod crashes;
#[cfg(all(unix, feature = "cli"))]
mod hostile;
#[cfg(unix)]
mod import_kill;
#[cfg(unix)]
mod live_writers;
mod longest_lines;
#[cfg(feature = "cli")]
mod ten_years;
