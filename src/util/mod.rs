//! Helpers that know nothing of bundles.

pub mod atomic_file;
pub mod cancel;
pub mod file_identity;
pub mod hashing;
pub mod line_reader;
pub mod ordered_pool;
pub mod path_text;
pub mod regular_file;
