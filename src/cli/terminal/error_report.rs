//! Prints errors on standard error, as text or JSON.

use std::io::{IsTerminal, stderr};

use patchwork_traces::error::Position;
use patchwork_traces::{Error, ErrorKind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::cli::hint;
use crate::cli::render::text::safe;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{escape_json, print_message, print_to_stderr};
use crate::cli::terminal::term::{BAD, HINT, WARN};

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
    #[serde(flatten)]
    position: Position,
}

/// The kind of an error. It does not change with the message.
#[derive(Debug, Serialize)]
struct ErrorCode(&'static str);

/// The kind of an invalid command line.
pub const USAGE: &str = "usage";
/// The kind of an internal error.
const INTERNAL: &str = "internal";

impl JsonSchema for ErrorCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Kind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kinds: Vec<_> = [ErrorKind::codes(), vec![USAGE, INTERNAL]].concat();
        json_schema!({ "type": "string", "enum": kinds, "description": "The kind of the error. It does not change with the message." })
    }
}

impl ErrorDetail {
    /// Creates an error without a position.
    pub fn new(kind: &'static str, message: String, hint: String) -> Self {
        Self { kind: ErrorCode(kind), message, hint, position: Position::default() }
    }

    /// Prints the error on standard error.
    pub fn print(self, json: bool) {
        if json {
            // Serialisation cannot fail; if it did, the exit code would still report the failure.
            let text = serde_json::to_string(&ErrorJson { error: self }).unwrap_or_default();
            return print_to_stderr(&(escape_json(&text) + "\n"));
        }
        let (message, hint) = (in_locale(&self.message), in_locale(&self.hint));
        print_message(BAD, "error:", &message);
        print_message(HINT, "  hint:", &hint);
    }
}

/// Makes text safe for this terminal and its locale.
fn in_locale(text: &str) -> String {
    let text = safe(text);
    if crate::cli::terminal::term::has_unicode() { text } else { text.replace('…', "...") }
}

impl From<&Error> for ErrorDetail {
    fn from(error: &Error) -> Self {
        let detail = Self::new(error.kind().code(), error.to_string(), hint::for_error(error));
        Self { position: error.position().clone(), ..detail }
    }
}

/// Prints the message of an interrupt, which begins with `interrupted`. A user who pressed Ctrl-C needs no hint.
pub fn report_interrupt(message: &str, json: bool) -> Exit {
    if json {
        let hint = "run the command again".to_owned();
        ErrorDetail::new(ErrorKind::Cancelled.code(), message.to_owned(), hint).print(true);
    } else {
        // Overwrites the `^C` that the terminal has printed.
        if stderr().is_terminal() {
            print_to_stderr("\r");
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
