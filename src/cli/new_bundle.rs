//! The new bundle that `merge`, `filter` and `redact` write: its options, destination and report.

use std::io::{IsTerminal, stdout};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use patchwork_traces::container::{DecryptionKeys, Sealer};
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::export::Level;
use patchwork_traces::format::{Base, FileName, Manifest, ManifestFile, SourceName, Timestamp};
use patchwork_traces::{ErrorKind, OutputTarget};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::export::{TargetArgs, level};
use crate::cli::encryption::{KeyArgs, SealArgs};
use crate::cli::failure::{CommandResult, Failure, check_stdout_is_kept};
use crate::cli::input::{check_presence, refuse_target_in_inputs};
use crate::cli::is_dash;
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{DIGEST_NOTE, count, safe, size};
#[cfg(feature = "seal")]
use crate::cli::signing::{self, BundleSigning, SignOption};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{Output, STDOUT};
use crate::cli::terminal::term;
use crate::cli::threads;

/// The options for reading the inputs and writing the new bundle.
#[derive(Debug, Args)]
pub struct NewBundleArgs {
    /// Compression level, from 0 (none) to 9 (slowest)
    #[arg(long, value_name = "N", default_value_t, value_parser = level, hide_short_help = true)]
    pub level: Level,

    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = threads)]
    pub threads: Option<NonZeroUsize>,

    #[command(flatten)]
    target: TargetArgs,

    #[command(flatten)]
    keys: KeyArgs,

    #[command(flatten)]
    seal: SealArgs,

    #[cfg(feature = "seal")]
    #[command(flatten)]
    sign: SignOption,
}

/// The destination of the new bundle, which was checked.
pub struct Destination {
    path: PathBuf,
    /// The file. `None` for standard output.
    pub target: Option<OutputTarget>,
    /// The keys that decrypt the inputs.
    pub keys: DecryptionKeys,
    #[cfg(feature = "seal")]
    signing: BundleSigning,
}

/// A new bundle.
pub struct NewBundle<'m> {
    pub manifest: &'m Manifest,
    pub digest: BundleDigest,
    /// Its size in bytes.
    pub bytes: u64,
}

/// The new bundle in JSON output.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewBundleJson {
    /// The path of the new bundle; null if it was written to standard output.
    bundle: Option<String>,
    /// The digest of the new bundle.
    digest: BundleDigest,
    /// The path of its signature; null without --sign.
    #[cfg(feature = "seal")]
    signature: Option<String>,
    /// The export time in its manifest: the latest one of the inputs.
    exported_at: Timestamp,
    /// Its size in bytes.
    bundle_bytes: u64,
    /// The number of rows in all its files.
    total_rows: u64,
    /// The number of bytes in all its logs.
    total_bytes: u64,
    /// The logs, in the order of the bundle.
    files: Vec<NewLogJson>,
}

/// One log of the new bundle.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct NewLogJson {
    source: SourceName,
    file: FileName,
    base: Base,
    rows: u64,
    bytes: u64,
    unparsed_lines: u64,
}

/// Returns the message after an orderly stop of a command that writes a new bundle to `path`.
pub fn interrupted_message(path: &Path) -> &'static str {
    match is_dash(path) {
        true => "interrupted: the output is incomplete and must not be kept; the inputs are unchanged",
        false => "interrupted: no bundle was written, and no temporary files remain; the inputs are unchanged",
    }
}

/// Returns the message after an immediate stop of a command that writes a new bundle to `path`.
pub fn killed_message(path: &Path) -> &'static str {
    match is_dash(path) {
        true => interrupted_message(path),
        false => "interrupted: no bundle was written, but a temporary file may remain; the inputs are unchanged",
    }
}

impl NewBundleArgs {
    /// Checks that a bundle can be made from `inputs` and written to `path`, before anything is read.
    /// `example` shows how to redirect standard output.
    pub fn destination(
        &self,
        path: &Path,
        inputs: &[PathBuf],
        example: &str,
        output: Output,
    ) -> Result<Destination, Failure> {
        if is_dash(path) {
            if stdout().is_terminal() {
                return Err(ErrorKind::TargetIsTerminal.into());
            }
            check_stdout_is_kept("the bundle", example)?;
        }
        refuse_target_in_inputs(path, inputs)?;
        let target = match is_dash(path) {
            true => None,
            false => Some(OutputTarget::resolve(path, self.target.into())?),
        };
        check_presence(inputs)?;
        let keys = self.keys.keys(output)?;
        #[cfg(feature = "seal")]
        let signing = self.sign.for_bundle(path, target.as_ref(), self.target.into(), output)?;
        Ok(Destination {
            path: path.to_owned(),
            target,
            keys,
            #[cfg(feature = "seal")]
            signing,
        })
    }

    /// Returns the sealer for the new bundle, if it is to be encrypted. May ask for a passphrase, so
    /// the inputs are opened first.
    pub fn sealer(&self, keys: &DecryptionKeys) -> Result<Option<Sealer>, Failure> {
        self.seal.sealer_with_keys(self.keys.passphrase(), keys)
    }
}

impl Destination {
    /// Signs the new bundle if requested, and prints the report. `headline` returns the first line for
    /// the displayed name of the bundle.
    pub fn report<J: Serialize>(
        self,
        bundle: &NewBundle<'_>,
        headline: impl FnOnce(&str) -> String,
        json: impl FnOnce(NewBundleJson) -> J,
        notes: &[String],
        output: Output,
    ) -> CommandResult {
        #[cfg(feature = "seal")]
        let signed = self.signing.sign(bundle.manifest, bundle.digest);
        let path = self.target.as_ref().map(|_| self.path.display().to_string());
        let shown = path.as_ref().map_or_else(|| STDOUT.to_owned(), |path| safe(path));
        let text = || headline(&shown) + &logs_and_digest(bundle);
        let json = json(NewBundleJson {
            #[cfg(feature = "seal")]
            signature: signing::shown(&signed),
            ..NewBundleJson::of(bundle, path)
        });
        match self.target {
            Some(_) => output.report_done(text, &json)?,
            None => output.report_to_stderr(text, &json)?,
        }
        output.notes(notes);
        #[cfg(feature = "seal")]
        signing::finish(signed, output)?;
        Ok(Exit::Done)
    }
}

impl NewBundleJson {
    fn of(bundle: &NewBundle<'_>, path: Option<String>) -> Self {
        let manifest = bundle.manifest;
        Self {
            bundle: path,
            digest: bundle.digest,
            #[cfg(feature = "seal")]
            signature: None,
            exported_at: manifest.exported_at,
            bundle_bytes: bundle.bytes,
            total_rows: manifest.total_count,
            total_bytes: manifest.files.iter().map(|file| file.bytes).sum(),
            files: manifest.files.iter().map(NewLogJson::of).collect(),
        }
    }
}

impl NewLogJson {
    fn of(file: &ManifestFile) -> Self {
        Self {
            source: file.source.clone(),
            file: file.relative_path.clone(),
            base: file.base(),
            rows: file.count,
            bytes: file.bytes,
            unparsed_lines: file.unparsed_lines(),
        }
    }
}

/// Returns a table of the logs, and the digest.
fn logs_and_digest(bundle: &NewBundle<'_>) -> String {
    let files = &bundle.manifest.files;
    let columns = [
        Column::words("FILE", files.iter().map(|file| file.relative_path.to_string())),
        Column::words("SOURCE", files.iter().map(|file| file.source.to_string())),
        Column::numbers("ROWS", files.iter().map(|file| count(file.count))),
        Column::numbers("UNPARSED LINES", files.iter().map(|file| count(file.unparsed_lines()))),
        Column::numbers("SIZE", files.iter().map(|file| size(file.bytes))),
    ];
    let mut text = String::new();
    if !files.is_empty() {
        text += "\n";
        text += &table(&columns, &[&[0, 1, 2, 3, 4], &[0, 2, 3, 4], &[0, 2, 4], &[0, 2]], term::width());
    }
    text + &format!("\ndigest  {}\n        {DIGEST_NOTE}\n", bundle.digest)
}
