//! Uses keys through age plugins: programs named `age-plugin-NAME`, such as one for a hardware token.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use age::plugin::{IdentityPluginV1, RecipientPluginV1, ResolveError};
use age::secrecy::SecretString;
use age::{Callbacks, EncryptError};
use age_core::format::{FileKey, Stanza};

use super::passphrase::Passphrase;
use crate::error::{Error, ErrorKind, Result};

/// Asks the user on behalf of age plugins.
///
/// Escape the messages of plugins before printing them: they can contain control sequences.
pub trait PluginPrompt: Send + Sync {
    /// Shows a message, such as the request to touch a token.
    fn show(&self, message: &str);

    /// Asks for a decision. Returns true for `yes` and false for `no`, or `None` if no user can be asked.
    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool>;

    /// Asks for a text that is not secret. Returns `None` if no user can be asked.
    fn text(&self, message: &str) -> Option<String>;

    /// Asks for a secret, such as a PIN. Returns `None` if no user can be asked.
    fn secret(&self, message: &str) -> Option<Passphrase>;
}

/// The prompt that plugins use to ask the user, if there is one.
#[derive(Clone, Default)]
pub struct Prompt(pub Option<Arc<dyn PluginPrompt>>);

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "PluginPrompt" } else { "None" })
    }
}

impl Callbacks for Prompt {
    fn display_message(&self, message: &str) {
        if let Some(prompt) = &self.0 {
            prompt.show(message);
        }
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.0.as_ref()?.confirm(message, yes, no)
    }

    fn request_public_string(&self, message: &str) -> Option<String> {
        self.0.as_ref()?.text(message)
    }

    fn request_passphrase(&self, message: &str) -> Option<SecretString> {
        self.0.as_ref()?.secret(message).map(|secret| secret.secret())
    }
}

/// Unwraps the key of a file with the plugin of an identity. Returns `None` if the identity does not open the file.
///
/// # Errors
/// [`ErrorKind::AgePluginMissing`]. [`ErrorKind::AgePluginFailed`].
pub fn unwrap(identity: &age::plugin::Identity, prompt: &Prompt, stanzas: &[Stanza]) -> Option<Result<FileKey>> {
    let plugin = IdentityPluginV1::new(identity.plugin(), std::slice::from_ref(identity), prompt.clone());
    let plugin = match plugin {
        Ok(plugin) => plugin,
        Err(error) => return Some(Err(resolve_error(error))),
    };
    match age::Identity::unwrap_stanzas(&plugin, stanzas)? {
        Ok(key) => Some(Ok(key)),
        Err(error) => Some(Err(failed(identity.plugin(), &error.to_string()))),
    }
}

/// The recipients of one plugin.
pub struct PluginRecipients {
    name: String,
    plugin: RecipientPluginV1<Prompt>,
}

impl PluginRecipients {
    /// Groups recipients by their plugins.
    ///
    /// # Errors
    /// [`ErrorKind::AgePluginMissing`].
    pub fn group<'k>(
        recipients: impl Iterator<Item = &'k age::plugin::Recipient>,
        prompt: &Prompt,
    ) -> Result<Vec<Self>> {
        let recipients: Vec<_> = recipients.cloned().collect();
        let mut names: Vec<_> = recipients.iter().map(age::plugin::Recipient::plugin).collect();
        names.sort_unstable();
        names.dedup();
        let group = |name: &str| {
            let plugin = RecipientPluginV1::new(name, &recipients, &[], prompt.clone()).map_err(resolve_error)?;
            Ok(Self { name: name.to_owned(), plugin })
        };
        names.into_iter().map(group).collect()
    }
}

impl age::Recipient for PluginRecipients {
    fn wrap_file_key(&self, key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let wrapped = self.plugin.wrap_file_key(key);
        wrapped.map_err(|error| EncryptError::Io(failed(&self.name, &error.to_string()).into()))
    }
}

fn resolve_error(error: ResolveError) -> Error {
    match error {
        ResolveError::MissingPlugin { binary_name } => ErrorKind::AgePluginMissing { program: binary_name }.into(),
        other => {
            ErrorKind::AgePluginFailed { program: "age".to_owned(), message: first_line(&other.to_string()) }.into()
        }
    }
}

fn failed(plugin: &str, message: &str) -> Error {
    ErrorKind::AgePluginFailed { program: format!("age-plugin-{plugin}"), message: first_line(message) }.into()
}

/// Returns the first line of a message of the `age` crate, without the marks around names.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().replace(['\u{2068}', '\u{2069}'], "")
}
