//! Where compressed chunks wait until the manifest, which comes before them, is known.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use tempfile::{SpooledData, SpooledTempFile};

use crate::digest::Crc32;
use crate::error::{Error, ErrorKind, IoAction, Result};

/// How much waits in memory before a file is used.
const IN_MEMORY_BYTES: usize = 8 << 20;

/// How much is read back at a time.
const READ_BYTES: usize = 256 << 10;

/// How much is given back to the disk at once.
const GIVEN_BACK_BYTES: u64 = 4 << 20;

/// Compressed chunks in order. The file has no name, so nothing of it is left however the program ends.
pub(super) struct Spool {
    file: SpooledTempFile,
    dir: PathBuf,
    bytes: u64,
}

/// The chunks of a log that wait, one behind the other.
pub(super) struct SpooledChunks {
    at: u64,
    bytes: u64,
    /// Of all of them, compressed.
    crc32: Crc32,
}

impl Default for SpooledChunks {
    fn default() -> Self {
        Self { at: 0, bytes: 0, crc32: Crc32::of(b"") }
    }
}

impl Spool {
    pub(super) fn new(dir: &Path) -> Self {
        Self { file: tempfile::spooled_tempfile_in(IN_MEMORY_BYTES, dir), dir: dir.to_owned(), bytes: 0 }
    }

    /// Adds chunks to those of a log. The log before it must be complete.
    pub(super) fn push(&mut self, data: &[u8], log: &mut SpooledChunks) -> Result<()> {
        if log.bytes == 0 {
            log.at = self.bytes;
        }
        self.file.write_all(data).map_err(|error| Error::io(IoAction::Write, &self.dir, error))?;
        let length = data.len() as u64;
        self.bytes += length;
        log.crc32 = log.crc32.then(Crc32::of(data), length);
        log.bytes += length;
        Ok(())
    }

    /// Everything that waits, to be taken out.
    pub(super) fn into_taken(self) -> TakenSpool {
        TakenSpool { data: self.file.into_inner(), dir: self.dir, given_back: 0, crc32: crc32fast::Hasher::new() }
    }
}

/// Chunks that are taken out of a [`Spool`]: those of each log once, in any order.
pub(super) struct TakenSpool {
    data: SpooledData,
    dir: PathBuf,
    /// Up to where the log's part of the file was given back to the disk.
    given_back: u64,
    /// Of what was read of the log.
    crc32: crc32fast::Hasher,
}

/// Reads the chunks of one log, and not beyond.
pub(super) type Chunks<'s> = BufReader<io::Take<&'s mut TakenSpool>>;

impl TakenSpool {
    /// Has `take` read the chunks of a log to their end.
    ///
    /// # Errors
    /// The error of `take`; when the file cannot be read, or gives something else than what was written to it.
    pub(super) fn take_log(&mut self, log: &SpooledChunks, take: impl FnOnce(Chunks<'_>) -> Result<()>) -> Result<()> {
        let at = SeekFrom::Start(log.at);
        let sought = match &mut self.data {
            SpooledData::InMemory(data) => data.seek(at),
            SpooledData::OnDisk(file) => file.seek(at),
        };
        self.given_back = sought.map_err(|error| Error::io(IoAction::Read, &self.dir, error))?;
        self.crc32.reset();
        take(BufReader::with_capacity(READ_BYTES, self.by_ref().take(log.bytes)))?;
        match Crc32(self.crc32.clone().finalize()) == log.crc32 {
            true => Ok(()),
            false => Err(Error::from(ErrorKind::OutputNotIntact).in_subject(&self.dir.display().to_string())),
        }
    }
}

impl Read for TakenSpool {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.data {
            SpooledData::InMemory(data) => data.read(buffer)?,
            SpooledData::OnDisk(file) => {
                let read = file.read(buffer)?;
                let at = file.stream_position()?;
                if at - self.given_back >= GIVEN_BACK_BYTES {
                    give_back(file, self.given_back..at);
                    self.given_back = at;
                }
                read
            }
        };
        self.crc32.update(&buffer[..read]);
        Ok(read)
    }
}

/// Gives the room of what was read back to the disk, and its memory to the system: what is read here is written elsewhere,
/// and would take both twice. Where the file system cannot do that, nothing happens.
#[cfg(target_os = "linux")]
fn give_back(file: &File, read: Range<u64>) {
    use rustix::fs::{FallocateFlags, fallocate};
    let _ = fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, read.start, read.end - read.start);
}

#[cfg(not(target_os = "linux"))]
fn give_back(_: &File, _: Range<u64>) {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Takes the chunks of a log in parts, as they are copied.
    fn taken(spool: &mut TakenSpool, log: &SpooledChunks) -> Result<Vec<u8>> {
        let mut read = Vec::new();
        let copied = spool.take_log(log, |mut chunks| {
            while io::copy(&mut chunks.by_ref().take(100_000), &mut read).unwrap() > 0 {}
            Ok(())
        });
        copied.map(|()| read)
    }

    /// Bytes that differ from their neighbours and are not zero.
    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251 + 1).to_le_bytes()[0]).collect()
    }

    #[test]
    fn what_is_taken_is_what_was_pushed_in_whatever_order_and_whatever_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        for length in [100_000, 4_000_000, (4 << 20) - 1000, 4 << 20, (4 << 20) + 1000] {
            let mut spool = Spool::new(dir.path());
            let mut logs = Vec::new();
            for log in 0..5 {
                let (bytes, mut waiting) = (bytes(length + log), SpooledChunks::default());
                bytes.chunks(300_000).for_each(|data| spool.push(data, &mut waiting).unwrap());
                logs.push((bytes, waiting));
            }
            let mut spool = spool.into_taken();
            for log in [0, 1, 4, 2, 3] {
                let (bytes, waiting) = &logs[log];
                assert!(taken(&mut spool, waiting).unwrap() == *bytes, "log {log} of {length} bytes");
            }
        }
    }

    #[test]
    fn what_came_back_changed_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, mut waiting) = (Spool::new(dir.path()), SpooledChunks::default());
        spool.push(&bytes(9 << 20), &mut waiting).unwrap();
        let mut spool = spool.into_taken();
        let SpooledData::OnDisk(file) = &mut spool.data else { panic!("it is too much for memory") };
        file.seek(SeekFrom::Start(5_000_000)).unwrap();
        file.write_all(b"\0").unwrap();
        let error = taken(&mut spool, &waiting).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::OutputNotIntact), "{error}");
        assert_eq!(error.position().subject.as_deref(), dir.path().to_str());
    }
}
