//! Writing to standard output and standard error: the result there, everything else here.

use std::io::{self, Write};

use serde::Serialize;

use super::failure::Failure;
use super::progress;
use super::term::{HINT, paint};
use super::text::safe;

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
    /// Prints what a command did: a report for people, or the same as JSON.
    pub fn report(self, text: impl FnOnce() -> String, json: &impl Serialize) -> Result<(), Failure> {
        match (self.json, self.quiet) {
            (true, _) => print(&json_text(json)?),
            (false, true) => Ok(()),
            (false, false) => print(&text()),
        }
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

/// Prints something that is not the result.
pub fn print_beside(text: &str) {
    // Standard error may be closed; there is nowhere else to say it.
    progress::while_hidden(|| _ = anstream::stderr().write_all(text.as_bytes()));
}

/// JSON as `--json` prints it.
pub fn json_text(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Stdout(io::Error::from(error)))?;
    Ok(text + "\n")
}
