//! `patchwork-traces cat`.

use std::io::{IsTerminal, stdout};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use patchwork_traces::bundle::Access;
use patchwork_traces::cat::{
    CatOptions, CatReport, CellSeparator, FailedRow, FailedRows, PrintLogOptions, PrintedLog, RowFormat, TableFormat,
    cat_all, cat_by_time, print_input_log, selected_logs,
};
use patchwork_traces::digest::Integrity;
use patchwork_traces::format::{FileName, LogId, SourceName};
use patchwork_traces::input::InputSummary;
use patchwork_traces::input::TraceInput;
use patchwork_traces::query::KeyPath;
#[cfg(feature = "jq")]
use patchwork_traces::query::{JqFilter, StringForm};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::encryption::KeyArgs;
use crate::cli::failure::{CommandResult, Failure, check_stdout_is_kept};
use crate::cli::help;
use crate::cli::input::{access_note, open_all, open_all_seekable};
use crate::cli::key_paths::KeyPathList;
use crate::cli::render::text::{counted, listed, logs as count_of_logs, safe};
use crate::cli::row_filter::{RowFilterArgs, shown};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{self, Output, STDOUT};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::has_color_on_stdout;
use crate::cli::threads;

/// Print rows exactly as they are in the logs
///
/// Rows go to standard output; with --json, a summary follows on standard error.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "they are options of the command line")]
#[command(after_long_help = help::long(&help::CAT))]
pub struct CatArgs {
    /// Bundles or history directories; `-` is standard input
    ///
    /// Rows are printed bundle by bundle, unless --by-time is given.
    #[arg(required = true, value_name = "BUNDLE", value_hint = ValueHint::AnyPath)]
    bundles: Vec<PathBuf>,

    #[command(flatten)]
    filter: RowFilterArgs,

    /// Print only the first N rows
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "tail")]
    head: Option<u64>,

    /// Print only the last N rows
    #[arg(long, value_name = "N")]
    tail: Option<u64>,

    /// Print only the number of rows
    #[arg(long, conflicts_with_all = ["format", "columns", "envelope"], hide_short_help = true)]
    count: bool,

    /// Merge the rows of all bundles and logs by timestamp
    ///
    /// Each log keeps its own order, even where its times do not ascend. A row without a timestamp
    /// stays after the row before it. Rows before the first timestamp of a log are printed at its
    /// earliest time. Takes memory for each log whose rows overlap in time.
    #[arg(long, hide_short_help = true)]
    by_time: bool,

    /// Output format: raw, pretty, csv, tsv or envelope
    ///
    /// raw: exactly as in the log. pretty: JSON on several lines, coloured on a terminal. csv: for
    /// spreadsheets; strings that could be taken for formulas are prefixed with an apostrophe. tsv:
    /// for programs; tabs, line breaks and backslashes are escaped as \t, \n, \r and \\. In both,
    /// lists are JSON, and null is an empty cell. envelope: the line of the bundle, which adds the
    /// row's source and file.
    #[arg(long, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    format: Option<FormatName>,

    /// Columns of csv and tsv: paths separated by commas
    #[arg(long, value_name = "PATH,...", hide_short_help = true)]
    columns: Option<KeyPathList>,

    /// The same as --format envelope
    #[arg(long, conflicts_with_all = ["format", "columns"], hide_short_help = true)]
    envelope: bool,

    /// Print the output of a jq filter for each row
    ///
    /// Each output value is a line of JSON. The row itself and values taken from it keep their exact
    /// text, numbers included, unless the row is not UTF-8. Options that select rows apply first;
    /// --head, --tail and --count apply to the output values. If the filter fails for a row or
    /// recurses too deeply, the error names its line, the other rows follow, and the exit code is 3.
    /// A filter can't read files, the environment or other rows: there is no env, input, debug, halt
    /// or module.
    ///
    /// Filters run in jaq, which differs from jq: (1,2) + (10,20) gives its values in another order,
    /// 1/0 is infinite, {} | .[0] is null, .x.y = 1 fails if there is no x, reduce keeps all values
    /// of its last part, and regular expressions have no look-around and no backreferences. There is
    /// no tostream, fromstream, ?//, @base32 or builtins, and no escape for surrogate pairs.
    #[cfg(feature = "jq")]
    #[arg(long, value_name = "FILTER", conflicts_with_all = ["format", "columns", "envelope"])]
    jq: Option<JqFilter>,

    /// With --jq: print strings without quotation marks and escapes
    #[cfg(feature = "jq")]
    #[arg(long, requires = "jq", hide_short_help = true)]
    raw_output: bool,

    /// Print one log byte for byte, unparsed lines included
    ///
    /// The end of the log is printed only after its length and SHA-256 have been verified.
    #[arg(long, hide_short_help = true, conflicts_with_all = [
        "since", "until", "conditions", "grep", "grep_regex", "invert", "latest", "head", "tail", "count", "format",
        "columns", "envelope", "by_time",
    ])]
    #[cfg_attr(feature = "jq", arg(conflicts_with = "jq"))]
    exact: bool,

    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = threads)]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    keys: KeyArgs,
}

/// The value of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatName {
    Raw,
    Pretty,
    Csv,
    Tsv,
    Envelope,
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
    /// The number of rows printed for each selected file of all inputs.
    files: Vec<CatFileJson>,
    /// The log that `--exact` printed; null without it.
    exact: Option<Integrity>,
    /// The columns of a table in which no printed row has a value.
    empty_columns: Vec<String>,
    /// The number of rows for which the filter of `--jq` failed.
    failed_rows: u64,
    /// The first rows for which it failed.
    failures: Vec<FailedRow>,
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

impl From<PrintedLog> for CatFileJson {
    fn from(log: PrintedLog) -> Self {
        Self { source: log.id.source, file: log.id.name, rows: log.rows, skipped_lines: log.skipped_lines }
    }
}

impl CatArgs {
    /// Returns the library's options for these arguments.
    fn options(&self) -> Result<CatOptions, Failure> {
        let options = CatOptions::default().sources(&self.filter.source).files(&self.filter.file);
        let options = options.range(self.filter.range()?).filter(self.filter.filter()?).latest(self.filter.latest());
        #[cfg(feature = "jq")]
        let options = options.jq(self.jq_filter());
        let mut options = options.head(self.head).tail(self.tail).count_only(self.count).format(self.row_format()?);
        options.threads = self.threads.unwrap_or(options.threads);
        Ok(options)
    }

    /// Returns the jq filter.
    #[cfg(feature = "jq")]
    fn jq_filter(&self) -> Option<JqFilter> {
        let strings = match (self.raw_output, stdout().is_terminal()) {
            (false, _) => StringForm::Json,
            (true, false) => StringForm::Raw,
            (true, true) => StringForm::Visible,
        };
        self.jq.clone().map(|filter| filter.strings(strings))
    }

    /// Returns the format of the rows.
    fn row_format(&self) -> Result<RowFormat, Failure> {
        let format = match self.format {
            Some(format) => format,
            None if self.envelope => FormatName::Envelope,
            None => FormatName::Raw,
        };
        let separator = match format {
            FormatName::Csv => CellSeparator::Comma,
            FormatName::Tsv => CellSeparator::Tab,
            _ if self.columns.is_some() => {
                return Err(Failure::usage("--columns is for tables", "add --format csv or --format tsv"));
            }
            FormatName::Raw => return Ok(RowFormat::Raw),
            FormatName::Envelope => return Ok(RowFormat::Envelope),
            FormatName::Pretty => return Ok(RowFormat::Pretty { is_coloured: has_color_on_stdout() }),
        };
        let Some(KeyPathList(columns)) = &self.columns else {
            return Err(Failure::usage(
                "a table needs --columns",
                "name the columns, such as --columns createdAt,status",
            ));
        };
        Ok(RowFormat::Table(TableFormat::new(separator, columns.clone()).visible(stdout().is_terminal())))
    }
}

/// Runs the command.
pub fn run(args: &CatArgs, output: Output) -> CommandResult {
    let options = args.options()?;
    check_stdout_is_kept("the rows", "cat BUNDLE > rows.jsonl")?;
    let summary = if args.exact { print_exact(args, &options, output)? } else { print_rows(args, &options, output)? };
    if args.count {
        output::print(&format!("{}\n", summary.rows))?;
    }
    output.notes(&summary.notes);
    if output.json {
        output::print_to_stderr(&output::json_text(&summary)?);
    }
    let is_done = summary.empty_columns.is_empty() && summary.failed_rows == 0;
    Ok(if is_done { Exit::Done } else { Exit::Incomplete })
}

/// Returns a note about columns without values.
fn empty_columns_note(columns: &[KeyPath]) -> Option<String> {
    let names: Vec<_> = columns.iter().map(|column| safe(&column.to_string())).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let has = if names.len() == 1 { "no row has a value for the column" } else { "no row has values for the columns" };
    (!names.is_empty()).then(|| format!("{has} {}; `inspect --keys` lists the paths of the rows", listed(&names)))
}

/// Returns notes about rows for which the filter of `--jq` failed.
fn failed_notes(failed: &FailedRows) -> Vec<String> {
    let describe = |row: &FailedRow| {
        let (bundle, file, reason) = (safe(&row.bundle), safe(row.file.as_str()), safe(&shortened(&row.reason)));
        format!("{bundle}: the filter failed on line {} of {file}: {reason}", row.line)
    };
    let more = failed.count - failed.first.len() as u64;
    let more = (more > 0).then(|| format!("the filter failed for {}", counted(more, "more row", "more rows")));
    failed.first.iter().map(describe).chain(more).collect()
}

/// Shortens a reason, which can contain a whole row.
fn shortened(reason: &str) -> String {
    const MAX_CHARS: usize = 200;
    match reason.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

/// Prints rows.
fn print_rows(args: &CatArgs, options: &CatOptions, output: Output) -> Result<CatJson, Failure> {
    let keys = args.keys.keys(output)?;
    let is_reread = args.by_time || options.reads_twice();
    let inputs = if is_reread { open_all_seekable(&args.bundles, &keys)? } else { open_all(&args.bundles, &keys)? };
    let bar = Bar::alongside_output(output);
    let report = match args.by_time {
        true => cat_by_time(&inputs, options, stdout().lock(), STDOUT, &bar)?,
        false => cat_all(&inputs, options, stdout().lock(), STDOUT, &bar)?,
    };
    let mismatched = report
        .mismatched
        .iter()
        .filter_map(|name| access_note(Access::TableMismatch).map(|note| format!("{}: {note}", safe(name))));
    let notes = mismatched
        .chain(no_match_note(&report, options))
        .chain(failed_notes(&report.failed))
        .chain(empty_columns_note(&report.empty_columns))
        .chain(skipped_note(&report.logs));
    Ok(CatJson {
        rows: report.rows(),
        indexed: report.is_indexed,
        inputs: inputs.iter().map(TraceInput::summary).collect(),
        exact: None,
        empty_columns: report.empty_columns.iter().map(ToString::to_string).collect(),
        notes: notes.collect(),
        failed_rows: report.failed.count,
        failures: report.failed.first,
        files: report.logs.into_iter().map(CatFileJson::from).collect(),
    })
}

/// Prints a log byte for byte.
fn print_exact(args: &CatArgs, selection: &CatOptions, output: Output) -> Result<CatJson, Failure> {
    let inputs = open_all(&args.bundles, &args.keys.keys(output)?)?;
    let [input] = inputs.as_slice() else {
        return Err(Failure::usage("--exact prints one log, but several bundles were named", "name one bundle"));
    };
    let selected = selected_logs(&inputs, selection)?;
    let [log] = &selected[..] else { return Err(not_one_log(&selected)) };
    let mut options = PrintLogOptions::new(log.source.clone(), log.name.clone());
    options.threads = args.threads.unwrap_or(options.threads);
    let bar = Bar::alongside_output(output);
    let report = print_input_log(input, &options, std::env::temp_dir(), (stdout(), STDOUT), &bar)?;
    let (source, file) = (log.source.clone(), log.name.clone());
    Ok(CatJson {
        rows: report.rows,
        indexed: report.access == Access::Indexed,
        inputs: vec![input.summary()],
        files: vec![CatFileJson { source, file, rows: report.rows, skipped_lines: 0 }],
        exact: Some(report.printed),
        empty_columns: Vec::new(),
        failed_rows: 0,
        failures: Vec::new(),
        notes: access_note(report.access).into_iter().collect(),
    })
}

/// Returns the error of `--exact` if the arguments select no log, or several.
fn not_one_log(selected: &[LogId]) -> Failure {
    if selected.is_empty() {
        return Failure::usage("--exact prints one log, but the arguments select none", "`inspect` lists the logs");
    }
    let selecting = |log: &LogId| format!("--source {} --file {}", log.source, log.name);
    let choices: Vec<_> = selected.iter().map(selecting).collect();
    let message = format!("--exact prints one log, but the arguments select {}", selected.len());
    Failure::Usage(message, format!("select one: {}", choices.join(", or ")))
}

/// Returns a note if the filters match no row, with the time range of the selected logs.
fn no_match_note(report: &CatReport, options: &CatOptions) -> Option<String> {
    let filters = options.conditions(shown);
    if filters.is_empty() || report.rows() > 0 {
        return None;
    }
    let span = report
        .span
        .first
        .zip(report.span.last)
        .map(|(first, last)| format!("; the selected logs have rows from {} to {}", shown(first), shown(last)));
    Some(format!("no rows match {}{}", filters.join(", "), span.unwrap_or_default()))
}

/// The maximum number of logs that a note lists.
const MAX_LISTED_LOGS: usize = 5;

/// Returns a note about skipped lines that are not rows, and how to print them.
fn skipped_note(logs: &[PrintedLog]) -> Option<String> {
    let skipped: Vec<_> = logs.iter().filter(|log| log.skipped_lines > 0).collect();
    let all = skipped.iter().fold(0, |sum: u64, log| sum.saturating_add(log.skipped_lines));
    let not_rows = if all == 1 { "that is not a row" } else { "that are not rows" };
    let lines = counted(all, "line", "lines");
    match skipped[..] {
        [] => None,
        [PrintedLog { id, .. }] => Some(format!(
            "skipped {lines} {not_rows} in {}; use `--source {} --file {} --exact` to print the whole log, byte for byte",
            id.name, id.source, id.name
        )),
        _ => {
            let names = skipped.iter().take(MAX_LISTED_LOGS);
            let mut names: Vec<_> = names.map(|log| format!("{}: {}", log.id.name, log.skipped_lines)).collect();
            if skipped.len() > MAX_LISTED_LOGS {
                names.push(format!("{} more", skipped.len() - MAX_LISTED_LOGS));
            }
            let (logs, names) = (count_of_logs(skipped.len()), names.join(", "));
            Some(format!(
                "skipped {lines} {not_rows} in {logs} ({names}); use `--file FILE --exact` to print a whole log, byte for byte"
            ))
        }
    }
}
