//! `patchwork-traces filter`.

use std::io::{IsTerminal, stdout};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use patchwork_traces::cat::CatOptions;
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::export::Level;
use patchwork_traces::filter::{FilterOptions, FilterReport, filter, filter_to_file};
use patchwork_traces::format::{FilterRecord, Label, Timestamp};
use patchwork_traces::input::InputSummary;
use patchwork_traces::{ErrorKind, OutputTarget};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::export::{TargetArgs, level};
use crate::cli::commands::merge::{WrittenLogJson, file_table, input_notes, label, refuse_input_as_target};
use crate::cli::encryption::{KeyArgs, SealArgs};
use crate::cli::failure::{CommandResult, Failure, check_stdout_keeps};
use crate::cli::help;
use crate::cli::input::open_all_seekable;
use crate::cli::is_dash;
use crate::cli::render::text::{DIGEST_NOTE, count, logs, rows, safe, size};
use crate::cli::row_filter::RowFilterArgs;
#[cfg(feature = "seal")]
use crate::cli::signing::{self, SignOption};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{Output, STDOUT};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{STRONG, paint};
use crate::cli::threads;

/// Write a bundle of some rows of a bundle or history
///
/// If only sources or files are chosen, their logs stay byte for byte. Otherwise the new bundle has the rows that match, each
/// exactly as in its log, but not the lines that are not rows. The new bundle says what it was made of, and is verified
/// before it appears.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::FILTER))]
pub struct FilterArgs {
    /// Bundle or history directory; `-` is standard input
    #[arg(value_name = "BUNDLE", value_hint = ValueHint::AnyPath)]
    bundle: PathBuf,

    /// File to write the new bundle to; `-` is standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,

    #[command(flatten)]
    rows: RowFilterArgs,

    /// Write a bundle even if no row matches
    #[arg(long, hide_short_help = true)]
    allow_empty: bool,

    /// Name of the machine, recorded in the new bundle [default: that of the bundle]
    #[arg(long, value_name = "NAME", value_parser = label, hide_short_help = true)]
    label: Option<Label>,

    /// Compression level, from 0 (none) to 9 (slowest)
    #[arg(long, value_name = "N", default_value_t, value_parser = level, hide_short_help = true)]
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

/// The result of `filter --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces filter --json")]
pub struct FilterJson<'a> {
    /// The path of the new bundle; null if it was written to standard output.
    bundle: Option<String>,
    /// The digest of the new bundle.
    digest: BundleDigest,
    /// The path of its signature; null without --sign.
    #[cfg(feature = "seal")]
    signature: Option<String>,
    /// The export time in its manifest: that of the input.
    exported_at: Timestamp,
    /// Its size in bytes.
    bundle_bytes: u64,
    /// The number of rows in all its files.
    total_rows: u64,
    /// The number of bytes in all its logs.
    total_bytes: u64,
    /// The conditions in its manifest; empty if it has all rows of its logs.
    filter: &'a [String],
    /// The input.
    input: &'a InputSummary,
    /// The logs, in the order of the bundle.
    files: Vec<WrittenLogJson>,
    /// Notes for people.
    notes: &'a [String],
}

impl FilterArgs {
    fn to_stdout(&self) -> bool {
        is_dash(&self.output)
    }

    /// Returns the message after an orderly stop.
    pub fn interrupted_message(&self) -> &'static str {
        match self.to_stdout() {
            true => "interrupted: the output is incomplete and must not be kept; the input is unchanged",
            false => "interrupted: no bundle was written, and no temporary files remain; the input is unchanged",
        }
    }

    /// Returns the message after an immediate stop.
    pub fn killed_message(&self) -> &'static str {
        match self.to_stdout() {
            true => self.interrupted_message(),
            false => "interrupted: no bundle was written, but a temporary file may remain; the input is unchanged",
        }
    }

    /// Returns the options of the library.
    fn options(&self) -> Result<FilterOptions, Failure> {
        let range = self.rows.range()?;
        let rows = CatOptions::default().sources(&self.rows.source).files(&self.rows.file).range(range);
        let rows = rows.filter(self.rows.filter()?).latest(self.rows.latest());
        let conditions = self.rows.recorded(range);
        if conditions.is_empty() {
            let hint = "add --source, --since, --where or another option of `patchwork-traces filter --help`";
            return Err(Failure::usage("nothing says which rows to keep", hint));
        }
        let options = FilterOptions::new(crate::cli::generator(), rows, conditions).label(self.label.clone());
        let mut options = options.allow_empty(self.allow_empty).level(self.level);
        options.threads = self.threads.unwrap_or(options.threads);
        Ok(options)
    }
}

/// Runs the command.
pub fn run(args: &FilterArgs, output: Output) -> CommandResult {
    let mut options = args.options()?;
    if args.to_stdout() {
        if stdout().is_terminal() {
            return Err(ErrorKind::TargetIsTerminal.into());
        }
        check_stdout_keeps("the bundle", "-o - > filtered.jsonl.gz")?;
    }
    refuse_input_as_target(&args.output, std::slice::from_ref(&args.bundle))?;
    let target = match args.to_stdout() {
        true => None,
        false => Some(OutputTarget::resolve(&args.output, args.target.into())?),
    };
    #[cfg(feature = "seal")]
    let signing = args.sign.for_bundle(&args.output, target.as_ref(), args.target.into(), output)?;
    let inputs = open_all_seekable(std::slice::from_ref(&args.bundle), &args.keys.keys(output)?)?;
    options.sealer = args.seal.sealer(args.keys.passphrase())?;
    let bar = Bar::new(output);
    let report = match (&target, &inputs[0]) {
        (Some(target), input) => filter_to_file(input, &options, target, &bar)?,
        (None, input) => filter(input, &options, (stdout().lock(), STDOUT), std::env::temp_dir(), &bar)?,
    };
    #[cfg(feature = "seal")]
    let signed = signing.sign(&report.manifest, report.digest);
    let (notes, shown) = (notes(&report), target.map(|_| args.output.as_path()));
    let (text, json) = (|| as_text(&report, shown), as_json(&report, shown, &notes));
    #[cfg(feature = "seal")]
    let json = FilterJson { signature: signing::shown(&signed), ..json };
    match shown {
        Some(_) => output.report_done(text, &json)?,
        None => output.report_to_stderr(text, &json)?,
    }
    output.notes(&notes);
    #[cfg(feature = "seal")]
    signing::finish(signed, output)?;
    Ok(Exit::Done)
}

fn as_text(report: &FilterReport, path: Option<&Path>) -> String {
    let manifest = &report.manifest;
    let path = path.map_or_else(|| STDOUT.to_owned(), |path| safe(&path.display().to_string()));
    let mut text = format!(
        "{} {} of {} from {} into {path}: {}\n",
        paint(STRONG, "kept"),
        count(manifest.total_count),
        rows(report.input.rows),
        logs(manifest.files.len()),
        size(report.bundle_bytes)
    );
    if !manifest.files.is_empty() {
        text += "\n";
        text += &file_table(manifest);
    }
    text + &format!("\ndigest  {}\n        {DIGEST_NOTE}\n", report.digest)
}

fn notes(report: &FilterReport) -> Vec<String> {
    input_notes(std::slice::from_ref(&report.input))
}

fn as_json<'a>(report: &'a FilterReport, path: Option<&Path>, notes: &'a [String]) -> FilterJson<'a> {
    let manifest = &report.manifest;
    FilterJson {
        bundle: path.map(|path| path.display().to_string()),
        digest: report.digest,
        #[cfg(feature = "seal")]
        signature: None,
        exported_at: manifest.exported_at,
        bundle_bytes: report.bundle_bytes,
        total_rows: manifest.total_count,
        total_bytes: manifest.files.iter().map(|file| file.bytes).sum(),
        filter: manifest.filter.as_ref().map_or(&[], FilterRecord::conditions),
        input: &report.input,
        files: manifest.files.iter().map(WrittenLogJson::of).collect(),
        notes,
    }
}
