//! `patchwork-traces inspect`.

use std::path::PathBuf;

use clap::Args;
use patchwork_traces::bundle::{Access, Bundle};
use patchwork_traces::digest::{BundleDigest, Sha256Digest};
use patchwork_traces::error::visible;
use patchwork_traces::format::{Base, FileName, ManifestFile, SourceName, Timestamp};
use patchwork_traces::inspect::{Inspection, SourceTimetable, Timetable, compressed_bytes, unparsed_ranges};
use schemars::JsonSchema;
use serde::Serialize;

use super::failure::{Exit, Outcome};
use super::output::{self, STDIN, count, counted, note, size, time};

/// Say what is in a bundle, from its manifest alone
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The bundle; `-` is standard input
    bundle: PathBuf,
}

/// The result of `inspect --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces inspect --json")]
pub struct InspectJson {
    /// The digest of the bundle, computed from its manifest. The rows were not looked at.
    digest: BundleDigest,
    version: u64,
    minor: u64,
    /// The program that wrote it; null in 1.0.
    generator: Option<String>,
    exported_at: Timestamp,
    /// The size of the bundle in bytes; null when it came from standard input.
    bundle_bytes: Option<u64>,
    total_rows: u64,
    total_bytes: u64,
    /// Whether single chunks can be read alone; null when it came from standard input.
    indexed: Option<bool>,
    files: Vec<InspectedFileJson>,
    /// Rows over time; null when no row has a time, and in 1.0.
    timeline: Option<TimelineJson>,
}

/// One log of the bundle. What 1.0 does not record is null.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct InspectedFileJson {
    source: SourceName,
    file: FileName,
    base: Base,
    rows: u64,
    bytes: u64,
    /// Bytes that its rows took in the bundle when that was written.
    compressed_bytes: Option<u64>,
    sha256: Option<Sha256Digest>,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    /// First and last number, from 1, of neighbouring lines that are no rows.
    unparsed_lines: Option<Vec<(u64, u64)>>,
}

/// Rows over time.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TimelineJson {
    /// When the first column begins.
    start: Timestamp,
    /// The width of a column.
    step_ms: u64,
    sources: Vec<SourceTimelineJson>,
}

/// Rows of one source over time.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SourceTimelineJson {
    source: SourceName,
    /// Rows in each column.
    rows: Vec<u64>,
    /// Rows before the first column.
    before: u64,
    /// Rows after the last column.
    after: u64,
    /// Rows without a time.
    timeless: u64,
}

/// Opens the bundle that an argument names.
pub fn open(path: &std::path::Path) -> patchwork_traces::Result<Bundle<'static>> {
    match path.as_os_str() == "-" {
        true => Bundle::from_stream(std::io::stdin().lock(), STDIN),
        false => Bundle::open(path),
    }
}

/// Runs the command.
pub fn run(args: &InspectArgs, json: bool) -> Outcome {
    let bundle = open(&args.bundle)?;
    let inspection = Inspection::new(&bundle);
    if json {
        output::print(&output::json_text(&as_json(&inspection))?)?;
    } else {
        output::print(&as_text(bundle.name(), &inspection))?;
    }
    if inspection.access == Access::TableDoesNotFit {
        note("this bundle was compressed again by another program, or it is damaged: its rows are read from its start");
    }
    Ok(Exit::Done)
}

fn as_text(name: &str, inspection: &Inspection) -> String {
    let manifest = &inspection.manifest;
    let (major, minor) = manifest.version();
    let written_by = manifest.generator.as_deref().map_or_else(
        || "written by the original exporter".to_owned(),
        |generator| format!("written by {}", visible(generator)),
    );
    let rows = counted(manifest.total_count, "row", "rows");
    let files = counted(manifest.files.len() as u64, "log", "logs");
    let in_bundle = inspection.bundle_bytes.map(|bytes| format!(", in {}", size(bytes))).unwrap_or_default();
    let holds = format!("{rows} of {files}, {}{in_bundle}", size(inspection.log_bytes()));
    let mut text = format!(
        "{name}\n  format    {major}.{minor}, {written_by}\n  exported  {}\n  holds     {holds}\n  digest    {}\n",
        manifest.exported_at, inspection.digest
    );
    if !manifest.files.is_empty() {
        text += "\n";
        text += &files_table(inspection);
    }
    text += &unparsed_text(&manifest.files);
    if let Some(timetable) = &inspection.timetable {
        text += "\n";
        text += &timetable_text(timetable);
    }
    if inspection.is_1_0() {
        text += "\nFormat 1.0 does not record hashes, times, compressed sizes or lines that were no rows (they were dropped).\n";
    }
    text
}

fn files_table(inspection: &Inspection) -> String {
    let files = &inspection.manifest.files;
    if inspection.is_1_0() {
        let lines = files.iter().map(|file| {
            vec![file.relative_path.to_string(), file.source.to_string(), count(file.count), count(file.bytes)]
        });
        return output::table(&["FILE", "SOURCE", ">ROWS", ">BYTES"], lines);
    }
    let lines = files.iter().map(|file| {
        let compressed = compressed_bytes(file);
        vec![
            file.relative_path.to_string(),
            file.source.to_string(),
            count(file.count),
            count(file.bytes),
            compressed.map_or_else(|| "-".to_owned(), count),
            compressed.and_then(|compressed| ratio(file.bytes, compressed)).unwrap_or_else(|| "-".to_owned()),
            time(file.first_time),
            time(file.last_time),
            count(file.unparsed_lines()),
        ]
    });
    let headings =
        ["FILE", "SOURCE", ">ROWS", ">BYTES", ">COMPRESSED", ">RATIO", "FIRST ROW", "LAST ROW", ">UNPARSED LINES"];
    output::table(&headings, lines)
}

/// How many times smaller, with one decimal.
fn ratio(bytes: u64, compressed: u64) -> Option<String> {
    let tenths = bytes.checked_mul(10)?.checked_div(compressed)?;
    Some(format!("{}.{}x", tenths / 10, tenths % 10))
}

/// The most ranges of lines that are listed for one file.
const MOST_RANGES: usize = 20;

fn unparsed_text(files: &[ManifestFile]) -> String {
    let mut text = String::new();
    for file in files.iter().filter(|file| !file.unparsed.is_empty()) {
        let ranges = unparsed_ranges(file);
        let shown = ranges.iter().take(MOST_RANGES).map(|range| match range.first == range.last {
            true => range.first.to_string(),
            false => format!("{}-{}", range.first, range.last),
        });
        let shown: Vec<_> = shown.collect();
        let more = ranges.len() - shown.len();
        let more = if more > 0 {
            format!(" and {} (--json has all)", counted(more as u64, "more place", "more places"))
        } else {
            String::new()
        };
        text += &format!("\nunparsed lines of {}: {}{more}\n", file.relative_path, shown.join(", "));
    }
    text
}

fn timetable_text(timetable: &Timetable) -> String {
    let widest =
        timetable.sources.iter().map(|source| source.source.as_str().chars().count()).max().unwrap_or_default();
    let end = timetable.start.as_millis().saturating_add((timetable.step_ms * timetable.columns as u64).cast_signed());
    let end = Timestamp::from_millis(end).unwrap_or(timetable.start);
    let mut text =
        format!("rows from {} to {}, one column for {}\n", timetable.start, end, step_words(timetable.step_ms));
    for source in &timetable.sources {
        let name = source.source.as_str();
        let padding = " ".repeat(widest - name.chars().count());
        text += &format!("  {name}{padding}  |{}|  {}\n", sparkline(&source.rows), row_words(source));
    }
    text
}

fn row_words(source: &SourceTimetable) -> String {
    let most = source.rows.iter().max().copied().unwrap_or_default();
    let far = [(source.before, "before"), (source.after, "after"), (source.timeless, "without a time")];
    let far = far.into_iter().filter(|(rows, _)| *rows > 0).map(|(rows, place)| format!("{} {place}", count(rows)));
    [format!("at most {}", count(most))].into_iter().chain(far).collect::<Vec<_>>().join(", ")
}

/// One character a column, as high as its rows are many. Any row shows.
fn sparkline(rows: &[u64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = rows.iter().max().copied().unwrap_or_default().max(1);
    let bar = |rows: u64| match rows {
        0 => ' ',
        rows => {
            let height = (u128::from(rows) * BARS.len() as u128).div_ceil(u128::from(most));
            BARS[usize::try_from(height).unwrap_or(BARS.len()).clamp(1, BARS.len()) - 1]
        }
    };
    rows.iter().map(|rows| bar(*rows)).collect()
}

fn step_words(step_ms: u64) -> String {
    let seconds = step_ms / 1000;
    let units = [
        (24 * 60 * 60, "day", "days"),
        (60 * 60, "hour", "hours"),
        (60, "minute", "minutes"),
        (1, "second", "seconds"),
    ];
    let unit = units.into_iter().find(|(unit, ..)| seconds.is_multiple_of(*unit));
    unit.map_or_else(String::new, |(unit, one, many)| counted(seconds / unit, one, many))
}

fn as_json(inspection: &Inspection) -> InspectJson {
    let manifest = &inspection.manifest;
    let (version, minor) = manifest.version();
    let files = manifest.files.iter().map(|file| InspectedFileJson {
        source: file.source.clone(),
        file: file.relative_path.clone(),
        base: file.base(),
        rows: file.count,
        bytes: file.bytes,
        compressed_bytes: compressed_bytes(file),
        sha256: file.record().map(|record| record.sha256),
        first_time: file.first_time,
        last_time: file.last_time,
        unparsed_lines: file
            .record()
            .map(|_| unparsed_ranges(file).into_iter().map(|range| (range.first, range.last)).collect()),
    });
    InspectJson {
        digest: inspection.digest,
        version,
        minor,
        generator: manifest.generator.clone(),
        exported_at: manifest.exported_at,
        bundle_bytes: inspection.bundle_bytes,
        total_rows: manifest.total_count,
        total_bytes: inspection.log_bytes(),
        indexed: inspection.bundle_bytes.map(|_| inspection.access == Access::Indexed),
        files: files.collect(),
        timeline: inspection.timetable.as_ref().map(timeline_json),
    }
}

fn timeline_json(timetable: &Timetable) -> TimelineJson {
    let sources = timetable.sources.iter().cloned().map(|source| {
        let SourceTimetable { source, rows, before, after, timeless } = source;
        SourceTimelineJson { source, rows, before, after, timeless }
    });
    TimelineJson { start: timetable.start, step_ms: timetable.step_ms, sources: sources.collect() }
}
