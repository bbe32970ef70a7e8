//! Stage 1: restores the bundle's logs and verifies them, in one pass. Stages each log beside its target; a dry run
//! keeps only the fingerprints of its lines.
//!
//! A group whose local logs have the manifest's SHA-256 is not restored. Should a local log change before the commit,
//! its group is restored then.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;

use super::context::ImportContext;
use super::local::LocalLog;
use super::plan::{FilePlan, Mode};
use super::planned::preview;
use super::staging::{StagedFile, Staging};
use super::tally::Tally;
use super::targets::{ImportTarget, TargetGroup};
use crate::digest::Integrity;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Manifest, ManifestFile};
use crate::merge::{KeyedLines, LineKeying, LineShape, RowKeys};
use crate::progress::Progress;
use crate::restore::{LogSink, LogWriter};
use crate::util::hashing::IntegrityHasher;
use crate::util::line_reader::{Line, LineCutter};

/// The logs of a group as the bundle has them.
#[derive(Debug)]
pub struct Restored<'g> {
    pub group: &'g TargetGroup,
    /// The bundle's log for each target that has one.
    pub logs: Vec<Option<RestoredLog>>,
    /// The local logs, closed, if they were found to be the bundle's, byte for byte. Then nothing is restored.
    pub unchanged: Option<Vec<LocalLog>>,
}

/// A log of the bundle, verified against the manifest where that has digests.
#[derive(Debug)]
pub struct RestoredLog {
    pub tally: Tally,
    pub integrity: Integrity,
    /// The path of the staged log. `None` in a dry run, and in an unchanged group.
    pub staged: Option<PathBuf>,
    /// Its lines, if a dry run needs them. Its observation takes them.
    pub lines: RefCell<KeyedLines>,
}

impl<'g> Restored<'g> {
    pub fn nothing_of(group: &'g TargetGroup) -> Self {
        Self { group, logs: group.targets.iter().map(|_| None).collect(), unchanged: None }
    }

    /// Returns the indices, in the manifest, of the logs that are not restored yet.
    fn missing(&self) -> impl Iterator<Item = usize> {
        let targets = self.group.targets.iter().zip(&self.logs);
        targets.filter(|(_, restored)| restored.is_none()).filter_map(|(target, _)| target.bundled.map(|log| log.index))
    }

    /// Returns the number of bytes to read to compare it with the local logs.
    pub fn bytes_to_compare(&self, mode: Mode) -> u64 {
        let bundled: u64 = self.logs.iter().flatten().map(|restored| restored.integrity.bytes).sum();
        match (&self.unchanged, self.group.local_bytes(), mode) {
            (Some(_), ..) => 0,
            (None, here, Mode::Merge) if here > 0 => here + bundled,
            (None, here, _) => here,
        }
    }

    /// Returns the group if its local logs are the bundle's, byte for byte, and all others are empty or missing.
    fn find_unchanged(
        group: &'g TargetGroup,
        manifest: &Manifest,
        context: &ImportContext<'_>,
    ) -> Result<Option<Self>> {
        let mut found = Self::nothing_of(group);
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
    /// Returns true in merge mode if its local logs are as long as the bundle's, so that they may be the same.
    fn may_be_unchanged(&self, mode: Mode) -> bool {
        let is_as_long = |target: &ImportTarget| {
            let expected = target.bundled.map_or(Some(0), |log| log.integrity.map(|expected| expected.bytes));
            expected == Some(target.local_bytes())
        };
        mode == Mode::Merge && self.targets.iter().all(is_as_long)
    }
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
pub struct RestoreSink<'i> {
    groups: &'i [TargetGroup],
    context: &'i ImportContext<'i>,
    /// `None` in a dry run.
    staging: Option<&'i Staging>,
    restored: Vec<Restored<'i>>,
    /// The plans of a dry run, which are made as soon as a group is restored.
    plans: Vec<Vec<FilePlan>>,
    /// The group and target of each file of the manifest that has one.
    targets_by_file: HashMap<usize, (usize, usize)>,
}

impl<'i> RestoreSink<'i> {
    pub fn new(groups: &'i [TargetGroup], context: &'i ImportContext<'i>, staging: Option<&'i Staging>) -> Self {
        let targets =
            groups.iter().zip(0..).flat_map(|(group, at)| group.targets.iter().zip(0..).map(move |to| (at, to)));
        let by_file = targets.filter_map(|(group, (target, at))| Some((target.bundled?.index, (group, at))));
        let restored = groups.iter().map(Restored::nothing_of).collect();
        let plans = groups.iter().map(|_| Vec::new()).collect();
        Self { groups, context, staging, restored, plans, targets_by_file: by_file.collect() }
    }

    /// Continues with groups of which some logs are restored.
    pub fn resume_with(&mut self, groups: Vec<Restored<'i>>) {
        self.restored = groups;
    }

    /// Skips the groups whose local logs are the bundle's. This requires that the bundle can be opened again.
    pub fn skip_unchanged(&mut self, manifest: &Manifest) -> Result<()> {
        for (at, group) in self.groups.iter().enumerate().filter(|(_, group)| group.may_be_unchanged(self.context.mode))
        {
            match Restored::find_unchanged(group, manifest, self.context) {
                Ok(Some(unchanged)) => self.restored[at] = unchanged,
                Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => return Err(error),
                // The comparison reports what is wrong with the local log.
                Ok(None) | Err(_) => {}
            }
            self.plan_if_dry(at)?;
        }
        Ok(())
    }

    /// Returns the number of bytes that [`skip_unchanged`](Self::skip_unchanged) reads.
    pub fn bytes_to_hash(&self) -> u64 {
        let groups = self.groups.iter().filter(|group| group.may_be_unchanged(self.context.mode));
        groups.map(TargetGroup::local_bytes).sum()
    }

    /// Returns the indices, in the manifest, of the logs that are not restored yet.
    pub fn missing(&self) -> Vec<usize> {
        self.restored.iter().flat_map(Restored::missing).collect()
    }

    /// Returns the number of bytes to read for the logs that are not restored yet. A dry run compares them meanwhile.
    pub fn bytes_to_restore(&self) -> u64 {
        let groups = self.restored.iter().filter(|group| group.missing().next().is_some());
        let bytes = groups.map(|restored| {
            let targets = restored.group.targets.iter().zip(&restored.logs);
            let missing = targets.filter(|(_, log)| log.is_none()).filter_map(|(target, _)| target.bundled);
            let here = if self.staging.is_none() { restored.group.local_bytes() } else { 0 };
            here + missing.map(|log| log.bytes).sum::<u64>()
        });
        bytes.sum()
    }

    /// Returns the groups with their restored logs, once all are restored.
    pub fn take_restored(&mut self) -> Vec<Restored<'i>> {
        std::mem::take(&mut self.restored)
    }

    /// Returns the plans of a dry run.
    pub fn into_plans(self) -> Vec<FilePlan> {
        self.plans.into_iter().flatten().collect()
    }

    fn plan_if_dry(&mut self, group: usize) -> Result<()> {
        if self.staging.is_none() && self.restored[group].missing().next().is_none() {
            self.plans[group] = preview(&self.restored[group], self.context)?;
        }
        Ok(())
    }
}

impl<'i> LogSink for RestoreSink<'i> {
    type Writer = LogReceiver<'i>;

    fn begin(&mut self, index: usize, file: &ManifestFile) -> Result<LogReceiver<'i>> {
        let found = self.targets_by_file.get(&index);
        // Only logs that have a target are restored.
        let (group, target) = found.ok_or_else(|| Error::from(ErrorKind::RestoredDiffers))?;
        let group = &self.groups[*group];
        let staged = self.staging.map(|staging| staging.file(&group.targets[*target].log.path)).transpose()?;
        let is_compared = staged.is_none() && self.context.mode == Mode::Merge && group.local_bytes() > 0;
        let keying = LineKeying::Fingerprint(self.context.fingerprinter);
        let lines = is_compared.then(|| (KeyedLines::default(), keying, group.keys));
        let lines = KeyedLinesSink { counter: LineCounter::new(file), lines };
        let integrity = file.integrity().ok_or_else(IntegrityHasher::default);
        Ok(LogReceiver { cutter: LineCutter::default(), lines, integrity, staged, progress: self.context.progress })
    }

    fn end(&mut self, index: usize, _: &ManifestFile, restored: RestoredLog) -> Result<()> {
        let Some(&(group, target)) = self.targets_by_file.get(&index) else { return Ok(()) };
        self.restored[group].logs[target] = Some(restored);
        self.plan_if_dry(group)
    }
}

/// The lines of one log that is being restored: counted, and fingerprinted if a dry run needs that.
struct KeyedLinesSink {
    counter: LineCounter,
    lines: Option<(KeyedLines, LineKeying<'static>, RowKeys)>,
}

impl KeyedLinesSink {
    fn push(&mut self, line: Line<'_>) {
        self.counter.push(line);
        if let Some((lines, keying, keys)) = &mut self.lines {
            lines.push(line, *keys, *keying);
        }
    }
}

/// The receiver of one log that is being restored.
pub struct LogReceiver<'i> {
    cutter: LineCutter,
    lines: KeyedLinesSink,
    /// The manifest's digests, or a hasher if the manifest is of format 1.0 and has none.
    integrity: Result<Integrity, IntegrityHasher>,
    staged: Option<StagedFile>,
    progress: &'i dyn Progress,
}

impl LogWriter for LogReceiver<'_> {
    type Done = RestoredLog;

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Self { cutter, lines, integrity, staged, progress } = self;
        if let Err(hasher) = integrity {
            hasher.update(bytes);
        }
        progress.cancellation().check()?;
        if let Some(staged) = staged {
            staged.write(bytes)?;
        }
        cutter.push(bytes, |line| {
            lines.push(line);
            Ok::<_, Error>(())
        })?;
        progress.advance(bytes.len() as u64);
        Ok(())
    }

    fn finish(self) -> Result<RestoredLog> {
        let Self { cutter, mut lines, integrity, staged, .. } = self;
        cutter.finish(|line| {
            lines.push(line);
            Ok::<_, Error>(())
        })?;
        let staged = staged.map(StagedFile::finish).transpose()?;
        let integrity = integrity.unwrap_or_else(IntegrityHasher::finish);
        let keyed = lines.lines.map(|(lines, ..)| lines).unwrap_or_default();
        Ok(RestoredLog { tally: lines.counter.tally, integrity, staged, lines: RefCell::new(keyed) })
    }
}
