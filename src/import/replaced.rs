//! Saves the rows that writers add to a log in the moment in which it is replaced. Only logs without a lock have any.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::error::{Error, IoAction, Result};

/// A log that was, still open, and the one that is in its place.
#[derive(Debug)]
pub(super) struct Replaced {
    old: fs::File,
    /// How much of the old one the new one has.
    seen: u64,
    new: PathBuf,
}

impl Replaced {
    /// Opens the log at `path`, which is about to be replaced by one that has its first `seen` bytes. `None` when it
    /// is gone.
    pub(super) fn open(path: &Path, seen: u64) -> Result<Option<Self>> {
        match fs::File::open(path) {
            Ok(old) => Ok(Some(Self { old, seen, new: path.to_owned() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(IoAction::Open, path, error)),
        }
    }

    /// Adds to the new log what was added to the old one since it was looked at last.
    pub(super) fn carry_late_rows(&mut self) -> Result<()> {
        self.carry().map_err(|error| Error::io(IoAction::Write, &self.new, error))
    }

    fn carry(&mut self) -> io::Result<()> {
        if self.old.metadata()?.len() <= self.seen {
            return Ok(());
        }
        let begins_line = byte_before(&mut self.old, self.seen)?.is_none_or(|byte| byte == b'\n');
        let mut late = Vec::new();
        self.old.seek(SeekFrom::Start(self.seen))?;
        self.seen += self.old.read_to_end(&mut late)? as u64;

        let mut new = fs::OpenOptions::new().read(true).append(true).open(&self.new)?;
        let end = new.metadata()?.len();
        let glues = byte_before(&mut new, end)?.is_some_and(|byte| byte != b'\n');
        if begins_line && glues {
            late.insert(0, b'\n');
        }
        // One write, so that it does not mix with those of others.
        new.write_all(&late)?;
        new.sync_all()
    }
}

/// The byte that ends at `offset`, if there is one.
fn byte_before(file: &mut fs::File, offset: u64) -> io::Result<Option<u8>> {
    let Some(at) = offset.checked_sub(1) else { return Ok(None) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    Ok(Some(byte[0]))
}
