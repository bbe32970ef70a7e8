//! Saves the rows that writers add to a log after its content was read: while its new version is staged, and in the
//! moment in which it is replaced, as a writer may have opened the old file just before.

use std::io::{self, Read, Seek, SeekFrom, Write};

use fs_err as fs;

/// A file that was replaced, or may be, still open.
#[derive(Debug)]
pub(super) struct ReplacedFile {
    file: fs::File,
    /// How many of its bytes are in the new one.
    copied: u64,
}

/// The part of the late bytes that is copied, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LateBytes {
    /// Whole lines, as a writer may be amid the last one, to a file that no writer has.
    LinesToStaged,
    /// Whole lines, to a file that other writers may be writing to.
    LinesToLog,
    /// Everything: no writer is waited for any more.
    All,
}

impl ReplacedFile {
    /// Watches a file of which `copied` bytes are in the new one.
    pub(super) fn new(file: fs::File, copied: u64) -> Self {
        Self { file, copied }
    }

    /// The open file.
    pub(super) fn file(&mut self) -> &mut fs::File {
        &mut self.file
    }

    /// How many of its bytes are in the new one.
    pub(super) fn copied(&self) -> u64 {
        self.copied
    }

    /// Takes its first `bytes` bytes for copied.
    pub(super) fn skip_to(&mut self, bytes: u64) {
        self.copied = bytes;
    }

    /// Returns true if something came late.
    pub(super) fn has_late_bytes(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() > self.copied)
    }

    /// Appends the lines that came late to the staged version. Returns their bytes.
    pub(super) fn copy_to_staged(&mut self, staged: &mut fs::File) -> io::Result<Vec<u8>> {
        self.copy(staged, LateBytes::LinesToStaged, &[])
    }

    /// Reads what came late.
    pub(super) fn late_bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut late = Vec::new();
        self.file.seek(SeekFrom::Start(self.copied))?;
        self.file.read_to_end(&mut late)?;
        Ok(late)
    }

    /// Appends the lines that came late to the new log, but for those that `has` has. Returns true if any came.
    pub(super) fn copy_lines(&mut self, new: &mut fs::File, has: &[u8]) -> io::Result<bool> {
        self.copy(new, LateBytes::LinesToLog, has).map(|late| !late.is_empty())
    }

    /// Appends everything that came late to the new log.
    pub(super) fn copy_rest(&mut self, new: &mut fs::File) -> io::Result<bool> {
        self.copy(new, LateBytes::All, &[]).map(|late| !late.is_empty())
    }

    /// Copies a part of what came late, and returns its bytes as they stand in the old file.
    fn copy(&mut self, new: &mut fs::File, part: LateBytes, has: &[u8]) -> io::Result<Vec<u8>> {
        if !self.has_late_bytes()? {
            return Ok(Vec::new());
        }
        let begins_line = byte_before(&mut self.file, self.copied)?.is_none_or(|byte| byte == b'\n');
        let mut late = self.late_bytes()?;
        if part != LateBytes::All {
            late.truncate(memchr::memrchr(b'\n', &late).map_or(0, |end| end + 1));
        }
        let end = new.metadata()?.len();
        let would_glue = byte_before(new, end)?.is_some_and(|byte| byte != b'\n');
        if late.is_empty() || would_glue && part == LateBytes::LinesToLog {
            return Ok(Vec::new());
        }
        self.copied += late.len() as u64;
        let mut text = if begins_line { lines_not_in(has, &late) } else { late.clone() };
        if begins_line && would_glue && !text.is_empty() {
            text.insert(0, b'\n');
        }
        // One write, so that it does not mix with those of writers.
        new.write_all(&text)?;
        if part != LateBytes::LinesToStaged {
            new.sync_all()?;
        }
        Ok(late)
    }
}

/// The lines of `late` that do not stand in `has`: a rotation may have read them before it replaced the log.
fn lines_not_in(has: &[u8], late: &[u8]) -> Vec<u8> {
    let stands_in = |line: &[u8]| {
        memchr::memmem::find_iter(has, line).any(|at| at.checked_sub(1).is_none_or(|before| has[before] == b'\n'))
    };
    late.split_inclusive(|byte| *byte == b'\n')
        .filter(|line| has.is_empty() || !stands_in(line))
        .flatten()
        .copied()
        .collect()
}

/// The byte that ends at `offset`, if there is one.
fn byte_before(file: &mut fs::File, offset: u64) -> io::Result<Option<u8>> {
    let Some(at) = offset.checked_sub(1) else { return Ok(None) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    Ok(Some(byte[0]))
}

#[cfg(test)]
mod tests;
