//! Rereads any part of an input, from the position of the first damage on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use super::{FileInput, Input};
use crate::error::{Error, IoAction};

/// The number of bytes that are read at a time and kept.
const WINDOW_BYTES: usize = 256 << 10;

/// The number of bytes that are spooled at a time.
const SPOOLED_BYTES: u64 = 256 << 10;

/// Copies `unread` and then a stream to an unnamed file in `dir`. Errors of the file name the directory; errors of the
/// stream are unchanged.
pub(super) fn spool(mut stream: impl Read, unread: &[u8], dir: &Path) -> io::Result<File> {
    let failed = |action| move |error| io::Error::from(Error::io(action, dir, error));
    let mut spool = tempfile::tempfile_in(dir).map_err(failed(IoAction::Create))?;
    let mut piece = unread.to_vec();
    loop {
        spool.write_all(&piece).map_err(failed(IoAction::Write))?;
        piece.clear();
        if stream.by_ref().take(SPOOLED_BYTES).read_to_end(&mut piece)? == 0 {
            return Ok(spool);
        }
    }
}

/// An input whose bytes, from some offset on, can be read in any order.
pub struct Reread<'r> {
    file: FileInput<'r>,
    /// The offset of the file's first byte in the input. It is 0 unless a stream was spooled.
    base: u64,
    /// The bytes read last, and their offset.
    window: Vec<u8>,
    window_at: u64,
}

impl<'r> Reread<'r> {
    /// Makes the input from `offset` on readable in any order. A stream is spooled to a temporary file; `unread` are
    /// the bytes at `offset` that were already read from it.
    ///
    /// # Errors
    /// If a stream cannot be read or spooled.
    pub fn new(input: Input<'r>, unread: &[u8], offset: u64) -> io::Result<Self> {
        match input {
            Input::File(file) => Ok(Self::of(file, 0)),
            Input::Stream(stream) => {
                Ok(Self::of(FileInput::new(spool(stream, unread, &std::env::temp_dir())?)?, offset))
            }
        }
    }

    fn of(file: FileInput<'r>, base: u64) -> Self {
        Self { file, base, window: Vec::new(), window_at: 0 }
    }

    /// Returns the end offset of the input.
    pub fn end(&self) -> u64 {
        self.base + self.file.length()
    }

    /// Returns a reader of the bytes from `offset` on.
    ///
    /// # Errors
    /// If seeking fails.
    pub fn reader_at(&mut self, offset: u64) -> io::Result<&mut FileInput<'r>> {
        let at = offset.checked_sub(self.base).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.file.seek(SeekFrom::Start(at))?;
        Ok(&mut self.file)
    }

    /// Returns at least `least` bytes from `offset` on, or fewer if the input ends.
    ///
    /// # Errors
    /// If reading fails.
    pub fn peek(&mut self, offset: u64, least: usize) -> io::Result<&[u8]> {
        let skipped = offset.checked_sub(self.window_at).and_then(|skipped| usize::try_from(skipped).ok());
        let skipped = skipped.filter(|skipped| self.window.len().saturating_sub(*skipped) >= least);
        if skipped.is_none() {
            let mut window = std::mem::take(&mut self.window);
            window.clear();
            self.reader_at(offset)?.take(least.max(WINDOW_BYTES) as u64).read_to_end(&mut window)?;
            (self.window, self.window_at) = (window, offset);
        }
        Ok(&self.window[skipped.unwrap_or(0)..])
    }

    /// Returns the bytes of a range if they are few enough to be kept.
    ///
    /// # Errors
    /// If reading fails.
    pub fn peek_range(&mut self, bytes: Range<u64>) -> io::Result<Option<&[u8]>> {
        let length = usize::try_from(bytes.end - bytes.start).unwrap_or(usize::MAX);
        if length > WINDOW_BYTES {
            return Ok(None);
        }
        let ahead = self.peek(bytes.start, length)?;
        Ok(Some(&ahead[..length.min(ahead.len())]))
    }

    /// Appends the bytes of a range to `out`, or those that exist.
    ///
    /// # Errors
    /// If reading fails.
    pub fn read(&mut self, bytes: Range<u64>, out: &mut Vec<u8>) -> io::Result<()> {
        if let Some(kept) = self.peek_range(bytes.clone())? {
            out.extend_from_slice(kept);
            return Ok(());
        }
        self.reader_at(bytes.start)?.take(bytes.end - bytes.start).read_to_end(out).map(drop)
    }

    /// Returns the end of the first `mark` that begins at or after `start` and ends at or before `end`.
    ///
    /// # Errors
    /// If reading fails.
    pub fn find(&mut self, mut start: u64, end: u64, mark: &[u8]) -> io::Result<Option<u64>> {
        loop {
            let ahead = self.peek(start, mark.len())?;
            if let Some(at) = memchr::memmem::find(ahead, mark) {
                return Ok(Some(start + (at + mark.len()) as u64).filter(|found| *found <= end));
            }
            // A mark can begin in the last bytes.
            start += ahead.len().saturating_sub(mark.len() - 1) as u64;
            if ahead.len() < mark.len() || start + mark.len() as u64 > end {
                return Ok(None);
            }
        }
    }

    /// Returns true if `mark` ends exactly at `end`.
    ///
    /// # Errors
    /// If reading fails.
    pub fn ends_with(&mut self, end: u64, mark: &[u8]) -> io::Result<bool> {
        let Some(start) = end.checked_sub(mark.len() as u64).filter(|start| *start >= self.base) else {
            return Ok(false);
        };
        // Keeps the window, because such checks occur all over the input.
        let mut found = Vec::with_capacity(mark.len());
        self.reader_at(start)?.take(mark.len() as u64).read_to_end(&mut found)?;
        Ok(found == mark)
    }

    /// Returns the input as a stream from `offset` on.
    ///
    /// # Errors
    /// If seeking fails.
    pub fn into_input(mut self, offset: u64) -> io::Result<Input<'r>> {
        self.reader_at(offset)?;
        Ok(Input::File(self.file))
    }
}
