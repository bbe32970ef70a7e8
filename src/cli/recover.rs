//! `patchwork-traces recover`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use clap::Args;
use patchwork_traces::digest::{BundleDigest, Sha256Digest};
use patchwork_traces::format::{FileName, SourceName};
use patchwork_traces::gzip::Level;
use patchwork_traces::publish::Target;
use patchwork_traces::recover::{
    FileRecovery, ManifestState, RecoverOptions, RecoverReport, recover_file, recover_stream,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::failure::{Exit, Failure, Outcome};
use super::output::{self, STDIN, count, counted, note};
use super::progress::Bar;
use super::time;

/// Make a new, valid bundle of every row of a damaged one that is provably intact
///
/// The damaged bundle is left as it is. What is missing is said, and gives exit code 3.
#[derive(Debug, Args)]
pub struct RecoverArgs {
    /// The damaged bundle; `-` is standard input
    bundle: PathBuf,

    /// Where to write the new bundle
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Replace the output file if it is there already
    #[arg(short, long)]
    force: bool,
}

/// The result of `recover --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces recover --json")]
pub struct RecoverJson {
    /// The new bundle.
    bundle: String,
    /// Its digest.
    digest: Option<BundleDigest>,
    /// Its size.
    bundle_bytes: u64,
    /// Whether anything is missing, or cannot be told to be there.
    lost_something: bool,
    /// What the damaged bundle's manifest was good for: `intact`, `faulty` or `lost`.
    manifest: &'static str,
    files: Vec<RecoveredFileJson>,
    /// Lines that look like rows, but not of this bundle.
    ignored: u64,
}

/// One log.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RecoveredFileJson {
    source: SourceName,
    file: FileName,
    /// Rows that were recovered.
    rows: u64,
    /// Rows of them that no checksum proves, but only their own well-formed line.
    rows_by_line: u64,
    /// Rows that the log had; null when nothing says it.
    expected_rows: Option<u64>,
    /// What is missing, if the manifest tells.
    missing: Vec<MissingJson>,
    /// Without a manifest: behind how many recovered rows something is lost.
    gaps_after: Vec<u64>,
    bytes: u64,
    sha256: Sha256Digest,
    /// Whether this is the original log, byte for byte; null when nothing says it.
    original: Option<bool>,
}

/// Neighbouring rows that are missing.
#[derive(Debug, Serialize, JsonSchema)]
struct MissingJson {
    /// The first and the last row, from 1.
    rows: (u64, u64),
    /// The first and the last line of the log on which they stood, from 1.
    lines: (u64, u64),
}

/// Runs the command.
pub fn run(args: &RecoverArgs, json: bool) -> Outcome {
    if args.output.as_os_str() == "-" {
        return Err(Failure::Usage("recover reads back what it wrote, so -o must name a file".to_owned()));
    }
    let target = Target::look(&args.output, args.force)?;
    refuse_input_as_target(args)?;
    let options = RecoverOptions {
        generator: super::generator(),
        exported_at: time::now()?,
        level: Level::default(),
        threads: available_parallelism().unwrap_or(NonZeroUsize::MIN),
        work_dir: std::env::temp_dir(),
    };
    let report = match args.bundle.as_os_str() == "-" {
        true => recover_stream(std::io::stdin().lock(), STDIN, &options, &target, &Bar::new())?,
        false => recover_file(&args.bundle, &options, &target, &Bar::new())?,
    };
    let text = if json { output::json_text(&as_json(&report, &args.output))? } else { as_text(&report, &args.output) };
    output::print_done(&text)?;
    print_notes(&report);
    Ok(if report.lost_something() { Exit::LeftBehind } else { Exit::Done })
}

/// The damaged bundle may be the only copy: it is not replaced, not even with --force.
fn refuse_input_as_target(args: &RecoverArgs) -> Result<(), Failure> {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    match real(&args.output).is_some_and(|target| real(&args.bundle) == Some(target)) {
        true => Err(Failure::Usage("-o names the damaged bundle itself; name another file".to_owned())),
        false => Ok(()),
    }
}

fn as_text(report: &RecoverReport, path: &Path) -> String {
    let rows = counted(report.files.iter().map(|file| file.rows).sum(), "row", "rows");
    let files = counted(report.files.len() as u64, "log", "logs");
    let mut text = format!("recovered {rows} of {files} in {}\n", path.display());
    if !report.files.is_empty() {
        let lines = report.files.iter().map(|file| {
            vec![
                file.name.to_string(),
                file.source.to_string(),
                count(file.rows),
                file.expected_rows.map_or_else(|| "?".to_owned(), count),
                count(file.rows_by_line),
                state(file).to_owned(),
            ]
        });
        text += "\n";
        text += &output::table(&["FILE", "SOURCE", ">ROWS", ">OF", ">UNPROVEN", ""], lines);
    }
    for file in &report.files {
        text += &missing_text(file);
    }
    if let Some(digest) = report.digest {
        text += &format!("\ndigest  {digest}\n");
    }
    text
}

fn state(file: &FileRecovery) -> &'static str {
    let is_whole = file.missing.is_empty() && file.gaps_after.is_empty();
    match file.is_original {
        Some(true) => "the original, byte for byte",
        None if is_whole => "nothing proves it",
        _ => "not all of it",
    }
}

fn missing_text(file: &FileRecovery) -> String {
    let mut text = String::new();
    for missing in &file.missing {
        let (rows, lines) = (range(missing.rows), range(missing.lines));
        text += &format!("\nmissing of {}: rows {rows}, on lines {lines} of the log\n", file.name);
    }
    for after in &file.gaps_after {
        text += &format!("\nmissing of {}: nobody knows how much, behind recovered row {}\n", file.name, count(*after));
    }
    text
}

fn range((first, last): (u64, u64)) -> String {
    if first == last { count(first) } else { format!("{} to {}", count(first), count(last)) }
}

fn print_notes(report: &RecoverReport) {
    match report.manifest {
        ManifestState::Intact => {}
        ManifestState::Faulty => note("the manifest contradicts itself; what could be used of it was used"),
        ManifestState::Lost => {
            note(
                "the manifest is lost, and with it what only it says: lines that were no rows, and how much is missing",
            );
        }
    }
    let unproven = report.files.iter().map(|file| file.rows_by_line).sum();
    if unproven > 0 {
        note(&format!("no checksum proves {}: well-formed, but worth a look", counted(unproven, "row", "rows")));
    }
    if report.ignored > 0 {
        note(&format!("{} like rows, but not of this bundle", counted(report.ignored, "line looks", "lines look")));
    }
}

fn as_json(report: &RecoverReport, path: &Path) -> RecoverJson {
    let missing = |file: &FileRecovery| {
        file.missing.iter().map(|missing| MissingJson { rows: missing.rows, lines: missing.lines }).collect()
    };
    let files = report.files.iter().map(|file| RecoveredFileJson {
        source: file.source.clone(),
        file: file.name.clone(),
        rows: file.rows,
        rows_by_line: file.rows_by_line,
        expected_rows: file.expected_rows,
        missing: missing(file),
        gaps_after: file.gaps_after.clone(),
        bytes: file.recovered.bytes,
        sha256: file.recovered.sha256,
        original: file.is_original,
    });
    RecoverJson {
        bundle: path.display().to_string(),
        digest: report.digest,
        bundle_bytes: report.bundle_bytes,
        lost_something: report.lost_something(),
        manifest: match report.manifest {
            ManifestState::Intact => "intact",
            ManifestState::Faulty => "faulty",
            ManifestState::Lost => "lost",
        },
        files: files.collect(),
        ignored: report.ignored,
    }
}
