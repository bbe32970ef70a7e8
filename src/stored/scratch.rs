//! An unnamed temporary file, to which the pieces of many logs are appended.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::digest::Crc32;
use crate::error::{Error, ErrorKind, IoAction, Result};

/// An unnamed temporary file. The system deletes it once nothing refers to it, even if the program is killed.
#[derive(Debug)]
pub struct Scratch {
    file: Mutex<ScratchFile>,
    dir: PathBuf,
}

#[derive(Debug)]
struct ScratchFile {
    file: File,
    /// The position of `file`.
    at: u64,
    end: u64,
}

/// Consecutive bytes of a scratch file.
#[derive(Debug, Clone)]
pub struct Extent {
    scratch: Arc<Scratch>,
    at: u64,
    bytes: u64,
    crc32: Crc32,
}

impl Scratch {
    /// Creates a scratch file in `dir`.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn create_in(dir: &Path) -> Result<Arc<Self>> {
        let file = tempfile::tempfile_in(dir).map_err(|error| Error::io(IoAction::Create, dir, error))?;
        Ok(Arc::new(Self { file: Mutex::new(ScratchFile { file, at: 0, end: 0 }), dir: dir.to_owned() }))
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn append(self: &Arc<Self>, bytes: &[u8]) -> Result<Extent> {
        let mut shared = self.shared();
        let at = shared.end;
        shared.write(bytes).map_err(|error| Error::io(IoAction::Write, &self.dir, error))?;
        Ok(Extent { scratch: Arc::clone(self), at, bytes: bytes.len() as u64, crc32: Crc32::of(bytes) })
    }

    /// Changes bytes that were written, as a broken disk would.
    #[cfg(test)]
    pub fn overwrite(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut shared = self.shared();
        shared.seek(at)?;
        shared.at += bytes.len() as u64;
        shared.file.write_all(bytes)
    }

    fn shared(&self) -> MutexGuard<'_, ScratchFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScratchFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.seek(self.end)?;
        self.file.write_all(bytes)?;
        self.end += bytes.len() as u64;
        self.at = self.end;
        Ok(())
    }

    fn read(&mut self, at: u64, out: &mut [u8]) -> io::Result<usize> {
        self.seek(at)?;
        let read = self.file.read(out)?;
        self.at += read as u64;
        Ok(read)
    }

    fn seek(&mut self, at: u64) -> io::Result<()> {
        if self.at != at {
            self.at = self.file.seek(SeekFrom::Start(at))?;
        }
        Ok(())
    }
}

impl Extent {
    /// Returns the number of bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the checksum of the bytes.
    pub fn crc32(&self) -> Crc32 {
        self.crc32
    }

    /// Extends this extent by `next`, if that follows in the same file.
    pub fn join(&mut self, next: &Self) -> bool {
        let follows = Arc::ptr_eq(&self.scratch, &next.scratch) && self.at + self.bytes == next.at;
        if follows {
            self.crc32 = self.crc32.combine(next.crc32, next.bytes);
            self.bytes += next.bytes;
        }
        follows
    }

    /// Reads some bytes from the offset `from` on.
    ///
    /// # Errors
    /// If the file cannot be read, or ends before the extent.
    pub fn read(&self, from: u64, out: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.bytes - from).unwrap_or(usize::MAX);
        let most = out.len().min(rest);
        let read = self.scratch.shared().read(self.at + from, &mut out[..most])?;
        if read == 0 && most > 0 { Err(self.damage()) } else { Ok(read) }
    }

    /// Returns the error for bytes that differ from what was written.
    pub fn damage(&self) -> io::Error {
        let kind = ErrorKind::OutputNotIntact;
        Error::from(kind).in_subject(&self.scratch.dir.display().to_string()).into()
    }
}
