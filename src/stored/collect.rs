//! Collects rows into logs.

use std::path::Path;
use std::sync::Arc;

use super::content::{Content, ContentWriter};
use super::scratch::Scratch;
use super::set::{LogSet, LogSetBuilder, StoredLog};
use crate::error::Result;
use crate::format::LogId;
use crate::progress::Progress;
use crate::restore::LogWriter;

/// Collects the lines of rows, which may alternate between logs.
pub struct RowCollector<'p> {
    scratch: Arc<Scratch>,
    logs: Vec<(LogId, Content)>,
    progress: &'p dyn Progress,
}

impl<'p> RowCollector<'p> {
    /// Creates a collector for these logs. Temporary files are created in `dir`.
    ///
    /// # Errors
    /// If a temporary file cannot be created.
    pub fn new(logs: impl IntoIterator<Item = LogId>, dir: &Path, progress: &'p dyn Progress) -> Result<Self> {
        let logs = logs.into_iter().map(|id| (id, Content::default())).collect();
        Ok(Self { scratch: Scratch::create_in(dir)?, logs, progress })
    }

    /// Appends lines, each with its ending, to a log, which is given by its index.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn push(&mut self, log: usize, lines: &[u8]) -> Result<()> {
        let mut writer = ContentWriter::new(&self.scratch, self.progress);
        writer.write(lines)?;
        self.logs[log].1.append(writer.finish()?, &self.scratch)
    }

    /// Returns the logs that have rows.
    ///
    /// # Errors
    /// If a temporary file cannot be written.
    pub fn finish(self) -> Result<LogSet> {
        let mut builder = LogSetBuilder::default();
        let logs = self.logs.into_iter().filter(|(_, content)| content.bytes() > 0);
        let logs = logs.map(|(id, content)| StoredLog { id, content, integrity: None, whole: None });
        builder.push(logs.collect());
        builder.finish(&self.scratch)
    }
}
