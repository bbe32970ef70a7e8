//! Writes a restored log to a temporary file.

use std::io::Write as _;
use std::path::Path;

use tempfile::SpooledTempFile;

use crate::error::{Error, IoAction, Result};
use crate::restore::LogWriter;

/// The maximum size of a temporary file that is kept in memory.
const IN_MEMORY_BYTES: usize = 1 << 20;

/// A temporary file in a directory, to which a log is written.
pub struct TemporaryLog<'d> {
    file: SpooledTempFile,
    dir: &'d Path,
    /// True to add a line feed if the last line lacks it.
    ends_last_line: bool,
    last: Option<u8>,
}

/// Creates an empty temporary file in `dir`.
pub fn temporary_file(dir: &Path) -> SpooledTempFile {
    tempfile::spooled_tempfile_in(IN_MEMORY_BYTES, dir)
}

impl<'d> TemporaryLog<'d> {
    /// Writes the log unchanged to a file in `dir`.
    pub fn new(dir: &'d Path) -> Self {
        Self { file: temporary_file(dir), dir, ends_last_line: false, last: None }
    }

    /// Appends the log to `file`, and terminates its last line.
    pub fn appended_to(file: SpooledTempFile, dir: &'d Path) -> Self {
        Self { file, dir, ends_last_line: true, last: None }
    }
}

impl LogWriter for TemporaryLog<'_> {
    type Done = SpooledTempFile;

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.last = bytes.last().copied().or(self.last);
        self.file.write_all(bytes).map_err(|error| Error::io(IoAction::Write, self.dir, error))
    }

    fn finish(mut self) -> Result<SpooledTempFile> {
        if self.ends_last_line && self.last.is_some_and(|last| last != b'\n') {
            self.write(b"\n")?;
        }
        Ok(self.file)
    }
}
