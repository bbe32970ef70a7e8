//! Prints rows as lines of cells: comma-separated for spreadsheets, tab-separated for programs.

use std::borrow::Cow;

use crate::error::visible;
use crate::query::{KeyPath, PathStep, each_value, string_content};

/// The columns of a table, and the format of its cells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct TableFormat {
    /// The path to the values of each column.
    pub columns: Vec<KeyPath>,
    /// The separator of cells.
    pub separator: CellSeparator,
    /// True to escape invisible characters, such as those that move the cursor of a terminal.
    pub is_visible: bool,
}

/// The separator of the cells of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CellSeparator {
    /// Commas, for spreadsheets, as in RFC 4180 but with LF line endings. Strings that could be taken for formulas are
    /// prefixed with an apostrophe.
    Comma,
    /// Tabs, for programs. Tabs, LF, CR and backslashes in cells are escaped as `\t`, `\n`, `\r` and `\\`.
    Tab,
}

impl TableFormat {
    /// Creates a table with these columns.
    pub fn new(separator: CellSeparator, columns: Vec<KeyPath>) -> Self {
        Self { columns, separator, is_visible: false }
    }

    /// Chooses whether to escape invisible characters.
    pub fn visible(self, is_visible: bool) -> Self {
        Self { is_visible, ..self }
    }

    /// Appends the header line.
    pub(super) fn write_header(&self, text: &mut Vec<u8>) {
        for (at, column) in self.columns.iter().enumerate() {
            self.separate(at, text);
            self.write_string(&column.to_string(), text);
        }
        text.push(b'\n');
    }

    /// Appends the line of a row, and marks the columns in which it has a value.
    pub(super) fn write_row(&self, row: &str, text: &mut Vec<u8>, filled: &mut Vec<bool>) {
        filled.resize(self.columns.len(), false);
        for (at, column) in self.columns.iter().enumerate() {
            self.separate(at, text);
            filled[at] |= self.write_cell(row, column, text);
        }
        text.push(b'\n');
    }

    fn separate(&self, at: usize, text: &mut Vec<u8>) {
        if at > 0 {
            text.push(if self.separator == CellSeparator::Comma { b',' } else { b'\t' });
        }
    }

    /// Appends a cell. Returns true if the row has a value for it.
    fn write_cell(&self, row: &str, column: &KeyPath, text: &mut Vec<u8>) -> bool {
        let mut values = Vec::new();
        each_value(row, column.steps(), &mut |value| {
            values.push(value);
            false
        });
        let is_list = column.steps().contains(&PathStep::Each);
        let has_value = values.iter().any(Option::is_some);
        match values[..] {
            [value] if !is_list => match value {
                Some("null") | None => {}
                Some(json) if json.starts_with('"') => self.write_string(&string_content(json), text),
                Some(json) => self.write_plain(json, text),
            },
            [] => {}
            _ => {
                let values: Vec<_> = values.iter().map(|value| value.unwrap_or("null")).collect();
                self.write_plain(&format!("[{}]", values.join(",")), text);
            }
        }
        has_value
    }

    /// Appends a string of a row.
    fn write_string(&self, string: &str, text: &mut Vec<u8>) {
        let is_formula = string.starts_with(['=', '+', '-', '@', '\t', '\r']);
        match self.separator {
            CellSeparator::Comma if is_formula => self.write_plain(&format!("'{string}"), text),
            CellSeparator::Comma if string.is_empty() => text.extend_from_slice(b"\"\""),
            _ => self.write_plain(string, text),
        }
    }

    /// Appends text that is not a formula.
    fn write_plain(&self, cell: &str, text: &mut Vec<u8>) {
        let cell = if self.is_visible { visible(cell) } else { Cow::Borrowed(cell) };
        match self.separator {
            CellSeparator::Comma => {
                let is_quoted = cell.contains([',', '"', '\n', '\r']) || cell.starts_with(' ') || cell.ends_with(' ');
                match is_quoted {
                    true => text.extend_from_slice(format!("\"{}\"", cell.replace('"', "\"\"")).as_bytes()),
                    false => text.extend_from_slice(cell.as_bytes()),
                }
            }
            CellSeparator::Tab => {
                for byte in cell.bytes() {
                    match byte {
                        b'\t' => text.extend_from_slice(b"\\t"),
                        b'\n' => text.extend_from_slice(b"\\n"),
                        b'\r' => text.extend_from_slice(b"\\r"),
                        b'\\' => text.extend_from_slice(b"\\\\"),
                        _ => text.push(byte),
                    }
                }
            }
        }
    }
}
