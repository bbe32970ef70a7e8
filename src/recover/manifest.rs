//! What of a damaged bundle's manifest rows can be found by.

use super::report::ManifestState;
use super::search::ManifestTrust;
use crate::error::{Contradiction, Error, ErrorKind, ManifestFault, Result};
use crate::format::{Manifest, ManifestFile};

/// A manifest as far as it can be used.
pub(super) struct UsableManifest {
    pub(super) manifest: Option<Manifest>,
    pub(super) state: ManifestState,
    pub(super) version: Option<(u64, u64)>,
    /// Whether it is to be believed only of logs that it proves.
    pub(super) is_contradicted: bool,
}

impl UsableManifest {
    pub(super) fn nothing() -> Self {
        Self { manifest: None, state: ManifestState::Lost, version: None, is_contradicted: false }
    }
}

/// The manifest, if rows can be found by it.
pub(super) fn usable_manifest(line: &[u8], belief: ManifestTrust) -> Result<UsableManifest> {
    let manifest = match Manifest::decode(line) {
        Ok(Some(manifest))
            if matches!(belief, ManifestTrust::Everything | ManifestTrust::AllButTable | ManifestTrust::AllButEnd) =>
        {
            manifest
        }
        Err(kind @ (ErrorKind::UnsupportedVersion { .. } | ErrorKind::TooManyLogs { .. })) => {
            return Err(Error::from(kind).at_line(1));
        }
        Ok(_) | Err(_) => return Ok(UsableManifest::nothing()),
    };
    let mut manifest = manifest;
    let (mut state, mut is_contradicted) = (ManifestState::Intact, false);
    if belief == ManifestTrust::AllButTable {
        state = ManifestState::Faulty;
        manifest.files.iter_mut().for_each(|file| file.chunks.clear());
    }
    // Chunks prove how many rows they have. Where they do not, another search leaves them out.
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
                | Contradiction::Bytes { .. },
            ) => {}
            // Nobody knows where these lines stood. The other files have nothing to do with it.
            ManifestFault::Contradiction(Contradiction::UnparsedLines { file: name, .. }) => {
                let named = manifest.files.iter_mut().filter(|file| file.relative_path.as_str() == name);
                named.for_each(|file| file.unparsed.clear());
            }
            ManifestFault::Contradiction(Contradiction::ChunkRows { .. } | Contradiction::ChunkSize { .. }) => {
                manifest.files.iter_mut().for_each(|file| file.chunks.clear());
            }
            // Whether it says the truth of a log, the log's hash tells.
            ManifestFault::Contradiction(Contradiction::DuplicateFile { .. }) | ManifestFault::Missing { .. } => {
                is_contradicted = true;
            }
            _ => return Ok(UsableManifest::nothing()),
        }
    }
    let version = Some(manifest.version());
    Ok(UsableManifest { manifest: Some(manifest), state, version, is_contradicted })
}

/// The rows of a file by its chunk table, if it has one.
fn rows_of_chunks(file: &ManifestFile) -> Option<u64> {
    let sum = file.chunks.iter().try_fold(0u64, |sum, chunk| sum.checked_add(chunk.rows));
    sum.filter(|_| !file.chunks.is_empty())
}
