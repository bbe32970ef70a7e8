//! Restores the logs of bundles into a set.

use std::num::NonZeroUsize;
use std::path::Path;

use super::content::{Content, ContentWriter};
use super::scratch::Scratch;
use super::set::{LogSet, LogSetBuilder, StoredLog};
use crate::bundle::Bundle;
use crate::error::Result;
use crate::format::{FollowsState, LogId, Manifest, ManifestFile};
use crate::logs::GroupKey;
use crate::progress::Progress;
use crate::restore::{LogSink, restore};

/// Restores the logs of the sources `sources` (all if empty) from `bundles`, and concatenates their rows. Temporary
/// files are created in `dir`.
///
/// # Errors
/// As [`restore_files`].
pub fn restore_logs<'r>(
    bundles: impl Iterator<Item = Result<Bundle<'r>>>,
    sources: &[String],
    dir: &Path,
    threads: NonZeroUsize,
    progress: &dyn Progress,
) -> Result<LogSet> {
    restore_files(bundles, (sources, &[]), dir, threads, progress)
}

/// Restores the logs of some sources whose names are in `files` (all if empty).
///
/// Skips logs that a segment lists as absent.
///
/// # Errors
/// If a bundle is damaged, or a temporary file cannot be written.
pub fn restore_files<'r>(
    bundles: impl Iterator<Item = Result<Bundle<'r>>>,
    (sources, files): (&[String], &[String]),
    dir: &Path,
    threads: NonZeroUsize,
    progress: &dyn Progress,
) -> Result<LogSet> {
    let scratch = Scratch::create_in(dir)?;
    let mut builder = LogSetBuilder::default();
    for bundle in bundles {
        let bundle = bundle?;
        let wanted = wanted(bundle.manifest(), sources, files);
        let mut sink = ScratchSink { begin: || ContentWriter::new(&scratch, progress), logs: Vec::new() };
        restore(bundle, Some(wanted), threads, &mut sink)?;
        builder.push(sink.logs);
    }
    let mut set = builder.finish(&scratch)?;
    set.keep_files(files);
    Ok(set)
}

/// Returns the indices of the files to restore. Includes all logs of a group, because rotation moves rows between them.
fn wanted(manifest: &Manifest, sources: &[String], names: &[String]) -> Vec<usize> {
    let has_name = |file: &ManifestFile| {
        let (group, _) = GroupKey::of(&LogId::of(file));
        let mut logs = (0..group.logs()).filter_map(|at| group.name_of(at));
        names.is_empty() || logs.any(|log| names.iter().any(|name| name == log))
    };
    let is_wanted = |file: &ManifestFile| {
        let is_absent = file.follows.as_ref().is_some_and(|follows| follows.state == FollowsState::Absent);
        let is_of_source = sources.is_empty() || sources.iter().any(|source| source == file.source.as_str());
        !is_absent && is_of_source && has_name(file)
    };
    let files = manifest.files.iter().enumerate().filter(|(_, file)| is_wanted(file));
    files.map(|(index, _)| index).collect()
}

/// Receives restored logs.
struct ScratchSink<B> {
    begin: B,
    logs: Vec<StoredLog>,
}

impl<'p, B: Fn() -> ContentWriter<'p>> LogSink for ScratchSink<B> {
    type Writer = ContentWriter<'p>;

    fn begin(&mut self, _: usize, _: &ManifestFile) -> Result<ContentWriter<'p>> {
        Ok((self.begin)())
    }

    fn end(&mut self, _: usize, file: &ManifestFile, content: Content) -> Result<()> {
        let whole = file.follows.as_ref().and_then(|follows| follows.log).map(|log| log.sha256);
        self.logs.push(StoredLog { id: LogId::of(file), content, integrity: file.integrity(), whole });
        Ok(())
    }
}
