//! Writes the new version of a log from the lines of both sides, each of which is read again in order.

use std::io::Read;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::begin;
use super::fingerprint_lines::{each_line, next_line};
use super::index::Side;
use super::merge::{MergeStep, each_step};
use super::source_import::{GroupPlan, Observed, SourceImport, VersionKind};
use super::staging::{StagedFile, Staging};
use super::tally::MAX_LINE_BYTES;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::logs::OpenLog;
use crate::progress::{NoProgress, Progress, Stage};
use crate::util::line_reader::{Line, LineReader};
use crate::util::regular_file;

/// The size from which writing gets a progress stage of its own: logs are many, and most are small.
const WORTH_A_STAGE: u64 = 1 << 20;

/// Stages the new version of every log that gets one. Returns their paths.
pub(super) fn write_outputs(
    work: &SourceImport<'_>,
    found: &mut Observed,
    plan: &GroupPlan,
    staging: &Staging,
) -> Result<Vec<Option<PathBuf>>> {
    let bytes = plan.bytes_to_write();
    if bytes < WORTH_A_STAGE {
        return write_all(work, found, plan, staging, &NoProgress);
    }
    begin(work.progress, Stage::Writing, bytes);
    let waiting = write_all(work, found, plan, staging, work.progress)?;
    begin(work.progress, Stage::Merging, work.later_bytes);
    Ok(waiting)
}

fn write_all(
    work: &SourceImport<'_>,
    found: &mut Observed,
    plan: &GroupPlan,
    staging: &Staging,
    progress: &dyn Progress,
) -> Result<Vec<Option<PathBuf>>> {
    let mut waiting: Vec<Option<PathBuf>> = Vec::new();
    let merged = write_merged(work, found, plan, staging, progress)?;
    for (index, (output, merged)) in plan.outputs.iter().zip(merged).enumerate() {
        let restored = work.restored[index].as_ref().and_then(|restored| restored.staged.clone());
        waiting.push(match output {
            VersionKind::Nothing => None,
            VersionKind::Bundled => restored,
            VersionKind::Appended => {
                let mut out = NewVersion::start(work, index, staging, progress)?;
                append(&mut out, found, index, restored.as_deref())?;
                Some(out.finish(plan.files[index].bytes_after)?)
            }
            VersionKind::Merged => merged,
        });
    }
    Ok(waiting)
}

impl GroupPlan {
    /// Returns the number of bytes to be written from the lines of both sides.
    pub(super) fn bytes_to_write(&self) -> u64 {
        let files = self.outputs.iter().zip(&self.files);
        let written = files.filter(|(output, _)| matches!(output, VersionKind::Appended | VersionKind::Merged));
        written.map(|(_, file)| file.bytes_after).sum()
    }
}

/// A new version of a log, with every line on a line of its own.
struct NewVersion<'p> {
    file: StagedFile,
    progress: &'p dyn Progress,
    bytes: u64,
    unterminated: bool,
    subject: String,
}

impl<'p> NewVersion<'p> {
    fn start(work: &SourceImport<'_>, index: usize, staging: &Staging, progress: &'p dyn Progress) -> Result<Self> {
        let target = &work.group.targets[index];
        let file = staging.file(&target.log.path)?;
        Ok(Self { file, progress, bytes: 0, unterminated: false, subject: target.subject() })
    }

    fn push(&mut self, line: Line<'_>) -> Result<()> {
        if self.unterminated {
            self.write(b"\n")?;
        }
        self.write(line.bytes)?;
        if line.terminated {
            self.write(b"\n")?;
        }
        self.unterminated = !line.terminated;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        self.progress.advance(bytes.len() as u64);
        self.file.write(bytes)
    }

    /// Ends the file. Fails if its length is not as planned, because a log changed since it was first read.
    fn finish(self, planned_bytes: u64) -> Result<PathBuf> {
        match self.bytes == planned_bytes {
            true => self.file.finish(),
            false => Err(Error::from(ErrorKind::LogKeepsChanging).in_subject(&self.subject)),
        }
    }
}

fn append(out: &mut NewVersion<'_>, found: &mut Observed, index: usize, restored: Option<&Path>) -> Result<()> {
    if let Some(log) = &mut found.locals[index].log {
        log.rewind()?;
        each_line(log, |line| out.push(line))?;
    }
    match restored {
        Some(restored) => each_line(open(restored)?, |line| out.push(line)),
        None => Ok(()),
    }
}

/// Writes those logs of a group that have lines of both sides.
fn write_merged(
    work: &SourceImport<'_>,
    found: &mut Observed,
    plan: &GroupPlan,
    staging: &Staging,
    progress: &dyn Progress,
) -> Result<Vec<Option<PathBuf>>> {
    let start = |(index, output): (usize, &VersionKind)| match output {
        VersionKind::Merged => NewVersion::start(work, index, staging, progress).map(Some),
        _ => Ok(None),
    };
    let mut outs = plan.outputs.iter().enumerate().map(start).collect::<Result<Vec<_>>>()?;
    if outs.iter().any(Option::is_some) {
        copy_lines(work, found, plan, &mut outs)?;
    }
    let finish = |(out, file): (Option<NewVersion<'_>>, &super::FilePlan)| {
        out.map(|out| out.finish(file.bytes_after)).transpose()
    };
    outs.into_iter().zip(&plan.files).map(finish).collect()
}

fn copy_lines(
    work: &SourceImport<'_>,
    found: &mut Observed,
    plan: &GroupPlan,
    outs: &mut [Option<NewVersion<'_>>],
) -> Result<()> {
    let mut logs = Vec::new();
    for local in &mut found.locals {
        if let Some(log) = &mut local.log {
            log.rewind()?;
        }
        logs.push(local.log.take());
    }
    let copied = copy_lines_of(work, found, plan, outs, &mut logs);
    // The logs stay open until they are replaced.
    found.locals.iter_mut().zip(logs).for_each(|(local, log)| local.log = log);
    copied
}

fn copy_lines_of(
    work: &SourceImport<'_>,
    found: &Observed,
    plan: &GroupPlan,
    outs: &mut [Option<NewVersion<'_>>],
    logs: &mut [Option<OpenLog>],
) -> Result<()> {
    let Some((local, bundle)) = found.sides() else { return Ok(()) };
    let mut local_lines = LineSource::<&mut OpenLog>::new(local, logs.iter_mut().map(Option::as_mut));
    let restored = work.restored.iter().map(|restored| restored.as_ref().and_then(|log| log.staged.as_deref()));
    let restored = restored.map(|path| path.map(open).transpose()).collect::<Result<Vec<_>>>()?;
    let mut bundle_lines = LineSource::<fs::File>::new(bundle, restored.into_iter());
    each_step(local, bundle, &plan.alignment, outs.len(), |step, log| {
        let line = match step {
            MergeStep::Local(taken) | MergeStep::Both { local: taken, .. } => local_lines.line(taken.line)?,
            MergeStep::Bundle(taken) => bundle_lines.line(taken.line)?,
        };
        outs[log].as_mut().map_or(Ok(()), |out| out.push(line))
    })
}

fn open(path: &Path) -> Result<fs::File> {
    regular_file::open_no_follow(path).map_err(|error| Error::io(IoAction::Open, path, error))
}

/// The lines of one side, read again. They must be requested in order.
struct LineSource<'s, R> {
    side: &'s Side,
    logs: Vec<Option<LineReader<R>>>,
    next: usize,
}

impl<'s, R: Read> LineSource<'s, R> {
    fn new(side: &'s Side, logs: impl Iterator<Item = Option<R>>) -> Self {
        let logs = logs.map(|log| log.map(|log| LineReader::new(log, MAX_LINE_BYTES))).collect();
        Self { side, logs, next: 0 }
    }

    fn line(&mut self, wanted: usize) -> Result<Line<'_>> {
        while self.next < wanted {
            self.read()?;
        }
        self.read()
    }

    fn read(&mut self) -> Result<Line<'_>> {
        let (number, log) = (self.next as u64 + 1, self.side.log_of(self.next));
        self.next += 1;
        let log = self.logs.get_mut(log).and_then(Option::as_mut);
        let line = log.map(|log| next_line(log, number)).transpose()?.flatten();
        line.ok_or_else(|| ErrorKind::LogKeepsChanging.into())
    }
}
