//! Reads the lines of logs, either one at a time or a whole log on several threads.

use std::io::Read;
use std::num::NonZeroUsize;

use super::index::{LineKeying, Side};
use super::line_shape::MAX_LINE_BYTES;
use super::row_keys::RowKeys;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::util::line_reader::{BlockError, Line, LineBlocks, LineError, LineReader, lines_of};
use crate::util::ordered_pool::run_ordered;

/// The size of the block that a thread reads lines from at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// Appends the lines of a log to a side, and ends the log.
pub fn read_log(
    log: impl Read,
    keys: RowKeys,
    keying: LineKeying<'_>,
    threads: NonZeroUsize,
    side: &mut Side,
) -> Result<()> {
    let read = |block: Vec<u8>| {
        let mut lines = Side::default();
        lines_of(&block).for_each(|line| lines.push(line, keys, keying));
        lines
    };
    let mut blocks = LineBlocks::new(log, BLOCK_BYTES, MAX_LINE_BYTES);
    let before = side.len();
    // A failure is reported after the lines before it are appended, because its line number depends
    // on them.
    let mut failure = None;
    let next = || {
        let block = blocks.next_block().unwrap_or_else(|error| {
            failure = Some(error);
            None
        });
        Ok(block.map(|block| {
            let bytes = block.len();
            (block, bytes)
        }))
    };
    run_ordered(threads, || read, next, |lines| side.append(lines))?;
    match failure {
        None => {
            side.end_log();
            Ok(())
        }
        Some(BlockError::Read(error)) => Err(Error::io_unnamed(IoAction::Read, error)),
        Some(BlockError::TooLong { lines_before }) => {
            let line = (side.len() - before) as u64 + lines_before + 1;
            Err(Error::from(ErrorKind::LineTooLong { limit: MAX_LINE_BYTES }).at_line(line))
        }
    }
}

/// Passes every line of a log to `take`.
pub fn each_line(reader: impl Read, mut take: impl FnMut(Line<'_>) -> Result<()>) -> Result<()> {
    let mut lines = LineReader::new(reader, MAX_LINE_BYTES);
    for number in 1.. {
        match next_line(&mut lines, number)? {
            Some(line) => take(line).map_err(|error| error.at_line(number))?,
            None => break,
        }
    }
    Ok(())
}

/// Returns the next line of a log. Errors give its line number as `number`, counted from 1.
pub fn next_line(lines: &mut LineReader<impl Read>, number: u64) -> Result<Option<Line<'_>>> {
    lines.next_line().map_err(|error| match error {
        LineError::Read(error) => Error::io_unnamed(IoAction::Read, error),
        LineError::TooLong => Error::from(ErrorKind::LineTooLong { limit: MAX_LINE_BYTES }).at_line(number),
    })
}
