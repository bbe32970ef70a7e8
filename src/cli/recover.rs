//! `patchwork-traces recover`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use patchwork_traces::digest::{BundleDigest, Sha256Digest};
use patchwork_traces::format::{FileName, SourceName};
use patchwork_traces::gzip::Level;
use patchwork_traces::publish::OutputTarget;
use patchwork_traces::recover::{
    FileRecovery, ManifestState, Missing, RecoverOptions, RecoverReport, recover_file, recover_stream,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::export::TargetArgs;
use super::failure::{CommandResult, Exit, Failure};
use super::output::{Output, STDIN};
use super::progress::Bar;
use super::stdin::{is_stdin, stdin};
use super::table::{Column, table};
use super::term::{self, STRONG, paint};
use super::text::{count, counted, logs, rows, safe};
use super::{help, is_dash, one_per_core, time};

/// Save what is left of a damaged bundle in a new one
///
/// Every row that is provably intact becomes part of a new, valid bundle. The damaged bundle is left as it is. What is missing is said, and gives exit code 3.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::RECOVER))]
pub struct RecoverArgs {
    /// The damaged bundle; `-` is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    bundle: PathBuf,

    /// Where to write the new bundle
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,

    #[command(flatten)]
    target: TargetArgs,
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
    /// What the damaged bundle's manifest was good for: `intact`, `faulty`, `contradicted` or `lost`.
    manifest: &'static str,
    files: Vec<RecoveredFileJson>,
    /// Lines that look like rows, but do not belong to this bundle where they stand.
    ignored: u64,
    /// What is worth knowing, for people.
    notes: Vec<String>,
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
    /// What is missing, if the manifest tells: the first 10,000 places.
    missing: Vec<MissingJson>,
    /// Rows that are missing behind those.
    more_missing: u64,
    /// Without a manifest: behind how many recovered rows something is lost. The first 10,000 places.
    gaps_after: Vec<u64>,
    /// How many more places there are.
    more_gaps: u64,
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
pub fn run(args: &RecoverArgs, output: Output) -> CommandResult {
    if is_dash(&args.output) {
        let hint = "name a file with -o: what is written there is read back and checked";
        return Err(Failure::usage("recover cannot write to standard output", hint));
    }
    let target = OutputTarget::look(&args.output, args.target.into())?;
    refuse_input_as_target(args)?;
    let options = RecoverOptions {
        generator: super::generator(),
        exported_at: time::now()?,
        level: Level::default(),
        threads: one_per_core(),
        work_dir: std::env::temp_dir(),
    };
    let bar = Bar::new(output);
    let report = match is_dash(&args.bundle) {
        true => recover_stream(stdin()?, STDIN, &options, &target, &bar)?,
        false => recover_file(&args.bundle, &options, &target, &bar)?,
    };
    let notes = notes(&report);
    output.report_done(|| as_text(&report, &args.output), &as_json(&report, &args.output, &notes))?;
    output.notes(&notes);
    Ok(if report.lost_something() { Exit::Incomplete } else { Exit::Done })
}

/// The damaged bundle may be the only copy: it is not replaced, not even with --force.
fn refuse_input_as_target(args: &RecoverArgs) -> Result<(), Failure> {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let is_input = match is_dash(&args.bundle) {
        true => is_stdin(&args.output),
        false => real(&args.output).is_some_and(|target| real(&args.bundle) == Some(target)),
    };
    match is_input {
        true => Err(Failure::usage(
            "-o names the damaged bundle itself, which may be the only copy",
            "name another file with -o",
        )),
        false => Ok(()),
    }
}

fn as_text(report: &RecoverReport, path: &Path) -> String {
    let rows = rows(report.files.iter().map(|file| file.rows).sum());
    let place = safe(&path.display().to_string());
    let mut text = format!("{} {rows} of {} in {place}\n", paint(STRONG, "recovered"), logs(report.files.len()));
    if !report.files.is_empty() {
        text += "\n";
        text += &files_table(&report.files);
    }
    let missing: String = report.files.iter().map(missing_text).collect();
    if !missing.is_empty() {
        text += "\n";
        text += &missing;
    }
    if let Some(digest) = report.digest {
        text += &format!("\ndigest  {digest}\n");
    }
    text
}

fn files_table(files: &[FileRecovery]) -> String {
    let expected = |file: &FileRecovery| file.expected_rows.map_or_else(|| "?".to_owned(), count);
    let columns = [
        Column::words("FILE", files.iter().map(|file| file.name.to_string())),
        Column::words("SOURCE", files.iter().map(|file| file.source.to_string())),
        Column::numbers("ROWS", files.iter().map(|file| count(file.rows))),
        Column::numbers("OF", files.iter().map(expected)),
        Column::numbers("UNPROVEN", files.iter().map(|file| count(file.rows_by_line))),
        Column::words("", files.iter().map(|file| state(file).to_owned())),
    ];
    table(&columns, &[&[0, 1, 2, 3, 4, 5], &[0, 2, 3, 4, 5], &[0, 2, 3, 4], &[0, 2, 3]], term::width())
}

fn state(file: &FileRecovery) -> &'static str {
    let is_whole = file.missing.is_empty() && file.gaps_after.is_empty();
    match file.is_original {
        Some(true) => "the original, byte for byte",
        Some(false) if is_whole => "not the original",
        None if is_whole => "nothing proves it",
        _ => "not all of it",
    }
}

/// How many places of one log are listed.
const MAX_PLACES: usize = 10;

fn missing_text(file: &FileRecovery) -> String {
    let places = places(&file.missing);
    let mut lines: Vec<_> = places
        .iter()
        .map(|place| format!("rows {}, on lines {} of the log", range(place.rows), range(place.lines)))
        .collect();
    let after = |after: &u64| format!("nobody knows how much, behind recovered row {}", count(*after));
    lines.extend(file.gaps_after.iter().map(after));
    let more = lines.len().saturating_sub(MAX_PLACES);
    lines.truncate(MAX_PLACES);
    if more > 0 {
        lines.push(format!("{} (--json has them)", counted(more as u64, "more place", "more places")));
    }
    if file.more_missing > 0 {
        lines.push(format!("{} behind those", rows(file.more_missing)));
    }
    if file.more_gaps > 0 {
        lines.push(format!("{} behind those", counted(file.more_gaps, "place", "places")));
    }
    lines.iter().fold(String::new(), |text, line| text + &format!("missing of {}: {line}\n", file.name))
}

/// What is missing, rows that follow each other together: lines that are no rows may lie between them.
fn places(missing: &[Missing]) -> Vec<Missing> {
    let mut places: Vec<Missing> = Vec::new();
    for next in missing {
        match places.last_mut() {
            Some(last) if last.rows.1 + 1 == next.rows.0 => {
                last.rows.1 = next.rows.1;
                last.lines.1 = next.lines.1;
            }
            _ => places.push(*next),
        }
    }
    places
}

fn range((first, last): (u64, u64)) -> String {
    if first == last { count(first) } else { format!("{} to {}", count(first), count(last)) }
}

fn notes(report: &RecoverReport) -> Vec<String> {
    let manifest = match report.manifest {
        ManifestState::Intact => None,
        ManifestState::Faulty => Some("the manifest contradicts itself; what could be used of it was used"),
        ManifestState::Contradicted => Some(
            "the manifest is not that of all the rows; it was used for the logs whose SHA-256 proves it, and for no other",
        ),
        ManifestState::Lost => Some(
            "the manifest is lost, and with it what only it says: lines that were no rows, and how much is missing",
        ),
    };
    let mut notes: Vec<_> = manifest.into_iter().map(str::to_owned).collect();
    let unproven = report.files.iter().map(|file| file.rows_by_line).sum();
    if unproven > 0 {
        notes.push(format!("no checksum proves {}: well-formed, but worth a look", rows(unproven)));
    }
    if report.ignored > 0 {
        let one = "line looks like a row, but does not belong to this bundle where it stands";
        let many = "lines look like rows, but do not belong to this bundle where they stand";
        notes.push(counted(report.ignored, one, many));
    }
    notes
}

fn as_json(report: &RecoverReport, path: &Path, notes: &[String]) -> RecoverJson {
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
        more_missing: file.more_missing,
        gaps_after: file.gaps_after.clone(),
        more_gaps: file.more_gaps,
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
            ManifestState::Contradicted => "contradicted",
            ManifestState::Lost => "lost",
        },
        files: files.collect(),
        ignored: report.ignored,
        notes: notes.to_vec(),
    }
}
