//! `patchwork-traces sign`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use patchwork_traces::container::DecryptionKeys;
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::error::SignatureFault;
use patchwork_traces::history::Checkpoint;
use patchwork_traces::signature::{Signature, SignerKey, history_signature_path, signature_path};
use patchwork_traces::{Error, ErrorKind, History, TargetOptions};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::verify::CheckpointJson;
use crate::cli::encryption::KeyArgs;
use crate::cli::failure::{CommandResult, Failure};
use crate::cli::render::text::{counted, safe};
use crate::cli::signing::{Signer, bundle_signature_target, history_signature_target};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::Output;
use crate::cli::terminal::term::{STRONG, paint};
use crate::cli::{help, input, is_dash};

/// Sign a bundle or a history with an OpenSSH key
///
/// Signs the manifest line of a bundle, or the checkpoint of a history, and writes the signature to a
/// file next to it. The signature shows who vouched for the content, not that the content is true.
/// `verify --signers` checks it.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::SIGN))]
pub struct SignArgs {
    /// Bundle or history directory
    #[arg(value_hint = ValueHint::AnyPath)]
    bundle: PathBuf,

    /// OpenSSH key to sign with
    ///
    /// A private key, or the .pub file of a key that ssh-agent or a hardware token holds. With a .pub
    /// file, `ssh-keygen` signs.
    #[arg(long, value_name = "KEY", value_hint = ValueHint::FilePath)]
    key: PathBuf,

    /// Replace the signature of the bundle if it has one
    ///
    /// The signature of a history is always replaced, because a history grows.
    #[arg(short, long)]
    force: bool,

    #[command(flatten)]
    keys: KeyArgs,
}

/// The result of `sign --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces sign --json")]
pub struct SignJson {
    /// The path of the signature.
    signature: PathBuf,
    /// The bundle or history that was signed.
    signed: PathBuf,
    /// The digest of the bundle; null for a history.
    digest: Option<BundleDigest>,
    /// The checkpoint of the history; null for a bundle.
    checkpoint: Option<CheckpointJson>,
    key: SignerKey,
}

/// Runs the command.
pub fn run(args: &SignArgs, output: Output) -> CommandResult {
    let report = match args.bundle.is_dir() {
        true => sign_history(&args.bundle, args, output)?,
        false => sign_bundle(&args.bundle, args, output)?,
    };
    output.report_done(|| as_text(&report), &report)?;
    Ok(Exit::Done)
}

fn sign_bundle(path: &Path, args: &SignArgs, output: Output) -> Result<SignJson, Failure> {
    if is_dash(path) {
        let message = "cannot sign standard input: the signature is written to a file beside the bundle";
        return Err(Failure::usage(message, "name a bundle"));
    }
    let target = bundle_signature_target(path, TargetOptions::default().replace(args.force))?;
    let bundle = input::open(path, &args.keys.keys(output)?)?;
    let line = bundle.manifest_line()?;
    let signature = Signer::read(&args.key, output)?.sign(&line)?;
    signature.write(&target)?;
    Ok(report(signature_path(path), path, &signature, Some(bundle.digest()), None))
}

fn sign_history(dir: &Path, args: &SignArgs, output: Output) -> Result<SignJson, Failure> {
    let checkpoint = signable_checkpoint(dir, &args.keys.keys(output)?)?;
    let target = history_signature_target(dir)?;
    let signature = Signer::read(&args.key, output)?.sign(checkpoint.to_string().as_bytes())?;
    signature.write(&target)?;
    Ok(report(history_signature_path(dir), dir, &signature, None, Some(checkpoint)))
}

/// Returns the checkpoint of a history, after checking that it covers all segments.
fn signable_checkpoint(dir: &Path, keys: &DecryptionKeys) -> patchwork_traces::Result<Checkpoint> {
    let history = History::open_with_keys(dir, keys)?;
    let written = history.written_checkpoint()?;
    written.filter(|written| *written == history.checkpoint()).ok_or_else(|| {
        let fault = ErrorKind::Signature(SignatureFault::CheckpointNotCurrent);
        Error::from(fault).in_subject(&dir.display().to_string())
    })
}

fn report(
    path: PathBuf,
    signed: &Path,
    signature: &Signature,
    digest: Option<BundleDigest>,
    checkpoint: Option<Checkpoint>,
) -> SignJson {
    SignJson {
        signature: path,
        signed: signed.to_owned(),
        digest,
        checkpoint: checkpoint.map(CheckpointJson::from),
        key: signature.key().clone(),
    }
}

fn as_text(report: &SignJson) -> String {
    let (signed, path) = (safe(&report.signed.display().to_string()), safe(&report.signature.display().to_string()));
    let what = match (&report.checkpoint, report.digest) {
        (Some(checkpoint), _) => format!("covers     {}\n", counted(checkpoint.size, "segment", "segments")),
        (None, Some(digest)) => format!("digest     {digest}\n"),
        (None, None) => String::new(),
    };
    format!(
        "{} {signed}\n\nsignature  {path}\nkey        {}\n{what}",
        paint(STRONG, "signed"),
        safe(&report.key.to_string())
    )
}
