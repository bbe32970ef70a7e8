//! Writing to standard output and standard error: the result there, everything else here.

use std::io::{self, Write};

use patchwork_traces::error::is_invisible;
use serde::Serialize;

use super::failure::Failure;
use super::progress;
use super::term::{HINT, WARN, paint, width_of_stderr};
use super::text::{safe, wrapped};

/// What errors call standard output.
pub const STDOUT: &str = "standard output";

/// What errors call standard input.
pub const STDIN: &str = "standard input";

/// How the user wants to be told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Output {
    /// As one JSON object instead of text.
    pub json: bool,
    /// Only what was asked for and what went wrong: no report of work that was done, no notes, no progress.
    pub quiet: bool,
}

impl Output {
    /// Prints what a command did: a report for people, or the same as JSON. A reader that went away changes nothing.
    pub fn report(self, text: impl FnOnce() -> String, json: &impl Serialize) -> Result<(), Failure> {
        match (self.json, self.quiet) {
            (true, _) => print_report(&json_text(json)?),
            (false, true) => Ok(()),
            (false, false) => print_report(&text()),
        }
    }

    /// Prints what a command has done, which stays done when that cannot be printed.
    pub fn report_done(self, text: impl FnOnce() -> String, json: &impl Serialize) -> Result<(), Failure> {
        self.report(text, json).map_err(|failure| match failure {
            Failure::Stdout(error) => Failure::Unsaid(error),
            other => other,
        })
    }

    /// Prints the same where standard output has something else: on standard error.
    pub fn report_beside(self, text: impl FnOnce() -> String, json: &impl Serialize) -> Result<(), Failure> {
        match (self.json, self.quiet) {
            (true, _) => print_beside(&json_text(json)?),
            (false, true) => {}
            (false, false) => print_beside(&text()),
        }
        Ok(())
    }

    /// Prints what somebody must know who would lose something otherwise. JSON has it in itself.
    pub fn warning(self, warning: &str) {
        if !self.json && !self.quiet {
            let text = wrapped(&format!("warning: {}", safe(warning)), width_of_stderr());
            print_beside(&format!("{}\n", text.replacen("warning:", &paint(WARN, "warning:"), 1)));
        }
    }

    /// Prints what is worth knowing beside the result. JSON has it in itself.
    pub fn notes(self, notes: &[String]) {
        if !self.json && !self.quiet {
            for note in notes {
                print_beside(&format!("{} {}\n", paint(HINT, "note:"), safe(note)));
            }
        }
    }
}

/// Prints the result of a command.
pub fn print(text: &str) -> Result<(), Failure> {
    progress::while_hidden(|| {
        let mut stdout = anstream::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Stdout)
    })
}

/// Prints what a command found out or did. The exit code says the same in short, so it stays what it is where the reader of
/// standard output went away.
pub fn print_report(text: &str) -> Result<(), Failure> {
    match print(text) {
        Err(Failure::Stdout(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// Whether all that is written to standard output is lost without a word. Where a program is started with it closed, its
/// runtime opens the null device in its place, for reading and writing; whoever throws something away on purpose, as a
/// shell does for `> /dev/null`, opens it for writing only.
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub fn stdout_loses_all() -> bool {
    use rustix::fs::{OFlags, fcntl_getfl, fstat, stat};

    let stdout = io::stdout();
    let (Ok(there), Ok(null)) = (fstat(&stdout), stat("/dev/null")) else { return false };
    let access = fcntl_getfl(&stdout).map(|flags| flags & OFlags::RWMODE);
    there.st_rdev == null.st_rdev && access == Ok(OFlags::RDWR)
}

/// Elsewhere nothing tells.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub fn stdout_loses_all() -> bool {
    false
}

/// Prints something that is not the result.
pub fn print_beside(text: &str) {
    // Standard error may be closed; there is nowhere else to say it.
    progress::while_hidden(|| _ = anstream::stderr().write_all(text.as_bytes()));
}

/// JSON as `--json` prints it. What a terminal would obey is escaped, as JSON can.
pub fn json_text(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Stdout(io::Error::from(error)))?;
    Ok(escape_json(&text) + "\n")
}

/// JSON text with every invisible character of its strings escaped.
pub fn escape_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        // Outside of strings there are no other than these.
        if is_invisible(c) && !matches!(c, '\n' | '\t') {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    escaped
}
