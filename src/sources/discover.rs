//! Finds the logs of a machine, and the ones that a bundle leaves out.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::{CATALOGUE, Dirs, Files, LOG_SUFFIX, Source, is_known, known, other_source, times_of};
use crate::error::{Error, ErrorKind, IoAction, NameFault, Result};
use crate::format::log::LogId;
use crate::format::{Base, FileName, SourceName, TimeKey};

/// Which logs are wanted.
#[derive(Debug, Clone, Default)]
pub struct DiscoverOptions {
    /// Only these sources; all when empty.
    pub sources: Vec<String>,
    /// Also logs in the Patchwork directory that are not in the catalogue.
    pub include_other: bool,
    /// Accepts a machine without any log, or without a log of a source that is asked for.
    pub allow_empty: bool,
}

impl DiscoverOptions {
    fn wants(&self, source: &str) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|wanted| wanted == source)
    }
}

/// One log of this machine.
#[derive(Debug, Clone)]
pub struct LogFile {
    /// How a bundle calls it.
    pub id: LogId,
    /// Where it is.
    pub path: PathBuf,
    /// Its length when it was found.
    pub bytes: u64,
    /// Where its rows have their time.
    pub times: &'static [TimeKey],
}

/// Logs that belong together, so that they must be opened at one moment: rotation moves rows from one to the other.
#[derive(Debug, Clone)]
pub struct LogGroup {
    /// The logs that are there, oldest rows first.
    pub logs: Vec<LogFile>,
    /// Their source and directory, when it is a known one with fixed names.
    named: Option<(&'static Source, PathBuf)>,
}

/// Why a log is not bundled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// It is not in the catalogue, and such logs were not asked for.
    Other,
    /// Only other sources were asked for.
    NotSelected,
}

/// A log in the Patchwork directory that is not bundled.
#[derive(Debug, Clone)]
pub struct SkippedLog {
    /// Where it is.
    pub path: PathBuf,
    /// Its length when it was found.
    pub bytes: u64,
    /// Why it is not bundled.
    pub reason: SkipReason,
}

/// What was found on a machine.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// Where it was looked for.
    pub dirs: Dirs,
    /// The wanted logs, in the order of a bundle.
    pub groups: Vec<LogGroup>,
    /// The logs in the Patchwork directory that are not wanted.
    pub skipped: Vec<SkippedLog>,
    /// Directories that are not there.
    pub missing_dirs: Vec<PathBuf>,
}

impl Discovery {
    /// The wanted logs.
    pub fn logs(&self) -> impl Iterator<Item = &LogFile> {
        self.groups.iter().flat_map(|group| &group.logs)
    }
}

/// Looks for the wanted logs.
///
/// A directory that is not there has no logs.
///
/// # Errors
/// When a directory cannot be listed, something else than a file stands in the place of a known log, a log's name
/// cannot stand in a bundle, or a source that is asked for is neither known nor there. [`ErrorKind::NoLogs`] when there is
/// no log, or none of a source that is asked for, unless that is allowed.
pub fn discover(dirs: &Dirs, wanted: &DiscoverOptions) -> Result<Discovery> {
    let mut groups = Vec::new();
    let mut skipped = Vec::new();
    for source in &CATALOGUE {
        let found = known_groups(source, dirs.of(source.base))?;
        if wanted.wants(source.name) {
            groups.extend(found);
        } else if source.base == Base::Patchwork {
            let logs = found.into_iter().flat_map(|group| group.logs);
            skipped.extend(logs.map(|LogFile { path, bytes, .. }| SkippedLog {
                path,
                bytes,
                reason: SkipReason::NotSelected,
            }));
        }
    }
    let others = other_logs(dirs)?;
    check_asked_for(wanted, &others)?;
    for (name, path) in others {
        let source = other_source(&name).unwrap_or(&name);
        if wanted.include_other && wanted.wants(source) {
            if let Some(bytes) = log_length(&path)? {
                groups.push(LogGroup::single(log(source, &name, Base::Patchwork, path, bytes)?));
            }
        } else if let Ok(Some(bytes)) = log_length(&path) {
            // A directory or a dangling link of such a name is nobody's log.
            let reason = if wanted.include_other { SkipReason::NotSelected } else { SkipReason::Other };
            skipped.push(SkippedLog { path, bytes, reason });
        }
    }
    check_not_empty(dirs, wanted, &groups)?;
    let all = BTreeSet::from([&dirs.patchwork, &dirs.activity]);
    let missing_dirs = all.into_iter().filter(|dir| !dir.exists()).cloned().collect();
    Ok(Discovery { dirs: dirs.clone(), groups, skipped, missing_dirs })
}

impl LogGroup {
    fn single(log: LogFile) -> Self {
        Self { logs: vec![log], named: None }
    }

    /// The logs of a source with fixed names that are there now.
    pub(super) fn named(source: &'static Source, dir: &Path) -> Result<Self> {
        let Files::Named(names) = source.files else { return Ok(Self { logs: Vec::new(), named: None }) };
        let mut logs = Vec::new();
        for name in names {
            let path = dir.join(name);
            if let Some(bytes) = log_length(&path)? {
                logs.push(log(source.name, name, source.base, path, bytes)?);
            }
        }
        Ok(Self { logs, named: Some((source, dir.to_owned())) })
    }

    /// Where its writers' lock lies while they hold it.
    pub(super) fn lock(&self) -> Option<PathBuf> {
        let (source, dir) = self.named.as_ref()?;
        source.lock.map(|lock| dir.join(lock))
    }

    /// The same group, looked for again. `None` for a single log, which either is there or not.
    pub(super) fn again(&self) -> Result<Option<Self>> {
        match &self.named {
            Some((source, dir)) => Self::named(source, dir).map(Some),
            None => Ok(None),
        }
    }
}

fn known_groups(source: &'static Source, dir: &Path) -> Result<Vec<LogGroup>> {
    let Files::Matching(accepts) = source.files else {
        let group = LogGroup::named(source, dir)?;
        return Ok(if group.logs.is_empty() { Vec::new() } else { vec![group] });
    };
    let mut groups = Vec::new();
    for (name, path) in paths_in(dir)?.into_iter().filter(|(name, _)| accepts(name)) {
        if let Some(bytes) = log_length(&path)? {
            groups.push(LogGroup::single(log(source.name, &name, source.base, path, bytes)?));
        }
    }
    Ok(groups)
}

fn log(source: &str, name: &str, base: Base, path: PathBuf, bytes: u64) -> Result<LogFile> {
    let bad_name = |fault| Error::from(ErrorKind::LogName(fault)).in_subject(&path.display().to_string());
    if path.file_name().is_some_and(|name| name.to_str().is_none()) {
        return Err(bad_name(NameFault::NotUnicode));
    }
    let id = LogId {
        source: SourceName::new(source).map_err(bad_name)?,
        name: FileName::new(name).map_err(bad_name)?,
        base,
    };
    Ok(LogFile { id, bytes, times: times_of(source), path })
}

/// Name and place of what may be logs in the Patchwork directory that are not in the catalogue, sorted. What is not Unicode
/// in a name is U+FFFD there.
fn other_logs(dirs: &Dirs) -> Result<Vec<(String, PathBuf)>> {
    let one_dir = dirs.patchwork == dirs.activity;
    let known_here = |name: &str| is_known(name, Base::Patchwork) || one_dir && is_known(name, Base::Activity);
    let is_other = |name: &str| name.ends_with(LOG_SUFFIX) && !known_here(name);
    Ok(paths_in(&dirs.patchwork)?.into_iter().filter(|(name, _)| is_other(name)).collect())
}

/// Checks that there is a log, and one of each source that is asked for.
fn check_not_empty(dirs: &Dirs, wanted: &DiscoverOptions, groups: &[LogGroup]) -> Result<()> {
    if wanted.allow_empty {
        return Ok(());
    }
    let found: BTreeSet<_> = groups.iter().flat_map(|group| &group.logs).map(|log| log.id.source.as_str()).collect();
    let mut missing: Vec<_> =
        wanted.sources.iter().filter(|source| !found.contains(source.as_str())).cloned().collect();
    missing.dedup();
    if !found.is_empty() && missing.is_empty() {
        return Ok(());
    }
    let base_of = |source: &String| known(source).map_or(Base::Patchwork, |source| source.base);
    let bases: Vec<_> = match missing.is_empty() {
        true => vec![Base::Patchwork, Base::Activity],
        false => missing.iter().map(base_of).collect(),
    };
    let mut places: Vec<_> = bases.into_iter().map(|base| dirs.of(base).to_owned()).collect();
    places.sort();
    places.dedup();
    Err(ErrorKind::NoLogs { sources: missing, places }.into())
}

fn check_asked_for(wanted: &DiscoverOptions, others: &[(String, PathBuf)]) -> Result<()> {
    let other_sources: Vec<_> = others.iter().filter_map(|(name, ..)| other_source(name)).collect();
    for asked in &wanted.sources {
        let is_other = other_sources.contains(&asked.as_str());
        if is_other && !wanted.include_other {
            return Err(ErrorKind::OtherSource { name: asked.clone() }.into());
        }
        if !is_other && known(asked).is_none() {
            let all = CATALOGUE.iter().map(|source| source.name).chain(other_sources);
            return Err(
                ErrorKind::UnknownSource { name: asked.clone(), known: all.map(str::to_owned).collect() }.into()
            );
        }
    }
    Ok(())
}

/// What is in a directory, by name, sorted. One that is not there has nothing. What is not Unicode in a name is U+FFFD
/// there, but not in the path.
fn paths_in(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let listed = |error| Error::io(IoAction::List, dir, error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(listed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let name = entry.map_err(listed)?.file_name();
        paths.push((name.to_string_lossy().into_owned(), dir.join(name)));
    }
    paths.sort();
    Ok(paths)
}

/// The length of the log at `path`. `None` when nothing is there.
fn log_length(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
        Ok(_) => Err(Error::from(ErrorKind::NotAFile).in_subject(&path.display().to_string())),
        // A link to nowhere is a log that cannot be read, not one that is not there.
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => Ok(None),
        Err(error) => Err(Error::io(IoAction::Open, path, error)),
    }
}
