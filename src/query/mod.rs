//! Questions about rows: paths to their values.

mod path;

pub use path::{KeyPath, KeyPathError, KeyPathFault, PathStep};
