//! The command line: arguments, text and JSON output, exit codes. Only this module prints.

mod commands;
mod complete;
mod encryption;
mod failure;
mod help;
mod hint;
mod input;
mod key_paths;
mod new_bundle;
#[cfg(feature = "seal")]
mod plugin_prompt;
mod render;
mod row_filter;
#[cfg(feature = "seal")]
mod secrets;
#[cfg(feature = "seal")]
mod signing;
mod suggest;
mod terminal;
mod time;
mod usage_error;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::Path;

use clap::{Parser, Subcommand};
use patchwork_traces::format::Label;

use commands::filter::FilterArgs;
use commands::merge::MergeArgs;
use commands::redact::RedactArgs;
#[cfg(feature = "report")]
use commands::report;
#[cfg(feature = "seal")]
use commands::sign;
use commands::{
    cat, completions, demo, diff, export, filter, follow, import, inspect, keep, man, merge, prove, recover, redact,
    scan, schema, status, verify,
};
use failure::CommandResult;
use new_bundle::{interrupted_message, killed_message};
pub use terminal::exit::Exit;
use terminal::interrupt::{self, InterruptState};
use terminal::output::Output;
use terminal::panic;
use terminal::term::ColorWhen;

/// Bundle, restore, verify and search the trace logs of Patchwork OS
#[derive(Debug, Parser)]
#[command(name = "patchwork-traces", version, max_term_width = 80, styles = help::STYLES)]
#[command(subcommand_help_heading = "Commands", after_long_help = help::long(&help::PROGRAM))]
pub struct Cli {
    /// Print JSON instead of text, also for errors
    #[arg(long, global = true, display_order = 900)]
    json: bool,

    /// Print only results and errors
    #[arg(short, long, global = true, display_order = 901)]
    quiet: bool,

    /// When to use colour
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t, display_order = 902)]
    #[arg(help = "When to use colour: auto, always or never", hide_possible_values = true, hide_default_value = true)]
    color: ColorWhen,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    Verify(verify::VerifyArgs),
    Inspect(inspect::InspectArgs),
    Cat(cat::CatArgs),
    #[cfg(feature = "report")]
    Report(report::ReportArgs),
    Recover(recover::RecoverArgs),
    Merge(merge::MergeArgs),
    Filter(filter::FilterArgs),
    Keep(keep::KeepArgs),
    Diff(diff::DiffArgs),
    Scan(scan::ScanArgs),
    Redact(redact::RedactArgs),
    Prove(prove::ProveArgs),
    #[cfg(feature = "seal")]
    Sign(sign::SignArgs),
    Status(status::StatusArgs),
    /// Take a tour of the commands on built-in sample logs
    #[command(after_long_help = help::long(&help::DEMO))]
    Demo,
    Schema(schema::SchemaArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Runs the program with the arguments of this process.
pub fn run() -> Exit {
    if complete::answer() {
        return Exit::Done;
    }
    let flags = EarlyFlags::from_arguments();
    flags.color.apply();
    panic::install_hook(flags.json);
    match Cli::try_parse() {
        Ok(cli) => {
            let json = cli.json;
            cli.run().unwrap_or_else(|failure| failure.report(json))
        }
        Err(error) => usage_error::report(&error, flags.json),
    }
}

impl Cli {
    fn run(self) -> CommandResult {
        let output = Output { json: self.json, quiet: self.quiet };
        let Some(command) = self.command else { return status::run_without_command(output) };
        if let Some(state) = command.interrupt_state() {
            interrupt::watch(InterruptState { json: self.json, ..state });
        }
        match command {
            Command::Export(args) => export::run(&args, output),
            Command::Import(args) => import::run(args, output),
            Command::Verify(args) => verify::run(&args, output),
            Command::Recover(args) => recover::run(&args, output),
            Command::Merge(args) => merge::run(&args, output),
            Command::Filter(args) => filter::run(&args, output),
            Command::Keep(args) if args.follows() => follow::run(&args, output),
            Command::Keep(args) => keep::run(&args, output),
            Command::Diff(args) => diff::run(&args, output),
            Command::Redact(args) => redact::run(&args, output),
            Command::Scan(args) => scan::run(&args, output),
            Command::Prove(args) => prove::run(&args, output),
            #[cfg(feature = "seal")]
            Command::Sign(args) => sign::run(&args, output),
            Command::Inspect(args) => inspect::run(&args, output),
            Command::Cat(args) => cat::run(&args, output),
            #[cfg(feature = "report")]
            Command::Report(args) => report::run(&args, output),
            Command::Status(args) => status::run(&args, output),
            Command::Schema(args) => schema::run(&args),
            Command::Demo => demo::run(output),
            Command::Completions(args) => completions::run(&args, output),
            Command::Man(args) => man::run(&args, output),
        }
    }
}

impl Command {
    /// Returns the behaviour on an interrupt, or `None` for a command too short to handle one.
    fn interrupt_state(&self) -> Option<InterruptState> {
        let (at_once, ended, killed) = match self {
            Self::Export(args) => (false, args.interrupted_message(), args.killed_message()),
            Self::Import(_) => (
                false,
                "interrupted: no log was changed, and no temporary files remain",
                "interrupted: no log is half-written; the next import removes the temporary files of this one",
            ),
            Self::Verify(_) | Self::Diff(_) | Self::Scan(_) => {
                let message = "interrupted before the check finished: no verdict";
                (false, message, message)
            }
            Self::Recover(_) => (
                false,
                "interrupted: no bundle was written, and no temporary files remain; the damaged bundle is unchanged",
                "interrupted: no bundle was written, but a temporary file may remain; the damaged bundle is unchanged",
            ),
            Self::Merge(MergeArgs { output, .. })
            | Self::Filter(FilterArgs { output, .. })
            | Self::Redact(RedactArgs { output, .. }) => (false, interrupted_message(output), killed_message(output)),
            Self::Keep(args) if args.follows() => (
                false,
                "interrupted: the history is complete up to its last segment",
                "interrupted: the history is complete up to its last segment; a temporary file may remain",
            ),
            Self::Keep(_) => (
                false,
                "interrupted: no segment was added; the history and the logs are unchanged",
                "interrupted: the history is unchanged, or complete with a new segment; a temporary file may remain",
            ),
            Self::Cat(_) => (true, "interrupted: not all rows were printed", ""),
            #[cfg(feature = "report")]
            Self::Report(_) => (
                false,
                "interrupted: no report was written, and no temporary files remain",
                "interrupted: no report was written, but a temporary file may remain",
            ),
            Self::Inspect(_) => (true, "interrupted: the bundle or history is unchanged", ""),
            #[cfg(feature = "seal")]
            Self::Sign(_) => (
                false,
                "interrupted: nothing was signed",
                "interrupted: nothing was signed, but a temporary file may remain",
            ),
            Self::Status(_) => (true, "interrupted: the logs are unchanged", ""),
            Self::Prove(_) => (true, "interrupted: the history is unchanged", ""),
            Self::Demo => (
                false,
                "interrupted: the files of the tour were removed",
                "interrupted: the files of the tour may remain",
            ),
            Self::Schema(_) | Self::Completions(_) | Self::Man(_) => return None,
        };
        Some(InterruptState { at_once, ended, killed, json: false })
    }
}

/// The options that apply even if the command line is invalid.
struct EarlyFlags {
    json: bool,
    color: ColorWhen,
}

impl EarlyFlags {
    fn from_arguments() -> Self {
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

/// Returns the value of an environment variable that is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns true if an argument is `-`: standard input or output.
fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Returns true if an argument is a directory, which can only be a history.
fn is_history(path: &Path) -> bool {
    !is_dash(path) && path.is_dir()
}

/// Parses the name of a machine.
fn label(text: &str) -> Result<Label, &'static str> {
    Label::new(text).ok_or("expected 1 to 255 bytes without control characters")
}

/// Parses a number of threads.
fn threads(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "expected a number from 1; the default is one thread per core")
}

/// Returns the name and version of this program, for manifests.
fn generator() -> String {
    format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}
