//! Tells the state of this machine's logs: their rows, what rotation has removed and will remove, and the histories that keep
//! them.

use std::path::PathBuf;

use crate::align::{LineShape, each_line};
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::classify_and_find;
use crate::format::{LogId, Timestamp};
use crate::keep::{LastRun, last_runs};
use crate::logs::rotation::{LineSizes, NextRotation};
use crate::logs::{Discovery, LogFile, LogGroup, OpenLog, Source, has_numbered_rows, known};
use crate::progress::{Progress, Stage};
use crate::util::line_reader::LineCount;

/// The state of the logs of this machine.
#[derive(Debug)]
#[non_exhaustive]
pub struct StatusReport {
    /// The logs that were read, in bundle order.
    pub logs: Vec<LogStatus>,
    /// The error of each log that could not be read.
    pub unreadable: Vec<Error>,
    /// The last run of `keep` for each history that has the logs, newest first.
    pub last_runs: Vec<LastRun>,
}

/// The state of one log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogStatus {
    /// The identity of the log in a bundle.
    pub id: LogId,
    /// Its path.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// The number of its lines.
    pub lines: LineCount,
    /// The earliest time of a row.
    pub first: Option<Timestamp>,
    /// The latest time of a row.
    pub last: Option<Timestamp>,
    /// The number of rows that the log has lost. `None` if its rows do not tell.
    pub removed: Option<u64>,
    /// The next rotation that takes lines from it. `None` if it is not rotated, or has no lines.
    pub next_rotation: Option<NextRotation>,
}

/// Reads all logs that were found.
///
/// # Errors
/// Only if the operation is cancelled: a log that cannot be read is listed.
pub fn status(discovery: &Discovery, progress: &dyn Progress) -> Result<StatusReport> {
    let mut report = StatusReport { logs: Vec::new(), unreadable: Vec::new(), last_runs: last_runs(&discovery.dirs) };
    progress.stage(Stage::Reading);
    progress.start(Some(discovery.logs().map(|log| log.bytes).sum()));
    for group in &discovery.groups {
        match of_group(group, progress) {
            Ok(logs) => report.logs.extend(logs),
            Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => return Err(error),
            Err(error) => report.unreadable.push(error),
        }
    }
    progress.finish();
    Ok(report)
}

fn of_group(group: &LogGroup, progress: &dyn Progress) -> Result<Vec<LogStatus>> {
    let mut read: Vec<ReadLog> = Vec::new();
    for log in group.open_in(std::env::temp_dir(), progress)? {
        read.push(ReadLog::read(log, progress)?);
    }
    let empty = LineSizes::default();
    let archive = |source: &Source, name: &str| {
        let name = source.archive_of(name)?;
        let archive = read.iter().find(|log| log.status.id.name.as_str() == name);
        Some((name, archive.map_or(&empty, |log| &log.sizes)))
    };
    let statuses = read.iter().map(|log| {
        let id = &log.status.id;
        let source = known(id.source.as_str()).filter(|source| !source.is_archive(id.name.as_str()));
        let next_rotation = source.and_then(|source| {
            log.sizes.next_rotation(source.rotation, log.status.bytes, archive(source, id.name.as_str()))
        });
        LogStatus { next_rotation, ..log.status.clone() }
    });
    Ok(statuses.collect())
}

/// A log that was read.
struct ReadLog {
    status: LogStatus,
    sizes: LineSizes,
}

impl ReadLog {
    fn read(log: OpenLog, progress: &dyn Progress) -> Result<Self> {
        let (LogFile { id, path, times, .. }, bytes) = (log.log.clone(), log.opened().len());
        let cancellation = progress.cancellation();
        let mut read = Self { status: LogStatus::empty(id, path, bytes), sizes: LineSizes::default() };
        let mut lowest_id = None;
        let subject = read.status.path.display().to_string();
        let lines = each_line(log, |line| {
            cancellation.check()?;
            progress.advance(line.bytes.len() as u64 + 1);
            let mut id = None;
            let row = classify_and_find(line.bytes, times, &["id"], &mut |_, value| id = value.parse::<u64>().ok());
            // A torn row can have lost digits.
            id = id.filter(|_| row.is_some());
            read.push(LineShape::of(line, row.is_some()), row.and_then(|row| row.time.timestamp));
            lowest_id = [lowest_id, id].into_iter().flatten().min();
            Ok(())
        });
        lines.map_err(|error| error.in_subject(&subject))?;
        let is_numbered = has_numbered_rows(read.status.id.source.as_str());
        read.status.removed = lowest_id.filter(|_| is_numbered).map(|id| id.saturating_sub(1));
        Ok(read)
    }

    fn push(&mut self, shape: LineShape, time: Option<Timestamp>) {
        let status = &mut self.status;
        status.lines.add(shape.is_row());
        self.sizes.push(shape.size(), shape.is_row());
        status.first = [status.first, time].into_iter().flatten().min();
        status.last = [status.last, time].into_iter().flatten().max();
    }
}

impl LogStatus {
    fn empty(id: LogId, path: PathBuf, bytes: u64) -> Self {
        let lines = LineCount::default();
        Self { id, path, bytes, lines, first: None, last: None, removed: None, next_rotation: None }
    }
}
