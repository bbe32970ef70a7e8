//! `patchwork-traces completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_complete::env::Shells;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::Cli;
use crate::cli::complete;
use crate::cli::failure::{CommandResult, Failure};
use crate::cli::help;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{self, Output};

/// Print a completion script for a shell
///
/// The script asks this program for completions, so it also completes the sources and files of a bundle, and does not
/// need to be updated with the program.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::COMPLETIONS))]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,

    /// Print a self-contained script, which completes commands and options only
    #[arg(long = "static")]
    is_static: bool,
}

/// The result of `completions --json` and `man --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Result of patchwork-traces completions --json and man --json")]
pub struct TextJson {
    /// The script or the page.
    text: String,
}

/// Runs the command.
pub fn run(args: &CompletionsArgs, output: Output) -> CommandResult {
    let name = env!("CARGO_PKG_NAME");
    let mut script = Vec::new();
    // Both lists have the same shells, so only `--static` leads to `None`.
    match Shells::builtins().completer(&args.shell.to_string()).filter(|_| !args.is_static) {
        Some(shell) => {
            shell.write_registration(complete::VARIABLE, name, name, name, &mut script).map_err(Failure::Stdout)?;
            script = adapted(args.shell, &String::from_utf8_lossy(&script)).into_bytes();
        }
        None => clap_complete::generate(args.shell, &mut Cli::command(), name, &mut script),
    }
    print_text(&script, output)
}

/// Adapts a script to package installation and to file names with spaces.
fn adapted(shell: Shell, script: &str) -> String {
    match shell {
        // Makes Readline quote completions that are file names.
        Shell::Bash => script.replace("complete -o nospace", "complete -o filenames -o nospace"),
        // When zsh loads the script from `fpath`, the script itself is the completion function.
        Shell::Zsh => script.replace(
            "\ncompdef _clap_dynamic_completer_patchwork_traces patchwork-traces",
            "\nif [[ \"${funcstack[1]}\" == _patchwork-traces ]]; then\n    _clap_dynamic_completer_patchwork_traces \"$@\"\nelse\n    \
             compdef _clap_dynamic_completer_patchwork_traces patchwork-traces\nfi",
        ),
        _ => script.to_owned(),
    }
}

/// Prints a script or a page unchanged.
pub fn print_text(text: &[u8], output: Output) -> CommandResult {
    let text = String::from_utf8_lossy(text).into_owned();
    output::print(&if output.json { output::json_text(&TextJson { text })? } else { text })?;
    Ok(Exit::Done)
}
