//! Prints one log of a bundle byte for byte. The end is withheld until the whole log is verified.

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use crate::bundle::{Access, Bundle};
use crate::digest::Integrity;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::{FileName, Manifest, ManifestFile, SourceName};
use crate::input::{InputPart, TraceInput};
use crate::progress::{Cancellation, Progress};
use crate::restore::{LogSink, LogWriter, restore_with_access};
use crate::stored::restore_logs;
use crate::util::cancel::CancellableIo;
use crate::util::hashing::HashingReader;
use crate::util::ordered_pool::available_cores;

/// Options for [`print_log`].
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct PrintLogOptions {
    /// The source of the log.
    pub source: SourceName,
    /// The file name of the log.
    pub file: FileName,
    /// The number of threads that inflate and check chunks.
    pub threads: NonZeroUsize,
}

impl PrintLogOptions {
    /// Selects the log `file` of `source`, with one thread per core.
    pub fn new(source: SourceName, file: FileName) -> Self {
        Self { source, file, threads: available_cores() }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }
}

/// The result of [`print_log`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrintLogReport {
    /// The length and SHA-256 of the log, as in the manifest.
    pub printed: Integrity,
    /// The number of its rows.
    pub rows: u64,
    /// The access method for the rows.
    pub access: Access,
}

/// The number of bytes at the end of a log that are held back until its length and SHA-256 are verified. A shorter
/// log is held back as a whole.
const HELD_BACK_BYTES: usize = 1 << 20;

/// Prints one log to `out` byte for byte as it was bundled, including lines that are not rows. Write errors name
/// `out_name`.
///
/// The last mebibyte of the log (all of a shorter log) is printed only after the length and SHA-256 of the whole log
/// match the manifest. So if `out` does not receive the complete log, an error follows.
///
/// ```
/// use patchwork_traces::Bundle;
/// use patchwork_traces::cat::{PrintLogOptions, print_log};
/// use patchwork_traces::progress::NoProgress;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::path::Path::new("fixtures/conformance/intact.jsonl.gz");
/// let bundle = Bundle::open(path)?;
/// let file = bundle.manifest().files[0].clone();
/// let options = PrintLogOptions::new(file.source, file.relative_path);
/// let mut log = Vec::new();
/// let report = print_log(bundle, &options, &mut log, "memory", &NoProgress)?;
/// assert_eq!(report.printed.bytes, log.len() as u64);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`UnknownFile`](ErrorKind::UnknownFile) and [`NotByteForByte`](ErrorKind::NotByteForByte), before anything is
/// printed. If the bundle is damaged, the log does not match the manifest
/// ([`RestoredDiffers`](ErrorKind::RestoredDiffers)) or `out` fails, a part of the log without its end may have
/// been printed.
pub fn print_log(
    bundle: Bundle<'_>,
    options: &PrintLogOptions,
    mut out: impl Write + Send,
    out_name: &str,
    progress: &dyn Progress,
) -> Result<PrintLogReport> {
    let (name, manifest) = (bundle.name().to_owned(), Arc::clone(bundle.manifest()));
    let file = find(&manifest, options).map_err(|error| error.in_subject(&name))?;
    let log = manifest.files[file].relative_path.as_str();
    let not_byte_for_byte = || Error::from(ErrorKind::NotByteForByte).in_file(log).in_subject(&name);
    let printed = manifest.files[file].integrity().ok_or_else(not_byte_for_byte)?;
    progress.start(Some(printed.bytes));
    let mut sink = HeldBackSink { out: Some(&mut out), out_name, progress, cancellation: progress.cancellation() };
    let access = restore_with_access(bundle, Some(vec![file]), options.threads, &mut sink);
    progress.finish();
    let access = access?;
    out.flush().map_err(|error| Error::io_named(IoAction::Write, out_name, error))?;
    Ok(PrintLogReport { printed, rows: manifest.files[file].count, access })
}

/// Prints one log of a bundle or history to `out` byte for byte, including lines that are not rows. The log of a
/// history is the concatenation of the parts in its segments; it is first restored to an unnamed file in `work_dir`.
/// Write errors name `out_name`.
///
/// # Errors
/// As [`print_log`], and if a temporary file cannot be written. If a segment of a history is damaged, nothing is
/// printed.
pub fn print_input_log(
    input: &TraceInput<'_>,
    options: &PrintLogOptions,
    work_dir: impl AsRef<Path>,
    (mut out, out_name): (impl Write + Send, &str),
    progress: &dyn Progress,
) -> Result<PrintLogReport> {
    let Some(history) = input.history() else {
        let [bundle] = input.parts() else { return Err(ErrorKind::EmptyInput.into()) };
        return print_log(bundle.open()?, options, out, out_name, progress);
    };
    let unknown = || {
        let known = history.logs().iter().map(|log| log.id.name.to_string()).collect();
        Error::from(ErrorKind::UnknownFile { name: options.file.to_string(), known }).in_subject(input.name())
    };
    let of_source = || history.logs().iter().filter(|log| log.id.source == options.source);
    let rows = of_source().find(|log| log.id.name == options.file).ok_or_else(unknown)?.rows;
    progress.start(Some(of_source().map(|log| log.bytes).sum()));
    let (bundles, source) = (input.parts().iter().map(InputPart::open), [options.source.to_string()]);
    let restored = restore_logs(bundles, &source, work_dir.as_ref(), options.threads, progress);
    progress.finish();
    let restored = restored?;
    let (_, log) = restored.logs().find(|(_, log)| log.id.name == options.file).ok_or_else(unknown)?;
    let mut reader = HashingReader::new(CancellableIo::new(log.reader(), progress));
    let copied = std::io::copy(&mut reader, &mut out).and_then(|_| out.flush());
    copied.map_err(|error| Error::io_named(IoAction::Write, out_name, error))?;
    Ok(PrintLogReport { printed: reader.finish(), rows, access: Access::Indexed })
}

fn find(manifest: &Manifest, options: &PrintLogOptions) -> Result<usize> {
    let is_wanted = |file: &ManifestFile| file.source == options.source && file.relative_path == options.file;
    manifest.files.iter().position(is_wanted).ok_or_else(|| {
        let known = manifest.files.iter().map(|file| file.relative_path.to_string()).collect();
        ErrorKind::UnknownFile { name: options.file.to_string(), known }.into()
    })
}

/// Passes the output to the writer of the single log.
struct HeldBackSink<'o, W> {
    out: Option<&'o mut W>,
    out_name: &'o str,
    progress: &'o dyn Progress,
    cancellation: Cancellation,
}

impl<'o, W: Write + Send> LogSink for HeldBackSink<'o, W> {
    type Writer = HeldBack<'o, W>;

    fn begin(&mut self, _: usize, _: &ManifestFile) -> Result<Self::Writer> {
        let second_log =
            || Error::io_named(IoAction::Write, self.out_name, std::io::Error::other("a second log began"));
        let out = self.out.take().ok_or_else(second_log)?;
        let (out_name, progress, cancellation) = (self.out_name, self.progress, self.cancellation.clone());
        Ok(HeldBack { out, out_name, progress, cancellation, held: Vec::new() })
    }

    fn end(&mut self, _: usize, _: &ManifestFile, (): ()) -> Result<()> {
        Ok(())
    }
}

/// Writes a log but withholds its last bytes.
struct HeldBack<'o, W> {
    out: &'o mut W,
    out_name: &'o str,
    progress: &'o dyn Progress,
    cancellation: Cancellation,
    held: Vec<u8>,
}

impl<W: Write> HeldBack<'_, W> {
    fn write_out(&mut self, bytes: usize) -> Result<()> {
        let failed = |error| Error::io_named(IoAction::Write, self.out_name, error);
        self.out.write_all(&self.held[..bytes]).map_err(failed)?;
        self.held.drain(..bytes);
        Ok(())
    }
}

impl<W: Write + Send> LogWriter for HeldBack<'_, W> {
    type Done = ();

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.cancellation.check()?;
        self.progress.advance(bytes.len() as u64);
        self.held.extend_from_slice(bytes);
        // `write_out` moves the held bytes to the front, so write only when at least as many bytes are written as
        // are moved.
        match self.held.len() >= 2 * HELD_BACK_BYTES {
            true => self.write_out(self.held.len() - HELD_BACK_BYTES),
            false => Ok(()),
        }
    }

    fn finish(mut self) -> Result<()> {
        self.write_out(self.held.len())
    }
}
