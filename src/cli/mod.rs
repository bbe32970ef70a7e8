//! Arguments, rendering and exit codes: the only part that prints.

mod cat;
mod demo;
mod export;
mod failure;
mod import;
mod inspect;
mod output;
mod progress;
mod recover;
mod schema;
mod shell;
mod time;
mod verify;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

pub use failure::Exit;
use failure::Outcome;

/// Bundle, read and audit the trace logs of Patchwork OS.
#[derive(Debug, Parser)]
#[command(name = "patchwork-traces", version, arg_required_else_help = true, disable_help_subcommand = true)]
#[command(after_help = failure::EXIT_CODES)]
pub struct Cli {
    /// Print one JSON object instead of text for people
    #[arg(long, global = true)]
    json: bool,

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
    Schema(schema::SchemaArgs),
    /// Take a tour of the commands on built-in sample logs
    Demo,
    Completions(shell::CompletionsArgs),
    Man(shell::ManArgs),
}

/// Runs the program with the arguments of this process.
pub fn run() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::report_usage(&error),
    };
    let json = cli.json;
    cli.run().unwrap_or_else(|failure| failure.report(json))
}

impl Cli {
    fn run(self) -> Outcome {
        let json = self.json;
        match self.command {
            Command::Export(args) => export::run(&args, json),
            Command::Import(args) => import::run(args, json),
            Command::Verify(args) => verify::run(&args, json),
            Command::Recover(args) => recover::run(&args, json),
            Command::Inspect(args) => inspect::run(&args, json),
            Command::Cat(args) => cat::run(args, json),
            Command::Schema(args) => schema::run(&args),
            Command::Demo => demo::run(json),
            Command::Completions(args) => shell::completions(&args, json),
            Command::Man(args) => shell::man(&args, json),
        }
    }
}

/// An environment variable that is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// This program, as manifests name it.
fn generator() -> String {
    format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}
