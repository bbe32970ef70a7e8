//! Restores the logs of a bundle into their directories and merges them with the logs that already exist.
//!
//! 1. `targets` decides from the manifest alone whether every file may be written to its destination. If one may
//!    not, nothing happens. `resolve` does not follow symlinks of other users, and `pins` keeps the directories of
//!    other users open.
//! 2. `restored` restores and verifies every log in one pass. A restored log is staged beside its target
//!    (`staging`) unless it is `unchanged`.
//! 3. `source_import` reads the local logs (`local`, `index`) and compares them with the bundle's (`lcs`,
//!    `merge`). The result is the [`Plan`]. A dry run takes the same steps without staging anything, and ends
//!    here.
//! 4. `write` writes the new versions.
//! 5. `commit` briefly takes the writers' locks (`lock`) and swaps the new versions in (`swap`). `late_writes`
//!    saves rows that are appended meanwhile, and `watch` detects when a writer undoes a replacement, so that the
//!    log is merged again.

mod backup;
mod commit;
mod fingerprint_lines;
mod index;
mod late_writes;
mod lcs;
mod line_meta;
mod local;
mod lock;
mod merge;
mod obstacle;
mod owner;
mod pinned;
mod pins;
mod plan;
#[cfg(unix)]
mod resolve;
mod restored;
mod run_order;
mod source_import;
mod staging;
mod swap;
mod tally;
mod targets;
#[cfg(test)]
mod tests;
mod unchanged;
mod watch;
mod write;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use lock::{Clock, SystemClock};
pub use plan::{Change, FilePlan, LineCount, Mode, Plan, Rotation};

use crate::bundle::{Bundle, Reopener, select_files};
use crate::digest::BundleDigest;
use crate::error::Result;
use crate::format::Timestamp;
use crate::logs::Dirs;
use crate::progress::{Progress, Stage};
use crate::restore::restore;
use crate::util::ordered_pool::available_cores;
use commit::{CommitContext, Committed, commit};
use index::Fingerprinter;
use pinned::PinnedDir;
use pins::Pins;
use restored::RestoreSink;
use source_import::{ImportContext, SourceImport};
use staging::Staging;
use targets::TargetGroup;

/// The options of an import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// The treatment of logs that already exist.
    pub mode: Mode,
    /// The sources to import; empty means all. The logs of other sources are not checked and may even be damaged.
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

/// The outcome of an import, or of a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// The digest of the bundle.
    pub digest: BundleDigest,
    /// True if the bundle holds only the rows of its logs, rewritten and without digests to verify them, as in
    /// format 1.0.
    pub rows_only: bool,
    /// The change made to each file.
    pub plan: Plan,
    /// Leftovers of killed imports that this import removed.
    pub cleaned_up: Vec<PathBuf>,
}

/// Imports the logs of a bundle, each into its directory of `dirs`: either all of them or none.
///
/// The same bundle, logs and options give the same result. Importing again with [`Mode::Merge`] changes nothing.
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
/// let look = ImportOptions { dry_run: true, ..ImportOptions::default() };
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
/// Before anything is written: if a file of the bundle may not be written to its destination, or if something
/// other than a log is there. With nothing changed: if the bundle is damaged, a lock is not released, a log keeps
/// changing, or the disk fails or is full. With some logs changed:
/// [`ErrorKind::PartiallyCommitted`](crate::ErrorKind::PartiallyCommitted).
pub fn import(
    bundle: Bundle<'_>,
    dirs: &Dirs,
    options: &ImportOptions,
    clock: &dyn Clock,
    progress: &dyn Progress,
) -> Result<ImportReport> {
    let name = bundle.name().to_owned();
    let manifest = bundle.manifest().clone();
    let in_bundle = |error: crate::Error| error.in_subject(&name);
    let wanted = select_files(&manifest, &options.sources, &[]).map_err(in_bundle)?;
    let mut pins = Pins::new(!options.dry_run);
    let groups = targets::groups(&manifest, &wanted, dirs, options.mode, &mut pins);
    let groups = groups.map_err(|error| error.with_real_paths(&|path| pins.real_path(path))).map_err(in_bundle)?;
    let (stamp, fingerprinter) = (file_stamp(clock.now()), Fingerprinter::random()?);
    let context = ImportContext { mode: options.mode, stamp, clock, fingerprinter, threads: options.threads };
    let (digest, rows_only) = (bundle.digest(), manifest.version().1 == 0);
    let bundle_bytes: u64 = wanted.iter().map(|file| manifest.files[*file].bytes).sum();
    // A dry run compares while it restores.
    let ahead = if options.dry_run {
        bundle_bytes + groups.iter().map(TargetGroup::local_bytes).sum::<u64>()
    } else {
        bundle_bytes
    };
    progress.stage(Stage::Reading);
    progress.start(Some(ahead));
    let import = Import { groups: &groups, wanted: &wanted, context: &context, progress };
    let done = match options.dry_run {
        true => import.preview(bundle).map(|files| (files, Vec::new())),
        false => import.clean_up_and_execute(bundle, dirs, &mut pins),
    };
    progress.finish();
    let (mut files, mut cleaned_up) = done.map_err(|error| error.with_real_paths(&|path| pins.real_path(path)))?;
    let backups = files.iter_mut().filter_map(|file| file.backup.as_mut());
    backups.chain(&mut cleaned_up).for_each(|path| *path = pins.real_path(path));
    // A log that neither side has is looked for but not reported.
    let targets = groups.iter().flat_map(|group| &group.targets).zip(files);
    let files = targets.filter(|(target, file)| target.bundled.is_some() || file.bytes_before.is_some());
    let files = files.map(|(_, file)| file).collect();
    Ok(ImportReport { digest, rows_only, plan: Plan { mode: options.mode, files }, cleaned_up })
}

struct Import<'i> {
    groups: &'i [TargetGroup],
    wanted: &'i [usize],
    context: &'i ImportContext<'i>,
    progress: &'i dyn Progress,
}

impl<'i> Import<'i> {
    fn preview(&self, bundle: Bundle<'_>) -> Result<Vec<FilePlan>> {
        let mut intake = RestoreSink::new(self.groups, self.context, None, self.progress);
        restore(bundle, Some(self.wanted.to_vec()), self.context.threads, &mut intake)?;
        let plans = intake.into_plans();
        let targets = self.groups.iter().flat_map(|group| &group.targets);
        for (target, file) in targets.zip(plans.iter().flat_map(|plan| &plan.files)) {
            if file.change == Change::Changed {
                obstacle::check_replaceable(&target.log.path)?;
            }
        }
        Ok(plans.into_iter().flat_map(|plan| plan.files).collect())
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
        let staging = Staging::create(self.target_dirs(), self.progress.cancellation())?;
        let files = self.execute(bundle, &staging);
        Ok((files.map_err(|error| error.with_real_paths(&|path| staging.real_path(path)))?, cleaned_up))
    }

    fn execute(&self, mut bundle: Bundle<'_>, staging: &Staging) -> Result<Vec<FilePlan>> {
        let again = bundle.again();
        let mut intake =
            RestoreSink::new(self.groups, self.context, Some(staging), self.progress).comparing(again.is_some());
        restore(bundle, Some(self.wanted.to_vec()), self.context.threads, &mut intake)?;
        let mut works = intake.into_works();
        let context = CommitContext { staging, clock: self.context.clock, progress: self.progress };
        loop {
            if let Some(again) = &again {
                works = self.restore_changed(again, works, staging)?;
            }
            begin(self.progress, Stage::Merging, estimate_bytes(&mut works));
            match commit(works, &context)? {
                Committed::Done(files) => return Ok(files),
                Committed::Outdated(outdated) => works = outdated,
            }
        }
    }

    /// Restores again, and stages, the unstaged logs of groups whose local logs differ from the bundle's.
    fn restore_changed(
        &self,
        again: &Reopener<'_>,
        mut works: Vec<SourceImport<'i>>,
        staging: &'i Staging,
    ) -> Result<Vec<SourceImport<'i>>> {
        let mut changed = Vec::new();
        for work in &mut works {
            let is_unchanged = work.is_unchanged()?;
            let not_staged: Vec<_> = work.unstaged_logs().collect();
            work.stays = is_unchanged && !not_staged.is_empty();
            changed.extend(not_staged.into_iter().filter(|_| !is_unchanged));
        }
        if changed.is_empty() {
            return Ok(works);
        }
        let bundle = again.open()?;
        let bytes = changed.iter().map(|file| bundle.manifest().files[*file].bytes).sum();
        begin(self.progress, Stage::Reading, bytes);
        let mut intake = RestoreSink::new(self.groups, self.context, Some(staging), self.progress).with(works);
        restore(bundle, Some(changed), self.context.threads, &mut intake)?;
        Ok(intake.into_works())
    }
}

/// Switches to another progress stage.
fn begin(progress: &dyn Progress, stage: Stage, bytes: u64) {
    progress.finish();
    progress.stage(stage);
    if bytes > 0 {
        progress.start(Some(bytes));
    }
}

/// Sets `later_bytes` of each source. Returns the number of bytes to read for all sources.
fn estimate_bytes(works: &mut [SourceImport<'_>]) -> u64 {
    works.iter_mut().rev().fold(0, |ahead, work| {
        work.later_bytes = ahead;
        ahead + work.bytes_to_compare()
    })
}

/// Formats a time for use in a file name on any system: without colons.
fn file_stamp(time: SystemTime) -> String {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let time = i64::try_from(since_1970.as_millis()).ok().and_then(Timestamp::from_millis);
    time.map(|time| time.to_string().replace(':', "-")).unwrap_or_default()
}
