//! `patchwork-traces recover`.

pub mod history;

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use patchwork_traces::OutputTarget;
use patchwork_traces::container::Input;
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::recover::{FileRecovery, ManifestState, Missing, RecoverOptions, RecoverReport, recover_input};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::export::TargetArgs;
use crate::cli::encryption::{KeyArgs, SealArgs};
use crate::cli::failure::{CommandResult, Failure};
use crate::cli::help;
use crate::cli::input::{check_presence, open_input, refuse_target_in_inputs};
use crate::cli::is_dash;
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{DIGEST_NOTE, count, counted, logs, rows, safe};
#[cfg(feature = "seal")]
use crate::cli::signing::{self, SignOption};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::Output;
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{self, STRONG, paint};
use crate::cli::time;

/// Save the intact rows of a damaged bundle or history
///
/// Writes a new, valid bundle; the segments of a history are combined into one. The input is not
/// changed. Lists the missing rows, and exits with 3 if rows are missing or may be missing.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::RECOVER))]
pub struct RecoverArgs {
    /// Damaged bundle or history directory; `-` is standard input
    #[arg(value_hint = ValueHint::AnyPath)]
    bundle: PathBuf,

    /// File to write the new bundle to
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,

    #[command(flatten)]
    target: TargetArgs,

    #[command(flatten)]
    keys: KeyArgs,

    #[command(flatten)]
    seal: SealArgs,

    #[cfg(feature = "seal")]
    #[command(flatten)]
    sign: SignOption,
}

/// The result of `recover --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces recover --json")]
pub struct RecoverJson<'a> {
    /// The path of the new bundle.
    bundle: String,
    /// Its digest.
    digest: Option<BundleDigest>,
    /// The path of its signature; null without --sign.
    #[cfg(feature = "seal")]
    signature: Option<String>,
    /// Its size in bytes.
    bundle_bytes: u64,
    /// True if anything is missing, or may be missing.
    lost_something: bool,
    /// The usability of the damaged bundle's manifest.
    manifest: ManifestState,
    files: &'a [FileRecovery],
    /// The number of lines that look like rows, but do not belong at their position in this bundle.
    ignored: u64,
    /// Notes for people.
    notes: &'a [String],
}

/// Runs the command.
pub fn run(args: &RecoverArgs, output: Output) -> CommandResult {
    if is_dash(&args.output) {
        let hint = "name a file with -o, because recover reads its output back to check it";
        return Err(Failure::usage("recover cannot write to standard output", hint));
    }
    let target = OutputTarget::resolve(&args.output, args.target.into())?;
    let bundle = std::slice::from_ref(&args.bundle);
    refuse_target_in_inputs(&args.output, bundle)?;
    check_presence(bundle)?;
    let keys = args.keys.keys(output)?;
    #[cfg(feature = "seal")]
    let signing = args.sign.for_bundle(&args.output, Some(&target), args.target.into(), output)?;
    let options = || -> Result<_, Failure> {
        let sealer = args.seal.sealer_with_keys(args.keys.passphrase(), &keys)?;
        Ok(RecoverOptions::new(crate::cli::generator(), time::now()?).sealer(sealer))
    };
    if !is_dash(&args.bundle) && args.bundle.is_dir() {
        let options = options()?;
        #[cfg(feature = "seal")]
        return history::run(&args.bundle, &keys, &args.output, &options, &target, signing, output);
        #[cfg(not(feature = "seal"))]
        return history::run(&args.bundle, &keys, &args.output, &options, &target, output);
    }
    let (input, name) = match is_dash(&args.bundle) {
        true => open_input(&args.bundle, &keys)?,
        false => (Input::open_damaged(&args.bundle, &keys)?, args.bundle.display().to_string()),
    };
    let report = recover_input(input, &name, &options()?, &target, &Bar::new(output))?;
    #[cfg(feature = "seal")]
    let signed = match report.written.as_ref().zip(report.digest) {
        Some((manifest, digest)) => signing.sign(manifest, digest),
        None => Ok(None),
    };
    let notes = notes(&report);
    let json = as_json(&report, &args.output, &notes);
    #[cfg(feature = "seal")]
    let json = RecoverJson { signature: signing::shown(&signed), ..json };
    output.report_done(|| as_text(&report, &args.output), &json)?;
    output.notes(&notes);
    #[cfg(feature = "seal")]
    signing::finish(signed, output)?;
    Ok(if report.lost_something() { Exit::Incomplete } else { Exit::Done })
}

fn as_text(report: &RecoverReport, path: &Path) -> String {
    let rows = rows(report.files.iter().map(|file| file.rows).sum());
    let path = safe(&path.display().to_string());
    let mut text = format!("{} {rows} from {} into {path}\n", paint(STRONG, "recovered"), logs(report.files.len()));
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
        text += &format!("\ndigest  {digest}\n        {DIGEST_NOTE}\n");
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
        Column::numbers("UNVERIFIED", files.iter().map(|file| count(file.unverified_rows))),
        Column::words("", files.iter().map(|file| state(file).to_owned())),
    ];
    table(&columns, &[&[0, 1, 2, 3, 4, 5], &[0, 2, 3, 4, 5], &[0, 2, 3, 4], &[0, 2, 3]], term::width())
}

fn state(file: &FileRecovery) -> &'static str {
    let is_whole = file.missing.is_empty() && file.gaps_after.is_empty();
    match file.is_original {
        Some(true) => "original, byte for byte",
        Some(false) if is_whole => "differs from the original",
        None if is_whole => "cannot be verified",
        _ => "incomplete",
    }
}

/// The maximum number of listed ranges and gaps of one log.
const MAX_LISTED: usize = 10;

fn missing_text(file: &FileRecovery) -> String {
    let mut lines: Vec<_> = merged(&file.missing).into_iter().map(range_text).collect();
    let gap = |after: &u64| format!("unknown number of rows missing after recovered row {}", count(*after));
    lines.extend(file.gaps_after.iter().map(gap));
    let more = lines.len().saturating_sub(MAX_LISTED);
    lines.truncate(MAX_LISTED);
    if more > 0 {
        lines.push(format!("{} (see --json)", counted(more as u64, "more gap", "more gaps")));
    }
    if file.more_missing > 0 {
        lines.push(format!("{} missing after those", counted(file.more_missing, "more row", "more rows")));
    }
    if file.more_gaps > 0 {
        lines.push(format!("{} after those", counted(file.more_gaps, "more gap", "more gaps")));
    }
    lines.iter().fold(String::new(), |text, line| text + &format!("{}: {line}\n", file.name))
}

/// Returns a line such as `rows 350-753 missing (log lines 351-754)`.
fn range_text(missing: Missing) -> String {
    let noun =
        |(first, last): (u64, u64), one: &'static str, many: &'static str| if first == last { one } else { many };
    let (row, line) = (noun(missing.rows, "row", "rows"), noun(missing.lines, "line", "lines"));
    format!("{row} {} missing (log {line} {})", range(missing.rows), range(missing.lines))
}

/// Merges ranges of consecutive rows, even if unparsed lines lie between them.
fn merged(missing: &[Missing]) -> Vec<Missing> {
    let mut ranges: Vec<Missing> = Vec::new();
    for next in missing {
        match ranges.last_mut() {
            Some(last) if last.rows.1 + 1 == next.rows.0 => {
                last.rows.1 = next.rows.1;
                last.lines.1 = next.lines.1;
            }
            _ => ranges.push(*next),
        }
    }
    ranges
}

fn range((first, last): (u64, u64)) -> String {
    if first == last { count(first) } else { format!("{}-{}", count(first), count(last)) }
}

fn notes(report: &RecoverReport) -> Vec<String> {
    let manifest = match report.manifest {
        ManifestState::Intact => None,
        ManifestState::Faulty => Some("the manifest contradicts itself; its usable parts were used"),
        ManifestState::Contradicted => {
            Some("the manifest does not match all rows; it was used only for the logs whose SHA-256 matches")
        }
        // `Lost`. Any state added later is reported like it.
        _ => {
            Some("the manifest is lost, so unparsed lines cannot be restored and the number of missing rows is unknown")
        }
    };
    let mut notes: Vec<_> = manifest.into_iter().map(str::to_owned).collect();
    let unverified = report.files.iter().map(|file| file.unverified_rows).sum();
    if unverified > 0 {
        let are = if unverified == 1 { "is" } else { "are" };
        notes.push(format!("{} {are} valid JSON but could not be verified", rows(unverified)));
    }
    if report.history.is_some() {
        notes.push("the new bundle is not a segment of the history, because its rows may differ".to_owned());
    }
    if report.ignored > 0 {
        let one = "line was ignored: it looks like a row, but does not belong at its position in this bundle";
        let many = "lines were ignored: they look like rows, but do not belong at their positions in this bundle";
        notes.push(counted(report.ignored, one, many));
    }
    notes
}

fn as_json<'a>(report: &'a RecoverReport, path: &Path, notes: &'a [String]) -> RecoverJson<'a> {
    RecoverJson {
        bundle: path.display().to_string(),
        digest: report.digest,
        #[cfg(feature = "seal")]
        signature: None,
        bundle_bytes: report.bundle_bytes,
        lost_something: report.lost_something(),
        manifest: report.manifest,
        files: &report.files,
        ignored: report.ignored,
        notes,
    }
}
