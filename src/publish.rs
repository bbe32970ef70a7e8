//! Writes a new bundle and verifies it before publishing it. `recover` and `merge` share this
//! module.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use fs_err as fs;

use crate::bundle::writer::{SpooledBundle, WriteOptions, WrittenBundle};
use crate::container::write_through;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::Provenance;
use crate::progress::{Progress, Stage};
use crate::util::atomic_file::{AtomicFile, OutputTarget};
use crate::util::cancel::CancellableIo;
use crate::verify::{Verdict, VerifyOptions, verify_seekable};

/// Writes the bundle to `target`, where it appears only once verified. A bundle that will be
/// encrypted is verified in an unnamed file first, because the recipient's key is not available to
/// decrypt it.
///
/// # Errors
/// If it cannot be written. [`ErrorKind::OutputNotIntact`] if it fails verification.
pub fn publish(
    packed: SpooledBundle,
    options: &WriteOptions,
    provenance: Provenance,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<WrittenBundle> {
    match target {
        OutputTarget::File { path, options: allowed } if options.sealer.is_none() => {
            begin_writing(&packed, progress);
            let subject = path.display().to_string();
            let mut pending = AtomicFile::create(path, *allowed)?;
            let written = packed
                .write(options, provenance, CancellableIo::counted(&mut pending, progress))
                .map_err(|error| error.in_subject(&subject))?;
            check(pending.read_back()?, &subject, &written, options, progress)?;
            progress.cancellation().check()?;
            pending.finish()?;
            Ok(written)
        }
        target => {
            let name = target.path().display().to_string();
            let (file, written) = write_verified(packed, options, provenance, &name, progress)?;
            publish_verified(file, written, options, target, progress)
        }
    }
}

/// Copies a verified bundle from an unnamed file to `target`, and encrypts it if `options` has a
/// sealer.
///
/// # Errors
/// If it cannot be written.
pub fn publish_verified(
    mut file: File,
    written: WrittenBundle,
    options: &WriteOptions,
    target: &OutputTarget,
    progress: &dyn Progress,
) -> Result<WrittenBundle> {
    let name = target.path().display().to_string();
    match target {
        OutputTarget::File { path, options: allowed } => {
            let mut pending = AtomicFile::create(path, *allowed)?;
            let copied = copy(&mut file, &written, options, &mut pending, progress);
            let bundle_bytes = copied.map_err(|error| error.in_subject(&name))?;
            progress.cancellation().check()?;
            pending.finish()?;
            Ok(WrittenBundle { bundle_bytes, ..written })
        }
        OutputTarget::Stream(path) => {
            let failed = |error| Error::io(IoAction::Write, path, error);
            let stream = fs::OpenOptions::new().write(true).open(path).map_err(failed)?;
            copy_verified(file, written, options, (stream, &name), progress)
        }
    }
}

/// Copies a verified bundle from an unnamed file to `out`, and encrypts it if `options` has a
/// sealer. Errors refer to `out` as `out_name`.
///
/// # Errors
/// If it cannot be written.
pub fn copy_verified(
    mut file: File,
    written: WrittenBundle,
    options: &WriteOptions,
    (out, out_name): (impl Write, &str),
    progress: &dyn Progress,
) -> Result<WrittenBundle> {
    let copied = copy(&mut file, &written, options, out, progress);
    let bundle_bytes = copied.map_err(|error| error.in_subject(out_name))?;
    Ok(WrittenBundle { bundle_bytes, ..written })
}

/// Writes the bundle to an unnamed file, verifies it and copies it to `out`. Errors refer to `out`
/// as `out_name`.
///
/// # Errors
/// As [`publish`].
pub fn publish_to(
    packed: SpooledBundle,
    options: &WriteOptions,
    provenance: Provenance,
    (out, out_name): (impl Write, &str),
    progress: &dyn Progress,
) -> Result<WrittenBundle> {
    let (file, written) = write_verified(packed, options, provenance, out_name, progress)?;
    copy_verified(file, written, options, (out, out_name), progress)
}

/// Writes the bundle to an unnamed file in the directory for temporary files, without verifying it.
///
/// # Errors
/// If it cannot be written.
pub fn write_temporary(
    packed: SpooledBundle,
    options: &WriteOptions,
    provenance: Provenance,
    progress: &dyn Progress,
) -> Result<(File, WrittenBundle)> {
    begin_writing(&packed, progress);
    let dir = &options.work_dir;
    let mut file = tempfile::tempfile_in(dir).map_err(|error| Error::io(IoAction::Create, dir, error))?;
    let written = packed.write(options, provenance, CancellableIo::counted(&mut file, progress));
    progress.finish();
    written.map(|written| (file, written)).map_err(|error| error.in_subject(&dir.display().to_string()))
}

/// Writes the bundle to an unnamed file and verifies it. Returns the file, positioned at its start.
/// Errors refer to the bundle as `name`.
///
/// # Errors
/// As [`publish`].
pub fn write_verified(
    packed: SpooledBundle,
    options: &WriteOptions,
    provenance: Provenance,
    name: &str,
    progress: &dyn Progress,
) -> Result<(File, WrittenBundle)> {
    let (mut file, written) = write_temporary(packed, options, provenance, progress)?;
    let rewind =
        |file: &mut File| file.seek(SeekFrom::Start(0)).map_err(|error| Error::io(IoAction::Read, name, error));
    rewind(&mut file)?;
    check(&file, name, &written, options, progress)?;
    rewind(&mut file)?;
    Ok((file, written))
}

fn begin_writing(packed: &SpooledBundle, progress: &dyn Progress) {
    progress.stage(Stage::Writing);
    progress.start(Some(packed.compressed_bytes()));
}

/// Copies a verified bundle to `out`, and encrypts it if `options` has a sealer. Returns the number
/// of bytes written to `out`.
///
/// # Errors
/// [`ErrorKind::OutputNotIntact`] if the file is no longer as long as the bundle.
fn copy(
    file: &mut File,
    written: &WrittenBundle,
    options: &WriteOptions,
    out: impl Write,
    progress: &dyn Progress,
) -> Result<u64> {
    let failed = |error| Error::io_unnamed(IoAction::Write, error);
    file.seek(SeekFrom::Start(0)).map_err(|error| Error::io_unnamed(IoAction::Read, error))?;
    let copied = write_through(options.sealer.as_ref(), out, |out| {
        let bytes = io::copy(&mut CancellableIo::new(file, progress), out).map_err(failed)?;
        match bytes == written.bundle_bytes {
            true => out.flush().map_err(failed),
            false => Err(ErrorKind::OutputNotIntact.into()),
        }
    });
    copied.map(|((), bytes)| bytes)
}

/// Verifies a written bundle.
fn check(
    bundle: impl Read + Seek + Send,
    name: &str,
    written: &WrittenBundle,
    options: &WriteOptions,
    progress: &dyn Progress,
) -> Result<()> {
    progress.finish();
    progress.stage(Stage::Checking);
    progress.start(Some(written.bundle_bytes));
    let verify_options = VerifyOptions::default().expect(written.digest).require_hashes(true).threads(options.threads);
    let report = verify_seekable(bundle, name, &verify_options, progress, &mut |_| {});
    progress.finish();
    let report = report?;
    let is_whole = report.verdict == Verdict::Intact
        && report.is_good()
        && report.rows == written.manifest.total_count
        && report.files.iter().all(|file| file.is_verified == Some(true));
    match is_whole {
        true => Ok(()),
        false => Err(Error::from(ErrorKind::OutputNotIntact).in_subject(name)),
    }
}
