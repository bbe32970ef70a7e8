//! `patchwork-traces inspect` of a history.

use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::BASE64;
use jiff::tz::TimeZone;
use patchwork_traces::History;
use patchwork_traces::container::DecryptionKeys;
use patchwork_traces::format::{Base, FileName, FollowsState, HistoryGap, HistoryId, Label, SourceName, Timestamp};
use patchwork_traces::history::HistoryLog;
use patchwork_traces::inspect::{GapInHistory, HistoryInspection, NewRowsRate, Timetable};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::keep::{PaceJson, state};
use crate::cli::failure::CommandResult;
use crate::cli::render::duration::duration;
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{count, counted, listed, logs, rows, safe, size};
use crate::cli::render::timeline::{ChartContent, chart};
use crate::cli::render::zone;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{self, Output};
use crate::cli::terminal::term::{self, STRONG, WARN, paint};
use crate::cli::time;

/// The result of `inspect --json` for a history.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces inspect --json for a history")]
pub struct InspectHistoryJson<'a> {
    history: PathBuf,
    /// The identity of the history. The rows were not checked.
    id: HistoryId,
    /// The user's names for the machine, in the order of their first use.
    labels: &'a [Label],
    /// The number of segments.
    segments: usize,
    /// The time of the first segment.
    first_run: Timestamp,
    /// The time of the last segment.
    last_run: Timestamp,
    /// The age of the last segment in seconds, negative if its time is in the future.
    last_run_age_seconds: i64,
    total_rows: u64,
    total_bytes: u64,
    /// The size of all segments in bytes.
    bundle_bytes: u64,
    /// The root hash of the tree of all segments' digests, in base64, as in the checkpoint.
    tree_head: String,
    /// The new rows of the last week of the history; null for a single segment.
    rate: Option<RateJson>,
    /// The time that the history can go without a run; null if it is not known.
    pace: Option<PaceJson>,
    /// The time by which the next run is due; null if it is not known.
    due: Option<Timestamp>,
    /// True if no segment records a gap.
    complete: bool,
    sources: Vec<SourceJson>,
    files: Vec<HistoryFileJson>,
    gaps: Vec<GapJson>,
    /// The rows over time; null if no row has a timestamp.
    timeline: Option<&'a Timetable>,
}

/// The new rows of a period.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RateJson {
    rows: u64,
    bytes: u64,
    /// The length of the period in seconds.
    seconds: f64,
}

/// The rows of a source.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SourceJson {
    source: SourceName,
    logs: u64,
    rows: u64,
    bytes: u64,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    gaps: u64,
}

/// One log of the history.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HistoryFileJson {
    source: SourceName,
    file: FileName,
    base: Base,
    rows: u64,
    bytes: u64,
    unparsed_lines: u64,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    /// The state of the log in the last segment that names it.
    state: FollowsState,
    gaps: u64,
}

/// A gap before the rows of a segment.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GapJson {
    segment: u64,
    source: SourceName,
    file: FileName,
    #[serde(flatten)]
    gap: HistoryGap,
}

/// Inspects the history in `dir`.
pub fn run(dir: &Path, keys: &DecryptionKeys, output: Output) -> CommandResult {
    let history = History::open_with_keys(dir, keys)?;
    let inspection = HistoryInspection::new(&history);
    let age = time::now()?.as_millis().saturating_sub(inspection.last_run.as_millis());
    output::print_report(&match output.json {
        true => output::json_text(&as_json(&history, &inspection, age))?,
        false => as_text(&history, &inspection, age),
    })?;
    Ok(Exit::Done)
}

fn as_text(history: &History, inspection: &HistoryInspection, age: i64) -> String {
    let (width, zone) = (term::width(), zone::local());
    let mut text = head(history, inspection, age, &zone);
    if !history.logs().is_empty() {
        text += "\n";
        text += &logs_table(history, inspection, width, &zone);
    }
    let content = ChartContent {
        sources: inspection.sources.iter().map(|source| &source.source).collect(),
        total_rows: history.rows(),
        timetable: &|max_columns| Timetable::of_history(history, max_columns),
        gaps: inspection.gaps.iter().filter_map(|gap| times_of(&gap.gap)).collect(),
    };
    if let Some(picture) = chart(content, width, &zone) {
        text += "\n";
        text += &picture;
    }
    let gaps = gaps_text(history, &inspection.gaps, &zone);
    if !gaps.is_empty() {
        text += "\n";
        text += &gaps;
    }
    text
}

/// Returns the known times on either side of a gap.
fn times_of(gap: &HistoryGap) -> Option<(Timestamp, Timestamp)> {
    let after = gap.after_time.or(gap.before_time)?;
    let before = gap.before_time.unwrap_or(after);
    Some((after.min(before), before.max(after)))
}

fn head(history: &History, inspection: &HistoryInspection, age: i64, zone: &TimeZone) -> String {
    let labels: Vec<_> = inspection.labels.iter().map(|label| safe(label.as_str())).collect();
    let labels = if labels.is_empty() { String::new() } else { format!(" ({})", listed(&labels)) };
    let (first, last) = (zone::moment(inspection.first_run, zone), zone::moment(inspection.last_run, zone));
    let bytes = history.logs().iter().map(|log| log.bytes).sum();
    let gaps = match inspection.gaps.len() as u64 {
        0 => "none".to_owned(),
        number => paint(WARN, &format!("{} (see below)", counted(number, "gap", "gaps"))),
    };
    let mut lines = vec![
        ("history", format!("{}{labels}", history.id())),
        ("segments", format!("{}, since {first}", count(history.segments().len() as u64))),
        ("last run", format!("{last} ({})", age_text(age))),
        (
            "contains",
            format!(
                "{} from {}, {} (history: {})",
                rows(history.rows()),
                logs(history.logs().len()),
                size(bytes),
                size(inspection.bundle_bytes)
            ),
        ),
    ];
    lines.extend(inspection.rate.map(|rate| ("rate", rate_text(rate))));
    lines.extend(due_text(inspection, age, zone).map(|text| ("next run", text)));
    lines.push(("gaps", gaps));
    let lines = lines.into_iter().map(|(label, text)| format!("  {label:8}  {text}\n"));
    let name = history.dir().display().to_string();
    format!("{}\n{}", paint(STRONG, &safe(&name)), lines.collect::<String>())
}

fn age_text(millis: i64) -> String {
    match u64::try_from(millis) {
        Ok(millis) => format!("{} ago", duration(Duration::from_millis(millis))),
        Err(_) => "in the future: check the clock".to_owned(),
    }
}

/// Returns the rate per day, or per hour if it was measured over less than a day.
fn rate_text(rate: NewRowsRate) -> String {
    let (unit, seconds) = if rate.time.as_secs() < 24 * 3600 { ("hour", 3600) } else { ("day", 24 * 3600) };
    let per = |amount: u64| {
        let scaled = u128::from(amount) * seconds * 1000 / rate.time.as_millis().max(1);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    };
    let time = duration(rate.time);
    format!("{} and {} per {unit} (in the last {time} of the history)", rows(per(rate.rows)), size(per(rate.bytes)))
}

/// Returns the time by which the next run is due.
fn due(inspection: &HistoryInspection) -> Option<Timestamp> {
    let every = i64::try_from(inspection.pace.as_ref()?.run_every.as_millis()).ok()?;
    Timestamp::from_millis(inspection.last_run.as_millis().checked_add(every)?)
}

fn due_text(inspection: &HistoryInspection, age: i64, zone: &TimeZone) -> Option<String> {
    let (pace, due) = (inspection.pace.as_ref()?, due(inspection)?);
    let every = duration(pace.run_every);
    let log = safe(pace.log.name.as_str());
    let is_late = u128::try_from(age).is_ok_and(|age| age > pace.run_every.as_millis());
    let due = zone::moment(due, zone);
    Some(match is_late {
        true => paint(WARN, &format!("was due by {due}: run at least every {every}, or rows of {log} can be lost")),
        false => format!("due by {due}: run at least every {every}, or rows of {log} can be lost"),
    })
}

fn logs_table(history: &History, inspection: &HistoryInspection, width: usize, zone: &TimeZone) -> String {
    let logs = history.logs();
    let gaps = |index: usize| count(gaps_of(inspection, index));
    let columns = [
        Column::words("FILE", logs.iter().map(|log| log.id.name.to_string())),
        Column::words("SOURCE", logs.iter().map(|log| log.id.source.to_string())),
        Column::numbers("ROWS", logs.iter().map(|log| count(log.rows))),
        Column::numbers("SIZE", logs.iter().map(|log| size(log.bytes))),
        Column::words("FIRST ROW", logs.iter().map(|log| zone::minute(log.span.first, zone))),
        Column::words("LAST ROW", logs.iter().map(|log| zone::minute(log.span.last, zone))),
        Column::words("FIRST ROW", logs.iter().map(|log| zone::day(log.span.first, zone))),
        Column::words("LAST ROW", logs.iter().map(|log| zone::day(log.span.last, zone))),
        Column::words("STATE", logs.iter().map(|log| state(log.state).to_owned())),
        Column::numbers("GAPS", (0..logs.len()).map(gaps)),
    ];
    let layouts: [&[usize]; 5] =
        [&[0, 1, 2, 3, 4, 5, 8, 9], &[0, 2, 3, 4, 5, 8, 9], &[0, 2, 3, 6, 7, 8, 9], &[0, 2, 7, 8, 9], &[0, 2, 8, 9]];
    let text = table(&columns, &layouts, width);
    let times = logs.iter().flat_map(|log| [log.span.first, log.span.last]).flatten().next();
    text + &times.map(|time| format!("times in {}\n", zone::name(zone, time))).unwrap_or_default()
}

fn gaps_of(inspection: &HistoryInspection, log: usize) -> u64 {
    inspection.gaps.iter().filter(|gap| gap.log == log).count() as u64
}

/// The maximum number of listed gaps.
const MAX_GAPS: usize = 20;

fn gaps_text(history: &History, gaps: &[GapInHistory], zone: &TimeZone) -> String {
    let mut text = String::new();
    for GapInHistory { segment, log, gap, .. } in gaps.iter().take(MAX_GAPS) {
        let name = history.logs().get(*log).map(|log| safe(log.id.name.as_str())).unwrap_or_default();
        let at =
            |time: Option<Timestamp>| time.map(|time| format!(" ({})", zone::moment(time, zone))).unwrap_or_default();
        text += &format!(
            "gap in {name} before segment {segment}: rows may be missing between row {}{} and row {}{}\n",
            count(gap.after_row),
            at(gap.after_time),
            count(gap.after_row + 1),
            at(gap.before_time)
        );
    }
    let more = gaps.len().saturating_sub(MAX_GAPS) as u64;
    if more > 0 {
        text += &format!("{} (see --json)\n", counted(more, "more gap", "more gaps"));
    }
    text
}

fn as_json<'a>(history: &History, inspection: &'a HistoryInspection, age: i64) -> InspectHistoryJson<'a> {
    let sources = inspection.sources.iter().map(|source| SourceJson {
        source: source.source.clone(),
        logs: source.logs,
        rows: source.rows,
        bytes: source.bytes,
        first_time: source.span.first,
        last_time: source.span.last,
        gaps: source.gaps,
    });
    let files = history.logs().iter().enumerate().map(|(index, log)| file_json(log, gaps_of(inspection, index)));
    let gaps = inspection.gaps.iter().filter_map(|gap| {
        let log = history.logs().get(gap.log)?;
        let (source, file) = (log.id.source.clone(), log.id.name.clone());
        Some(GapJson { segment: gap.segment, source, file, gap: gap.gap.clone() })
    });
    InspectHistoryJson {
        history: history.dir().to_owned(),
        id: history.id(),
        labels: &inspection.labels,
        segments: history.segments().len(),
        first_run: inspection.first_run,
        last_run: inspection.last_run,
        last_run_age_seconds: age.div_euclid(1000),
        total_rows: history.rows(),
        total_bytes: history.logs().iter().map(|log| log.bytes).sum(),
        bundle_bytes: inspection.bundle_bytes,
        tree_head: BASE64.encode(inspection.checkpoint.root.as_bytes()),
        rate: inspection.rate.map(|rate| RateJson {
            rows: rate.rows,
            bytes: rate.bytes,
            seconds: rate.time.as_secs_f64(),
        }),
        pace: inspection.pace.as_ref().map(PaceJson::from),
        due: due(inspection),
        complete: inspection.gaps.is_empty(),
        sources: sources.collect(),
        files: files.collect(),
        gaps: gaps.collect(),
        timeline: inspection.timetable.as_ref(),
    }
}

fn file_json(log: &HistoryLog, gaps: u64) -> HistoryFileJson {
    HistoryFileJson {
        source: log.id.source.clone(),
        file: log.id.name.clone(),
        base: log.id.base,
        rows: log.rows,
        bytes: log.bytes,
        unparsed_lines: log.unparsed_lines,
        first_time: log.span.first,
        last_time: log.span.last,
        state: log.state,
        gaps,
    }
}
