//! Writing to standard output and standard error, and how numbers and tables look.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::HumanBytes;
use patchwork_traces::format::Timestamp;
use serde::Serialize;

use super::failure::Failure;

/// What errors call standard output.
pub const STDOUT: &str = "standard output";

/// What errors call standard input.
pub const STDIN: &str = "standard input";

/// Prints the result of a command.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Stdout)
}

/// Prints what a command has done, which stays done when that cannot be printed.
pub fn print_done(text: &str) -> Result<(), Failure> {
    print(text).map_err(|failure| match failure {
        Failure::Stdout(error) => Failure::Unsaid(error),
        other => other,
    })
}

/// Prints the result of a command whose standard output has something else: on standard error.
pub fn print_beside(text: &str) {
    // Standard error may be closed; there is nowhere else to say it.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// JSON as `--json` prints it.
pub fn json_text(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Stdout(error.into()))?;
    Ok(text + "\n")
}

/// Prints something that is not the result, for people.
pub fn note(text: &str) {
    // Standard error may be closed; there is nowhere else to say it.
    let _ = writeln!(io::stderr(), "note: {text}");
}

/// A number with its digits in groups of three.
pub fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// A size to read at a glance.
pub fn size(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A number and what it counts.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A time, or a dash.
pub fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), |time| time.to_string())
}

/// Text from a bundle, safe to print: control characters would be obeyed by a terminal.
pub fn safe(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A table without lines. Columns whose heading begins with `>` are numbers and go to the right.
pub fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.trim_start_matches('>')));
    table.add_rows(rows);
    for (index, heading) in headings.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if heading.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
