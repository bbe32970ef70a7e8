//! Looks ahead at a flush point to find out whether a block follows.

use std::io::{self, Read};

use flate2::Status;

use super::{SequentialReader, StreamState, inflate_some};

/// The maximum distance at which a flush point is looked for.
const MAX_AHEAD_BYTES: usize = 64 << 20;

impl<R: Read> SequentialReader<R> {
    /// Returns true if a flush point is exactly `length` bytes ahead and `is_expected` accepts the bytes up to it.
    pub(crate) fn is_block_of(&mut self, length: u64, is_expected: impl FnOnce(&[u8]) -> bool) -> io::Result<bool> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Ok(self.source.has_mark_at(length)? && self.source.peek(length)?.get(..length).is_some_and(is_expected))
    }

    /// Returns true if the next flush point is at most `most` bytes ahead and `is_expected` accepts the bytes up to it.
    pub(crate) fn is_next_block(&mut self, most: u64, is_expected: impl FnOnce(&[u8]) -> bool) -> io::Result<bool> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(MAX_AHEAD_BYTES);
        Ok(self.source.up_to_mark(most)?.is_some_and(is_expected))
    }

    /// Inflates the next `bytes` bytes (or one more, if the text goes on) and consumes them if `is_expected` accepts
    /// them. Stops earlier once more than `most` compressed bytes have been used.
    ///
    /// The second argument of `is_expected` is true if the compressed data ends after exactly `bytes` bytes. If
    /// `is_expected` rejects the text, nothing is consumed, and only [the input itself](Self::into_source) can be read from here
    /// on.
    pub(crate) fn take_text_if(
        &mut self,
        bytes: u64,
        most: u64,
        is_expected: impl FnOnce(&[u8], bool) -> bool,
    ) -> io::Result<Option<Vec<u8>>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let (mut text, mut used) = (Vec::new(), 0);
        let mut piece = [0; 4096];
        let mut state = self.state;
        // One byte more than `bytes` shows whether the text goes on.
        while let StreamState::Body = state
            && text.len() as u64 <= bytes
            && used <= most
        {
            let input = &self.source.peek(used + 1)?[used..];
            let room = usize::try_from(bytes + 1 - text.len() as u64).map_or(piece.len(), |left| left.min(piece.len()));
            let (read, written, status) = inflate_some(&mut self.raw, input, &mut piece[..room])?;
            used += read;
            text.extend_from_slice(&piece[..written]);
            match status {
                Ok(Status::StreamEnd) => state = StreamState::Trailer,
                Ok(_) if read + written > 0 => {}
                // A later read meets the damage again.
                _ => break,
            }
        }
        let has_ended = matches!(state, StreamState::Trailer) && text.len() as u64 == bytes;
        if !is_expected(&text, has_ended) {
            self.is_ahead = true;
            return Ok(None);
        }
        self.source.consume(used);
        self.crc32.update(&text);
        self.bytes += text.len() as u64;
        self.state = state;
        Ok(Some(text))
    }
}
