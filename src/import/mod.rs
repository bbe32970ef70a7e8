//! Restores the logs of a bundle into their directories and merges them with the logs that already
//! exist.
//!
//! `targets` checks from the manifest that every file may be written to its destination; otherwise
//! nothing is written. `resolve` refuses symlinks with which another user could redirect the
//! import, and `pins` keeps directories open that another user could replace. Then each group of
//! logs passes these stages, each of which builds its value from the previous one:
//!
//! 1. `Restored`: the bundle's logs, verified and staged beside their targets (`staging`).
//! 2. `Observed`: the local logs as they were read (`local`), and their comparison with the
//!    bundle's.
//! 3. `Planned`: the [`Plan`] for the new version of each log. A dry run ends here, having staged
//!    nothing.
//! 4. `Staged`: the new versions, beside the logs.
//! 5. `Committed`: the logs after the new versions replaced them (`swap`), while the import briefly
//!    held the writers' locks (`lock`). `unlocked` is the protocol for writers without a lock. A
//!    group whose log changed meanwhile returns to stage 2.

mod backup;
mod commit;
mod context;
mod late_writes;
mod local;
mod lock;
mod observed;
mod obstacle;
mod owner;
mod pinned;
mod pins;
mod plan;
mod planned;
#[cfg(unix)]
mod resolve;
mod restore_sink;
mod restored;
mod staged;
mod staging;
mod swap;
mod tally;
mod targets;
#[cfg(test)]
mod tests;
mod unlocked;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use lock::{Clock, SystemClock};
pub use plan::{Change, FilePlan, LineCount, Mode, Plan, Rotation};

use crate::align::Fingerprinter;
use crate::bundle::{Bundle, Reopener, select_files};
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, RedactionFault, Result};
use crate::format::{FollowsState, Manifest, ManifestFile, Timestamp};
use crate::gzip::Level;
use crate::input::{InputSummary, TraceInput};
use crate::logs::Dirs;
use crate::merge::{MergeOptions, MergedLogs};
use crate::progress::{Progress, Stage};
use crate::restore::restore;
use crate::util::hashing::HashingReader;
use crate::util::ordered_pool::available_cores;
use crate::util::regular_file;
use commit::{Committed, commit};
use context::{ImportContext, begin};
use pinned::PinnedDir;
use pins::Pins;
use restore_sink::RestoreSink;
use staging::Staging;
use targets::TargetGroup;

/// The options of an import.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct ImportOptions {
    /// The treatment of logs that already exist.
    pub mode: Mode,
    /// The sources to import; empty means all. The logs of other sources are not checked and may
    /// even be damaged.
    pub sources: Vec<String>,
    /// True for a dry run, which reports what would be done, writes nothing and takes no lock.
    pub dry_run: bool,
    /// The number of threads that inflate and compare.
    pub threads: NonZeroUsize,
}

/// Merges all logs, on as many threads as there are cores.
impl Default for ImportOptions {
    fn default() -> Self {
        Self { mode: Mode::Merge, sources: Vec::new(), dry_run: false, threads: available_cores() }
    }
}

impl ImportOptions {
    /// Sets the treatment of logs that already exist.
    pub fn mode(self, mode: Mode) -> Self {
        Self { mode, ..self }
    }

    /// Limits the import to these sources.
    pub fn sources(self, sources: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { sources: sources.into_iter().map(Into::into).collect(), ..self }
    }

    /// Enables or disables the dry run, which changes nothing.
    pub fn dry_run(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }
}

/// The result of an import or a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportReport {
    /// The digest of the bundle. `None` if several bundles were merged.
    pub digest: Option<BundleDigest>,
    /// The bundles and histories that were imported.
    pub inputs: Vec<InputSummary>,
    /// True if a bundle holds only the rows of its logs, rewritten and without digests to verify
    /// them, as in format 1.0.
    pub rows_only: bool,
    /// The change made to each file.
    pub plan: Plan,
    /// Leftovers of killed imports that this import removed.
    pub cleaned_up: Vec<PathBuf>,
}

/// Imports the logs of a bundle, each into its directory of `dirs`: either all of them or none.
///
/// The same bundle, logs and options give the same result. Importing again with [`Mode::Merge`]
/// changes nothing. Logs that already match the manifest's SHA-256 are not restored, unless the
/// bundle is a stream.
///
/// ```
/// use patchwork_traces::Bundle;
/// use patchwork_traces::import::{ImportOptions, SystemClock, import};
/// use patchwork_traces::progress::NoProgress;
/// use patchwork_traces::logs::Dirs;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// # let home = tempfile::tempdir()?;
/// let dirs = Dirs { patchwork: home.path().join("patchwork"), activity: home.path().join("ide") };
/// let look = ImportOptions::default().dry_run(true);
/// let planned = import(Bundle::open(path)?, &dirs, &look, &SystemClock, &NoProgress)?.plan;
/// assert_eq!(planned.new_lines().rows, 10);
/// assert!(!dirs.patchwork.exists());
///
/// let options = ImportOptions::default();
/// let done = import(Bundle::open(path)?, &dirs, &options, &SystemClock, &NoProgress)?.plan;
/// assert_eq!(done, planned);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If a file of the bundle may not be written to its destination, or something other than a log is
/// there; nothing is written then. If the bundle is damaged in a part that is read, a lock is not
/// released, a log keeps changing, or the disk fails or is full; no log is changed then.
/// [`ErrorKind::PartiallyCommitted`] if some logs were changed before the failure.
pub fn import(
    bundle: Bundle<'_>,
    dirs: &Dirs,
    options: &ImportOptions,
    clock: &dyn Clock,
    progress: &dyn Progress,
) -> Result<ImportReport> {
    let is_redacted = bundle.manifest().is_redacted();
    import_checked(bundle, is_redacted, dirs, options, clock, progress)
}

/// Imports a bundle. If it is redacted, its rows must not be merged with the originals.
fn import_checked(
    bundle: Bundle<'_>,
    is_redacted: bool,
    dirs: &Dirs,
    options: &ImportOptions,
    clock: &dyn Clock,
    progress: &dyn Progress,
) -> Result<ImportReport> {
    let name = bundle.name().to_owned();
    let manifest = bundle.manifest().clone();
    let in_bundle = |error: crate::Error| error.in_subject(&name);
    let wanted = wanted_files(&manifest, options).map_err(in_bundle)?;
    let input = TraceInput::from_bundle(bundle.clone()).summary();
    let mut pins = Pins::new(!options.dry_run);
    let groups = targets::groups(&manifest, &wanted, dirs, options.mode, &mut pins);
    let groups = groups.map_err(|error| error.with_real_paths(&|path| pins.real_path(path))).map_err(in_bundle)?;
    if is_redacted && options.mode != Mode::Overwrite {
        check_no_logs(&groups, options.mode).map_err(in_bundle)?;
    }
    let (stamp, fingerprinter) = (file_stamp(clock.now()), Fingerprinter::random()?);
    let context = ImportContext { mode: options.mode, stamp, clock, fingerprinter, threads: options.threads, progress };
    let (digest, rows_only) = (Some(bundle.digest()), input.rows_only);
    let import = Import { groups: &groups, context: &context };
    let done = match options.dry_run {
        true => import.preview(bundle).map(|files| (files, Vec::new())),
        false => import.clean_up_and_execute(bundle, dirs, &mut pins),
    };
    progress.finish();
    let (mut files, mut cleaned_up) = done.map_err(|error| error.with_real_paths(&|path| pins.real_path(path)))?;
    let backups = files.iter_mut().filter_map(|file| file.backup.as_mut());
    backups.chain(&mut cleaned_up).for_each(|path| *path = pins.real_path(path));
    // A log that neither side has is considered but not reported.
    let targets = groups.iter().flat_map(|group| &group.targets).zip(files);
    let files = targets.filter(|(target, file)| target.bundled.is_some() || file.bytes_before.is_some());
    let files = files.map(|(_, file)| file).collect();
    Ok(ImportReport { digest, inputs: vec![input], rows_only, plan: Plan { mode: options.mode, files }, cleaned_up })
}

/// Imports the logs of several bundles and histories together: either all of them or none. First
/// merges them, as [`merge`](crate::merge) does, into an unnamed file in `work_dir`.
///
/// # Errors
/// As [`merge`](crate::merge::merge) and [`import`].
pub fn import_all(
    inputs: Vec<TraceInput<'_>>,
    dirs: &Dirs,
    options: &ImportOptions,
    work_dir: impl Into<PathBuf>,
    clock: &dyn Clock,
    progress: &dyn Progress,
) -> Result<ImportReport> {
    if let Some(segment) = inputs.iter().find(|input| input.segment().is_some() && options.mode == Mode::Overwrite) {
        return Err(Error::from(ErrorKind::OnlyASegment).in_subject(segment.name()));
    }
    if let Some(filtered) = inputs.iter().find(|input| input.is_filtered() && options.mode == Mode::Overwrite) {
        return Err(Error::from(ErrorKind::OnlySomeRows).in_subject(filtered.name()));
    }
    let is_redacted = inputs.iter().any(TraceInput::is_redacted);
    let fast = Level::new(1).unwrap_or_default();
    let merge = MergeOptions::new("import").sources(&options.sources).level(fast).threads(options.threads);
    let (file, merged) = MergedLogs::new(inputs, &merge, work_dir.into(), progress)?.into_temporary(progress)?;
    let rows_only = merged.inputs.iter().any(|input| input.rows_only);
    let bundle = Bundle::from_seekable(file, MERGED)?;
    let report = import_checked(bundle, is_redacted, dirs, options, clock, progress)?;
    Ok(ImportReport { digest: None, inputs: merged.inputs, rows_only, ..report })
}

/// The name of merged inputs in errors.
const MERGED: &str = "the merged bundles";

/// Fails if this machine has lines in a log of the bundle. In merge mode, a local log that equals
/// the bundle's is allowed.
fn check_no_logs(groups: &[TargetGroup], mode: Mode) -> Result<()> {
    let targets = groups.iter().flat_map(|group| &group.targets).filter(|target| target.bundled.is_some());
    let mut others = targets.filter(|target| {
        let has_lines = target.log.path.metadata().is_ok_and(|metadata| metadata.len() > 0);
        has_lines && (mode == Mode::Append || !is_as_bundled(target))
    });
    match others.next() {
        Some(target) => Err(Error::from(RedactionFault::OverLogs).in_file(target.log.id.name.as_str())),
        None => Ok(()),
    }
}

/// Returns true if a local log equals the bundle's byte for byte.
fn is_as_bundled(target: &targets::ImportTarget) -> bool {
    let bundled = target.bundled.as_ref().and_then(|bundled| bundled.integrity);
    let local = regular_file::open(&target.log.path).and_then(|file| {
        let mut reader = HashingReader::new(file);
        std::io::copy(&mut reader, &mut std::io::sink()).map(|_| reader.finish())
    });
    bundled.is_some_and(|bundled| local.is_ok_and(|local| local == bundled))
}

/// Returns the indices of the files to import. Excludes logs that a segment lists as absent.
fn wanted_files(manifest: &Manifest, options: &ImportOptions) -> Result<Vec<usize>> {
    if manifest.history.is_some() && options.mode == Mode::Overwrite {
        return Err(ErrorKind::OnlyASegment.into());
    }
    if manifest.filter.is_some() && options.mode == Mode::Overwrite {
        return Err(ErrorKind::OnlySomeRows.into());
    }
    let mut wanted = select_files(manifest, &options.sources, &[])?;
    let is_absent =
        |file: &ManifestFile| file.follows.as_ref().map(|follows| follows.state) == Some(FollowsState::Absent);
    wanted.retain(|file| !is_absent(&manifest.files[*file]));
    Ok(wanted)
}

struct Import<'i> {
    groups: &'i [TargetGroup],
    context: &'i ImportContext<'i>,
}

impl Import<'_> {
    fn preview(&self, bundle: Bundle<'_>) -> Result<Vec<FilePlan>> {
        let mut sink = RestoreSink::new(self.groups, self.context, None);
        self.restore(bundle, &mut sink)?;
        let plans = sink.into_plans();
        let targets = self.groups.iter().flat_map(|group| &group.targets);
        for (target, file) in targets.zip(&plans) {
            if file.change == Change::Changed {
                obstacle::check_replaceable(&target.log.path)?;
            }
        }
        Ok(plans)
    }

    /// Returns the directory of each log, and its pin if it is pinned.
    fn target_dirs(&self) -> impl Iterator<Item = (&Path, Option<&PinnedDir>)> {
        let targets = self.groups.iter().flat_map(|group| &group.targets);
        targets.map(|target| (target.dir(), target.pinned_dir()))
    }

    fn clean_up_and_execute(
        &self,
        bundle: Bundle<'_>,
        dirs: &Dirs,
        pins: &mut Pins,
    ) -> Result<(Vec<FilePlan>, Vec<PathBuf>)> {
        let homes: Vec<_> =
            [&dirs.patchwork, &dirs.activity].into_iter().filter_map(|dir| pins.existing_dir(dir)).collect();
        let mut dirs: BTreeMap<_, _> = self.target_dirs().collect();
        dirs.extend(homes.iter().map(|home| (home.path.as_path(), home.pin.as_deref())));
        let cleaned_up = dirs.into_iter().flat_map(|(dir, pin)| staging::clean_up(dir, pin)).collect();
        let staging = Staging::create(self.target_dirs(), self.context.progress.cancellation())?;
        let files = self.execute(bundle, &staging);
        Ok((files.map_err(|error| error.with_real_paths(&|path| staging.real_path(path)))?, cleaned_up))
    }

    fn execute(&self, bundle: Bundle<'_>, staging: &Staging) -> Result<Vec<FilePlan>> {
        let mut sink = RestoreSink::new(self.groups, self.context, Some(staging));
        let reopener = self.restore(bundle, &mut sink)?;
        loop {
            match commit(sink.take_restored(), self.context, staging)? {
                Committed::Done(files) => return Ok(files),
                Committed::Outdated(restored) => {
                    sink.resume_with(restored);
                    let bundle = reopener.as_ref().map(Reopener::open).transpose()?;
                    bundle.map_or(Ok(()), |bundle| self.restore_missing(bundle, &mut sink))?;
                }
            }
        }
    }

    /// Restores all logs except unchanged ones. Restores those too if the bundle is a stream,
    /// because it cannot be opened again if they change later, and if the chunk table does not
    /// match the file, because the file may then have more rows than its manifest declares.
    fn restore<'b>(&self, bundle: Bundle<'b>, sink: &mut RestoreSink<'_>) -> Result<Option<Reopener<'b>>> {
        let reopener = bundle.reopener();
        let may_skip = reopener.is_some() && bundle.matches_chunk_table();
        let hashed = if may_skip { sink.bytes_to_hash() } else { 0 };
        if hashed > 0 {
            begin(self.context.progress, Stage::Reading, hashed);
            sink.skip_unchanged(bundle.manifest())?;
        }
        if hashed == 0 || !sink.missing().is_empty() {
            self.restore_missing(bundle, sink)?;
        }
        Ok(reopener)
    }

    fn restore_missing(&self, bundle: Bundle<'_>, sink: &mut RestoreSink<'_>) -> Result<()> {
        self.context.progress.finish();
        self.context.progress.stage(Stage::Reading);
        self.context.progress.start(Some(sink.bytes_to_restore()));
        restore(bundle, Some(sink.missing()), self.context.threads, sink)
    }
}

/// Formats a time for a file name, without colons, which not all systems allow.
fn file_stamp(time: SystemTime) -> String {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let time = i64::try_from(since_1970.as_millis()).ok().and_then(Timestamp::from_millis);
    time.map(|time| time.to_string().replace(':', "-")).unwrap_or_default()
}
