//! How the program ends: the exit codes, and what is printed when it fails.

use std::io::{self, IsTerminal, stderr};
use std::path::Path;
use std::process::ExitCode;

use patchwork_traces::error::{IoAction, Position};
use patchwork_traces::{Error, ErrorKind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use super::output::{STDOUT, escape_json, print_beside};
use super::term::{BAD, HINT, WARN, paint};
use super::text::safe;
use super::{interrupt, suggest};

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
    Incomplete = 3,
    /// Ctrl-C, or a signal that asks as it does.
    Interrupted = 130,
}

impl Exit {
    /// The exit of a command that did several things: a failure before damage before success.
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

/// How a command ends.
pub type CommandResult = Result<Exit, Failure>;

/// Why a command ends early.
#[derive(Debug)]
pub enum Failure {
    /// An operation failed.
    Error(Error),
    /// The command line asks for something that cannot be: what, and what to do instead.
    Usage(String, String),
    /// Standard output failed.
    Stdout(io::Error),
    /// It was interrupted, and this is how things are now.
    Interrupted(&'static str),
    /// The work is done, but standard output failed when that was to be said.
    Unsaid(io::Error),
}

impl Failure {
    /// A command line that cannot be: what is wrong, and what to do instead.
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

/// What went wrong, where, and what to do next.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorDetail {
    /// What it is, for programs.
    kind: ErrorCode,
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

/// What kind of error it is. It stays the same whatever the message becomes.
#[derive(Debug, Serialize)]
struct ErrorCode(&'static str);

/// The kind of a command line that is wrong.
const USAGE: &str = "usage";
/// The kind of a mistake of the program itself.
const INTERNAL: &str = "internal";

impl JsonSchema for ErrorCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Kind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds: Vec<_> = ErrorKind::CODES.iter().chain(&[USAGE, INTERNAL]).collect();
        json_schema!({ "type": "string", "enum": kinds, "description": "What kind of error it is. It stays the same whatever the message becomes." })
    }
}

impl ErrorDetail {
    fn new(kind: &'static str, message: String, hint: String) -> Self {
        Self { kind: ErrorCode(kind), message, hint, subject: None, file: None, rows: None, line: None, byte: None }
    }

    /// Prints it on standard error.
    fn print(self, json: bool) {
        if json {
            // No value of an error can fail to serialise; without one there would still be the exit code.
            let text = serde_json::to_string(&ErrorJson { error: self }).unwrap_or_default();
            return print_beside(&(escape_json(&text) + "\n"));
        }
        let (message, hint) = (in_locale(&self.message), in_locale(&self.hint));
        print_beside(&format!("{} {message}\n  {} {hint}\n", paint(BAD, "error:"), paint(HINT, "hint:")));
    }
}

/// Text as this terminal can show it.
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

/// What to do next. Where a name may be misspelt, what it may have meant.
fn hint(error: &Error) -> String {
    let meant = match error.kind() {
        ErrorKind::UnknownSource { name, known } | ErrorKind::UnknownFile { name, known } => {
            suggest::closest(name, known.iter().map(String::as_str)).map(str::to_owned)
        }
        ErrorKind::Io { action: IoAction::Open, source } if source.kind() == io::ErrorKind::NotFound => {
            let path = error.position().subject.as_ref().map(Path::new);
            if path.is_some_and(Path::is_symlink) {
                return "this is a link: what it leads to is not there".to_owned();
            }
            path.and_then(suggest::closest_file)
        }
        _ => None,
    };
    meant.map_or_else(|| error.hint(), |meant| format!("did you mean \"{meant}\"?"))
}

impl Failure {
    /// Prints what went wrong on standard error, and says how the program ends.
    pub fn report(self, json: bool) -> Exit {
        let (detail, exit) = match self {
            Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe => return Exit::Done,
            Self::Error(error) if is_closed_pipe(&error) => return Exit::Done,
            Self::Stdout(error) => (ErrorDetail::from(&Error::io_named(IoAction::Write, STDOUT, error)), Exit::Failed),
            Self::Error(error) if matches!(error.kind(), ErrorKind::Cancelled) => {
                let state = interrupt::state().map_or("nothing was changed", |state| state.ended);
                return report_interrupt(state, json);
            }
            Self::Error(error) => (ErrorDetail::from(&error), exit_of(error.kind())),
            Self::Usage(message, hint) => (ErrorDetail::new(USAGE, message, hint), Exit::Usage),
            Self::Interrupted(state) => return report_interrupt(state, json),
            Self::Unsaid(source) => {
                let error = Error::from(ErrorKind::ReportLost { source }).in_subject(STDOUT);
                (ErrorDetail::from(&error), Exit::Incomplete)
            }
        };
        detail.print(json);
        exit
    }
}

/// Says how things are. Who pressed Ctrl-C needs no hint.
fn report_interrupt(state: &str, json: bool) -> Exit {
    if json {
        let hint = "run the command again".to_owned();
        ErrorDetail::new(ErrorKind::Cancelled.code(), format!("interrupted: {state}"), hint).print(true);
    } else {
        // The terminal has put `^C` there.
        let begin = if stderr().is_terminal() { "\r" } else { "" };
        print_beside(&format!("{begin}{} {state}\n", paint(WARN, "interrupted:")));
    }
    Exit::Interrupted
}

/// Prints that the program itself made a mistake.
pub fn report_mistake(what: &str, place: &str, json: bool) {
    let message = format!("patchwork-traces made a mistake of its own and stops here: {what} ({place})");
    let hint = "please report this line and your command; no log or bundle was left half-written, and running the command again does no harm (in place of an import that appends, one that merges)";
    ErrorDetail::new(INTERNAL, message, hint.to_owned()).print(json);
}

fn exit_of(kind: &ErrorKind) -> Exit {
    match kind {
        ErrorKind::TargetIsTerminal => Exit::Usage,
        ErrorKind::PartiallyCommitted { .. } | ErrorKind::DirectorySyncFailed { .. } => Exit::Incomplete,
        _ => Exit::Failed,
    }
}

/// Whether the reader of standard output went away: it has what it wanted of rows, a log or a bundle. The reader of a
/// named pipe asked for nothing, so for it that is an error.
fn is_closed_pipe(error: &Error) -> bool {
    let is_of_stdout = error.position().subject.as_deref() == Some(STDOUT);
    is_of_stdout && matches!(error.kind(), ErrorKind::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
}
