//! Stage 4: stages the new version of each log beside it. Reads the lines of both sides again, in
//! order.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::context::{ImportContext, begin};
use super::local::LocalLog;
use super::observed::{ComparedLines, ObservedContent};
use super::plan::FilePlan;
use super::planned::{Planned, VersionKind};
use super::restored::Restored;
use super::staging::{StagedFile, Staging};
use crate::align::{MergeStep, SideReader, each_line, each_step};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::logs::OpenLog;
use crate::progress::{NoProgress, Progress, Stage};
use crate::util::line_reader::Line;
use crate::util::regular_file;

/// The minimum size for which writing is reported as a progress stage. Most logs are smaller.
const MIN_STAGE_BYTES: u64 = 1 << 20;

/// The new versions of a group's logs.
#[derive(Debug)]
pub struct Staged {
    /// The local logs as they were read. They stay open until they are replaced, unless too many
    /// are open.
    pub locals: Vec<LocalLog>,
    pub files: Vec<FilePlan>,
    /// The new version of each log that gets one.
    pub versions: Vec<Option<NewVersion>>,
    /// The latest timestamp of a row of either side, in milliseconds since 1970, if lines were
    /// compared.
    pub newest: Option<i64>,
}

/// A new version of a log.
#[derive(Debug)]
pub struct NewVersion {
    /// Its path in the staging directory.
    pub path: PathBuf,
    /// True if it is the bundle's log, which the restore has staged.
    pub is_bundled: bool,
    /// The open file, once the bundle's log is in place. Only late rows are appended to it.
    pub placed: Option<fs::File>,
}

/// Stages the new version of every log that gets one. `later_bytes` is the number of bytes to read
/// for later groups.
pub fn stage(
    planned: Planned<'_, '_>,
    context: &ImportContext<'_>,
    staging: &Staging,
    later_bytes: u64,
) -> Result<Staged> {
    let files = planned.outputs.iter().zip(&planned.files);
    let written = files.filter(|(output, _)| matches!(output, VersionKind::Appended | VersionKind::Merged));
    let bytes: u64 = written.map(|(_, file)| file.bytes_after).sum();
    if bytes < MIN_STAGE_BYTES {
        return write_all(planned, staging, &NoProgress);
    }
    begin(context.progress, Stage::Writing, bytes);
    let staged = write_all(planned, staging, context.progress)?;
    begin(context.progress, Stage::Merging, later_bytes);
    Ok(staged)
}

fn write_all(mut planned: Planned<'_, '_>, staging: &Staging, progress: &dyn Progress) -> Result<Staged> {
    let restored = planned.observed.restored;
    let mut outs = Vec::new();
    for (output, target) in planned.outputs.iter().zip(&restored.group.targets) {
        let is_written = matches!(output, VersionKind::Appended | VersionKind::Merged);
        let out = is_written.then(|| LineWriter::start(&target.log.path, target.subject(), staging, progress));
        outs.push(out.transpose()?);
    }
    for local in &mut planned.observed.locals {
        local.log.as_mut().map_or(Ok(()), OpenLog::rewind)?;
    }
    if planned.outputs.contains(&VersionKind::Merged) {
        write_merged(&mut planned, &mut outs)?;
    }
    let mut versions = Vec::new();
    for (at, out) in outs.into_iter().enumerate() {
        let bundled = restored.logs[at].as_ref().and_then(|log| log.staged.clone());
        let path = match (planned.outputs[at], out) {
            (VersionKind::Appended, Some(mut out)) => {
                append(&mut out, &mut planned.observed.locals[at], bundled.as_deref())?;
                Some(out.finish(planned.files[at].bytes_after)?)
            }
            (_, Some(out)) => Some(out.finish(planned.files[at].bytes_after)?),
            (VersionKind::Bundled, None) => bundled,
            (_, None) => None,
        };
        let is_bundled = planned.outputs[at] == VersionKind::Bundled;
        versions.push(path.map(|path| NewVersion { path, is_bundled, placed: None }));
    }
    Ok(Staged { locals: planned.observed.locals, files: planned.files, versions, newest: planned.newest })
}

impl Staged {
    /// Returns to stage 1: removes the new versions, but keeps the bundle's logs. A bundle's log
    /// that was put in place is staged again, because a writer's file may now be at its staged
    /// path.
    pub fn unstage(&mut self, restored: &mut Restored<'_>, staging: &Staging) -> Result<()> {
        for (at, version) in self.versions.iter_mut().enumerate() {
            match (version.take(), &mut restored.logs[at]) {
                (Some(NewVersion { is_bundled: true, placed: None, .. }) | None, _) => {}
                (Some(NewVersion { path, placed, .. }), log) => {
                    if let (Some(mut placed), Some(log)) = (placed, log) {
                        let target = &restored.group.targets[at].log.path;
                        log.staged = Some(staging.copy(target, &mut placed, log.integrity.bytes)?);
                    }
                    // A file that can't be removed is removed with its directory.
                    let _ = fs::remove_file(path);
                }
            }
        }
        self.locals.iter_mut().for_each(LocalLog::close);
        Ok(())
    }
}

/// A writer of a new version of a log. It adds a line feed that is missing between two lines.
struct LineWriter<'p> {
    file: StagedFile,
    progress: &'p dyn Progress,
    bytes: u64,
    unterminated: bool,
    subject: String,
}

impl<'p> LineWriter<'p> {
    fn start(log: &Path, subject: String, staging: &Staging, progress: &'p dyn Progress) -> Result<Self> {
        Ok(Self { file: staging.file(log)?, progress, bytes: 0, unterminated: false, subject })
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

    /// Ends the file. Fails if its length is not as planned, which means that a log changed since
    /// it was read.
    fn finish(self, planned_bytes: u64) -> Result<PathBuf> {
        match self.bytes == planned_bytes {
            true => self.file.finish(),
            false => Err(Error::from(ErrorKind::LogKeepsChanging).in_subject(&self.subject)),
        }
    }
}

fn append(out: &mut LineWriter<'_>, local: &mut LocalLog, bundled: Option<&Path>) -> Result<()> {
    if let Some(log) = &mut local.log {
        each_line(log, |line| out.push(line))?;
    }
    bundled.map_or(Ok(()), |bundled| each_line(open(bundled)?, |line| out.push(line)))
}

/// Writes the new versions of a group that have lines of both sides.
fn write_merged(planned: &mut Planned<'_, '_>, outs: &mut [Option<LineWriter<'_>>]) -> Result<()> {
    let observed = &mut planned.observed;
    let ObservedContent::Compared(lines) = &observed.content else { return Ok(()) };
    let ComparedLines { local, bundle, .. } = &**lines;
    let mut local_lines = SideReader::new(local, observed.locals.iter_mut().map(|local| local.log.as_mut()));
    let staged = observed.restored.logs.iter().map(|log| log.as_ref().and_then(|log| log.staged.as_deref()));
    let staged = staged.map(|path| path.map(open).transpose()).collect::<Result<Vec<_>>>()?;
    let mut bundle_lines = SideReader::new(bundle, staged.into_iter());
    each_step(local, bundle, &planned.alignment, outs.len(), |step, log| {
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
