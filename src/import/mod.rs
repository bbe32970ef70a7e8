//! Puts the logs of a bundle back where they belong, beside what is there already.
//!
//! 1. `targets`: the manifest alone says whether everything may be written where it says; if not, nothing happens.
//!    `resolve` follows no symlink of another user, and `pins` keeps the directories of other users open.
//! 2. `restored`: every log is restored, in one pass, and proven. It waits in `staging`, beside its target, unless it
//!    is `unchanged` already.
//! 3. `source_import`: what is there is read (`local`, `index`) and compared (`lcs`, `merge`). That gives the
//!    [`Plan`]. A dry run ends here; it does the same, but nothing is staged.
//! 4. `write` makes the new versions.
//! 5. `commit` takes the writers' locks (`lock`) for a moment, and puts the new versions in their places (`swap`); rows
//!    that come then are saved (`late_writes`), and what a writer undoes is merged again (`watch`).

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
mod regular_file;
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
use crate::pool::all_cores;
use crate::progress::{Progress, Stage};
use crate::restore::restore;
use crate::sources::Dirs;
use commit::{CommitContext, Committed, commit};
use index::Fingerprinter;
use pinned::PinnedDir;
use pins::Pins;
use restored::RestoreSink;
use source_import::{ImportContext, SourceImport};
use staging::Staging;
use targets::TargetGroup;

/// How to import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// What happens to logs that are there already.
    pub mode: Mode,
    /// Only the logs of these sources; all when empty. Nothing is asked of the others, not even that they are intact.
    pub sources: Vec<String>,
    /// Only say what would be done. Nothing is written and no lock is taken.
    pub dry_run: bool,
    /// How many threads inflate and compare.
    pub threads: NonZeroUsize,
}

/// A merge of all logs, on as many threads as there are cores.
impl Default for ImportOptions {
    fn default() -> Self {
        Self { mode: Mode::Merge, sources: Vec::new(), dry_run: false, threads: all_cores() }
    }
}

/// What was done, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// The digest of the bundle.
    pub digest: BundleDigest,
    /// Whether the bundle has the rows of its logs only, written anew and without hashes to prove them by: what format
    /// 1.0 has.
    pub rows_only: bool,
    /// What was done to each file.
    pub plan: Plan,
    /// What an import that was killed had left, and this one removed.
    pub cleaned_up: Vec<PathBuf>,
}

/// Imports the logs of a bundle, each into its directory of `dirs`: all of them, or none.
///
/// The same bundle, logs and options give the same result. Importing with [`Mode::Merge`] again changes nothing.
///
/// ```
/// use patchwork_traces::Bundle;
/// use patchwork_traces::import::{ImportOptions, SystemClock, import};
/// use patchwork_traces::progress::NoProgress;
/// use patchwork_traces::sources::Dirs;
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
/// Before anything is written: when a file of the bundle may not be written where it belongs, or something else than a
/// log is there. With nothing changed: when the bundle is damaged, a lock is not released, a log keeps changing, or the
/// disk fails or is full. With some logs changed: [`ErrorKind::PartiallyCommitted`](crate::ErrorKind::PartiallyCommitted).
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
        false => import.clean_up_and_carry_out(bundle, dirs, &mut pins),
    };
    progress.finish();
    let (mut files, mut cleaned_up) = done.map_err(|error| error.with_real_paths(&|path| pins.real_path(path)))?;
    let backups = files.iter_mut().filter_map(|file| file.backup.as_mut());
    backups.chain(&mut cleaned_up).for_each(|path| *path = pins.real_path(path));
    // A log that neither side has is only looked for.
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

    /// The directory of each log, and whether it is pinned.
    fn target_dirs(&self) -> impl Iterator<Item = (&Path, Option<&PinnedDir>)> {
        let targets = self.groups.iter().flat_map(|group| &group.targets);
        targets.map(|target| (target.dir(), target.pinned_dir()))
    }

    fn clean_up_and_carry_out(
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

    /// Restores again, and lets wait, the logs of groups that are not here as they are in the bundle.
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

/// Goes over to another stage.
fn begin(progress: &dyn Progress, stage: Stage, bytes: u64) {
    progress.finish();
    progress.stage(stage);
    if bytes > 0 {
        progress.start(Some(bytes));
    }
}

/// Tells each source how much is read of those behind it. Returns how much is read of all.
fn estimate_bytes(works: &mut [SourceImport<'_>]) -> u64 {
    works.iter_mut().rev().fold(0, |ahead, work| {
        work.behind = ahead;
        ahead + work.bytes_to_compare()
    })
}

/// A time as it can stand in a file name anywhere: without colons.
fn file_stamp(time: SystemTime) -> String {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let time = i64::try_from(since_1970.as_millis()).ok().and_then(Timestamp::from_millis);
    time.map(|time| time.to_string().replace(':', "-")).unwrap_or_default()
}
