//! Reports the state of this machine's logs: their rows, the rows that rotation has removed and
//! will remove, and the histories that keep them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::align::{LineShape, each_line};
use crate::error::{Error, ErrorKind, Result};
use crate::format::row::classify_and_find;
use crate::format::{LogId, Timestamp};
use crate::keep::{LastRuns, last_runs};
use crate::logs::rotation::{LineSizes, NextRotation};
use crate::logs::{Discovery, LogFile, LogGroup, OpenLog, has_numbered_rows, known};
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
    /// The last run of `keep` for each history that has the logs.
    pub last_runs: LastRuns,
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
    /// The number of rows that the log has lost, according to their numbers. `None` if its rows are
    /// not numbered.
    pub removed: Option<u64>,
    /// The next rotation that takes lines from the log. `None` if the log is empty or not rotated,
    /// or if the logs between which rotation moves lines could not be read together.
    pub next_rotation: Option<NextRotation>,
}

/// Reads all logs that were found.
///
/// # Errors
/// Only if the operation is cancelled. Logs that cannot be read are listed in the report.
pub fn status(discovery: Discovery, progress: &dyn Progress) -> Result<StatusReport> {
    let last_runs = last_runs(&discovery.dirs);
    progress.stage(Stage::Reading);
    progress.start(Some(discovery.logs().map(|log| log.bytes).sum()));
    let (mut logs, mut unreadable) = (Vec::new(), discovery.unreadable);
    for group in &discovery.groups {
        match of_group(group, progress) {
            Ok(read) => logs.extend(read),
            Err(error) => {
                let (read, errors) = each_alone(group, progress);
                logs.extend(read);
                let errors = if errors.is_empty() { vec![error] } else { errors };
                for error in errors {
                    unreadable.push(uncancelled(error)?);
                }
            }
        }
    }
    progress.finish();
    Ok(StatusReport { logs, unreadable, last_runs })
}

/// Reads the logs of a group one by one after they could not be read together, so that an
/// unreadable log does not hide the others.
fn each_alone(group: &LogGroup, progress: &dyn Progress) -> (Vec<LogStatus>, Vec<Error>) {
    let (mut logs, mut errors) = (Vec::new(), Vec::new());
    for log in &group.logs {
        match of_group(&LogGroup::single(log.clone()), progress) {
            Ok(read) => logs.extend(read.into_iter().map(|log| LogStatus { next_rotation: None, ..log })),
            Err(error) => errors.push(error),
        }
    }
    (logs, errors)
}

/// Returns the error to be listed, or fails with it if the operation was cancelled.
fn uncancelled(error: Error) -> Result<Error> {
    match error.kind() {
        ErrorKind::Cancelled => Err(error),
        _ => Ok(error),
    }
}

fn of_group(group: &LogGroup, progress: &dyn Progress) -> Result<Vec<LogStatus>> {
    let mut read: Vec<ReadLog> = Vec::new();
    for log in group.open_in(std::env::temp_dir(), progress)? {
        read.push(ReadLog::read(log, progress)?);
    }
    let empty = LineSizes::default();
    let mut rotations = BTreeMap::new();
    for log in &read {
        let (name, source) = (log.name(), known(log.status.id.source.as_str()));
        let Some(source) = source.filter(|source| !source.is_archive(name)) else { continue };
        let archive = source.archive_of(name).map(|archive| {
            let sizes = read.iter().find(|log| log.name() == archive).map_or(&empty, |log| &log.sizes);
            (archive, sizes)
        });
        if let Some(next) = log.sizes.next_rotation(source.rotation, log.status.bytes, archive) {
            rotations.insert(name.to_owned(), next);
            // The archive loses its oldest lines to make room.
            let of_archive = NextRotation { trimmed: next.deleted, moved_to: None, ..next };
            rotations.extend(archive.filter(|_| next.deleted > 0).map(|(name, _)| (name.to_owned(), of_archive)));
        }
    }
    let status = |log: ReadLog| LogStatus { next_rotation: rotations.remove(log.name()), ..log.status };
    Ok(read.into_iter().map(status).collect())
}

/// A log that was read.
struct ReadLog {
    status: LogStatus,
    sizes: LineSizes,
}

impl ReadLog {
    fn name(&self) -> &str {
        self.status.id.name.as_str()
    }

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
            // A torn row may have lost digits of its id.
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
