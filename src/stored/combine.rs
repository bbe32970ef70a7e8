//! Merges the logs of two inputs by the rules of [`align`](crate::align).

use std::path::Path;

use super::compare::{CompareContext, Compared, compare};
use super::content::{Content, ContentWriter};
use super::scratch::Scratch;
use super::set::{LogSet, StoredGroup, StoredLog, disagreement};
use crate::align::{LineMatch, MergeStep, SideReader, each_step};
use crate::error::{ErrorKind, Result};
use crate::logs::GroupKey;
use crate::restore::LogWriter;

/// Merges two sets of logs. Rows that both have are kept once, at their position in `later`. If rows have the same age,
/// those of `earlier` come first. Temporary files are created in `dir`.
///
/// # Errors
/// If a log cannot be read or written, has too many lines, or is in another directory in one of the sets.
pub fn combine(earlier: LogSet, later: LogSet, dir: &Path, context: CompareContext<'_>) -> Result<LogSet> {
    let mut merged = later;
    for (key, earlier) in earlier.groups {
        let group = match merged.groups.remove(&key) {
            None => earlier,
            Some(later) => combine_groups(&key, earlier, later, dir, context)?,
        };
        merged.groups.insert(key, group);
    }
    Ok(merged)
}

fn combine_groups(
    key: &GroupKey,
    earlier: StoredGroup,
    mut later: StoredGroup,
    dir: &Path,
    context: CompareContext<'_>,
) -> Result<StoredGroup> {
    check_bases(&earlier, &later)?;
    if later.is_same(&earlier) || earlier.bytes() == 0 {
        add_empty_logs(&mut later, earlier);
        return Ok(later);
    }
    let compared = compare(key, &later, &earlier, context)?;
    let has_new_lines = (0..compared.alignment.len()).any(|line| compared.alignment.of(line) == LineMatch::New);
    if !has_new_lines {
        add_empty_logs(&mut later, earlier);
        return Ok(later);
    }
    let contents = write_merged(&earlier, &later, &compared, dir, context)?;
    let logs = contents.into_iter().zip(later.logs.into_iter().zip(earlier.logs));
    let logs = logs.map(|(content, (later, earlier))| {
        let is_empty = |log: &StoredLog| log.content.bytes() == 0;
        let exists = content.bytes() > 0 || later.is_some() || earlier.as_ref().is_some_and(is_empty);
        match later.or(earlier) {
            Some(log) => Ok(exists.then_some(StoredLog { id: log.id, content, integrity: None, whole: None })),
            // Each line is in a log that one of the sets has.
            None if exists => Err(ErrorKind::OutputNotIntact.into()),
            None => Ok(None),
        }
    });
    Ok(StoredGroup { logs: logs.collect::<Result<_>>()? })
}

/// Returns an error if a log is in different directories.
fn check_bases(earlier: &StoredGroup, later: &StoredGroup) -> Result<()> {
    for logs in earlier.logs.iter().zip(&later.logs) {
        if let (Some(earlier), Some(later)) = logs
            && earlier.id.base != later.id.base
        {
            return Err(disagreement(&earlier.id, &later.id));
        }
    }
    Ok(())
}

/// Adds logs without lines that only the earlier group has.
fn add_empty_logs(later: &mut StoredGroup, earlier: StoredGroup) {
    for (log, earlier) in later.logs.iter_mut().zip(earlier.logs) {
        let empty = earlier.filter(|earlier| earlier.content.bytes() == 0);
        *log = log.take().or(empty);
    }
}

/// Writes the lines of both groups, in the order of the result. Returns the new content of each log.
fn write_merged(
    earlier: &StoredGroup,
    later: &StoredGroup,
    compared: &Compared,
    dir: &Path,
    context: CompareContext<'_>,
) -> Result<Vec<Content>> {
    let scratch = Scratch::create_in(dir)?;
    let Compared { local, bundle, alignment } = compared;
    let mut outs: Vec<_> = later.logs.iter().map(|_| ContentWriter::new(&scratch, context.progress)).collect();
    let mut local_lines = SideReader::new(local, later.readers());
    let mut bundle_lines = SideReader::new(bundle, earlier.readers());
    each_step(local, bundle, alignment, outs.len(), |step, log| {
        let line = match step {
            MergeStep::Local(taken) | MergeStep::Both { local: taken, .. } => local_lines.line(taken.line)?,
            MergeStep::Bundle(taken) => bundle_lines.line(taken.line)?,
        };
        outs[log].push_line(line)
    })?;
    outs.into_iter().map(LogWriter::finish).collect()
}
