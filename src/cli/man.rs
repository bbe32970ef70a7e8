//! `patchwork-traces man`.

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::failure::{CommandResult, Failure};
use super::help::{self, HelpText};
use super::output::Output;
use super::shell::print_text;
use super::{Cli, suggest};

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
        let hint = match suggest::closest(name, all.iter().copied()) {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => format!("possible values: {}", all.join(", ")),
        };
        return Err(Failure::Usage(format!("unknown command '{name}'"), hint));
    };
    let full_name = command.get_bin_name().unwrap_or(name).replace(' ', "-");
    Ok(command.name(full_name))
}

fn page(command: Command, help: &HelpText) -> std::io::Result<Vec<u8>> {
    let has_commands = command.has_subcommands();
    let source = format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    // An empty date would be replaced by the source.
    let man = Man::new(command).date(" ").source(source).manual("Patchwork OS traces");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    let mut more = Roff::new();
    more.control("SH", ["EXAMPLES"]);
    for (about, command) in help.examples {
        more.control("TP", []).text([roman(format!("{about}:"))]).text([bold(*command)]);
    }
    for (heading, body) in help.sections {
        more.control("SH", [heading.to_uppercase().as_str()]).control("nf", []);
        body.lines().for_each(|line| _ = more.text([roman(line)]));
        more.control("fi", []);
    }
    if !has_commands {
        more.control("SH", ["SEE ALSO"]).text([bold("patchwork-traces"), roman("(1)")]);
    }
    more.to_writer(&mut page)?;
    Ok(page)
}
