//! Mappers, which turn rows into lines of output.

use std::fmt::Debug;
use std::ops::ControlFlow;

/// A row for a [`RowMapper`].
#[cfg_attr(not(feature = "jq"), expect(dead_code, reason = "only filters of jq read it"))]
#[derive(Debug, Clone, Copy)]
pub struct MappedRow<'r> {
    /// The row's JSON text, which is valid.
    pub json: &'r str,
    /// The line that represents the unchanged row, and its ending.
    pub line: (&'r [u8], &'r [u8]),
}

/// Receives the lines of a row, each with its ending, until it breaks.
pub type EmitLine<'t> = &'t mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// Turns each row into any number of lines. Threads share it.
pub trait RowMapper: Debug + Send + Sync {
    /// Passes the lines of a row, each with its ending, to `take`, until it breaks.
    ///
    /// # Errors
    /// Returns the reason why the row gives no further lines, for display.
    fn map(&self, row: &MappedRow<'_>, take: EmitLine<'_>) -> Result<(), String>;
}
