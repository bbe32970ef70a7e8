//! Lets age plugins talk to the user on the terminal.

use patchwork_traces::container::{Passphrase, PluginPrompt};

use crate::cli::render::text::safe;
use crate::cli::terminal::output::print_message;
use crate::cli::terminal::passphrase::{ask, ask_shown};
use crate::cli::terminal::term::HINT;

/// Shows the messages of plugins on standard error, and asks on the terminal.
pub struct TerminalPluginPrompt;

impl PluginPrompt for TerminalPluginPrompt {
    fn show(&self, message: &str) {
        print_message(HINT, "note:", &safe(message));
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let Some(no) = no else {
            return ask_shown(&format!("{} [Enter: {}] ", safe(message), safe(yes))).ok().map(|_| true);
        };
        loop {
            let answer = ask_shown(&format!("{} [y: {}, n: {}] ", safe(message), safe(yes), safe(no))).ok()?;
            match answer.trim() {
                "y" | "Y" => return Some(true),
                "n" | "N" => return Some(false),
                _ => {}
            }
        }
    }

    fn text(&self, message: &str) -> Option<String> {
        ask_shown(&format!("{}: ", safe(message.trim_end_matches([':', ' '])))).ok()
    }

    fn secret(&self, message: &str) -> Option<Passphrase> {
        ask(&format!("{}: ", safe(message.trim_end_matches([':', ' '])))).ok()
    }
}
