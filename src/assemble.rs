//! Assembles the bytes of a log from its rows, and hashes them.

use crate::digest::Integrity;
use crate::format::ManifestFile;
use crate::format::log_decoder::{LogRestorer, RowLines};
use crate::util::hashing::IntegrityHasher;

/// Restores one log. The restored bytes accumulate until the caller clears them.
pub struct LogAssembler<'m> {
    /// `None` once the log is complete.
    restorer: Option<LogRestorer<'m>>,
    hasher: IntegrityHasher,
    restored: Vec<u8>,
}

impl<'m> LogAssembler<'m> {
    /// Creates an assembler for the log that `file` describes. Without `file`, the log consists of
    /// its rows only.
    pub fn new(file: Option<&'m ManifestFile>) -> Self {
        let restorer = Some(file.map_or_else(LogRestorer::rows_only, LogRestorer::new));
        Self { restorer, hasher: IntegrityHasher::default(), restored: Vec::new() }
    }

    /// Adds the next rows.
    pub fn push(&mut self, rows: &RowLines) {
        self.restore(|restorer, restored| restorer.push_rows(rows, restored));
    }

    /// Skips the next `rows` rows, which are lost.
    pub fn skip(&mut self, rows: u64) {
        self.restore(|restorer, restored| restorer.skip_rows(rows, restored));
    }

    /// Completes the log after its last row.
    pub fn complete(&mut self) {
        let start = self.restored.len();
        if let Some(restorer) = self.restorer.take() {
            restorer.finish(&mut self.restored);
            self.hasher.update(&self.restored[start..]);
        }
    }

    pub fn is_complete(&self) -> bool {
        self.restorer.is_none()
    }

    /// Returns the bytes restored since the last [`clear`](Self::clear).
    pub fn restored(&self) -> &[u8] {
        &self.restored
    }

    pub fn clear(&mut self) {
        self.restored.clear();
    }

    /// Returns the total number of restored bytes.
    pub fn bytes(&self) -> u64 {
        self.hasher.bytes()
    }

    /// Returns the length and SHA-256 of everything that was restored.
    pub fn integrity(self) -> Integrity {
        self.hasher.finish()
    }

    fn restore(&mut self, add: impl FnOnce(&mut LogRestorer<'m>, &mut Vec<u8>)) {
        let start = self.restored.len();
        if let Some(restorer) = &mut self.restorer {
            add(restorer, &mut self.restored);
            self.hasher.update(&self.restored[start..]);
        }
    }
}
