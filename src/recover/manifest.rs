//! Determines which parts of a damaged bundle's manifest can be used to find rows.

use super::report::ManifestState;
use crate::error::{Contradiction, Error, ErrorKind, ManifestFault, Result};
use crate::format::{Manifest, ManifestFile};

/// The evidence that a search requires to accept rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Each row or its chunk, at the position that the manifest gives.
    Rows,
    /// The SHA-256 of a whole log, even if its pieces are faulty.
    Hashes,
    /// Each row alone. The manifest is not used.
    RowsAlone,
}

/// The usable parts of a manifest.
pub(super) struct UsableManifest {
    pub(super) manifest: Option<Manifest>,
    pub(super) state: ManifestState,
    pub(super) version: Option<(u64, u64)>,
    /// True if the manifest may be trusted only for logs whose hash confirms it.
    pub(super) is_contradicted: bool,
}

impl UsableManifest {
    pub(super) fn nothing() -> Self {
        Self { manifest: None, state: ManifestState::Lost, version: None, is_contradicted: false }
    }
}

/// Decodes the manifest in `line`, and removes the parts that cannot be used to find rows.
pub(super) fn usable_manifest(line: &[u8], evidence: Evidence) -> Result<UsableManifest> {
    let mut manifest = match Manifest::decode(line) {
        Ok(Some(manifest)) if evidence != Evidence::RowsAlone => manifest,
        Err(kind @ (ErrorKind::UnsupportedVersion { .. } | ErrorKind::TooManyLogs { .. })) => {
            return Err(Error::from(kind).at_line(1));
        }
        Ok(_) | Err(_) => return Ok(UsableManifest::nothing()),
    };
    let (version, mut state, mut is_contradicted) = (Some(manifest.version()), ManifestState::Intact, false);
    if evidence == Evidence::Hashes {
        return Ok(UsableManifest { manifest: Some(manifest), state, version, is_contradicted });
    }
    // The chunks' checksums prove their row counts, so these take precedence over the file's count.
    let has_table = manifest.has_chunk_table();
    for (file, sum) in manifest.files.iter_mut().filter_map(|file| rows_of_chunks(file).map(|sum| (file, sum))) {
        if has_table && file.count != sum {
            (file.count, state) = (sum, ManifestState::Faulty);
        }
    }
    for fault in manifest.faults() {
        state = ManifestState::Faulty;
        match fault {
            ManifestFault::Contradiction(
                Contradiction::TotalCount { .. }
                | Contradiction::Sources
                | Contradiction::Timeline { .. }
                | Contradiction::Bytes { .. }
                | Contradiction::LaterKey { .. }
                | Contradiction::History { .. },
            ) => {}
            // The positions of these lines are unknown. Other files are not affected.
            ManifestFault::Contradiction(Contradiction::UnparsedLines { file: name, .. }) => {
                let named = manifest.files.iter_mut().filter(|file| file.relative_path.as_str() == name);
                named.for_each(|file| file.unparsed.clear());
            }
            ManifestFault::Contradiction(Contradiction::ChunkRows { .. } | Contradiction::ChunkSize { .. }) => {
                manifest.files.iter_mut().for_each(|file| file.chunks.clear());
            }
            // The hash of each log shows whether the manifest is right about that log.
            ManifestFault::Contradiction(Contradiction::DuplicateFile { .. }) | ManifestFault::Missing { .. } => {
                is_contradicted = true;
            }
            _ => return Ok(UsableManifest::nothing()),
        }
    }
    Ok(UsableManifest { manifest: Some(manifest), state, version, is_contradicted })
}

/// Returns the total number of rows in a file's chunk table, if it has one.
fn rows_of_chunks(file: &ManifestFile) -> Option<u64> {
    let sum = file.chunks.iter().try_fold(0u64, |sum, chunk| sum.checked_add(chunk.rows));
    sum.filter(|_| !file.chunks.is_empty())
}
