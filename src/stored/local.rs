//! Copies the logs of this machine into a set, so that they do not change while they are compared.

use std::io::Read;
use std::path::Path;

use super::content::ContentWriter;
use super::scratch::Scratch;
use super::set::{LogSet, LogSetBuilder, StoredLog};
use crate::error::{Error, IoAction, Result};
use crate::logs::LogGroup;
use crate::progress::Progress;
use crate::restore::LogWriter;

/// The number of bytes that are copied at a time.
const COPY_BYTES: usize = 256 << 10;

/// Copies logs as they are at one moment. Temporary files are created in `dir`.
///
/// # Errors
/// If a log cannot be read, or the copy cannot be written.
pub fn copy_logs<'l>(
    groups: impl Iterator<Item = &'l LogGroup>,
    dir: &Path,
    progress: &dyn Progress,
) -> Result<LogSet> {
    let scratch = Scratch::create_in(dir)?;
    let mut builder = LogSetBuilder::default();
    let mut buffer = vec![0; COPY_BYTES];
    for group in groups {
        let mut logs = Vec::new();
        for mut log in group.open_in(dir, progress)? {
            let mut writer = ContentWriter::new(&scratch, progress);
            loop {
                let read = log.read(&mut buffer).map_err(|error| Error::io(IoAction::Read, log.path(), error))?;
                if read == 0 {
                    break;
                }
                writer.write(&buffer[..read])?;
            }
            logs.push(StoredLog { id: log.log.id.clone(), content: writer.finish()?, integrity: None, whole: None });
        }
        builder.push(logs);
    }
    builder.finish(&scratch)
}
