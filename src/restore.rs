//! Turns a bundle back into its logs, in one pass, and proves each against the manifest.

use std::sync::Arc;

use crate::bundle::{Bundle, Rows, Selection};
use crate::digest::IntegrityHasher;
use crate::error::{Error, ErrorKind, Result};
use crate::format::ManifestFile;
use crate::format::log::LogRestorer;

/// Takes restored logs, one after the other, in the order of the manifest.
///
/// ```
/// use patchwork_traces::format::ManifestFile;
/// use patchwork_traces::restore::{LogSink, restore};
/// use patchwork_traces::{Bundle, Result};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// #[derive(Default)]
/// struct Logs(Vec<(String, Vec<u8>)>);
///
/// impl LogSink for Logs {
///     fn begin(&mut self, file: &ManifestFile) -> Result<()> {
///         self.0.push((file.relative_path.to_string(), Vec::new()));
///         Ok(())
///     }
///
///     fn write(&mut self, bytes: &[u8]) -> Result<()> {
///         self.0.last_mut().expect("a log has begun").1.extend_from_slice(bytes);
///         Ok(())
///     }
///
///     fn end(&mut self, _: &ManifestFile) -> Result<()> {
///         Ok(())
///     }
/// }
///
/// let mut logs = Logs::default();
/// restore(Bundle::open(path)?, None, &mut logs)?;
/// assert_eq!(logs.0[0].0, "runs.jsonl");
/// assert_eq!(logs.0[0].1.len() as u64, Bundle::open(path)?.manifest().files[0].bytes);
/// # Ok(())
/// # }
/// ```
pub trait LogSink {
    /// A log begins.
    ///
    /// # Errors
    /// Any error ends the restoring.
    fn begin(&mut self, file: &ManifestFile) -> Result<()>;

    /// The log's next bytes.
    ///
    /// # Errors
    /// Any error ends the restoring.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// The log is complete, and its length and SHA-256 are those of the manifest, where that has them.
    ///
    /// # Errors
    /// Any error ends the restoring.
    fn end(&mut self, file: &ManifestFile) -> Result<()>;
}

/// Restores the selected files of a bundle, empty ones included.
///
/// # Errors
/// When the bundle is damaged, a restored log is not what the manifest says, or the sink fails.
pub fn restore(bundle: Bundle<'_>, files: Option<Vec<usize>>, sink: &mut dyn LogSink) -> Result<()> {
    let name = bundle.name().to_owned();
    let all = (0..bundle.manifest().files.len()).collect();
    let mut wanted = files.clone().unwrap_or(all);
    wanted.sort_unstable();
    wanted.dedup();
    let rows = bundle.rows(&Selection { files, ..Selection::default() })?;
    restore_rows(rows, &wanted, sink).map_err(|error| error.in_subject(&name))
}

fn restore_rows(mut rows: Rows<'_>, wanted: &[usize], sink: &mut dyn LogSink) -> Result<()> {
    let manifest = Arc::clone(rows.manifest());
    let mut left = wanted.iter().map(|&index| (index, &manifest.files[index]));
    let mut open: Option<(usize, OpenLog<'_>)> = None;
    while let Some(row) = rows.next_row()? {
        while open.as_ref().is_none_or(|(index, _)| *index != row.file) {
            if let Some((_, log)) = open.take() {
                log.end(sink)?;
            }
            // A file whose rows were all there already does not come back.
            let (index, file) = left.next().ok_or_else(|| ErrorKind::Row(row.envelope.wrong_file()))?;
            open = Some((index, OpenLog::begin(file, sink)?));
        }
        if let Some((_, log)) = &mut open {
            log.restorer.push_row(&row.envelope, &mut log.buffer);
            log.flush_if_full(sink)?;
        }
    }
    if let Some((_, log)) = open {
        log.end(sink)?;
    }
    left.try_for_each(|(_, file)| OpenLog::begin(file, sink)?.end(sink))
}

/// How much is restored before it is handed on.
const BUFFER_BYTES: usize = 1 << 20;

struct OpenLog<'m> {
    file: &'m ManifestFile,
    restorer: LogRestorer<'m>,
    hasher: IntegrityHasher,
    buffer: Vec<u8>,
}

impl<'m> OpenLog<'m> {
    fn begin(file: &'m ManifestFile, sink: &mut dyn LogSink) -> Result<Self> {
        sink.begin(file)?;
        Ok(Self { file, restorer: LogRestorer::new(file), hasher: IntegrityHasher::default(), buffer: Vec::new() })
    }

    fn flush_if_full(&mut self, sink: &mut dyn LogSink) -> Result<()> {
        match self.buffer.len() < BUFFER_BYTES {
            true => Ok(()),
            false => flush(self.file, &mut self.buffer, &mut self.hasher, sink),
        }
    }

    fn end(mut self, sink: &mut dyn LogSink) -> Result<()> {
        self.restorer.finish(&mut self.buffer);
        flush(self.file, &mut self.buffer, &mut self.hasher, sink)?;
        let restored = self.hasher.finish();
        if self.file.integrity().is_some_and(|expected| expected != restored) {
            return Err(Error::from(ErrorKind::RestoredDiffers).in_file(self.file.relative_path.as_str()));
        }
        sink.end(self.file)
    }
}

/// Hands on what is restored, unless it is more than the log can be that the manifest describes.
fn flush(
    file: &ManifestFile,
    buffer: &mut Vec<u8>,
    hasher: &mut IntegrityHasher,
    sink: &mut dyn LogSink,
) -> Result<()> {
    hasher.update(buffer);
    if hasher.bytes() > file.most_restored_bytes() {
        return Err(Error::from(ErrorKind::MoreThanDeclared).in_file(file.relative_path.as_str()));
    }
    sink.write(buffer)?;
    buffer.clear();
    Ok(())
}
