//! Checks the first line and collects all its faults.

use crate::digest::BundleDigest;
use crate::error::{ErrorKind, ManifestFault, Result};
use crate::format::row::classify;
use crate::format::{Manifest, ManifestFile};
use crate::gzip::{Anomaly, StreamKind};
use crate::logs::known;
use crate::salvage::{FirstLine, Scan, TextDigest};

/// The result of checking the first line.
pub(super) struct ManifestCheck {
    /// The manifest, if readable. It may contradict itself.
    pub(super) manifest: Option<Manifest>,
    pub(super) faults: Vec<ManifestFault>,
    pub(super) digest: Option<BundleDigest>,
    pub(super) text: TextDigest,
    pub(super) is_terminated: bool,
}

impl ManifestCheck {
    /// Checks the first line.
    ///
    /// # Errors
    /// If it shows that the input is not a bundle, or has an unsupported version.
    pub(super) fn at(scan: &Scan<'_>) -> Result<Self> {
        let text = TextDigest::of_first_line(&scan.first_line);
        let unreadable = Self { manifest: None, faults: Vec::new(), digest: None, text, is_terminated: true };
        let (line, terminated) = match &scan.first_line {
            FirstLine::Line { line, terminated } => (line.as_slice(), *terminated),
            FirstLine::Damaged => return Ok(unreadable),
            FirstLine::Foreign(StreamKind::Gzip) => return Err(ErrorKind::GzipOfSomethingElse.into()),
            FirstLine::Foreign(StreamKind::Plain) => return Err(ErrorKind::NotABundle.into()),
        };
        let digest = Some(BundleDigest::of_manifest_line(line));
        let without_manifest = Self { digest, is_terminated: terminated, ..unreadable };
        match Manifest::decode(line) {
            Ok(Some(mut manifest)) => {
                let faults = manifest.faults();
                remove_unchecked_times(&mut manifest);
                Ok(Self { faults, manifest: Some(manifest), ..without_manifest })
            }
            Ok(None) if is_broken_manifest(line, scan) => Ok(without_manifest),
            Ok(None) if scan.content == StreamKind::Gzip => Err(ErrorKind::GzipOfSomethingElse.into()),
            Ok(None) => Err(ErrorKind::NotABundle.into()),
            Err(ErrorKind::RowBeforeManifest) => Ok(without_manifest),
            Err(ErrorKind::Manifest(first)) => {
                let all = Manifest::faults_of_line(line);
                Ok(Self { faults: if all.is_empty() { vec![first] } else { all }, ..without_manifest })
            }
            Err(kind) => Err(kind.into()),
        }
    }
}

/// Removes the times of newer bundles and unknown sources, which must not be compared with the rows. A later minor
/// version may define other timestamp keys for a source (FORMAT.md, "Times").
fn remove_unchecked_times(manifest: &mut Manifest) {
    let is_newer = manifest.is_newer();
    for file in manifest.files.iter_mut().filter(|file| is_newer || known(file.source.as_str()).is_none()) {
        (file.first_time, file.last_time, file.timeline) = (None, None, None);
        file.chunks.iter_mut().for_each(|chunk| (chunk.first_time, chunk.last_time) = (None, None));
    }
}

/// Returns true if a line that is not JSON was probably a manifest.
fn is_broken_manifest(line: &[u8], scan: &Scan<'_>) -> bool {
    let is_ours = scan.content == StreamKind::Gzip
        && !scan.anomalies.iter().any(|(anomaly, _)| *anomaly == Anomaly::ForeignHeader);
    is_ours || memchr::memmem::find(line, b"\"manifest\"").is_some()
}

/// Returns the log lines, from 1, that the manifest counts as unparsed although they are rows.
pub(super) fn unparsed_rows(file: &ManifestFile) -> impl Iterator<Item = u64> + '_ {
    file.unparsed.iter().flat_map(|unparsed| {
        let lines = unparsed.content.as_bytes().split(|&byte| byte == b'\n').zip(unparsed.line..);
        lines.filter(|(line, _)| classify(line, &[]).is_some()).map(|(_, number)| number)
    })
}
