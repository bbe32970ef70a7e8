//! The reasons why a command stops early, with their exit codes.

use std::io;

use patchwork_traces::error::IoAction;
use patchwork_traces::{Error, ErrorKind};

use crate::cli::terminal::error_report::{ErrorDetail, USAGE, report_interrupt};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::interrupt;
use crate::cli::terminal::output::{PrintError, STDOUT, is_stdout_discarded};

/// The result of a command.
pub type CommandResult = Result<Exit, Failure>;

/// The reason why a command stops early.
#[derive(Debug)]
pub enum Failure {
    /// An operation failed.
    Error(Error),
    /// The command line is invalid: a message and a hint.
    Usage(String, String),
    /// Writing to standard output failed.
    Stdout(io::Error),
    /// The work is done, but its report could not be written to standard output.
    ReportLost(io::Error),
}

impl Failure {
    /// Creates a usage error from a message and a hint.
    pub fn usage(message: &str, hint: &str) -> Self {
        Self::Usage(message.to_owned(), hint.to_owned())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<PrintError> for Failure {
    fn from(error: PrintError) -> Self {
        match error {
            PrintError::Result(error) => Self::Stdout(error),
            PrintError::Report(error) => Self::ReportLost(error),
        }
    }
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        Self::Error(kind.into())
    }
}

impl Failure {
    /// Prints the error on standard error, and returns the exit code.
    pub fn report(self, json: bool) -> Exit {
        let (detail, exit) = match self {
            Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => return Exit::Done,
            Self::Error(error) if is_closed_pipe(&error) => return Exit::Done,
            Self::Stdout(error) => (ErrorDetail::from(&Error::io_named(IoAction::Write, STDOUT, error)), Exit::Failed),
            Self::Error(error) if matches!(error.kind(), ErrorKind::Cancelled) => {
                let state = interrupt::state().map_or("interrupted: nothing was changed", |state| state.ended);
                return report_interrupt(state, json);
            }
            Self::Error(error) => (ErrorDetail::from(&error), exit_of(error.kind())),
            Self::Usage(message, hint) => (ErrorDetail::new(USAGE, message, hint), Exit::Usage),
            Self::ReportLost(source) => {
                let error = Error::from(ErrorKind::ReportLost { source }).in_subject(STDOUT);
                (ErrorDetail::from(&error), Exit::Incomplete)
            }
        };
        detail.print(json);
        exit
    }
}

/// Returns an error if standard output would silently discard `what`, such as `the bundle`.
/// `example` shows how to redirect it.
pub fn check_stdout_is_kept(what: &str, example: &str) -> Result<(), Failure> {
    if !is_stdout_discarded() {
        return Ok(());
    }
    let message = format!("{what} would be lost: standard output is closed or discards everything");
    let hint = format!("redirect it to a file or a program, as in `{example}`; use `> /dev/null` to discard it");
    Err(Failure::Usage(message, hint))
}

fn exit_of(kind: &ErrorKind) -> Exit {
    match kind {
        ErrorKind::TargetIsTerminal => Exit::Usage,
        ErrorKind::PartiallyCommitted { .. }
        | ErrorKind::PartiallyKept { .. }
        | ErrorKind::CheckpointNotWritten { .. }
        | ErrorKind::NotSigned { .. }
        | ErrorKind::DirectorySyncFailed { .. } => Exit::Incomplete,
        _ => Exit::Failed,
    }
}

/// Returns true if the program that reads standard output has ended. That is not an error, because it
/// has read all that it wanted. A closed named pipe is an error.
fn is_closed_pipe(error: &Error) -> bool {
    let is_of_stdout = error.position().subject.as_deref() == Some(STDOUT);
    is_of_stdout && matches!(error.kind(), ErrorKind::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
}
