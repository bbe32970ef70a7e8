//! Programs that make lines of rows.

use std::fmt::Debug;
use std::ops::ControlFlow;

/// A row, as a [`RowMapper`] gets it.
#[cfg_attr(not(feature = "jq"), expect(dead_code, reason = "only filters of jq read it"))]
#[derive(Debug, Clone, Copy)]
pub struct MappedRow<'r> {
    /// The row's JSON text, which is valid.
    pub json: &'r str,
    /// The line that stands for the unchanged row, and its ending.
    pub line: (&'r [u8], &'r [u8]),
}

/// Receives the lines of a row, each with its ending, until it breaks.
pub type EmitLine<'t> = &'t mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// Makes any number of lines of each row. Threads share it.
pub trait RowMapper: Debug + Send + Sync {
    /// Passes the lines of a row, each with its ending, to `take`, until it breaks.
    ///
    /// # Errors
    /// Returns the reason why the row gives no further lines, for people.
    fn map(&self, row: &MappedRow<'_>, take: EmitLine<'_>) -> Result<(), String>;
}
