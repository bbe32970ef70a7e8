//! Signs with a key, and asks for its passphrase on the terminal.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use patchwork_traces::container::Passphrase;
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::error::{IoAction, SignatureFault};
use patchwork_traces::format::Manifest;
use patchwork_traces::history::Checkpoint;
use patchwork_traces::signature::{KeyPrompt, Signature, SigningKey, history_signature_path, signature_path};
use patchwork_traces::{Error, ErrorKind, OutputTarget, TargetOptions};

use crate::cli::failure::Failure;
use crate::cli::render::text::safe;
use crate::cli::secrets::exposed_warning;
use crate::cli::terminal::interrupt;
use crate::cli::terminal::output::{Output, print_message};
use crate::cli::terminal::passphrase;
use crate::cli::terminal::term::HINT;

/// A signing key, and the terminal on which it asks for its passphrase.
pub struct Signer {
    key: SigningKey,
    terminal: TerminalPrompt,
}

impl Signer {
    /// Reads the key in the file `path`. Asks for its passphrase, if it has one.
    ///
    /// # Errors
    /// As [`SigningKey::read`].
    pub fn read(path: &Path, output: Output) -> patchwork_traces::Result<Self> {
        let mut terminal = TerminalPrompt;
        let key = SigningKey::read(path, &mut terminal)?;
        if key.is_exposed() {
            output.warning(&exposed_warning(path));
        }
        Ok(Self { key, terminal })
    }

    /// Signs the bytes of a manifest line without its line feed, or of a checkpoint.
    ///
    /// # Errors
    /// As [`SigningKey::sign`]. [`ErrorKind::Cancelled`] after an interrupt.
    pub fn sign(&mut self, message: &[u8]) -> patchwork_traces::Result<Signature> {
        let signature = self.key.sign(message, &mut self.terminal);
        // An interrupt also ends `ssh-keygen`. A success counts even after an interrupt, when a service
        // signs for the last time.
        if signature.is_err() {
            interrupt::check()?;
        }
        signature
    }
}

/// Asks for passphrases and shows notices on the terminal.
struct TerminalPrompt;

impl KeyPrompt for TerminalPrompt {
    fn passphrase(&mut self, key: &Path) -> patchwork_traces::Result<Passphrase> {
        let path = key.display().to_string();
        passphrase::ask(&format!("Passphrase for {}: ", safe(&path))).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Error::from(ErrorKind::Signature(SignatureFault::PassphraseNeeded)).in_subject(&path)
            }
            // An error of the library, such as a cancellation, is passed on unchanged.
            _ => match error.downcast::<Error>() {
                Ok(error) => error,
                Err(error) => Error::io_named(IoAction::Read, "the terminal", error),
            },
        })
    }

    fn notice(&mut self, message: &str) {
        print_message(HINT, "note:", &safe(message));
    }
}

/// The option that signs the output of a command.
#[derive(Debug, Args)]
pub struct SignOption {
    /// Sign the result with this OpenSSH key, as `sign` does
    ///
    /// A private key, or the .pub file of a key that ssh-agent or a hardware token holds.
    #[arg(long = "sign", value_name = "KEY", value_hint = ValueHint::FilePath, hide_short_help = true)]
    key: Option<PathBuf>,
}

/// The result of signing the output: the path of the signature, if one was requested.
pub type SignedPath = patchwork_traces::Result<Option<PathBuf>>;

/// The requested signature, if any, of a bundle that a command is about to write.
pub struct BundleSigning(Option<(Signer, OutputTarget, PathBuf)>);

/// The requested signature, if any, of a history that a command is about to extend.
pub struct HistorySigning(Option<Signer>);

impl SignOption {
    /// Prepares the signature of the bundle that will be written to `path`. Asks for the passphrase of the key now.
    ///
    /// # Errors
    /// If the bundle goes to a stream, the key cannot be used, or the signature exists and may not be replaced.
    pub fn for_bundle(
        &self,
        path: &Path,
        target: Option<&OutputTarget>,
        options: TargetOptions,
        output: Output,
    ) -> Result<BundleSigning, Failure> {
        let is_file = matches!(target, Some(OutputTarget::File { .. }));
        let Some(key) = &self.key else {
            let path = signature_path(path);
            if is_file && path.exists() {
                let path = path.display();
                output.warning(&format!("{path} does not sign the new bundle: use --sign, or remove it"));
            }
            return Ok(BundleSigning(None));
        };
        if !is_file {
            let message = "--sign needs a file: the signature is written to a file beside the bundle";
            return Err(Failure::usage(message, "name a file with -o"));
        }
        let target = bundle_signature_target(path, options)?;
        Ok(BundleSigning(Some((Signer::read(key, output)?, target, signature_path(path)))))
    }

    /// Prepares the signature of a history. Asks for the passphrase of the key now.
    ///
    /// # Errors
    /// If the key cannot be used.
    pub fn for_history(&self, output: Output) -> Result<HistorySigning, Failure> {
        let signer = self.key.as_ref().map(|key| Signer::read(key, output)).transpose()?;
        Ok(HistorySigning(signer))
    }
}

/// Returns the file for the signature of a bundle.
///
/// # Errors
/// [`SignatureFault::AlreadySigned`] if it exists and may not be replaced. As [`OutputTarget::resolve`].
pub fn bundle_signature_target(bundle: &Path, options: TargetOptions) -> patchwork_traces::Result<OutputTarget> {
    let path = signature_path(bundle);
    OutputTarget::resolve(&path, options).map_err(|error| match error.kind() {
        ErrorKind::TargetExists => {
            Error::from(ErrorKind::Signature(SignatureFault::AlreadySigned)).in_subject(&path.display().to_string())
        }
        _ => error,
    })
}

/// Returns the file for the signature of a history, which may exist.
///
/// # Errors
/// As [`OutputTarget::resolve`].
pub fn history_signature_target(dir: &Path) -> patchwork_traces::Result<OutputTarget> {
    OutputTarget::resolve(history_signature_path(dir), TargetOptions::default().replace(true))
}

impl BundleSigning {
    /// Signs the bundle that was written with this manifest.
    ///
    /// # Errors
    /// [`ErrorKind::NotSigned`].
    pub fn sign(self, manifest: &Manifest, digest: BundleDigest) -> SignedPath {
        let Some((mut signer, target, path)) = self.0 else { return Ok(None) };
        let result = manifest.encode().map_err(Error::from).and_then(|line| {
            match BundleDigest::of_manifest_line(&line) == digest {
                true => signer.sign(&line)?.write(&target),
                false => Err(ErrorKind::OutputNotIntact.into()),
            }
        });
        result.map_err(|cause| not_signed(&path, cause))?;
        Ok(Some(path))
    }
}

impl HistorySigning {
    /// Signs the checkpoint of the history in `dir`, which was extended to at least `segments` segments.
    ///
    /// # Errors
    /// [`ErrorKind::NotSigned`].
    pub fn sign(&mut self, dir: &Path, segments: u64) -> SignedPath {
        let Some(signer) = &mut self.0 else { return Ok(None) };
        let path = history_signature_path(dir);
        let checkpoint = Checkpoint::read(dir.join("checkpoint")).and_then(|checkpoint| {
            let fault = || ErrorKind::Signature(SignatureFault::CheckpointNotCurrent);
            if checkpoint.size >= segments { Ok(checkpoint) } else { Err(fault().into()) }
        });
        let result = checkpoint.and_then(|checkpoint| {
            let target = history_signature_target(dir)?;
            signer.sign(checkpoint.to_string().as_bytes())?.write(&target)
        });
        result.map_err(|cause| not_signed(&path, cause))?;
        Ok(Some(path))
    }
}

fn not_signed(path: &Path, cause: Error) -> Error {
    Error::from(ErrorKind::NotSigned { cause }).in_subject(&path.display().to_string())
}

/// Returns the path of a signature that was made.
pub fn shown(signed: &SignedPath) -> Option<String> {
    signed.as_ref().ok()?.as_ref().map(|path| path.display().to_string())
}

/// Prints the path of the signature, or returns the reason why there is none.
///
/// # Errors
/// [`ErrorKind::NotSigned`].
pub fn finish(signed: SignedPath, output: Output) -> patchwork_traces::Result<()> {
    if let Some(path) = signed? {
        output.notes(&[format!("the signature is in {}", path.display())]);
    }
    Ok(())
}
