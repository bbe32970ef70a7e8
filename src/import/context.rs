//! The settings that all stages of an import share.

use std::fmt;
use std::num::NonZeroUsize;

use super::lock::Clock;
use super::plan::Mode;
use crate::align::Fingerprinter;
use crate::progress::{Progress, Stage};

/// The settings of an import.
pub struct ImportContext<'c> {
    pub mode: Mode,
    /// The time of the import, formatted for the names of backups.
    pub stamp: String,
    /// The hash function for the fingerprints of lines.
    pub fingerprinter: Fingerprinter,
    /// The number of threads that read lines.
    pub threads: NonZeroUsize,
    pub clock: &'c dyn Clock,
    pub progress: &'c dyn Progress,
}

impl fmt::Debug for ImportContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportContext").field("mode", &self.mode).field("stamp", &self.stamp).finish_non_exhaustive()
    }
}

/// Begins the next progress stage, with `bytes` as its total unless that is 0.
pub fn begin(progress: &dyn Progress, stage: Stage, bytes: u64) {
    progress.finish();
    progress.stage(stage);
    if bytes > 0 {
        progress.start(Some(bytes));
    }
}
