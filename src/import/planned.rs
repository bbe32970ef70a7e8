//! Stage 3: plans the new version of each log.

use super::backup::backup_of;
use super::context::ImportContext;
use super::local::{LocalLog, LogSummary};
use super::observed::{ComparedLines, Observed, ObservedContent, observe};
use super::plan::{Change, FilePlan, LineCount, Mode, Rotation};
use super::restored::{Restored, RestoredLog};
use super::tally::Tally;
use super::targets::{ImportTarget, TargetGroup};
use crate::align::{Alignment, LineMatch, LineShape, MergeStep, Side, align, each_line, each_step};
use crate::error::Result;
use crate::format::row::classify;
use crate::logs::known;

/// An observed group, and the plan for its logs.
#[derive(Debug)]
pub struct Planned<'r, 'g> {
    pub observed: Observed<'r, 'g>,
    pub files: Vec<FilePlan>,
    pub outputs: Vec<VersionKind>,
    /// The match of each line of the bundle, if lines were compared.
    pub alignment: Alignment,
    /// The latest timestamp of a row of either side, in milliseconds since 1970, if lines were
    /// compared.
    pub newest: Option<i64>,
}

/// The origin of a target's new version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionKind {
    /// The log stays as it is.
    Nothing,
    /// The bundle's log.
    Bundled,
    /// The local lines, then the bundle's.
    Appended,
    /// The lines of both sides.
    Merged,
}

/// Returns the plan for a group, without carrying it out.
pub fn preview(restored: &Restored<'_>, context: &ImportContext<'_>) -> Result<Vec<FilePlan>> {
    observe(restored, context).map(|observed| plan(observed, context).files)
}

/// Plans the new versions.
pub fn plan<'r, 'g>(observed: Observed<'r, 'g>, context: &ImportContext<'_>) -> Planned<'r, 'g> {
    let group = observed.restored.group;
    let (mut alignment, mut newest) = (Alignment::default(), None);
    let outcomes: Vec<TargetOutcome> = match &observed.content {
        ObservedContent::Compared(lines) => {
            let ComparedLines { local, bundle, distinct } = &**lines;
            alignment = align(&local.ids, &bundle.ids, *distinct);
            newest = local.metas.iter().chain(bundle.metas.iter()).filter_map(|meta| meta.time).max();
            let merged = merged_logs(local, bundle, &alignment, group.targets.len());
            states(&observed).zip(&merged).map(|(state, merged)| state.merged(merged)).collect()
        }
        ObservedContent::Same => states(&observed).map(|state| state.same()).collect(),
        ObservedContent::Nothing => states(&observed).map(|state| state.appended(&LogSummary::default())).collect(),
        ObservedContent::Summaries(summaries) if context.mode == Mode::Append => {
            states(&observed).zip(summaries).map(|(state, local)| state.appended(local)).collect()
        }
        ObservedContent::Summaries(summaries) => {
            states(&observed).zip(summaries).map(|(state, local)| state.overwritten(local, context)).collect()
        }
    };
    // The forecast of rotation needs the outcomes of all logs of the source.
    let rotations: Vec<_> = (0..outcomes.len()).map(|at| rotation_of(group, &outcomes, at)).collect();
    let outcomes = outcomes.into_iter().zip(rotations);
    let (files, outputs) =
        outcomes.map(|(outcome, rotation)| (FilePlan { rotation, ..outcome.file }, outcome.output)).unzip();
    Planned { observed, files, outputs, alignment, newest }
}

/// The state of one target on both sides.
struct TargetState<'c> {
    target: &'c ImportTarget,
    local: &'c LocalLog,
    restored: Option<&'c RestoredLog>,
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

fn states<'c>(observed: &'c Observed<'_, '_>) -> impl Iterator<Item = TargetState<'c>> {
    let known = observed.restored.group.targets.iter().zip(&observed.locals).zip(&observed.restored.logs);
    known.map(|((target, local), restored)| TargetState { target, local, restored: restored.as_ref() })
}

impl TargetState<'_> {
    fn merged(&self, merged: &MergedLog) -> TargetOutcome {
        // An empty log is created, but not one whose lines are all in another log.
        let appears = merged.after.bytes > 0 || self.restored.is_some_and(|log| log.integrity.bytes == 0);
        let output = match self.local.bytes() {
            Some(_) if merged.counts.new.all() == 0 => VersionKind::Nothing,
            None if !appears => VersionKind::Nothing,
            _ if merged.is_bundled_log && self.restored.is_some() => VersionKind::Bundled,
            _ => VersionKind::Merged,
        };
        self.outcome(output, merged.counts, merged.after.clone())
    }

    /// Returns the outcome for a local log that equals the bundle's byte for byte.
    fn same(&self) -> TargetOutcome {
        let tally = self.restored.map(|restored| restored.tally.clone()).unwrap_or_default();
        let counts = LineCounts { already_there: tally.lines, kept: tally.lines, ..LineCounts::default() };
        self.outcome(VersionKind::Nothing, counts, tally)
    }

    /// Returns the outcome of an append. In every mode, this is also the outcome for a log that is
    /// empty or missing.
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
        self.outcome(output, LineCounts { new, kept: local.tally.lines, ..LineCounts::default() }, after)
    }

    fn overwritten(&self, local: &LogSummary, context: &ImportContext<'_>) -> TargetOutcome {
        let Some(restored) = self.restored else { return self.appended(local) };
        if local.integrity == Some(restored.integrity) {
            let lines = local.tally.lines;
            let counts = LineCounts { kept: lines, already_there: lines, ..LineCounts::default() };
            return self.outcome(VersionKind::Nothing, counts, local.tally.clone());
        }
        let counts = LineCounts { new: restored.tally.lines, ..LineCounts::default() };
        let mut outcome = self.outcome(VersionKind::Bundled, counts, restored.tally.clone());
        outcome.file.replaced = local.tally.lines;
        outcome.file.backup = (!self.local.is_empty()).then(|| backup_of(&self.target.log.path, &context.stamp));
        outcome
    }

    fn outcome(&self, output: VersionKind, counts: LineCounts, after: Tally) -> TargetOutcome {
        let id = &self.target.log.id;
        let file = FilePlan {
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
        };
        TargetOutcome { file, output, after }
    }
}

/// The result of a merge for one log.
#[derive(Default)]
struct MergedLog {
    after: Tally,
    counts: LineCounts,
    /// True if the result is the bundle's log, byte for byte.
    is_bundled_log: bool,
}

/// Returns the result of a merge for each log.
fn merged_logs(local: &Side, bundle: &Side, alignment: &Alignment, logs: usize) -> Vec<MergedLog> {
    let mut merged: Vec<_> = (0..logs).map(|_| MergedLog { is_bundled_log: true, ..MergedLog::default() }).collect();
    for (line, meta) in bundle.metas.iter().enumerate().filter(|(line, _)| alignment.of(*line) != LineMatch::New) {
        merged[bundle.log_of(line)].counts.already_there.add(meta.shape.is_row());
    }
    let done = each_step(local, bundle, alignment, logs, |step, log| {
        let MergedLog { after, counts, is_bundled_log } = &mut merged[log];
        let (shape, count, is_bundled) = match step {
            MergeStep::Local(taken) => (taken.shape, &mut counts.kept, false),
            MergeStep::Bundle(taken) => (taken.shape, &mut counts.new, bundle.log_of(taken.line) == log),
            MergeStep::Both { local, bundle: taken } => {
                (local.shape, &mut counts.kept, local.shape == taken.shape && bundle.log_of(taken.line) == log)
            }
        };
        count.add(shape.is_row());
        *is_bundled_log &= is_bundled;
        after.push(shape);
        Ok::<_, std::convert::Infallible>(())
    });
    let Ok(()) = done;
    for (log, result) in merged.iter_mut().enumerate() {
        result.is_bundled_log &= result.after.lines.all() == bundle.lines_of(log);
    }
    merged
}

/// Forecasts how Patchwork's next write changes a log. Returns `None` for logs outside the
/// catalogue, whose rotation is unknown.
fn rotation_of(group: &TargetGroup, outcomes: &[TargetOutcome], at: usize) -> Option<Rotation> {
    let TargetOutcome { file, after, .. } = &outcomes[at];
    let source = known(file.source.as_str()).filter(|source| !source.is_archive(file.file.as_str()))?;
    let Some(archive) = source.archive_of(file.file.as_str()) else { return after.rotation(source.rotation, None) };
    // The archive is one of the logs, or a log that this import does not include.
    match outcomes.iter().find(|outcome| outcome.file.file.as_str() == archive) {
        Some(outcome) => after.rotation(source.rotation, Some((archive, &outcome.after))),
        None if after.is_rotated() => {
            let existing = tally_of(group, archive);
            after.rotation(source.rotation, Some((archive, &existing)))
        }
        None => None,
    }
}

/// Returns the tally of a log that this import does not write. A log that cannot be read counts as
/// empty.
fn tally_of(group: &TargetGroup, name: &str) -> Tally {
    let mut tally = Tally::default();
    let Ok(log) = group.open_beside(name) else { return tally };
    let read = each_line(log, |line| {
        tally.push(LineShape::of(line, classify(line.bytes, &[]).is_some()));
        Ok(())
    });
    if read.is_ok() { tally } else { Tally::default() }
}
