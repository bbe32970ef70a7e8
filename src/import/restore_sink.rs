//! Receives the bundle's logs while they are restored and verified in one pass. Stages each log
//! beside its target. A dry run keeps only the fingerprints of the lines, and plans each group as
//! soon as it is restored.

use std::cell::RefCell;
use std::collections::HashMap;

use super::context::ImportContext;
use super::plan::{FilePlan, Mode};
use super::planned::preview;
use super::restored::{LineCounter, Restored, RestoredLog};
use super::staging::{StagedFile, Staging};
use super::targets::TargetGroup;
use crate::align::{LineKeying, RowKeys, Side};
use crate::digest::Integrity;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Manifest, ManifestFile};
use crate::progress::Progress;
use crate::restore::{LogSink, LogWriter};
use crate::util::hashing::IntegrityHasher;
use crate::util::line_reader::{Line, LineCutter};

/// The receiver of all restored logs.
pub struct RestoreSink<'i> {
    groups: &'i [TargetGroup],
    context: &'i ImportContext<'i>,
    /// `None` in a dry run.
    staging: Option<&'i Staging>,
    restored: Vec<Restored<'i>>,
    /// The plans of each group in a dry run.
    plans: Vec<Vec<FilePlan>>,
    /// The group and target of each file of the manifest that has one.
    targets_by_file: HashMap<usize, (usize, usize)>,
}

impl<'i> RestoreSink<'i> {
    pub fn new(groups: &'i [TargetGroup], context: &'i ImportContext<'i>, staging: Option<&'i Staging>) -> Self {
        let targets =
            groups.iter().zip(0..).flat_map(|(group, at)| group.targets.iter().zip(0..).map(move |to| (at, to)));
        let by_file = targets.filter_map(|(group, (target, at))| Some((target.bundled?.index, (group, at))));
        let restored = groups.iter().map(Restored::unrestored).collect();
        let plans = groups.iter().map(|_| Vec::new()).collect();
        Self { groups, context, staging, restored, plans, targets_by_file: by_file.collect() }
    }

    /// Continues with groups that may be partly restored.
    pub fn resume_with(&mut self, groups: Vec<Restored<'i>>) {
        self.restored = groups;
    }

    /// Skips the groups whose local logs equal the bundle's. The caller must be able to open the
    /// bundle again.
    pub fn skip_unchanged(&mut self, manifest: &Manifest) -> Result<()> {
        for (at, group) in self.groups.iter().enumerate().filter(|(_, group)| group.may_be_unchanged(self.context.mode))
        {
            match Restored::find_unchanged(group, manifest, self.context) {
                Ok(Some(unchanged)) => self.restored[at] = unchanged,
                Err(error) if matches!(error.kind(), ErrorKind::Cancelled) => return Err(error),
                // If the local log cannot be read, the comparison reports the error later.
                Ok(None) | Err(_) => {}
            }
            self.plan_if_dry_run(at)?;
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

    /// Returns the number of bytes to read for the logs that are not restored yet. A dry run reads
    /// their local logs too.
    pub fn bytes_to_restore(&self) -> u64 {
        let groups = self.restored.iter().filter(|group| group.missing().next().is_some());
        let bytes = groups.map(|restored| {
            let targets = restored.group.targets.iter().zip(&restored.logs);
            let missing = targets.filter(|(_, log)| log.is_none()).filter_map(|(target, _)| target.bundled);
            let local_bytes = if self.staging.is_none() { restored.group.local_bytes() } else { 0 };
            local_bytes + missing.map(|log| log.bytes).sum::<u64>()
        });
        bytes.sum()
    }

    /// Takes the groups, once all their logs are restored.
    pub fn take_restored(&mut self) -> Vec<Restored<'i>> {
        std::mem::take(&mut self.restored)
    }

    /// Returns the plans of a dry run.
    pub fn into_plans(self) -> Vec<FilePlan> {
        self.plans.into_iter().flatten().collect()
    }

    fn plan_if_dry_run(&mut self, group: usize) -> Result<()> {
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
        let lines = is_compared.then(|| (Side::default(), keying, group.keys));
        let lines = LineSink { counter: LineCounter::new(file), lines };
        let integrity = file.integrity().ok_or_else(IntegrityHasher::default);
        Ok(LogReceiver { cutter: LineCutter::default(), lines, integrity, staged, progress: self.context.progress })
    }

    fn end(&mut self, index: usize, _: &ManifestFile, restored: RestoredLog) -> Result<()> {
        let Some(&(group, target)) = self.targets_by_file.get(&index) else { return Ok(()) };
        self.restored[group].logs[target] = Some(restored);
        self.plan_if_dry_run(group)
    }
}

/// The receiver of one log's lines, which counts them, and fingerprints them if a dry run needs
/// that.
struct LineSink {
    counter: LineCounter,
    lines: Option<(Side, LineKeying<'static>, RowKeys)>,
}

impl LineSink {
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
    lines: LineSink,
    /// The manifest's length and digest, or a hasher if the manifest has none, as in format 1.0.
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
