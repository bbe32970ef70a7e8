//! The options that decrypt the inputs and encrypt the output.

#[cfg(feature = "seal")]
use std::path::{Path, PathBuf};
#[cfg(feature = "seal")]
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use clap::Args;
#[cfg(feature = "seal")]
use clap::ValueHint;
use patchwork_traces::container::{DecryptionKeys, Sealer};
#[cfg(feature = "seal")]
use patchwork_traces::container::{Passphrase, PassphraseRequest, Recipient};
#[cfg(feature = "seal")]
use patchwork_traces::error::{Encryption, Error, ErrorKind, IoAction};

use crate::cli::failure::Failure;
#[cfg(feature = "seal")]
use crate::cli::plugin_prompt::TerminalPluginPrompt;
#[cfg(feature = "seal")]
use crate::cli::render::text::safe;
#[cfg(feature = "seal")]
use crate::cli::secrets::warning_if_exposed;
use crate::cli::terminal::output::Output;
#[cfg(feature = "seal")]
use crate::cli::terminal::passphrase;

/// The environment variable that has the passphrase, if no option gives one.
#[cfg(feature = "seal")]
const VARIABLE: &str = "PATCHWORK_TRACES_PASSPHRASE";

/// The options that open encrypted bundles.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// File of age identities, for encrypted bundles
    ///
    /// The file has identities (secret keys), as `age-keygen` writes them. If the file is encrypted
    /// with a passphrase, as by `age -p`, give the passphrase by an option or on the terminal. Can be
    /// repeated.
    #[cfg(feature = "seal")]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, display_order = 800)]
    identity: Vec<PathBuf>,

    #[command(flatten)]
    passphrase: PassphraseArgs,
}

/// The options that give a passphrase.
#[derive(Debug, Args)]
pub struct PassphraseArgs {
    /// File whose first line is the passphrase [default: `$PATCHWORK_TRACES_PASSPHRASE`, or ask]
    #[cfg(feature = "seal")]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(hide_short_help = true, display_order = 801)]
    passphrase_file: Option<PathBuf>,

    /// File descriptor to read the passphrase from
    #[cfg(all(feature = "seal", unix))]
    #[arg(long, value_name = "N", conflicts_with = "passphrase_file", hide_short_help = true, display_order = 802)]
    passphrase_fd: Option<u16>,

    /// The passphrase, once it has been read.
    #[cfg(feature = "seal")]
    #[arg(skip)]
    already_read: OnceLock<Passphrase>,
}

/// The options that encrypt the output.
#[derive(Debug, Args)]
pub struct SealArgs {
    /// Encrypt to this age recipient (public key)
    ///
    /// Recipients begin with age1. Those of plugins, such as age1yubikey1..., need the plugin on PATH.
    /// Can be repeated.
    #[cfg(feature = "seal")]
    #[arg(short, long, value_name = "KEY", conflicts_with = "passphrase", display_order = 803)]
    recipient: Vec<String>,

    /// Encrypt to each age recipient in this file (repeatable)
    #[cfg(feature = "seal")]
    #[arg(short = 'R', long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "passphrase", hide_short_help = true, display_order = 804)]
    recipients_file: Vec<PathBuf>,

    /// Encrypt with a passphrase, using age
    ///
    /// Opening such a file takes about a second, so -r suits a history with many segments better.
    #[cfg(feature = "seal")]
    #[arg(short, long, hide_short_help = true, display_order = 805)]
    passphrase: bool,
}

impl KeyArgs {
    /// Returns the keys that these options name. They ask for a passphrase when a bundle needs one, up
    /// to three times, and try a correct one on the next file, too.
    #[cfg(feature = "seal")]
    pub fn keys(&self, output: Output) -> Result<DecryptionKeys, Failure> {
        let secrets = self.identity.iter().chain(&self.passphrase.passphrase_file);
        secrets.filter_map(|path| warning_if_exposed(path)).for_each(|warning| output.warning(&warning));
        let keys = self.identity.iter().try_fold(DecryptionKeys::default(), DecryptionKeys::identity_file)?;
        let (given, asked) = (self.passphrase.given()?, AskedPassphrase::default());
        let keys = keys.plugin_prompt(Arc::new(TerminalPluginPrompt));
        Ok(keys.ask_passphrase(move |request| match (&given, request.rejected) {
            (Some(passphrase), 0) => Ok(passphrase.clone()),
            (Some(_), _) => Err(ErrorKind::DecryptionFailed.into()),
            (None, _) => asked.get(request),
        }))
    }

    /// Returns no keys.
    #[cfg(not(feature = "seal"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "with the feature `seal` both are needed")]
    pub fn keys(&self, _: Output) -> Result<DecryptionKeys, Failure> {
        Ok(DecryptionKeys::default())
    }

    /// Returns the options that give a passphrase.
    pub fn passphrase(&self) -> &PassphraseArgs {
        &self.passphrase
    }
}

#[cfg(feature = "seal")]
impl PassphraseArgs {
    /// Returns true if an option gives a passphrase.
    fn is_named(&self) -> bool {
        #[cfg(unix)]
        let by_descriptor = self.passphrase_fd.is_some();
        #[cfg(not(unix))]
        let by_descriptor = false;
        self.passphrase_file.is_some() || by_descriptor
    }

    /// Returns the passphrase from the options or the environment. Reads it only once, because a pipe
    /// cannot be read again.
    fn given(&self) -> patchwork_traces::Result<Option<Passphrase>> {
        if let Some(passphrase) = self.already_read.get() {
            return Ok(Some(passphrase.clone()));
        }
        let passphrase = self.read_given()?;
        Ok(passphrase.map(|passphrase| self.already_read.get_or_init(|| passphrase).clone()))
    }

    fn read_given(&self) -> patchwork_traces::Result<Option<Passphrase>> {
        if let Some(path) = &self.passphrase_file {
            return read(path).map(Some);
        }
        #[cfg(unix)]
        match self.passphrase_fd {
            // A bundle can follow the line.
            Some(0) => {
                let passphrase = Passphrase::read(std::io::stdin().lock());
                return passphrase.map(Some).map_err(|error| error.in_subject(crate::cli::terminal::output::STDIN));
            }
            Some(descriptor) => return read(Path::new(&format!("/dev/fd/{descriptor}"))).map(Some),
            None => {}
        }
        match std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) {
            None => Ok(None),
            Some(text) => {
                let passphrase = Passphrase::read(text.as_encoded_bytes());
                passphrase.map(Some).map_err(|error| error.in_subject(VARIABLE))
            }
        }
    }
}

/// Reads the passphrase in a file.
#[cfg(feature = "seal")]
fn read(path: &Path) -> patchwork_traces::Result<Passphrase> {
    let file = std::fs::File::open(path).map_err(|error| Error::io(IoAction::Open, path, error))?;
    Passphrase::read(file).map_err(|error| error.in_subject(&path.display().to_string()))
}

/// The maximum number of attempts to type the passphrase of a file.
#[cfg(feature = "seal")]
const MAX_ATTEMPTS: u32 = 3;

/// The passphrase that was typed last. It is tried for other files, too.
#[cfg(feature = "seal")]
#[derive(Default)]
struct AskedPassphrase(Mutex<Option<TypedPassphrase>>);

#[cfg(feature = "seal")]
struct TypedPassphrase {
    passphrase: Passphrase,
    /// The number of times that a passphrase was asked for, for the file that this one was typed for.
    asked: u32,
}

#[cfg(feature = "seal")]
impl AskedPassphrase {
    /// Returns the passphrase typed for an earlier file if this file has rejected none yet; otherwise
    /// asks.
    fn get(&self, request: &PassphraseRequest<'_>) -> patchwork_traces::Result<Passphrase> {
        let mut typed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = match (request.rejected, typed.as_mut()) {
            (0, Some(typed)) => {
                typed.asked = 0;
                return Ok(typed.passphrase.clone());
            }
            (0, None) => 0,
            (_, before) => before.map_or(0, |typed| typed.asked),
        };
        // Forgets the rejected passphrase, so that the next file asks for its own.
        *typed = None;
        if asked == MAX_ATTEMPTS {
            return Err(ErrorKind::DecryptionFailed.into());
        }
        let passphrase = ask(request)?;
        *typed = Some(TypedPassphrase { passphrase: passphrase.clone(), asked: asked + 1 });
        Ok(passphrase)
    }
}

/// Asks for the passphrase of a file on the terminal. If there is no terminal, returns the error that
/// the file needs a passphrase.
#[cfg(feature = "seal")]
fn ask(request: &PassphraseRequest<'_>) -> patchwork_traces::Result<Passphrase> {
    let name = safe(request.name);
    let prompt = match request.rejected {
        0 => format!("Passphrase of {name}: "),
        // Patchwork's encryption cannot tell the two cases apart.
        _ if request.encryption == Encryption::Patchwork => {
            format!("Wrong passphrase, or the file was changed. Passphrase of {name}: ")
        }
        _ => format!("Wrong passphrase. Passphrase of {name}: "),
    };
    passphrase::ask(&prompt).map_err(|error| match error.downcast::<Error>() {
        Ok(cancelled) => cancelled,
        Err(_) => ErrorKind::Encrypted(request.encryption).into(),
    })
}

impl SealArgs {
    /// Returns the sealer for the output of a command that reads no bundle.
    ///
    /// # Errors
    /// As [`sealer`](Self::sealer), and if a passphrase is given that would not encrypt the output.
    #[cfg(feature = "seal")]
    pub fn sealer_without_inputs(&self, from: &PassphraseArgs) -> Result<Option<Sealer>, Failure> {
        self.refuse_unused_passphrase(from)?;
        self.sealer(from)
    }

    /// Returns an error if a passphrase is given that would not encrypt the output. For commands that
    /// have nothing to decrypt.
    #[cfg(feature = "seal")]
    pub fn refuse_unused_passphrase(&self, from: &PassphraseArgs) -> Result<(), Failure> {
        match !self.passphrase && from.is_named() {
            true => Err(Failure::usage("a passphrase is given, but nothing uses it", "add -p to encrypt with it")),
            false => Ok(()),
        }
    }

    /// Does nothing.
    #[cfg(not(feature = "seal"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "with the feature `seal` both are needed")]
    pub fn refuse_unused_passphrase(&self, _: &PassphraseArgs) -> Result<(), Failure> {
        Ok(())
    }

    /// Returns the sealer for the output of a command that reads bundles with `keys`.
    ///
    /// # Errors
    /// As [`sealer`](Self::sealer), and if one passphrase would open an identity and encrypt the output.
    #[cfg(feature = "seal")]
    pub fn sealer_with_keys(&self, from: &PassphraseArgs, keys: &DecryptionKeys) -> Result<Option<Sealer>, Failure> {
        if self.passphrase && keys.has_locked_identities() && from.given()?.is_some() {
            let message = "one passphrase is given, but -i and -p each need their own";
            let hint = "run the command on a terminal without it to be asked for both, or encrypt with -r";
            return Err(Failure::usage(message, hint));
        }
        self.sealer(from)
    }

    /// Returns `None`.
    #[cfg(not(feature = "seal"))]
    pub fn sealer_with_keys(&self, from: &PassphraseArgs, _: &DecryptionKeys) -> Result<Option<Sealer>, Failure> {
        self.sealer(from)
    }

    /// Returns true if the output is to be encrypted.
    #[cfg(feature = "seal")]
    pub fn is_given(&self) -> bool {
        self.passphrase || !self.recipient.is_empty() || !self.recipients_file.is_empty()
    }

    /// Returns false.
    #[cfg(not(feature = "seal"))]
    #[allow(clippy::unused_self, reason = "with the feature `seal` it is needed")]
    pub fn is_given(&self) -> bool {
        false
    }

    /// Returns `None`.
    #[cfg(not(feature = "seal"))]
    pub fn sealer_without_inputs(&self, from: &PassphraseArgs) -> Result<Option<Sealer>, Failure> {
        self.sealer(from)
    }

    /// Returns the sealer for the output, or `None` if the output is not to be encrypted.
    #[cfg(feature = "seal")]
    pub fn sealer(&self, from: &PassphraseArgs) -> Result<Option<Sealer>, Failure> {
        if self.passphrase {
            return Ok(Some(Sealer::to_passphrase(match from.given()? {
                Some(passphrase) => passphrase,
                None => new_passphrase()?,
            })));
        }
        let mut recipients = Vec::new();
        for text in &self.recipient {
            recipients.push(text.parse::<Recipient>().map_err(|kind| Error::from(kind).in_subject("--recipient"))?);
        }
        for path in &self.recipients_file {
            recipients.extend(Recipient::read_file(path)?);
        }
        match recipients.is_empty() {
            true => Ok(None),
            false => Ok(Some(Sealer::to_recipients(recipients)?.plugin_prompt(Arc::new(TerminalPluginPrompt)))),
        }
    }

    /// Returns `None`.
    #[cfg(not(feature = "seal"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "with the feature `seal` both are needed")]
    pub fn sealer(&self, _: &PassphraseArgs) -> Result<Option<Sealer>, Failure> {
        Ok(None)
    }
}

/// Asks for a new passphrase, twice.
#[cfg(feature = "seal")]
fn new_passphrase() -> Result<Passphrase, Failure> {
    let hint = "run the command in a terminal, or use --passphrase-file";
    let no_terminal = || Failure::usage("there is no terminal to ask for the passphrase", hint);
    let asked = |prompt| {
        passphrase::ask(prompt).map_err(|error| error.downcast::<Error>().map_or_else(|_| no_terminal(), Failure::from))
    };
    let first = asked("New passphrase: ")?;
    if first.is_empty() {
        return Err(Failure::usage("the passphrase is empty", "run the command again"));
    }
    match first == asked("Repeat the passphrase: ")? {
        true => Ok(first),
        false => Err(Failure::usage("the passphrases differ", "run the command again")),
    }
}
