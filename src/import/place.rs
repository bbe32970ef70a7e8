//! Puts the new versions in their places, once all of them wait: each log is the old one or the new one at any moment.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::TempPath;

use super::backup::Backups;
use super::exchange::exchange;
use super::local::Local;
use super::lock::{Clock, Locks};
use super::plan::{FilePlan, Mode};
use super::replaced::{AllReplaced, Replaced};
use super::staging::Staging;
use super::targets::Target;
use super::work::{Found, GroupPlan, Output, Work};
use super::write::write_outputs;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::sources::is_same_file;

/// How often a log is read again because it changed meanwhile.
const ATTEMPTS: usize = 20;

/// After how many of these it is enough that a log has only grown.
const BEFORE_CATCHING_UP: usize = 3;

/// What carrying out needs.
pub(super) struct Scene<'s> {
    pub(super) staging: &'s Staging,
    pub(super) locks: &'s Locks,
    pub(super) clock: &'s dyn Clock,
}

/// A group whose new versions wait.
pub(super) struct Prepared<'g> {
    work: Work<'g>,
    found: Found,
    plan: GroupPlan,
    waiting: Vec<Option<PathBuf>>,
    /// What was put in its place, where a writer without a lock could have put something else there since.
    placed: Option<Placed>,
}

/// A new version in its place.
struct Placed {
    path: PathBuf,
    file: Metadata,
    /// Whether it can be made again of what is there now.
    can_again: bool,
}

/// Reads what is there, works out the new versions, and puts them in their places.
///
/// # Errors
/// When anything fails before the first log is in its place, nothing is changed. From there on, the error is an
/// [`ErrorKind::PlacedInPart`].
pub(super) fn carry_out(works: Vec<Work<'_>>, scene: &Scene<'_>) -> Result<Vec<FilePlan>> {
    place_all(prepare_all(works, scene)?, scene)
}

/// Reads what is there, and lets the new versions wait.
pub(super) fn prepare_all<'g>(works: Vec<Work<'g>>, scene: &Scene<'_>) -> Result<Vec<Prepared<'g>>> {
    works.into_iter().map(|work| Prepared::new(work, scene)).collect()
}

/// Puts the new versions in their places.
pub(super) fn place_all(mut groups: Vec<Prepared<'_>>, scene: &Scene<'_>) -> Result<Vec<FilePlan>> {
    let done = back_up(&mut groups, scene)?;
    replace(groups, done, scene)
}

/// Keeps what is to be replaced, where the plans say so.
pub(super) fn back_up(groups: &mut [Prepared<'_>], scene: &Scene<'_>) -> Result<Done> {
    for group in &mut *groups {
        group.settle(scene)?;
    }
    let mut done = Done::default();
    for group in groups {
        done.backups.make(group.to_be_kept(), scene.staging)?;
    }
    Ok(done)
}

/// Replaces the logs.
pub(super) fn replace(mut groups: Vec<Prepared<'_>>, mut done: Done, scene: &Scene<'_>) -> Result<Vec<FilePlan>> {
    let all = groups.iter().flat_map(|group| &group.waiting).flatten().count();
    let is_repeatable = groups.iter().all(|group| group.work.way.mode != Mode::Append);
    let result = groups.iter_mut().try_for_each(|group| group.place(scene, &mut done));
    if done.placed.is_empty() {
        result?;
    } else {
        done.backups.keep();
        // What was replaced may get late rows also where a later log could not be.
        let finished = finish(&mut groups, &mut done, scene);
        let finished = result.and(finished);
        finished.map_err(|cause| ErrorKind::PlacedInPart { placed: done.placed, all, is_repeatable, cause })?;
    }
    Ok(groups.into_iter().flat_map(|group| group.plan.files).collect())
}

/// What was done.
#[derive(Default)]
pub(super) struct Done {
    backups: Backups,
    pub(super) placed: Vec<PathBuf>,
    pub(super) replaced: AllReplaced,
}

/// Saves late rows, places again what did not stay, and makes all of it last. What fails of that keeps nothing else of it
/// from being done.
fn finish(groups: &mut [Prepared<'_>], done: &mut Done, scene: &Scene<'_>) -> Result<()> {
    let mut finished = scene.staging.sync();
    let mut unsettled = None;
    for _ in 0..ATTEMPTS {
        finished = finished.and(std::mem::take(&mut done.replaced).carry_late_rows(scene.clock));
        unsettled = None;
        for group in groups.iter_mut() {
            match group.stays(scene, done) {
                Ok(true) => {}
                Ok(false) => unsettled = Some(group.keeps_changing()),
                Err(error) => finished = finished.and(Err(error)),
            }
        }
        if unsettled.is_none() {
            break;
        }
    }
    // It was placed once more, and nobody knows whether it stays.
    finished = finished.and(unsettled.map_or(Ok(()), Err));
    let finished = finished.and(std::mem::take(&mut done.replaced).carry_late_rows(scene.clock));
    finished.and(scene.staging.sync())
}

impl<'g> Prepared<'g> {
    fn new(mut work: Work<'g>, scene: &Scene<'_>) -> Result<Self> {
        let (found, plan, waiting) = prepare(&mut work, scene)?;
        Ok(Self { work, found, plan, waiting, placed: None })
    }

    /// Whether what is there is still what the plan was made for.
    fn is_current(&self) -> Result<bool> {
        if self.waiting.iter().all(Option::is_none) {
            return Ok(true);
        }
        is_current(&self.work, &self.found)
    }

    /// Prepares again for as long as a log changes meanwhile: the newest rows must not be lost.
    fn settle(&mut self, scene: &Scene<'_>) -> Result<()> {
        for attempt in 0..ATTEMPTS {
            // Rows that come faster than they can be merged are added behind the others.
            if self.is_current()? || attempt >= BEFORE_CATCHING_UP && self.can_catch_up()? {
                return Ok(());
            }
            self.prepare_again(scene)?;
        }
        match self.is_current()? {
            true => Ok(()),
            false => Err(self.keeps_changing()),
        }
    }

    fn keeps_changing(&self) -> Error {
        Error::from(ErrorKind::LogKeepsChanging).in_subject(&self.work.group.targets[0].subject())
    }

    fn prepare_again(&mut self, scene: &Scene<'_>) -> Result<()> {
        self.discard();
        (self.found, self.plan, self.waiting) = prepare(&mut self.work, scene)?;
        Ok(())
    }

    /// Each log that is about to be replaced, with how many bytes of it were seen.
    fn to_be_replaced(&self) -> impl Iterator<Item = (&Local, u64, &Path)> {
        let logs = self.work.group.targets.iter().zip(&self.found.locals).zip(&self.waiting);
        let logs = logs.filter(|(_, waiting)| waiting.is_some());
        logs.filter_map(|((target, local), _)| Some((local, local.bytes()?, target.log.path.as_path())))
    }

    /// Each log of which the plan names a backup, and that.
    fn to_be_kept(&self) -> impl Iterator<Item = (&Path, &Path)> {
        let logs = self.work.group.targets.iter().zip(&self.plan.files);
        logs.filter_map(|(target, file)| Some((target.log.path.as_path(), file.backup.as_deref()?)))
    }

    /// Whether nothing happened to its log but that rows were added, and these may be added to its new version.
    fn can_catch_up(&self) -> Result<bool> {
        let is_merged = |output: &Output| matches!(output, Output::Merged | Output::Appended);
        if self.work.group.lock.is_some() || !self.plan.outputs.iter().all(is_merged) {
            return Ok(false);
        }
        for (local, seen, path) in self.to_be_replaced() {
            if !local.has_only_grown(path)? || !was_whole(path, seen)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Frees the space of new versions that came too late.
    fn discard(&mut self) {
        let bundled = |index: usize| self.plan.outputs[index] == Output::Bundled;
        for waiting in
            self.waiting.iter().enumerate().filter(|(index, _)| !bundled(*index)).filter_map(|(_, path)| path.as_ref())
        {
            // What cannot be removed goes with its directory.
            let _ = fs::remove_file(waiting);
        }
    }

    fn place(&mut self, scene: &Scene<'_>, done: &mut Done) -> Result<()> {
        for _ in 0..ATTEMPTS {
            self.settle(scene)?;
            if self.work.group.lock.is_some() {
                scene.locks.check()?;
            }
            done.backups.make(self.to_be_kept(), scene.staging)?;
            if self.try_to_place(done, scene)? {
                return Ok(());
            }
            self.prepare_again(scene)?;
        }
        Err(self.keeps_changing())
    }

    /// `false` when a log changed just now, and nothing was done.
    fn try_to_place(&mut self, done: &mut Done, scene: &Scene<'_>) -> Result<bool> {
        let (has_lock, mode) = (self.work.group.lock.is_some(), self.work.way.mode);
        let targets = self.work.group.targets.iter().zip(&self.found.locals).zip(&self.waiting);
        for (index, ((target, local), waiting)) in targets.enumerate() {
            let Some(waiting) = waiting else { continue };
            let path = &target.log.path;
            let mut replaced = local.bytes().map_or(Ok(None), |seen| Replaced::open(path, seen))?;
            if !local.is_current(path)? && !self.catch_up(replaced.as_mut(), local, waiting)? {
                // Without a lock there is one target only. With one, nobody else may change any.
                return if has_lock || index > 0 { Err(self.keeps_changing()) } else { Ok(false) };
            }
            let ours = fs::metadata(waiting).map_err(|error| Error::io(IoAction::Rename, path, error))?;
            match &replaced {
                Some(replaced) if !has_lock => {
                    if !put_in_place_of(replaced, waiting, target, done, scene)? {
                        return Ok(false);
                    }
                }
                _ => {
                    rename(waiting, path, local.bytes().is_some())?;
                    done.placed.push(target.place.clone());
                }
            }
            if let Some(replaced) = replaced {
                let can_again = mode == Mode::Merge && self.plan.outputs[index] != Output::Bundled;
                self.placed = (!has_lock).then(|| Placed { path: path.clone(), file: ours, can_again });
                // A backup gets late rows by itself.
                if self.plan.files[index].backup.is_none() {
                    done.replaced.push(replaced, has_lock, scene.clock)?;
                }
            }
        }
        Ok(true)
    }

    /// Adds to the new version what came behind what was seen. Says whether nothing else has happened.
    fn catch_up(&self, replaced: Option<&mut Replaced>, local: &Local, waiting: &Path) -> Result<bool> {
        let Some(replaced) = replaced else { return Ok(false) };
        if !self.can_catch_up()? {
            return Ok(false);
        }
        replaced.carry_to(waiting)?;
        // That took its time.
        local.has_only_grown(&self.work.group.targets[0].log.path)
    }

    /// Whether the new version is still in its place. A writer without a lock that was about to rotate the old one when
    /// it was replaced has put what it made of that in its place: then it is merged again, where that can be.
    fn stays(&mut self, scene: &Scene<'_>, done: &mut Done) -> Result<bool> {
        let Some(Placed { path, file, can_again }) = self.placed.take() else { return Ok(true) };
        match fs::metadata(&path) {
            Ok(there) if is_same_file(&there, &file) => return Ok(true),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(IoAction::Open, &path, error));
            }
            _ if !can_again => return Err(self.keeps_changing()),
            _ => {}
        }
        // What is reported is what the first time did.
        let report = std::mem::take(&mut self.plan.files);
        self.prepare_again(scene)?;
        let stays = self.waiting.iter().all(Option::is_none);
        let placed = done.placed.len();
        let result = self.place(scene, done);
        done.placed.truncate(placed);
        self.plan.files = report;
        result.map(|()| stays)
    }
}

/// Whether the first `seen` bytes of the log at `path` end with a whole line.
fn was_whole(path: &Path, seen: u64) -> Result<bool> {
    Replaced::open(path, seen)?.map_or(Ok(true), |mut log| log.was_whole())
}

type Preparation = (Found, GroupPlan, Vec<Option<PathBuf>>);

fn prepare(work: &mut Work<'_>, scene: &Scene<'_>) -> Result<Preparation> {
    for _ in 1..ATTEMPTS {
        match try_to_prepare(work, scene) {
            Err(error) if matches!(error.kind(), ErrorKind::LogShrank { .. } | ErrorKind::LogKeepsChanging) => {}
            done => return done,
        }
    }
    try_to_prepare(work, scene)
}

fn try_to_prepare(work: &mut Work<'_>, scene: &Scene<'_>) -> Result<Preparation> {
    work.group.check_places()?;
    let mut found = work.find()?;
    let plan = work.plan(&found);
    let waiting = write_outputs(work, &mut found, &plan, scene.staging)?;
    found.close();
    Ok((found, plan, waiting))
}

fn is_current(work: &Work<'_>, found: &Found) -> Result<bool> {
    for (target, local) in work.group.targets.iter().zip(&found.locals) {
        if !local.is_current(&target.log.path)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Puts a waiting file in its place. Where nothing was, it replaces nothing.
fn rename(waiting: &Path, target: &Path, replace: bool) -> Result<()> {
    let renamed = if replace {
        fs::rename(waiting, target)
    } else {
        TempPath::try_from_path(waiting).and_then(|path| path.persist_noclobber(target).map_err(|error| error.error))
    };
    renamed.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Error::from(ErrorKind::LogKeepsChanging).in_subject(&target.display().to_string())
        }
        _ => Error::io(IoAction::Rename, target, error),
    })
}

/// Puts a waiting file in the place of a log whose writers take no lock. `false` when one of them has put another file
/// there in the last moment: that has newer rows, so it is left there.
pub(super) fn put_in_place_of(
    log: &Replaced,
    waiting: &Path,
    target: &Target,
    done: &mut Done,
    scene: &Scene<'_>,
) -> Result<bool> {
    let path = &target.log.path;
    let failed = |error| Error::io(IoAction::Rename, path, error);
    let bytes = fs::metadata(waiting).map_err(failed)?.len();
    if !exchange(waiting, path).map_err(failed)? {
        rename(waiting, path, true)?;
        done.placed.push(target.place.clone());
        return Ok(true);
    }
    done.placed.push(target.place.clone());
    if log.is_at(waiting)? {
        return Ok(true);
    }
    let ours = Replaced::open(path, bytes)?;
    // If they cannot be exchanged back, the writer's file takes its place again all the same: it must not go with ours.
    exchange(waiting, path).or_else(|_| fs::rename(waiting, path).map(|()| true)).map_err(failed)?;
    done.placed.pop();
    // A writer may have found ours meanwhile.
    ours.map_or(Ok(()), |ours| done.replaced.push(ours, false, scene.clock))?;
    Ok(false)
}
