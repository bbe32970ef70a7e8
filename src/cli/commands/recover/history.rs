//! `patchwork-traces recover` of a history.

use std::path::{Path, PathBuf};

use patchwork_traces::OutputTarget;
use patchwork_traces::container::DecryptionKeys;
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::format::{FileName, SourceName};
use patchwork_traces::recover::{
    DamagedSegment, FileRecovery, HistoryRecoverReport, ManifestState, RecoverOptions, recover_history,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::missing_text;
use crate::cli::failure::CommandResult;
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{DIGEST_NOTE, count, counted, logs, rows, safe};
#[cfg(feature = "seal")]
use crate::cli::signing::{self, BundleSigning};
use crate::cli::terminal::error_report::ErrorDetail;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::Output;
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{self, STRONG, paint};

/// The result of `recover --json` for a history.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces recover --json for a history")]
pub struct RecoverHistoryJson {
    /// The path of the new bundle.
    bundle: String,
    /// Its digest.
    digest: BundleDigest,
    /// The path of its signature; null without --sign.
    #[cfg(feature = "seal")]
    signature: Option<String>,
    /// Its size in bytes.
    bundle_bytes: u64,
    /// True if any row is missing, or may be.
    lost_something: bool,
    rows: u64,
    files: Vec<RecoveredLogJson>,
    /// The number of intact segments.
    intact_segments: u64,
    damaged_segments: Vec<DamagedSegmentJson>,
    /// The first and the last number of each run of missing segments.
    missing_segments: Vec<(u64, u64)>,
    /// Bundles that were left out, because they belong to another history or to none.
    left_out: Vec<PathBuf>,
}

/// A log of the new bundle.
#[derive(Debug, Serialize, JsonSchema)]
struct RecoveredLogJson {
    source: SourceName,
    file: FileName,
    rows: u64,
}

/// A segment that is not intact.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DamagedSegmentJson {
    segment: u64,
    path: PathBuf,
    /// The reason why nothing was recovered from it; null if something was.
    error: Option<ErrorDetail>,
    /// The usability of its manifest.
    manifest: Option<ManifestState>,
    /// The recovered logs.
    files: Vec<FileRecovery>,
}

/// Recovers the history in `dir`.
pub fn run(
    dir: &Path,
    keys: &DecryptionKeys,
    to: &Path,
    options: &RecoverOptions,
    target: &OutputTarget,
    #[cfg(feature = "seal")] signing: BundleSigning,
    output: Output,
) -> CommandResult {
    let report = recover_history(dir, keys, options, target, &Bar::new(output))?;
    #[cfg(feature = "seal")]
    let signed = signing.sign(&report.manifest, report.digest);
    let json = as_json(&report, to);
    #[cfg(feature = "seal")]
    let json = RecoverHistoryJson { signature: signing::shown(&signed), ..json };
    output.report_done(|| as_text(&report, to), &json)?;
    let left_out = report
        .left_out
        .iter()
        .map(|path| format!("left out {}: it belongs to another history, or to none", path.display()));
    output.notes(&left_out.collect::<Vec<_>>());
    #[cfg(feature = "seal")]
    signing::finish(signed, output)?;
    Ok(if report.lost_something() { Exit::Incomplete } else { Exit::Done })
}

fn as_text(report: &HistoryRecoverReport, to: &Path) -> String {
    let files = &report.manifest.files;
    let segments = counted(report.intact_segments, "intact segment", "intact segments");
    let damaged = match report.damaged.len() as u64 {
        0 => String::new(),
        number => format!(" and {}", counted(number, "damaged one", "damaged ones")),
    };
    let mut text = format!(
        "{} {} from {} of {segments}{damaged} into {}\n",
        paint(STRONG, "recovered"),
        rows(report.manifest.total_count),
        logs(files.len()),
        safe(&to.display().to_string())
    );
    if !files.is_empty() {
        let columns = [
            Column::words("FILE", files.iter().map(|file| file.relative_path.to_string())),
            Column::words("SOURCE", files.iter().map(|file| file.source.to_string())),
            Column::numbers("ROWS", files.iter().map(|file| count(file.count))),
        ];
        text += "\n";
        text += &table(&columns, &[&[0, 1, 2], &[0, 2]], term::width());
    }
    let lost: String = report.damaged.iter().map(damaged_text).chain(report.missing.iter().map(missing)).collect();
    if !lost.is_empty() {
        text += "\n";
        text += &lost;
    }
    text + &format!("\ndigest  {}\n        {DIGEST_NOTE}\n", report.digest)
}

fn missing((first, last): &(u64, u64)) -> String {
    match first == last {
        true => format!("segment {first} is missing\n"),
        false => format!("segments {first} to {last} are missing\n"),
    }
}

fn damaged_text(segment: &DamagedSegment) -> String {
    let name = format!("segment {} ({})", segment.number, safe(&segment.path.display().to_string()));
    match &segment.recovered {
        Err(error) => format!("{name}: nothing could be recovered: {}\n", safe(&error.kind().to_string())),
        Ok(report) => {
            let lost: String = report.files.iter().map(missing_text).collect();
            let lost = lost.lines().fold(String::new(), |text, line| text + &format!("{name}: {line}\n"));
            let recovered = rows(report.files.iter().map(|file| file.rows).sum());
            let lost_is_known = !lost.is_empty() || !report.lost_something();
            let unknown = if lost_is_known { "" } else { "; rows may be missing" };
            format!("{name}: {recovered} recovered{unknown}\n{lost}")
        }
    }
}

fn as_json(report: &HistoryRecoverReport, to: &Path) -> RecoverHistoryJson {
    let files = report.manifest.files.iter().map(|file| RecoveredLogJson {
        source: file.source.clone(),
        file: file.relative_path.clone(),
        rows: file.count,
    });
    let damaged = report.damaged.iter().map(|segment| DamagedSegmentJson {
        segment: segment.number,
        path: segment.path.clone(),
        error: segment.recovered.as_ref().err().map(ErrorDetail::from),
        manifest: segment.recovered.as_ref().ok().map(|report| report.manifest),
        files: segment.recovered.as_ref().map(|report| report.files.clone()).unwrap_or_default(),
    });
    RecoverHistoryJson {
        bundle: to.display().to_string(),
        digest: report.digest,
        #[cfg(feature = "seal")]
        signature: None,
        bundle_bytes: report.bundle_bytes,
        lost_something: report.lost_something(),
        rows: report.manifest.total_count,
        files: files.collect(),
        intact_segments: report.intact_segments,
        damaged_segments: damaged.collect(),
        missing_segments: report.missing.clone(),
        left_out: report.left_out.clone(),
    }
}
