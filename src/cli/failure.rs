//! How the program ends: the exit codes, and what is printed when it fails.

use std::io;
use std::process::ExitCode;

use patchwork_traces::error::{Error, ErrorKind, IoAction};
use schemars::JsonSchema;
use serde::Serialize;

use super::output::{STDOUT, escape_json, print_beside};

/// What `--help` says of exit codes.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done (also when the reader of the output went away)
  1  failed, and nothing was changed
  2  the command line is wrong, and nothing was done
  3  done, but the bundle is damaged, something was left behind, or the report could not be printed";

/// The exit codes of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All was done.
    Done = 0,
    /// It failed, and nothing was changed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Something was done, but not all is well.
    LeftBehind = 3,
}

impl Exit {
    /// The exit of a command that did several things: a failure before damage before success.
    pub fn worse_of(self, other: Self) -> Self {
        let rank = |exit: Self| match exit {
            Self::Done => 0,
            Self::LeftBehind => 1,
            Self::Usage | Self::Failed => 2,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// How a command ends.
pub type Outcome = Result<Exit, Failure>;

/// Why a command ends early.
#[derive(Debug)]
pub enum Failure {
    /// An operation failed.
    Error(Error),
    /// The command line asks for something that cannot be.
    Usage(String),
    /// Standard output failed.
    Stdout(io::Error),
    /// The work is done, but standard output failed when that was to be said.
    Unsaid(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        Self::Error(kind.into())
    }
}

/// An error as `--json` prints it, on one line of standard error.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "Error of patchwork-traces with --json, on standard error")]
pub struct ErrorJson {
    error: ErrorDetail,
}

/// What went wrong, where, and what to do next.
#[derive(Serialize, JsonSchema)]
struct ErrorDetail {
    /// The place and what went wrong, for people.
    message: String,
    /// What to do next, for people.
    hint: String,
    /// The file on disk.
    subject: Option<String>,
    /// The log inside the bundle.
    file: Option<String>,
    /// The first and the last row of that log, from 1.
    rows: Option<(u64, u64)>,
    /// The line, from 1.
    line: Option<u64>,
    /// The byte, from 0.
    byte: Option<u64>,
}

impl From<&Error> for ErrorJson {
    fn from(error: &Error) -> Self {
        let at = error.position().clone();
        let (message, hint) = (error.to_string(), error.hint());
        let error = ErrorDetail {
            message,
            hint,
            subject: at.subject,
            file: at.file,
            rows: at.rows,
            line: at.line,
            byte: at.byte,
        };
        Self { error }
    }
}

impl Failure {
    /// Prints what went wrong on standard error, and says how the program ends.
    pub fn report(self, json: bool) -> Exit {
        let (error, exit) = match self {
            Self::Stdout(error) | Self::Unsaid(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Exit::Done;
            }
            Self::Error(error) if is_closed_pipe(&error) => return Exit::Done,
            Self::Stdout(error) => (Error::io_named(IoAction::Write, STDOUT, error), Exit::Failed),
            Self::Unsaid(source) => {
                let kind = ErrorKind::ReportLost { source };
                (Error::from(kind).in_subject(STDOUT), Exit::LeftBehind)
            }
            Self::Error(error) => {
                let exit = exit_of(error.kind());
                (error, exit)
            }
            Self::Usage(message) => {
                print_beside(&format!("error: {message}\n\nFor more information, try '--help'.\n"));
                return Exit::Usage;
            }
        };
        if json {
            // No value of an error can fail to serialise; without one there would still be the exit code.
            let text = serde_json::to_string(&ErrorJson::from(&error)).unwrap_or_default();
            print_beside(&(escape_json(&text) + "\n"));
        } else {
            print_beside(&format!("error: {error}\n  hint: {}\n", error.hint()));
        }
        exit
    }
}

fn exit_of(kind: &ErrorKind) -> Exit {
    match kind {
        ErrorKind::TargetIsTerminal => Exit::Usage,
        ErrorKind::PlacedInPart { .. } | ErrorKind::MayNotLast { .. } => Exit::LeftBehind,
        _ => Exit::Failed,
    }
}

/// Whether the reader of what was printed went away: nothing of interest to anybody.
fn is_closed_pipe(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints a usage error, or the help that was asked for.
pub fn report_usage(error: &clap::Error) -> Exit {
    // When nobody reads it, nobody misses it.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}
