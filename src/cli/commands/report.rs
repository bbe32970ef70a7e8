//! `patchwork-traces report`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use patchwork_traces::OutputTarget;
use patchwork_traces::report::{
    DEFAULT_MAX_EMBED, Embedding, Report, ReportOptions, ReportVerdict, report_bundle, report_history,
};
use patchwork_traces::verify::{HistoryVerifyOptions, VerifyOptions};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::export::TargetArgs;
#[cfg(feature = "seal")]
use crate::cli::commands::verify::signature::SignersArgs;
use crate::cli::encryption::KeyArgs;
use crate::cli::failure::{CommandResult, Failure};
use crate::cli::help;
use crate::cli::input::{check_presence, open_input, refuse_target_in_inputs};
use crate::cli::render::text::{rows, safe};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::Output;
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{STRONG, paint};
use crate::cli::time;
use crate::cli::{is_dash, is_history};

/// Write a report that opens in any browser
///
/// Writes one HTML file that needs no network. It shows the verdict of `verify`, the digest and the
/// logs for an audit, a timeline, runs, decisions, activity by tool, and a table of all rows with
/// search and filters. It includes the rows if the bundle has at most 20 MB; otherwise, drop the
/// bundle on the page to see them. It prints well, too.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::REPORT))]
pub struct ReportArgs {
    /// Bundle or history directory; `-` is standard input
    #[arg(value_hint = ValueHint::AnyPath)]
    bundle: PathBuf,

    /// HTML file to write the report to
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,

    /// Include the rows, whatever the size of the bundle
    #[arg(long, conflicts_with_all = ["no_embed", "max_embed"])]
    embed: bool,

    /// Omit the rows
    #[arg(long, conflicts_with = "max_embed")]
    no_embed: bool,

    /// Include the rows of bundles up to this size [default: 20MB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_embed: Option<u64>,

    #[command(flatten)]
    target: TargetArgs,

    #[cfg(feature = "seal")]
    #[command(flatten)]
    signers: SignersArgs,

    #[command(flatten)]
    keys: KeyArgs,
}

/// The result of `report --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces report --json")]
pub struct ReportJson {
    /// The path of the report.
    report: PathBuf,
    /// The size of the report in bytes.
    report_bytes: u64,
    /// The path of the bundle, or of the history directory, that the report shows.
    bundle: PathBuf,
    verdict: ReportVerdict,
    /// True if verification found no error, and the signature is valid if one was required.
    good: bool,
    /// The number of rows.
    rows: u64,
    /// The size in bytes of the bundle embedded in the report; null if the rows are not in it.
    embedded_bytes: Option<u64>,
    /// Notes for people.
    notes: Vec<String>,
}

/// Runs the command.
pub fn run(args: &ReportArgs, output: Output) -> CommandResult {
    if is_dash(&args.output) {
        return Err(Failure::usage("report cannot write to standard output", "name a file, such as -o report.html"));
    }
    refuse_target_in_inputs(&args.output, std::slice::from_ref(&args.bundle))?;
    let target = OutputTarget::resolve(&args.output, args.target.into())?;
    check_presence(std::slice::from_ref(&args.bundle))?;
    let options = options(args, output)?;
    let bar = Bar::new(output);
    let report = if is_history(&args.bundle) {
        report_history(&args.bundle, &options, &target, &bar)?
    } else {
        let (input, name) = open_input(&args.bundle, &options.verify_history.keys)?;
        report_bundle(input, &name, &options, &target, &bar)?
    };
    let notes: Vec<_> = report.not_embedded.iter().filter(|_| !args.no_embed).map(|_| note(args)).collect();
    let json = ReportJson {
        report: args.output.clone(),
        report_bytes: report.report_bytes,
        bundle: args.bundle.clone(),
        verdict: report.verdict,
        good: report.is_good,
        rows: report.rows,
        embedded_bytes: report.embedded_bytes,
        notes: notes.clone(),
    };
    output.report_done(|| as_text(args, &report), &json)?;
    output.notes(&notes);
    if !report.is_good {
        output.warning("verification found errors; the report lists them");
    }
    Ok(if report.is_good { Exit::Done } else { Exit::Incomplete })
}

fn options(args: &ReportArgs, output: Output) -> Result<ReportOptions, Failure> {
    let embedding = match args.max_embed {
        _ if args.embed => Embedding::All,
        _ if args.no_embed => Embedding::None,
        limit => Embedding::UpTo(limit.unwrap_or(DEFAULT_MAX_EMBED)),
    };
    let (for_bundles, for_histories) = (VerifyOptions::default(), HistoryVerifyOptions::default());
    #[cfg(feature = "seal")]
    let (for_bundles, for_histories) =
        args.signers.read(std::slice::from_ref(&args.bundle))?.apply(&args.bundle, &for_bundles, &for_histories)?;
    let for_histories = for_histories.keys(args.keys.keys(output)?);
    let options = ReportOptions::new(crate::cli::generator(), time::now()?);
    Ok(options.embedding(embedding).verify(for_bundles, for_histories))
}

fn note(args: &ReportArgs) -> String {
    let bundle = match is_history(&args.bundle) {
        true => "a bundle that `merge` makes from the history",
        false => "the bundle",
    };
    format!("the rows are not in the report: drop {bundle} on the page to see them, or use --embed")
}

fn as_text(args: &ReportArgs, report: &Report) -> String {
    let path = safe(&args.output.display().to_string());
    let embedded = match report.embedded_bytes {
        Some(_) => format!("with {}", rows(report.rows)),
        None => "without rows".to_owned(),
    };
    let verdict = match (report.verdict, report.is_good) {
        (ReportVerdict::Damaged, _) => "damaged",
        (ReportVerdict::Inconsistent, _) => "inconsistent",
        (_, false) => "not as required",
        (ReportVerdict::IntactWithoutHashes, _) => "intact (no hashes)",
        _ => "intact",
    };
    let wrote = paint(STRONG, "wrote");
    format!("{wrote} {path} {embedded}; the verdict is {verdict}\n")
}

/// Parses a size such as `500kB`, `20MB` or `1GB`.
fn parse_size(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str = "expected a number of bytes, or a size such as 500kB, 20MB or 1GB";
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let factor = match text[digits.len()..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        _ => return Err(EXPECTED),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or(EXPECTED)
}
