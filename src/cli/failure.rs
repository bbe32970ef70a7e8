//! Exit codes and error output.

use std::io::{self, IsTerminal, stderr};
use std::path::Path;
use std::process::ExitCode;

use patchwork_traces::error::{IoAction, Position};
use patchwork_traces::{Error, ErrorKind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::output::{STDOUT, escape_json, print_beside, print_message};
use super::term::{BAD, HINT, WARN};
use super::text::safe;
use super::{interrupt, suggest};

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

/// The result of a command.
pub type CommandResult = Result<Exit, Failure>;

/// The reason why a command stops early.
#[derive(Debug)]
pub enum Failure {
    /// An operation failed.
    Error(Error),
    /// The command line requests something impossible: a message and a hint.
    Usage(String, String),
    /// Writing to standard output failed.
    Stdout(io::Error),
    /// The command was interrupted: a message with the resulting state.
    Interrupted(&'static str),
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

/// The kind and the position of an error, with a message and a hint.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorDetail {
    /// The stable kind, for programs.
    kind: ErrorCode,
    /// The position and the problem, for people.
    message: String,
    /// Advice on what to do next, for people.
    hint: String,
    /// The file on disk.
    subject: Option<String>,
    /// The log inside the bundle.
    file: Option<String>,
    /// The first and the last row of that log, from 1.
    rows: Option<(u64, u64)>,
    /// The line, from 1.
    line: Option<u64>,
    /// The byte offset, from 0.
    byte: Option<u64>,
}

/// The kind of an error. It does not change with the message.
#[derive(Debug, Serialize)]
struct ErrorCode(&'static str);

/// The kind of an invalid command line.
const USAGE: &str = "usage";
/// The kind of an internal error.
const INTERNAL: &str = "internal";

impl JsonSchema for ErrorCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Kind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds: Vec<_> = ErrorKind::CODES.iter().chain(&[USAGE, INTERNAL]).collect();
        json_schema!({ "type": "string", "enum": kinds, "description": "The kind of the error. It does not change with the message." })
    }
}

impl ErrorDetail {
    fn new(kind: &'static str, message: String, hint: String) -> Self {
        Self { kind: ErrorCode(kind), message, hint, subject: None, file: None, rows: None, line: None, byte: None }
    }

    /// Prints the error on standard error.
    fn print(self, json: bool) {
        if json {
            // Serialisation cannot fail; if it did, the exit code would still tell.
            let text = serde_json::to_string(&ErrorJson { error: self }).unwrap_or_default();
            return print_beside(&(escape_json(&text) + "\n"));
        }
        let (message, hint) = (in_locale(&self.message), in_locale(&self.hint));
        print_message(BAD, "error:", &message);
        print_message(HINT, "  hint:", &hint);
    }
}

/// Makes text safe for this terminal and its locale.
fn in_locale(text: &str) -> String {
    let text = safe(text);
    if super::term::has_unicode() { text } else { text.replace('…', "...") }
}

impl From<&Error> for ErrorDetail {
    fn from(error: &Error) -> Self {
        let Position { subject, file, rows, line, byte, .. } = error.position().clone();
        let detail = Self::new(error.kind().code(), error.to_string(), hint(error));
        Self { subject, file, rows, line, byte, ..detail }
    }
}

/// Returns a suggestion for a misspelt name, or else the hint of the error.
fn hint(error: &Error) -> String {
    let meant = match error.kind() {
        ErrorKind::UnknownSource { name, known } | ErrorKind::UnknownFile { name, known } => {
            suggest::closest(name, known.iter().map(String::as_str)).map(str::to_owned)
        }
        ErrorKind::Io { action: IoAction::Open, source } if source.kind() == io::ErrorKind::NotFound => {
            let path = error.position().subject.as_ref().map(Path::new);
            if path.is_some_and(Path::is_symlink) {
                return "this is a symlink whose target does not exist".to_owned();
            }
            path.and_then(suggest::closest_file)
        }
        _ => None,
    };
    meant.map_or_else(|| error.hint(), |meant| format!("did you mean \"{meant}\"?"))
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
            Self::Interrupted(state) => return report_interrupt(state, json),
            Self::ReportLost(source) => {
                let error = Error::from(ErrorKind::ReportLost { source }).in_subject(STDOUT);
                (ErrorDetail::from(&error), Exit::Incomplete)
            }
        };
        detail.print(json);
        exit
    }
}

/// Prints the message of an interrupt, which begins with `interrupted`. A user who pressed Ctrl-C needs no hint.
fn report_interrupt(message: &str, json: bool) -> Exit {
    if json {
        let hint = "run the command again".to_owned();
        ErrorDetail::new(ErrorKind::Cancelled.code(), message.to_owned(), hint).print(true);
    } else {
        // Overwrites the `^C` that the terminal has printed.
        if stderr().is_terminal() {
            print_beside("\r");
        }
        let (interrupted, state) = message.split_once(' ').unwrap_or((message, ""));
        print_message(WARN, interrupted, state);
    }
    Exit::Interrupted
}

/// Prints a panic as an internal error.
pub fn report_panic(payload: &str, location: &str, json: bool) {
    let message = format!("internal error (please report it): {payload} ({location})");
    let hint = "please report this line and your command; no log or bundle is half-written, and it is safe to run the command again (use `import --mode merge` instead of `--mode append`)";
    ErrorDetail::new(INTERNAL, message, hint.to_owned()).print(json);
}

fn exit_of(kind: &ErrorKind) -> Exit {
    match kind {
        ErrorKind::TargetIsTerminal => Exit::Usage,
        ErrorKind::PartiallyCommitted { .. } | ErrorKind::DirectorySyncFailed { .. } => Exit::Incomplete,
        _ => Exit::Failed,
    }
}

/// Returns true if the program that reads standard output has ended, which is not an error: it has read all that it
/// wanted. A closed named pipe is an error, as its reader did not start this program.
fn is_closed_pipe(error: &Error) -> bool {
    let is_of_stdout = error.position().subject.as_deref() == Some(STDOUT);
    is_of_stdout && matches!(error.kind(), ErrorKind::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
}
