//! Arguments, rendering and exit codes: the only part that prints.

mod axis;
mod cat;
mod complete;
mod demo;
mod export;
mod failure;
mod findings;
mod help;
mod import;
mod input;
mod inspect;
mod interrupt;
mod man;
mod output;
mod panic;
mod progress;
mod recover;
mod rotation;
mod schema;
mod shell;
mod stdin;
mod suggest;
mod table;
mod term;
mod text;
mod time;
mod timeline;
mod usage_error;
mod verify;
mod zone;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::Path;

use clap::{Parser, Subcommand};

use failure::CommandResult;
pub use failure::Exit;
use interrupt::InterruptState;
use output::Output;
use term::ColorWhen;

/// Bundle, restore, verify and search the trace logs of Patchwork OS
#[derive(Debug, Parser)]
#[command(name = "patchwork-traces", version, arg_required_else_help = true, styles = help::STYLES)]
#[command(subcommand_help_heading = "Commands", after_long_help = help::long(&help::PROGRAM))]
pub struct Cli {
    /// Print one JSON object instead of text, also for errors
    #[arg(long, global = true, display_order = 900)]
    json: bool,

    /// Print only what was asked for and what went wrong
    #[arg(short, long, global = true, display_order = 901)]
    quiet: bool,

    /// When to use colour
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t, display_order = 902)]
    #[arg(help = "When to use colour: auto, always or never", hide_possible_values = true, hide_default_value = true)]
    color: ColorWhen,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    Verify(verify::VerifyArgs),
    Inspect(inspect::InspectArgs),
    Cat(cat::CatArgs),
    Recover(recover::RecoverArgs),
    /// Take a tour of the commands on built-in sample logs
    #[command(after_long_help = help::long(&help::DEMO))]
    Demo,
    Schema(schema::SchemaArgs),
    Completions(shell::CompletionsArgs),
    Man(man::ManArgs),
}

/// Runs the program with the arguments of this process.
pub fn run() -> Exit {
    if complete::answer() {
        return Exit::Done;
    }
    let asked = EarlyFlags::of_arguments();
    asked.color.apply();
    panic::report_in_words(asked.json);
    match Cli::try_parse() {
        Ok(cli) => {
            let json = cli.json;
            cli.run().unwrap_or_else(|failure| failure.report(json))
        }
        Err(error) => usage_error::report(&error, asked.json),
    }
}

impl Cli {
    fn run(self) -> CommandResult {
        let output = Output { json: self.json, quiet: self.quiet };
        if let Some(state) = self.command.when_interrupted() {
            interrupt::watch(InterruptState { json: self.json, ..state });
        }
        match self.command {
            Command::Export(args) => export::run(&args, output),
            Command::Import(args) => import::run(args, output),
            Command::Verify(args) => verify::run(&args, output),
            Command::Recover(args) => recover::run(&args, output),
            Command::Inspect(args) => inspect::run(&args, output),
            Command::Cat(args) => cat::run(args, output),
            Command::Schema(args) => schema::run(&args),
            Command::Demo => demo::run(output),
            Command::Completions(args) => shell::run(&args, output),
            Command::Man(args) => man::run(&args, output),
        }
    }
}

impl Command {
    /// What an interrupt leaves of this command. `None` where it is over before anybody interrupts it.
    fn when_interrupted(&self) -> Option<InterruptState> {
        let (at_once, ended, killed) = match self {
            Self::Export(args) => (false, args.when_interrupted(), args.when_killed()),
            Self::Import(_) => (
                false,
                "no log was changed, and nothing was left behind",
                "no log is half-written; the next import removes what this one left behind",
            ),
            Self::Verify(_) => {
                let unsaid = "not everything was checked, so nothing is said about the rest";
                (false, unsaid, unsaid)
            }
            Self::Recover(_) => (
                false,
                "no bundle was written and nothing was left behind; the damaged one is as it was",
                "no bundle was written, but a temporary file beside it may be left; the damaged one is as it was",
            ),
            Self::Cat(_) => (true, "not all rows were printed", ""),
            Self::Inspect(_) => (true, "the bundle is as it was", ""),
            Self::Demo => (false, "the tour's files were removed", "the tour's files may be left"),
            Self::Schema(_) | Self::Completions(_) | Self::Man(_) => return None,
        };
        Some(InterruptState { at_once, ended, killed, json: false })
    }
}

/// What must be known of the command line even where it is wrong.
struct EarlyFlags {
    json: bool,
    color: ColorWhen,
}

impl EarlyFlags {
    fn of_arguments() -> Self {
        let arguments: Vec<_> = std::env::args_os().skip(1).take_while(|argument| argument != "--").collect();
        let colors = ["always", "never"].map(|name| {
            let pair = |pair: &[OsString]| pair[0] == "--color" && pair[1] == name;
            arguments.windows(2).any(pair) || arguments.iter().any(|argument| *argument == *format!("--color={name}"))
        });
        let color = match colors {
            [true, _] => ColorWhen::Always,
            [_, true] => ColorWhen::Never,
            _ => ColorWhen::Auto,
        };
        Self { json: arguments.iter().any(|argument| argument == "--json"), color }
    }
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether an argument names standard input or output.
fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A number of threads.
fn threads(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "it is a number from 1 on; without it there is one thread for each core")
}

/// One thread for each core.
fn one_per_core() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// This program, as manifests name it.
fn generator() -> String {
    format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}
