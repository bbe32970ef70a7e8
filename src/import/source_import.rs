//! Plans the import of the logs of one source. A dry run shows the same plan that a real run carries out.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::backup::backup_of;
use super::fingerprint_lines::{each_line, gather};
use super::index::{Fingerprinter, Index, LineKeying, Side, SideLines};
use super::lcs::{Alignment, align};
use super::local::{LocalLog, LogSummary};
use super::lock::Clock;
use super::merge::{MergedLog, outcome};
use super::plan::{Change, FilePlan, LineCount, Mode, Rotation};
use super::restored::RestoredLog;
use super::tally::{LineShape, Tally};
use super::targets::{ImportTarget, TargetGroup};
use crate::digest::Integrity;
use crate::error::{Error, IoAction, Result};
use crate::format::row::classify;
use crate::logs::known;
use crate::progress::Progress;
use crate::util::cancel::CancellableIo;
use crate::util::regular_file;

/// The settings of an import.
pub(super) struct ImportContext<'c> {
    pub(super) mode: Mode,
    /// The time of the import, formatted for the names of backups.
    pub(super) stamp: String,
    /// The hash function whose fingerprints tell lines apart.
    pub(super) fingerprinter: Fingerprinter,
    /// The number of threads that read lines.
    pub(super) threads: NonZeroUsize,
    pub(super) clock: &'c dyn Clock,
}

impl fmt::Debug for ImportContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportContext").field("mode", &self.mode).field("stamp", &self.stamp).finish_non_exhaustive()
    }
}

/// The import of one source's logs, as far as it has come.
pub(super) struct SourceImport<'g> {
    pub(super) group: &'g TargetGroup,
    pub(super) context: &'g ImportContext<'g>,
    pub(super) progress: &'g dyn Progress,
    /// The bundle's log for each target that has one.
    pub(super) restored: Vec<Option<RestoredLog>>,
    /// True if the local logs are known to be the same as the bundle's.
    pub(super) stays: bool,
    /// The number of bytes still to be read for later sources.
    pub(super) later_bytes: u64,
}

/// The local logs, and what comparing them with the bundle's needs.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) locals: Vec<LocalLog>,
    content: ObservedContent,
}

#[derive(Debug)]
enum ObservedContent {
    /// No lines at all.
    Nothing,
    /// The bundle's logs, byte for byte.
    Same,
    /// The lines of both sides, to be merged.
    Sides { local: Side, bundle: Side, distinct: usize },
    /// Summaries, for modes that do not compare lines.
    Summaries(Vec<LogSummary>),
}

impl Observed {
    /// Frees the memory of lines that were compared.
    pub(super) fn forget_lines(&mut self) {
        self.content = ObservedContent::Nothing;
    }

    /// The local side and the bundle's, if they were compared.
    pub(super) fn sides(&self) -> Option<(&Side, &Side)> {
        match &self.content {
            ObservedContent::Sides { local, bundle, .. } => Some((local, bundle)),
            _ => None,
        }
    }
}

/// Everything that can be found out about a group before the bundle's logs are restored.
#[derive(Debug)]
pub(super) enum EarlyObservation {
    /// Everything that is needed. The bundle's lines are not needed.
    Observed(Observed),
    /// This machine has fewer lines, so the bundle's lines are looked up among them.
    LocalFirst { locals: Vec<LocalLog>, local: Side, index: Arc<Index> },
    /// The bundle has fewer lines.
    BundleFirst { locals: Vec<LocalLog> },
}

/// The origin of a target's new version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VersionKind {
    /// The log stays as it is.
    Nothing,
    /// The bundle's log.
    Bundled,
    /// The local lines, then the bundle's.
    Appended,
    /// The lines of both sides.
    Merged,
}

/// The plan for the logs of one source.
#[derive(Debug)]
pub(super) struct GroupPlan {
    pub(super) files: Vec<FilePlan>,
    pub(super) outputs: Vec<VersionKind>,
    /// The match of each line of the bundle, if lines were compared.
    pub(super) alignment: Alignment,
    /// The latest timestamp of a row of either side, in milliseconds since 1970, if lines were compared.
    pub(super) newest: Option<i64>,
}

/// The known state of one target.
struct TargetState<'c> {
    target: &'c ImportTarget,
    local: &'c LocalLog,
    restored: Option<&'c RestoredLog>,
}

impl<'g> SourceImport<'g> {
    pub(super) fn new(group: &'g TargetGroup, context: &'g ImportContext<'g>, progress: &'g dyn Progress) -> Self {
        Self {
            group,
            context,
            progress,
            restored: group.targets.iter().map(|_| None).collect(),
            stays: false,
            later_bytes: 0,
        }
    }

    /// Returns true if all logs that the bundle has for it are restored.
    pub(super) fn is_complete(&self) -> bool {
        let mut targets = self.group.targets.iter().zip(&self.restored);
        targets.all(|(target, restored)| target.bundled.is_none() || restored.is_some())
    }

    /// Reads the local logs. The bundle's logs must have been restored.
    pub(super) fn observe(&mut self) -> Result<Observed> {
        if let Some(locals) = self.unchanged_locals()? {
            return Ok(Observed { locals, content: ObservedContent::Same });
        }
        let ahead = self.observe_early()?;
        self.complete(ahead)
    }

    /// Reads as much of the local logs as is possible without the bundle's lines.
    pub(super) fn observe_early(&self) -> Result<EarlyObservation> {
        let targets = &self.group.targets;
        let without_lock = self.group.lock.is_none() && self.context.mode != Mode::Overwrite;
        let cancellation = self.progress.cancellation();
        let open = |target| match without_lock {
            true => LocalLog::open_without_lock(target, self.context.clock, &cancellation),
            false => LocalLog::open(target),
        };
        let mut locals = targets.iter().map(open).collect::<Result<Vec<_>>>()?;
        let content = if self.context.mode != Mode::Merge {
            let summaries =
                locals.iter_mut().zip(targets).map(|(local, target)| local.summarize(target, self.progress));
            ObservedContent::Summaries(summaries.collect::<Result<_>>()?)
        } else if locals.iter().all(LocalLog::is_empty) {
            ObservedContent::Nothing
        } else if self.is_same(&mut locals)? {
            ObservedContent::Same
        } else {
            let local_bytes: u64 = locals.iter().filter_map(LocalLog::bytes).sum();
            let bundled = targets.iter().filter_map(|target| target.bundled);
            if local_bytes > bundled.map(|log| log.bytes).sum() {
                return Ok(EarlyObservation::BundleFirst { locals });
            }
            let (index, local) =
                self.local_lines(&mut locals, &LineKeying::Fingerprint(self.context.fingerprinter))?.into_index()?;
            return Ok(EarlyObservation::LocalFirst { locals, local, index });
        };
        Ok(EarlyObservation::Observed(Observed { locals, content }))
    }

    /// Returns true if the local logs are the bundle's, byte for byte, and all others are empty or missing.
    fn is_same(&self, locals: &mut [LocalLog]) -> Result<bool> {
        let targets = self.group.targets.iter().zip(&self.restored);
        let expected: Vec<_> = targets
            .map(|(target, restored)| match (restored, target.bundled) {
                (Some(restored), _) => Some(restored.integrity),
                (None, bundled) => bundled.and_then(|bundled| bundled.integrity),
            })
            .collect();
        let is_as_long = |(local, expected): (&LocalLog, &Option<Integrity>)| match expected {
            Some(expected) => local.bytes() == Some(expected.bytes),
            None => local.is_empty(),
        };
        if !locals.iter().zip(&expected).all(is_as_long) || self.lacks_hashes() {
            return Ok(false);
        }
        for ((local, expected), target) in locals.iter_mut().zip(expected).zip(&self.group.targets) {
            if expected.is_some()
                && local.integrity(self.progress).map_err(|error| error.in_subject(&target.subject()))? != expected
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns true if the digest of one of the bundle's logs is still unknown.
    fn lacks_hashes(&self) -> bool {
        let mut targets = self.group.targets.iter().zip(&self.restored);
        targets.any(|(target, restored)| {
            restored.is_none() && target.bundled.is_some_and(|bundled| bundled.integrity.is_none())
        })
    }

    fn local_lines(&self, locals: &mut [LocalLog], keying: &LineKeying) -> Result<SideLines> {
        let logs = locals.iter_mut().zip(&self.group.targets).map(|(local, target)| {
            let log = local.log.as_mut().map(|log| CancellableIo::counted(log, self.progress));
            (log, target.subject())
        });
        gather(logs, self.group.times, keying, self.context.threads)
    }

    /// Completes an observation once the bundle's logs are restored.
    pub(super) fn complete(&mut self, ahead: EarlyObservation) -> Result<Observed> {
        let (locals, local, bundle, index) = match ahead {
            EarlyObservation::Observed(found) => return Ok(found),
            EarlyObservation::LocalFirst { locals, local, index } => {
                let bundle = self.bundle_lines(&LineKeying::Lookup(self.context.fingerprinter, Arc::clone(&index)))?;
                (locals, local, bundle.into_side(), index)
            }
            EarlyObservation::BundleFirst { mut locals } => {
                let bundle = self.bundle_lines(&LineKeying::Fingerprint(self.context.fingerprinter))?;
                let (index, bundle) = bundle.into_index()?;
                let keying = LineKeying::Lookup(self.context.fingerprinter, Arc::clone(&index));
                let local = self.local_lines(&mut locals, &keying)?.into_side();
                (locals, local, bundle, index)
            }
        };
        let distinct = index.lines();
        Ok(Observed { locals, content: ObservedContent::Sides { local, bundle, distinct } })
    }

    /// Returns the lines of the bundle's logs: those that were taken during the restore, or else those of the
    /// staged logs.
    fn bundle_lines(&mut self, keying: &LineKeying) -> Result<SideLines> {
        let mut side = SideLines::default();
        for restored in &mut self.restored {
            if let Some(RestoredLog { lines: Some(lines), .. }) = restored {
                side.append(std::mem::take(lines))?;
            } else if let Some(RestoredLog { staged: Some(path), .. }) = restored {
                let log = regular_file::open_no_follow(path).map_err(|error| Error::io(IoAction::Open, path, error))?;
                let log =
                    std::iter::once((Some(CancellableIo::counted(log, self.progress)), path.display().to_string()));
                side.append_side(gather(log, self.group.times, keying, self.context.threads)?)?;
            }
            side.end_log();
        }
        Ok(side)
    }

    /// Plans the new versions.
    pub(super) fn plan(&self, found: &Observed) -> GroupPlan {
        let ObservedContent::Sides { local, bundle, distinct } = &found.content else {
            return self.plan_without_lines(found);
        };
        let alignment = align(&local.ids, &bundle.ids, *distinct);
        let merged = outcome(local, bundle, &alignment, self.group.targets.len());
        let outcomes = self.cases(found).zip(&merged).map(|(case, merged)| case.merged(merged)).collect();
        let newest = local.metas.iter().chain(bundle.metas.iter()).filter_map(|meta| meta.time).max();
        GroupPlan { newest, ..GroupPlan::new(self.group, outcomes, alignment) }
    }

    fn plan_without_lines(&self, found: &Observed) -> GroupPlan {
        let nothing = LogSummary::default();
        let cases = self.cases(found).enumerate().map(|(index, case)| match &found.content {
            ObservedContent::Summaries(summaries) if self.context.mode == Mode::Append => {
                case.appended(&summaries[index])
            }
            ObservedContent::Summaries(summaries) => case.overwritten(&summaries[index], self.context),
            ObservedContent::Same => case.same(),
            _ => case.appended(&nothing),
        });
        let outcomes = cases.collect();
        GroupPlan::new(self.group, outcomes, Alignment::default())
    }

    fn cases<'c>(&'c self, found: &'c Observed) -> impl Iterator<Item = TargetState<'c>> {
        let known = self.group.targets.iter().zip(&found.locals).zip(&self.restored);
        known.map(|((target, local), restored)| TargetState { target, local, restored: restored.as_ref() })
    }
}

impl TargetState<'_> {
    fn merged(&self, merged: &MergedLog) -> TargetOutcome {
        // An empty log is created, but not one whose lines are all in another log.
        let appears = merged.after.bytes > 0 || self.restored.is_some_and(|log| log.integrity.bytes == 0);
        let output = match self.local.bytes() {
            Some(_) if merged.new.all() == 0 => VersionKind::Nothing,
            None if !appears => VersionKind::Nothing,
            _ if merged.is_bundled_log && self.restored.is_some() => VersionKind::Bundled,
            _ => VersionKind::Merged,
        };
        let counts = LineCounts { new: merged.new, already_there: merged.already_there, kept: merged.kept };
        TargetOutcome { file: self.file_plan(output, counts, &merged.after), output, after: merged.after.clone() }
    }

    /// Returns the outcome for a log that this machine already has, byte for byte.
    fn same(&self) -> TargetOutcome {
        let tally = self.restored.map(|restored| restored.tally.clone()).unwrap_or_default();
        let counts = LineCounts { already_there: tally.lines, kept: tally.lines, ..LineCounts::default() };
        TargetOutcome {
            file: self.file_plan(VersionKind::Nothing, counts, &tally),
            output: VersionKind::Nothing,
            after: tally,
        }
    }

    /// Returns the outcome of an append. In every mode, this is also the outcome for a log that is empty or
    /// missing.
    fn appended(&self, local: &LogSummary) -> TargetOutcome {
        let mut after = local.tally.clone();
        let mut new = LineCount::default();
        if let Some(restored) = self.restored {
            after.append(&restored.tally);
            new = restored.tally.lines;
        }
        let output = match self.local.bytes() {
            Some(_) if new.all() == 0 => VersionKind::Nothing,
            None if self.restored.is_none() => VersionKind::Nothing,
            None | Some(0) => VersionKind::Bundled,
            Some(_) => VersionKind::Appended,
        };
        let counts = LineCounts { new, kept: local.lines(), ..LineCounts::default() };
        TargetOutcome { file: self.file_plan(output, counts, &after), output, after }
    }

    fn overwritten(&self, local: &LogSummary, context: &ImportContext<'_>) -> TargetOutcome {
        let Some(restored) = self.restored else { return self.appended(local) };
        if local.integrity == Some(restored.integrity) {
            let counts = LineCounts { kept: local.lines(), already_there: local.lines(), ..LineCounts::default() };
            let file = self.file_plan(VersionKind::Nothing, counts, &local.tally);
            return TargetOutcome { file, output: VersionKind::Nothing, after: local.tally.clone() };
        }
        let counts = LineCounts { new: restored.tally.lines, ..LineCounts::default() };
        let mut file = self.file_plan(VersionKind::Bundled, counts, &restored.tally);
        file.replaced = local.lines();
        file.backup = (!self.local.is_empty()).then(|| backup_of(&self.target.log.path, &context.stamp));
        TargetOutcome { file, output: VersionKind::Bundled, after: restored.tally.clone() }
    }

    fn file_plan(&self, output: VersionKind, counts: LineCounts, after: &Tally) -> FilePlan {
        let id = &self.target.log.id;
        FilePlan {
            source: id.source.clone(),
            file: id.name.clone(),
            base: id.base,
            path: self.target.writer_path.clone(),
            change: match (output, self.local.bytes()) {
                (VersionKind::Nothing, _) => Change::Nothing,
                (_, None) => Change::Created,
                (_, Some(_)) => Change::Changed,
            },
            new: counts.new,
            already_there: counts.already_there,
            kept: counts.kept,
            replaced: LineCount::default(),
            bytes_before: self.local.bytes(),
            bytes_after: after.bytes,
            rotation: None,
            backup: None,
        }
    }
}

impl GroupPlan {
    /// Adds the rotation forecast, for which all logs of the source must be known.
    fn new(group: &TargetGroup, mut outcomes: Vec<TargetOutcome>, alignment: Alignment) -> Self {
        for at in 0..outcomes.len() {
            outcomes[at].file.rotation = rotation_of(group, &outcomes, at);
        }
        let (files, outputs) = outcomes.into_iter().map(|outcome| (outcome.file, outcome.output)).unzip();
        Self { files, outputs, alignment, newest: None }
    }
}

/// Forecasts how Patchwork's next write changes a log. For logs outside the catalogue, neither the way they are
/// written nor which of them are trimmed is known.
fn rotation_of(group: &TargetGroup, outcomes: &[TargetOutcome], at: usize) -> Option<Rotation> {
    let TargetOutcome { file, after, .. } = &outcomes[at];
    let source = known(file.source.as_str()).filter(|source| !source.is_archive(file.file.as_str()))?;
    let Some(archive) = source.archive_of(file.file.as_str()) else { return after.rotation(source.rotation, None) };
    // The archive is one of the logs, or a log that this import does not include.
    match outcomes.iter().find(|outcome| outcome.file.file.as_str() == archive) {
        Some(outcome) => after.rotation(source.rotation, Some((archive, &outcome.after))),
        None if after.is_rotated() => {
            let there = tally_of(group, archive);
            after.rotation(source.rotation, Some((archive, &there)))
        }
        None => None,
    }
}

/// Sums up a log that this import only needs to know about. A log that cannot be read counts as empty.
fn tally_of(group: &TargetGroup, name: &str) -> Tally {
    let mut tally = Tally::default();
    if let Ok(log) = group.open_beside(name) {
        let read = each_line(log, |line| {
            tally.push(LineShape::of(line, classify(line.bytes, &[]).is_some()));
            Ok(())
        });
        if read.is_err() {
            return Tally::default();
        }
    }
    tally
}

/// The planned outcome for one target.
struct TargetOutcome {
    file: FilePlan,
    output: VersionKind,
    after: Tally,
}

#[derive(Clone, Copy, Default)]
struct LineCounts {
    new: LineCount,
    already_there: LineCount,
    kept: LineCount,
}
