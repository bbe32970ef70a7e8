//! Copies rows that writers append to a log after it was read: while its new version is staged, and
//! around its replacement, when a writer may have just opened the old file.

use std::io::{self, Read, Seek, SeekFrom, Write};

use fs_err as fs;

/// An open file that was replaced or may be.
#[derive(Debug)]
pub struct ReplacedFile {
    file: fs::File,
    /// The number of its bytes that are already in the new file.
    copied: u64,
}

/// The part of the late bytes to copy, and their destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LateBytes {
    /// Whole lines, because a writer may be in the middle of the last one. No writer has the
    /// destination open.
    LinesToStaged,
    /// Whole lines. Other writers may be writing to the destination.
    LinesToLog,
    /// Everything, because the wait for writers is over.
    All,
}

impl ReplacedFile {
    /// Wraps a file whose first `copied` bytes are already in the new file.
    pub fn new(file: fs::File, copied: u64) -> Self {
        Self { file, copied }
    }

    /// Returns the open file.
    pub fn file(&mut self) -> &mut fs::File {
        &mut self.file
    }

    /// Returns the number of its bytes that are already in the new file.
    pub fn copied(&self) -> u64 {
        self.copied
    }

    /// Marks its first `bytes` bytes as copied.
    pub fn skip_to(&mut self, bytes: u64) {
        self.copied = bytes;
    }

    /// Returns true if bytes were appended late.
    pub fn has_late_bytes(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() > self.copied)
    }

    /// Appends the late lines to the staged version. Returns their bytes.
    pub fn copy_to_staged(&mut self, staged: &mut fs::File) -> io::Result<Vec<u8>> {
        self.copy(staged, LateBytes::LinesToStaged, &[])
    }

    /// Reads the late bytes.
    pub fn late_bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut late = Vec::new();
        self.file.seek(SeekFrom::Start(self.copied))?;
        self.file.read_to_end(&mut late)?;
        Ok(late)
    }

    /// Appends the late lines to the new log, except for those in `existing`. Returns true if there
    /// were late lines.
    pub fn copy_lines(&mut self, new: &mut fs::File, existing: &[u8]) -> io::Result<bool> {
        self.copy(new, LateBytes::LinesToLog, existing).map(|late| !late.is_empty())
    }

    /// Appends all late bytes to the new log. Returns true if there were late bytes.
    pub fn copy_rest(&mut self, new: &mut fs::File) -> io::Result<bool> {
        self.copy(new, LateBytes::All, &[]).map(|late| !late.is_empty())
    }

    /// Copies a part of the late bytes, and returns that part as it is in the old file.
    fn copy(&mut self, new: &mut fs::File, part: LateBytes, existing: &[u8]) -> io::Result<Vec<u8>> {
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
        let mut text = if begins_line { lines_not_in(existing, &late) } else { late.clone() };
        if begins_line && would_glue && !text.is_empty() {
            text.insert(0, b'\n');
        }
        // A single write does not interleave with the writes of other programs.
        new.write_all(&text)?;
        if part != LateBytes::LinesToStaged {
            new.sync_all()?;
        }
        Ok(late)
    }
}

/// Returns the lines of `late` that are not in `existing`. A rotation may have read the others
/// before it replaced the log.
fn lines_not_in(existing: &[u8], late: &[u8]) -> Vec<u8> {
    let is_existing = |line: &[u8]| {
        memchr::memmem::find_iter(existing, line)
            .any(|at| at.checked_sub(1).is_none_or(|before| existing[before] == b'\n'))
    };
    late.split_inclusive(|byte| *byte == b'\n')
        .filter(|line| existing.is_empty() || !is_existing(line))
        .flatten()
        .copied()
        .collect()
}

/// Returns the byte before `offset`, or `None` at the start of the file.
fn byte_before(file: &mut fs::File, offset: u64) -> io::Result<Option<u8>> {
    let Some(at) = offset.checked_sub(1) else { return Ok(None) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    Ok(Some(byte[0]))
}

#[cfg(test)]
mod tests;
