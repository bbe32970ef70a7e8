//! Properties that must hold for all inputs, one module per fuzz target. libFuzzer runs them (`fuzz_targets/`), and
//! `cargo test` runs them on the corpora and the project's fixtures (`tests/replay.rs`).

pub mod audit_bundle;
pub mod bundles;
pub mod gzip_stream;
mod home;
pub mod import_bundle;
pub mod manifest;
pub mod merge_logs;
pub mod open_bundle;
pub mod pwtrace;
pub mod redact_rows;
mod reference;
pub mod round_trip;
pub mod row;
pub mod seeds;
pub mod signature;

/// A check of one input. It panics if a property does not hold.
pub type Check = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: [(&str, Check); 11] = [
    ("audit_bundle", audit_bundle::check),
    ("gzip_stream", gzip_stream::check),
    ("import_bundle", import_bundle::check),
    ("manifest", manifest::check),
    ("merge_logs", merge_logs::check),
    ("open_bundle", open_bundle::check),
    ("pwtrace", pwtrace::check),
    ("redact_rows", redact_rows::check),
    ("round_trip", round_trip::check),
    ("row", row::check),
    ("signature", signature::check),
];
