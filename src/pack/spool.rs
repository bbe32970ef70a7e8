//! Where compressed chunks wait until the manifest, which comes before them, is known.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::SpooledTempFile;

use crate::error::{Error, IoAction, Result};

/// How much waits in memory before a file is used.
const IN_MEMORY_BYTES: usize = 8 << 20;

/// Compressed chunks in order. The file has no name, so nothing of it is left however the program ends.
pub(super) struct Spool {
    file: SpooledTempFile,
    dir: PathBuf,
}

impl Spool {
    pub(super) fn new(dir: &Path) -> Self {
        Self { file: tempfile::spooled_tempfile_in(IN_MEMORY_BYTES, dir), dir: dir.to_owned() }
    }

    pub(super) fn push(&mut self, data: &[u8]) -> Result<()> {
        self.file.write_all(data).map_err(|error| Error::io(IoAction::Write, &self.dir, error))
    }

    /// Reads from byte `at` on.
    pub(super) fn read_from(&mut self, at: u64) -> Result<impl Read + '_> {
        self.file.seek(SeekFrom::Start(at)).map_err(|error| Error::io(IoAction::Read, &self.dir, error))?;
        Ok(&mut self.file)
    }
}
