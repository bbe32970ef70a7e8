//! Works out what becomes of the logs of one source: the one plan that a dry run shows and a real run carries out.

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
use crate::format::line::classify;
use crate::import::regular_file;
use crate::progress::{CancellableIo, Progress};
use crate::sources::known;

/// How logs are imported.
pub(super) struct ImportContext<'c> {
    pub(super) mode: Mode,
    /// When, as it stands in the names of backups.
    pub(super) stamp: String,
    /// How lines are told apart.
    pub(super) fingerprinter: Fingerprinter,
    /// How many threads read lines.
    pub(super) threads: NonZeroUsize,
    pub(super) clock: &'c dyn Clock,
}

impl fmt::Debug for ImportContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("mode", &self.mode).field("stamp", &self.stamp).finish_non_exhaustive()
    }
}

/// The logs of one source, as far as they are known.
pub(super) struct SourceImport<'g> {
    pub(super) group: &'g TargetGroup,
    pub(super) context: &'g ImportContext<'g>,
    pub(super) progress: &'g dyn Progress,
    /// The bundle's logs, of each target that it has.
    pub(super) restored: Vec<Option<RestoredLog>>,
    /// Whether it is settled that what is there is what the bundle has.
    pub(super) stays: bool,
    /// How many bytes are still to be read for the sources behind this one.
    pub(super) behind: u64,
}

/// What is there already.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) locals: Vec<LocalLog>,
    content: ObservedContent,
}

#[derive(Debug)]
enum ObservedContent {
    /// No line at all.
    Nothing,
    /// The bundle's logs, byte for byte.
    Same,
    /// The lines of both sides, to be merged.
    Sides { local: Side, bundle: Side, distinct: usize },
    /// What is needed where lines are not compared.
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

/// What can be found out about a group before the bundle's logs are restored.
#[derive(Debug)]
pub(super) enum EarlyObservation {
    /// All there is to find out. Of the bundle's lines nothing is needed.
    Observed(Observed),
    /// This machine has fewer lines, so the bundle's are looked up in them.
    LocalFirst { locals: Vec<LocalLog>, local: Side, index: Arc<Index> },
    /// The bundle has fewer lines.
    BundleFirst { locals: Vec<LocalLog> },
}

/// What a target's new version is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VersionKind {
    /// It stays as it is.
    Nothing,
    /// It is the bundle's log.
    Bundled,
    /// The local lines, then the bundle's.
    Appended,
    /// The lines of both sides.
    Merged,
}

/// What becomes of the logs of one source.
#[derive(Debug)]
pub(super) struct GroupPlan {
    pub(super) files: Vec<FilePlan>,
    pub(super) outputs: Vec<VersionKind>,
    /// What becomes of each line of the bundle, if they were compared.
    pub(super) fates: Alignment,
    /// The newest time of a row of either side, in milliseconds since 1970, if lines were compared.
    pub(super) newest: Option<i64>,
}

/// One target, and what is known of it.
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
            behind: 0,
        }
    }

    /// Whether all logs that the bundle has of it are restored.
    pub(super) fn is_complete(&self) -> bool {
        let mut targets = self.group.targets.iter().zip(&self.restored);
        targets.all(|(target, restored)| target.bundled.is_none() || restored.is_some())
    }

    /// Reads what is there. The bundle's logs are restored.
    pub(super) fn find(&mut self) -> Result<Observed> {
        if let Some(locals) = self.settled()? {
            return Ok(Observed { locals, content: ObservedContent::Same });
        }
        let ahead = self.observe_early()?;
        self.complete(ahead)
    }

    /// Reads what is there, as far as that is possible without the bundle's lines.
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

    /// Whether this machine has the bundle's logs, byte for byte, and no more.
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

    /// Whether nothing is known yet that proves one of the bundle's logs.
    fn lacks_hashes(&self) -> bool {
        let mut targets = self.group.targets.iter().zip(&self.restored);
        targets.any(|(target, restored)| {
            restored.is_none() && target.bundled.is_some_and(|bundled| bundled.integrity.is_none())
        })
    }

    fn local_lines(&self, locals: &mut [LocalLog], telling: &LineKeying) -> Result<SideLines> {
        let logs = locals.iter_mut().zip(&self.group.targets).map(|(local, target)| {
            let log = local.log.as_mut().map(|log| CancellableIo::counted(log, self.progress));
            (log, target.subject())
        });
        gather(logs, self.group.times, telling, self.context.threads)
    }

    /// Adds what was to be found out once the bundle's logs are restored.
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
                let telling = LineKeying::Lookup(self.context.fingerprinter, Arc::clone(&index));
                let local = self.local_lines(&mut locals, &telling)?.into_side();
                (locals, local, bundle, index)
            }
        };
        let distinct = index.lines();
        Ok(Observed { locals, content: ObservedContent::Sides { local, bundle, distinct } })
    }

    /// The lines of the bundle's logs: those that were taken as they came, or else from where the logs wait.
    fn bundle_lines(&mut self, telling: &LineKeying) -> Result<SideLines> {
        let mut side = SideLines::default();
        for restored in &mut self.restored {
            if let Some(RestoredLog { lines: Some(lines), .. }) = restored {
                side.append(std::mem::take(lines))?;
            } else if let Some(RestoredLog { staged: Some(path), .. }) = restored {
                let log = regular_file::open(path).map_err(|error| Error::io(IoAction::Open, path, error))?;
                let log =
                    std::iter::once((Some(CancellableIo::counted(log, self.progress)), path.display().to_string()));
                side.append_side(gather(log, self.group.times, telling, self.context.threads)?)?;
            }
            side.end_log();
        }
        Ok(side)
    }

    /// Works out what becomes of what was found.
    pub(super) fn plan(&self, found: &Observed) -> GroupPlan {
        let ObservedContent::Sides { local, bundle, distinct } = &found.content else {
            return self.plan_without_lines(found);
        };
        let fates = align(&local.ids, &bundle.ids, *distinct);
        let merged = outcome(local, bundle, &fates, self.group.targets.len());
        let outcomes = self.cases(found).zip(&merged).map(|(case, merged)| case.merged(merged)).collect();
        let newest = local.facts.iter().chain(bundle.facts.iter()).filter_map(|fact| fact.time).max();
        GroupPlan { newest, ..GroupPlan::new(self.group, outcomes, fates) }
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

    /// A log that this machine has already, byte for byte.
    fn same(&self) -> TargetOutcome {
        let tally = self.restored.map(|restored| restored.tally.clone()).unwrap_or_default();
        let counts = LineCounts { already_there: tally.lines, kept: tally.lines, ..LineCounts::default() };
        TargetOutcome {
            file: self.file_plan(VersionKind::Nothing, counts, &tally),
            output: VersionKind::Nothing,
            after: tally,
        }
    }

    /// Also what becomes of a log that is empty or not there, whatever the mode.
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
            path: self.target.place.clone(),
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
    /// Adds the forecast of rotation, for which all logs of the source must be known.
    fn new(group: &TargetGroup, mut outcomes: Vec<TargetOutcome>, fates: Alignment) -> Self {
        for at in 0..outcomes.len() {
            outcomes[at].file.rotation = rotation_of(group, &outcomes, at);
        }
        let (files, outputs) = outcomes.into_iter().map(|outcome| (outcome.file, outcome.output)).unzip();
        Self { files, outputs, fates, newest: None }
    }
}

/// Forecasts what Patchwork's next write does to a log. How it writes logs that the catalogue does not have, and
/// which of them it trims, is not known.
fn rotation_of(group: &TargetGroup, outcomes: &[TargetOutcome], at: usize) -> Option<Rotation> {
    let TargetOutcome { file, after, .. } = &outcomes[at];
    let source = known(file.source.as_str()).filter(|source| !source.is_archive(file.file.as_str()))?;
    let Some(archive) = source.archive_of(file.file.as_str()) else { return after.rotation(source.rotation, None) };
    // The archive is one of the logs, or one that this import does not look at.
    match outcomes.iter().find(|outcome| outcome.file.file.as_str() == archive) {
        Some(outcome) => after.rotation(source.rotation, Some((archive, &outcome.after))),
        None if after.is_rotated() => {
            let there = tally_of(group, archive);
            after.rotation(source.rotation, Some((archive, &there)))
        }
        None => None,
    }
}

/// Sums up a log that this import only has to know of. What cannot be read counts as nothing.
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

/// What becomes of one target.
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
