//! `patchwork-traces inspect` of several bundles and histories: a table, one line each.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use patchwork_traces::History;
use patchwork_traces::bundle::Bundle;
use patchwork_traces::container::DecryptionKeys;
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::format::{HistoryId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::failure::CommandResult;
use crate::cli::input::open;
use crate::cli::is_dash;
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{count, counted, safe, size};
use crate::cli::render::zone;
use crate::cli::terminal::error_report::ErrorDetail;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{self, Output};
use crate::cli::terminal::term;

/// The result of `inspect --json` with several bundles.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces inspect --json with several bundles")]
pub struct InspectSeveralJson {
    /// The bundles and histories, in the order in which they were named.
    bundles: Vec<InspectedBundleJson>,
    /// The errors of inputs that could not be read.
    errors: Vec<ErrorDetail>,
}

/// One bundle or history. Only its manifests were read.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct InspectedBundleJson {
    name: String,
    /// The digest of the bundle, or of the latest segment of the history.
    digest: BundleDigest,
    /// The identity of the history; null for a bundle.
    history: Option<HistoryId>,
    /// The number of bundles: 1, or the number of segments of the history.
    bundles: usize,
    /// The user's name for the machine, if the bundle records it.
    label: Option<String>,
    exported_at: Timestamp,
    rows: u64,
    logs: usize,
    /// The total length of the logs in bytes.
    log_bytes: u64,
    /// The size in bytes, as it is stored; null for standard input.
    bundle_bytes: Option<u64>,
    /// The earliest time of a row; null if no row has one, and for format 1.0.
    first_time: Option<Timestamp>,
    /// The latest time of a row.
    last_time: Option<Timestamp>,
}

/// Runs the command. Bundles that cannot be read are reported, and the others are shown.
pub fn run(paths: &[PathBuf], keys: &DecryptionKeys, output: Output) -> CommandResult {
    let (mut bundles, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        match inspect(path, keys) {
            Ok(bundle) => bundles.push(bundle),
            Err(error) => errors.push(ErrorDetail::from(&error)),
        }
    }
    let json = InspectSeveralJson { bundles, errors };
    let exit = if json.errors.is_empty() { Exit::Done } else { Exit::Failed };
    if output.json {
        output::print_report(&output::json_text(&json)?)?;
        return Ok(exit);
    }
    if !json.bundles.is_empty() {
        output::print_report(&as_text(&json.bundles))?;
    }
    json.errors.into_iter().for_each(|error| error.print(false));
    Ok(exit)
}

fn inspect(path: &Path, keys: &DecryptionKeys) -> patchwork_traces::Result<InspectedBundleJson> {
    match !is_dash(path) && path.is_dir() {
        true => History::open_with_keys(path, keys).map(|history| of_history(&history)),
        false => open(path, keys).map(|bundle| of_bundle(&bundle, stored_bytes(path))),
    }
}

/// Returns the size of a file as it is stored, encrypted or not.
fn stored_bytes(path: &Path) -> Option<u64> {
    let metadata = path.metadata().ok().filter(|_| !is_dash(path));
    metadata.filter(Metadata::is_file).map(|metadata| metadata.len())
}

fn of_bundle(bundle: &Bundle<'_>, bundle_bytes: Option<u64>) -> InspectedBundleJson {
    let manifest = bundle.manifest();
    let files = || manifest.files.iter();
    InspectedBundleJson {
        name: bundle.name().to_owned(),
        digest: bundle.digest(),
        history: None,
        bundles: 1,
        label: manifest.label.as_ref().map(|label| label.as_str().to_owned()),
        exported_at: manifest.exported_at,
        rows: manifest.total_count,
        logs: manifest.files.len(),
        log_bytes: files().map(|file| file.bytes).sum(),
        bundle_bytes,
        first_time: files().filter_map(|file| file.first_time).min(),
        last_time: files().filter_map(|file| file.last_time).max(),
    }
}

fn of_history(history: &History) -> InspectedBundleJson {
    let (logs, segments) = (history.logs(), history.segments());
    let latest = history.latest_manifest();
    InspectedBundleJson {
        name: history.dir().display().to_string(),
        digest: segments[segments.len() - 1].digest,
        history: Some(history.id()),
        bundles: segments.len(),
        label: latest.label.as_ref().map(|label| label.as_str().to_owned()),
        exported_at: latest.exported_at,
        rows: history.rows(),
        logs: logs.len(),
        log_bytes: logs.iter().map(|log| log.bytes).sum(),
        bundle_bytes: Some(segments.iter().map(|segment| segment.bundle_bytes).sum()),
        first_time: logs.iter().filter_map(|log| log.span.first).min(),
        last_time: logs.iter().filter_map(|log| log.span.last).max(),
    }
}

/// The number of digits of a digest that are shown.
const DIGEST_DIGITS: usize = 16;

fn as_text(bundles: &[InspectedBundleJson]) -> String {
    let zone = zone::local();
    let span = |bundle: &InspectedBundleJson, of: fn(Option<Timestamp>, &TimeZone) -> String| {
        bundle.first_time.map_or_else(
            || "-".to_owned(),
            |first| format!("{} to {}", of(Some(first), &zone), of(bundle.last_time, &zone)),
        )
    };
    let name = |bundle: &InspectedBundleJson| match bundle.history {
        None => safe(&bundle.name),
        Some(_) => format!("{} ({})", safe(&bundle.name), counted(bundle.bundles as u64, "segment", "segments")),
    };
    let digest = |bundle: &InspectedBundleJson| bundle.digest.to_string().chars().take(DIGEST_DIGITS).collect();
    let dash = || "-".to_owned();
    let columns = [
        Column::words("FILE", bundles.iter().map(name)),
        Column::words("LABEL", bundles.iter().map(|bundle| bundle.label.as_deref().map_or_else(dash, safe))),
        Column::words("EXPORTED", bundles.iter().map(|bundle| zone::minute(Some(bundle.exported_at), &zone))),
        Column::numbers("ROWS", bundles.iter().map(|bundle| count(bundle.rows))),
        Column::words("TIME OF ROWS", bundles.iter().map(|bundle| span(bundle, zone::minute))),
        Column::words("TIME OF ROWS", bundles.iter().map(|bundle| span(bundle, zone::day))),
        Column::numbers("SIZE", bundles.iter().map(|bundle| bundle.bundle_bytes.map_or_else(dash, size))),
        Column::words("DIGEST", bundles.iter().map(digest)),
    ];
    let layouts: [&[usize]; 5] = match bundles.iter().any(|bundle| bundle.label.is_some()) {
        true => [&[0, 1, 2, 3, 4, 6, 7], &[0, 1, 2, 3, 5, 6, 7], &[0, 1, 2, 3, 5], &[0, 1, 3, 5], &[0, 3]],
        false => [&[0, 2, 3, 4, 6, 7], &[0, 2, 3, 5, 6, 7], &[0, 2, 3, 5, 6], &[0, 3, 5], &[0, 3]],
    };
    let time = bundles.first().map(|bundle| bundle.exported_at);
    table(&columns, &layouts, term::width())
        + &time.map(|time| format!("times in {}\n", zone::name(&zone, time))).unwrap_or_default()
}
