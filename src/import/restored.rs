//! Takes the logs of a bundle as they are restored: counts them, and lets them wait beside their targets or, for a
//! dry run, keeps nothing but what stands for their lines.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::index::{KeyedLines, LineKeying};
use super::local::LocalLog;
use super::run_order::RowKeys;
use super::source_import::{EarlyObservation, GroupPlan, ImportContext, SourceImport};
use super::staging::{StagedFile, Staging};
use super::tally::{LineShape, Tally};
use super::targets::TargetGroup;
use super::unchanged::Comparison;
use crate::digest::{Integrity, IntegrityHasher};
use crate::error::{Error, ErrorKind, Result};
use crate::format::ManifestFile;
use crate::lines::{Line, LineCutter};
use crate::progress::Progress;
use crate::restore::{LogSink, LogWriter};

/// A log of the bundle, proven against the manifest where that has hashes.
#[derive(Debug)]
pub(super) struct RestoredLog {
    pub(super) tally: Tally,
    pub(super) integrity: Integrity,
    /// Where it waits, unless this is a dry run or the log was compared with what is there.
    pub(super) staged: Option<PathBuf>,
    /// The log that is there, as it was seen when it was the same byte for byte.
    pub(super) here: Option<LocalLog>,
    /// Its lines, where a dry run needs them.
    pub(super) lines: Option<KeyedLines>,
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
        self.tally.push(LineShape::of(line, is_row));
    }
}

/// Takes restored logs.
pub(super) struct RestoreSink<'i> {
    groups: &'i [TargetGroup],
    works: Vec<SourceImport<'i>>,
    /// `None` for a dry run.
    staging: Option<&'i Staging>,
    /// Whether logs that may be here already are compared with what is there, and do not wait.
    compares: bool,
    /// What a dry run found out about each group before its logs are restored.
    ahead: Vec<Option<EarlyObservation>>,
    plans: Vec<Option<GroupPlan>>,
    /// The group and target of each of the manifest's files that has one.
    places: HashMap<usize, (usize, usize)>,
    progress: &'i dyn Progress,
}

impl<'i> RestoreSink<'i> {
    pub(super) fn new(
        groups: &'i [TargetGroup],
        context: &'i ImportContext<'i>,
        staging: Option<&'i Staging>,
        progress: &'i dyn Progress,
    ) -> Self {
        let works = groups.iter().map(|group| SourceImport::new(group, context, progress)).collect();
        let (ahead, plans) = (groups.iter().map(|_| None).collect(), groups.iter().map(|_| None).collect());
        Self { groups, works, staging, compares: false, ahead, plans, places: places(groups), progress }
    }

    /// Lets logs that may be here already not wait: then they can be restored again.
    pub(super) fn comparing(self, compares: bool) -> Self {
        Self { compares, ..self }
    }

    /// Goes on with groups of which some logs are restored.
    pub(super) fn with(self, works: Vec<SourceImport<'i>>) -> Self {
        Self { works, ..self }
    }

    /// The groups with their restored logs, once all are there.
    pub(super) fn into_works(self) -> Vec<SourceImport<'i>> {
        self.works
    }

    /// The plans of a dry run.
    pub(super) fn into_plans(self) -> Vec<GroupPlan> {
        self.plans.into_iter().flatten().collect()
    }

    /// Where a log's lines go in a dry run, if they are needed.
    fn lines(&mut self, group: usize) -> Result<Option<LineKeying>> {
        let work = &self.works[group];
        let ahead = match &mut self.ahead[group] {
            Some(ahead) => ahead,
            nothing => nothing.insert(work.observe_early()?),
        };
        Ok(match ahead {
            EarlyObservation::Observed(_) => None,
            EarlyObservation::LocalFirst { index, .. } => {
                Some(LineKeying::Lookup(work.context.fingerprinter, Arc::clone(index)))
            }
            EarlyObservation::BundleFirst { .. } => Some(LineKeying::Fingerprint(work.context.fingerprinter)),
        })
    }
}

fn places(groups: &[TargetGroup]) -> HashMap<usize, (usize, usize)> {
    let mut places = HashMap::new();
    for (group, TargetGroup { targets, .. }) in groups.iter().enumerate() {
        let bundled =
            targets.iter().enumerate().filter_map(|(target, log)| Some((log.bundled?.index, (group, target))));
        places.extend(bundled);
    }
    places
}

impl<'i> LogSink for RestoreSink<'i> {
    type Writer = LogReceiver<'i>;

    fn begin(&mut self, index: usize, file: &ManifestFile) -> Result<LogReceiver<'i>> {
        let place = self.places.get(&index).copied();
        // Only logs that have a place are restored.
        let (group, target) = place.ok_or_else(|| Error::from(ErrorKind::RestoredDiffers))?;
        let to = &self.groups[group].targets[target];
        let may_be_unchanged = self.compares && self.groups[group].may_be_unchanged(self.works[group].context.mode);
        let comparison = may_be_unchanged.then(|| Comparison::start(to)).flatten();
        let (staged, lines) = match self.staging {
            Some(_) if comparison.is_some() => (None, None),
            Some(staging) => (Some(staging.file(&to.log.path)?), None),
            None => {
                let telling = self.lines(group)?;
                (None, telling.map(|telling| (KeyedLines::default(), telling, self.groups[group].times)))
            }
        };
        let (cutter, counter) = (LineCutter::default(), LineCounter::new(file));
        let integrity = file.integrity().ok_or_else(IntegrityHasher::default);
        Ok(LogReceiver { cutter, counter, integrity, staged, comparison, lines, progress: self.progress })
    }

    fn end(&mut self, index: usize, _: &ManifestFile, restored: RestoredLog) -> Result<()> {
        let Some(&(group, target)) = self.places.get(&index) else { return Ok(()) };
        self.works[group].restored[target] = Some(restored);
        if self.works[group].is_complete()
            && let Some(ahead) = self.ahead[group].take()
        {
            let found = self.works[group].complete(ahead)?;
            self.plans[group] = Some(self.works[group].plan(&found));
        }
        Ok(())
    }
}

/// A log that is being restored.
pub(super) struct LogReceiver<'i> {
    cutter: LineCutter,
    counter: LineCounter,
    /// What the manifest says, or what says it where a 1.0 manifest does not.
    integrity: Result<Integrity, IntegrityHasher>,
    staged: Option<StagedFile>,
    comparison: Option<Comparison>,
    /// Its lines, where a dry run needs them.
    lines: Option<(KeyedLines, LineKeying, RowKeys)>,
    progress: &'i dyn Progress,
}

impl LogReceiver<'_> {
    fn push(counter: &mut LineCounter, lines: &mut Option<(KeyedLines, LineKeying, RowKeys)>, line: Line<'_>) {
        counter.push(line);
        if let Some((lines, telling, keys)) = lines {
            lines.push(line, *keys, telling);
        }
    }
}

impl LogWriter for LogReceiver<'_> {
    type Done = RestoredLog;

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Self { cutter, counter, integrity, staged, comparison, lines, progress } = self;
        if let Err(hasher) = integrity {
            hasher.update(bytes);
        }
        progress.cancellation().check()?;
        if let Some(staged) = staged {
            staged.write(bytes)?;
        }
        if let Some(comparison) = comparison {
            comparison.push(bytes);
        }
        cutter.push(bytes, |line| {
            Self::push(counter, lines, line);
            Ok::<_, Error>(())
        })?;
        progress.advance(bytes.len() as u64);
        Ok(())
    }

    fn finish(self) -> Result<RestoredLog> {
        let Self { cutter, mut counter, integrity, staged, comparison, mut lines, .. } = self;
        cutter.finish(|line| {
            Self::push(&mut counter, &mut lines, line);
            Ok::<_, Error>(())
        })?;
        let staged = staged.map(StagedFile::finish).transpose()?;
        let integrity = integrity.unwrap_or_else(IntegrityHasher::finish);
        let here = comparison.and_then(|comparison| comparison.finish(integrity.bytes));
        Ok(RestoredLog { tally: counter.tally, integrity, staged, here, lines: lines.map(|(lines, ..)| lines) })
    }
}
