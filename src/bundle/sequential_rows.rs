//! Reads bundles without a chunk table line by line: those of format 1.0, and some of other writers.

use super::files::FileIndex;
use super::opened::{BundleInput, ManifestLine, Remainder, take_stream};
use super::row::Row;
use super::select::Selection;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::{Envelope, Manifest};
use crate::util::line_reader::{LineError, LineReader};

/// A reader of rows from lines. Only the container's checksum, at its end, verifies them.
pub struct SequentialRows<'r> {
    lines: LineReader<Remainder<'r>>,
    /// The number of lines read so far, including the manifest.
    line: u64,
    files: FileIndex,
    /// The maximum length of a line in bytes.
    limit: u64,
    /// One flag per file: true if the file is selected.
    is_selected: Vec<bool>,
    /// The number of rows of each file so far.
    counts: Vec<u64>,
    /// The file of the last row.
    last_file: usize,
}

impl<'r> SequentialRows<'r> {
    pub fn new(manifest: &Manifest, selection: &Selection, input: BundleInput<'r>) -> Result<Self> {
        let rest = match input {
            BundleInput::Stream(stream) => take_stream(&stream)?,
            BundleInput::File(file) | BundleInput::Indexed(file, _) => ManifestLine::read(file.at_start())?.1,
        };
        let limit = manifest.max_envelope_bytes();
        Ok(Self {
            lines: LineReader::new(rest, limit),
            limit,
            line: 1,
            files: FileIndex::new(manifest),
            is_selected: selection.of_files(manifest.files.len()),
            counts: vec![0; manifest.files.len()],
            last_file: 0,
        })
    }

    pub fn next_row(&mut self, manifest: &Manifest) -> Result<Option<Row<'_>>> {
        loop {
            match self.advance(manifest)? {
                Some(file) if self.is_selected[file] => {
                    self.last_file = file;
                    return self.last_row();
                }
                Some(_) => {}
                None => return self.check_counts(manifest).map(|()| None),
            }
        }
    }

    /// Returns the row that [`next_row`](Self::next_row) returned last.
    pub fn last_row(&self) -> Result<Option<Row<'_>>> {
        let file = self.last_file;
        let line = self.lines.last_line();
        match Envelope::decode(line) {
            Ok(envelope) => Ok(Some(Row { file, number: self.counts[file], line, envelope })),
            Err(fault) => Err(Error::from(ErrorKind::Row(fault)).at_line(self.line)),
        }
    }

    /// Reads the next line and returns the index of its row's file.
    fn advance(&mut self, manifest: &Manifest) -> Result<Option<usize>> {
        self.line += 1;
        let at_line = self.line;
        let line = match self.lines.next_line() {
            Ok(Some(line)) => line.bytes,
            Ok(None) => return Ok(None),
            Err(LineError::TooLong) => {
                return Err(self.unreadable(ErrorKind::LineTooLong { limit: self.limit }.into(), manifest));
            }
            Err(LineError::Read(error)) => {
                return Err(self.unreadable(Error::io_unnamed(IoAction::Read, error), manifest));
            }
        };
        let file = Envelope::decode(line)
            .and_then(|envelope| envelope.of_minor(manifest.version().1))
            .and_then(|envelope| self.files.file_of(&envelope).ok_or_else(|| envelope.wrong_file()));
        let file = file.map_err(|fault| self.unreadable(ErrorKind::Row(fault).into(), manifest))?;
        self.counts[file] += 1;
        let entry = &manifest.files[file];
        if self.counts[file] > entry.count {
            let error = Error::from(ErrorKind::MoreThanDeclared).in_file(entry.relative_path.as_str());
            return Err(error.at_rows(self.counts[file], self.counts[file]).at_line(at_line));
        }
        Ok(Some(file))
    }

    /// Adds the position of an unreadable line to an error: the first missing row, according to the manifest's counts.
    fn unreadable(&self, error: Error, manifest: &Manifest) -> Error {
        let error = match error.kind() {
            ErrorKind::Row(_) | ErrorKind::LineTooLong { .. } => error.at_line(self.line),
            _ => error,
        };
        let next = manifest.files.iter().zip(&self.counts).find(|(file, count)| **count < file.count);
        match next {
            Some((file, count)) => error.in_file(file.relative_path.as_str()).at_rows(count + 1, count + 1),
            None => error,
        }
    }

    fn check_counts(&self, manifest: &Manifest) -> Result<()> {
        let short = manifest.files.iter().zip(&self.counts).find(|(file, count)| **count < file.count);
        match short {
            Some((file, &found)) => {
                let kind = ErrorKind::FewerThanDeclared { expected: file.count, found };
                Err(Error::from(kind).in_file(file.relative_path.as_str()))
            }
            None => Ok(()),
        }
    }
}
