//! Works out what becomes of the logs of one source: the one plan that a dry run shows and a real run carries out.

use std::fmt;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::align::{Fate, align};
use super::index::{LineIds, Lines, Side};
use super::local::{Local, Summary};
use super::lock::Clock;
use super::merge::{Merged, outcome};
use super::plan::{Change, FilePlan, LineCount, Mode};
use super::restored::Restored;
use super::tally::Tally;
use super::targets::{Group, Target};
use crate::error::{Error, IoAction, Result};
use crate::sources::is_same_file;

/// How logs are imported.
pub(super) struct Way<'c> {
    pub(super) mode: Mode,
    /// When, as it stands in the names of backups.
    pub(super) stamp: String,
    pub(super) clock: &'c dyn Clock,
}

impl fmt::Debug for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("mode", &self.mode).field("stamp", &self.stamp).finish_non_exhaustive()
    }
}

/// The logs of one source, as far as they are known.
#[derive(Debug)]
pub(super) struct Work<'g> {
    pub(super) group: &'g Group,
    pub(super) way: &'g Way<'g>,
    pub(super) ids: LineIds,
    /// The bundle's logs, of each target that it has.
    pub(super) restored: Vec<Option<Restored>>,
    /// The lines of the same, once they are needed.
    bundle: Option<Side>,
}

/// What is there already.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) locals: Vec<Local>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// No line at all.
    Nothing,
    /// Every line, to be merged.
    Lines(Side),
    /// What is needed where lines are not compared.
    Summaries(Vec<Summary>),
}

impl Found {
    /// Closes the logs, and forgets their lines.
    pub(super) fn close(&mut self) {
        self.locals.iter_mut().for_each(Local::close);
        self.content = Content::Nothing;
    }

    /// Whether the bundle's lines must be compared with these.
    pub(super) fn needs_lines(&self) -> bool {
        matches!(self.content, Content::Lines(_))
    }
}

/// What a target's new version is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
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
    pub(super) outputs: Vec<Output>,
    /// What becomes of each line of the bundle, if they were compared.
    pub(super) fates: Vec<Fate>,
}

/// One target, and what is known of it.
struct Case<'c> {
    target: &'c Target,
    local: &'c Local,
    restored: Option<&'c Restored>,
}

impl<'g> Work<'g> {
    pub(super) fn new(group: &'g Group, way: &'g Way<'g>) -> Self {
        let restored = group.targets.iter().map(|_| None).collect();
        Self { group, way, ids: LineIds::default(), restored, bundle: None }
    }

    /// Whether all logs that the bundle has of it are restored.
    pub(super) fn is_complete(&self) -> bool {
        let mut targets = self.group.targets.iter().zip(&self.restored);
        targets.all(|(target, restored)| target.bundled.is_none() || restored.is_some())
    }

    /// Reads what is there.
    pub(super) fn find(&mut self) -> Result<Found> {
        let targets = &self.group.targets;
        let without_lock = self.group.lock.is_none() && self.way.mode == Mode::Merge;
        let open = |target| match without_lock {
            true => Local::open_without_lock(target, self.way.clock),
            false => Local::open(target),
        };
        let mut locals = targets.iter().map(open).collect::<Result<Vec<_>>>()?;
        let content = if self.way.mode != Mode::Merge {
            let summaries = locals.iter_mut().zip(targets).map(|(local, target)| local.sum_up(target));
            Content::Summaries(summaries.collect::<Result<_>>()?)
        } else if locals.iter().all(Local::is_empty) {
            Content::Nothing
        } else {
            let mut side = Side::default();
            for (local, target) in locals.iter_mut().zip(targets) {
                side.push(match &mut local.log {
                    Some(log) => Lines::read(log, self.group.times, &mut self.ids)
                        .map_err(|error| error.in_subject(&target.subject()))?,
                    None => Lines::default(),
                });
            }
            Content::Lines(side)
        };
        Ok(Found { locals, content })
    }

    /// Works out what becomes of what was found.
    pub(super) fn plan(&mut self, found: &Found) -> Result<GroupPlan> {
        let Content::Lines(local) = &found.content else { return Ok(self.plan_without_lines(found)) };
        let bundle = match self.bundle.take() {
            Some(bundle) => bundle,
            None => self.bundle_lines()?,
        };
        let fates = align(&local.lines.ids, &bundle.lines.ids, self.ids.len());
        let merged = outcome(local, &bundle, &fates, self.group.targets.len());
        self.bundle = Some(bundle);
        let (files, outputs) = self.cases(found).zip(&merged).map(|(case, merged)| case.merged(merged)).unzip();
        Ok(GroupPlan { files, outputs, fates })
    }

    /// The lines of both sides, if they were compared.
    pub(super) fn sides<'s>(&'s self, found: &'s Found) -> Option<(&'s Side, &'s Side)> {
        match &found.content {
            Content::Lines(local) => Some((local, self.bundle.as_ref()?)),
            _ => None,
        }
    }

    /// Frees the memory that comparing lines took.
    pub(super) fn forget_lines(&mut self) {
        self.bundle = None;
        self.ids = LineIds::default();
    }

    fn bundle_lines(&mut self) -> Result<Side> {
        let mut side = Side::default();
        for restored in &mut self.restored {
            let lines = match restored {
                Some(Restored { lines: Some(lines), .. }) => std::mem::take(lines),
                Some(Restored { staged: Some(path), .. }) => {
                    let file = fs::File::open(&*path).map_err(|error| Error::io(IoAction::Open, path, error))?;
                    Lines::read(file, self.group.times, &mut self.ids)?
                }
                _ => Lines::default(),
            };
            side.push(lines);
        }
        Ok(side)
    }

    fn plan_without_lines(&self, found: &Found) -> GroupPlan {
        let nothing = Summary::default();
        let cases = self.cases(found).enumerate().map(|(index, case)| match &found.content {
            Content::Summaries(summaries) if self.way.mode == Mode::Append => case.appended(&summaries[index]),
            Content::Summaries(summaries) => case.overwritten(&summaries[index], self.way),
            _ => case.appended(&nothing),
        });
        let (files, outputs) = cases.unzip();
        GroupPlan { files, outputs, fates: Vec::new() }
    }

    fn cases<'c>(&'c self, found: &'c Found) -> impl Iterator<Item = Case<'c>> {
        let known = self.group.targets.iter().zip(&found.locals).zip(&self.restored);
        known.map(|((target, local), restored)| Case { target, local, restored: restored.as_ref() })
    }
}

impl Case<'_> {
    fn merged(&self, merged: &Merged) -> (FilePlan, Output) {
        // An empty log is created, but not one whose lines are all in another log.
        let appears = merged.after.bytes > 0 || self.restored.is_some_and(|log| log.integrity.bytes == 0);
        let output = match self.local.bytes() {
            Some(_) if merged.new.all() == 0 => Output::Nothing,
            None if !appears => Output::Nothing,
            _ if merged.is_bundled_log && self.restored.is_some() => Output::Bundled,
            _ => Output::Merged,
        };
        let counts = Counts { new: merged.new, already_there: merged.already_there, kept: merged.kept };
        (self.file_plan(output, counts, &merged.after), output)
    }

    /// Also what becomes of a log that is empty or not there, whatever the mode.
    fn appended(&self, local: &Summary) -> (FilePlan, Output) {
        let mut after = local.tally.clone();
        let mut new = LineCount::default();
        if let Some(restored) = self.restored {
            after.append(&restored.tally);
            new = restored.tally.lines;
        }
        let output = match self.local.bytes() {
            Some(_) if new.all() == 0 => Output::Nothing,
            None if self.restored.is_none() => Output::Nothing,
            None | Some(0) => Output::Bundled,
            Some(_) => Output::Appended,
        };
        let counts = Counts { new, kept: local.lines(), ..Counts::default() };
        (self.file_plan(output, counts, &after), output)
    }

    fn overwritten(&self, local: &Summary, way: &Way<'_>) -> (FilePlan, Output) {
        let Some(restored) = self.restored else { return self.appended(local) };
        if local.integrity == Some(restored.integrity) {
            let counts = Counts { kept: local.lines(), already_there: local.lines(), ..Counts::default() };
            return (self.file_plan(Output::Nothing, counts, &local.tally), Output::Nothing);
        }
        let counts = Counts { new: restored.tally.lines, ..Counts::default() };
        let mut plan = self.file_plan(Output::Bundled, counts, &restored.tally);
        plan.replaced = local.lines();
        plan.backup = (!self.local.is_empty()).then(|| backup_of(&self.target.log.path, &way.stamp));
        (plan, Output::Bundled)
    }

    fn file_plan(&self, output: Output, counts: Counts, after: &Tally) -> FilePlan {
        let id = &self.target.log.id;
        let source = crate::sources::known(id.source.as_str());
        // Rows are written to the newest log of a source only.
        let rotates = source.is_none_or(|source| !source.is_archive(id.name.as_str()));
        let moved_to = source.and_then(|source| source.archive_of(id.name.as_str()));
        FilePlan {
            source: id.source.clone(),
            file: id.name.clone(),
            base: id.base,
            path: self.target.place.clone(),
            change: match (output, self.local.bytes()) {
                (Output::Nothing, _) => Change::Nothing,
                (_, None) => Change::Created,
                (_, Some(_)) => Change::Changed,
            },
            new: counts.new,
            already_there: counts.already_there,
            kept: counts.kept,
            replaced: LineCount::default(),
            bytes_before: self.local.bytes(),
            bytes_after: after.bytes,
            rotation: if rotates { after.rotation(moved_to) } else { None },
            backup: None,
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Counts {
    new: LineCount,
    already_there: LineCount,
    kept: LineCount,
}

/// Where the file at `path` is to be kept: beside it, under a name that is free, or that this very file has already
/// because an import was killed right after it had kept it.
fn backup_of(path: &Path, stamp: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let dir = path.parent().unwrap_or(Path::new(""));
    if let Some(kept) = kept_already(path, dir, &name) {
        return kept;
    }
    let mut backup = dir.join(format!("{name}.{stamp}.bak"));
    let mut number = 2u64;
    while backup.symlink_metadata().is_ok() {
        backup = dir.join(format!("{name}.{stamp}-{number}.bak"));
        number += 1;
    }
    backup
}

fn kept_already(path: &Path, dir: &Path, name: &str) -> Option<PathBuf> {
    let current = fs::metadata(path).ok()?;
    let prefix = format!("{name}.");
    let entries = fs::read_dir(dir).ok()?.flatten();
    let mut backups = entries.filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with(&prefix) && name.ends_with(".bak")
    });
    let kept = backups.find(|entry| entry.metadata().is_ok_and(|there| is_same_file(&there, &current)))?;
    Some(kept.path())
}
