//! What must hold whatever the bytes are: one module a fuzz target. libFuzzer calls them (`fuzz_targets/`), and so does
//! `cargo test`, with the corpora and the project's fixtures (`tests/replay.rs`).

pub mod audit_bundle;
pub mod bundles;
pub mod gzip_stream;
mod home;
pub mod import_bundle;
pub mod manifest;
pub mod merge_logs;
pub mod open_bundle;
mod reference;
pub mod round_trip;
pub mod row;
pub mod seeds;

/// Checks one input. It panics where something does not hold.
pub type Check = fn(&[u8]);

/// Every target, by name.
pub const TARGETS: [(&str, Check); 8] = [
    ("audit_bundle", audit_bundle::check),
    ("gzip_stream", gzip_stream::check),
    ("import_bundle", import_bundle::check),
    ("manifest", manifest::check),
    ("merge_logs", merge_logs::check),
    ("open_bundle", open_bundle::check),
    ("round_trip", round_trip::check),
    ("row", row::check),
];
