//! Stage 5: commits the new versions of logs while Patchwork keeps writing.
//!
//! 1. Each group of logs is observed, planned and staged without a lock. Its local logs stay open.
//! 2. The locks of all groups are acquired together. While they are held, each log is only compared
//!    with its observed state and replaced. Rows that were appended since the read are copied to
//!    the end of the new version. If a log has changed in any other way, the locks are released and
//!    its group is staged again.
//! 3. Then the logs whose writers take no lock are replaced.
//! 4. Logs that a writer may still write to or replace are watched, as `unlocked` describes. If a
//!    writer replaced a log with rows that it had read earlier, the group starts again at step 1.
//!
//! At any moment, each log is either the old one or the new one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;

use super::backup::{Backups, backup_of};
use super::context::{ImportContext, begin};
use super::late_writes::ReplacedFile;
use super::local::{LocalLog, LogState};
use super::lock::{Locks, with_locks};
use super::observed::observe;
use super::obstacle::check_replaceable;
use super::plan::{FilePlan, Mode};
use super::planned::plan;
use super::restored::Restored;
use super::staged::{Staged, stage};
use super::staging::Staging;
use super::swap;
use super::unlocked::{PlacedLog, Replacement, Undone, Watch, replace_log};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::row::classify;
use crate::logs::rotation::MAX_LOG_BYTES;
use crate::logs::times_of;
use crate::progress::Stage;
use crate::util::file_identity::{is_at, is_link_of};
use crate::util::line_reader::{Line, lines_of};
use crate::util::regular_file;

/// The maximum number of attempts to read a log that keeps changing.
const MAX_READS: usize = 20;

/// The maximum number of times that a group is staged again because its logs changed before or
/// after they were replaced.
const MAX_ATTEMPTS: usize = 100;

/// The maximum number of files that stay open for comparison. Further ones are recognised by inode
/// number and creation time.
const MAX_OPEN_FILES: usize = 64;

/// The age below which a file may be the result of a rotation, so that another rotation may be
/// under way.
const RECENT: Duration = Duration::from_secs(10);

/// The minimum length of a file that may be the result of a rotation, in bytes. A rotation halves a
/// log only until it is short enough, so the result has at least about half the limit.
const MIN_ROTATED_BYTES: u64 = MAX_LOG_BYTES / 4;

/// The maximum number of late bytes that are copied while writers wait.
const MAX_LATE_BYTES: u64 = 16 << 20;

/// The maximum number of times that a group is staged to sort late rows that are older than rows of
/// the new version. After that, such rows are appended at the end.
const MAX_SORTED_ATTEMPTS: usize = 3;

/// The progress of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupState {
    /// Its new versions are staged.
    Staged,
    /// Its logs have changed since they were read.
    Stale,
    /// A writer undid the commit, but its log has the bundle's rows, so it only needs to be watched
    /// for this number of further polls.
    Unwatched(u32),
    /// Its new versions, if any, are in place.
    Placed,
}

/// A group whose new versions are staged.
struct Group<'g> {
    restored: Restored<'g>,
    staged: Staged,
    state: GroupState,
    /// The number of times that it was staged.
    attempts: usize,
    /// The number of polls for which to watch an undone log that has the bundle's rows.
    polls_left: u32,
    /// The plan of the first commit, which is the one to report.
    report: Option<Vec<FilePlan>>,
}

/// An import that is being committed.
pub struct Commit<'g, 'c> {
    groups: Vec<Group<'g>>,
    context: &'c ImportContext<'c>,
    staging: &'c Staging,
    backups: Backups,
    placed: Vec<PathBuf>,
    watch: Watch,
    /// New versions to which late rows were appended after they were synced.
    unsynced: Vec<(PathBuf, fs::File)>,
}

/// The result of a commit.
pub enum Committed<'g> {
    /// All new versions are in place.
    Done(Vec<FilePlan>),
    /// Nothing was changed. A group that was not restored, because its logs equalled the bundle's,
    /// has changed since.
    Outdated(Vec<Restored<'g>>),
}

/// Stages the new versions and puts them in place.
///
/// # Errors
/// If a step fails. Nothing is changed unless the error is [`ErrorKind::PartiallyCommitted`], which
/// means that at least one log is in place.
pub fn commit<'g>(
    restored: Vec<Restored<'g>>,
    context: &ImportContext<'_>,
    staging: &Staging,
) -> Result<Committed<'g>> {
    let mut commit = Commit::prepare(restored, context, staging)?;
    commit.groups.iter().try_for_each(Group::check_replaceable)?;
    let result = commit.place_all();
    if commit.groups.iter().any(Group::is_outdated) && commit.placed.is_empty() {
        result?;
        return Ok(Committed::Outdated(commit.into_restored()?));
    }
    commit.finish(result).map(Committed::Done)
}

impl<'g, 'c> Commit<'g, 'c> {
    /// Reads the local logs and stages the new versions.
    pub fn prepare(restored: Vec<Restored<'g>>, context: &'c ImportContext<'c>, staging: &'c Staging) -> Result<Self> {
        let (mut groups, mut open_files) = (Vec::new(), 0);
        let bytes: Vec<_> = restored.iter().map(|restored| restored.bytes_to_compare(context.mode)).collect();
        let mut later_bytes = bytes.iter().sum();
        begin(context.progress, Stage::Merging, later_bytes);
        for (restored, bytes) in restored.into_iter().zip(bytes) {
            later_bytes -= bytes;
            let mut group = Group::new(restored, context, staging, later_bytes)?;
            open_files += group.staged.locals.len();
            if open_files > MAX_OPEN_FILES {
                group.staged.locals.iter_mut().for_each(LocalLog::close);
                open_files -= group.staged.locals.len();
            }
            groups.push(group);
        }
        let (backups, watch) = (Backups::default(), Watch::default());
        Ok(Self { groups, context, staging, backups, placed: Vec::new(), watch, unsynced: Vec::new() })
    }

    /// Puts the new versions in place, and repeats this for groups that were stale or undone.
    pub fn place_all(&mut self) -> Result<()> {
        let mut attempts = 0;
        loop {
            self.make_backups()?;
            self.place()?;
            self.sync_late_rows()?;
            self.watch_again()?;
            if self.groups.iter().all(|group| group.state == GroupState::Placed) {
                self.watch()?;
            }
            if self.groups.iter().any(Group::is_outdated) {
                return Ok(());
            }
            for group in self.groups.iter_mut().filter(|group| group.state == GroupState::Stale) {
                group.stage_again(self.context, self.staging)?;
            }
            let unfinished = self.groups.iter().find(|group| group.state != GroupState::Placed);
            let Some(unfinished) = unfinished else { return Ok(()) };
            // Watching again is limited by the polls left, so only staging is counted.
            attempts += usize::from(self.groups.iter().any(|group| group.state == GroupState::Staged));
            if attempts > MAX_ATTEMPTS {
                return Err(unfinished.keeps_changing());
            }
        }
    }

    /// Ends the commit and returns the plans that were carried out.
    pub fn finish(mut self, result: Result<()>) -> Result<Vec<FilePlan>> {
        if self.placed.is_empty() {
            result?;
            return Ok(self.into_plans());
        }
        self.backups.keep();
        // Replaced logs may get late rows even if another log could not be replaced.
        let watched = if result.is_err() { self.watch() } else { Ok(()) };
        let finished = result.and(watched).and(std::mem::take(&mut self.watch).finish());
        // The last writes must survive a power failure.
        let finished = finished.and(self.sync_late_rows().and(self.staging.sync()));
        let staged = self.groups.iter().flat_map(|group| &group.staged.versions).flatten().count();
        let all = staged.max(self.placed.len());
        let is_repeatable = self.context.mode != Mode::Append;
        let placed = std::mem::take(&mut self.placed);
        finished.map_err(|cause| ErrorKind::PartiallyCommitted { placed, all, is_repeatable, cause })?;
        Ok(self.into_plans())
    }

    /// Returns the groups at stage 1. Outdated groups must be restored again.
    fn into_restored(self) -> Result<Vec<Restored<'g>>> {
        let staging = self.staging;
        let back = |mut group: Group<'g>| {
            group.staged.unstage(&mut group.restored, staging)?;
            let is_outdated = group.is_outdated();
            Ok(if is_outdated { Restored::unrestored(group.restored.group) } else { group.restored })
        };
        self.groups.into_iter().map(back).collect()
    }

    fn into_plans(self) -> Vec<FilePlan> {
        self.groups.into_iter().flat_map(|group| group.report.unwrap_or(group.staged.files)).collect()
    }

    fn sync_late_rows(&mut self) -> Result<()> {
        let synced = self
            .unsynced
            .drain(..)
            .map(|(path, file)| file.sync_all().map_err(|error| Error::io(IoAction::Write, &path, error)));
        synced.fold(Ok(()), Result::and)
    }

    /// Backs up the logs whose plans have a backup.
    pub fn make_backups(&mut self) -> Result<()> {
        for group in self.groups.iter_mut().filter(|group| group.state == GroupState::Staged) {
            let logs = group.restored.group.targets.iter().zip(&mut group.staged.files);
            let logs = logs.filter_map(|(target, file)| Some((target.log.path.as_path(), file.backup.as_mut()?)));
            self.backups.make(logs, &self.context.stamp, self.staging)?;
        }
        Ok(())
    }

    /// Puts all staged logs in place, or none if one is already stale.
    fn place(&mut self) -> Result<()> {
        let has_lock = |group: &Group<'_>| group.restored.group.lock.is_some();
        let locks = self.groups.iter().filter(|group| group.state == GroupState::Staged);
        let locks = locks.filter_map(|group| group.restored.group.lock.clone()).collect();
        let context = self.context;
        let all_fresh = with_locks(locks, context.clock, &context.progress.cancellation(), |locks| {
            if !self.all_fresh()? {
                return Ok(false);
            }
            self.place_matching(|group| has_lock(group), Some(locks)).map(|()| true)
        })?;
        if all_fresh { self.place_matching(|group| !has_lock(group), None) } else { Ok(()) }
    }

    fn place_matching(&mut self, wants: impl Fn(&Group<'_>) -> bool, locks: Option<&Locks>) -> Result<()> {
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

    /// Compares each log with its observed state and marks stale groups. Returns true if none is
    /// stale.
    fn all_fresh(&mut self) -> Result<bool> {
        let mut all_fresh = true;
        for group in self.groups.iter_mut().filter(|group| group.state == GroupState::Staged) {
            if !group.is_fresh(self.context.mode)? {
                group.state = GroupState::Stale;
                all_fresh = false;
            }
        }
        Ok(all_fresh)
    }

    fn place_group(&mut self, index: usize) -> Result<()> {
        let mut placed_any = false;
        for log in 0..self.groups[index].staged.versions.len() {
            if self.groups[index].staged.versions[log].is_none() {
                continue;
            }
            if !self.place_log(index, log)? {
                // A group without a lock has only one log. In a group with a lock, no other program
                // may have changed a log.
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
        group.report.get_or_insert_with(|| std::mem::take(&mut group.staged.files));
        group.staged.locals.iter_mut().for_each(LocalLog::close);
        Ok(())
    }

    /// Puts a staged log in place. Returns false, having changed nothing, if the file at the path
    /// is no longer the one that was read.
    fn place_log(&mut self, index: usize, log: usize) -> Result<bool> {
        let Group { restored, staged, .. } = &mut self.groups[index];
        let (target, local) = (&restored.group.targets[log], &staged.locals[log]);
        let Some(version) = &mut staged.versions[log] else { return Ok(true) };
        let path = target.log.path.clone();
        let failed = |error| Error::io(IoAction::Rename, &path, error);
        let ours = regular_file::open_to_append(&version.path).map_err(failed)?;
        let Some(seen) = local.bytes() else {
            let created = match swap::create(&version.path, &ours, &path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                created => created.map_err(failed),
            };
            return created.map(|()| self.record_placed(index, log)).map(|()| true);
        };
        let Some(old) = local.reopen(&path)? else { return Ok(false) };
        // If the backup is a hard link to the old file, it gets late rows anyway.
        let keeps_old = staged.files[log].backup.as_deref().is_some_and(|backup| is_link_of(backup, &path));
        if version.is_bundled {
            version.placed = Some(ours.try_clone().map_err(failed)?);
        }
        let replaced = replace_log(&version.path, ours, &path, ReplacedFile::new(old, seen), keeps_old);
        let Replacement { ours, mut old, late, length } = match replaced.map_err(failed)? {
            Ok(Some(replacement)) => replacement,
            Ok(None) => return Ok(false),
            Err((ours, error)) => return Err(self.keep_writers_file(index, log, &ours, error)),
        };
        if !keeps_old && !late.is_empty() {
            self.unsynced.push((path.clone(), ours.try_clone().map_err(failed)?));
        }
        self.record_placed(index, log);
        self.groups[index].count_late_lines(self.context.mode, log, &late, length);
        let can_be_undone = self.can_be_undone(index, &mut old)?;
        if self.groups[index].is_watched(log, can_be_undone) {
            let (ours, old) = (ReplacedFile::new(ours, length), Some(old).filter(|_| !keeps_old));
            let rotation = self.groups[index].restored.group.rotation();
            self.watch.add(PlacedLog { group: index, path, ours, old, can_be_undone, rotation }, None);
        }
        Ok(true)
    }

    /// Keeps a writer's file that cannot be put back: as a backup beside the log, or if that fails,
    /// in its staging directory. Returns the error to report.
    fn keep_writers_file(&mut self, index: usize, log: usize, ours: &fs::File, error: io::Error) -> Error {
        let Group { restored, staged, .. } = &self.groups[index];
        let path = restored.group.targets[log].log.path.clone();
        let is_placed = is_at(ours, &path);
        // Whatever is at the path by now, the file at the staged path is the writer's unless it is ours.
        if let Some(version) = &staged.versions[log]
            && version.path.exists()
            && !is_at(ours, &version.path)
        {
            let kept = fs::rename(&version.path, backup_of(&path, &self.context.stamp));
            let staged = version.path.clone();
            if is_placed {
                self.record_placed(index, log);
            }
            if let Err(error) = kept {
                self.staging.keep_dir_of(&staged);
                return Error::io(IoAction::BackUp, &staged, error);
            }
        }
        Error::io(IoAction::Rename, &path, error)
    }

    fn record_placed(&mut self, index: usize, log: usize) {
        let path = &self.groups[index].restored.group.targets[log].writer_path;
        if !self.placed.contains(path) {
            self.placed.push(path.clone());
        }
    }

    /// Returns true if a rotation that began before the log was replaced may still undo the
    /// replacement.
    fn can_be_undone(&self, index: usize, old: &mut ReplacedFile) -> Result<bool> {
        let group = &self.groups[index].restored.group;
        let old = old.file().metadata().map_err(|error| Error::io_unnamed(IoAction::Read, error))?;
        let now = self.context.clock.now();
        let age = old.created().ok().and_then(|made| now.duration_since(made).ok());
        // If the age is unknown or a clock was set back, assume a recent file.
        let is_recent = age.is_none_or(|age| age < RECENT);
        let may_be_rotated = is_recent && old.len() >= MIN_ROTATED_BYTES;
        Ok(!group.rotates_under_lock() && (old.len() > MAX_LOG_BYTES || may_be_rotated))
    }

    /// Resumes watching undone logs that already have the bundle's rows.
    fn watch_again(&mut self) -> Result<()> {
        for (index, Group { restored, staged, state, polls_left, .. }) in self.groups.iter_mut().enumerate() {
            let GroupState::Unwatched(polls) = *state else { continue };
            let Some((local, target)) = staged.locals.last().zip(restored.group.targets.last()) else { continue };
            let path = target.log.path.clone();
            *state = match (local.reopen(&path)?, local.bytes()) {
                // A rotation of the earlier file can no longer be under way.
                _ if polls == 0 => GroupState::Placed,
                (Some(existing), Some(seen)) => {
                    let (ours, rotation) = (ReplacedFile::new(existing, seen), restored.group.rotation());
                    let placed = PlacedLog { group: index, path, ours, old: None, can_be_undone: true, rotation };
                    self.watch.add(placed, Some(polls));
                    GroupState::Placed
                }
                _ => {
                    *polls_left = polls - 1;
                    GroupState::Stale
                }
            };
            staged.locals.iter_mut().for_each(LocalLog::close);
        }
        Ok(())
    }

    /// Watches the logs that are in place, and marks groups that were undone as stale.
    fn watch(&mut self) -> Result<()> {
        let ImportContext { clock, progress, .. } = *self.context;
        if self.watch.is_long() {
            begin(progress, Stage::Watching, 0);
        }
        let cancellation = progress.cancellation();
        let undone = self.watch.run(clock, &|| cancellation.is_cancelled())?;
        // The committed logs stay, but without the watch they may still be undone.
        cancellation.check()?;
        for Undone { group, polls_left } in undone {
            let group = &mut self.groups[group];
            group.polls_left = polls_left;
            // Only in merge mode can a log be staged again from its current content.
            if self.context.mode != Mode::Merge {
                return Err(group.keeps_changing());
            }
            group.state = GroupState::Stale;
        }
        Ok(())
    }
}

impl<'g> Group<'g> {
    fn new(restored: Restored<'g>, context: &ImportContext<'_>, staging: &Staging, later_bytes: u64) -> Result<Self> {
        let staged = stage_with_retries(&restored, context, staging, later_bytes)?;
        Ok(Self { restored, staged, state: GroupState::Staged, attempts: 1, polls_left: 0, report: None })
    }

    /// Reads the local logs again and stages new versions.
    fn stage_again(&mut self, context: &ImportContext<'_>, staging: &Staging) -> Result<()> {
        self.staged.unstage(&mut self.restored, staging)?;
        self.staged = stage_with_retries(&self.restored, context, staging, 0)?;
        self.attempts += 1;
        // Several rotations may overlap, so another one may still replace the current log.
        let has_bundles_rows = self.report.is_some() && self.staged.versions.iter().all(Option::is_none);
        self.state = if has_bundles_rows { GroupState::Unwatched(self.polls_left) } else { GroupState::Staged };
        Ok(())
    }

    /// Returns true if the group was not restored because its logs were unchanged, but they have
    /// changed since.
    fn is_outdated(&self) -> bool {
        self.state == GroupState::Stale && self.restored.unchanged.is_some()
    }

    /// Returns true if the logs are as observed, except for rows appended to the newest log.
    fn is_fresh(&mut self, mode: Mode) -> Result<bool> {
        let Self { restored, staged, attempts, .. } = self;
        let group = restored.group;
        group.check_paths()?;
        for (at, target) in group.targets.iter().enumerate() {
            let path = &target.log.path;
            let backup = staged.files[at].backup.as_deref();
            let is_linked = backup.is_some_and(|backup| is_link_of(backup, path));
            let is_fresh = match staged.locals[at].state(path)? {
                // The file that is replaced must be the one that was backed up.
                LogState::Unchanged => backup.is_none_or(|backup| backup.symlink_metadata().is_ok()),
                LogState::Grown if is_linked => true,
                _ if at + 1 != group.targets.len() || mode == Mode::Overwrite => false,
                LogState::Grown => can_follow(staged, path, *attempts)?,
                LogState::Replaced => staged.locals[at].rebase(target)? && can_follow(staged, path, *attempts)?,
                LogState::Changed => false,
            };
            if !is_fresh {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Counts the lines that were appended after the log was read.
    fn count_late_lines(&mut self, mode: Mode, log: usize, late: &[u8], bytes_after: u64) {
        let Some(file) = self.staged.files.get_mut(log) else { return };
        file.bytes_before = file.bytes_before.map(|before| before + late.len() as u64);
        file.bytes_after = bytes_after;
        let lines = if mode == Mode::Overwrite { &mut file.replaced } else { &mut file.kept };
        lines_of(late).for_each(|line| lines.add(classify(line.bytes, &[]).is_some()));
    }

    fn keeps_changing(&self) -> Error {
        Error::from(ErrorKind::LogKeepsChanging).in_subject(&self.restored.group.targets[0].subject())
    }

    /// Checks that every log that gets a new version can be replaced.
    fn check_replaceable(&self) -> Result<()> {
        let logs = self.restored.group.targets.iter().zip(&self.staged.versions);
        logs.filter(|(_, version)| version.is_some()).try_for_each(|(target, _)| check_replaceable(&target.log.path))
    }

    /// Returns true if a log may still change after it was replaced.
    fn is_watched(&self, log: usize, can_be_undone: bool) -> bool {
        let group = self.restored.group;
        log + 1 == group.targets.len() && (can_be_undone || group.lock.is_none())
    }
}

/// Returns true if the rows appended to the newest log since it was read can come last in its new
/// version.
fn can_follow(staged: &Staged, path: &Path, attempts: usize) -> Result<bool> {
    let failed = |error| Error::io(IoAction::Read, path, error);
    let (Some(local), Some(file)) = (staged.locals.last(), staged.files.last()) else { return Ok(false) };
    if !local.ends_whole_line(path)? {
        return Ok(false);
    }
    let (Some(newest), Some(log)) = (staged.newest, local.reopen(path)?) else { return Ok(true) };
    let seen = local.bytes().unwrap_or_default();
    if log.metadata().map_err(failed)?.len().saturating_sub(seen) > MAX_LATE_BYTES {
        return Ok(false);
    }
    let late = ReplacedFile::new(log, seen).late_bytes().map_err(failed)?;
    let times = times_of(file.source.as_str());
    let is_older = |line: Line<'_>| {
        let time = classify(line.bytes, times).and_then(|row| row.time.timestamp);
        time.is_some_and(|time| time.as_millis() < newest)
    };
    Ok(attempts > MAX_SORTED_ATTEMPTS || !lines_of(&late).any(is_older))
}

/// Observes, plans and stages a restored group. Starts over if a log changes while it is read.
fn stage_with_retries(
    restored: &Restored<'_>,
    context: &ImportContext<'_>,
    staging: &Staging,
    later_bytes: u64,
) -> Result<Staged> {
    let attempt = || {
        restored.group.check_paths()?;
        stage(plan(observe(restored, context)?, context), context, staging, later_bytes)
    };
    for _ in 1..MAX_READS {
        match attempt() {
            Err(error) if matches!(error.kind(), ErrorKind::LogShrank { .. } | ErrorKind::LogKeepsChanging) => {}
            done => return done,
        }
    }
    attempt()
}
