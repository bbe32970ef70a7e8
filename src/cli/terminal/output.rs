//! Writes results to standard output, and everything else to standard error.

use std::io::{self, Write};

use anstyle::Style;
use patchwork_traces::error::is_invisible;
use serde::Serialize;

use crate::cli::render::text::{labelled, safe};
use crate::cli::terminal::screen;
use crate::cli::terminal::term::{HINT, WARN, wrap_width};

/// The name of standard output in messages.
pub const STDOUT: &str = "standard output";

/// The name of standard input in messages.
pub const STDIN: &str = "standard input";

/// A failure to write to standard output.
#[derive(Debug)]
pub enum PrintError {
    /// The result of the command is lost.
    Result(io::Error),
    /// The work is done; only its report is lost.
    Report(io::Error),
}

/// The output options of a command.
#[derive(Debug, Clone, Copy, Default)]
pub struct Output {
    /// Prints one JSON object instead of text.
    pub json: bool,
    /// Prints only results and errors: no report of the work done, no notes, no progress.
    pub quiet: bool,
}

impl Output {
    /// Prints the report of a command as text or as JSON. A closed pipe is not an error.
    pub fn report(self, text: impl FnOnce() -> String, json: &impl Serialize) -> Result<(), PrintError> {
        match (self.json, self.quiet) {
            (true, _) => print_report(&json_text(json)?),
            (false, true) => Ok(()),
            (false, false) => print_report(&text()),
        }
    }

    /// Prints the report of completed work, which remains done if the report cannot be printed.
    pub fn report_done(self, text: impl FnOnce() -> String, json: &impl Serialize) -> Result<(), PrintError> {
        self.report(text, json)
            .map_err(|(PrintError::Result(error) | PrintError::Report(error))| PrintError::Report(error))
    }

    /// Prints the report on standard error, for a command whose result is on standard output.
    pub fn report_to_stderr(self, text: impl FnOnce() -> String, json: &impl Serialize) -> Result<(), PrintError> {
        match (self.json, self.quiet) {
            (true, _) => print_to_stderr(&json_text(json)?),
            (false, true) => {}
            (false, false) => print_to_stderr(&text()),
        }
        Ok(())
    }

    /// Prints a warning about a possible loss. JSON output already contains it.
    pub fn warning(self, warning: &str) {
        if !self.json && !self.quiet {
            print_message(WARN, "warning:", &safe(warning));
        }
    }

    /// Prints notes. JSON output already contains them.
    pub fn notes(self, notes: &[String]) {
        if !self.json && !self.quiet {
            for note in notes {
                print_message(HINT, "note:", &safe(note));
            }
        }
    }
}

/// Prints the result of a command.
pub fn print(text: &str) -> Result<(), PrintError> {
    screen::while_hidden(|| {
        let mut stdout = anstream::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(PrintError::Result)
    })
}

/// Prints a report. A closed pipe is not an error, because the exit code still reports the outcome.
pub fn print_report(text: &str) -> Result<(), PrintError> {
    match print(text) {
        Err(PrintError::Result(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// Returns true if standard output silently discards everything because it was closed when the program started: the
/// runtime then opens the null device for reading and writing. A deliberate `> /dev/null` opens it for writing only.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub fn is_stdout_discarded() -> bool {
    use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};

    let stdout = io::stdout();
    let (Ok(output), Ok(null)) = (fstat(&stdout), stat("/dev/null")) else { return false };
    let access = fcntl_getfl(&stdout).map(|flags| flags & OFlags::RWMODE);
    output.st_rdev == null.st_rdev && access == Ok(OFlags::RDWR)
}

/// Always returns false: this platform cannot detect it.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub fn is_stdout_discarded() -> bool {
    false
}

/// Prints `label: text` on standard error, wrapped at the width of the terminal.
pub fn print_message(style: Style, label: &str, text: &str) {
    print_to_stderr(&(labelled(style, label, text, wrap_width(&io::stderr())) + "\n"));
}

/// Prints text that is not the result on standard error.
pub fn print_to_stderr(text: &str) {
    // If standard error is closed, the failure cannot be reported anywhere.
    screen::while_hidden(|| _ = anstream::stderr().write_all(text.as_bytes()));
}

/// Returns the JSON that `--json` prints, with control characters escaped.
pub fn json_text(value: &impl Serialize) -> Result<String, PrintError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| PrintError::Result(io::Error::from(error)))?;
    Ok(escape_json(&text) + "\n")
}

/// Returns the JSON that `--json` prints on one line, as one of several objects.
pub fn json_line(value: &impl Serialize) -> Result<String, PrintError> {
    let text = serde_json::to_string(value).map_err(|error| PrintError::Result(io::Error::from(error)))?;
    Ok(escape_json(&text) + "\n")
}

/// Escapes every invisible character in the strings of a JSON text.
pub fn escape_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        // These two also occur outside of strings.
        if is_invisible(c) && !matches!(c, '\n' | '\t') {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    escaped
}
