//! Exit codes.

use std::process::ExitCode;

/// The exit codes of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Done = 0,
    /// Failure; nothing was changed.
    Failed = 1,
    /// Invalid command line.
    Usage = 2,
    /// Done, but the result is incomplete, or a bundle is damaged or unexpected.
    Incomplete = 3,
    /// Interrupted by Ctrl-C or another signal that requests termination.
    Interrupted = 130,
}

impl Exit {
    /// Returns the more severe of two exits: failure outranks damage, which outranks success.
    pub fn worse_of(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Done => 0,
            Self::Incomplete => 1,
            Self::Usage | Self::Failed => 2,
            Self::Interrupted => 3,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
