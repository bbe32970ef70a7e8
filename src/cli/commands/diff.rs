//! `patchwork-traces diff`.

use std::io::{BufWriter, ErrorKind as IoErrorKind, Write, stdout};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::diff::{DiffLine, DiffOptions, DiffReport, Difference, FileDiff, Other, diff};
use patchwork_traces::error::IoAction;
use patchwork_traces::import::LineCount;
use patchwork_traces::input::InputSummary;
use patchwork_traces::logs::{DiscoverOptions, discover};
use patchwork_traces::{Error, ErrorKind};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::export::DirArgs;
use crate::cli::complete;
use crate::cli::encryption::KeyArgs;
use crate::cli::failure::{CommandResult, Failure, check_stdout_is_kept};
use crate::cli::help;
use crate::cli::input::{input_notes, open_all};
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{count, counted, listed, logs, rows, safe};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{Output, STDOUT};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{self, STRONG, paint};
use crate::cli::threads;

/// Compare the rows of two bundles, or of a bundle and this machine
///
/// Counts, for each log, the rows that only one side has, and the rows that both have in a different
/// order. Exits with 3 if any row differs. Ignores line endings, and which file a row is in if
/// rotation moved it.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::DIFF))]
pub struct DiffArgs {
    /// Bundle or history directory; `-` is standard input
    #[arg(value_hint = ValueHint::AnyPath)]
    a: PathBuf,

    /// Bundle or history directory to compare it with
    #[arg(value_hint = ValueHint::AnyPath, required_unless_present = "here", conflicts_with = "here")]
    b: Option<PathBuf>,

    /// Compare with the logs of this machine
    #[arg(long)]
    here: bool,

    /// Print the rows that differ: `-` only in A, `+` only in B, `~` reordered in B
    ///
    /// Rows go to standard output, and the summary to standard error.
    #[arg(long)]
    rows: bool,

    /// Compare only this source (repeatable)
    #[arg(long, value_name = "SOURCE", add = ArgValueCompleter::new(complete::SourceCompleter))]
    source: Vec<String>,

    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = threads)]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    dirs: DirArgs,

    #[command(flatten)]
    keys: KeyArgs,
}

/// The result of `diff --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces diff --json (on standard error with --rows)")]
pub struct DiffJson<'a> {
    /// True if both sides have the same lines in the same order.
    equal: bool,
    a: &'a InputSummary,
    /// The second input; null for the logs of this machine.
    b: Option<&'a InputSummary>,
    /// The logs that at least one side has.
    files: &'a [FileDiff],
    /// Notes for people.
    notes: &'a [String],
}

/// Runs the command.
pub fn run(args: &DiffArgs, output: Output) -> CommandResult {
    if args.rows {
        check_stdout_is_kept("the rows", "diff A B --rows > rows")?;
    }
    let mut options = DiffOptions::default().sources(&args.source);
    options.threads = args.threads.unwrap_or(options.threads);
    let paths: Vec<_> = std::iter::once(args.a.clone()).chain(args.b.clone()).collect();
    let here = if args.b.is_none() { Some(args.dirs.resolve_existing()?) } else { None };
    let mut inputs = open_all(&paths, &args.keys.keys(output)?)?.into_iter();
    let (Some(a), b) = (inputs.next(), inputs.next()) else {
        return Err(Failure::usage("nothing to compare", "name a bundle"));
    };
    let b = match (b, here) {
        (Some(b), _) => Other::Input(b),
        (None, Some(dirs)) => {
            Other::Here(discover(&dirs, &DiscoverOptions::default().include_other(true).allow_empty(true))?)
        }
        (None, None) => return Err(Failure::usage("nothing to compare with", "name another bundle")),
    };
    let mut printer = RowPrinter::new();
    let mut print = |line: DiffLine<'_>| printer.print(line);
    let bar = if args.rows { Bar::alongside_output(output) } else { Bar::new(output) };
    let report = diff(&a, &b, &options, &bar, if args.rows { Some(&mut print) } else { None });
    let report = match report.and_then(|report| printer.finish().map(|()| report)) {
        // The reader closed the pipe. Rows are printed only if the sides differ.
        Err(error) if is_closed_pipe(&error) => return Ok(Exit::Incomplete),
        report => report?,
    };
    let inputs: Vec<_> = std::iter::once(&report.a).chain(&report.b).cloned().collect();
    let notes = input_notes(&inputs);
    let json =
        DiffJson { equal: report.is_equal(), a: &report.a, b: report.b.as_ref(), files: &report.files, notes: &notes };
    match args.rows {
        true => output.report_to_stderr(|| as_text(&report), &json)?,
        false => output.report(|| as_text(&report), &json)?,
    }
    output.notes(&notes);
    Ok(if report.is_equal() { Exit::Done } else { Exit::Incomplete })
}

fn is_closed_pipe(error: &Error) -> bool {
    let is_of_stdout = error.position().subject.as_deref() == Some(STDOUT);
    is_of_stdout && matches!(error.kind(), ErrorKind::Io { source, .. } if source.kind() == IoErrorKind::BrokenPipe)
}

/// Prints the lines that differ, under a header for each log.
struct RowPrinter {
    out: BufWriter<std::io::Stdout>,
    /// The source and file of the last header.
    log: Option<(String, String)>,
}

impl RowPrinter {
    fn new() -> Self {
        Self { out: BufWriter::new(stdout()), log: None }
    }

    fn print(&mut self, line: DiffLine<'_>) -> patchwork_traces::Result<()> {
        self.write(line).map_err(|error| Error::io_named(IoAction::Write, STDOUT, error))
    }

    fn write(&mut self, line: DiffLine<'_>) -> std::io::Result<()> {
        let log = (line.log.source.to_string(), line.log.name.to_string());
        if self.log.as_ref() != Some(&log) {
            writeln!(self.out, "@ {} ({})", safe(&log.1), safe(&log.0))?;
            self.log = Some(log);
        }
        self.out.write_all(match line.difference {
            Difference::OnlyInA => b"-",
            Difference::OnlyInB => b"+",
            _ => b"~",
        })?;
        self.out.write_all(line.text)?;
        self.out.write_all(b"\n")
    }

    fn finish(&mut self) -> patchwork_traces::Result<()> {
        self.out.flush().map_err(|error| Error::io_named(IoAction::Write, STDOUT, error))
    }
}

fn as_text(report: &DiffReport) -> String {
    let total = |of: fn(&FileDiff) -> LineCount| {
        let mut total = LineCount::default();
        report.files.iter().for_each(|file| total += of(file));
        total
    };
    let name_of_b = report.b.as_ref().map_or_else(|| "this machine".to_owned(), |b| safe(&b.name));
    let in_b = if report.b.is_some() { "in" } else { "on" };
    if report.is_equal() {
        let same = line_count_text(total(|file| file.same));
        return format!(
            "{}: {} and {name_of_b} have the same {same} in {}\n",
            paint(STRONG, "equal"),
            safe(&report.a.name),
            logs(report.files.len())
        );
    }
    let parts = [
        (total(|file| file.only_in_a), format!("only in {}", safe(&report.a.name))),
        (total(|file| file.only_in_b), format!("only {in_b} {name_of_b}")),
        (total(|file| file.reordered), "in another order".to_owned()),
    ];
    let parts = parts.iter().filter(|(lines, _)| lines.all() > 0);
    let parts: Vec<_> = parts.map(|(lines, place)| format!("{} {place}", line_count_text(*lines))).collect();
    format!("{}: {}\n\n{}", paint(STRONG, "different"), listed(&parts), files_table(&report.files))
}

/// Returns `5 rows`, or `5 rows and 1 other line`.
fn line_count_text(lines: LineCount) -> String {
    let other = counted(lines.unparsed, "other line", "other lines");
    match (lines.rows, lines.unparsed) {
        (_, 0) => rows(lines.rows),
        (0, _) => other,
        _ => format!("{} and {other}", rows(lines.rows)),
    }
}

fn files_table(files: &[FileDiff]) -> String {
    let has_other_lines = files
        .iter()
        .any(|file| [file.only_in_a, file.only_in_b, file.reordered, file.same].iter().any(|lines| lines.unparsed > 0));
    let cell = |lines: LineCount| match lines.unparsed {
        0 => count(lines.rows),
        other => format!("{} + {}", count(lines.rows), count(other)),
    };
    let columns = [
        Column::words("FILE", files.iter().map(|file| file.file.to_string())),
        Column::words("SOURCE", files.iter().map(|file| file.source.to_string())),
        Column::numbers("ONLY IN A", files.iter().map(|file| cell(file.only_in_a))),
        Column::numbers("ONLY IN B", files.iter().map(|file| cell(file.only_in_b))),
        Column::numbers("OTHER ORDER", files.iter().map(|file| cell(file.reordered))),
        Column::numbers("SAME", files.iter().map(|file| cell(file.same))),
    ];
    let text = table(&columns, &[&[0, 1, 2, 3, 4, 5], &[0, 2, 3, 4, 5], &[0, 2, 3, 4]], term::width());
    text + if has_other_lines { "rows + other lines\n" } else { "" }
}
