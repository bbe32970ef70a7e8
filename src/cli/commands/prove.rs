//! `patchwork-traces prove`.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::error::HistoryFault;
use patchwork_traces::format::HistoryId;
use patchwork_traces::history::{Checkpoint, SegmentProof};
use patchwork_traces::{Error, ErrorKind, History, OutputTarget};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::export::TargetArgs;
use crate::cli::encryption::KeyArgs;
use crate::cli::failure::{CommandResult, check_stdout_is_kept};
use crate::cli::help;
use crate::cli::input::refuse_target_in_inputs;
use crate::cli::is_dash;
use crate::cli::render::text::{counted, safe};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{self, Output, STDOUT};
use crate::cli::terminal::term::{STRONG, paint};

/// Write a proof that a bundle is a segment of a history
///
/// Anyone who has a checkpoint of the history can verify the segment with the proof, without the other segments.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::PROVE))]
pub struct ProveArgs {
    /// Directory of the history
    #[arg(value_hint = ValueHint::DirPath)]
    dir: PathBuf,

    /// Number of the segment, as in its file name
    #[arg(long, value_name = "N")]
    segment: u64,

    /// Older checkpoint to write the proof for [default: the current one]
    #[arg(long, value_name = "CHECKPOINT", value_hint = ValueHint::FilePath)]
    at: Option<PathBuf>,

    /// File to write the proof to; `-` is standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,

    #[command(flatten)]
    target: TargetArgs,

    #[command(flatten)]
    keys: KeyArgs,
}

/// The result of `prove --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces prove --json")]
pub struct ProveJson {
    /// The path of the proof; null if it was written to standard output.
    proof: Option<PathBuf>,
    /// The identity of the history.
    id: HistoryId,
    /// The number of the segment.
    segment: u64,
    /// The path of the segment.
    bundle: PathBuf,
    /// The digest of the segment.
    digest: BundleDigest,
    /// The number of segments in the checkpoint of the proof.
    size: u64,
}

/// Runs the command.
pub fn run(args: &ProveArgs, output: Output) -> CommandResult {
    let to_stdout = is_dash(&args.output);
    let target = match to_stdout {
        true => check_stdout_is_kept("the proof", "-o - > segment.proof").map(|()| None)?,
        false => Some(OutputTarget::resolve(&args.output, args.target.into())?),
    };
    refuse_target_in_inputs(&args.output, std::slice::from_ref(&args.dir))?;
    let at = args.at.as_ref().map(Checkpoint::read).transpose()?;
    let history = History::open_with_keys(&args.dir, &args.keys.keys(output)?)?;
    let checkpoint = at.unwrap_or_else(|| history.checkpoint());
    let proof = history.prove(args.segment, &checkpoint).map_err(|fault| {
        let is_of_checkpoint = !matches!(fault, HistoryFault::NoSuchSegment { .. });
        let file = args.at.as_ref().filter(|_| is_of_checkpoint).unwrap_or(&args.dir);
        Error::from(ErrorKind::History(fault)).in_subject(&file.display().to_string())
    })?;
    match &target {
        Some(target) => proof.write(target)?,
        None => output::print(&proof.to_string())?,
    }
    let Some(report) = report(args, &history, &proof) else { return Ok(Exit::Done) };
    let text = || as_text(&report);
    match to_stdout {
        true => output.report_to_stderr(text, &report)?,
        false => output.report_done(text, &report)?,
    }
    Ok(Exit::Done)
}

fn report(args: &ProveArgs, history: &History, proof: &SegmentProof) -> Option<ProveJson> {
    let segment = history.segments().iter().find(|segment| segment.number == proof.segment)?;
    Some(ProveJson {
        proof: (!is_dash(&args.output)).then(|| args.output.clone()),
        id: proof.id,
        segment: proof.segment,
        bundle: segment.path.clone(),
        digest: segment.digest,
        size: proof.size,
    })
}

fn as_text(report: &ProveJson) -> String {
    let path = report.proof.as_ref().map_or_else(|| STDOUT.to_owned(), |path| safe(&path.display().to_string()));
    let bundle = safe(&report.bundle.display().to_string());
    format!(
        "{} {path}: segment {} belongs to history {} ({})\n\nbundle  {bundle}\ndigest  {}\n",
        paint(STRONG, "wrote"),
        report.segment,
        report.id,
        counted(report.size, "segment", "segments"),
        report.digest
    )
}
