//! The formats in which rows are printed.

use crate::bundle::Row;
use crate::format::Manifest;
use crate::format::envelope::EnvelopeWriter;
use crate::format::log_decoder::printed_row;

use super::cells::TableFormat;
use super::pretty::pretty;

/// The format in which rows are printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowFormat {
    /// Each row exactly as it was in its log.
    #[default]
    Raw,
    /// The line of the bundle, with the source and file of the row.
    Envelope,
    /// The JSON of each row on several lines. Numbers, escapes and the order of keys are unchanged.
    Pretty {
        /// True to add ANSI colours.
        is_coloured: bool,
    },
    /// A line of cells for each row.
    Table(TableFormat),
}

/// Prints rows of one log in one format.
#[derive(Debug)]
pub struct RowRenderer<'f> {
    format: &'f RowFormat,
    /// Writes the envelopes of a log whose name differs from that of the file with its rows.
    renamed: Option<&'f EnvelopeWriter>,
}

impl<'f> RowRenderer<'f> {
    pub fn new(format: &'f RowFormat, renamed: Option<&'f EnvelopeWriter>) -> Self {
        Self { format, renamed }
    }

    /// Returns the text of a row and its ending if the text can be borrowed from the row.
    pub fn in_row<'r>(&self, row: &'r Row<'_>, manifest: &Manifest) -> Option<(&'r [u8], &'static [u8])> {
        self.is_in_row().then(|| match self.format {
            RowFormat::Raw => printed_row(&manifest.files[row.file], &row.envelope, row.number),
            _ => (row.line, &b"\n"[..]),
        })
    }

    /// Returns true if [`in_row`](Self::in_row) returns the text of every row.
    pub fn is_in_row(&self) -> bool {
        match self.format {
            RowFormat::Raw => true,
            RowFormat::Envelope => self.renamed.is_none(),
            RowFormat::Pretty { .. } | RowFormat::Table(_) => false,
        }
    }

    /// Appends the text of a row, and marks the columns in which it has a cell.
    pub fn render(&self, row: &Row<'_>, manifest: &Manifest, text: &mut Vec<u8>, filled: &mut Vec<bool>) {
        if let Some((line, ending)) = self.in_row(row, manifest) {
            text.extend_from_slice(line);
            text.extend_from_slice(ending);
            return;
        }
        match (self.format, self.renamed) {
            (RowFormat::Pretty { is_coloured }, _) => pretty(row.envelope.entry(), *is_coloured, text),
            (RowFormat::Table(table), _) => table.write_row(row.envelope.entry(), text, filled),
            (_, Some(writer)) => writer.write(row.envelope.entry(), row.envelope.original.as_ref(), text),
            (RowFormat::Raw | RowFormat::Envelope, None) => {}
        }
    }
}
