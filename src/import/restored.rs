//! Stage 1: restores the bundle's logs of a group.
//!
//! A group whose local logs already match the manifest's SHA-256 is restored only if a local log
//! changes before the commit.

use std::cell::RefCell;
use std::path::PathBuf;

use super::context::ImportContext;
use super::local::LocalLog;
use super::plan::Mode;
use super::tally::Tally;
use super::targets::{ImportTarget, TargetGroup};
use crate::align::{LineShape, Side};
use crate::digest::Integrity;
use crate::error::Result;
use crate::format::{Manifest, ManifestFile};
use crate::util::line_reader::Line;

/// A group, with the bundle's version of its logs.
#[derive(Debug)]
pub struct Restored<'g> {
    pub group: &'g TargetGroup,
    /// The bundle's log for each target that has one.
    pub logs: Vec<Option<RestoredLog>>,
    /// The closed local logs, if they equal the bundle's byte for byte. Then no log is restored.
    pub unchanged: Option<Vec<LocalLog>>,
}

/// A log of the bundle, verified against the manifest if that has its digest.
#[derive(Debug)]
pub struct RestoredLog {
    pub tally: Tally,
    pub integrity: Integrity,
    /// The path of the staged log. `None` in a dry run, and in an unchanged group.
    pub staged: Option<PathBuf>,
    /// Its lines, if a dry run needs them, until stage 2 takes them.
    pub lines: RefCell<Side>,
}

impl<'g> Restored<'g> {
    pub fn unrestored(group: &'g TargetGroup) -> Self {
        Self { group, logs: group.targets.iter().map(|_| None).collect(), unchanged: None }
    }

    /// Returns the indices, in the manifest, of the logs that are not restored yet.
    pub fn missing(&self) -> impl Iterator<Item = usize> {
        let targets = self.group.targets.iter().zip(&self.logs);
        targets.filter(|(_, restored)| restored.is_none()).filter_map(|(target, _)| target.bundled.map(|log| log.index))
    }

    /// Returns the number of bytes that stage 2 reads.
    pub fn bytes_to_compare(&self, mode: Mode) -> u64 {
        let bundled: u64 = self.logs.iter().flatten().map(|restored| restored.integrity.bytes).sum();
        match (&self.unchanged, self.group.local_bytes(), mode) {
            (Some(_), ..) => 0,
            (None, local_bytes, Mode::Merge) if local_bytes > 0 => local_bytes + bundled,
            (None, local_bytes, _) => local_bytes,
        }
    }

    /// Returns the group if its local logs equal the bundle's byte for byte, and all others are
    /// empty or missing.
    pub fn find_unchanged(
        group: &'g TargetGroup,
        manifest: &Manifest,
        context: &ImportContext<'_>,
    ) -> Result<Option<Self>> {
        let mut found = Self::unrestored(group);
        let mut locals = Vec::new();
        for (at, target) in group.targets.iter().enumerate() {
            let mut local = LocalLog::open(target)?;
            match target.bundled {
                None if local.is_empty() => {}
                None => return Ok(None),
                Some(bundled) => {
                    let mut counter = LineCounter::new(&manifest.files[bundled.index]);
                    let integrity = local.read(target, context.progress, |line| counter.push(line))?;
                    let Some(integrity) = integrity.filter(|integrity| bundled.integrity == Some(*integrity)) else {
                        return Ok(None);
                    };
                    let (tally, lines) = (counter.tally, RefCell::default());
                    found.logs[at] = Some(RestoredLog { tally, integrity, staged: None, lines });
                }
            }
            local.close();
            locals.push(local);
        }
        found.unchanged = Some(locals);
        Ok(Some(found))
    }
}

impl TargetGroup {
    /// Returns true if the mode is merge and the local logs are as long as the bundle's, so that
    /// they may be equal.
    pub fn may_be_unchanged(&self, mode: Mode) -> bool {
        let is_as_long = |target: &ImportTarget| {
            let expected = target.bundled.map_or(Some(0), |log| log.integrity.map(|expected| expected.bytes));
            expected == Some(target.local_bytes())
        };
        mode == Mode::Merge && self.targets.iter().all(is_as_long)
    }
}

/// A counter of lines. Every line is a row unless the manifest lists it as unparsed.
pub struct LineCounter {
    pub tally: Tally,
    /// The first and last line of each run of unparsed lines, counted from 1.
    unparsed: std::iter::Peekable<std::vec::IntoIter<(u64, u64)>>,
}

impl LineCounter {
    pub fn new(file: &ManifestFile) -> Self {
        let runs: Vec<_> = file.unparsed.iter().map(|run| (run.line, run.line + run.lines() - 1)).collect();
        Self { tally: Tally::default(), unparsed: runs.into_iter().peekable() }
    }

    pub fn push(&mut self, line: Line<'_>) {
        let number = self.tally.lines.all() + 1;
        while self.unparsed.next_if(|(_, last)| *last < number).is_some() {}
        let is_row = self.unparsed.peek().is_none_or(|(first, _)| number < *first);
        self.tally.push(LineShape::of(line, is_row));
    }
}
