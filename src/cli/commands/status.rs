//! `patchwork-traces status`, which also runs without a command.

use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;
use patchwork_traces::format::{FileName, SourceName, Timestamp};
use patchwork_traces::keep::LastRun;
use patchwork_traces::logs::rotation::NextRotation;
use patchwork_traces::logs::{DiscoverOptions, Discovery, SkipReason, discover};
use patchwork_traces::status::{LogStatus, StatusReport, status};
use schemars::JsonSchema;
use serde::Serialize;

use super::export::DirArgs;
use crate::cli::failure::CommandResult;
use crate::cli::help;
use crate::cli::render::duration::duration;
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{count, counted, labelled, logs, safe, shell_word, size};
use crate::cli::render::zone;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{self, Output};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{self, STRONG, WARN, paint};
use crate::cli::time;

/// The history that the documentation suggests.
const SUGGESTED_HISTORY: &str = "~/trace-history";

/// Show the logs of this machine, and what to do next
///
/// Lists each log with its rows, with what rotation has removed, and with what it will remove next, and the last run of
/// `keep`. The program does the same without a command.
#[derive(Debug, Default, Args)]
#[command(after_long_help = help::long(&help::STATUS))]
pub struct StatusArgs {
    /// Also list other *.jsonl logs in the Patchwork directory
    #[arg(long)]
    include_other: bool,

    #[command(flatten)]
    dirs: DirArgs,
}

/// The result of `status --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces status --json")]
pub struct StatusJson {
    /// The directory of Patchwork.
    patchwork_dir: String,
    /// The directory of the activity logs.
    activity_dir: String,
    /// The logs that could be read.
    logs: Vec<LogJson>,
    /// The number of other *.jsonl logs in the Patchwork directory, which are not listed.
    other_logs: usize,
    /// The errors of logs that could not be read.
    unreadable: Vec<String>,
    /// The last run of `keep` for each history that has the logs, newest first.
    last_runs: Vec<LastRun>,
    /// The commands that make sense next, the best one first.
    next: Vec<NextCommand>,
}

/// A log of this machine.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct LogJson {
    source: SourceName,
    file: FileName,
    path: String,
    bytes: u64,
    rows: u64,
    /// The number of lines that are not rows.
    unparsed_lines: u64,
    /// The earliest time of a row.
    first: Option<Timestamp>,
    /// The latest time of a row.
    last: Option<Timestamp>,
    /// The number of rows that the log has lost; null if its rows do not tell.
    removed: Option<u64>,
    /// The next rotation that takes lines from it; null if it is not rotated, or is empty.
    next_rotation: Option<NextRotation>,
}

/// A command and its purpose.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct NextCommand {
    command: String,
    purpose: &'static str,
}

/// Runs the command that stands for none.
pub fn run_without_command(output: Output) -> CommandResult {
    run(&StatusArgs::default(), output)
}

/// Runs the command.
pub fn run(args: &StatusArgs, output: Output) -> CommandResult {
    let (bar, now) = (Bar::new(output), time::now()?);
    let dirs = args.dirs.resolve_existing()?;
    let wanted = DiscoverOptions::default().include_other(args.include_other).allow_empty(true);
    let discovery = discover(&dirs, &wanted)?;
    let report = status(&discovery, &bar)?;
    let json = as_json(&discovery, &report, args);
    if output.json {
        output::print(&output::json_text(&json)?)?;
    } else {
        output::print(&as_text(&json, &report, now))?;
    }
    let unreadable: Vec<_> = report.unreadable.iter().map(ToString::to_string).collect();
    for problem in &unreadable {
        output.warning(problem);
    }
    Ok(if unreadable.is_empty() { Exit::Done } else { Exit::Incomplete })
}

fn as_json(discovery: &Discovery, report: &StatusReport, args: &StatusArgs) -> StatusJson {
    let other = |reason: SkipReason| matches!(reason, SkipReason::Other);
    StatusJson {
        patchwork_dir: discovery.dirs.patchwork.display().to_string(),
        activity_dir: discovery.dirs.activity.display().to_string(),
        logs: report.logs.iter().map(log_json).collect(),
        other_logs: discovery.skipped.iter().filter(|log| other(log.reason)).count(),
        unreadable: report.unreadable.iter().map(ToString::to_string).collect(),
        last_runs: report.last_runs.clone(),
        next: next_commands(report, &args.dirs.repeated()),
    }
}

fn log_json(log: &LogStatus) -> LogJson {
    LogJson {
        source: log.id.source.clone(),
        file: log.id.name.clone(),
        path: log.path.display().to_string(),
        bytes: log.bytes,
        rows: log.lines.rows,
        unparsed_lines: log.lines.unparsed,
        first: log.first,
        last: log.last,
        removed: log.removed,
        next_rotation: log.next_rotation,
    }
}

/// Returns the commands that make sense on this machine. `dirs` are the options that name the directories.
fn next_commands(report: &StatusReport, dirs: &str) -> Vec<NextCommand> {
    let next = |command: String, purpose| NextCommand { command, purpose };
    let program = env!("CARGO_PKG_NAME");
    if report.logs.is_empty() && report.unreadable.is_empty() {
        return vec![
            next(format!("{program} demo"), "try all commands on sample logs"),
            next(format!("{program} import BUNDLE{dirs}"), "restore the logs of another machine here"),
        ];
    }
    let mut commands = Vec::new();
    match report.last_runs.iter().find(|run| run.history.is_dir()) {
        Some(run) => {
            let history = shell_word(&run.history);
            commands.push(next(format!("{program} keep {history}{dirs}"), "add the new rows to the history"));
            commands.push(next(format!("{program} verify {history}"), "check the history for damage"));
        }
        None => {
            commands.push(next(
                format!("{program} keep {SUGGESTED_HISTORY}{dirs}"),
                "keep all rows from now on, although Patchwork removes old ones",
            ));
        }
    }
    commands.push(next(format!("{program} export -o traces.jsonl.gz{dirs}"), "bundle the logs into one file"));
    commands
}

fn as_text(json: &StatusJson, report: &StatusReport, now: Timestamp) -> String {
    let here = zone::here();
    let mut text = match report.logs.is_empty() {
        true => format!("no logs of Patchwork in {} and {}\n", safe(&json.patchwork_dir), safe(&json.activity_dir)),
        false => log_table(&report.logs, &here),
    };
    if json.other_logs > 0 {
        let number = counted(json.other_logs as u64, "other log is", "other logs are");
        text += &format!("{number} not listed: see `status --include-other`\n");
    }
    if report.logs.iter().any(|log| log.next_rotation.is_some()) {
        text += "\n";
        text += &paragraph("rotation", ROTATION);
    }
    if !report.logs.is_empty() || !report.last_runs.is_empty() {
        text += &history_text(&report.last_runs, now, &here);
    }
    text += &next_text(&json.next);
    text
}

/// The explanation of rotation.
const ROTATION: &str = "Patchwork removes the older half of a log that exceeds 1 MiB, and moves that of runs.jsonl to \
    runs.jsonl.1, which keeps up to 8 MiB.";

/// Returns `label  text`, wrapped.
fn paragraph(label: &str, text: &str) -> String {
    labelled(STRONG, &format!("{label:<9}"), text, Some(term::width())) + "\n"
}

fn log_table(logs_here: &[LogStatus], here: &TimeZone) -> String {
    let cell = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), count);
    let next = |log: &LogStatus| log.next_rotation.as_ref().map_or_else(|| "-".to_owned(), next_rotation_text);
    let columns = [
        Column::words("FILE", logs_here.iter().map(|log| log.id.name.to_string())),
        Column::numbers("ROWS", logs_here.iter().map(|log| count(log.lines.rows))),
        Column::numbers("SIZE", logs_here.iter().map(|log| size(log.bytes))),
        Column::numbers("REMOVED", logs_here.iter().map(|log| cell(log.removed))),
        Column::words("REMOVED NEXT", logs_here.iter().map(next)),
        Column::words("OLDEST ROW", logs_here.iter().map(|log| zone::minute(log.first, here))),
    ];
    let rows: u64 = logs_here.iter().map(|log| log.lines.rows).sum();
    let bytes: u64 = logs_here.iter().map(|log| log.bytes).sum();
    let total = format!("{}, {} rows, {}\n", logs(logs_here.len()), count(rows), size(bytes));
    table(&columns, &[&[0, 1, 2, 3, 4, 5], &[0, 1, 2, 3, 4], &[0, 2, 4], &[0, 4]], term::width()) + &total
}

/// Returns the cell for the next rotation: `560 lines, in 193.2 kB`.
fn next_rotation_text(next: &NextRotation) -> String {
    let lines = counted(next.trimmed, "line", "lines");
    match next.after_bytes {
        0 => format!("{lines}, at the next write"),
        bytes => format!("{lines}, in {}", size(bytes)),
    }
}

fn history_text(runs: &[LastRun], now: Timestamp, here: &TimeZone) -> String {
    if runs.is_empty() {
        return paragraph("history", "none: nothing keeps the rows that rotation removes");
    }
    let describe = |run: &LastRun| {
        let age = now.as_millis().saturating_sub(run.time.as_millis());
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        let mut text = format!(
            "{}: {}, last run {} ago ({})",
            safe(&run.history.display().to_string()),
            counted(run.segments, "segment", "segments"),
            duration(age),
            zone::moment(run.time, here),
        );
        if !run.history.is_dir() {
            text += &format!("; {}", paint(WARN, "the directory is not there now"));
        } else if let Some(lost_after) = run.lost_after_seconds.map(Duration::from_secs) {
            text += &match age >= lost_after {
                true => format!("; {}", paint(WARN, "a run is overdue: rows may be lost already")),
                false => format!("; run it again within {}", duration(lost_after.saturating_sub(age))),
            };
        }
        paragraph("history", &text)
    };
    runs.iter().map(describe).collect()
}

fn next_text(commands: &[NextCommand]) -> String {
    let width = commands.iter().map(|next| next.command.chars().count()).max().unwrap_or_default();
    let is_wide = commands.iter().any(|next| width + next.purpose.len() + 6 > term::width());
    let lines = commands.iter().map(|next| {
        let command = safe(&next.command);
        match is_wide {
            true => format!("  # {}\n  {command}\n", next.purpose),
            false => format!("  {command:<width$}  # {}\n", next.purpose),
        }
    });
    format!("\n{}\n", paint(STRONG, "next")) + &lines.collect::<String>() + "  patchwork-traces --help\n"
}
