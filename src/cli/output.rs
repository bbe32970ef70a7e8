//! Writing to standard output and standard error, and how numbers and tables look.

use std::borrow::Cow;
use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use indicatif::HumanBytes;
use patchwork_traces::error::{is_invisible, visible};
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
    stdout.write_all(lines(text).as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::Stdout)
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
    let _ = io::stderr().write_all(lines(text).as_bytes());
}

/// JSON as `--json` prints it. What a terminal would obey is escaped, as JSON can.
pub fn json_text(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::Stdout(error.into()))?;
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

/// Lines of text for people, without anything that a terminal would obey.
fn lines(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| matches!(c, '\n' | '\t') || !is_invisible(c);
    match text.chars().all(is_plain) {
        true => Cow::Borrowed(text),
        false => text.split('\n').map(visible).collect::<Vec<_>>().join("\n").into(),
    }
}

/// Prints something that is not the result, for people.
pub fn note(text: &str) {
    // Standard error may be closed; there is nowhere else to say it.
    let _ = writeln!(io::stderr(), "note: {}", visible(text));
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

/// A table without lines. Columns whose heading begins with `>` are numbers and go to the right.
pub fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| heading.trim_start_matches('>')));
    table.add_rows(
        rows.into_iter().map(|cells| cells.iter().map(|cell| visible(cell).into_owned()).collect::<Vec<_>>()),
    );
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
