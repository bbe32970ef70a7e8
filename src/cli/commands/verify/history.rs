//! `patchwork-traces verify` of a history.

use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use patchwork_traces::error::Position;
use patchwork_traces::format::{HistoryGap, HistoryId};
use patchwork_traces::history::Checkpoint;
use patchwork_traces::verify::{
    FindingCounts, HistoryFinding, HistoryFindingKind, HistoryReport, HistoryVerdict, HistoryVerifyOptions, RowsToRead,
    Severity, verify_history,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{finding_text, more_text};
use crate::cli::failure::Failure;
use crate::cli::hint::for_history;
use crate::cli::render::findings::{FindingGroup, FindingList};
use crate::cli::render::text::{count, counted, labelled, rows, safe};
use crate::cli::render::zone;
use crate::cli::terminal::error_report::ErrorDetail;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::interrupt;
use crate::cli::terminal::output::{self, Output};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{BAD, GOOD, STRONG, WARN, paint, wrap_width};

/// One history.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedHistoryJson {
    history: PathBuf,
    /// True if no check failed: the history has no known damage, is consistent, and meets the
    /// requirements of the command line.
    good: bool,
    /// The error, if the history or its signature could not be read at all.
    error: Option<ErrorDetail>,
    /// The identity of the history; null if no segment is readable.
    id: Option<HistoryId>,
    /// True if every segment is as it was written; null if that is not known, because not all rows were read.
    intact: Option<bool>,
    /// True if the segments follow each other, and match the checkpoints; null if the history could not be read at all.
    consistent: Option<bool>,
    /// True if no rows are missing between segments; null if the history could not be read at all.
    complete: Option<bool>,
    /// The number of files with the name of a segment.
    segments: u64,
    /// The number of rows that the segments declare.
    rows: u64,
    /// The number of segments whose rows were read.
    read_segments: u64,
    /// The number of rows that were read.
    read_rows: u64,
    damaged_segments: u64,
    missing_segments: u64,
    gaps: u64,
    /// The checkpoint of the history; null if there is none, or it is unreadable.
    checkpoint: Option<CheckpointJson>,
    /// The checkpoint of `--since`; null without it.
    since: Option<CheckpointJson>,
    /// The signature in `checkpoint.sig`; null if it is missing, unless `--signers` requires it.
    #[cfg(feature = "seal")]
    signature: Option<super::signature::SignatureJson>,
    /// The number of findings, listed or not.
    #[serde(flatten)]
    counts: FindingCounts,
    /// The first 100 of each kind, or all with `--all`.
    findings: Vec<HistoryFindingJson>,
    /// The kinds with more findings than are listed.
    more_findings: Vec<FindingGroup>,
}

/// A checkpoint.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckpointJson {
    id: HistoryId,
    /// The number of segments.
    pub size: u64,
    /// The root hash of the tree of their digests, in base64.
    root: String,
}

/// A finding in a history.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryFindingJson {
    /// The verdicts that it makes false.
    contradicts: &'static [HistoryVerdict],
    severity: Severity,
    /// The stable code, for programs.
    code: &'static str,
    /// The position and the problem, for people.
    message: String,
    /// Advice on what to do next, for people.
    hint: Option<&'static str>,
    /// The number of the segment.
    segment: Option<u64>,
    #[serde(flatten)]
    at: Position,
    /// The rows between which others may be missing.
    gap: Option<HistoryGap>,
}

/// Verifies the history in `dir` and prints the findings and the verdicts.
pub fn as_text(
    dir: &Path,
    options: &HistoryVerifyOptions,
    needs_complete: bool,
    output: Output,
    mut listing: FindingList,
) -> Result<Exit, Failure> {
    let (mut printed, mut hints) = (Ok(()), Vec::new());
    let is_shown = |severity| !(output.quiet && severity == Severity::Info);
    let report = check(dir, options, output, &mut |finding| {
        let severity = finding.severity();
        if printed.is_ok() && is_shown(severity) && listing.should_list(severity, finding.kind.code()) {
            hints.extend(hint_of(&finding).filter(|hint| !hints.contains(hint)));
            printed = output::print_report(&finding_text(severity, &finding.to_string()));
        }
    });
    printed?;
    for more in listing.not_listed() {
        output::print_report(&finding_text(more.severity, &more_text(more)))?;
    }
    Ok(match report? {
        Ok(report) => {
            let exit = exit_of(&report, needs_complete);
            if !(output.quiet && exit == Exit::Done) {
                output::print_report(&report_text(dir, &report, options, &hints))?;
            }
            exit
        }
        Err(error) => Failure::from(error).report(false),
    })
}

/// Verifies the history in `dir` and returns the findings and the verdicts.
pub fn as_json(
    dir: &Path,
    options: &HistoryVerifyOptions,
    needs_complete: bool,
    output: Output,
    mut listing: FindingList,
) -> Result<(VerifiedHistoryJson, Exit), Failure> {
    let mut findings = Vec::new();
    let checked = check(dir, options, output, &mut |finding| {
        if listing.should_list(finding.severity(), finding.kind.code()) {
            findings.push(finding_json(&finding));
        }
    })?;
    Ok(verified_json(dir, checked, options, needs_complete, findings, &listing))
}

/// Returns the result of the check of a history, and the exit code.
pub fn verified_json(
    dir: &Path,
    checked: patchwork_traces::Result<HistoryReport>,
    options: &HistoryVerifyOptions,
    needs_complete: bool,
    findings: Vec<HistoryFindingJson>,
    listing: &FindingList,
) -> (VerifiedHistoryJson, Exit) {
    let exit = checked.as_ref().map_or(Exit::Failed, |report| exit_of(report, needs_complete));
    let (report, error) = match checked {
        Ok(report) => (Some(report), None),
        Err(error) => (None, Some(ErrorDetail::from(&error))),
    };
    let number = |number: fn(&HistoryReport) -> u64| report.as_ref().map_or(0, number);
    let verified = VerifiedHistoryJson {
        history: dir.to_owned(),
        good: exit == Exit::Done,
        error,
        id: report.as_ref().and_then(|report| report.id),
        intact: report.as_ref().and_then(|report| report.is_intact),
        consistent: report.as_ref().map(|report| report.is_consistent),
        complete: report.as_ref().map(|report| report.is_complete),
        segments: number(|report| report.segments),
        rows: number(|report| report.rows),
        read_segments: number(|report| report.read_segments),
        read_rows: number(|report| report.read_rows),
        damaged_segments: number(|report| report.damaged_segments),
        missing_segments: number(|report| report.missing_segments),
        gaps: number(|report| report.gaps),
        checkpoint: report.as_ref().and_then(|report| report.checkpoint).map(CheckpointJson::from),
        since: options.since.map(CheckpointJson::from),
        #[cfg(feature = "seal")]
        signature: super::signature::as_json(dir, report.as_ref().and_then(|report| report.signature.as_ref())),
        counts: report.map(|report| report.findings).unwrap_or_default(),
        findings,
        more_findings: listing.not_listed().collect(),
    };
    (verified, exit)
}

fn check(
    dir: &Path,
    options: &HistoryVerifyOptions,
    output: Output,
    found: &mut dyn FnMut(HistoryFinding),
) -> Result<patchwork_traces::Result<HistoryReport>, Failure> {
    let checked = verify_history(dir, options, &Bar::new(output), found);
    interrupt::check()?;
    Ok(checked)
}

fn exit_of(report: &HistoryReport, needs_complete: bool) -> Exit {
    match report.is_good() && (report.is_complete || !needs_complete) {
        true => Exit::Done,
        false => Exit::Incomplete,
    }
}

fn hint_of(finding: &HistoryFinding) -> Option<&'static str> {
    match &finding.kind {
        HistoryFindingKind::Gap { .. } => {
            Some("run `patchwork-traces keep` more often, or with --follow, to avoid gaps")
        }
        HistoryFindingKind::Segment(finding) if finding.severity() != Severity::Error => None,
        HistoryFindingKind::Segment(_) | HistoryFindingKind::Unreadable(_) | HistoryFindingKind::UnreadableHead(_) => {
            Some("restore damaged segments from a backup, or run `patchwork-traces recover` to save the intact rows")
        }
        HistoryFindingKind::UnreadableCheckpoint(_) => Some("restore the file `checkpoint` from a backup"),
        HistoryFindingKind::Foreign => Some("move foreign files out of the directory `segments`"),
        #[cfg(feature = "seal")]
        HistoryFindingKind::Signature(verdict) => super::signature::hint(verdict),
        kind => kind.fault().map(for_history),
    }
}

fn report_text(dir: &Path, report: &HistoryReport, options: &HistoryVerifyOptions, hints: &[&'static str]) -> String {
    let segments = counted(report.segments, "segment", "segments");
    let zone = zone::local();
    let written = report
        .written
        .map(|(first, last)| format!(", written {} to {}", zone::moment(first, &zone), zone::moment(last, &zone)));
    let name = paint(STRONG, &safe(&dir.display().to_string()));
    let mut text = format!("{name}: {segments}, {}{}\n", rows(report.rows), written.unwrap_or_default());
    let verdicts = [
        ("intact", intact_text(report, options)),
        ("consistent", consistent_text(report, options.since.as_ref())),
        ("complete", complete_text(report)),
    ];
    #[cfg(feature = "seal")]
    let signed = super::signature::as_text(dir, report.signature.as_ref()).map(|text| ("signed", text));
    #[cfg(not(feature = "seal"))]
    let signed = None;
    for (label, (verdict, details)) in verdicts.into_iter().chain(signed) {
        let (style, word) = match verdict {
            Some(true) => (GOOD, "yes:"),
            Some(false) if label == "complete" => (WARN, "NO:"),
            Some(false) => (BAD, "NO:"),
            None => (WARN, "unknown:"),
        };
        text += &format!("  {label:10}  {}\n", indented(style, word, &details));
    }
    for (index, hint) in hints.iter().enumerate() {
        text += &format!("  {:10}  {}\n", if index == 0 { "next" } else { "" }, indented(STRONG, "-", hint));
    }
    text
}

/// Returns `word text`, wrapped and indented to follow a label.
fn indented(style: anstyle::Style, word: &str, text: &str) -> String {
    let width = wrap_width(&std::io::stdout()).map(|width| width.saturating_sub(14).max(20));
    labelled(style, word, text, width).replace('\n', &format!("\n{}", " ".repeat(14)))
}

fn intact_text(report: &HistoryReport, options: &HistoryVerifyOptions) -> (Option<bool>, String) {
    let (read, all) = (rows(report.read_rows), counted(report.segments, "segment", "segments"));
    let details = match (report.is_intact, options.rows) {
        (Some(false), RowsToRead::None) => {
            format!("{} of {all} unreadable; rows were not checked (--quick)", count(report.damaged_segments))
        }
        (Some(false), _) => format!("{} of {all} damaged; {read} readable", count(report.damaged_segments)),
        (None, RowsToRead::Part(part)) => format!(
            "{read} of {} match their SHA-256, but only part {}/{} of {all} was read",
            counted(report.read_segments, "segment", "segments"),
            part.number(),
            part.of()
        ),
        (None, _) => "only manifests were checked, not rows (--quick)".to_owned(),
        _ => format!("{read} of {all} match their SHA-256"),
    };
    (report.is_intact, details)
}

fn consistent_text(report: &HistoryReport, since: Option<&Checkpoint>) -> (Option<bool>, String) {
    let of_segments = |checkpoint: &Checkpoint| counted(checkpoint.size, "segment", "segments");
    let details = match (report.is_consistent, since) {
        (false, _) => "the segments do not form one chain that matches the checkpoints (see above)".to_owned(),
        (true, Some(since)) => {
            format!("the segments form one chain, and extend the given checkpoint of {}", of_segments(since))
        }
        (true, None) => {
            let own = report.checkpoint.as_ref().map(of_segments);
            let own = own.map(|own| format!(", and match the checkpoint of {own}")).unwrap_or_default();
            format!("the segments form one chain{own}; without --since, missing newest segments go unnoticed")
        }
    };
    (Some(report.is_consistent), details)
}

fn complete_text(report: &HistoryReport) -> (Option<bool>, String) {
    if report.is_complete {
        return (Some(true), "no segment is missing, and none records a gap".to_owned());
    }
    let reasons = [(report.gaps, "gap", "gaps"), (report.missing_segments, "missing segment", "missing segments")];
    let reasons = reasons.into_iter().filter(|(number, ..)| *number > 0);
    let mut reasons: Vec<_> = reasons.map(|(number, one, many)| counted(number, one, many)).collect();
    if reasons.is_empty() {
        reasons.push("a segment that may record gaps is unreadable".to_owned());
    }
    (Some(false), format!("{} (see above)", reasons.join(", ")))
}

fn finding_json(finding: &HistoryFinding) -> HistoryFindingJson {
    let mut at = match &finding.kind {
        HistoryFindingKind::Segment(finding) => finding.at.clone(),
        HistoryFindingKind::Unreadable(error)
        | HistoryFindingKind::UnreadableHead(error)
        | HistoryFindingKind::UnreadableCheckpoint(error) => error.position().clone(),
        _ => Position::default(),
    };
    at.subject = Some(finding.path.display().to_string());
    let gap = match &finding.kind {
        HistoryFindingKind::Gap { file, gap } => {
            at.file = Some(file.clone());
            Some((**gap).clone())
        }
        HistoryFindingKind::Altered { file } => {
            at.file = Some(file.clone());
            None
        }
        _ => None,
    };
    HistoryFindingJson {
        contradicts: finding.kind.contradicts(),
        severity: finding.severity(),
        code: finding.kind.code(),
        message: finding.to_string(),
        hint: hint_of(finding),
        segment: finding.segment,
        at,
        gap,
    }
}

impl From<Checkpoint> for CheckpointJson {
    fn from(checkpoint: Checkpoint) -> Self {
        Self { id: checkpoint.id, size: checkpoint.size, root: BASE64.encode(checkpoint.root.as_bytes()) }
    }
}
