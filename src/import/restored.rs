//! Receives the logs of a bundle as they are restored. It counts their lines, and stages the logs beside their
//! targets or, in a dry run, keeps only the fingerprints of lines.

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
use crate::digest::Integrity;
use crate::error::{Error, ErrorKind, Result};
use crate::format::ManifestFile;
use crate::progress::Progress;
use crate::restore::{LogSink, LogWriter};
use crate::util::hashing::IntegrityHasher;
use crate::util::line_reader::{Line, LineCutter};

/// A log of the bundle, verified against the manifest where that has digests.
#[derive(Debug)]
pub(super) struct RestoredLog {
    pub(super) tally: Tally,
    pub(super) integrity: Integrity,
    /// The path of the staged log. `None` in a dry run, and for a log that was compared with the local one.
    pub(super) staged: Option<PathBuf>,
    /// The local log, as it was when it was found to be the same, byte for byte.
    pub(super) same_local: Option<LocalLog>,
    /// Its lines, if a dry run needs them.
    pub(super) lines: Option<KeyedLines>,
}

/// A counter of lines. Every line is a row unless the manifest lists it as unparsed.
struct LineCounter {
    tally: Tally,
    /// The first and last line of each run of unparsed lines, counted from 1.
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

/// The receiver of all restored logs.
pub(super) struct RestoreSink<'i> {
    groups: &'i [TargetGroup],
    works: Vec<SourceImport<'i>>,
    /// `None` in a dry run.
    staging: Option<&'i Staging>,
    /// True if logs that may be unchanged are compared with the local ones instead of being staged.
    compares: bool,
    /// The observations that a dry run made of each group before its logs were restored.
    ahead: Vec<Option<EarlyObservation>>,
    plans: Vec<Option<GroupPlan>>,
    /// The group and target of each file of the manifest that has one.
    targets_by_file: HashMap<usize, (usize, usize)>,
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
        Self {
            groups,
            works,
            staging,
            compares: false,
            ahead,
            plans,
            targets_by_file: targets_by_file(groups),
            progress,
        }
    }

    /// Chooses whether logs that may be unchanged are compared instead of being staged. This requires that the
    /// bundle can be restored again.
    pub(super) fn comparing(self, compares: bool) -> Self {
        Self { compares, ..self }
    }

    /// Continues with groups of which some logs are restored.
    pub(super) fn with(self, works: Vec<SourceImport<'i>>) -> Self {
        Self { works, ..self }
    }

    /// Returns the groups with their restored logs, once all are restored.
    pub(super) fn into_works(self) -> Vec<SourceImport<'i>> {
        self.works
    }

    /// Returns the plans of a dry run.
    pub(super) fn into_plans(self) -> Vec<GroupPlan> {
        self.plans.into_iter().flatten().collect()
    }

    /// Returns how a dry run keys the lines of a log, if it needs them.
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

fn targets_by_file(groups: &[TargetGroup]) -> HashMap<usize, (usize, usize)> {
    let mut by_file = HashMap::new();
    for (group, TargetGroup { targets, .. }) in groups.iter().enumerate() {
        let bundled =
            targets.iter().enumerate().filter_map(|(target, log)| Some((log.bundled?.index, (group, target))));
        by_file.extend(bundled);
    }
    by_file
}

impl<'i> LogSink for RestoreSink<'i> {
    type Writer = LogReceiver<'i>;

    fn begin(&mut self, index: usize, file: &ManifestFile) -> Result<LogReceiver<'i>> {
        let found = self.targets_by_file.get(&index).copied();
        // Only logs that have a target are restored.
        let (group, target) = found.ok_or_else(|| Error::from(ErrorKind::RestoredDiffers))?;
        let to = &self.groups[group].targets[target];
        let may_be_unchanged = self.compares && self.groups[group].may_be_unchanged(self.works[group].context.mode);
        let comparison = may_be_unchanged.then(|| Comparison::start(to)).flatten();
        let (staged, lines) = match self.staging {
            Some(_) if comparison.is_some() => (None, None),
            Some(staging) => (Some(staging.file(&to.log.path)?), None),
            None => {
                let keying = self.lines(group)?;
                (None, keying.map(|keying| (KeyedLines::default(), keying, self.groups[group].times)))
            }
        };
        let (cutter, counter) = (LineCutter::default(), LineCounter::new(file));
        let integrity = file.integrity().ok_or_else(IntegrityHasher::default);
        Ok(LogReceiver { cutter, counter, integrity, staged, comparison, lines, progress: self.progress })
    }

    fn end(&mut self, index: usize, _: &ManifestFile, restored: RestoredLog) -> Result<()> {
        let Some(&(group, target)) = self.targets_by_file.get(&index) else { return Ok(()) };
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

/// The receiver of one log that is being restored.
pub(super) struct LogReceiver<'i> {
    cutter: LineCutter,
    counter: LineCounter,
    /// The manifest's digests, or a hasher if the manifest is of format 1.0 and has none.
    integrity: Result<Integrity, IntegrityHasher>,
    staged: Option<StagedFile>,
    comparison: Option<Comparison>,
    /// Its lines, if a dry run needs them.
    lines: Option<(KeyedLines, LineKeying, RowKeys)>,
    progress: &'i dyn Progress,
}

impl LogReceiver<'_> {
    fn push(counter: &mut LineCounter, lines: &mut Option<(KeyedLines, LineKeying, RowKeys)>, line: Line<'_>) {
        counter.push(line);
        if let Some((lines, keying, keys)) = lines {
            lines.push(line, *keys, keying);
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
        let same_local = comparison.and_then(|comparison| comparison.finish(integrity.bytes));
        Ok(RestoredLog { tally: counter.tally, integrity, staged, same_local, lines: lines.map(|(lines, ..)| lines) })
    }
}
