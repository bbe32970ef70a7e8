//! Questions about rows: paths to their values, conditions, filters.
//!
//! Rows are looked at as text: no tree is built, and numbers are not rounded.

mod condition;
mod filter;
mod needle;
mod number;
mod path;
mod pattern;
mod scan_json;

pub use condition::{Condition, ConditionError};
pub use filter::RowFilter;
pub(crate) use needle::{LineSearch, Needle, count_lines};
pub use path::{KeyPath, KeyPathError, KeyPathFault, PathStep};
pub use pattern::PatternError;
pub(crate) use scan_json::{Elements, Members, each_value, string_content, unescaped};
