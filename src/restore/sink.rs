//! The receiver of restored logs.

use crate::error::Result;
use crate::format::ManifestFile;

/// Receives the restored logs.
///
/// ```
/// use std::num::NonZeroUsize;
///
/// use patchwork_traces::format::ManifestFile;
/// use patchwork_traces::restore::{LogSink, LogWriter, restore};
/// use patchwork_traces::{Bundle, Result};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// #[derive(Default)]
/// struct Logs(Vec<(String, Vec<u8>)>);
///
/// struct InMemory(Vec<u8>);
///
/// impl LogSink for Logs {
///     type Writer = InMemory;
///
///     fn begin(&mut self, _: usize, _: &ManifestFile) -> Result<InMemory> {
///         Ok(InMemory(Vec::new()))
///     }
///
///     fn end(&mut self, _: usize, file: &ManifestFile, log: Vec<u8>) -> Result<()> {
///         self.0.push((file.relative_path.to_string(), log));
///         Ok(())
///     }
/// }
///
/// impl LogWriter for InMemory {
///     type Done = Vec<u8>;
///
///     fn write(&mut self, bytes: &[u8]) -> Result<()> {
///         self.0.extend_from_slice(bytes);
///         Ok(())
///     }
///
///     fn finish(self) -> Result<Vec<u8>> {
///         Ok(self.0)
///     }
/// }
///
/// let mut logs = Logs::default();
/// restore(Bundle::open(path)?, None, NonZeroUsize::MIN, &mut logs)?;
/// let runs = logs.0.iter().find(|(name, _)| name == "runs.jsonl").expect("it is in the bundle");
/// assert_eq!(runs.1.len() as u64, Bundle::open(path)?.manifest().files[0].bytes);
/// # Ok(())
/// # }
/// ```
pub trait LogSink {
    /// The writer of one log.
    type Writer: LogWriter;

    /// Begins the manifest's file `index` (from 0). Files begin in manifest order, but a file may
    /// begin before the previous one ends.
    ///
    /// # Errors
    /// Any error stops the restore.
    fn begin(&mut self, index: usize, file: &ManifestFile) -> Result<Self::Writer>;

    /// Ends a complete log. `done` is the result of its writer. Logs may end in another order than
    /// they began.
    ///
    /// # Errors
    /// Any error stops the restore.
    fn end(&mut self, index: usize, file: &ManifestFile, done: <Self::Writer as LogWriter>::Done) -> Result<()>;
}

/// Writes one restored log, on a thread of its own.
pub trait LogWriter: Send {
    /// The result for the completed log.
    type Done: Send;

    /// Writes the log's next bytes.
    ///
    /// # Errors
    /// Any error stops the restore.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Completes the log. Its length and SHA-256 match the manifest, if the manifest records them.
    ///
    /// # Errors
    /// Any error stops the restore.
    fn finish(self) -> Result<Self::Done>;
}
