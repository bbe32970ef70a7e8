//! `patchwork-traces cat`.

use std::io::stdout;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::bundle::Access;
use patchwork_traces::cat::{CatOptions, cat};
use patchwork_traces::format::{FileName, SourceName, TimeRange};
use schemars::JsonSchema;
use serde::Serialize;

use super::failure::{Exit, Outcome};
use super::input::{access_note, open};
use super::output::{self, Output, STDOUT};
use super::progress::Bar;
use super::time::{self, Moment};
use super::{complete, help, threads};

/// Print rows exactly as they stood in the logs
///
/// Rows are the result, on standard output; with --json a summary follows on standard error.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::CAT))]
pub struct CatArgs {
    /// The bundle; `-` is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    bundle: PathBuf,

    /// Only rows of this source (repeatable)
    #[arg(long, value_name = "SOURCE", add = ArgValueCompleter::new(complete::Sources))]
    source: Vec<String>,

    /// Only rows of this file, such as activity-3100.jsonl (repeatable)
    #[arg(long, value_name = "FILE", add = ArgValueCompleter::new(complete::Files))]
    file: Vec<String>,

    /// Only rows from this time on: 2026-05-02, "2026-05-02 10:00", or how long ago, such as 7d
    ///
    /// A date or a time of day is of your time zone, unless it says another one: 2026-05-02T10:00:00Z. A row without a
    /// time is left out.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    since: Option<Moment>,

    /// Only rows up to this time, the whole day when it is a date
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    until: Option<Moment>,

    /// Print each row's envelope, with its source and file
    #[arg(long)]
    envelope: bool,

    /// How many threads inflate and check [default: one for each core]
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = threads)]
    threads: Option<NonZeroUsize>,
}

/// The summary of `cat --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Summary of patchwork-traces cat --json, on standard error")]
pub struct CatJson {
    /// Rows printed.
    rows: u64,
    /// Whether only the chunks asked for were read.
    indexed: bool,
    /// Rows printed of each file.
    files: Vec<CatFileJson>,
    /// What is worth knowing, for people.
    notes: Vec<String>,
}

/// Rows printed of one file.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CatFileJson {
    source: SourceName,
    file: FileName,
    rows: u64,
}

/// Runs the command.
pub fn run(args: CatArgs, output: Output) -> Outcome {
    let now = time::now()?;
    let range = TimeRange {
        since: args.since.and_then(|moment| moment.first(now)),
        until: args.until.and_then(|moment| moment.last(now)),
    };
    let threads = args.threads.unwrap_or(CatOptions::default().threads);
    let options = CatOptions { sources: args.source, files: args.file, range, envelope: args.envelope, threads };
    let bundle = open(&args.bundle)?;
    let manifest = bundle.manifest().clone();
    let report = cat(bundle, &options, stdout().lock(), STDOUT, &Bar::beside_output(output))?;
    let notes: Vec<_> = access_note(report.access).into_iter().collect();
    output.notes(&notes);
    if output.json {
        let files = manifest.files.iter().zip(&report.rows).map(|(file, &rows)| CatFileJson {
            source: file.source.clone(),
            file: file.relative_path.clone(),
            rows,
        });
        let indexed = report.access == Access::Indexed;
        let summary = CatJson { rows: report.rows.iter().sum(), indexed, files: files.collect(), notes };
        output::print_beside(&output::json_text(&summary)?);
    }
    Ok(Exit::Done)
}
