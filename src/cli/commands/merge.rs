//! `patchwork-traces merge`.

use std::io::{IsTerminal, stdout};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::export::Level;
use patchwork_traces::format::{Base, FileName, Label, Manifest, ManifestFile, SourceName, Timestamp};
use patchwork_traces::input::InputSummary;
use patchwork_traces::merge::{MergeOptions, MergeReport, merge, merge_to_file};
use patchwork_traces::{ErrorKind, OutputTarget};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::export::{TargetArgs, level};
use crate::cli::complete;
use crate::cli::encryption::{KeyArgs, SealArgs};
use crate::cli::failure::{CommandResult, Failure, check_stdout_keeps};
use crate::cli::help;
use crate::cli::input::{check_presence, open_all};
use crate::cli::is_dash;
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{DIGEST_NOTE, count, counted, logs, rows, safe, size};
#[cfg(feature = "seal")]
use crate::cli::signing::{self, SignOption};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{Output, STDOUT};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::stdin::is_stdin;
use crate::cli::terminal::term::{self, STRONG, paint};
use crate::cli::threads;

/// Merge bundles or histories into one bundle
///
/// Rows that several bundles have are kept once, as import does: a row is in the new bundle as often as in the bundle that
/// has it most often. The order of the arguments does not matter. The new bundle is verified before it appears.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::MERGE))]
pub struct MergeArgs {
    /// Bundles or history directories; `-` is standard input
    #[arg(required = true, value_name = "BUNDLE", value_hint = ValueHint::AnyPath)]
    bundles: Vec<PathBuf>,

    /// File to write the new bundle to; `-` is standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,

    /// Merge only this source (repeatable)
    #[arg(long, value_name = "SOURCE", add = ArgValueCompleter::new(complete::SourceCompleter))]
    source: Vec<String>,

    /// Name of the machine, recorded in the new bundle
    #[arg(long, value_name = "NAME", value_parser = label)]
    label: Option<Label>,

    /// Compression level, from 0 (none) to 9 (slowest)
    #[arg(long, value_name = "N", default_value_t, value_parser = level)]
    level: Level,

    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = threads)]
    threads: Option<NonZeroUsize>,

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

/// Parses the name of a machine.
pub fn label(text: &str) -> Result<Label, &'static str> {
    Label::new(text).ok_or("expected 1 to 255 bytes without control characters")
}

/// The result of `merge --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces merge --json")]
pub struct MergeJson<'a> {
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
    /// The inputs, in the order in which they were named.
    inputs: &'a [InputSummary],
    /// The logs, in the order of the bundle.
    files: Vec<WrittenLogJson>,
    /// Notes for people.
    notes: &'a [String],
}

/// One log of the new bundle.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WrittenLogJson {
    source: SourceName,
    file: FileName,
    base: Base,
    rows: u64,
    bytes: u64,
    unparsed_lines: u64,
}

impl WrittenLogJson {
    pub fn of(file: &ManifestFile) -> Self {
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

impl MergeArgs {
    fn to_stdout(&self) -> bool {
        is_dash(&self.output)
    }

    /// Returns the message after an orderly stop.
    pub fn interrupted_message(&self) -> &'static str {
        match self.to_stdout() {
            true => "interrupted: the output is incomplete and must not be kept; the inputs are unchanged",
            false => "interrupted: no bundle was written, and no temporary files remain; the inputs are unchanged",
        }
    }

    /// Returns the message after an immediate stop.
    pub fn killed_message(&self) -> &'static str {
        match self.to_stdout() {
            true => self.interrupted_message(),
            false => "interrupted: no bundle was written, but a temporary file may remain; the inputs are unchanged",
        }
    }
}

/// Runs the command.
pub fn run(args: &MergeArgs, output: Output) -> CommandResult {
    if args.to_stdout() {
        if stdout().is_terminal() {
            return Err(ErrorKind::TargetIsTerminal.into());
        }
        check_stdout_keeps("the bundle", "-o - > merged.jsonl.gz")?;
    }
    refuse_input_as_target(&args.output, &args.bundles)?;
    let target = match args.to_stdout() {
        true => None,
        false => Some(OutputTarget::resolve(&args.output, args.target.into())?),
    };
    check_presence(&args.bundles)?;
    let keys = args.keys.keys(output)?;
    #[cfg(feature = "seal")]
    let signing = args.sign.for_bundle(&args.output, target.as_ref(), args.target.into(), output)?;
    let inputs = open_all(&args.bundles, &keys)?;
    let mut options = MergeOptions::new(crate::cli::generator()).sources(&args.source).level(args.level);
    options.label.clone_from(&args.label);
    options.sealer = args.seal.sealer_beside(args.keys.passphrase(), &keys)?;
    options.threads = args.threads.unwrap_or(options.threads);
    let bar = Bar::new(output);
    let report = match &target {
        Some(target) => merge_to_file(inputs, &options, target, &bar)?,
        None => merge(inputs, &options, (stdout().lock(), STDOUT), std::env::temp_dir(), &bar)?,
    };
    #[cfg(feature = "seal")]
    let signed = signing.sign(&report.manifest, report.digest);
    let (notes, shown) = (notes(&report), target.map(|_| args.output.as_path()));
    let (text, json) = (|| as_text(&report, shown), as_json(&report, shown, &notes));
    #[cfg(feature = "seal")]
    let json = MergeJson { signature: signing::shown(&signed), ..json };
    match shown {
        Some(_) => output.report_done(text, &json)?,
        None => output.report_to_stderr(text, &json)?,
    }
    output.notes(&notes);
    #[cfg(feature = "seal")]
    signing::finish(signed, output)?;
    Ok(Exit::Done)
}

/// Refuses to replace an input, even with --force: the others would be lost with a mistyped command.
pub fn refuse_input_as_target(output: &Path, bundles: &[PathBuf]) -> Result<(), Failure> {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let target = real(output).filter(|_| !is_dash(output));
    let is_target = |bundle: &PathBuf| match is_dash(bundle) {
        true => is_stdin(output),
        false => target.is_some() && real(bundle) == target,
    };
    match !is_dash(output) && bundles.iter().any(is_target) {
        true if bundles.len() == 1 => Err(Failure::usage("-o names the bundle itself", "choose another file with -o")),
        true => Err(Failure::usage("-o names one of the bundles to merge", "choose another file with -o")),
        false => Ok(()),
    }
}

fn as_text(report: &MergeReport, path: Option<&Path>) -> String {
    let manifest = &report.manifest;
    let path = path.map_or_else(|| STDOUT.to_owned(), |path| safe(&path.display().to_string()));
    let bundles = report.inputs.iter().filter(|input| !input.is_duplicate).map(|input| input.bundles).sum::<usize>();
    let mut text = format!(
        "{} {} into {path}: {} from {}, {}\n",
        paint(STRONG, "merged"),
        counted(bundles as u64, "bundle", "bundles"),
        rows(manifest.total_count),
        logs(manifest.files.len()),
        size(report.bundle_bytes)
    );
    if !manifest.files.is_empty() {
        text += "\n";
        text += &file_table(manifest);
    }
    text + &format!("\ndigest  {}\n        {DIGEST_NOTE}\n", report.digest)
}

/// Returns a table of the logs of a new bundle.
pub fn file_table(manifest: &Manifest) -> String {
    let files = &manifest.files;
    let columns = [
        Column::words("FILE", files.iter().map(|file| file.relative_path.to_string())),
        Column::words("SOURCE", files.iter().map(|file| file.source.to_string())),
        Column::numbers("ROWS", files.iter().map(|file| count(file.count))),
        Column::numbers("UNPARSED LINES", files.iter().map(|file| count(file.unparsed_lines()))),
        Column::numbers("SIZE", files.iter().map(|file| size(file.bytes))),
    ];
    table(&columns, &[&[0, 1, 2, 3, 4], &[0, 2, 3, 4], &[0, 2, 4], &[0, 2]], term::width())
}

/// Returns notes on the inputs of any operation that merges them.
pub fn input_notes(inputs: &[InputSummary]) -> Vec<String> {
    let mut notes = Vec::new();
    for input in inputs.iter().filter(|input| input.is_duplicate) {
        notes.push(format!("{} was not read: another input has the same rows", safe(&input.name)));
    }
    for input in inputs.iter().filter(|input| input.rows_only && !input.is_duplicate) {
        notes.push(format!(
            "{} is a format 1.0 bundle and has only rows: it lacks unparsed lines, and has no hashes to verify the rows",
            safe(&input.name)
        ));
    }
    for input in inputs.iter().filter(|input| !input.filter.is_empty() && !input.is_duplicate) {
        let conditions = safe(&input.filter.join(" "));
        notes.push(format!("{} was filtered: it has only rows of {conditions}", safe(&input.name)));
    }
    let redacted: Vec<_> = inputs.iter().filter(|input| input.is_redacted && !input.is_duplicate).collect();
    if inputs.len() > redacted.len() {
        for input in redacted {
            notes.push(format!("{} is redacted, so its rows differ from those of its original", safe(&input.name)));
        }
    }
    notes
}

fn notes(report: &MergeReport) -> Vec<String> {
    input_notes(&report.inputs)
}

fn as_json<'a>(report: &'a MergeReport, path: Option<&Path>, notes: &'a [String]) -> MergeJson<'a> {
    let manifest = &report.manifest;
    MergeJson {
        bundle: path.map(|path| path.display().to_string()),
        digest: report.digest,
        #[cfg(feature = "seal")]
        signature: None,
        exported_at: manifest.exported_at,
        bundle_bytes: report.bundle_bytes,
        total_rows: manifest.total_count,
        total_bytes: manifest.files.iter().map(|file| file.bytes).sum(),
        inputs: &report.inputs,
        files: manifest.files.iter().map(WrittenLogJson::of).collect(),
        notes,
    }
}
