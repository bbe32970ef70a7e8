//! Messages about invalid command lines, in this program's words.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Error};

use crate::cli::Cli;
use crate::cli::failure::Failure;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{print, print_to_stderr};

/// Prints the requested help, or the error of the command line.
pub fn report(error: &Error, json: bool) -> Exit {
    let text = error.render().ansi().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match print(&text) {
            Ok(()) => Exit::Done,
            Err(error) => Failure::from(error).report(json),
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !json => {
            print_to_stderr(&text);
            Exit::Usage
        }
        _ => failure(error).report(json),
    }
}

fn failure(error: &Error) -> Failure {
    let (message, hint) = describe(error);
    Failure::Usage(message, hint)
}

/// Returns the message and the hint of a command-line error.
fn describe(error: &Error) -> (String, String) {
    let argument = first(error, ContextKind::InvalidArg);
    let option = option_name(&argument);
    let value = first(error, ContextKind::InvalidValue);
    let help = format!("see `{} --help`", command());
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let name = first(error, ContextKind::InvalidSubcommand);
            let meant = synonym(&name).map(|command| format!("that command is called '{command}' here"));
            let meant = meant.or_else(|| meant_by(error, ContextKind::SuggestedSubcommand));
            (format!("unknown command '{name}'"), meant.unwrap_or(help))
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let hint = value_hint(&argument, &arguments()).or_else(|| meant_by(error, ContextKind::SuggestedArg));
            let hint = hint.unwrap_or(help);
            (format!("unknown option '{option}'"), hint)
        }
        ErrorKind::UnknownArgument => {
            (format!("unexpected argument '{argument}'"), output_hint(&argument, &arguments()).unwrap_or(help))
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            (format!("missing value for {argument}"), possible_values(error).unwrap_or(help))
        }
        ErrorKind::InvalidValue => {
            let hint = meant_by(error, ContextKind::SuggestedValue).or_else(|| possible_values(error));
            (format!("invalid value '{value}' for {option}"), hint.unwrap_or(help))
        }
        ErrorKind::ValueValidation => {
            let reason = std::error::Error::source(error).map(ToString::to_string);
            (format!("invalid value '{value}' for {option}"), reason.unwrap_or(help))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = all(error, ContextKind::InvalidArg).join(" and ");
            (format!("missing {missing}"), usage(error).unwrap_or(help))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            ("missing command".to_owned(), help)
        }
        ErrorKind::ArgumentConflict => (conflict(error, &argument), help),
        _ => (first_line(error), help),
    }
}

fn conflict(error: &Error, argument: &str) -> String {
    let other = first(error, ContextKind::PriorArg);
    match other.is_empty() || other == argument {
        true => format!("{} was given more than once", option_name(argument)),
        false => format!("{} cannot be used with {}", option_name(argument), option_name(&other)),
    }
}

/// Returns the command that has this name in other programs, if any.
pub fn synonym(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "restore" | "unpack" | "extract" => "import",
        "check" | "validate" => "verify",
        "ls" | "list" | "info" | "show" => "inspect",
        "grep" | "search" | "query" | "head" | "tail" | "print" => "cat",
        "backup" | "create" | "pack" => "export",
        "repair" => "recover",
        "compare" | "cmp" => "diff",
        "select" | "subset" | "cut" => "filter",
        "anonymize" | "anonymise" | "sanitize" | "sanitise" | "mask" | "scrub" => "redact",
        "secrets" | "detect" | "leaks" | "audit" => "scan",
        "join" | "combine" | "concat" | "union" => "merge",
        _ => return None,
    })
}

/// Suggests `-o` for a surplus argument of a command that has that option and was given none.
fn output_hint(surplus: &str, arguments: &[String]) -> Option<String> {
    let program = Cli::command();
    let command = program.find_subcommand(named_command(&program, arguments)?)?;
    let has_output = command.get_arguments().any(|argument| argument.get_id() == "output");
    let is_given = arguments.iter().any(|text| text.starts_with("--output") || text.starts_with("-o"));
    (has_output && !is_given).then(|| format!("did you mean `-o {surplus}`?"))
}

/// Suggests `--grep=-x` for an unknown option that follows one with a value.
fn value_hint(unknown: &str, arguments: &[String]) -> Option<String> {
    let program = Cli::command();
    let command = program.find_subcommand(named_command(&program, arguments)?)?;
    let takes_value = |option: &str| {
        let mut options = command.get_arguments().filter(|argument| argument.get_action().takes_values());
        options.any(|argument| argument.get_long().is_some() && argument.get_long() == option.strip_prefix("--"))
    };
    let is_value = |pair: &&[String]| takes_value(&pair[0]) && pair[1].starts_with(unknown);
    let [option, value] = arguments.windows(2).find(is_value)? else { return None };
    Some(format!("if that is the value of {option}, write {option}='{value}'"))
}

/// Removes the placeholder of an option: `--since` for `--since <TIME>`. Leaves a positional argument
/// unchanged.
fn option_name(argument: &str) -> &str {
    match argument.starts_with('-') {
        true => argument.split([' ', '=']).next().unwrap_or(argument),
        false => argument,
    }
}

/// Returns all texts of a context.
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

fn meant_by(error: &Error, kind: ContextKind) -> Option<String> {
    let names = all(error, kind);
    (!names.is_empty()).then(|| format!("did you mean '{}'?", names.join("' or '")))
}

fn possible_values(error: &Error) -> Option<String> {
    let values = all(error, ContextKind::ValidValue);
    (!values.is_empty()).then(|| format!("possible values: {}", values.join(", ")))
}

/// Returns a line such as `usage: patchwork-traces cat [OPTIONS] <BUNDLE>`.
fn usage(error: &Error) -> Option<String> {
    match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => Some(usage.to_string().trim().replacen("Usage:", "usage:", 1)),
        _ => None,
    }
}

/// Returns the command to print help for: `patchwork-traces cat`, or the program if no command is recognised.
fn command() -> String {
    let named = named_command(&Cli::command(), &arguments()).map(str::to_owned);
    [Some(env!("CARGO_PKG_NAME").to_owned()), named].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Returns the arguments of this process that are valid Unicode.
fn arguments() -> Vec<String> {
    std::env::args_os().skip(1).filter_map(|argument| argument.into_string().ok()).collect()
}

/// Returns the first argument that is a command.
fn named_command<'a>(program: &clap::Command, arguments: &'a [String]) -> Option<&'a str> {
    arguments.iter().map(String::as_str).find(|argument| program.find_subcommand(argument).is_some())
}

/// Returns the first line of clap's message.
fn first_line(error: &Error) -> String {
    let text = error.render().to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{Cli, option_name, output_hint, synonym, value_hint};

    #[test]
    fn synonyms_name_existing_commands() {
        for (name, command) in [
            ("restore", "import"),
            ("check", "verify"),
            ("validate", "verify"),
            ("ls", "inspect"),
            ("info", "inspect"),
            ("grep", "cat"),
            ("Backup", "export"),
            ("leaks", "scan"),
            ("Anonymize", "redact"),
        ] {
            assert_eq!(synonym(name), Some(command));
            assert!(Cli::command().find_subcommand(command).is_some(), "{command}");
        }
        assert_eq!(synonym("frobnicate"), None);
    }

    #[test]
    fn an_unknown_option_after_one_with_a_value_may_be_that_value() {
        let hint = |line: &str, unknown: &str| {
            let arguments: Vec<_> = line.split(' ').map(str::to_owned).collect();
            value_hint(unknown, &arguments)
        };
        let expected = "if that is the value of --grep, write --grep='-rf'".to_owned();
        assert_eq!(hint("cat b.gz --grep -rf", "-r"), Some(expected));
        assert_eq!(hint("cat b.gz --latest -rf", "-r"), None);
        assert_eq!(hint("cat b.gz -rf", "-r"), None);
    }

    #[test]
    fn a_surplus_argument_is_suggested_as_output_if_the_command_has_none() {
        let hint = |line: &str| {
            let arguments: Vec<_> = line.split(' ').map(str::to_owned).collect();
            output_hint("e.gz", &arguments)
        };
        assert_eq!(hint("export e.gz").as_deref(), Some("did you mean `-o e.gz`?"));
        assert_eq!(hint("recover b.gz e.gz").as_deref(), Some("did you mean `-o e.gz`?"));
        for line in ["export -o a.gz e.gz", "export --output=a.gz e.gz", "cat b.gz e.gz", "e.gz"] {
            assert_eq!(hint(line), None, "{line}");
        }
    }

    #[test]
    fn only_options_lose_their_placeholder() {
        assert_eq!(option_name("--since <TIME>"), "--since");
        assert_eq!(option_name("<BUNDLE>..."), "<BUNDLE>...");
    }
}
