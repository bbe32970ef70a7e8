//! Reads the lines of a side again, once the order of the result is known.

use std::io::Read;

use super::fingerprint_lines::next_line;
use super::index::Side;
use super::line_shape::MAX_LINE_BYTES;
use crate::error::{ErrorKind, Result};
use crate::util::line_reader::{Line, LineReader};

/// A reader of the lines of one side, which must be requested in order.
pub struct SideReader<'s, R> {
    side: &'s Side,
    logs: Vec<Option<LineReader<R>>>,
    next: usize,
}

impl<'s, R: Read> SideReader<'s, R> {
    /// Creates a reader of the logs of a side, in order. `None` stands for a log without lines.
    pub fn new(side: &'s Side, logs: impl Iterator<Item = Option<R>>) -> Self {
        let logs = logs.map(|log| log.map(|log| LineReader::new(log, MAX_LINE_BYTES))).collect();
        Self { side, logs, next: 0 }
    }

    /// Returns the line with the number `wanted`, counted from 0 on its side.
    ///
    /// # Errors
    /// If a log cannot be read, or has fewer lines than its side.
    pub fn line(&mut self, wanted: usize) -> Result<Line<'_>> {
        while self.next < wanted {
            self.read()?;
        }
        self.read()
    }

    /// Reads the next line.
    fn read(&mut self) -> Result<Line<'_>> {
        let (number, log) = (self.next as u64 + 1, self.side.log_of(self.next));
        self.next += 1;
        let log = self.logs.get_mut(log).and_then(Option::as_mut);
        let line = log.map(|log| next_line(log, number)).transpose()?.flatten();
        line.ok_or_else(|| ErrorKind::LogKeepsChanging.into())
    }
}
