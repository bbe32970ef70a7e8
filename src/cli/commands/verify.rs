//! `patchwork-traces verify`.

mod history;
mod original;
#[cfg(feature = "seal")]
pub mod signature;

use std::fs::File;
use std::io::{self, Read, stdout};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use data_encoding::HEXLOWER;
use patchwork_traces::container::DecryptionKeys;
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::format::{DerivedFrom, FilterRecord, Redaction};
use patchwork_traces::history::{Checkpoint, SegmentProof};
use patchwork_traces::progress::Progress;
use patchwork_traces::redact::RedactionCheck;
use patchwork_traces::verify::{
    FileReport, Finding, FindingCounts, FindingKind, HistoryVerifyOptions, RowsToRead, SegmentPart, Severity, Verdict,
    VerifyOptions, VerifyReport, verify_input,
};
use patchwork_traces::{Error, ErrorKind};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::cli::encryption::KeyArgs;
use crate::cli::failure::{CommandResult, Failure};
use crate::cli::help;
use crate::cli::hint::for_history;
use crate::cli::input::open_input;
use crate::cli::render::findings::{FindingGroup, FindingList};
use crate::cli::render::provenance::provenance;
use crate::cli::render::text::{DIGEST_NOTE, counted, labelled, logs, rows, safe};
use crate::cli::terminal::error_report::ErrorDetail;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::interrupt;
use crate::cli::terminal::output::{self, Output, STDIN};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{BAD, GOOD, HINT, STRONG, WARN, paint, wrap_width};
use crate::cli::threads;
use crate::cli::{is_dash, is_history};

#[cfg(feature = "seal")]
pub use history::CheckpointJson;
use history::VerifiedHistoryJson;

/// Check bundles and histories for damage and list every problem
///
/// Checks the container, the manifest, every row, every log's length and SHA-256, and the chunk table. For a history,
/// also checks that its segments form one chain, and that no rows are missing between them.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::VERIFY))]
pub struct VerifyArgs {
    /// Bundles or history directories; `-` is standard input
    #[arg(required = true, value_hint = ValueHint::AnyPath)]
    bundle: Vec<PathBuf>,

    /// Digest that the bundle must have
    ///
    /// The digest, which export prints, is the SHA-256 of the manifest line, not of the file.
    #[arg(long, value_name = "DIGEST")]
    expect: Option<BundleDigest>,

    /// Reject bundles without hashes (format 1.0)
    #[arg(long)]
    require_hashes: bool,

    /// Checkpoint that the history must extend
    ///
    /// Give an older copy of the history's `checkpoint` file to check that segments were only appended
    /// since. With --proof, give a checkpoint of the history that the bundle must belong to.
    #[arg(long, value_name = "CHECKPOINT", value_hint = ValueHint::FilePath)]
    since: Option<PathBuf>,

    /// Proof from `prove` that the bundle is a segment
    ///
    /// Needs --since with a checkpoint of the history, but not the other segments.
    #[arg(long, value_name = "FILE", requires = "since", value_hint = ValueHint::FilePath)]
    proof: Option<PathBuf>,

    #[cfg(feature = "seal")]
    #[command(flatten)]
    signers: signature::SignersArgs,

    #[command(flatten)]
    original: original::OriginalArgs,

    #[command(flatten)]
    history: HistoryArgs,

    /// List all findings, not only 100 of each kind
    #[arg(long)]
    all: bool,

    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = threads)]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    keys: KeyArgs,
}

/// The options for histories.
#[derive(Debug, Clone, Copy, Args)]
struct HistoryArgs {
    /// Check only the manifests and the chain of a history
    #[arg(long, conflicts_with = "part")]
    quick: bool,

    /// Check the rows of only one segment in N, such as 1/7
    ///
    /// Still checks all manifests and the chain. Runs with 1/7 to 7/7 check all rows.
    #[arg(long, value_name = "K/N", value_parser = part)]
    part: Option<SegmentPart>,

    /// Exit with code 3 if a history has gaps
    ///
    /// Without it, gaps are reported, but don't change the exit code.
    #[arg(long)]
    require_complete: bool,
}

/// The result of `verify --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of patchwork-traces verify --json")]
pub struct VerifyJson {
    /// True if every bundle is intact, every history is intact and consistent, and all meet the requirements of the
    /// command line.
    good: bool,
    bundles: Vec<VerifiedJson>,
    histories: Vec<VerifiedHistoryJson>,
}

/// One bundle.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct VerifiedJson {
    bundle: String,
    /// True if the bundle is intact and meets the requirements of the command line.
    good: bool,
    /// The verdict; null if the bundle or its signature could not be read at all.
    verdict: Option<Verdict>,
    /// The error, if the bundle or its signature could not be read at all.
    error: Option<ErrorDetail>,
    /// The digest; null if the first line cannot be read.
    digest: Option<BundleDigest>,
    version: Option<u64>,
    minor: Option<u64>,
    /// The conditions on the rows of a filtered bundle; empty if it has all rows of its logs.
    filter: Vec<String>,
    /// The bundles that the bundle was made of; null if it is an export.
    derived_from: Option<DerivedFrom>,
    /// The options of the redaction, and how much it replaced, as in the manifest; null if the bundle
    /// is not redacted.
    redaction_record: Option<Redaction>,
    /// True if `--proof` shows that the bundle is a segment of the history of `--since`; null without
    /// `--proof`.
    proven: Option<bool>,
    /// The signature in `<bundle>.sig`; null if it is missing, unless `--signers` requires it.
    #[cfg(feature = "seal")]
    signature: Option<signature::SignatureJson>,
    /// The comparison with the bundle of `--original`; null without it.
    redaction: Option<RedactionCheck>,
    /// Rows that could be read.
    rows: u64,
    files: Vec<FileReport>,
    /// The number of findings, listed or not.
    #[serde(flatten)]
    counts: FindingCounts,
    /// The first 100 of each kind, or all with `--all`.
    findings: Vec<FindingJson>,
    /// The kinds with more findings than are listed.
    more_findings: Vec<FindingGroup>,
}

/// A finding.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FindingJson {
    severity: Severity,
    /// The stable code, for programs.
    code: &'static str,
    /// The position and the problem, for people.
    message: String,
    /// The log inside the bundle.
    file: Option<String>,
    /// The first and the last row of that log, from 1.
    rows: Option<(u64, u64)>,
    /// The line of the bundle's text, from 1.
    line: Option<u64>,
    /// The byte offset in the bundle file, from 0.
    byte: Option<u64>,
    expected: Option<String>,
    found: Option<String>,
}

/// Runs the command.
pub fn run(args: &VerifyArgs, output: Output) -> CommandResult {
    let (for_bundles, for_histories) = options(args)?;
    #[cfg(feature = "seal")]
    let signers = args.signers.read(&args.bundle)?;
    let keys = args.keys.keys(output)?;
    let for_histories = for_histories.keys(keys.clone());
    let mut verdicts = Verdicts { args, output, exit: Exit::Done, bundles: Vec::new(), histories: Vec::new() };
    for path in &args.bundle {
        #[cfg(feature = "seal")]
        let (for_bundles, for_histories) = match signers.apply(path, &for_bundles, &for_histories) {
            Ok(options) => options,
            // The remaining bundles are still checked.
            Err(error) => {
                verdicts.add_unreadable_signature(path, error, &for_histories);
                continue;
            }
        };
        match is_history(path) {
            true => verdicts.add_history(path, &for_histories)?,
            false => verdicts.add_bundle(path, &keys, &for_bundles)?,
        }
    }
    verdicts.compare_with_original(&keys)?;
    verdicts.finish()
}

/// The verdicts on the bundles and histories so far.
struct Verdicts<'a> {
    args: &'a VerifyArgs,
    output: Output,
    exit: Exit,
    bundles: Vec<VerifiedJson>,
    histories: Vec<history::VerifiedHistoryJson>,
}

impl Verdicts<'_> {
    fn add_bundle(&mut self, path: &Path, keys: &DecryptionKeys, options: &VerifyOptions) -> Result<(), Failure> {
        let (listing, output) = (FindingList::new(self.args.all), self.output);
        let exit = if output.json {
            let (verified, exit) = verify_as_json((path, keys), options, output, listing)?;
            self.bundles.push(verified);
            exit
        } else {
            verify_as_text((path, keys), options, output, listing)?
        };
        self.exit = self.exit.worse_of(exit);
        Ok(())
    }

    fn add_history(&mut self, path: &Path, options: &HistoryVerifyOptions) -> Result<(), Failure> {
        let (listing, output) = (FindingList::new(self.args.all), self.output);
        let needs_complete = self.args.history.require_complete;
        let exit = if output.json {
            let (verified, exit) = history::as_json(path, options, needs_complete, output, listing)?;
            self.histories.push(verified);
            exit
        } else {
            history::as_text(path, options, needs_complete, output, listing)?
        };
        self.exit = self.exit.worse_of(exit);
        Ok(())
    }

    #[cfg(feature = "seal")]
    fn add_unreadable_signature(&mut self, path: &Path, error: Error, options: &HistoryVerifyOptions) {
        let listing = FindingList::new(self.args.all);
        let exit = if !self.output.json {
            Failure::from(error).report(false)
        } else if is_history(path) {
            let (verified, exit) = history::verified_json(path, Err(error), options, false, Vec::new(), &listing);
            self.histories.push(verified);
            exit
        } else {
            let (verified, exit) = verified_json(path, Err(error), Vec::new(), &listing);
            self.bundles.push(verified);
            exit
        };
        self.exit = self.exit.worse_of(exit);
    }

    /// Compares the bundle with `--original`, if that was given and the bundle passed all other checks.
    fn compare_with_original(&mut self, keys: &DecryptionKeys) -> Result<(), Failure> {
        let Some(path) = self.args.bundle.first().filter(|_| self.exit == Exit::Done) else { return Ok(()) };
        let Some(check) = self.args.original.compare(path, keys, self.output)? else { return Ok(()) };
        self.exit = original::exit_of(&check);
        let is_good = self.exit == Exit::Done;
        if let Some(bundle) = self.bundles.last_mut() {
            bundle.good = is_good;
            bundle.redaction = Some(check);
        } else if !(self.output.quiet && is_good) {
            output::print_report(&original::text(&check))?;
        }
        Ok(())
    }

    fn finish(self) -> CommandResult {
        let Self { exit, bundles, histories, output, .. } = self;
        if output.json {
            let good = exit == Exit::Done;
            output::print_report(&output::json_text(&VerifyJson { good, bundles, histories })?)?;
        }
        Ok(exit)
    }
}

/// Returns the options for bundles and for histories, after checking that each applies to an argument.
fn options(args: &VerifyArgs) -> Result<(VerifyOptions, HistoryVerifyOptions), Failure> {
    check_arguments(args)?;
    args.original.check(&args.bundle)?;
    let checkpoint = args.since.as_ref().map(Checkpoint::read).transpose()?;
    let proof = args.proof.as_ref().map(SegmentProof::read).transpose()?;
    let mut for_bundles = VerifyOptions::default().expect(args.expect).require_hashes(args.require_hashes);
    for_bundles.proof = proof.zip(checkpoint);
    let rows = match args.history.part {
        _ if args.history.quick => RowsToRead::None,
        Some(part) => RowsToRead::Part(part),
        None => RowsToRead::All,
    };
    let mut for_histories = HistoryVerifyOptions::default().since(checkpoint).rows(rows);
    if let Some(threads) = args.threads {
        (for_bundles.threads, for_histories.threads) = (threads, threads);
    }
    Ok((for_bundles, for_histories))
}

fn check_arguments(args: &VerifyArgs) -> Result<(), Failure> {
    let histories = args.bundle.iter().filter(|path| is_history(path)).count();
    let of_bundle = [("--expect", args.expect.is_some()), ("--proof", args.proof.is_some())];
    for (option, _) in of_bundle.into_iter().filter(|(_, is_given)| *is_given) {
        if args.bundle.len() > 1 {
            let message = match option {
                "--expect" => "--expect takes the digest of one bundle, but several were named",
                _ => "--proof takes the proof of one bundle, but several were named",
            };
            return Err(Failure::usage(message, "verify that bundle on its own"));
        }
        if histories > 0 {
            let message = format!("{option} is for a bundle, but a directory was named");
            return Err(Failure::Usage(message, "name one of its segments, or use --since".to_owned()));
        }
    }
    let of_history = [
        ("--since", args.since.is_some() && args.proof.is_none()),
        ("--quick", args.history.quick),
        ("--part", args.history.part.is_some()),
        ("--require-complete", args.history.require_complete),
    ];
    match of_history.into_iter().find(|(_, is_given)| *is_given && histories == 0) {
        Some((option, _)) => {
            let message = format!("{option} is for a history, but no directory was named");
            let hint = match option {
                "--since" => "name the directory of a history, or add --proof for one of its segments",
                _ => "name the directory of a history",
            };
            Err(Failure::Usage(message, hint.to_owned()))
        }
        None => Ok(()),
    }
}

/// Parses a part such as `1/7`.
fn part(text: &str) -> Result<SegmentPart, &'static str> {
    let part = text.split_once('/').and_then(|(number, of)| SegmentPart::new(number.parse().ok()?, of.parse().ok()?));
    part.ok_or("expected K/N, such as 1/7, with K from 1 to N")
}

/// Checks one bundle, and passes each finding to `found`.
fn check(
    (path, keys): (&Path, &DecryptionKeys),
    options: &VerifyOptions,
    output: Output,
    found: &mut dyn FnMut(Finding),
) -> Result<patchwork_traces::Result<VerifyReport>, Failure> {
    let bar = Bar::new(output);
    // A pipe can be slow to deliver its first byte.
    bar.start(None);
    let checked = open_input(path, keys).and_then(|(input, name)| verify_input(input, &name, options, &bar, found));
    bar.finish();
    interrupt::check()?;
    Ok(checked)
}

fn exit_of(report: &VerifyReport) -> Exit {
    if report.is_good() { Exit::Done } else { Exit::Incomplete }
}

/// Returns the exit code for an error. Damage to encrypted data is a verdict, not a failure.
fn exit_of_error(error: &Error) -> Exit {
    match error.kind() {
        ErrorKind::CiphertextDamaged | ErrorKind::PwtraceTruncated { .. } => Exit::Incomplete,
        _ => Exit::Failed,
    }
}

fn verify_as_text(
    (path, keys): (&Path, &DecryptionKeys),
    options: &VerifyOptions,
    output: Output,
    mut listing: FindingList,
) -> Result<Exit, Failure> {
    let mut printed = Ok(());
    let is_shown = |severity| !(output.quiet && severity == Severity::Info);
    let mut hint = None;
    let report = check((path, keys), options, output, &mut |finding| {
        hint = hint.or(proof_or_signature_hint(&finding));
        if printed.is_ok()
            && is_shown(finding.severity())
            && listing.should_list(finding.severity(), finding.kind.code())
        {
            printed = output::print_report(&finding_text(finding.severity(), &finding.to_string()));
        }
    });
    printed?;
    for more in listing.not_listed() {
        output::print_report(&finding_text(more.severity, &more_text(more)))?;
    }
    let exit = match report? {
        Ok(report) => {
            if !(output.quiet && report.is_good()) {
                output::print_report(&report_text(path, &report, options, hint))?;
            }
            if report.is_expected == Some(false) && is_sha256_of_file(options.expect, path) {
                output
                    .notes(&["the expected value is the SHA-256 of the file, not the digest of the bundle".to_owned()]);
            }
            exit_of(&report)
        }
        // The remaining bundles are still checked.
        Err(error) => {
            let is_damage = exit_of_error(&error) == Exit::Incomplete;
            let exit = Failure::from(error).report(false);
            if is_damage { Exit::Incomplete } else { exit }
        }
    };
    Ok(exit)
}

/// Returns true if the expected digest is the SHA-256 of the file.
fn is_sha256_of_file(expected: Option<BundleDigest>, path: &Path) -> bool {
    // A pipe cannot be read again.
    let expected = expected.filter(|_| path.is_file());
    expected.is_some_and(|expected| sha256(path).is_ok_and(|hash| hash == expected.to_string()))
}

/// Returns the SHA-256 of a file as hexadecimal digits.
fn sha256(path: &Path) -> io::Result<String> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 256 << 10]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(HEXLOWER.encode(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn finding_text(severity: Severity, text: &str) -> String {
    let (style, label) = match severity {
        Severity::Info => (HINT, "info:"),
        Severity::Warning => (WARN, "warning:"),
        _ => (BAD, "error:"),
    };
    labelled(style, label, &safe(text), wrap_width(&stdout())) + "\n"
}

fn more_text(more: FindingGroup) -> String {
    let findings = counted(more.count, "more finding", "more findings");
    format!("{findings} with the code `{}` (use --all to list them)", more.code)
}

/// Returns advice about a proof or signature that is not valid.
fn proof_or_signature_hint(finding: &Finding) -> Option<&'static str> {
    match &finding.kind {
        FindingKind::Proof(fault) => Some(for_history(fault)),
        #[cfg(feature = "seal")]
        FindingKind::Signature(verdict) => signature::hint(verdict),
        _ => None,
    }
}

/// Returns the line about the proof.
fn proof_text(report: &VerifyReport, options: &VerifyOptions) -> String {
    match (&options.proof, report.is_proven) {
        (Some((proof, checkpoint)), Some(true)) => {
            format!("  proof   valid: segment {} of {} in history {}\n", proof.segment, checkpoint.size, checkpoint.id)
        }
        (Some(_), _) => "  proof   NOT proven to be a segment of the checkpoint's history\n".to_owned(),
        (None, _) => String::new(),
    }
}

/// Returns the line about the conditions of a filtered bundle.
fn filter_text(report: &VerifyReport) -> String {
    let line = |filter: &FilterRecord| {
        format!("  filter  it has only the rows selected by {}\n", safe(&filter.conditions().join(" ")))
    };
    report.filter.as_ref().map(line).unwrap_or_default()
}

fn report_text(path: &Path, report: &VerifyReport, options: &VerifyOptions, hint: Option<&'static str>) -> String {
    let name = if is_dash(path) { STDIN.to_owned() } else { safe(&path.display().to_string()) };
    let (verdict, style, rest) = verdict_text(report);
    let digest = report.digest.map(|digest| format!("  digest  {digest}{}", expected_text(report))).unwrap_or_default();
    let next = match report.verdict == Verdict::Damaged {
        true => format!(
            "  next    run `patchwork-traces recover {} -o FILE` to save the intact rows\n",
            safe(&path.display().to_string())
        ),
        false => hint.map(|hint| format!("  next    {hint}\n")).unwrap_or_default(),
    };
    let origin = provenance(report.derived_from.as_ref(), report.redaction.as_ref(), 6);
    let digest = digest + &filter_text(report) + &origin + &proof_text(report, options);
    #[cfg(feature = "seal")]
    let digest = digest + &signature::line(path, report.signature.as_ref());
    format!("{}: {}{rest}\n{digest}{next}", paint(STRONG, &name), paint(style, verdict))
}

/// Returns the verdict as a word, its colour and its details.
fn verdict_text(report: &VerifyReport) -> (&'static str, anstyle::Style, String) {
    let (rows, logs) = (rows(report.rows), logs(report.files.len()));
    let all_match = match report.files.len() {
        0 => "no logs".to_owned(),
        1 => "the log matches its SHA-256".to_owned(),
        _ => format!("all {logs} match their SHA-256"),
    };
    let verified = report.files.iter().filter(|file| file.is_verified == Some(true)).count();
    match report.verdict {
        Verdict::Intact => ("intact", GOOD, format!(": {rows}, {all_match}")),
        Verdict::IntactRecompressed => {
            ("intact", GOOD, format!(" (recompressed by another program): {rows}, {all_match}"))
        }
        Verdict::IntactWithoutHashes => (
            "intact",
            WARN,
            format!(
                " (no hashes): {rows} from {logs}; the container is sound, but the content of the rows cannot be verified"
            ),
        ),
        _ => {
            let findings = counted(report.findings.errors, "error", "errors");
            let match_theirs = if report.files.len() == 1 { "matches its" } else { "match their" };
            ("damaged", BAD, format!(": {findings}; {rows} readable, {verified} of {logs} {match_theirs} SHA-256"))
        }
    }
}

/// Returns the text that follows the digest.
fn expected_text(report: &VerifyReport) -> String {
    match report.is_expected {
        Some(true) => " (as expected)\n".to_owned(),
        Some(false) => format!(" (NOT the expected digest)\n          {DIGEST_NOTE}\n"),
        None => format!("\n          {DIGEST_NOTE}\n"),
    }
}

fn verify_as_json(
    (path, keys): (&Path, &DecryptionKeys),
    options: &VerifyOptions,
    output: Output,
    mut listing: FindingList,
) -> Result<(VerifiedJson, Exit), Failure> {
    let mut findings = Vec::new();
    let checked = check((path, keys), options, output, &mut |finding| {
        if listing.should_list(finding.severity(), finding.kind.code()) {
            findings.push(finding_json(&finding));
        }
    })?;
    Ok(verified_json(path, checked, findings, &listing))
}

/// Returns the result of the check of one bundle, and the exit code.
fn verified_json(
    path: &Path,
    checked: patchwork_traces::Result<VerifyReport>,
    findings: Vec<FindingJson>,
    listing: &FindingList,
) -> (VerifiedJson, Exit) {
    let exit = checked.as_ref().map_or_else(exit_of_error, exit_of);
    let (report, error) = match checked {
        Ok(report) => (Some(report), None),
        Err(error) => (None, Some(ErrorDetail::from(&error))),
    };
    let version = report.as_ref().and_then(|report| report.version);
    let filter = report.as_ref().and_then(|report| report.filter.as_ref());
    let filter = filter.map_or_else(Vec::new, |filter| filter.conditions().to_vec());
    let verified = VerifiedJson {
        bundle: path.display().to_string(),
        good: exit == Exit::Done,
        verdict: report.as_ref().map(|report| report.verdict),
        error,
        digest: report.as_ref().and_then(|report| report.digest),
        version: version.map(|(major, _)| major),
        minor: version.map(|(_, minor)| minor),
        filter,
        derived_from: report.as_ref().and_then(|report| report.derived_from.clone()),
        redaction_record: report.as_ref().and_then(|report| report.redaction.clone()),
        proven: report.as_ref().and_then(|report| report.is_proven),
        redaction: None,
        #[cfg(feature = "seal")]
        signature: signature::as_json(path, report.as_ref().and_then(|report| report.signature.as_ref())),
        rows: report.as_ref().map_or(0, |report| report.rows),
        counts: report.as_ref().map(|report| report.findings).unwrap_or_default(),
        files: report.map(|report| report.files).unwrap_or_default(),
        findings,
        more_findings: listing.not_listed().collect(),
    };
    (verified, exit)
}

fn finding_json(finding: &Finding) -> FindingJson {
    let (expected, found) = finding.kind.expected_and_found().unzip();
    FindingJson {
        severity: finding.severity(),
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
