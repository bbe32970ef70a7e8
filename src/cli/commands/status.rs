//! `patchwork-traces status`, which also runs without a command.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;
use patchwork_traces::format::{FileName, SourceName, Timestamp};
use patchwork_traces::history::is_history;
use patchwork_traces::keep::LastRun;
use patchwork_traces::logs::rotation::NextRotation;
use patchwork_traces::logs::{Dirs, DiscoverOptions, SkipReason, SkippedLog, discover};
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
/// Lists each log with its rows, and the rows that rotation has removed and will remove next. Also
/// shows the last run of `keep`. Without a command, the program does the same.
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
    last_runs: Vec<LastRunJson>,
    /// The paths next to the logs that can't be read, or don't name a history. Other histories may
    /// exist.
    unknown_histories: Vec<String>,
    /// The suggested commands, most useful first.
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
    /// The number of rows that the log has lost; null if its rows do not show it.
    removed: Option<u64>,
    /// The next rotation that removes lines; null if the log is not rotated, or is empty.
    next_rotation: Option<NextRotation>,
}

/// The last run of `keep` for a history.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct LastRunJson {
    #[serde(flatten)]
    run: LastRun,
    /// The current content of the history's path.
    place: HistoryPlace,
}

/// The content of a history's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum HistoryPlace {
    /// A history.
    History,
    /// A directory without a history, such as the mount point of an unmounted disk.
    OtherDirectory,
    /// Nothing.
    Nothing,
    /// Unknown, because the path can't be read.
    Unknown,
}

impl HistoryPlace {
    fn of(dir: &Path) -> Self {
        if is_history(dir) {
            return Self::History;
        }
        match std::fs::read_dir(dir) {
            Ok(_) => Self::OtherDirectory,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Self::Nothing,
            Err(_) => Self::Unknown,
        }
    }

    /// Returns a warning if the path has no history.
    fn warning(self) -> Option<&'static str> {
        match self {
            Self::History => None,
            Self::OtherDirectory => Some("the directory contains no history now: is its disk mounted?"),
            Self::Nothing => Some("the directory no longer exists"),
            Self::Unknown => Some("the directory can't be read"),
        }
    }
}

/// A command and its purpose.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct NextCommand {
    command: String,
    purpose: &'static str,
}

/// Runs `status`, for a command line without a command.
pub fn run_without_command(output: Output) -> CommandResult {
    run(&StatusArgs::default(), output)
}

/// Runs the command.
pub fn run(args: &StatusArgs, output: Output) -> CommandResult {
    let (bar, now) = (Bar::new(output), time::now()?);
    let dirs = args.dirs.resolve_existing()?;
    let options = DiscoverOptions::default().include_other(args.include_other).allow_empty(true).skip_unreadable(true);
    let discovery = discover(&dirs, &options)?;
    let is_other = |log: &&SkippedLog| matches!(log.reason, SkipReason::Other);
    let other_logs = discovery.skipped.iter().filter(is_other).count();
    let report = status(discovery, &bar)?;
    let json = as_json((&dirs, other_logs), &report, args);
    let is_done = report.unreadable.is_empty();
    let text = if output.json { output::json_text(&json)? } else { as_text(&json, &report, now) };
    output::print_report(&text)?;
    for problem in &report.unreadable {
        output.warning(&problem.to_string());
    }
    Ok(if is_done { Exit::Done } else { Exit::Incomplete })
}

fn as_json((dirs, other_logs): (&Dirs, usize), report: &StatusReport, args: &StatusArgs) -> StatusJson {
    let last_run = |run: &LastRun| LastRunJson { run: run.clone(), place: HistoryPlace::of(&run.history) };
    let last_runs: Vec<_> = report.last_runs.runs.iter().map(last_run).collect();
    StatusJson {
        patchwork_dir: dirs.patchwork.display().to_string(),
        activity_dir: dirs.activity.display().to_string(),
        logs: report.logs.iter().map(log_json).collect(),
        other_logs,
        unreadable: report.unreadable.iter().map(ToString::to_string).collect(),
        next: next_commands(report, &last_runs, args),
        last_runs,
        unknown_histories: report.last_runs.unknown.iter().map(|path| path.display().to_string()).collect(),
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

/// Returns the suggested commands.
fn next_commands(report: &StatusReport, last_runs: &[LastRunJson], args: &StatusArgs) -> Vec<NextCommand> {
    let next = |command: String, purpose| NextCommand { command, purpose };
    let (program, dirs) = (env!("CARGO_PKG_NAME"), args.dirs.repeated());
    let known = last_runs.iter().find(|run| run.place == HistoryPlace::History).map(|LastRunJson { run, .. }| run);
    let identity = if known.is_some_and(|run| run.is_encrypted) { " --identity KEY_FILE" } else { "" };
    if report.logs.is_empty() && report.unreadable.is_empty() {
        let import = match known {
            Some(run) => format!("{program} import {}{identity}{dirs}", shell_word(&run.history)),
            None => format!("{program} import BUNDLE{dirs}"),
        };
        let purpose =
            if known.is_some() { "restore the logs here" } else { "restore the logs of another machine here" };
        return vec![next(format!("{program} demo"), "try all commands on sample logs"), next(import, purpose)];
    }
    let mut commands = Vec::new();
    let other_logs = |is_kept| if is_kept { " --include-other" } else { "" };
    if let Some(run) = known {
        let (history, other) = (shell_word(&run.history), other_logs(run.has_other_logs || args.include_other));
        let recipient = if run.is_encrypted { " --recipient RECIPIENT" } else { "" };
        let keep = format!("{program} keep {history}{other}{recipient}{dirs}");
        commands.push(next(keep, "add the new rows to the history"));
        commands.push(next(format!("{program} verify {history}{identity}"), "check the history for damage"));
    } else if last_runs.is_empty() && report.last_runs.unknown.is_empty() {
        commands.push(next(
            format!("{program} keep {SUGGESTED_HISTORY}{}{dirs}", other_logs(args.include_other)),
            "keep all rows from now on, although Patchwork removes old ones",
        ));
    }
    let other = other_logs(args.include_other);
    commands.push(next(format!("{program} export -o traces.jsonl.gz{other}{dirs}"), "bundle the logs into one file"));
    commands
}

fn as_text(json: &StatusJson, report: &StatusReport, now: Timestamp) -> String {
    let here = zone::local();
    let mut text = match report.logs.is_empty() {
        true => format!("no Patchwork logs in {} and {}\n", safe(&json.patchwork_dir), safe(&json.activity_dir)),
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
    if !report.logs.is_empty() || !json.last_runs.is_empty() || !json.unknown_histories.is_empty() {
        text += &history_text(json, now, &here);
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

fn history_text(json: &StatusJson, now: Timestamp, here: &TimeZone) -> String {
    if json.last_runs.is_empty() && json.unknown_histories.is_empty() {
        return paragraph("history", "none: nothing keeps the rows that rotation removes");
    }
    let unknown = json.unknown_histories.iter().map(|path| {
        let problem = format!("unknown: {} does not name it, or can't be read", safe(path));
        paragraph("history", &paint(WARN, &problem))
    });
    let known = json.last_runs.iter().map(|run| paragraph("history", &last_run_text(run, now, here)));
    known.chain(unknown).collect()
}

fn last_run_text(LastRunJson { run, place }: &LastRunJson, now: Timestamp, here: &TimeZone) -> String {
    let age = now.as_millis().saturating_sub(run.time.as_millis());
    let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
    let text = format!(
        "{}: {}, last run {} ago ({})",
        safe(&run.history.display().to_string()),
        counted(run.segments, "segment", "segments"),
        duration(age),
        zone::moment(run.time, here),
    );
    let lost_after = run.lost_after_seconds.map(Duration::from_secs);
    match (place.warning(), lost_after) {
        (Some(warning), _) => format!("{text}; {}", paint(WARN, warning)),
        (None, Some(lost_after)) if age >= lost_after => {
            format!("{text}; {}", paint(WARN, "a run is overdue: rows may be lost already"))
        }
        (None, Some(lost_after)) => format!("{text}; run it again within {}", duration(lost_after.saturating_sub(age))),
        (None, None) => text,
    }
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
