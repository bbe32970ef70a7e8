//! Discovers the logs of a machine, including those that a bundle leaves out.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Serialize;

use super::catalogue::{CATALOGUE, Files, LOG_SUFFIX, Source, is_known, known, other_source, times_of};
use super::dirs::Dirs;
use crate::error::{Error, ErrorKind, IoAction, NameFault, Result};
use crate::format::LogId;
use crate::format::{Base, FileName, SourceName, TimeKey};
use crate::util::path_text;

/// The logs to discover.
#[derive(Debug, Clone, Default)]
#[must_use]
#[non_exhaustive]
pub struct DiscoverOptions {
    /// The sources to include; empty means all.
    pub sources: Vec<String>,
    /// True to include logs in the Patchwork directory that are not in the catalogue.
    pub include_other: bool,
    /// True to accept a machine without any logs, or without logs of a requested source.
    pub allow_empty: bool,
    /// True to list entries that can't be logs, or can't be inspected, in [`Discovery::unreadable`] instead of
    /// returning an error.
    pub skip_unreadable: bool,
}

impl DiscoverOptions {
    /// Limits the search to these sources.
    pub fn sources(self, sources: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { sources: sources.into_iter().map(Into::into).collect(), ..self }
    }

    /// Chooses whether to include logs that are not in the catalogue.
    pub fn include_other(self, include_other: bool) -> Self {
        Self { include_other, ..self }
    }

    /// Chooses whether to accept a machine without any logs, or without logs of a requested source.
    pub fn allow_empty(self, allow_empty: bool) -> Self {
        Self { allow_empty, ..self }
    }

    /// Chooses whether to list entries that can't be logs, or can't be inspected, instead of returning an error.
    pub fn skip_unreadable(self, skip_unreadable: bool) -> Self {
        Self { skip_unreadable, ..self }
    }

    fn wants(&self, source: &str) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|wanted| wanted == source)
    }
}

/// One log of this machine.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogFile {
    /// The log's identity in a bundle.
    pub id: LogId,
    /// Its path.
    pub path: PathBuf,
    /// Its length in bytes when it was found.
    pub bytes: u64,
    /// The keys under which its rows have their timestamp.
    pub times: &'static [TimeKey],
}

/// A group of logs. Rotation moves rows between them, so they must be opened at the same moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogGroup {
    /// The logs that exist, oldest rows first.
    pub logs: Vec<LogFile>,
    /// Their source and directory, if the source is a known one with fixed names.
    named: Option<(&'static Source, PathBuf)>,
}

/// The reason why a log is not bundled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum SkipReason {
    /// It is not in the catalogue, and such logs were not requested.
    Other,
    /// Only other sources were requested.
    NotSelected,
}

/// A log in the Patchwork directory that is not bundled.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SkippedLog {
    /// Its path.
    #[serde(serialize_with = "path_text::path")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// Its length in bytes when it was found.
    pub bytes: u64,
    /// The reason why it is not bundled.
    pub reason: SkipReason,
}

/// The logs that were found on a machine.
#[derive(Debug)]
#[non_exhaustive]
pub struct Discovery {
    /// The directories that were searched.
    pub dirs: Dirs,
    /// The requested logs, in bundle order.
    pub groups: Vec<LogGroup>,
    /// The logs in the Patchwork directory that were not requested.
    pub skipped: Vec<SkippedLog>,
    /// The directories that do not exist.
    pub missing_dirs: Vec<PathBuf>,
    /// The errors of entries that can't be logs or can't be inspected, if these are to be listed.
    pub unreadable: Vec<Error>,
}

impl Discovery {
    /// Returns the requested logs.
    pub fn logs(&self) -> impl Iterator<Item = &LogFile> {
        self.groups.iter().flat_map(|group| &group.logs)
    }
}

/// Discovers the requested logs.
///
/// A directory that does not exist has no logs.
///
/// # Errors
/// If a directory cannot be listed, something other than a file has the name of a known log, the name of a log is
/// not allowed in a bundle, unless these are to be listed, or if a requested source is neither known nor present.
/// [`ErrorKind::NoLogs`] if there are no logs at all, or none of a requested source, unless that is allowed.
pub fn discover(dirs: &Dirs, wanted: &DiscoverOptions) -> Result<Discovery> {
    let mut groups = Vec::new();
    let mut skipped = Vec::new();
    let mut unreadable = Vec::new();
    let mut note = |error| match wanted.skip_unreadable {
        true => {
            unreadable.push(error);
            Ok(())
        }
        false => Err(error),
    };
    for source in CATALOGUE {
        let found = known_groups(source, dirs.of(source.base), &mut note)?;
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
            let found = find_log((source, &name, Base::Patchwork), path, &mut note)?;
            groups.extend(found.map(LogGroup::single));
        } else if let Ok(Some(bytes)) = log_length(&path) {
            // A directory or a dangling symlink with such a name is not a log.
            let reason = if wanted.include_other { SkipReason::NotSelected } else { SkipReason::Other };
            skipped.push(SkippedLog { path, bytes, reason });
        }
    }
    check_not_empty(dirs, wanted, &groups)?;
    let all = BTreeSet::from([&dirs.patchwork, &dirs.activity]);
    let missing_dirs = all.into_iter().filter(|dir| !dir.exists()).cloned().collect();
    Ok(Discovery { dirs: dirs.clone(), groups, skipped, missing_dirs, unreadable })
}

/// Receives the error of a log. Returns it if it ends the search.
type NoteError<'n> = &'n mut dyn FnMut(Error) -> Result<()>;

impl LogGroup {
    /// Creates a group of one log, even if rotation moves rows between it and another one.
    pub(crate) fn single(log: LogFile) -> Self {
        Self { logs: vec![log], named: None }
    }

    /// Returns the existing logs of a source with fixed names.
    pub(super) fn named(source: &'static Source, dir: &Path, note: NoteError<'_>) -> Result<Self> {
        let Files::Named(names) = source.files else { return Ok(Self { logs: Vec::new(), named: None }) };
        let mut logs = Vec::new();
        for name in names {
            logs.extend(find_log((source.name, name, source.base), dir.join(name), note)?);
        }
        Ok(Self { logs, named: Some((source, dir.to_owned())) })
    }

    /// Returns the path of its writers' lock, which exists while they hold it.
    pub(super) fn lock(&self) -> Option<PathBuf> {
        let (source, dir) = self.named.as_ref()?;
        source.lock.map(|lock| dir.join(lock))
    }

    /// Discovers the same group again. Returns `None` for a single log, which needs no second look.
    pub(super) fn rediscover(&self) -> Result<Option<Self>> {
        match &self.named {
            Some((source, dir)) => Self::named(source, dir, &mut Err).map(Some),
            None => Ok(None),
        }
    }
}

fn known_groups(source: &'static Source, dir: &Path, note: NoteError<'_>) -> Result<Vec<LogGroup>> {
    let Files::Matching(accepts) = source.files else {
        let group = LogGroup::named(source, dir, note)?;
        return Ok(if group.logs.is_empty() { Vec::new() } else { vec![group] });
    };
    let mut groups = Vec::new();
    for (name, path) in paths_in(dir)?.into_iter().filter(|(name, _)| accepts(name)) {
        let found = find_log((source.name, &name, source.base), path, note)?;
        groups.extend(found.map(LogGroup::single));
    }
    Ok(groups)
}

/// Returns the log at `path`, if there is one.
fn find_log((source, name, base): (&str, &str, Base), path: PathBuf, note: NoteError<'_>) -> Result<Option<LogFile>> {
    let found = log_length(&path).and_then(|bytes| bytes.map(|bytes| log(source, name, base, path, bytes)).transpose());
    found.or_else(|error| note(error).map(|()| None))
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

/// Returns the names and paths of possible logs in the Patchwork directory that are not in the catalogue, sorted.
/// Invalid Unicode in a name is replaced with U+FFFD.
fn other_logs(dirs: &Dirs) -> Result<Vec<(String, PathBuf)>> {
    let one_dir = dirs.patchwork == dirs.activity;
    let known_here = |name: &str| is_known(name, Base::Patchwork) || one_dir && is_known(name, Base::Activity);
    let is_other = |name: &str| name.ends_with(LOG_SUFFIX) && !known_here(name);
    Ok(paths_in(&dirs.patchwork)?.into_iter().filter(|(name, _)| is_other(name)).collect())
}

/// Checks that there is a log, and at least one of each requested source.
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

/// Returns the names and paths of a directory's entries, sorted by name. A directory that does not exist has none.
/// Invalid Unicode is replaced with U+FFFD in a name, but not in a path.
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

/// Returns the length of the log at `path`, or `None` if nothing is there.
fn log_length(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
        Ok(_) => Err(Error::from(ErrorKind::NotAFile).in_subject(&path.display().to_string())),
        // A dangling symlink is a log that cannot be read, not a missing one.
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => Ok(None),
        Err(error) => Err(Error::io(IoAction::Open, path, error)),
    }
}
