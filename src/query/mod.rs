//! Queries on rows: paths to values, conditions, filters.
//!
//! Conditions work on the text of rows: they build no tree and round no numbers.

mod condition;
mod filter;
#[cfg(feature = "jq")]
mod jq;
mod needle;
mod number;
mod path;
mod pattern;
mod row_mapper;
mod scan_json;

pub use condition::{Condition, ConditionError};
pub use filter::RowFilter;
#[cfg(feature = "jq")]
pub use jq::{JqError, JqFilter, StringForm};
pub(crate) use needle::{LineSearch, Needle, count_lines};
pub(crate) use number::DecimalNumber;
pub use path::{KeyPath, KeyPathError, KeyPathFault, PathStep};
pub use pattern::PatternError;
pub(crate) use row_mapper::{EmitLine, MappedRow, RowMapper};
pub(crate) use scan_json::{Elements, Members, each_value, string_content, unescaped};
