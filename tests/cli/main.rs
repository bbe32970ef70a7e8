//! Tests of the program, a module for each command or promise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_possible_truncation, clippy::format_collect)]

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "seal")]
mod age_plugins;
mod bad_input;
mod cat;
mod cat_exact;
mod cli_output;
#[cfg(unix)]
mod closed_pipe;
mod diff;
#[cfg(feature = "seal")]
mod encryption;
mod export;
mod filter;
mod find;
#[cfg(unix)]
mod history_inspect;
mod history_keep;
mod history_recover;
mod history_verify;
mod import;
mod inspect;
mod interrupt;
#[cfg(feature = "jq")]
mod jq;
mod json_output;
#[cfg(unix)]
mod keep;
#[cfg(target_os = "linux")]
mod keep_follow;
mod man_pages;
mod messages;
#[cfg(unix)]
mod packaging;
mod redact;
mod relative_times;
#[cfg(feature = "report")]
mod report;
#[cfg(feature = "seal")]
mod sign;
mod status;
mod verify;
