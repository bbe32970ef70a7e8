//! Helpers of several test programs: a home with logs, bundling in memory, restoring in memory.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod adversarial_lines;
#[cfg(feature = "seal")]
pub mod age_keys;
pub mod bundle_builder;
pub mod coverage;
pub mod error_kinds;
pub mod history_builder;
#[cfg(feature = "seal")]
pub mod keys;
pub mod planted;
#[cfg(feature = "cli")]
pub mod program;
pub mod random;
pub mod random_rows;
#[cfg(unix)]
pub mod search_path;
pub mod segments;
pub mod short_reads;
pub mod skip_note;
#[cfg(all(feature = "cli", target_os = "linux"))]
pub mod terminal;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::num::NonZeroUsize;
use std::path::Path;

use patchwork_traces::bundle::Bundle;
use patchwork_traces::export::Level;
use patchwork_traces::export::{ExportOptions, ExportReport, export};
use patchwork_traces::format::{ManifestFile, Timestamp};
use patchwork_traces::logs::{Dirs, DiscoverOptions, discover};
use patchwork_traces::progress::NoProgress;
use patchwork_traces::restore::{LogSink, LogWriter, restore};
use patchwork_traces::{Error, Result};

/// The export time of every test's bundles: 2026-05-02T10:00:00Z.
pub const EXPORTED_AT: i64 = 1_777_716_000_000;

/// A temporary home with both directories, empty.
pub struct Home(tempfile::TempDir);

impl Home {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join(".patchwork")).unwrap();
        std::fs::create_dir_all(home.path().join(".claude/ide")).unwrap();
        Self(home)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn dirs(&self) -> Dirs {
        Dirs { patchwork: self.0.path().join(".patchwork"), activity: self.0.path().join(".claude/ide") }
    }

    /// Writes a log into the Patchwork directory.
    pub fn with(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.dirs().patchwork.join(name), content).unwrap();
        self
    }

    /// Writes a log into the activity directory.
    pub fn with_activity(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.dirs().activity.join(name), content).unwrap();
        self
    }
}

pub fn options() -> ExportOptions {
    ExportOptions::new("tests", Timestamp::from_millis(EXPORTED_AT).unwrap())
        .level(Level::new(1).unwrap())
        .threads(NonZeroUsize::new(2).unwrap())
}

/// Bundles all logs of a home, other ones included.
pub fn try_bundle(home: &Home) -> Result<(Vec<u8>, ExportReport)> {
    let discovery = discover(&home.dirs(), &DiscoverOptions::default().include_other(true).allow_empty(true))?;
    let mut bundle = Vec::new();
    let report = export(&discovery, &options(), &mut bundle, "memory", &NoProgress)?;
    Ok((bundle, report))
}

pub fn bundle(home: &Home) -> Vec<u8> {
    try_bundle(home).expect("the home's logs can be bundled").0
}

/// The restored logs, by the key that the function returns.
struct Restored(BTreeMap<String, Vec<u8>>, fn(&ManifestFile) -> String);

/// A log in memory.
struct InMemory(Vec<u8>);

impl LogSink for Restored {
    type Writer = InMemory;

    fn begin(&mut self, _: usize, _: &ManifestFile) -> Result<InMemory> {
        Ok(InMemory(Vec::new()))
    }

    fn end(&mut self, _: usize, file: &ManifestFile, log: Vec<u8>) -> Result<()> {
        assert_eq!(self.0.insert((self.1)(file), log), None, "each log ends once");
        Ok(())
    }
}

impl LogWriter for InMemory {
    type Done = Vec<u8>;

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self) -> Result<Vec<u8>> {
        Ok(self.0)
    }
}

pub fn indexed(bundle: &[u8]) -> Result<Bundle<'_>, Error> {
    Bundle::from_seekable(Cursor::new(bundle), "bundle")
}

pub fn sequential(bundle: &[u8]) -> Result<Bundle<'_>, Error> {
    Bundle::from_stream(bundle, "bundle")
}

/// Restores all logs, by their names.
pub fn restore_all(bundle: Bundle<'_>) -> Result<BTreeMap<String, Vec<u8>>> {
    restore_by(bundle, |file| file.relative_path.to_string())
}

/// Restores all logs, by `base/name`.
pub fn restore_by_path(bundle: Bundle<'_>) -> Result<BTreeMap<String, Vec<u8>>> {
    restore_by(bundle, |file| format!("{}/{}", file.base(), file.relative_path))
}

fn restore_by(bundle: Bundle<'_>, key: fn(&ManifestFile) -> String) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut restored = Restored(BTreeMap::new(), key);
    restore(bundle, None, NonZeroUsize::new(2).unwrap(), &mut restored)?;
    Ok(restored.0)
}

/// Returns the decompressed text of a bundle.
pub fn text_of(bundle: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(bundle);
    std::io::Read::read_to_end(&mut decoder, &mut text).expect("a bundle is one gzip member");
    text
}
