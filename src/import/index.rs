//! The lines of a log, without their text: enough to merge logs that are larger than memory.
//!
//! A line takes 16 bytes here, and each distinct one about 40 more while they are compared.

use std::collections::HashMap;
use std::io::Read;

use super::tally::{LONGEST_LINE, Shape, content};
use crate::digest::Sha256Digest;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::line::classify;
use crate::format::{TimeKey, Timestamp};
use crate::lines::{Line, LineError, LineReader};

/// Numbers distinct lines, from 0. Lines are told apart by 192 bits of SHA-256: to make two of them share these on
/// purpose, so that one is taken for the other and lost, is beyond anybody's means.
#[derive(Debug, Default)]
pub(super) struct LineIds(HashMap<[u8; 24], u32>);

impl LineIds {
    fn of(&mut self, content: &[u8]) -> Result<u32> {
        let fresh = u32::try_from(self.0.len()).ok().filter(|id| *id < u32::MAX);
        let fresh = fresh.ok_or(ErrorKind::TooManyLines { limit: u32::MAX.into() })?;
        Ok(*self.0.entry(Sha256Digest::of(content).first_192_bits()).or_insert(fresh))
    }

    /// How many distinct lines there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What stands for the time of a line that has none.
pub(super) const UNTIMED: i64 = i64::MIN;

/// The lines of one log, in order.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) ids: Vec<u32>,
    /// Milliseconds since 1970, or [`UNTIMED`].
    pub(super) times: Vec<i64>,
    pub(super) shapes: Vec<Shape>,
}

impl Lines {
    pub(super) fn push(&mut self, line: Line<'_>, times: &[TimeKey], ids: &mut LineIds) -> Result<()> {
        let row = classify(line.bytes, times);
        self.ids.push(ids.of(content(line.bytes))?);
        self.shapes.push(Shape::of(line, row.is_some()));
        self.times.push(row.and_then(|row| row.time).map_or(UNTIMED, Timestamp::as_millis));
        Ok(())
    }

    pub(super) fn read(reader: impl Read, times: &[TimeKey], ids: &mut LineIds) -> Result<Self> {
        let mut lines = Self::default();
        each_line(reader, |line| lines.push(line, times, ids))?;
        Ok(lines)
    }

    pub(super) fn len(&self) -> usize {
        self.shapes.len()
    }

    fn append(&mut self, next: &mut Self) {
        self.ids.append(&mut next.ids);
        self.times.append(&mut next.times);
        self.shapes.append(&mut next.shapes);
    }
}

/// Hands every line of a log to `take`.
pub(super) fn each_line(reader: impl Read, mut take: impl FnMut(Line<'_>) -> Result<()>) -> Result<()> {
    let mut lines = LineReader::new(reader, LONGEST_LINE);
    for number in 1.. {
        match next_line(&mut lines, number)? {
            Some(line) => take(line).map_err(|error| error.at_line(number))?,
            None => break,
        }
    }
    Ok(())
}

/// The next line of a log, which is line `number`, from 1.
pub(super) fn next_line(lines: &mut LineReader<impl Read>, number: u64) -> Result<Option<Line<'_>>> {
    lines.next_line().map_err(|error| match error {
        LineError::Read(error) => Error::io_unnamed(IoAction::Read, error),
        LineError::TooLong => Error::from(ErrorKind::LineTooLong { limit: LONGEST_LINE }).at_line(number),
    })
}

/// The logs of one source, oldest rows first, as one sequence of lines. Rotation moves rows from one to the one before,
/// so only together do they say what is there.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) lines: Lines,
    /// Where each log's lines end.
    ends: Vec<usize>,
}

impl Side {
    pub(super) fn push(&mut self, mut log: Lines) {
        match self.lines.len() {
            0 => self.lines = log,
            _ => self.lines.append(&mut log),
        }
        self.ends.push(self.lines.len());
    }

    /// Which log has this line.
    pub(super) fn log_of(&self, line: usize) -> usize {
        self.ends.partition_point(|end| *end <= line)
    }

    /// How many lines a log has.
    pub(super) fn lines_of(&self, log: usize) -> u64 {
        let start = log.checked_sub(1).map_or(0, |before| self.ends[before]);
        (self.ends[log] - start) as u64
    }
}
