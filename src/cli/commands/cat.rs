//! `patchwork-traces cat`.

use std::io::stdout;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::bundle::{Access, select_files};
use patchwork_traces::cat::{
    CatOptions, CatReport, PrintLogOptions, PrintLogReport, cat, cat_all, cat_by_time, print_input_log, print_log,
};
use patchwork_traces::digest::Integrity;
use patchwork_traces::format::{FileName, Manifest, ManifestFile, SourceName, TimeRange, Timestamp};
use patchwork_traces::input::InputSummary;
use patchwork_traces::input::TraceInput;
use patchwork_traces::{Bundle, History};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::complete;
use crate::cli::encryption::KeyArgs;
use crate::cli::failure::{CommandResult, Failure, check_stdout_keeps};
use crate::cli::help;
use crate::cli::input::{access_note, open, open_all, open_all_seekable};
use crate::cli::render::text::{counted, listed, logs, safe};
use crate::cli::render::zone;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{self, Output, STDOUT};
use crate::cli::terminal::progress::Bar;
use crate::cli::threads;
use crate::cli::time::{self, Moment};

/// Print rows exactly as they are in the logs
///
/// Rows go to standard output; with --json, a summary follows on standard error.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::CAT))]
pub struct CatArgs {
    /// Bundles or history directories; `-` is standard input
    ///
    /// Rows are printed bundle by bundle, unless --by-time is given.
    #[arg(required = true, value_name = "BUNDLE", value_hint = ValueHint::AnyPath)]
    bundles: Vec<PathBuf>,

    /// Print only rows of this source (repeatable)
    #[arg(long, value_name = "SOURCE", add = ArgValueCompleter::new(complete::SourceCompleter))]
    source: Vec<String>,

    /// Print only rows of this file, such as activity-3100.jsonl (repeatable)
    #[arg(long, value_name = "FILE", add = ArgValueCompleter::new(complete::FileCompleter))]
    file: Vec<String>,

    /// Print only rows from this time on: 2026-05-02, "2026-05-02 10:00", yesterday, or an age such as 7d
    ///
    /// Also accepted: 2026-05, today, "last week" (which begins on Monday), "this month", 1h30m. Times are local unless
    /// they carry an offset, as 2026-05-02T10:00:00Z does. Rows without a timestamp are skipped.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    since: Option<Moment>,

    /// Print only rows until this time; a day, week, month or year is included as a whole
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    until: Option<Moment>,

    /// Print the rows in the order of their times
    ///
    /// Those of all bundles and logs. A row without a timestamp stays after the row before it. Takes memory for each log whose rows overlap in time.
    #[arg(long)]
    by_time: bool,

    /// Print each row's envelope, with its source and file
    #[arg(long)]
    envelope: bool,

    /// Print one log byte for byte, unparsed lines included
    ///
    /// The end of the log is printed only after its length and SHA-256 have been verified.
    #[arg(long, conflicts_with_all = ["since", "until", "envelope", "by_time"])]
    exact: bool,

    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = threads)]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    keys: KeyArgs,
}

/// The summary of `cat --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Summary of patchwork-traces cat --json, on standard error")]
pub struct CatJson {
    /// The number of rows printed.
    rows: u64,
    /// True if only the selected chunks were read.
    indexed: bool,
    /// The bundles and histories, in the order in which they were named.
    inputs: Vec<InputSummary>,
    /// The number of rows printed for each file of all inputs.
    files: Vec<CatFileJson>,
    /// The log that `--exact` printed; null without it.
    exact: Option<Integrity>,
    /// Notes for people.
    notes: Vec<String>,
}

/// The number of rows printed for one file.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CatFileJson {
    source: SourceName,
    file: FileName,
    rows: u64,
    /// Lines of a selected file that were not printed because they are not rows. `--exact` prints them.
    skipped_lines: u64,
}

/// Runs the command.
pub fn run(args: CatArgs, output: Output) -> CommandResult {
    let range = range(&args)?;
    check_stdout_keeps("the rows", "cat BUNDLE > rows.jsonl")?;
    let summary = match args.bundles.as_slice() {
        [bundle] if !bundle.is_dir() && !args.by_time => {
            print_bundle(open(bundle, &args.keys.keys(output)?)?, args, range, output)?
        }
        _ if args.exact => print_exact_of_history(&args, output)?,
        _ => print_inputs(&args, range, output)?,
    };
    output.notes(&summary.notes);
    if output.json {
        output::print_to_stderr(&output::json_text(&summary)?);
    }
    Ok(Exit::Done)
}

/// Returns the time range of the arguments.
fn range(args: &CatArgs) -> Result<TimeRange, Failure> {
    let is_relative = [args.since, args.until].iter().flatten().any(Moment::is_relative);
    let now = is_relative.then(time::now).transpose()?;
    let bounds = |moment: Option<Moment>, option| {
        let no_such_time = || {
            let message = format!("the calendar of this time zone has no such time as that of {option}");
            Failure::usage(&message, "give another time, between the years 1 and 9998")
        };
        moment.map(|moment| moment.bounds(now).ok_or_else(no_such_time)).transpose()
    };
    let range = TimeRange {
        since: bounds(args.since, "--since")?.map(|bounds| *bounds.start()),
        until: bounds(args.until, "--until")?.map(|bounds| *bounds.end()),
    };
    match range.since.zip(range.until) {
        Some((since, until)) if since > until => {
            let (since, until) = (shown(since), shown(until));
            let message = format!("--since ({since}) is later than --until ({until})");
            Err(Failure::usage(&message, "swap the two times, or omit one"))
        }
        _ => Ok(range),
    }
}

fn shown(time: Timestamp) -> String {
    zone::precise_moment(time, &zone::here())
}

fn print_bundle(bundle: Bundle<'_>, args: CatArgs, range: TimeRange, output: Output) -> Result<CatJson, Failure> {
    let (manifest, input) = (bundle.manifest().clone(), TraceInput::from_bundle(bundle.clone()).summary());
    let selected =
        select_files(&manifest, &args.source, &args.file).map_err(|error| error.in_subject(bundle.name()))?;
    let summary = match args.exact {
        true => print_exact(bundle, &args, &manifest, &selected, output)?,
        false => print_rows(bundle, args, range, &manifest, &selected, output)?,
    };
    Ok(CatJson { inputs: vec![input], ..summary })
}

/// Prints the rows of several inputs, or of a history.
fn print_inputs(args: &CatArgs, range: TimeRange, output: Output) -> Result<CatJson, Failure> {
    let keys = args.keys.keys(output)?;
    let inputs = if args.by_time { open_all_seekable(&args.bundles, &keys)? } else { open_all(&args.bundles, &keys)? };
    let options = CatOptions::default().sources(&args.source).files(&args.file).range(range);
    let mut options = options.envelope(args.envelope);
    options.threads = args.threads.unwrap_or(options.threads);
    let bar = Bar::alongside_output(output);
    let report = match args.by_time {
        true => cat_by_time(&inputs, &options, stdout().lock(), STDOUT, &bar)?,
        false => cat_all(&inputs, &options, stdout().lock(), STDOUT, &bar)?,
    };
    let printed = report.logs.iter().map(|log| log.rows).sum();
    let filters = filters(&options);
    let no_match = (printed == 0 && !filters.is_empty()).then(|| format!("no rows match {}", filters.join(", ")));
    let skipped: u64 = report.logs.iter().map(|log| log.skipped_lines).sum();
    let skipped = (skipped > 0).then(|| {
        let not_rows = if skipped == 1 { "that is not a row" } else { "that are not rows" };
        format!("skipped {} {not_rows}; --exact prints a whole log, byte for byte", counted(skipped, "line", "lines"))
    });
    let mismatched = report
        .mismatched
        .iter()
        .filter_map(|name| access_note(Access::TableMismatch).map(|note| format!("{}: {note}", safe(name))));
    let files = report.logs.iter().map(|log| CatFileJson {
        source: log.id.source.clone(),
        file: log.id.name.clone(),
        rows: log.rows,
        skipped_lines: log.skipped_lines,
    });
    Ok(CatJson {
        rows: printed,
        indexed: report.is_indexed,
        inputs: inputs.iter().map(TraceInput::summary).collect(),
        files: files.collect(),
        exact: None,
        notes: mismatched.chain(no_match).chain(skipped).collect(),
    })
}

/// Prints a log of a history byte for byte.
fn print_exact_of_history(args: &CatArgs, output: Output) -> Result<CatJson, Failure> {
    let inputs = open_all(&args.bundles, &args.keys.keys(output)?)?;
    let [input] = inputs.as_slice() else {
        return Err(Failure::usage("--exact prints one log, but several bundles were named", "name one bundle"));
    };
    let logs = input.history().map(History::logs).unwrap_or_default();
    let is_one_of = |names: &[String], name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let selected = logs
        .iter()
        .filter(|log| is_one_of(&args.source, log.id.source.as_str()) && is_one_of(&args.file, log.id.name.as_str()));
    let selected: Vec<_> = selected.collect();
    let [log] = selected.as_slice() else {
        let choices = if selected.is_empty() { logs.iter().collect() } else { selected.clone() };
        let names: Vec<_> = choices.iter().map(|log| log.id.name.as_str()).collect();
        let hint = format!("choose one with --file, of {}", listed(&names));
        let message = format!(
            "--exact prints one log, but the arguments select {}",
            counted(selected.len() as u64, "log", "logs")
        );
        return Err(Failure::usage(&message, &hint));
    };
    let mut options = PrintLogOptions::new(log.id.source.clone(), log.id.name.clone());
    options.threads = args.threads.unwrap_or(options.threads);
    let bar = Bar::alongside_output(output);
    let report = print_input_log(input, &options, std::env::temp_dir(), (stdout(), STDOUT), &bar)?;
    let file =
        CatFileJson { source: log.id.source.clone(), file: log.id.name.clone(), rows: log.rows, skipped_lines: 0 };
    Ok(CatJson {
        rows: log.rows,
        indexed: true,
        inputs: vec![input.summary()],
        files: vec![file],
        exact: Some(report.printed),
        notes: Vec::new(),
    })
}

fn print_rows(
    bundle: Bundle<'_>,
    args: CatArgs,
    range: TimeRange,
    manifest: &Manifest,
    selected: &[usize],
    output: Output,
) -> Result<CatJson, Failure> {
    let options = CatOptions::default().sources(args.source).files(args.file).range(range);
    let mut options = options.envelope(args.envelope);
    options.threads = args.threads.unwrap_or(options.threads);
    let report = cat(bundle, &options, stdout().lock(), STDOUT, &Bar::alongside_output(output))?;
    let notes = [
        access_note(report.access),
        no_match_note(manifest, selected, &options, &report),
        skipped_note(manifest, &report.skipped_lines),
    ];
    let files = manifest.files.iter().zip(report.rows.iter().zip(&report.skipped_lines));
    let files = files.map(|(file, (&rows, &skipped_lines))| CatFileJson {
        source: file.source.clone(),
        file: file.relative_path.clone(),
        rows,
        skipped_lines,
    });
    Ok(CatJson {
        rows: report.rows.iter().sum(),
        indexed: report.access == Access::Indexed,
        inputs: Vec::new(),
        files: files.collect(),
        exact: None,
        notes: notes.into_iter().flatten().collect(),
    })
}

fn print_exact(
    bundle: Bundle<'_>,
    args: &CatArgs,
    manifest: &Manifest,
    selected: &[usize],
    output: Output,
) -> Result<CatJson, Failure> {
    let &[selected] = selected else { return Err(not_one_log(manifest, selected)) };
    let file = &manifest.files[selected];
    let mut options = PrintLogOptions::new(file.source.clone(), file.relative_path.clone());
    options.threads = args.threads.unwrap_or(options.threads);
    let report = print_log(bundle, &options, stdout(), STDOUT, &Bar::alongside_output(output))?;
    let PrintLogReport { printed, access, .. } = report;
    let files = manifest.files.iter().enumerate().map(|(index, file)| CatFileJson {
        source: file.source.clone(),
        file: file.relative_path.clone(),
        rows: if index == selected { file.count } else { 0 },
        skipped_lines: 0,
    });
    Ok(CatJson {
        rows: file.count,
        indexed: access == Access::Indexed,
        inputs: Vec::new(),
        files: files.collect(),
        exact: Some(printed),
        notes: access_note(access).into_iter().collect(),
    })
}

/// Returns the error of `--exact` if the arguments select no log, or several.
fn not_one_log(manifest: &Manifest, selected: &[usize]) -> Failure {
    let files = || selected.iter().map(|&file| &manifest.files[file]);
    let Some(first) = files().next() else {
        return Failure::usage("--exact prints one log, but this bundle has none", "omit --exact");
    };
    if files().all(|file| file.relative_path == first.relative_path) {
        let sources: Vec<_> = files().map(|file| format!("--source {}", file.source)).collect();
        let message = format!("--exact prints one log, but {} logs are named {}", selected.len(), first.relative_path);
        return Failure::Usage(message, format!("add {}", sources.join(" or ")));
    }
    let mut names: Vec<_> = files().map(|file| file.relative_path.as_str()).collect();
    names.dedup();
    let message = format!("--exact prints one log, but {} are selected", selected.len());
    Failure::Usage(message, format!("select one with --file: {}", names.join(", ")))
}

/// Returns the arguments that select rows.
fn filters(options: &CatOptions) -> Vec<String> {
    let sources = options.sources.iter().map(|name| format!("--source {name}"));
    let files = options.files.iter().map(|name| format!("--file {name}"));
    let since = options.range.since.map(|time| format!("--since {}", shown(time)));
    let until = options.range.until.map(|time| format!("--until {}", shown(time)));
    sources.chain(files).chain(since).chain(until).collect()
}

/// Returns a note if the filters match no row, with the time range of the selected logs.
fn no_match_note(manifest: &Manifest, selected: &[usize], options: &CatOptions, report: &CatReport) -> Option<String> {
    let filters = filters(options);
    if filters.is_empty() || report.rows.iter().any(|rows| *rows > 0) {
        return None;
    }
    let files = || selected.iter().map(|&file| &manifest.files[file]);
    let first = files().filter_map(|file| file.first_time).min();
    let last = files().filter_map(|file| file.last_time).max();
    let span = match first.zip(last) {
        _ if files().all(|file| file.count == 0) => "; the selected logs have no rows".to_owned(),
        Some((first, last)) => {
            format!("; the selected logs have rows from {} to {}", shown(first), shown(last))
        }
        None => "; the manifest has no timestamps for the selected logs".to_owned(),
    };
    Some(format!("no rows match {}{span}", filters.join(", ")))
}

/// The maximum number of logs that a note lists.
const MAX_LISTED_LOGS: usize = 5;

/// Returns a note about lines that were skipped because they are not rows, and about how to print them.
fn skipped_note(manifest: &Manifest, skipped_lines: &[u64]) -> Option<String> {
    let skipped = manifest.files.iter().zip(skipped_lines).filter(|(_, lines)| **lines > 0);
    let skipped: Vec<(&ManifestFile, u64)> = skipped.map(|(file, lines)| (file, *lines)).collect();
    let all = skipped.iter().fold(0, |sum: u64, (_, lines)| sum.saturating_add(*lines));
    let not_rows = if all == 1 { "that is not a row" } else { "that are not rows" };
    let lines = counted(all, "line", "lines");
    match skipped[..] {
        [] => None,
        [(file, _)] => Some(format!(
            "skipped {lines} {not_rows} in {}; use `{} --exact` to print the whole log, byte for byte",
            file.relative_path,
            selecting_arguments(manifest, file)
        )),
        _ => {
            let names = skipped.iter().take(MAX_LISTED_LOGS);
            let mut names: Vec<_> = names.map(|(file, lines)| format!("{}: {lines}", file.relative_path)).collect();
            if skipped.len() > MAX_LISTED_LOGS {
                names.push(format!("{} more", skipped.len() - MAX_LISTED_LOGS));
            }
            let (logs, names) = (logs(skipped.len()), names.join(", "));
            Some(format!(
                "skipped {lines} {not_rows} in {logs} ({names}); use `--file FILE --exact` to print a whole log, byte for byte"
            ))
        }
    }
}

/// Returns the arguments that select exactly this log.
fn selecting_arguments(manifest: &Manifest, file: &ManifestFile) -> String {
    let name = &file.relative_path;
    match manifest.files.iter().filter(|other| other.relative_path == *name).count() {
        1 => format!("--file {name}"),
        _ => format!("--source {} --file {name}", file.source),
    }
}
