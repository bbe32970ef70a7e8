//! Answers: is this bundle whole, and is it the one that was recorded? Lists everything that is wrong, in one pass.
//!
//! A bundle is read in order. Threads inflate and check its chunks, each for itself, so that damage in one hides nothing
//! in the others; one consumer puts the results in order and hashes the restored logs. What cannot be checked because
//! something before it is damaged is said, never passed over. Where an input can seek, `intact` is tried first, which
//! hashes several logs at once, and has no more to say than that there is nothing to say.

mod audit;
mod finding;
mod findings;
mod intact;
mod log;
mod manifest;
mod table;

use std::io::{Read, Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::path::Path;

use crate::bundle::{chunk_refs, open_input};
use crate::digest::{BundleDigest, Integrity};
use crate::error::{Error, IoAction, Result};
use crate::format::{FileName, SourceName};
use crate::pool::Pool;
use crate::progress::{CancellableIo, NoProgress, Progress};
use crate::scan::rows::ScanContext;
use crate::scan::{Parts, Scan};
use audit::Audit;
pub use finding::{ChunkMismatch, FileMismatch, Finding, FindingKind, Mismatch, Severity};
use manifest::ManifestCheck;

/// What to check beyond the bundle itself, and how.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// The digest that the bundle must have.
    pub expect: Option<BundleDigest>,
    /// Whether it is a finding when the manifest has no hash of a file.
    pub require_hashes: bool,
    /// How many threads inflate and check.
    pub threads: NonZeroUsize,
}

/// What a bundle is, after all that could be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Everything is as it was written, and every log restores to its SHA-256.
    Intact,
    /// Every log restores to its SHA-256, but another program wrote the container: compressed it again, padded it,
    /// added an empty member.
    IntactRecompressed,
    /// A 1.0 bundle: the container is sound, and each file has the rows that the manifest counts. Nothing proves what
    /// they say.
    IntactWithoutHashes,
    /// Something is missing or wrong.
    Damaged,
}

/// How many findings there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FindingCounts {
    /// Of [`Severity::Error`].
    pub errors: u64,
    /// Of [`Severity::Warning`].
    pub warnings: u64,
    /// Of [`Severity::Info`].
    pub infos: u64,
}

/// What was checked of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// The source that its rows belong to.
    pub source: SourceName,
    /// Its file name.
    pub name: FileName,
    /// Its rows that could be read.
    pub rows: u64,
    /// What the restored log is. `None` when it could not be restored, and for 1.0.
    pub restored: Option<Integrity>,
    /// Whether that is what the manifest says. `None` when there is nothing to hold against each other.
    pub is_proven: Option<bool>,
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The digest of the bundle. `None` when its first line cannot be read.
    pub digest: Option<BundleDigest>,
    /// Major and minor version. `None` when the manifest cannot be read.
    pub version: Option<(u64, u64)>,
    /// Whether the digest is the one that was asked for, if one was.
    pub is_expected: Option<bool>,
    /// What the bundle is, whatever was asked for.
    pub verdict: Verdict,
    /// How many findings there were.
    pub findings: FindingCounts,
    /// The files of the manifest, in its order.
    pub files: Vec<FileReport>,
    /// Rows that could be read.
    pub rows: u64,
}

impl VerifyReport {
    /// Whether the bundle is whole and meets what was asked for: there was no finding of [`Severity::Error`].
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.errors == 0
    }
}

/// Checks the bundle that `input` holds from its first byte to its last, and tells `found` everything that it finds, in
/// the order of the bundle. `name` is what errors and findings call it.
///
/// Memory does not grow with the bundle, nor with the findings.
///
/// ```
/// use std::num::NonZeroUsize;
/// use patchwork_traces::progress::NoProgress;
/// use patchwork_traces::verify::{FindingKind, VerifyOptions, verify};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// let options = VerifyOptions { expect: None, require_hashes: true, threads: NonZeroUsize::MIN };
/// let bundle = std::fs::read(path)?;
/// let report = verify(&bundle[..], "memory", &options, &NoProgress, &mut |finding| panic!("{finding}"))?;
/// assert!(report.is_good());
///
/// let mut findings = Vec::new();
/// let cut = &bundle[..bundle.len() - 100];
/// let report = verify(cut, "memory", &options, &NoProgress, &mut |finding| findings.push(finding))?;
/// assert!(!report.is_good());
/// assert!(findings.iter().any(|finding| matches!(finding.kind, FindingKind::Gzip(_))));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When `input` cannot be read, is empty or no bundle at all, or has a version that is not known. Damage is no error.
pub fn verify(
    input: impl Read,
    name: &str,
    options: &VerifyOptions,
    progress: &dyn Progress,
    found: &mut dyn FnMut(Finding),
) -> Result<VerifyReport> {
    check(input, name, options, progress, found, &mut |_, _| {}).map_err(|error| error.in_subject(name))
}

/// As [`verify`], where findings do not matter but what logs restore to does: `restored` gets the pieces of all of them, one
/// log after the other, each with its index into the manifest's `files`. Which of them are proven, the report says.
pub(crate) fn restore_all(
    input: impl Read,
    threads: NonZeroUsize,
    restored: &mut dyn FnMut(usize, &[u8]),
) -> Result<VerifyReport> {
    let options = VerifyOptions { expect: None, require_hashes: false, threads };
    check(input, "", &options, &NoProgress, &mut |_| {}, restored)
}

/// Checks the bundle that `input` holds from its first byte to its last as [`verify`] does, with the same findings and
/// report, and several logs at once where the bundle is intact.
///
/// # Errors
/// As [`verify`].
pub fn verify_seekable(
    mut input: impl Read + Seek,
    name: &str,
    options: &VerifyOptions,
    progress: &dyn Progress,
    found: &mut dyn FnMut(Finding),
) -> Result<VerifyReport> {
    if let Some(report) = intact::report_if_intact(&mut input, options, progress) {
        return Ok(report);
    }
    let failed = |error| Error::io_named(IoAction::Read, name, error);
    let length = input.seek(SeekFrom::End(0)).map_err(failed)?;
    input.seek(SeekFrom::Start(0)).map_err(failed)?;
    progress.start(Some(length));
    verify(input, name, options, progress, found)
}

/// Checks the bundle at `path` as [`verify`] does.
///
/// # Errors
/// As [`verify`], and when `path` is a directory.
pub fn verify_file(
    path: &Path,
    options: &VerifyOptions,
    progress: &dyn Progress,
    found: &mut dyn FnMut(Finding),
) -> Result<VerifyReport> {
    let name = path.display().to_string();
    let (file, length) = open_input(path)?;
    progress.start(length);
    let report = match length {
        Some(_) => verify_seekable(file, &name, options, progress, found),
        None => verify(file, &name, options, progress, found),
    };
    progress.finish();
    report
}

fn check(
    input: impl Read,
    name: &str,
    options: &VerifyOptions,
    progress: &dyn Progress,
    found: &mut dyn FnMut(Finding),
    restored: &mut dyn FnMut(usize, &[u8]),
) -> Result<VerifyReport> {
    let mut scan = Scan::open(CancellableIo::new(input, progress))?;
    let look = ManifestCheck::at(&scan)?;
    let manifest = look.manifest.as_ref();
    let chunk_refs = manifest.filter(|manifest| manifest.has_chunk_table()).map(chunk_refs).unwrap_or_default();
    scan.settle(&chunk_refs)?;
    let known = ScanContext::new(manifest, &chunk_refs, false);
    let mut audit = Audit::new(name, &known, &look, found, restored);
    audit.check_start(&scan, &look, options);
    let parts = scan.parts(manifest, &chunk_refs, &known.buffers);
    check_parts(parts, &known, options.threads, progress, &mut audit)?;
    Ok(audit.finish(&look, options))
}

fn check_parts<R: Read>(
    mut parts: Parts<R>,
    known: &ScanContext<'_>,
    threads: NonZeroUsize,
    progress: &dyn Progress,
    audit: &mut Audit<'_>,
) -> Result<()> {
    let thread_died = |_| Error::io_unnamed(IoAction::Read, std::io::Error::other("a checking thread died"));
    std::thread::scope(|scope| {
        let mut pool = Pool::start(scope, threads, || known.reader());
        while let Some(part) = parts.next_part().map_err(|error| Error::io_unnamed(IoAction::Read, error))? {
            let weight = part.weight(known.chunk_refs);
            progress.advance(part.length());
            while !pool.has_room_for(weight) {
                pool.pop().map_err(thread_died)?.into_iter().for_each(|read| audit.take(read));
            }
            pool.push(part, weight).map_err(thread_died)?;
        }
        while let Some(read) = pool.pop().map_err(thread_died)? {
            audit.take(read);
        }
        Ok(())
    })
}
