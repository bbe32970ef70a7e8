//! `patchwork-traces schema`.

use clap::{Args, ValueEnum};
use patchwork_traces::format::schema::{manifest, row, schema_of};

use super::exit::Exit;
use super::failure::CommandResult;
use super::{help, output};

/// Print the JSON Schema of bundles or of --json output
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::SCHEMA))]
pub struct SchemaArgs {
    /// The kind of JSON
    of: SchemaOf,
}

/// The kinds of JSON that have a schema.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum SchemaOf {
    /// The first line of a bundle
    Manifest,
    /// Every other line of a bundle
    Row,
    /// Output of `export --json`
    Export,
    /// Output of `import --json`
    Import,
    /// Output of `verify --json`
    Verify,
    /// Output of `recover --json`
    Recover,
    /// Output of `inspect --json`
    Inspect,
    /// Summary of `cat --json`
    Cat,
    /// Output of `demo --json`
    Demo,
    /// Output of `completions --json`
    Completions,
    /// Output of `man --json`
    Man,
    /// Error of any command with --json, on standard error
    Error,
}

/// Runs the command. A schema is JSON, with or without `--json`.
pub fn run(args: &SchemaArgs) -> CommandResult {
    output::print(&match args.of {
        SchemaOf::Manifest => manifest(),
        SchemaOf::Row => row(),
        SchemaOf::Export => schema_of::<super::export::ExportJson>(),
        SchemaOf::Import => schema_of::<super::import::ImportJson>(),
        SchemaOf::Verify => schema_of::<super::verify::VerifyJson>(),
        SchemaOf::Recover => schema_of::<super::recover::RecoverJson>(),
        SchemaOf::Inspect => schema_of::<super::inspect::InspectJson>(),
        SchemaOf::Cat => schema_of::<super::cat::CatJson>(),
        SchemaOf::Completions | SchemaOf::Man => schema_of::<super::shell::TextJson>(),
        SchemaOf::Error => schema_of::<super::error_report::ErrorJson>(),
        SchemaOf::Demo => schema_of::<super::demo::DemoJson>(),
    })?;
    Ok(Exit::Done)
}
