//! Takes the logs of a bundle as they are restored: counts them, and lets them wait beside their targets or, for a
//! dry run, keeps nothing but what stands for their lines.

use std::path::PathBuf;

use super::index::Lines;
use super::staging::{StagedFile, Staging};
use super::tally::{Shape, Tally};
use super::targets::Group;
use super::work::{Found, GroupPlan, Way, Work};
use crate::digest::{Integrity, IntegrityHasher};
use crate::error::{Error, Result};
use crate::format::ManifestFile;
use crate::lines::{Line, LineCutter};
use crate::progress::Progress;
use crate::restore::LogSink;

/// A log of the bundle, proven against the manifest where that has hashes.
#[derive(Debug)]
pub(super) struct Restored {
    pub(super) tally: Tally,
    pub(super) integrity: Integrity,
    /// Where it waits, unless this is a dry run.
    pub(super) staged: Option<PathBuf>,
    /// Its lines, where a dry run needs them.
    pub(super) lines: Option<Lines>,
}

/// A log that is being restored.
struct Current {
    group: usize,
    target: usize,
    cutter: LineCutter,
    counter: LineCounter,
    /// What the manifest says, or what says it where a 1.0 manifest does not.
    integrity: Result<Integrity, IntegrityHasher>,
    staged: Option<StagedFile>,
    lines: Option<Lines>,
}

/// Counts lines, which are rows but for those that the manifest names.
struct LineCounter {
    tally: Tally,
    /// First and last line of each run of unparsed lines, from 1.
    unparsed: std::iter::Peekable<std::vec::IntoIter<(u64, u64)>>,
}

impl LineCounter {
    fn new(file: &ManifestFile) -> Self {
        let runs: Vec<_> = file.unparsed.iter().map(|run| (run.line, run.line + run.lines() - 1)).collect();
        Self { tally: Tally::default(), unparsed: runs.into_iter().peekable() }
    }

    fn push(&mut self, line: Line<'_>) {
        let number = self.tally.lines.all() + 1;
        while self.unparsed.next_if(|(_, last)| *last < number).is_some() {}
        let is_row = self.unparsed.peek().is_none_or(|(first, _)| number < *first);
        self.tally.push(Shape::of(line, is_row));
    }
}

/// What a dry run knows of a group whose logs are being restored: what is there was read first.
struct Preview {
    found: Option<Found>,
    plan: Option<GroupPlan>,
}

/// Takes restored logs.
pub(super) struct Intake<'i> {
    pub(super) groups: &'i [Group],
    works: Vec<Work<'i>>,
    /// `None` for a dry run.
    staging: Option<&'i Staging>,
    previews: Vec<Preview>,
    /// The group and target of each log that is to come.
    places: std::vec::IntoIter<(usize, usize)>,
    current: Option<Current>,
    progress: &'i dyn Progress,
}

impl<'i> Intake<'i> {
    pub(super) fn new(
        groups: &'i [Group],
        way: &'i Way<'i>,
        staging: Option<&'i Staging>,
        progress: &'i dyn Progress,
    ) -> Self {
        let works = groups.iter().map(|group| Work::new(group, way)).collect();
        let previews = groups.iter().map(|_| Preview { found: None, plan: None }).collect();
        Self { groups, works, staging, previews, places: places(groups).into_iter(), current: None, progress }
    }

    /// The groups with their restored logs, once all are there.
    pub(super) fn into_works(self) -> Vec<Work<'i>> {
        self.works
    }

    /// The plans of a dry run.
    pub(super) fn into_plans(self) -> Vec<GroupPlan> {
        self.previews.into_iter().filter_map(|preview| preview.plan).collect()
    }
}

/// The group and target of each of the bundle's logs, in its order.
fn places(groups: &[Group]) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    for (group, Group { targets, .. }) in groups.iter().enumerate() {
        let bundled = targets.iter().enumerate().filter_map(|(target, log)| Some((log.bundled?, (group, target))));
        places.extend(bundled);
    }
    places.sort_unstable();
    places.into_iter().map(|(_, place)| place).collect()
}

impl LogSink for Intake<'_> {
    fn begin(&mut self, file: &ManifestFile) -> Result<()> {
        // Logs come in the bundle's order, and only those that have a place.
        let Some((group, target)) = self.places.next() else { return Ok(()) };
        let staged = match self.staging {
            Some(staging) => Some(staging.file(&self.groups[group].targets[target].log.path)?),
            None => None,
        };
        let mut lines = None;
        if staged.is_none() {
            let preview = &mut self.previews[group];
            if preview.found.is_none() {
                preview.found = Some(self.works[group].find()?);
            }
            let needed = preview.found.as_ref().is_some_and(Found::needs_lines);
            lines = needed.then(Lines::default);
        }
        let (cutter, counter) = (LineCutter::default(), LineCounter::new(file));
        let integrity = file.integrity().ok_or_else(IntegrityHasher::default);
        self.current = Some(Current { group, target, cutter, counter, integrity, staged, lines });
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(Current { group, cutter, counter, integrity, staged, lines, .. }) = &mut self.current else {
            return Ok(());
        };
        if let Err(hasher) = integrity {
            hasher.update(bytes);
        }
        if let Some(staged) = staged {
            staged.write(bytes)?;
        }
        let (ids, times) = (&mut self.works[*group].ids, self.groups[*group].times);
        cutter.push(bytes, |line| {
            counter.push(line);
            lines.as_mut().map_or(Ok(()), |lines| lines.push(line, times, ids))
        })?;
        self.progress.advance(bytes.len() as u64);
        Ok(())
    }

    fn end(&mut self, _: &ManifestFile) -> Result<()> {
        let Some(Current { group, target, cutter, mut counter, integrity, staged, mut lines }) = self.current.take()
        else {
            return Ok(());
        };
        let (ids, times) = (&mut self.works[group].ids, self.groups[group].times);
        cutter.finish(|line| {
            counter.push(line);
            lines.as_mut().map_or(Ok::<_, Error>(()), |lines| lines.push(line, times, ids))
        })?;
        let staged = staged.map(StagedFile::finish).transpose()?;
        let integrity = integrity.unwrap_or_else(IntegrityHasher::finish);
        self.works[group].restored[target] = Some(Restored { tally: counter.tally, integrity, staged, lines });
        let preview = &mut self.previews[group];
        if self.works[group].is_complete()
            && let Some(found) = preview.found.take()
        {
            preview.plan = Some(self.works[group].plan(&found)?);
            self.works[group].forget_lines();
        }
        Ok(())
    }
}
