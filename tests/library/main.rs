//! Tests of the library, a module for each operation or promise. Only the generation of schemas needs a feature.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::format_collect,
    clippy::type_complexity
)]

#[path = "../common/mod.rs"]
mod common;

mod bundle;
mod cancel;
mod cat_several;
mod conformance;
mod detect;
mod diff;
#[cfg(feature = "seal")]
mod encrypted_exports;
mod errors;
#[cfg(unix)]
mod examples;
mod filter;
mod format_md;
mod gzip;
mod history_checkpoint;
mod history_verify;
mod import;
mod import_merge;
mod import_several;
mod inspect_keys;
#[cfg(feature = "jq")]
mod jq;
mod json_edge_cases;
mod keep;
#[cfg(feature = "seal")]
mod keep_sealed;
mod keep_soak;
mod key_paths;
mod lines;
mod live_logs;
mod manifest;
mod merge;
mod properties;
mod public_api;
mod publish;
mod readers_agree;
mod recover;
mod redact;
mod restore;
mod rotation;
mod row_filters;
#[cfg(feature = "rules")]
mod rule_files;
mod scan;
mod schema;
#[cfg(feature = "seal")]
mod sealed;
#[cfg(feature = "seal")]
mod signature;
mod timeline;
mod verify;
mod wording;
