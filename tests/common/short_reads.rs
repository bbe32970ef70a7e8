//! A reader that gives little at a time.

use std::io::{self, Read};

/// Gives its bytes in pieces of at most so many.
pub struct ShortReads<'b>(pub &'b [u8], pub usize);

impl Read for ShortReads<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(buffer.len());
        self.0.read(&mut buffer[..most])
    }
}
