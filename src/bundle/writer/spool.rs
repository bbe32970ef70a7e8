//! Stores compressed chunks until the manifest, which precedes them in the bundle, is complete.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use tempfile::{SpooledData, SpooledTempFile};

use crate::digest::Crc32;
use crate::error::{Error, ErrorKind, IoAction, Result};

/// The number of bytes that are kept in memory before a file is used.
const IN_MEMORY_BYTES: usize = 8 << 20;

/// The number of bytes that are read back at a time.
const READ_BYTES: usize = 256 << 10;

/// The number of bytes of disk space that are released at a time.
const RELEASE_BYTES: u64 = 4 << 20;

/// Compressed chunks in order. The file has no name, so the system deletes it even if the program is killed.
pub struct Spool {
    file: SpooledTempFile,
    dir: PathBuf,
    bytes: u64,
}

/// The contiguous chunks of one log in a spool.
pub struct SpooledChunks {
    at: u64,
    bytes: u64,
    /// The checksum of all the compressed data.
    crc32: Crc32,
}

impl Default for SpooledChunks {
    fn default() -> Self {
        Self { at: 0, bytes: 0, crc32: Crc32::of(b"") }
    }
}

impl Spool {
    pub fn new(dir: &Path) -> Self {
        Self { file: tempfile::spooled_tempfile_in(IN_MEMORY_BYTES, dir), dir: dir.to_owned(), bytes: 0 }
    }

    /// Appends chunks to a log. The previous log must be complete.
    pub fn push(&mut self, data: &[u8], log: &mut SpooledChunks) -> Result<()> {
        if log.bytes == 0 {
            log.at = self.bytes;
        }
        self.file.write_all(data).map_err(|error| Error::io(IoAction::Write, &self.dir, error))?;
        let length = data.len() as u64;
        self.bytes += length;
        log.crc32 = log.crc32.combine(Crc32::of(data), length);
        log.bytes += length;
        Ok(())
    }

    /// Finishes writing and returns a reader for the chunks.
    pub fn into_reader(self) -> SpoolReader {
        SpoolReader { data: self.file.into_inner(), dir: self.dir, released: 0, crc32: crc32fast::Hasher::new() }
    }
}

/// Reads chunks back from a [`Spool`]: those of each log once, in any order.
pub struct SpoolReader {
    data: SpooledData,
    dir: PathBuf,
    /// The offset up to which the log's part of the file was released.
    released: u64,
    /// The checksum of the log's data read so far.
    crc32: crc32fast::Hasher,
}

/// A reader that is limited to the chunks of one log.
pub type Chunks<'s> = BufReader<io::Take<&'s mut SpoolReader>>;

impl SpoolReader {
    /// Calls `take` to read all chunks of a log.
    ///
    /// # Errors
    /// Returns the error of `take`. Fails if the file cannot be read or has changed.
    pub fn read_log(&mut self, log: &SpooledChunks, take: impl FnOnce(Chunks<'_>) -> Result<()>) -> Result<()> {
        let at = SeekFrom::Start(log.at);
        let sought = match &mut self.data {
            SpooledData::InMemory(data) => data.seek(at),
            SpooledData::OnDisk(file) => file.seek(at),
        };
        self.released = sought.map_err(|error| Error::io(IoAction::Read, &self.dir, error))?;
        self.crc32.reset();
        take(BufReader::with_capacity(READ_BYTES, self.by_ref().take(log.bytes)))?;
        match Crc32(self.crc32.clone().finalize()) == log.crc32 {
            true => Ok(()),
            false => Err(Error::from(ErrorKind::OutputNotIntact).in_subject(&self.dir.display().to_string())),
        }
    }
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.data {
            SpooledData::InMemory(data) => data.read(buffer)?,
            SpooledData::OnDisk(file) => {
                let read = file.read(buffer)?;
                let at = file.stream_position()?;
                if at - self.released >= RELEASE_BYTES {
                    release(file, self.released..at);
                    self.released = at;
                }
                read
            }
        };
        self.crc32.update(&buffer[..read]);
        Ok(read)
    }
}

/// Releases the disk space of data that was read, and its page cache: the data is copied elsewhere and would
/// otherwise occupy both twice. Does nothing if the file system does not support this.
#[cfg(target_os = "linux")]
fn release(file: &File, read: Range<u64>) {
    use rustix::fs::{FallocateFlags, fallocate};
    let _ = fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, read.start, read.end - read.start);
}

#[cfg(not(target_os = "linux"))]
fn release(_: &File, _: Range<u64>) {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Reads a log's chunks in pieces, as the bundle writer copies them.
    fn read_back(spool: &mut SpoolReader, log: &SpooledChunks) -> Result<Vec<u8>> {
        let mut read = Vec::new();
        let copied = spool.read_log(log, |mut chunks| {
            while io::copy(&mut chunks.by_ref().take(100_000), &mut read).unwrap() > 0 {}
            Ok(())
        });
        copied.map(|()| read)
    }

    /// Returns bytes that are not zero and differ from their neighbours.
    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251 + 1).to_le_bytes()[0]).collect()
    }

    #[test]
    fn chunks_read_back_unchanged_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        for length in [100_000, 4_000_000, (4 << 20) - 1000, 4 << 20, (4 << 20) + 1000] {
            let mut spool = Spool::new(dir.path());
            let mut logs = Vec::new();
            for log in 0..5 {
                let (bytes, mut spooled) = (bytes(length + log), SpooledChunks::default());
                bytes.chunks(300_000).for_each(|data| spool.push(data, &mut spooled).unwrap());
                logs.push((bytes, spooled));
            }
            let mut spool = spool.into_reader();
            for log in [0, 1, 4, 2, 3] {
                let (bytes, spooled) = &logs[log];
                assert!(read_back(&mut spool, spooled).unwrap() == *bytes, "log {log} of {length} bytes");
            }
        }
    }

    #[test]
    fn a_modified_spool_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, mut spooled) = (Spool::new(dir.path()), SpooledChunks::default());
        spool.push(&bytes(9 << 20), &mut spooled).unwrap();
        let mut spool = spool.into_reader();
        let SpooledData::OnDisk(file) = &mut spool.data else { panic!("9 MiB are not kept in memory") };
        file.seek(SeekFrom::Start(5_000_000)).unwrap();
        file.write_all(b"\0").unwrap();
        let error = read_back(&mut spool, &spooled).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::OutputNotIntact), "{error}");
        assert_eq!(error.position().subject.as_deref(), dir.path().to_str());
    }
}
