//! Helpers that know nothing of bundles.

pub(crate) mod atomic_file;
pub(crate) mod cancel;
pub(crate) mod file_identity;
pub(crate) mod hashing;
pub(crate) mod line_reader;
pub(crate) mod ordered_pool;
pub(crate) mod regular_file;
