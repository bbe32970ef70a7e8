//! Bundles logs: reads each log once and writes the bundle to a file or any [`Write`].

use std::io::Write;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::bundle::writer::{BundleWriter, SpooledBundle, WrittenBundle};
use crate::container::write_through;
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::{FilterRecord, Manifest, ManifestFile, Provenance};
use crate::logs::Discovery;
use crate::progress::{Progress, Stage};
use crate::util::atomic_file::{AtomicFile, OutputTarget};
use crate::util::cancel::CancellableIo;
use crate::util::file_identity::lead_to_same_file;

/// Options for an export. The same logs and options give the same bytes, unless encrypted,
/// regardless of the number of threads.
pub use crate::bundle::writer::WriteOptions as ExportOptions;
pub use crate::gzip::Level;

/// The result of an export.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExportReport {
    /// The digest of the bundle.
    pub digest: BundleDigest,
    /// The manifest of the bundle.
    pub manifest: Manifest,
    /// The path of each of the manifest's files.
    pub paths: Vec<PathBuf>,
    /// The size of the bundle in bytes.
    pub bundle_bytes: u64,
}

impl ExportReport {
    /// Returns each log's path and its entry in the manifest.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &ManifestFile)> {
        self.paths.iter().map(PathBuf::as_path).zip(&self.manifest.files)
    }

    /// Returns the total length of all logs.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.manifest.files.iter().map(|file| file.bytes).sum()
    }
}

/// Writes a bundle of the discovered logs to `sink`. Errors refer to `sink` as `sink_name`. Nothing
/// is written until every log has been read to its end. The logs of each source are read as they
/// were at one instant: see [`open_in`](crate::logs::LogGroup::open_in).
///
/// # Errors
/// If a log cannot be read up to the length that it had when it was opened, a log exceeds a limit,
/// or `sink` fails.
pub fn export(
    discovery: &Discovery,
    options: &ExportOptions,
    sink: impl Write,
    sink_name: &str,
    progress: &dyn Progress,
) -> Result<ExportReport> {
    read(discovery, options, progress)?.write(options, sink, sink_name, progress)
}

/// All logs, compressed but not yet written.
struct ReadLogs {
    packed: SpooledBundle,
    paths: Vec<PathBuf>,
}

/// Reads all logs once and compresses their rows.
fn read(discovery: &Discovery, options: &ExportOptions, progress: &dyn Progress) -> Result<ReadLogs> {
    progress.stage(Stage::Reading);
    progress.start(Some(discovery.logs().map(|log| log.bytes).sum()));
    let read = std::thread::scope(|scope| {
        let mut packer = BundleWriter::start(scope, options);
        let mut paths = Vec::new();
        for group in &discovery.groups {
            for open in group.open_in(&options.work_dir, progress)? {
                let (path, id) = (open.path().to_owned(), open.log.id.clone());
                let (times, subject) = (open.log.times, path.display().to_string());
                packer.add_log(&id, times, CancellableIo::new(open, progress), &subject, progress)?;
                paths.push(path);
            }
        }
        Ok(ReadLogs { packed: packer.finish()?, paths })
    });
    progress.finish();
    read
}

impl ReadLogs {
    fn write(
        self,
        options: &ExportOptions,
        sink: impl Write,
        sink_name: &str,
        progress: &dyn Progress,
    ) -> Result<ExportReport> {
        progress.stage(Stage::Writing);
        progress.start(Some(self.packed.compressed_bytes()));
        let packed = self.packed;
        let written = write_through(options.sealer.as_ref(), CancellableIo::counted(sink, progress), |out| {
            packed.write(options, provenance(options), out)
        });
        progress.finish();
        let (written, bundle_bytes) = written.map_err(|error| error.in_subject(sink_name))?;
        let WrittenBundle { digest, manifest, .. } = written;
        Ok(ExportReport { digest, manifest, paths: self.paths, bundle_bytes })
    }
}

/// Returns the provenance for the manifest, which records the time range as a filter.
fn provenance(options: &ExportOptions) -> Provenance {
    let since = options.range.since.map(|time| format!("--since {time}"));
    let until = options.range.until.map(|time| format!("--until {time}"));
    let filter = FilterRecord::new(since.into_iter().chain(until).collect());
    Provenance { filter, ..Provenance::default() }
}

/// Writes a bundle of the discovered logs to `target`, with mode 0600. Publishes a complete file or
/// nothing. Temporary files are in the target's directory; `options.work_dir` is ignored.
///
/// # Errors
/// As [`export`], and if the target is one of the logs or cannot be created.
pub fn export_to_file(
    discovery: &Discovery,
    options: &ExportOptions,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<ExportReport> {
    let options = ExportOptions { work_dir: target.work_dir(), ..options.clone() };
    match target {
        OutputTarget::Stream(path) => {
            let written = |error| Error::io(IoAction::Write, path, error);
            let stream = fs::OpenOptions::new().write(true).open(path).map_err(written)?;
            export(discovery, &options, stream, &path.display().to_string(), progress)
        }
        OutputTarget::File { path, options: allowed } => {
            refuse_log(discovery, path)?;
            let read = read(discovery, &options, progress)?;
            let mut pending = AtomicFile::create(path, *allowed)?;
            let report = read.write(&options, &mut pending, &path.display().to_string(), progress)?;
            progress.cancellation().check()?;
            pending.finish()?;
            Ok(report)
        }
    }
}

/// Fails if the target is a log under any name, including symlinks and hard links.
fn refuse_log(discovery: &Discovery, target: &Path) -> Result<()> {
    let skipped = discovery.skipped.iter().map(|log| log.path.as_path());
    let mut logs = discovery.logs().map(|log| log.path.as_path()).chain(skipped);
    match logs.any(|log| lead_to_same_file(target, log)) {
        true => Err(Error::from(ErrorKind::TargetIsLog).in_subject(&target.display().to_string())),
        false => Ok(()),
    }
}
