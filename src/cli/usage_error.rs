//! Command lines that are refused, in this program's words.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Error};

use super::Cli;
use super::failure::{Exit, Failure};
use super::output::{print, print_beside};

/// Prints the help that was asked for, or says what is wrong with the command line.
pub fn report(error: &Error, json: bool) -> Exit {
    let text = error.render().ansi().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match print(&text) {
            Ok(()) => Exit::Done,
            Err(failure) => failure.report(json),
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !json => {
            print_beside(&text);
            Exit::Usage
        }
        _ => failure(error).report(json),
    }
}

fn failure(error: &Error) -> Failure {
    let (message, hint) = refusal(error);
    Failure::Usage(message, hint)
}

/// What is wrong, and what to do instead.
fn refusal(error: &Error) -> (String, String) {
    let argument = first(error, ContextKind::InvalidArg);
    let value = first(error, ContextKind::InvalidValue);
    let help = |verb: &str| format!("`{} --help` {verb}", command());
    let more = help("says more");
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let name = first(error, ContextKind::InvalidSubcommand);
            (
                format!("there is no command '{name}'"),
                meant(error, ContextKind::SuggestedSubcommand).unwrap_or_else(|| help("lists them")),
            )
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let hint = meant(error, ContextKind::SuggestedArg).unwrap_or_else(|| help("lists them"));
            (format!("there is no option '{argument}' here"), hint)
        }
        ErrorKind::UnknownArgument => (format!("'{argument}' is one argument too many"), more),
        ErrorKind::InvalidValue if value.is_empty() => {
            (format!("'{argument}' needs a value"), one_of(error).unwrap_or(more))
        }
        ErrorKind::InvalidValue => {
            let hint = meant(error, ContextKind::SuggestedValue).or_else(|| one_of(error));
            (format!("'{value}' cannot stand for '{argument}'"), hint.unwrap_or(more))
        }
        ErrorKind::ValueValidation => {
            let reason = std::error::Error::source(error).map(ToString::to_string);
            (format!("'{value}' cannot stand for '{argument}'"), reason.unwrap_or(more))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = all(error, ContextKind::InvalidArg).join(" and ");
            (format!("{missing} is missing"), usage(error).unwrap_or(more))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            ("no command was named".to_owned(), more)
        }
        ErrorKind::ArgumentConflict => (conflict(error, &argument), more),
        _ => (plain(error), more),
    }
}

fn conflict(error: &Error, argument: &str) -> String {
    let other = first(error, ContextKind::PriorArg);
    match other.is_empty() || other == argument {
        true => format!("'{argument}' was given more than once"),
        false => format!("'{argument}' and '{other}' do not go together"),
    }
}

/// All texts of a context.
fn all(error: &Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

fn first(error: &Error, kind: ContextKind) -> String {
    all(error, kind).into_iter().next().unwrap_or_default()
}

fn meant(error: &Error, kind: ContextKind) -> Option<String> {
    let names = all(error, kind);
    (!names.is_empty()).then(|| format!("did you mean '{}'?", names.join("' or '")))
}

fn one_of(error: &Error) -> Option<String> {
    let values = all(error, ContextKind::ValidValue);
    (!values.is_empty()).then(|| format!("it is one of: {}", values.join(", ")))
}

/// `usage: patchwork-traces cat [OPTIONS] <BUNDLE>`.
fn usage(error: &Error) -> Option<String> {
    match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => Some(usage.to_string().trim().replacen("Usage:", "usage:", 1)),
        _ => None,
    }
}

/// `patchwork-traces cat`: the command that was meant, as far as it can be told.
fn command() -> String {
    let program = Cli::command();
    let named = std::env::args_os()
        .skip(1)
        .filter_map(|argument| argument.into_string().ok())
        .find(|argument| program.find_subcommand(argument).is_some());
    [Some(env!("CARGO_PKG_NAME").to_owned()), named].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// What clap says, on one line.
fn plain(error: &Error) -> String {
    let text = error.render().to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
