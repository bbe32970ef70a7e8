//! The signatures that `verify` checks or mentions.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use patchwork_traces::format::Timestamp;
use patchwork_traces::signature::{
    AllowedSigners, SignatureCheck, SignatureVerdict, history_signature_path, signature_path,
};
use patchwork_traces::verify::{HistoryVerifyOptions, VerifyOptions};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::is_history;
use crate::cli::render::text::safe;
use crate::cli::{is_dash, time};

/// The options for signatures.
#[derive(Debug, Args)]
pub struct SignersArgs {
    /// Require a signature by one of these signers
    ///
    /// A file in the allowed signers format of ssh-keygen: each line has a name and a public key, as in
    /// `me@example.org ssh-ed25519 AAAA...`. The signature is `<bundle>.sig`, or `checkpoint.sig` in
    /// the directory of a history. Implies --require-hashes, because only hashes tie the rows to the
    /// signature.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    signers: Option<PathBuf>,

    /// Name of the signer whose signature is required
    #[arg(long, value_name = "NAME", requires = "signers", hide_short_help = true)]
    signer: Option<String>,
}

/// The signers that were given.
pub struct Signers {
    allowed: Option<(AllowedSigners, Timestamp)>,
    signer: Option<String>,
}

impl SignersArgs {
    /// Reads the list of signers, after checking that none of `paths` is standard input.
    pub fn read(&self, paths: &[PathBuf]) -> Result<Signers, Failure> {
        if self.signers.is_some() && paths.iter().any(|path| is_dash(path)) {
            let message = "--signers is for files: standard input has no signature beside it";
            return Err(Failure::usage(message, "save the bundle to a file, beside its signature"));
        }
        let allowed = match &self.signers {
            Some(path) => Some((AllowedSigners::read(path)?, time::now()?)),
            None => None,
        };
        Ok(Signers { allowed, signer: self.signer.clone() })
    }
}

impl Signers {
    /// Adds the check of the signature of the bundle or history at `path` to the options.
    pub fn apply(
        &self,
        path: &Path,
        for_bundles: &VerifyOptions,
        for_histories: &HistoryVerifyOptions,
    ) -> patchwork_traces::Result<(VerifyOptions, HistoryVerifyOptions)> {
        let check = match &self.allowed {
            Some((signers, now)) => {
                let check = SignatureCheck::read(path_of_signature(path), signers.clone(), *now)?;
                Some(check.signer(self.signer.clone()))
            }
            None => None,
        };
        Ok((for_bundles.clone().signature(check.clone()), for_histories.clone().signature(check)))
    }
}

fn path_of_signature(path: &Path) -> PathBuf {
    if is_history(path) { history_signature_path(path) } else { signature_path(path) }
}

/// The signature of a bundle or history.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SignatureJson {
    /// The path of the signature.
    file: PathBuf,
    /// The status, for people.
    message: String,
    #[serde(flatten)]
    status: SignatureStatus,
}

/// The status of a signature.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum SignatureStatus {
    Checked(SignatureVerdict),
    NotChecked { status: NotChecked },
}

/// The status of a signature without `--signers`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum NotChecked {
    NotChecked,
}

const NOT_CHECKED: &str = "signature present, not checked (use --signers FILE)";

/// Returns true if the bundle or history at `path` has a signature.
fn is_present(path: &Path) -> bool {
    !is_dash(path) && path_of_signature(path).is_file()
}

/// Returns the signature as JSON, with its verdict or as not checked.
pub fn as_json(path: &Path, verdict: Option<&SignatureVerdict>) -> Option<SignatureJson> {
    let (message, status) = match verdict {
        Some(verdict) => (verdict.to_string(), SignatureStatus::Checked(verdict.clone())),
        None if is_present(path) => {
            (NOT_CHECKED.to_owned(), SignatureStatus::NotChecked { status: NotChecked::NotChecked })
        }
        None => return None,
    };
    Some(SignatureJson { file: path_of_signature(path), message, status })
}

/// Returns the status and its description: true for valid, false for not valid, `None` for not checked.
pub fn as_text(path: &Path, verdict: Option<&SignatureVerdict>) -> Option<(Option<bool>, String)> {
    match verdict {
        Some(SignatureVerdict::Valid { principal, key }) => {
            Some((Some(true), safe(&format!("by {principal} ({key})"))))
        }
        Some(verdict) => Some((Some(false), safe(&verdict.to_string()))),
        None => is_present(path).then(|| (None, NOT_CHECKED.to_owned())),
    }
}

/// Returns the line for the report about a bundle.
pub fn line(path: &Path, verdict: Option<&SignatureVerdict>) -> String {
    match as_text(path, verdict) {
        Some((Some(true), text)) => format!("  signed  {text}\n"),
        Some((Some(false), text)) => format!("  signed  NO: {text}\n"),
        Some((None, text)) => format!("  {text}\n"),
        None => String::new(),
    }
}

/// Returns the advice for a signature that is not valid.
pub fn hint(verdict: &SignatureVerdict) -> Option<&'static str> {
    Some(match verdict {
        SignatureVerdict::Valid { .. } => return None,
        SignatureVerdict::OtherSigner { .. } => "check the name, or omit --signer to accept every signer of the list",
        SignatureVerdict::UnknownKey { .. } => "if you trust this key, add it to the list of signers",
        SignatureVerdict::NotForNamespace { .. } => {
            "add patchwork-traces to the option `namespaces` in the list of signers, if the key is meant for it"
        }
        SignatureVerdict::NotYetValid { .. } | SignatureVerdict::Expired { .. } => {
            "check the validity in the list of signers, or ask for a signature by a current key"
        }
        SignatureVerdict::Outdated { .. } => "sign the history again with `patchwork-traces sign`",
        SignatureVerdict::UnsupportedKey { .. } => "check it with `ssh-keygen -Y verify`",
        SignatureVerdict::Missing => "get the signature from the signer, or sign with `patchwork-traces sign`",
        _ => "don't trust this copy: get it again from the signer, with its signature",
    })
}
