//! Stage 2: reads the local logs and compares their lines with the bundle's.

use super::context::ImportContext;
use super::local::{LocalLog, LogSummary};
use super::plan::Mode;
use super::restored::{Restored, RestoredLog};
use crate::align::{LineKeying, Side, read_log};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::util::cancel::CancellableIo;
use crate::util::regular_file;

/// A restored group, and its local logs with their content.
#[derive(Debug)]
pub struct Observed<'r, 'g> {
    pub restored: &'r Restored<'g>,
    pub locals: Vec<LocalLog>,
    pub content: ObservedContent,
}

/// The content of a group's local logs.
#[derive(Debug)]
pub enum ObservedContent {
    /// No lines at all.
    Nothing,
    /// The bundle's logs, byte for byte.
    Same,
    /// The lines of both sides, to be merged.
    Compared(Box<ComparedLines>),
    /// Summaries, for modes that do not compare lines.
    Summaries(Vec<LogSummary>),
}

/// The lines of both sides. Lines with the same id are equal; ids are less than `distinct`.
#[derive(Debug)]
pub struct ComparedLines {
    pub local: Side,
    pub bundle: Side,
    pub distinct: usize,
}

/// Reads the local logs of a group.
pub fn observe<'r, 'g>(restored: &'r Restored<'g>, context: &ImportContext<'_>) -> Result<Observed<'r, 'g>> {
    if let Some(unchanged) = &restored.unchanged {
        let locals = unchanged.iter().map(LocalLog::as_seen).collect();
        return Ok(Observed { restored, locals, content: ObservedContent::Same });
    }
    let group = restored.group;
    let without_lock = group.lock.is_none() && context.mode != Mode::Overwrite;
    let cancellation = context.progress.cancellation();
    let open = |target| match without_lock {
        true => LocalLog::open_without_lock(target, context.clock, &cancellation),
        false => LocalLog::open(target),
    };
    let mut locals = group.targets.iter().map(open).collect::<Result<Vec<_>>>()?;
    let found = match context.mode {
        Mode::Merge if locals.iter().all(LocalLog::is_empty) => ObservedContent::Nothing,
        Mode::Merge if is_same(restored, &mut locals, context)? => ObservedContent::Same,
        Mode::Merge => compare(restored, &mut locals, context)?,
        Mode::Append | Mode::Overwrite => {
            let logs = locals.iter_mut().zip(&group.targets);
            let summaries = logs.map(|(local, target)| local.summarize(target, context.progress));
            ObservedContent::Summaries(summaries.collect::<Result<_>>()?)
        }
    };
    Ok(Observed { restored, locals, content: found })
}

/// Returns true if the local logs equal the bundle's byte for byte, and all others are empty or
/// missing.
fn is_same(restored: &Restored<'_>, locals: &mut [LocalLog], context: &ImportContext<'_>) -> Result<bool> {
    let is_as_long = |(local, restored): (&LocalLog, &Option<_>)| match restored {
        Some(RestoredLog { integrity, .. }) => local.bytes() == Some(integrity.bytes),
        None => local.is_empty(),
    };
    if !locals.iter().zip(&restored.logs).all(is_as_long) {
        return Ok(false);
    }
    for ((local, restored), target) in locals.iter_mut().zip(&restored.logs).zip(&restored.group.targets) {
        if let Some(restored) = restored
            && local.read(target, context.progress, |_| {})? != Some(restored.integrity)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads the lines of both sides and indexes the shorter side. A dry run always indexes the
/// bundle's, because it already has its lines.
fn compare(restored: &Restored<'_>, locals: &mut [LocalLog], context: &ImportContext<'_>) -> Result<ObservedContent> {
    let fingerprints = LineKeying::Fingerprint(context.fingerprinter);
    let local_bytes: u64 = locals.iter().filter_map(LocalLog::bytes).sum();
    let bundled_bytes = restored.logs.iter().flatten().map(|log| log.integrity.bytes).sum();
    let is_dry_run = restored.logs.iter().flatten().any(|log| log.staged.is_none());
    let (mut local, mut bundle) = (Side::default(), Side::default());
    let index = if is_dry_run || local_bytes > bundled_bytes {
        read_bundle(&mut bundle, restored, fingerprints, context)?;
        let index = bundle.index()?;
        let lookup = LineKeying::Lookup(context.fingerprinter, &index);
        read_locals(&mut local, restored, locals, lookup, context)?;
        index
    } else {
        read_locals(&mut local, restored, locals, fingerprints, context)?;
        let index = local.index()?;
        let lookup = LineKeying::Lookup(context.fingerprinter, &index);
        read_bundle(&mut bundle, restored, lookup, context)?;
        index
    };
    Ok(ObservedContent::Compared(Box::new(ComparedLines { local, bundle, distinct: index.lines() })))
}

fn read_locals(
    side: &mut Side,
    restored: &Restored<'_>,
    locals: &mut [LocalLog],
    keying: LineKeying<'_>,
    context: &ImportContext<'_>,
) -> Result<()> {
    for (local, target) in locals.iter_mut().zip(&restored.group.targets) {
        let Some(log) = &mut local.log else {
            side.end_log();
            continue;
        };
        let log = CancellableIo::counted(log, context.progress);
        let read = read_log(log, restored.group.keys, keying, context.threads, side);
        read.map_err(|error| error.in_subject(&target.subject()))?;
    }
    Ok(())
}

/// Reads the lines of the bundle's logs from the staged files. A dry run takes them from the
/// restore instead.
fn read_bundle(
    side: &mut Side,
    restored: &Restored<'_>,
    keying: LineKeying<'_>,
    context: &ImportContext<'_>,
) -> Result<()> {
    for log in &restored.logs {
        if let Some(RestoredLog { staged: Some(path), .. }) = log {
            let log = regular_file::open_no_follow(path).map_err(|error| Error::io(IoAction::Open, path, error))?;
            let log = CancellableIo::counted(log, context.progress);
            let read = read_log(log, restored.group.keys, keying, context.threads, side);
            read.map_err(|error| error.in_subject(&path.display().to_string()))?;
            continue;
        }
        if let Some(log) = log {
            let lines = log.lines.take();
            // If a local log appeared during the restore, the lines were not kept.
            if lines.len() as u64 != log.tally.lines.all() {
                return Err(ErrorKind::LogKeepsChanging.into());
            }
            side.append(lines)?;
        }
        side.end_log();
    }
    Ok(())
}
