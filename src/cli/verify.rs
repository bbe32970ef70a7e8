//! `patchwork-traces verify`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use clap::Args;
use patchwork_traces::digest::{BundleDigest, Sha256Digest};
use patchwork_traces::error::visible;
use patchwork_traces::format::{FileName, SourceName};
use patchwork_traces::verify::{
    FileReport, Finding, Severity, Verdict, VerifyOptions, VerifyReport, verify, verify_file,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::failure::{Exit, Failure, Outcome};
use super::output::{self, STDIN, counted};
use super::progress::Bar;

/// Say whether bundles are whole, and everything that is wrong with them
///
/// Checks the container, the manifest, every row, every log's length and SHA-256, and the chunk table.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The bundles; `-` is standard input
    #[arg(required = true)]
    bundle: Vec<PathBuf>,

    /// The digest that the bundle must have, as export printed it
    #[arg(long, value_name = "DIGEST")]
    expect: Option<BundleDigest>,

    /// Do not accept a bundle without hashes, as those of format 1.0 are
    #[arg(long)]
    require_hashes: bool,

    /// How many threads check [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

/// The result of `verify --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of patchwork-traces verify --json")]
pub struct VerifyJson {
    /// Whether every bundle is whole and meets what was asked for.
    good: bool,
    bundles: Vec<VerifiedJson>,
}

/// One bundle.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct VerifiedJson {
    bundle: String,
    /// Whether it is whole and meets what was asked for.
    good: bool,
    /// `intact`, `intactRecompressed`, `intactWithoutHashes` or `damaged`; null when it could not be read at all.
    verdict: Option<&'static str>,
    /// Why it could not be read at all.
    error: Option<String>,
    /// The digest; null when the first line cannot be read.
    digest: Option<BundleDigest>,
    version: Option<u64>,
    minor: Option<u64>,
    /// Rows that could be read.
    rows: u64,
    files: Vec<VerifiedFileJson>,
    findings: Vec<FindingJson>,
}

/// One log of a bundle.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct VerifiedFileJson {
    source: SourceName,
    file: FileName,
    /// Rows that could be read.
    rows: u64,
    /// The SHA-256 of the restored log; null when it could not be restored, and for 1.0.
    sha256: Option<Sha256Digest>,
    /// Whether that, and the length, are what the manifest says; null when there is nothing to hold against each other.
    proven: Option<bool>,
}

/// Something that was found.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FindingJson {
    /// `error`, `warning` or `info`.
    severity: &'static str,
    /// What it is, for programs.
    code: &'static str,
    /// The place and what it is, for people.
    message: String,
    /// The log inside the bundle.
    file: Option<String>,
    /// The first and the last row of that log, from 1.
    rows: Option<(u64, u64)>,
    /// The line of the bundle's text, from 1.
    line: Option<u64>,
    /// The byte of the bundle file, from 0.
    byte: Option<u64>,
    expected: Option<String>,
    found: Option<String>,
}

/// Runs the command.
pub fn run(args: &VerifyArgs, json: bool) -> Outcome {
    if args.expect.is_some() && args.bundle.len() > 1 {
        return Err(Failure::Usage("--expect is the digest of one bundle, and several were named".to_owned()));
    }
    let options = VerifyOptions {
        expect: args.expect,
        require_hashes: args.require_hashes,
        threads: args.threads.or(available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN),
    };
    let mut exit = Exit::Done;
    let mut bundles = Vec::new();
    for path in &args.bundle {
        let (verified, one_exit) = if json { verify_as_json(path, &options) } else { verify_as_text(path, &options)? };
        exit = exit.worse_of(one_exit);
        bundles.extend(verified);
    }
    if json {
        let good = exit == Exit::Done;
        output::print(&output::json_text(&VerifyJson { good, bundles })?)?;
    }
    Ok(exit)
}

/// Checks one bundle, and hands on each finding as it comes.
fn check(
    path: &Path,
    options: &VerifyOptions,
    found: &mut dyn FnMut(Finding),
) -> patchwork_traces::Result<VerifyReport> {
    match path.as_os_str() == "-" {
        true => verify(std::io::stdin().lock(), STDIN, options, &Bar::new(), found),
        false => verify_file(path, options, &Bar::new(), found),
    }
}

fn exit_of(report: &VerifyReport) -> Exit {
    if report.is_good() { Exit::Done } else { Exit::LeftBehind }
}

fn verify_as_text(path: &Path, options: &VerifyOptions) -> Result<(Option<VerifiedJson>, Exit), Failure> {
    let mut printed = Ok(());
    let report = check(path, options, &mut |finding| {
        if printed.is_ok() {
            printed = output::print(&finding_text(&finding));
        }
    });
    printed?;
    let exit = match report {
        Ok(report) => {
            output::print(&report_text(path, &report))?;
            exit_of(&report)
        }
        // The others are checked all the same.
        Err(error) => Failure::from(error).report(false),
    };
    Ok((None, exit))
}

fn finding_text(finding: &Finding) -> String {
    format!("{}: {}\n", severity(finding.severity()), visible(&finding.to_string()))
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

fn report_text(path: &Path, report: &VerifyReport) -> String {
    let name = if path.as_os_str() == "-" { STDIN.to_owned() } else { path.display().to_string() };
    let rows = counted(report.rows, "row", "rows");
    let files = counted(report.files.len() as u64, "log", "logs");
    let proven = report.files.iter().filter(|file| file.is_proven == Some(true)).count() as u64;
    let verdict = match report.verdict {
        Verdict::Intact => format!("intact: {rows}, and all of {files} restore to their SHA-256"),
        Verdict::IntactRecompressed => {
            format!(
                "intact, but another program wrote the file anew: {rows}, and all of {files} restore to their SHA-256"
            )
        }
        Verdict::IntactWithoutHashes => {
            format!(
                "intact, but without hashes: the container is sound and {rows} of {files} are there, but nothing proves what they say"
            )
        }
        Verdict::Damaged => {
            let findings = counted(report.findings.errors, "error", "errors");
            format!("damaged: {findings}; {rows} could be read, and {proven} of {files} restore to their SHA-256")
        }
    };
    let digest =
        report.digest.map(|digest| format!("  digest  {digest}{}\n", expected_text(report))).unwrap_or_default();
    format!("{name}: {verdict}\n{digest}")
}

fn expected_text(report: &VerifyReport) -> &'static str {
    match report.is_expected {
        Some(true) => " (as expected)",
        Some(false) => " (NOT the one that was expected)",
        None => "",
    }
}

fn verify_as_json(path: &Path, options: &VerifyOptions) -> (Option<VerifiedJson>, Exit) {
    let mut findings = Vec::new();
    let checked = check(path, options, &mut |finding| findings.push(finding_json(&finding)));
    let bundle = path.display().to_string();
    let exit = checked.as_ref().map_or(Exit::Failed, exit_of);
    let (report, error) = match checked {
        Ok(report) => (Some(report), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let report = report.as_ref();
    let verified = VerifiedJson {
        bundle,
        good: exit == Exit::Done,
        verdict: report.map(|report| verdict_name(report.verdict)),
        error,
        digest: report.and_then(|report| report.digest),
        version: report.and_then(|report| Some(report.version?.0)),
        minor: report.and_then(|report| Some(report.version?.1)),
        rows: report.map_or(0, |report| report.rows),
        files: report.map(|report| report.files.iter().map(file_json).collect()).unwrap_or_default(),
        findings,
    };
    (Some(verified), exit)
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Intact => "intact",
        Verdict::IntactRecompressed => "intactRecompressed",
        Verdict::IntactWithoutHashes => "intactWithoutHashes",
        Verdict::Damaged => "damaged",
    }
}

fn file_json(file: &FileReport) -> VerifiedFileJson {
    VerifiedFileJson {
        source: file.source.clone(),
        file: file.name.clone(),
        rows: file.rows,
        sha256: file.restored.map(|restored| restored.sha256),
        proven: file.is_proven,
    }
}

fn finding_json(finding: &Finding) -> FindingJson {
    let (expected, found) = finding.kind.expected_and_found().unzip();
    FindingJson {
        severity: severity(finding.severity()),
        code: finding.kind.code(),
        message: finding.to_string(),
        file: finding.at.file.clone(),
        rows: finding.at.rows,
        line: finding.at.line,
        byte: finding.at.byte,
        expected,
        found,
    }
}
