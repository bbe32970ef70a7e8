//! `patchwork-traces filter`.

use std::io::stdout;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use patchwork_traces::cat::CatOptions;
use patchwork_traces::filter::{FilterOptions, FilterReport, filter, filter_to_file};
use patchwork_traces::format::{FilterRecord, Label};
use patchwork_traces::input::InputSummary;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::failure::{CommandResult, Failure};
use crate::cli::help;
use crate::cli::input::{input_notes, open_seekable};
use crate::cli::label;
use crate::cli::new_bundle::{NewBundle, NewBundleArgs, NewBundleJson};
use crate::cli::render::text::{count, logs, rows, size};
use crate::cli::row_filter::RowFilterArgs;
use crate::cli::terminal::output::{Output, STDOUT};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{STRONG, paint};

/// Write selected rows of a bundle or history to a new bundle
///
/// If only sources or files are selected, their logs are kept byte for byte. Otherwise, the new
/// bundle has the matching rows, each exactly as in its log, without the lines that are not rows.
/// The new bundle records the bundles that it was made from, and is verified before it appears.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::FILTER))]
pub struct FilterArgs {
    /// Bundle or history directory; `-` is standard input
    #[arg(value_name = "BUNDLE", value_hint = ValueHint::AnyPath)]
    bundle: PathBuf,

    /// File to write the new bundle to; `-` is standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,

    #[command(flatten)]
    rows: RowFilterArgs,

    /// Write a bundle even if no row matches
    #[arg(long, hide_short_help = true)]
    allow_empty: bool,

    /// Name of the machine, recorded in the new bundle [default: the bundle's label]
    #[arg(long, value_name = "NAME", value_parser = label, hide_short_help = true)]
    label: Option<Label>,

    #[command(flatten)]
    new: NewBundleArgs,
}

/// The result of `filter --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces filter --json")]
pub struct FilterJson<'a> {
    #[serde(flatten)]
    bundle: NewBundleJson,
    /// The conditions in the manifest of the new bundle; empty if it has all rows of its logs.
    filter: &'a [String],
    /// The input.
    input: &'a InputSummary,
    /// Notes for people.
    notes: &'a [String],
}

impl FilterArgs {
    /// Returns the library's options for these arguments.
    fn options(&self) -> Result<FilterOptions, Failure> {
        let range = self.rows.range()?;
        let rows = CatOptions::default().sources(&self.rows.source).files(&self.rows.file).range(range);
        let rows = rows.filter(self.rows.filter()?).latest(self.rows.latest());
        if rows.conditions(|time| time.to_string()).is_empty() {
            let hint = "add --source, --since, --where or another option of `patchwork-traces filter --help`";
            return Err(Failure::usage("no option selects the rows to keep", hint));
        }
        let options = FilterOptions::new(crate::cli::generator(), rows).label(self.label.clone());
        let mut options = options.allow_empty(self.allow_empty).level(self.new.level);
        options.threads = self.new.threads.unwrap_or(options.threads);
        Ok(options)
    }
}

/// Runs the command.
pub fn run(args: &FilterArgs, output: Output) -> CommandResult {
    let (mut options, bundle) = (args.options()?, std::slice::from_ref(&args.bundle));
    let to = args.new.destination(&args.output, bundle, "-o - > filtered.jsonl.gz", output)?;
    let input = open_seekable(&args.bundle, &to.keys)?;
    options.sealer = args.new.sealer(&to.keys)?;
    let bar = Bar::new(output);
    let report = match &to.target {
        Some(target) => filter_to_file(&input, &options, target, &bar)?,
        None => filter(&input, &options, (stdout().lock(), STDOUT), std::env::temp_dir(), &bar)?,
    };
    let bundle = NewBundle { manifest: &report.manifest, digest: report.digest, bytes: report.bundle_bytes };
    let notes = input_notes(std::slice::from_ref(&report.input));
    let conditions = report.manifest.filter.as_ref().map_or(&[][..], FilterRecord::conditions);
    let json = |bundle| FilterJson { bundle, filter: conditions, input: &report.input, notes: &notes };
    to.report(&bundle, |path| headline(&report, path), json, &notes, output)
}

fn headline(report: &FilterReport, path: &str) -> String {
    let manifest = &report.manifest;
    format!(
        "{} {} of {} from {} into {path}: {}\n",
        paint(STRONG, "kept"),
        count(manifest.total_count),
        rows(report.input.rows),
        logs(manifest.files.len()),
        size(report.bundle_bytes)
    )
}
