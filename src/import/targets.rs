//! Determines the destination of each log of a bundle on this machine, and refuses logs that must
//! not be written.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;

use super::pinned::PinnedDir;
use super::pins::{Located, Pins};
use super::plan::Mode;
use crate::align::RowKeys;
use crate::digest::Integrity;
use crate::error::{Error, ErrorKind, Result};
use crate::format::LogId;
use crate::format::{FileName, Manifest};
use crate::logs::rotation::RotationKind;
use crate::logs::{CATALOGUE, Dirs, Files, LogFile, Source, check_log, known, times_of};
use crate::util::file_identity::lead_to_same_file;
use crate::util::regular_file;

/// A file that an import considers.
#[derive(Debug)]
pub struct ImportTarget {
    /// The log. Its path has symlinks resolved, and leads through `pin`.
    pub log: LogFile,
    /// Its path as its writers know it.
    pub writer_path: PathBuf,
    /// The pinned directory that its path leads through, if any.
    pin: Option<Arc<PinnedDir>>,
    /// The manifest's file. `None` for a log that is only considered because rotation moves rows to
    /// it.
    pub bundled: Option<Bundled>,
}

/// A log as the manifest describes it.
#[derive(Debug, Clone, Copy)]
pub struct Bundled {
    /// Index into the manifest's `files`.
    pub index: usize,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its length and digest, if the manifest has a digest.
    pub integrity: Option<Integrity>,
}

/// The logs of one source between which rotation moves rows, oldest rows first, or a single other
/// log.
#[derive(Debug)]
pub struct TargetGroup {
    pub source: Option<&'static Source>,
    pub keys: RowKeys,
    pub targets: Vec<ImportTarget>,
    /// The path of the lock that its writers take, if any.
    pub lock: Option<PathBuf>,
    /// The directory in which its writers look for its logs.
    home: Located,
    /// The path of that directory as its writers know it.
    writer_path: PathBuf,
}

impl ImportTarget {
    fn new(id: LogId, dirs: &Dirs, bundled: Option<Bundled>, pins: &mut Pins) -> Result<Self> {
        let writer_path = id.name.in_dir(dirs.of(id.base));
        let Located { path, pin } = pins.file(&writer_path)?;
        Ok(Self { log: LogFile { times: times_of(id.source.as_str()), id, path, bytes: 0 }, writer_path, pin, bundled })
    }

    /// Returns the directory of the log, with symlinks resolved.
    pub fn dir(&self) -> &Path {
        self.log.path.parent().unwrap_or(Path::new("."))
    }

    /// Returns the pin of that directory, if it is pinned.
    pub fn pinned_dir(&self) -> Option<&PinnedDir> {
        self.pin.as_deref()
    }

    pub fn subject(&self) -> String {
        self.writer_path.display().to_string()
    }

    /// Returns true if the writers' path still leads to the log. Rotation replaces a symlink with a
    /// file.
    fn is_at_its_path(&self) -> Result<bool> {
        Located { path: self.log.path.clone(), pin: self.pin.clone() }.is_file_at(&self.writer_path)
    }

    /// Returns the current length of the log in bytes, or 0 if it is missing.
    pub fn local_bytes(&self) -> u64 {
        self.log.path.symlink_metadata().map_or(0, |existing| existing.len())
    }

    /// Returns the path of the log that users know, with symlinks resolved.
    fn real_path(&self) -> PathBuf {
        let path = self.pin.as_ref().and_then(|pin| pin.real_path(&self.log.path));
        path.unwrap_or_else(|| self.log.path.clone())
    }
}

/// Returns the targets of the manifest's files with the indices `wanted`, in groups. Fails if one
/// of them must not be written.
pub fn groups(
    manifest: &Manifest,
    wanted: &[usize],
    dirs: &Dirs,
    mode: Mode,
    pins: &mut Pins,
) -> Result<Vec<TargetGroup>> {
    let mut groups: Vec<TargetGroup> = Vec::new();
    let mut named = HashMap::new();
    for &index in wanted {
        let file = &manifest.files[index];
        let id = LogId { source: file.source.clone(), name: file.relative_path.clone(), base: file.base() };
        let name = id.name.to_string();
        check_log(&id).map_err(|kind| Error::from(kind).in_file(&name))?;
        let bundled = Bundled { index, bytes: file.bytes, integrity: file.integrity() };
        let target = ImportTarget::new(id, dirs, Some(bundled), pins)?;
        let source = known(file.source.as_str()).filter(|source| matches!(source.files, Files::Named(_)));
        let group = source.and_then(|source| named.get(source.name)).and_then(|at: &usize| groups.get_mut(*at));
        if let Some(group) = group {
            group.targets.push(target);
            continue;
        }
        if let Some(source) = source {
            named.insert(source.name, groups.len());
        }
        let writer_path = dirs.of(file.base()).to_owned();
        let home = pins.dir(&writer_path)?;
        let lock = source.and_then(|source| source.lock).map(|lock| home.path.join(lock));
        groups.push(TargetGroup {
            source,
            keys: RowKeys { times: target.log.times, run: source.and_then(|source| source.run) },
            targets: vec![target],
            lock,
            home,
            writer_path,
        });
    }
    for group in &mut groups {
        group.complete(dirs, mode, pins)?;
    }
    refuse_same_targets(&groups)?;
    refuse_known_logs(&groups, dirs)?;
    Ok(groups)
}

impl TargetGroup {
    /// Returns the kind of rotation of its newest log, if it is known.
    pub fn rotation(&self) -> Option<RotationKind> {
        known(self.targets[0].log.id.source.as_str()).map(|source| source.rotation)
    }

    /// Returns the total length of its local logs, in bytes.
    pub fn local_bytes(&self) -> u64 {
        self.targets.iter().map(ImportTarget::local_bytes).sum()
    }

    /// Returns true if all writers hold the lock while they replace its logs.
    pub fn rotates_under_lock(&self) -> bool {
        // Writers take it if the source has an archive, so that no row is lost while it moves
        // there.
        self.rotation() == Some(RotationKind::Archives)
    }

    /// Checks that the paths of its logs still lead to them.
    ///
    /// # Errors
    /// [`ErrorKind::LogKeepsChanging`].
    pub fn check_paths(&self) -> Result<()> {
        for target in &self.targets {
            if !target.is_at_its_path()? || !self.home.is_dir_at(&self.writer_path)? {
                return Err(Error::from(ErrorKind::LogKeepsChanging).in_subject(&target.subject()));
            }
        }
        Ok(())
    }

    /// Opens the log `name` in the directory of this group, if it is a regular file.
    pub fn open_beside(&self, name: &str) -> io::Result<fs::File> {
        let path = self.home.path.join(name);
        // Without a pinned directory, a symlink may be followed.
        let path = if self.home.pin.is_some() { path } else { fs::canonicalize(path)? };
        regular_file::open_no_follow(&path)
    }

    /// Sorts the logs. In merge mode, first adds those that the bundle does not have, because
    /// rotation may have moved rows there, or may still do so before the import takes the lock.
    fn complete(&mut self, dirs: &Dirs, mode: Mode, pins: &mut Pins) -> Result<()> {
        let Some(Source { files: Files::Named(names), base, .. }) = self.source else { return Ok(()) };
        for name in *names {
            if mode != Mode::Merge || self.targets.iter().any(|target| target.log.id.name.as_str() == *name) {
                continue;
            }
            let name = FileName::new(*name).map_err(ErrorKind::LogName)?;
            let id = LogId { source: self.targets[0].log.id.source.clone(), name, base: *base };
            self.targets.push(ImportTarget::new(id, dirs, None, pins)?);
        }
        self.targets.sort_by_key(|target| names.iter().position(|name| *name == target.log.id.name.as_str()));
        Ok(())
    }
}

fn refuse_same_targets(groups: &[TargetGroup]) -> Result<()> {
    let mut seen: HashMap<String, &ImportTarget> = HashMap::new();
    for target in groups.iter().flat_map(|group| &group.targets) {
        if let Some(other) = seen.insert(comparable(&target.real_path()), target) {
            let kind = ErrorKind::SameTarget { other: other.log.id.name.to_string() };
            return Err(Error::from(kind).in_subject(&target.subject()));
        }
    }
    Ok(())
}

/// Refuses a log that is a second name of a log in the catalogue: a link, or a name that differs in
/// case on a case-insensitive file system. The import would not take the lock of that log's
/// writers.
fn refuse_known_logs(groups: &[TargetGroup], dirs: &Dirs) -> Result<()> {
    for target in groups.iter().filter(|group| group.source.is_none()).flat_map(|group| &group.targets) {
        let path = &target.log.path;
        for Source { files, base, .. } in CATALOGUE {
            let Files::Named(names) = files else { continue };
            let is_there = |name: &&&str| lead_to_same_file(&dirs.of(*base).join(name), path);
            if let Some(name) = names.iter().find(is_there) {
                let kind = ErrorKind::SameTarget { other: (*name).to_owned() };
                return Err(Error::from(kind).in_subject(&target.subject()));
            }
        }
    }
    Ok(())
}

/// Returns a form of a path that is equal for two paths that can lead to the same file. Ignores
/// case on systems whose file systems usually do.
fn comparable(path: &Path) -> String {
    let path = path.to_string_lossy();
    if cfg!(any(windows, target_os = "macos")) { path.to_lowercase() } else { path.into_owned() }
}
