//! `patchwork-traces completions` and `patchwork-traces man`.

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use schemars::JsonSchema;
use serde::Serialize;

use super::Cli;
use super::failure::{Exit, Failure, Outcome};
use super::output;

/// Print a completion script for a shell
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print the manual page of the program or of one command
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command; the program itself when absent
    command: Option<String>,
}

/// The result of `completions --json` and `man --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of patchwork-traces completions --json and man --json")]
pub struct TextJson {
    /// The script or the page.
    text: String,
}

/// Prints a completion script.
pub fn completions(args: &CompletionsArgs, json: bool) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
    print_text(&script, json)
}

/// Prints a manual page.
pub fn man(args: &ManArgs, json: bool) -> Outcome {
    let mut program = Cli::command();
    program.build();
    let command = match &args.command {
        None => program,
        Some(name) => subcommand(&program, name)?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).map_err(Failure::Stdout)?;
    print_text(&page, json)
}

fn subcommand(program: &Command, name: &str) -> Result<Command, Failure> {
    let found = program.find_subcommand(name).cloned();
    let all: Vec<_> = program.get_subcommands().map(Command::get_name).collect();
    let command =
        found.ok_or_else(|| Failure::Usage(format!("there is no command {name:?}; there are: {}", all.join(", "))))?;
    let full_name = command.get_bin_name().unwrap_or(name).replace(' ', "-");
    Ok(command.name(full_name))
}

fn print_text(text: &[u8], json: bool) -> Outcome {
    let text = String::from_utf8_lossy(text).into_owned();
    output::print(&if json { output::json_text(&TextJson { text })? } else { text })?;
    Ok(Exit::Done)
}
