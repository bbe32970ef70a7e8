//! `patchwork-traces inspect --keys`: the paths of rows.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::container::DecryptionKeys;
use patchwork_traces::format::TimeRange;
use patchwork_traces::input::InputSummary;
use patchwork_traces::inspect::{KeysOptions, KeysReport, ListedPath, SourceKeys, list_keys};
use schemars::JsonSchema;
use serde::Serialize;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::cli::complete;
use crate::cli::failure::{CommandResult, Failure};
use crate::cli::input::{input_notes, open_all_seekable};
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{count, counted, rows, safe};
use crate::cli::row_filter::{TimeArgs, shown};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::Output;
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{self, STRONG, paint};
use crate::cli::threads;

/// The options of `--keys`.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// List the paths of the rows, with types and examples
    ///
    /// Reads the rows. Paths use the syntax of `cat --where`, and `cat --count --where PATH` prints the
    /// same number of rows. Examples can contain secrets.
    #[arg(id = "list_keys", long = "keys")]
    pub is_given: bool,

    /// With --keys: only rows of this source (repeatable)
    #[arg(long, value_name = "SOURCE", requires = "list_keys")]
    #[arg(add = ArgValueCompleter::new(complete::SourceCompleter))]
    source: Vec<String>,

    /// With --keys: only rows of this file (repeatable)
    #[arg(long, value_name = "FILE", requires = "list_keys", hide_short_help = true)]
    #[arg(add = ArgValueCompleter::new(complete::FileCompleter))]
    file: Vec<String>,

    #[command(flatten)]
    times: TimeArgs,

    /// With --keys: omit the examples
    #[arg(long, requires = "list_keys", hide_short_help = true)]
    no_examples: bool,

    /// With --keys: number of threads [default: one per core]
    #[arg(long, value_name = "N", requires = "list_keys", hide_short_help = true, value_parser = threads)]
    threads: Option<NonZeroUsize>,
}

/// The result of `inspect --keys --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces inspect --keys --json")]
pub struct InspectKeysJson<'a> {
    /// The sources of the rows, each with its paths.
    sources: &'a [SourceKeys],
    /// The number of values whose paths are not listed, because there are too many or they are too long.
    unlisted: u64,
    /// The inputs.
    inputs: &'a [InputSummary],
    /// Notes for people.
    notes: &'a [String],
}

impl KeysArgs {
    /// Returns an error if an option of `--keys` is given without it.
    pub fn check(&self) -> Result<(), Failure> {
        match self.times.are_given() && !self.is_given {
            true => {
                Err(Failure::usage("--since and --until select rows, which are only read with --keys", "add --keys"))
            }
            false => Ok(()),
        }
    }
}

/// Runs the command.
pub fn run(args: &KeysArgs, bundles: &[PathBuf], keys: &DecryptionKeys, output: Output) -> CommandResult {
    let range = args.times.range()?;
    let mut options = KeysOptions::default().sources(&args.source).files(&args.file).range(range);
    options.threads = args.threads.unwrap_or(options.threads);
    if args.no_examples {
        options.examples = 0;
    }
    let inputs = open_all_seekable(bundles, keys)?;
    let report = list_keys(&inputs, &options, &Bar::new(output))?;
    let notes = notes(&report, range);
    let json =
        InspectKeysJson { sources: &report.sources, unlisted: report.unlisted, inputs: &report.inputs, notes: &notes };
    output.report(|| as_text(&report.sources), &json)?;
    output.notes(&notes);
    Ok(Exit::Done)
}

fn notes(report: &KeysReport, range: TimeRange) -> Vec<String> {
    let mut notes = input_notes(&report.inputs);
    if report.sources.is_empty() {
        let times = [("since", range.since), ("until", range.until)];
        let times: Vec<_> =
            times.iter().filter_map(|(name, time)| time.map(|time| format!("--{name} {}", shown(time)))).collect();
        notes.push(match times.is_empty() {
            true => "there are no rows".to_owned(),
            false => format!("no rows match {}", times.join(", ")),
        });
    }
    if report.unlisted > 0 {
        let values = counted(report.unlisted, "value is at a path that is", "values are at paths that are");
        notes.push(format!(
            "{values} not listed: the limits are 10,000 paths, 64 steps per path and 512 bytes per key; select fewer rows with --source, --file, --since or --until"
        ));
    }
    notes
}

fn as_text(sources: &[SourceKeys]) -> String {
    let width = term::width();
    let texts = sources.iter().map(|of_source| {
        let heading = format!("{}: {}\n", paint(STRONG, &safe(&of_source.source)), rows(of_source.rows));
        match of_source.paths.is_empty() {
            true => heading,
            false => heading + &paths_table(&of_source.paths, width),
        }
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// The minimum width of the column of examples.
const MIN_EXAMPLES_WIDTH: usize = 16;

/// The width of the gap between columns, and of the separator between examples.
const GAP: usize = 2;

fn paths_table(paths: &[ListedPath], width: usize) -> String {
    let cells = |cell: fn(&ListedPath) -> String| paths.iter().map(cell).collect::<Vec<_>>();
    let (names, numbers, types) =
        (cells(|listed| safe(&listed.path.to_string())), cells(|listed| count(listed.rows)), cells(types_of));
    let widest = |heading: &str, cells: &[String]| {
        cells.iter().map(|cell| cell.width()).chain([heading.width()]).max().unwrap_or_default() + GAP
    };
    let without_types = width.saturating_sub(widest("PATH", &names) + widest("ROWS", &numbers));
    let with_types = without_types.saturating_sub(widest("TYPES", &types));
    let left = if with_types >= MIN_EXAMPLES_WIDTH { with_types } else { without_types };
    let examples = paths.iter().map(|listed| fit_examples(&listed.examples, left));
    let columns = [
        Column::words("PATH", names.clone()),
        Column::numbers("ROWS", numbers.clone()),
        Column::words("TYPES", types.clone()),
        Column::words("EXAMPLES", examples),
    ];
    let has_examples = left >= MIN_EXAMPLES_WIDTH && paths.iter().any(|listed| !listed.examples.is_empty());
    match has_examples {
        true => table(&columns, &[&[0, 1, 2, 3], &[0, 1, 3]], width),
        false => table(&columns, &[&[0, 1, 2], &[0, 1]], width),
    }
}

/// Returns the types of the values, with counts if there are several types.
fn types_of(listed: &ListedPath) -> String {
    let named: Vec<_> = listed.types.named().into_iter().filter(|(_, count)| *count > 0).collect();
    match named.as_slice() {
        [(name, _)] => (*name).to_owned(),
        _ => named.iter().map(|(name, number)| format!("{name} {}", count(*number))).collect::<Vec<_>>().join(", "),
    }
}

/// Returns the first example, truncated to `width` if necessary, and the others that fit whole.
fn fit_examples(examples: &[String], width: usize) -> String {
    let mut text = String::new();
    for example in examples.iter().map(|example| safe(example)) {
        if text.is_empty() {
            text = truncate(&example, width);
        } else if text.width() + GAP + example.width() <= width {
            text += ", ";
            text += &example;
        }
    }
    text
}

fn truncate(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let rest = left.checked_sub(c.width().unwrap_or_default());
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    text.chars().take_while(fits).chain(['…']).collect()
}
