//! Signs with a key, and asks for its passphrase on the terminal.

use std::io;
use std::path::Path;

use patchwork_traces::error::{IoAction, SignatureFault};
use patchwork_traces::signature::{KeyPrompt, Signature, SigningKey};
use patchwork_traces::{Error, ErrorKind};
use secrecy::SecretString;

use crate::cli::render::text::safe;
use crate::cli::terminal::interrupt;
use crate::cli::terminal::output::{Output, print_message};
use crate::cli::terminal::passphrase;
use crate::cli::terminal::term::HINT;

/// A key that signs, and the terminal.
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
            let path = path.display();
            output.warning(&format!("{path}: other users can read this private key; run `chmod 600 {path}`"));
        }
        Ok(Self { key, terminal })
    }

    /// Signs the bytes of a manifest line without its line feed, or of a checkpoint.
    ///
    /// # Errors
    /// As [`SigningKey::sign`]. [`ErrorKind::Cancelled`] after an interrupt.
    pub fn sign(mut self, message: &[u8]) -> patchwork_traces::Result<Signature> {
        let signature = self.key.sign(message, &mut self.terminal);
        interrupt::check()?;
        signature
    }
}

/// Asks and tells on the terminal.
struct TerminalPrompt;

impl KeyPrompt for TerminalPrompt {
    fn passphrase(&mut self, key: &Path) -> patchwork_traces::Result<SecretString> {
        let path = key.display().to_string();
        passphrase::ask(&format!("Passphrase for {}: ", safe(&path))).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Error::from(ErrorKind::Signature(SignatureFault::PassphraseNeeded)).in_subject(&path)
            }
            // An error of the library, such as the cancellation, is handed on as it is.
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
