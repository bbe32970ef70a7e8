//! `patchwork-traces merge`.

use std::io::stdout;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::format::Label;
use patchwork_traces::input::InputSummary;
use patchwork_traces::merge::{MergeOptions, MergeReport, merge, merge_to_file};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::complete;
use crate::cli::failure::CommandResult;
use crate::cli::help;
use crate::cli::input::{input_notes, open_all};
use crate::cli::label;
use crate::cli::new_bundle::{NewBundle, NewBundleArgs, NewBundleJson};
use crate::cli::render::text::{counted, logs, rows, size};
use crate::cli::terminal::output::{Output, STDOUT};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{STRONG, paint};

/// Merge bundles or histories into one bundle
///
/// Rows that several bundles have are kept once, as with import. If a row occurs more than once in a
/// bundle, the new bundle has as many copies as the bundle with the most. The order of the arguments
/// does not matter. The new bundle is verified before it appears.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::MERGE))]
pub struct MergeArgs {
    /// Bundles or history directories; `-` is standard input
    #[arg(required = true, value_name = "BUNDLE", value_hint = ValueHint::AnyPath)]
    bundles: Vec<PathBuf>,

    /// File to write the new bundle to; `-` is standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,

    /// Merge only this source (repeatable)
    #[arg(long, value_name = "SOURCE", add = ArgValueCompleter::new(complete::SourceCompleter))]
    source: Vec<String>,

    /// Name of the machine, recorded in the new bundle
    #[arg(long, value_name = "NAME", value_parser = label)]
    label: Option<Label>,

    #[command(flatten)]
    new: NewBundleArgs,
}

/// The result of `merge --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces merge --json")]
pub struct MergeJson<'a> {
    #[serde(flatten)]
    bundle: NewBundleJson,
    /// The inputs, in the order in which they were named.
    inputs: &'a [InputSummary],
    /// Notes for people.
    notes: &'a [String],
}

/// Runs the command.
pub fn run(args: &MergeArgs, output: Output) -> CommandResult {
    let to = args.new.destination(&args.output, &args.bundles, "-o - > merged.jsonl.gz", output)?;
    let inputs = open_all(&args.bundles, &to.keys)?;
    let mut options = MergeOptions::new(crate::cli::generator()).sources(&args.source).level(args.new.level);
    options.label.clone_from(&args.label);
    options.sealer = args.new.sealer(&to.keys)?;
    options.threads = args.new.threads.unwrap_or(options.threads);
    let bar = Bar::new(output);
    let report = match &to.target {
        Some(target) => merge_to_file(inputs, &options, target, &bar)?,
        None => merge(inputs, &options, (stdout().lock(), STDOUT), std::env::temp_dir(), &bar)?,
    };
    let bundle = NewBundle { manifest: &report.manifest, digest: report.digest, bytes: report.bundle_bytes };
    let notes = input_notes(&report.inputs);
    let json = |bundle| MergeJson { bundle, inputs: &report.inputs, notes: &notes };
    to.report(&bundle, |path| headline(&report, path), json, &notes, output)
}

fn headline(report: &MergeReport, path: &str) -> String {
    let manifest = &report.manifest;
    let bundles = report.inputs.iter().filter(|input| !input.is_duplicate).map(|input| input.bundles).sum::<usize>();
    format!(
        "{} {} into {path}: {} from {}, {}\n",
        paint(STRONG, "merged"),
        counted(bundles as u64, "bundle", "bundles"),
        rows(manifest.total_count),
        logs(manifest.files.len()),
        size(report.bundle_bytes)
    )
}
