//! `patchwork-traces man`.

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::Cli;
use crate::cli::commands::completions::print_text;
use crate::cli::failure::{CommandResult, Failure};
use crate::cli::help::{self, HelpText, Term};
use crate::cli::suggest;
use crate::cli::terminal::output::Output;
use crate::cli::usage_error::synonym;

/// Print the manual page of the program or of one command
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::MAN))]
pub struct ManArgs {
    /// The command [default: the program itself]
    command: Option<String>,
}

/// Runs the command.
pub fn run(args: &ManArgs, output: Output) -> CommandResult {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let command = match &args.command {
        None => program,
        Some(name) => subcommand(&program, name)?,
    };
    let page = page(command, help::of(args.command.as_deref())).map_err(Failure::Stdout)?;
    print_text(&page, output)
}

fn subcommand(program: &Command, name: &str) -> Result<Command, Failure> {
    let all: Vec<_> = program.get_subcommands().map(Command::get_name).collect();
    let Some(command) = program.find_subcommand(name).cloned() else {
        let hint = match synonym(name).or_else(|| suggest::closest(name, all.iter().copied())) {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => format!("possible values: {}", all.join(", ")),
        };
        return Err(Failure::Usage(format!("unknown command '{name}'"), hint));
    };
    let full_name = command.get_bin_name().unwrap_or(name).replace(' ', "-");
    Ok(command.name(full_name))
}

/// Renders the manual page of a command.
fn page(command: Command, help: &HelpText) -> std::io::Result<Vec<u8>> {
    let has_commands = command.has_subcommands();
    let source = format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    // An empty date would be replaced by the source.
    let man = Man::new(for_manual(command)).date(" ").source(source).manual("Traces");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    // Disables hyphenation and justification.
    Roff::new().control("nh", []).control("ad", ["l"]).to_writer(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    let mut more = Roff::new();
    for (heading, terms) in help.sections {
        term_section(&mut more, &heading.to_uppercase(), terms);
    }
    term_section(&mut more, "EXIT STATUS", &help.exit_status());
    term_section(&mut more, "ENVIRONMENT", &help.environment());
    more.control("SH", ["EXAMPLES"]);
    for (about, command) in help.examples {
        more.control("PP", []).text([roman(format!("{about}:"))]);
        // Commands are neither wrapped nor justified, so that they can be copied.
        more.control("PP", []).control("nf", []).text([bold(*command)]).control("fi", []);
    }
    if !has_commands {
        more.control("SH", ["SEE ALSO"]).text([bold("patchwork-traces"), roman("(1)")]);
    }
    more.to_writer(&mut page)?;
    Ok(page)
}

/// Prepares a command for its manual page: shows all options, capitalises headings, and uses the
/// usage line of `--help` as the synopsis.
fn for_manual(mut command: Command) -> Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    command = command.override_usage(usage).subcommand_help_heading("COMMANDS");
    command.mut_args(|argument| argument.hide_short_help(false))
}

/// Writes a section of terms with their descriptions.
fn term_section(page: &mut Roff, heading: &str, terms: &[Term]) {
    page.control("SH", [heading]);
    for (term, description) in terms {
        page.control("TP", []).text([bold(*term)]).text([roman(*description)]);
    }
}
