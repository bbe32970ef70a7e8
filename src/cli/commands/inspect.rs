//! `patchwork-traces inspect`.

pub mod history;
pub mod keys;
pub mod several;

use std::path::PathBuf;

use clap::{Args, ValueHint};
use jiff::tz::TimeZone;
use patchwork_traces::bundle::Access;
use patchwork_traces::digest::{BundleDigest, Sha256Digest};
use patchwork_traces::format::{Base, DerivedFrom, FileName, ManifestFile, Redaction, SourceName, Timestamp};
use patchwork_traces::inspect::{Inspection, Timetable, compressed_bytes, unparsed_ranges};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::encryption::KeyArgs;
use crate::cli::failure::CommandResult;
use crate::cli::help;
use crate::cli::input::{access_note, open};
use crate::cli::is_dash;
use crate::cli::render::provenance::provenance;
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{DIGEST_NOTE, count, counted, logs, ratio, rows, safe, size};
use crate::cli::render::timeline;
use crate::cli::render::zone;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{self, Output};
use crate::cli::terminal::term::{self, STRONG, paint};

/// Show what bundles or histories contain
///
/// Reads only manifests, except with --keys.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::INSPECT))]
pub struct InspectArgs {
    /// Bundles or history directories; `-` is standard input
    ///
    /// Several are shown in a table, one line each.
    #[arg(required = true, value_name = "BUNDLE", value_hint = ValueHint::AnyPath)]
    bundles: Vec<PathBuf>,

    #[command(flatten)]
    row_keys: keys::KeysArgs,

    #[command(flatten)]
    keys: KeyArgs,
}

/// The result of `inspect --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces inspect --json")]
pub struct InspectJson<'a> {
    /// The digest of the bundle, computed from its manifest. The rows were not checked.
    digest: BundleDigest,
    version: u64,
    minor: u64,
    /// The program that wrote the bundle; null for format 1.0.
    generator: Option<String>,
    exported_at: Timestamp,
    /// The size of the bundle in bytes; null for standard input.
    bundle_bytes: Option<u64>,
    total_rows: u64,
    total_bytes: u64,
    /// True if chunks can be read individually; null for standard input.
    indexed: Option<bool>,
    files: Vec<InspectedFileJson>,
    /// The bundles that the bundle was made of; null if it is an export.
    derived_from: Option<&'a DerivedFrom>,
    /// The options of the redaction, and how much it replaced; null if the bundle is not redacted.
    redaction: Option<&'a Redaction>,
    /// The rows over time; null if no row has a timestamp, and for format 1.0.
    timeline: Option<&'a Timetable>,
    /// Notes for people.
    notes: &'a [String],
}

/// One log of the bundle. Values that format 1.0 does not record are null.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct InspectedFileJson {
    source: SourceName,
    file: FileName,
    base: Base,
    rows: u64,
    bytes: u64,
    /// The compressed size of its rows when the bundle was written, in bytes.
    compressed_bytes: Option<u64>,
    sha256: Option<Sha256Digest>,
    first_time: Option<Timestamp>,
    last_time: Option<Timestamp>,
    /// The first and the last line, from 1, of each range of lines that are not rows.
    unparsed_lines: Option<Vec<(u64, u64)>>,
}

/// Runs the command.
pub fn run(args: &InspectArgs, output: Output) -> CommandResult {
    args.row_keys.check()?;
    if args.row_keys.is_given {
        return keys::run(&args.row_keys, &args.bundles, &args.keys.keys(output)?, output);
    }
    let [path] = args.bundles.as_slice() else { return several::run(&args.bundles, &args.keys.keys(output)?, output) };
    if !is_dash(path) && path.is_dir() {
        return history::run(path, &args.keys.keys(output)?, output);
    }
    let bundle = open(path, &args.keys.keys(output)?)?;
    let inspection = Inspection::new(&bundle);
    let filtered = inspection.manifest.filter.as_ref();
    let filtered =
        filtered.map(|filter| format!("filtered: it has only the rows selected by {}", filter.conditions().join(" ")));
    let notes: Vec<_> = access_note(inspection.access).into_iter().chain(filtered).collect();
    output::print_report(&match output.json {
        true => output::json_text(&as_json(&inspection, &notes))?,
        false => as_text(bundle.name(), &inspection),
    })?;
    output.notes(&notes);
    Ok(Exit::Done)
}

fn as_text(name: &str, inspection: &Inspection) -> String {
    let manifest = &inspection.manifest;
    let (width, zone) = (term::width(), zone::local());
    let mut text = head(name, inspection, &zone);
    if !manifest.files.is_empty() {
        text += "\n";
        text += &files_table(inspection, width, &zone);
    }
    let unparsed = unparsed_text(&manifest.files);
    if !unparsed.is_empty() {
        text += "\n";
        text += &unparsed;
    }
    if let Some(chart) = timeline::bundle_chart(manifest, width, &zone) {
        text += "\n";
        text += &chart;
    }
    if inspection.is_1_0() {
        text += "\nFormat 1.0 records no hashes, timestamps or compressed sizes, and omits lines that are not rows.\n";
    }
    text
}

fn head(name: &str, inspection: &Inspection, zone: &TimeZone) -> String {
    let manifest = &inspection.manifest;
    let (major, minor) = manifest.version();
    let written_by = manifest.generator.as_deref().map_or_else(|| "the original exporter".to_owned(), safe);
    let in_bundle = inspection.bundle_bytes.map(|bytes| format!(" (bundle: {})", size(bytes))).unwrap_or_default();
    let (rows, logs) = (rows(manifest.total_count), logs(manifest.files.len()));
    let contents = format!("{rows} from {logs}, {}{in_bundle}", size(inspection.log_bytes()));
    let exported = zone::moment(manifest.exported_at, zone);
    let origin = provenance(manifest.derived_from.as_ref(), manifest.redaction.as_ref(), 8);
    format!(
        "{}\n  format    {major}.{minor}, written by {written_by}\n  exported  {exported}\n  contains  {contents}\n  digest    {}\n            {DIGEST_NOTE}\n{origin}",
        paint(STRONG, &safe(name)),
        inspection.digest
    )
}

fn files_table(inspection: &Inspection, width: usize, zone: &TimeZone) -> String {
    let files = &inspection.manifest.files;
    let dash = || "-".to_owned();
    let ratio = |file: &ManifestFile| compressed_bytes(file).and_then(|compressed| ratio(file.bytes, compressed));
    let columns = [
        Column::words("FILE", files.iter().map(|file| file.relative_path.to_string())),
        Column::words("SOURCE", files.iter().map(|file| file.source.to_string())),
        Column::numbers("ROWS", files.iter().map(|file| count(file.count))),
        Column::numbers("SIZE", files.iter().map(|file| size(file.bytes))),
        Column::numbers("IN BUNDLE", files.iter().map(|file| compressed_bytes(file).map_or_else(dash, size))),
        Column::numbers("RATIO", files.iter().map(|file| ratio(file).unwrap_or_else(dash))),
        Column::words("FIRST ROW", files.iter().map(|file| zone::minute(file.first_time, zone))),
        Column::words("LAST ROW", files.iter().map(|file| zone::minute(file.last_time, zone))),
        Column::words("FIRST ROW", files.iter().map(|file| zone::day(file.first_time, zone))),
        Column::words("LAST ROW", files.iter().map(|file| zone::day(file.last_time, zone))),
        Column::numbers("UNPARSED LINES", files.iter().map(|file| count(file.unparsed_lines()))),
    ];
    if inspection.is_1_0() {
        return table(&columns, &[&[0, 1, 2, 3], &[0, 2, 3]], width);
    }
    let layouts: [&[usize]; 7] = [
        &[0, 1, 2, 3, 4, 5, 6, 7, 10],
        &[0, 1, 2, 3, 4, 6, 7, 10],
        &[0, 2, 3, 4, 6, 7],
        &[0, 2, 3, 4, 8, 9],
        &[0, 2, 3, 8, 9],
        &[0, 2, 3, 4],
        &[0, 2, 3],
    ];
    let text = table(&columns, &layouts, width);
    let times = files.iter().flat_map(|file| [file.first_time, file.last_time]).flatten().next();
    text + &times.map(|time| format!("times in {}\n", zone::name(zone, time))).unwrap_or_default()
}

/// The maximum number of listed ranges of unparsed lines for one file.
const MAX_RANGES: usize = 20;

fn unparsed_text(files: &[ManifestFile]) -> String {
    let mut text = String::new();
    for file in files.iter().filter(|file| !file.unparsed.is_empty()) {
        let ranges = unparsed_ranges(file);
        let shown = ranges.iter().take(MAX_RANGES).map(|range| match range.first == range.last {
            true => range.first.to_string(),
            false => format!("{}-{}", range.first, range.last),
        });
        let shown: Vec<_> = shown.collect();
        let more = ranges.len() - shown.len();
        let more = if more > 0 {
            format!(" and {} (see --json)", counted(more as u64, "more range", "more ranges"))
        } else {
            String::new()
        };
        text += &format!("unparsed lines of {}: {}{more}\n", safe(file.relative_path.as_str()), shown.join(", "));
    }
    text
}

fn as_json<'a>(inspection: &'a Inspection, notes: &'a [String]) -> InspectJson<'a> {
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
        derived_from: manifest.derived_from.as_ref(),
        redaction: manifest.redaction.as_ref(),
        bundle_bytes: inspection.bundle_bytes,
        total_rows: manifest.total_count,
        total_bytes: inspection.log_bytes(),
        indexed: inspection.bundle_bytes.map(|_| inspection.access == Access::Indexed),
        files: files.collect(),
        timeline: inspection.timetable.as_ref(),
        notes,
    }
}
