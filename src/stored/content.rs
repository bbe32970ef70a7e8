//! The bytes of a stored log, in pieces.

use std::io::{self, Read};
use std::sync::Arc;

use super::scratch::{Extent, Scratch};
use crate::error::Result;
use crate::progress::{Cancellation, Progress};
use crate::restore::LogWriter;
use crate::util::line_reader::Line;

/// The number of bytes that are collected before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// The bytes of a log.
#[derive(Debug, Clone)]
pub struct Content {
    extents: Vec<Extent>,
    bytes: u64,
    /// True if the last line ends with a line feed, or if there are no lines.
    is_terminated: bool,
}

impl Default for Content {
    fn default() -> Self {
        Self { extents: Vec::new(), bytes: 0, is_terminated: true }
    }
}

impl Content {
    /// Returns the number of bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends the lines of `next`, starting on a new line.
    ///
    /// # Errors
    /// If the line feed that separates the two cannot be written to `scratch`.
    pub fn append(&mut self, next: Self, scratch: &Arc<Scratch>) -> Result<()> {
        if next.bytes == 0 {
            return Ok(());
        }
        self.end_line(scratch)?;
        next.extents.into_iter().for_each(|extent| self.push(extent));
        self.is_terminated = next.is_terminated;
        Ok(())
    }

    /// Terminates the last line if it lacks its line feed.
    ///
    /// # Errors
    /// If the line feed cannot be written to `scratch`.
    pub fn end_line(&mut self, scratch: &Arc<Scratch>) -> Result<()> {
        if !self.is_terminated {
            self.push(scratch.append(b"\n")?);
            self.is_terminated = true;
        }
        Ok(())
    }

    fn push(&mut self, extent: Extent) {
        self.bytes += extent.bytes();
        if !self.extents.last_mut().is_some_and(|last| last.join(&extent)) {
            self.extents.push(extent);
        }
    }

    /// Returns a reader of all bytes.
    pub fn reader(&self) -> ContentReader<'_> {
        ContentReader { extents: &self.extents, at: 0, crc32: crc32fast::Hasher::new() }
    }
}

/// Reads the bytes of a log, and checks that they have not changed since they were written.
#[derive(Debug)]
pub struct ContentReader<'c> {
    /// The extents that have not been read completely.
    extents: &'c [Extent],
    /// The number of bytes read from the first of them.
    at: u64,
    /// The checksum of these bytes.
    crc32: crc32fast::Hasher,
}

impl Read for ContentReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some((extent, rest)) = self.extents.split_first() else { return Ok(0) };
        let read = extent.read(self.at, out)?;
        self.crc32.update(&out[..read]);
        self.at += read as u64;
        if self.at == extent.bytes() {
            let crc32 = std::mem::take(&mut self.crc32).finalize();
            if crc32 != extent.crc32().0 {
                return Err(extent.damage());
            }
            (self.extents, self.at) = (rest, 0);
        }
        Ok(read)
    }
}

/// Writes the bytes of a log to a scratch file.
pub struct ContentWriter<'p> {
    scratch: Arc<Scratch>,
    content: Content,
    buffer: Vec<u8>,
    progress: &'p dyn Progress,
    cancellation: Cancellation,
}

impl<'p> ContentWriter<'p> {
    pub fn new(scratch: &Arc<Scratch>, progress: &'p dyn Progress) -> Self {
        let (scratch, cancellation) = (Arc::clone(scratch), progress.cancellation());
        Self { scratch, content: Content::default(), buffer: Vec::new(), progress, cancellation }
    }

    /// Appends a line, starting on a new line.
    pub fn push_line(&mut self, line: Line<'_>) -> Result<()> {
        if !self.content.is_terminated {
            self.buffer.push(b'\n');
        }
        self.buffer.extend_from_slice(line.bytes);
        if line.terminated {
            self.buffer.push(b'\n');
        }
        self.content.is_terminated = line.terminated;
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> Result<()> {
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.cancellation.check()?;
        if !self.buffer.is_empty() {
            self.content.push(self.scratch.append(&self.buffer)?);
            self.buffer.clear();
        }
        Ok(())
    }
}

impl LogWriter for ContentWriter<'_> {
    type Done = Content;

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        self.content.is_terminated = bytes.last().map_or(self.content.is_terminated, |last| *last == b'\n');
        self.progress.advance(bytes.len() as u64);
        self.flush_if_full()
    }

    fn finish(mut self) -> Result<Content> {
        self.flush()?;
        Ok(self.content)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::progress::NoProgress;

    fn stored(scratch: &Arc<Scratch>, text: &str) -> Content {
        let mut writer = ContentWriter::new(scratch, &NoProgress);
        writer.write(text.as_bytes()).unwrap();
        writer.finish().unwrap()
    }

    fn text(content: &Content) -> String {
        let mut text = String::new();
        content.reader().read_to_string(&mut text).unwrap();
        assert_eq!(text.len() as u64, content.bytes());
        text
    }

    #[test]
    fn alternating_logs_read_back_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::create_in(dir.path()).unwrap();
        let mut writers = [0, 1, 2].map(|_| ContentWriter::new(&scratch, &NoProgress));
        let mut expected = [const { String::new() }; 3];
        for turn in 0..200 {
            let piece = format!("{turn}\n").repeat(1000 + turn);
            writers[turn % 3].write(piece.as_bytes()).unwrap();
            expected[turn % 3] += &piece;
        }
        let contents = writers.map(|writer| writer.finish().unwrap());
        assert!(contents.each_ref().map(text) == expected);
    }

    #[test]
    fn appended_lines_begin_on_a_line_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::create_in(dir.path()).unwrap();
        let mut content = Content::default();
        for next in ["a\nb", "", "c\n", "d"] {
            content.append(stored(&scratch, next), &scratch).unwrap();
        }
        assert_eq!(text(&content), "a\nb\nc\nd");
    }

    #[test]
    fn a_modified_file_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::create_in(dir.path()).unwrap();
        let content = stored(&scratch, "abc\n");
        scratch.overwrite(1, b"x").unwrap();
        assert!(content.reader().read_to_end(&mut Vec::new()).is_err());
    }
}
