//! A reader with short reads.

use std::io::{self, Read};

/// A reader that returns at most this many bytes at a time.
pub struct ShortReads<'b>(pub &'b [u8], pub usize);

impl Read for ShortReads<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.1.min(buffer.len());
        self.0.read(&mut buffer[..length])
    }
}
