//! Puts the new versions in their places, once all of them wait: each log is the old one or the new one at any moment.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::TempPath;

use super::lock::Locks;
use super::plan::{FilePlan, Mode};
use super::replaced::Replaced;
use super::staging::Staging;
use super::work::{Found, GroupPlan, Output, Work};
use super::write::write_outputs;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::publish::sync_dir;

/// How often a log is read again because it changed meanwhile.
const ATTEMPTS: usize = 20;

/// How many replaced logs are kept open to the end.
const MOST_OPEN: usize = 256;

/// What carrying out needs.
pub(super) struct Scene<'s> {
    pub(super) staging: &'s Staging,
    pub(super) locks: &'s Locks,
}

/// A group whose new versions wait.
pub(super) struct Prepared<'g> {
    work: Work<'g>,
    found: Found,
    plan: GroupPlan,
    waiting: Vec<Option<PathBuf>>,
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
    for group in &mut groups {
        group.settle(scene)?;
    }
    let backups = Backups::make(&groups, scene)?;
    let all = groups.iter().flat_map(|group| &group.waiting).flatten().count();
    let mut done = Done::default();
    let result = groups.iter_mut().try_for_each(|group| group.place(scene, &mut done));
    let Done { placed, replaced } = done;
    if placed.is_empty() {
        result?;
    } else {
        backups.keep();
        let finished = result.and_then(|()| finish(replaced, scene));
        finished.map_err(|cause| ErrorKind::PlacedInPart { placed, all, cause })?;
    }
    Ok(groups.into_iter().flat_map(|group| group.plan.files).collect())
}

/// What was put in its place.
#[derive(Default)]
struct Done {
    placed: Vec<PathBuf>,
    replaced: Vec<Replaced>,
}

fn finish(replaced: Vec<Replaced>, scene: &Scene<'_>) -> Result<()> {
    scene.staging.sync()?;
    // Writers that had opened the old log have had the time to write since.
    replaced.into_iter().try_for_each(|mut replaced| replaced.carry_late_rows())
}

impl<'g> Prepared<'g> {
    fn new(mut work: Work<'g>, scene: &Scene<'_>) -> Result<Self> {
        let (found, plan, waiting) = prepare(&mut work, scene)?;
        Ok(Self { work, found, plan, waiting })
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
        for _ in 0..ATTEMPTS {
            if self.is_current()? {
                return Ok(());
            }
            self.discard();
            (self.found, self.plan, self.waiting) = prepare(&mut self.work, scene)?;
        }
        Err(Error::from(ErrorKind::LogKeepsChanging).in_subject(&self.work.group.targets[0].subject()))
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
        self.settle(scene)?;
        scene.locks.check()?;
        let targets = self.work.group.targets.iter().zip(&self.found.locals).zip(&self.waiting);
        for ((target, local), waiting) in targets {
            let Some(waiting) = waiting else { continue };
            let path = &target.log.path;
            let replaced = match (local.bytes(), self.work.way.mode) {
                (Some(seen), Mode::Merge | Mode::Append) => Replaced::open(path, seen)?,
                // The backup of an overwritten log gets late rows by itself.
                _ => None,
            };
            if !local.is_current(path)? {
                return Err(Error::from(ErrorKind::LogKeepsChanging).in_subject(&target.subject()));
            }
            rename(waiting, path, local.bytes().is_some())?;
            done.placed.push(target.place.clone());
            if let Some(mut replaced) = replaced {
                replaced.carry_late_rows()?;
                done.replaced.push(replaced);
                done.replaced.truncate(MOST_OPEN);
            }
        }
        Ok(())
    }
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

/// The backups that were made. Dropped before anything is replaced, they are gone again.
#[derive(Debug, Default)]
struct Backups(Vec<PathBuf>);

impl Backups {
    fn make(groups: &[Prepared<'_>], scene: &Scene<'_>) -> Result<Self> {
        let mut backups = Self::default();
        for group in groups {
            for (target, file) in group.work.group.targets.iter().zip(&group.plan.files) {
                let Some(backup) = &file.backup else { continue };
                // It may be there already: see where its name is chosen.
                if backup.symlink_metadata().is_ok() {
                    continue;
                }
                keep_copy(&target.log.path, backup, scene.staging)?;
                backups.0.push(backup.clone());
            }
        }
        backups.0.iter().try_for_each(|backup| sync_dir(backup))?;
        Ok(backups)
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Backups {
    fn drop(&mut self) {
        for backup in &self.0 {
            // The log itself is still there.
            let _ = fs::remove_file(backup);
        }
    }
}

/// Keeps the file at `path` under a second name, or, where a file can have only one, a copy of it.
fn keep_copy(path: &Path, backup: &Path, staging: &Staging) -> Result<()> {
    let failed = |error| Error::io(IoAction::BackUp, path, error);
    if fs::hard_link(path, backup).is_ok() {
        return Ok(());
    }
    let mut copy = staging.file(path)?;
    let mut original = fs::File::open(path).map_err(failed)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match original.read(&mut buffer).map_err(failed)? {
            0 => break,
            n => copy.write(&buffer[..n])?,
        }
    }
    let copy = TempPath::try_from_path(copy.finish()?).map_err(failed)?;
    copy.persist_noclobber(backup).map_err(|error| failed(error.error))
}
