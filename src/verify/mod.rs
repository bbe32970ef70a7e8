//! Checks that a bundle is intact and is the expected one, and reports every problem in one pass.
//!
//! A bundle is read in order. Worker threads inflate and check its chunks independently, so damage in one does not
//! hide problems in others. A single consumer orders the results and hashes the restored logs. If earlier damage
//! prevents a check, that is reported, never ignored.

mod audit;
mod finding;
mod findings;
mod history;
mod log;
mod manifest;
mod table;

use std::io::{Read, Seek};
use std::num::NonZeroUsize;
use std::path::Path;

use serde::{Serialize, Serializer};

use crate::bundle::chunk_refs;
use crate::container::{DecryptionKeys, FileInput, Input};
use crate::digest::{BundleDigest, Integrity};
use crate::error::{Error, IoAction, Result};
use crate::format::{Base, DerivedFrom, FileName, FilterRecord, Redaction, SourceName};
use crate::history::{Checkpoint, SegmentProof};
use crate::progress::Progress;
#[cfg(feature = "seal")]
use crate::salvage::FirstLine;
use crate::salvage::ScanContext;
use crate::salvage::{Parts, Scan};
#[cfg(feature = "seal")]
use crate::signature::{SignatureCheck, SignatureVerdict};
use crate::util::cancel::CancellableIo;
use crate::util::ordered_pool::{available_cores, run_ordered};
use audit::Audit;
pub use finding::{ChunkMismatch, FileMismatch, Finding, FindingKind, Mismatch, Severity};
pub use history::{
    HistoryFinding, HistoryFindingKind, HistoryReport, HistoryVerdict, HistoryVerifyOptions, RowsToRead, SegmentPart,
    verify_history,
};
use manifest::ManifestCheck;

/// Options for a verification.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct VerifyOptions {
    /// The digest that the bundle must have.
    pub expect: Option<BundleDigest>,
    /// True to report a finding for each file without a hash in the manifest.
    pub require_hashes: bool,
    /// The proof that the bundle is a segment of a history, and the checkpoint of that history.
    pub proof: Option<(SegmentProof, Checkpoint)>,
    /// The check of the signature of the bundle.
    #[cfg(feature = "seal")]
    pub signature: Option<SignatureCheck>,
    /// The number of threads that inflate and check chunks.
    pub threads: NonZeroUsize,
}

/// Requires nothing beyond the bundle itself, and uses as many threads as there are cores.
impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            expect: None,
            require_hashes: false,
            proof: None,
            #[cfg(feature = "seal")]
            signature: None,
            threads: available_cores(),
        }
    }
}

impl VerifyOptions {
    /// Sets the digest that the bundle must have, if any.
    pub fn expect(self, digest: impl Into<Option<BundleDigest>>) -> Self {
        Self { expect: digest.into(), ..self }
    }

    /// Chooses whether a file without a hash in the manifest is a finding.
    pub fn require_hashes(self, require_hashes: bool) -> Self {
        Self { require_hashes, ..self }
    }

    /// Requires that `proof` shows that the bundle is a segment of the history of `checkpoint`.
    pub fn proof(self, proof: SegmentProof, checkpoint: Checkpoint) -> Self {
        Self { proof: Some((proof, checkpoint)), ..self }
    }

    /// Requires a signature by an allowed signer, as `check` describes, and the hashes that tie the logs to the signed
    /// manifest.
    #[cfg(feature = "seal")]
    pub fn signature(self, check: impl Into<Option<SignatureCheck>>) -> Self {
        Self { signature: check.into(), ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Returns true if a file without a hash is a finding. A signature check requires hashes, because a signed manifest
    /// without them says nothing about the rows.
    fn requires_hashes(&self) -> bool {
        #[cfg(feature = "seal")]
        if self.signature.is_some() {
            return true;
        }
        self.require_hashes
    }
}

/// The overall result of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Verdict {
    /// The bundle is intact, and every log matches its SHA-256.
    Intact,
    /// Every log matches its SHA-256, but another program rewrote the container: it was recompressed or padded, or an
    /// empty member was added.
    IntactRecompressed,
    /// A 1.0 bundle with an intact container, whose files have as many rows as the manifest records. Nothing proves
    /// the content of the rows.
    IntactWithoutHashes,
    /// The bundle is damaged: something is missing or wrong.
    Damaged,
}

/// The number of findings by severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FindingCounts {
    /// The number of errors.
    pub errors: u64,
    /// The number of warnings.
    pub warnings: u64,
    /// The number of informational findings.
    pub infos: u64,
}

/// The result for one log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FileReport {
    /// The source of the log.
    pub source: SourceName,
    /// The file name of the log.
    #[serde(rename = "file")]
    pub name: FileName,
    /// The directory that the log belongs to.
    pub base: Base,
    /// The number of readable rows.
    pub rows: u64,
    /// The length and SHA-256 of the restored log, unknown if it could not be restored, and for 1.0. JSON has only the
    /// SHA-256.
    #[serde(rename = "sha256", serialize_with = "sha256")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::digest::Sha256Digest>"))]
    pub restored: Option<Integrity>,
    /// True if the restored log matches the manifest; unknown if there is nothing to compare.
    #[serde(rename = "verified")]
    pub is_verified: Option<bool>,
}

#[allow(clippy::ref_option, reason = "serde passes the field by reference")]
fn sha256<S: Serializer>(restored: &Option<Integrity>, serializer: S) -> Result<S::Ok, S::Error> {
    restored.map(|restored| restored.sha256).serialize(serializer)
}

/// The report of a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The digest of the bundle. `None` if its first line is unreadable.
    pub digest: Option<BundleDigest>,
    /// The major and minor version. `None` if the manifest is unreadable.
    pub version: Option<(u64, u64)>,
    /// The conditions on the rows of a filtered bundle.
    pub filter: Option<FilterRecord>,
    /// The bundles that this bundle was made from.
    pub derived_from: Option<DerivedFrom>,
    /// The record of the redaction, if the bundle is redacted.
    pub redaction: Option<Redaction>,
    /// True if the digest is the expected one. `None` if no digest was expected.
    pub is_expected: Option<bool>,
    /// True if a proof shows that the bundle is a segment of the history. `None` if no proof was given.
    pub is_proven: Option<bool>,
    /// The verdict on the signature. `None` if its check was not requested.
    #[cfg(feature = "seal")]
    pub signature: Option<SignatureVerdict>,
    /// The verdict on the bundle itself, regardless of the options.
    pub verdict: Verdict,
    /// The number of findings.
    pub findings: FindingCounts,
    /// The files of the manifest, in its order.
    pub files: Vec<FileReport>,
    /// The number of readable rows.
    pub rows: u64,
}

impl VerifyReport {
    /// Returns true if the bundle is intact and meets the requirements of the options: no finding has
    /// [`Severity::Error`].
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.findings.errors == 0
    }
}

/// Checks the bundle in `input` from its first byte to its last, and passes every finding to `found`, in bundle
/// order. Errors and findings refer to the bundle as `name`.
///
/// Memory use does not grow with the size of the bundle or the number of findings.
///
/// ```
/// use patchwork_traces::progress::NoProgress;
/// use patchwork_traces::verify::{FindingKind, VerifyOptions, verify};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// let options = VerifyOptions::default().require_hashes(true);
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
/// If `input` cannot be read, is empty or not a bundle, or has an unsupported version. Damage is not an error.
pub fn verify(
    input: impl Read + Send,
    name: &str,
    options: &VerifyOptions,
    progress: &dyn Progress,
    found: &mut dyn FnMut(Finding),
) -> Result<VerifyReport> {
    let input = Input::from_stream(CancellableIo::new(input, progress), &DecryptionKeys::default(), name)?;
    check(input, name, options, progress, found).map_err(|error| error.in_subject(name))
}

/// Checks the bundle in a seekable `input` like [`verify`], but needs no temporary file if it is damaged.
///
/// # Errors
/// As [`verify`].
pub fn verify_seekable(
    input: impl Read + Seek + Send,
    name: &str,
    options: &VerifyOptions,
    progress: &dyn Progress,
    found: &mut dyn FnMut(Finding),
) -> Result<VerifyReport> {
    let input = FileInput::new(CancellableIo::new(input, progress));
    let input = input.map_err(|error| Error::io_named(IoAction::Read, name, error))?;
    progress.start(Some(input.length()));
    let input = Input::from_file(input, &DecryptionKeys::default(), name)?;
    check(input, name, options, progress, found).map_err(|error| error.in_subject(name))
}

/// Checks the bundle at `path` like [`verify`].
///
/// # Errors
/// As [`verify`], and if `path` is a directory.
pub fn verify_file(
    path: impl AsRef<Path>,
    options: &VerifyOptions,
    progress: &dyn Progress,
    found: &mut dyn FnMut(Finding),
) -> Result<VerifyReport> {
    let path = path.as_ref();
    let input = Input::open(path, &DecryptionKeys::default())?;
    verify_input(input, &path.display().to_string(), options, progress, found)
}

/// Checks the bundle in `input`, which is already decrypted, like [`verify`].
///
/// # Errors
/// As [`verify`]. [`ErrorKind::CiphertextDamaged`](crate::ErrorKind::CiphertextDamaged) if encrypted data was changed.
pub fn verify_input(
    input: Input<'_>,
    name: &str,
    options: &VerifyOptions,
    progress: &dyn Progress,
    found: &mut dyn FnMut(Finding),
) -> Result<VerifyReport> {
    let report = match input {
        Input::File(file) => verify_seekable(file, name, options, progress, found),
        Input::Stream(stream) => {
            progress.start(None);
            verify(stream, name, options, progress, found)
        }
    };
    progress.finish();
    report
}

fn check(
    input: Input<'_>,
    name: &str,
    options: &VerifyOptions,
    progress: &dyn Progress,
    found: &mut dyn FnMut(Finding),
) -> Result<VerifyReport> {
    let mut scan = Scan::open(input)?;
    let checked = ManifestCheck::at(&scan)?;
    #[cfg(feature = "seal")]
    let signature = options.signature.as_ref().map(|check| signature_verdict(check, &scan));
    let manifest = checked.manifest.as_ref();
    let chunk_refs = manifest.filter(|manifest| manifest.has_chunk_table()).map(chunk_refs).unwrap_or_default();
    scan.detect_blocks(&chunk_refs)?;
    let context = ScanContext::new(manifest, &chunk_refs, false);
    let mut audit = Audit::new(name, &context, &checked, found);
    audit.check_start(&scan, &checked, options);
    #[cfg(feature = "seal")]
    audit.check_signature(signature.as_ref());
    let parts = scan.parts(manifest, &chunk_refs, &context.buffers);
    check_parts(parts, &context, options.threads, progress, &mut audit)?;
    let report = audit.finish(&checked, options);
    #[cfg(feature = "seal")]
    let report = VerifyReport { signature, ..report };
    Ok(report)
}

/// Checks the signature of the first line.
#[cfg(feature = "seal")]
fn signature_verdict(check: &SignatureCheck, scan: &Scan<'_>) -> SignatureVerdict {
    match &scan.first_line {
        FirstLine::Line { line, .. } => check.verdict(line),
        _ => check.without_content(),
    }
}

fn check_parts(
    mut parts: Parts<'_>,
    context: &ScanContext<'_>,
    threads: NonZeroUsize,
    progress: &dyn Progress,
    audit: &mut Audit<'_>,
) -> Result<()> {
    let next = || {
        let part = parts.next_part().map_err(|error| Error::io_unnamed(IoAction::Read, error))?;
        Ok(part.map(|part| {
            progress.advance(part.length());
            let weight = part.weight(context.chunk_refs);
            (part, weight)
        }))
    };
    run_ordered(
        threads,
        || context.reader(),
        next,
        |read| {
            audit.take(read);
            Ok(())
        },
    )
}
