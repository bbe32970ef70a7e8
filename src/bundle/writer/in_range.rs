//! Skips the lines of a log that are not rows in a time range.

use std::io::{self, Read};

use crate::error::{Error, ErrorKind};
use crate::format::limits::MAX_LOG_LINE_BYTES;
use crate::format::row::classify;
use crate::format::{TimeKey, TimeRange};
use crate::util::line_reader::{LineError, LineReader};

/// Reads the lines of a log that are rows with a timestamp in a range.
pub struct RowsInRange<R> {
    lines: LineReader<R>,
    times: &'static [TimeKey],
    range: TimeRange,
    /// The number of lines read so far.
    number: u64,
    /// The current selected line, and the number of its bytes that have been read.
    line: Vec<u8>,
    taken: usize,
}

impl<R: Read> RowsInRange<R> {
    pub fn new(log: R, times: &'static [TimeKey], range: TimeRange) -> Self {
        Self { lines: LineReader::new(log, MAX_LOG_LINE_BYTES), times, range, number: 0, line: Vec::new(), taken: 0 }
    }

    /// Reads the next selected line. Returns false after the last one.
    fn advance(&mut self) -> io::Result<bool> {
        loop {
            self.number += 1;
            let line = match self.lines.next_line() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(false),
                Err(LineError::Read(error)) => return Err(error),
                Err(LineError::TooLong) => {
                    let error = Error::from(ErrorKind::LineTooLong { limit: MAX_LOG_LINE_BYTES });
                    return Err(error.at_line(self.number).into());
                }
            };
            let row = classify(line.bytes, self.times);
            if row.is_some_and(|row| self.range.contains(row.time.timestamp)) {
                self.line.clear();
                self.line.extend_from_slice(line.bytes);
                if line.terminated {
                    self.line.push(b'\n');
                }
                self.taken = 0;
                return Ok(true);
            }
        }
    }
}

impl<R: Read> Read for RowsInRange<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < out.len() {
            if self.taken == self.line.len() && !self.advance()? {
                break;
            }
            let bytes = (self.line.len() - self.taken).min(out.len() - read);
            out[read..read + bytes].copy_from_slice(&self.line[self.taken..self.taken + bytes]);
            (self.taken, read) = (self.taken + bytes, read + bytes);
        }
        Ok(read)
    }
}
