//! Commits the new versions of logs while writers keep writing.
//!
//! 1. Each group of logs is read, merged and staged without a lock. Its local files stay open.
//! 2. The locks of all groups are acquired together. While they are held, the logs are only compared with what was
//!    read, and renamed. Rows that were appended meanwhile are copied to the end; the result equals that of a
//!    merge at the moment of the read. If anything else happened to a log, the locks are released and its group is
//!    staged again.
//! 3. Logs whose writers take no lock follow. Each is exchanged with its new version. If the exchanged file is not
//!    the one that was read, it is put back.
//! 4. `watch` saves the rows of writers that had opened an old file. It also finds the logs that a writer replaced
//!    with what it had read earlier; their groups start again at step 1.
//!
//! At any moment, each log is either the old one or the new one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;

use super::backup::{Backups, backup_of};
use super::late_writes::ReplacedFile;
use super::local::{LocalLog, LogState};
use super::lock::{Clock, Locks, with_locks};
use super::obstacle::check_replaceable;
use super::plan::{FilePlan, Mode};
use super::source_import::{GroupPlan, Observed, SourceImport, VersionKind};
use super::staging::Staging;
use super::swap::{self, SwapOutcome};
use super::targets::ImportTarget;
use super::watch::{PlacedLog, Undone, Watch};
use super::write::write_outputs;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::row::classify;
use crate::logs::rotation::MAX_LOG_BYTES;
use crate::logs::times_of;
use crate::progress::{Progress, Stage};
use crate::util::file_identity::{is_at, is_link_of};
use crate::util::line_reader::{Line, lines_of};
use crate::util::regular_file;

/// The maximum number of reads of a log that keeps changing while it is read.
const MAX_READS: usize = 20;

/// The maximum number of times that a group is staged again because its logs changed before or after they were
/// replaced.
const MAX_ATTEMPTS: usize = 100;

/// The maximum number of files that stay open for comparison. Further ones are recognised by inode number and
/// creation time.
const MAX_OPEN_FILES: usize = 64;

/// The age below which a file may have just been left by a rotation, so that another rotation may be under way.
const RECENT: Duration = Duration::from_secs(10);

/// The length from which on a file may have been left by a rotation, in bytes. A rotation halves a log only until it
/// is short enough, so it leaves about half of the limit or more.
const MIN_ROTATED_BYTES: u64 = MAX_LOG_BYTES / 4;

/// The parts of the import that a commit needs.
pub(super) struct CommitContext<'c> {
    pub(super) staging: &'c Staging,
    pub(super) clock: &'c dyn Clock,
    pub(super) progress: &'c dyn Progress,
}

/// The largest number of bytes appended during staging that are copied while writers wait.
const MAX_LATE_BYTES: u64 = 16 << 20;

/// The maximum number of times that a group is staged again because appended rows are not newer than all others.
/// After that, such rows are appended at the end.
const MAX_SORTED_ATTEMPTS: usize = 3;

/// The progress of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupState {
    /// Its new versions are staged.
    Staged,
    /// Its logs have changed since they were read.
    Stale,
    /// A writer undid the commit, and the log at the path has the bundle's rows: it only has to be watched again.
    Unwatched,
    /// Its new versions are in place, or it has none.
    Placed,
}

/// A group whose new versions are staged.
struct Prepared<'g> {
    work: SourceImport<'g>,
    found: Observed,
    plan: GroupPlan,
    staged: Vec<Option<PathBuf>>,
    /// The bundle's logs that were put in place as they are, still open. Only late rows are appended to them.
    bundled: Vec<Option<fs::File>>,
    state: GroupState,
    /// The number of times that it was staged.
    attempts: usize,
    /// The number of polls for which the log is to be watched again, if it has the bundle's rows.
    polls_left: u32,
    /// The plan that was carried out the first time, which is the one reported.
    report: Option<Vec<FilePlan>>,
}

/// An import that is being committed.
pub(super) struct Commit<'g, 'c> {
    groups: Vec<Prepared<'g>>,
    context: &'c CommitContext<'c>,
    backups: Backups,
    placed: Vec<PathBuf>,
    watch: Watch,
    /// New versions to which late rows were appended after the sync.
    unsynced: Vec<(PathBuf, fs::File)>,
}

/// The result of a commit.
pub(super) enum Committed<'g> {
    /// All new versions are in place.
    Done(Vec<FilePlan>),
    /// Nothing was changed: a log that was not staged, because it equalled the bundle's, has changed since.
    Outdated(Vec<SourceImport<'g>>),
}

/// Reads the local logs, stages the new versions and puts them in place.
///
/// # Errors
/// If anything fails before the first log is in place, nothing is changed. After that, the error is an
/// [`ErrorKind::PartiallyCommitted`].
pub(super) fn commit<'g>(works: Vec<SourceImport<'g>>, context: &CommitContext<'_>) -> Result<Committed<'g>> {
    let mut commit = Commit::prepare(works, context)?;
    commit.groups.iter().try_for_each(Prepared::check_replaceable)?;
    let result = commit.place_all();
    if commit.groups.iter().any(Prepared::is_outdated) && commit.placed.is_empty() {
        result?;
        return Ok(Committed::Outdated(commit.into_works()?));
    }
    commit.finish(result).map(Committed::Done)
}

impl<'g, 'c> Commit<'g, 'c> {
    /// Stages the new versions.
    pub(super) fn prepare(works: Vec<SourceImport<'g>>, context: &'c CommitContext<'c>) -> Result<Self> {
        let mut commit = Self {
            groups: Vec::new(),
            context,
            backups: Backups::default(),
            placed: Vec::new(),
            watch: Watch::default(),
            unsynced: Vec::new(),
        };
        let mut open_files = 0;
        for work in works {
            let mut group = Prepared::new(work, context)?;
            open_files += group.found.locals.len();
            if open_files > MAX_OPEN_FILES {
                group.found.locals.iter_mut().for_each(LocalLog::close);
                open_files -= group.found.locals.len();
            }
            commit.groups.push(group);
        }
        Ok(commit)
    }

    /// Puts everything in place, and repeats that for groups that were stale or undone.
    pub(super) fn place_all(&mut self) -> Result<()> {
        let mut attempts = 0;
        loop {
            self.make_backups()?;
            self.place()?;
            self.sync_late_rows()?;
            self.watch_again()?;
            if self.groups.iter().all(|group| group.state == GroupState::Placed) {
                self.watch()?;
            }
            if self.groups.iter().any(Prepared::is_outdated) {
                return Ok(());
            }
            for group in self.groups.iter_mut().filter(|group| group.state == GroupState::Stale) {
                group.prepare_again(self.context)?;
            }
            let unfinished = self.groups.iter().find(|group| group.state != GroupState::Placed);
            let Some(unfinished) = unfinished else { return Ok(()) };
            // Watching a log again uses up its polls, so only staging is counted.
            attempts += usize::from(self.groups.iter().any(|group| group.state == GroupState::Staged));
            if attempts > MAX_ATTEMPTS {
                return Err(unfinished.keeps_changing());
            }
        }
    }

    /// Ends the commit. Returns what was done.
    pub(super) fn finish(mut self, result: Result<()>) -> Result<Vec<FilePlan>> {
        if self.placed.is_empty() {
            result?;
            return Ok(self.into_plans());
        }
        self.backups.keep();
        // Logs that were replaced may get late rows even if a later log could not be replaced.
        let watched = if result.is_err() { self.watch() } else { Ok(()) };
        let finished = result.and(watched).and(std::mem::take(&mut self.watch).finish()).and(self.sync());
        let all = self.groups.iter().flat_map(|group| &group.staged).flatten().count().max(self.placed.len());
        let is_repeatable = self.groups.iter().all(|group| group.work.context.mode != Mode::Append);
        let placed = std::mem::take(&mut self.placed);
        finished.map_err(|cause| ErrorKind::PartiallyCommitted { placed, all, is_repeatable, cause })?;
        Ok(self.into_plans())
    }

    /// Returns the groups as they were before they were staged.
    fn into_works(mut self) -> Result<Vec<SourceImport<'g>>> {
        let staging = self.context.staging;
        self.groups.iter_mut().try_for_each(|group| group.discard(staging))?;
        Ok(self.groups.into_iter().map(|group| group.work).collect())
    }

    fn into_plans(self) -> Vec<FilePlan> {
        self.groups.into_iter().flat_map(|group| group.report.unwrap_or(group.plan.files)).collect()
    }

    /// Makes the last writes survive a power cut.
    fn sync(&mut self) -> Result<()> {
        self.sync_late_rows().and(self.context.staging.sync())
    }

    fn sync_late_rows(&mut self) -> Result<()> {
        let synced = self
            .unsynced
            .drain(..)
            .map(|(path, file)| file.sync_all().map_err(|error| Error::io(IoAction::Write, &path, error)));
        synced.fold(Ok(()), Result::and)
    }

    /// Backs up the logs that are to be replaced, where the plans say so.
    pub(super) fn make_backups(&mut self) -> Result<()> {
        for group in self.groups.iter_mut().filter(|group| group.state == GroupState::Staged) {
            let logs = group.work.group.targets.iter().zip(&mut group.plan.files);
            let logs = logs.filter_map(|(target, file)| Some((target.log.path.as_path(), file.backup.as_mut()?)));
            self.backups.make(logs, &group.work.context.stamp, self.context.staging)?;
        }
        Ok(())
    }

    /// Puts all staged logs in place, or none of them if one is already stale.
    fn place(&mut self) -> Result<()> {
        let has_lock = |group: &Prepared<'_>| group.work.group.lock.is_some();
        let locks = self.groups.iter().filter(|group| group.state == GroupState::Staged);
        let locks = locks.filter_map(|group| group.work.group.lock.clone()).collect();
        let context = self.context;
        let all_fresh = with_locks(locks, context.clock, &context.progress.cancellation(), |locks| {
            if !self.all_fresh()? {
                return Ok(false);
            }
            self.place_matching(|group| has_lock(group), Some(locks)).map(|()| true)
        })?;
        if all_fresh { self.place_matching(|group| !has_lock(group), None) } else { Ok(()) }
    }

    fn place_matching(&mut self, wants: impl Fn(&Prepared<'_>) -> bool, locks: Option<&Locks>) -> Result<()> {
        for index in 0..self.groups.len() {
            if self.groups[index].state != GroupState::Staged || !wants(&self.groups[index]) {
                continue;
            }
            locks.map_or(Ok(()), Locks::check)?;
            self.place_group(index)?;
            // While locks are held, few files are open, and there is no time to watch.
            if locks.is_none() && self.watch.open_files() > MAX_OPEN_FILES {
                self.sync_late_rows()?;
                self.watch()?;
            }
        }
        Ok(())
    }

    /// Compares each log with what was read of it. Returns false if any log is stale.
    fn all_fresh(&mut self) -> Result<bool> {
        let mut all_fresh = true;
        for group in self.groups.iter_mut().filter(|group| group.state == GroupState::Staged) {
            if !group.is_fresh()? {
                group.state = GroupState::Stale;
                all_fresh = false;
            }
        }
        Ok(all_fresh)
    }

    fn place_group(&mut self, index: usize) -> Result<()> {
        let mut placed_any = false;
        for log in 0..self.groups[index].staged.len() {
            if self.groups[index].staged[log].is_none() {
                continue;
            }
            if !self.place_log(index, log)? {
                // Without a lock, a group has only one log. With a lock, no other program may change any log of
                // the group.
                if placed_any {
                    return Err(self.groups[index].keeps_changing());
                }
                self.groups[index].state = GroupState::Stale;
                return Ok(());
            }
            placed_any = true;
        }
        let group = &mut self.groups[index];
        group.state = GroupState::Placed;
        group.report.get_or_insert_with(|| std::mem::take(&mut group.plan.files));
        group.found.locals.iter_mut().for_each(LocalLog::close);
        Ok(())
    }

    /// Puts a staged log in place. Returns false, having changed nothing, if the file at the path is not the one
    /// that was read.
    fn place_log(&mut self, index: usize, log: usize) -> Result<bool> {
        let group = &self.groups[index];
        let (target, local) = (&group.work.group.targets[log], &group.found.locals[log]);
        let Some(staged) = group.staged[log].clone() else { return Ok(true) };
        let path = target.log.path.clone();
        let failed = |error| Error::io(IoAction::Rename, &path, error);
        let mut ours = regular_file::open_to_append(&staged).map_err(failed)?;
        let Some(seen) = local.bytes() else { return self.create_log(index, log, &staged, &ours) };
        let Some(old) = local.reopen(&path)? else { return Ok(false) };
        // If the backup is the old file, it gets late rows anyway.
        let keeps_old = group.plan.files[log].backup.as_deref().is_some_and(|backup| is_link_of(backup, &path));
        let is_bundled = group.plan.outputs[log] == VersionKind::Bundled;
        let mut old = ReplacedFile::new(old, seen);
        if is_bundled {
            self.groups[index].bundled[log] = Some(ours.try_clone().map_err(failed)?);
        }
        let late = if keeps_old { old.late_bytes() } else { old.copy_to_staged(&mut ours) }.map_err(failed)?;
        if !keeps_old && !late.is_empty() {
            self.unsynced.push((path.clone(), ours.try_clone().map_err(failed)?));
        }
        let length = ours.metadata().map_err(failed)?.len();
        match swap::replace(&staged, &ours, &path).map_err(failed)? {
            SwapOutcome::Exchanged if !is_at(old.file(), &staged) => {
                let kept = ours.try_clone().map_err(failed)?;
                if let Err(error) = swap::take_back(&staged, ours, &path) {
                    return Err(self.keep_writers_file(index, log, &staged, &kept, error));
                }
                return Ok(false);
            }
            _ => {}
        }
        self.note_placed(index, log);
        self.groups[index].count_late_lines(log, &late, length);
        let mut placed = PlacedLog {
            group: index,
            path,
            can_be_undone: self.can_be_undone(index, &mut old)?,
            ours: ReplacedFile::new(ours, length),
            old: None,
            rotation: self.groups[index].work.group.rotation(),
        };
        if self.groups[index].is_watched(log, placed.can_be_undone) {
            placed.old = Some(old).filter(|_| !keeps_old);
            self.watch.add(placed, None);
        }
        Ok(true)
    }

    /// Keeps a writer's file that cannot be put back, as a backup beside the log.
    fn keep_writers_file(
        &mut self,
        index: usize,
        log: usize,
        staged: &Path,
        ours: &fs::File,
        error: io::Error,
    ) -> Error {
        let group = &self.groups[index].work;
        let path = group.group.targets[log].log.path.clone();
        if is_at(ours, &path) {
            let _ = fs::rename(staged, backup_of(&path, &group.context.stamp));
            self.note_placed(index, log);
        }
        Error::io(IoAction::Rename, &path, error)
    }

    fn create_log(&mut self, index: usize, log: usize, staged: &Path, ours: &fs::File) -> Result<bool> {
        let path = &self.groups[index].work.group.targets[log].log.path;
        match swap::create(staged, ours, path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(Error::io(IoAction::Rename, path, error)),
        }
        self.note_placed(index, log);
        Ok(true)
    }

    fn note_placed(&mut self, index: usize, log: usize) {
        let path = &self.groups[index].work.group.targets[log].writer_path;
        if !self.placed.contains(path) {
            self.placed.push(path.clone());
        }
    }

    /// Returns true if a rotation that began before the log was replaced may still undo the replacement.
    fn can_be_undone(&self, index: usize, old: &mut ReplacedFile) -> Result<bool> {
        let group = &self.groups[index].work.group;
        let old = old.file().metadata().map_err(|error| Error::io_unnamed(IoAction::Read, error))?;
        let now = self.context.clock.now();
        let age = old.created().ok().and_then(|made| now.duration_since(made).ok());
        // If the system doesn't know the age, or a clock was set back, assume a recent file.
        let is_recent = age.is_none_or(|age| age < RECENT);
        let may_be_rotated = is_recent && old.len() >= MIN_ROTATED_BYTES;
        Ok(!group.rotates_under_lock() && (old.len() > MAX_LOG_BYTES || may_be_rotated))
    }

    /// Watches the logs of groups that have the bundle's rows again.
    fn watch_again(&mut self) -> Result<()> {
        for (index, group) in self.groups.iter_mut().enumerate() {
            if group.state != GroupState::Unwatched {
                continue;
            }
            let newest = group.found.locals.len() - 1;
            let (local, path) = (&group.found.locals[newest], &group.work.group.targets[newest].log.path);
            group.state = match (local.reopen(path)?, local.bytes()) {
                // A rotation of the earlier file can't be under way any more.
                _ if group.polls_left == 0 => GroupState::Placed,
                (Some(there), Some(seen)) => {
                    let placed = PlacedLog {
                        group: index,
                        path: path.clone(),
                        ours: ReplacedFile::new(there, seen),
                        old: None,
                        can_be_undone: true,
                        rotation: group.work.group.rotation(),
                    };
                    self.watch.add(placed, Some(group.polls_left));
                    GroupState::Placed
                }
                _ => {
                    group.polls_left = group.polls_left.saturating_sub(1);
                    GroupState::Stale
                }
            };
            group.found.locals.iter_mut().for_each(LocalLog::close);
        }
        Ok(())
    }

    /// Watches the logs that are in place. Groups that were undone become stale.
    fn watch(&mut self) -> Result<()> {
        let CommitContext { clock, progress, .. } = *self.context;
        if self.watch.is_long() {
            super::begin(progress, Stage::Watching, 0);
        }
        let cancellation = progress.cancellation();
        let undone = self.watch.run(clock, &|| cancellation.is_cancelled())?;
        // The committed logs stay, but without the watch they may still be undone.
        cancellation.check()?;
        for Undone { group, polls_left } in undone {
            let group = &mut self.groups[group];
            group.polls_left = polls_left;
            // In the append and overwrite modes, a log is not staged again from its current content.
            if group.work.context.mode != Mode::Merge {
                return Err(group.keeps_changing());
            }
            group.state = GroupState::Stale;
        }
        Ok(())
    }
}

impl<'g> Prepared<'g> {
    fn new(mut work: SourceImport<'g>, context: &CommitContext<'_>) -> Result<Self> {
        let (found, plan, staged) = prepare(&mut work, context)?;
        let bundled = staged.iter().map(|_| None).collect();
        Ok(Self {
            work,
            found,
            plan,
            staged,
            bundled,
            state: GroupState::Staged,
            attempts: 1,
            polls_left: 0,
            report: None,
        })
    }

    /// Stages new versions of the current logs.
    fn prepare_again(&mut self, context: &CommitContext<'_>) -> Result<()> {
        self.discard(context.staging)?;
        (self.found, self.plan, self.staged) = prepare(&mut self.work, context)?;
        self.attempts += 1;
        // If several rotations overlap, another one may still replace the current log.
        let has_bundles_rows = self.report.is_some() && self.staged.iter().all(Option::is_none);
        self.state = if has_bundles_rows { GroupState::Unwatched } else { GroupState::Staged };
        Ok(())
    }

    /// Returns true if its logs were not staged because they were unchanged, and they have changed since.
    fn is_outdated(&self) -> bool {
        self.state == GroupState::Stale && self.work.stays
    }

    /// Frees the space of new versions that came too late. The bundle's logs stay. Those that were put in place
    /// are staged again, because a writer's file may now be where they were staged.
    fn discard(&mut self, staging: &Staging) -> Result<()> {
        for (log, output) in self.plan.outputs.iter().enumerate() {
            let (Some(staged), path) = (&self.staged[log], &self.work.group.targets[log].log.path) else { continue };
            match (*output == VersionKind::Bundled, self.bundled[log].take(), &mut self.work.restored[log]) {
                (true, None, _) => continue,
                (true, Some(mut bundled), Some(restored)) => {
                    restored.staged = Some(staging.copy(path, &mut bundled, restored.integrity.bytes)?);
                }
                _ => {}
            }
            // A file that can't be removed goes with its directory.
            let _ = fs::remove_file(staged);
        }
        self.found.locals.iter_mut().for_each(LocalLog::close);
        Ok(())
    }

    /// Returns true if its logs are as they were read, except for rows appended to the newest.
    fn is_fresh(&mut self) -> Result<bool> {
        self.work.group.check_paths()?;
        let newest = self.found.locals.len() - 1;
        let Self { work, found, plan, attempts, .. } = self;
        for (at, (target, local)) in work.group.targets.iter().zip(&mut found.locals).enumerate() {
            let path = &target.log.path;
            let backup = plan.files[at].backup.as_deref();
            let is_linked = backup.is_some_and(|backup| is_link_of(backup, path));
            let is_fresh = match local.state(path)? {
                // The file that is replaced must be the one that was backed up.
                LogState::Unchanged => backup.is_none_or(|backup| backup.symlink_metadata().is_ok()),
                LogState::Grown if is_linked => true,
                _ if at != newest || work.context.mode == Mode::Overwrite => false,
                LogState::Grown => can_follow(local, path, plan, *attempts)?,
                LogState::Replaced => local.rebase(target)? && can_follow(local, path, plan, *attempts)?,
                LogState::Changed => false,
            };
            if !is_fresh {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Counts the lines that were appended after the log was read.
    fn count_late_lines(&mut self, log: usize, late: &[u8], bytes_after: u64) {
        let Some(file) = self.plan.files.get_mut(log) else { return };
        file.bytes_before = file.bytes_before.map(|before| before + late.len() as u64);
        file.bytes_after = bytes_after;
        let lines = if self.work.context.mode == Mode::Overwrite { &mut file.replaced } else { &mut file.kept };
        lines_of(late).for_each(|line| lines.add(classify(line.bytes, &[]).is_some()));
    }

    fn keeps_changing(&self) -> Error {
        Error::from(ErrorKind::LogKeepsChanging).in_subject(&self.work.group.targets[0].subject())
    }

    /// Checks that every log that gets a new version can be replaced.
    fn check_replaceable(&self) -> Result<()> {
        let replaced = self.work.group.targets.iter().zip(&self.staged).filter(|(_, staged)| staged.is_some());
        replaced.map(|(target, _)| target).try_for_each(|target: &ImportTarget| check_replaceable(&target.log.path))
    }

    /// Returns true if a log may still change after it was replaced.
    fn is_watched(&self, log: usize, can_be_undone: bool) -> bool {
        let is_newest = log + 1 == self.work.group.targets.len();
        is_newest && (can_be_undone || self.work.group.lock.is_none())
    }
}

/// Returns true if the rows appended to a log since it was read can come last in its new version.
fn can_follow(local: &LocalLog, path: &Path, plan: &GroupPlan, attempts: usize) -> Result<bool> {
    let failed = |error| Error::io(IoAction::Read, path, error);
    if !local.ends_whole_line(path)? {
        return Ok(false);
    }
    let (Some(newest), Some(log)) = (plan.newest, local.reopen(path)?) else { return Ok(true) };
    let seen = local.bytes().unwrap_or_default();
    if log.metadata().map_err(failed)?.len().saturating_sub(seen) > MAX_LATE_BYTES {
        return Ok(false);
    }
    let late = ReplacedFile::new(log, seen).late_bytes().map_err(failed)?;
    let times = times_of(plan.files.last().map_or("", |file| file.source.as_str()));
    let is_older = |line: Line<'_>| {
        let time = classify(line.bytes, times).and_then(|row| row.time);
        time.is_some_and(|time| time.as_millis() < newest)
    };
    Ok(attempts > MAX_SORTED_ATTEMPTS || !lines_of(&late).any(is_older))
}

type Preparation = (Observed, GroupPlan, Vec<Option<PathBuf>>);

fn prepare(work: &mut SourceImport<'_>, context: &CommitContext<'_>) -> Result<Preparation> {
    for _ in 1..MAX_READS {
        match try_to_prepare(work, context) {
            Err(error) if matches!(error.kind(), ErrorKind::LogShrank { .. } | ErrorKind::LogKeepsChanging) => {}
            done => return done,
        }
    }
    try_to_prepare(work, context)
}

fn try_to_prepare(work: &mut SourceImport<'_>, context: &CommitContext<'_>) -> Result<Preparation> {
    work.group.check_paths()?;
    let mut found = work.observe()?;
    let plan = work.plan(&found);
    let staged = write_outputs(work, &mut found, &plan, context.staging)?;
    found.forget_lines();
    Ok((found, plan, staged))
}
