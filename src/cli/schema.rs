//! `patchwork-traces schema`.

use clap::{Args, ValueEnum};
use patchwork_traces::format::schema::{manifest, row, schema_of};

use super::failure::{CommandResult, Exit};
use super::{help, output};

/// Print the JSON Schema of bundles, or of what --json prints
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::SCHEMA))]
pub struct SchemaArgs {
    /// Of what
    of: SchemaOf,
}

/// What there are schemas of.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum SchemaOf {
    /// The first line of a bundle
    Manifest,
    /// Every other line of a bundle
    Row,
    /// What `export --json` prints
    Export,
    /// What `import --json` prints
    Import,
    /// What `verify --json` prints
    Verify,
    /// What `recover --json` prints
    Recover,
    /// What `inspect --json` prints
    Inspect,
    /// The summary that `cat --json` prints
    Cat,
    /// What `demo --json` prints
    Demo,
    /// What `completions --json` prints
    Completions,
    /// What `man --json` prints
    Man,
    /// What every command prints on standard error when it fails with --json
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
        SchemaOf::Error => schema_of::<super::failure::ErrorJson>(),
        SchemaOf::Demo => schema_of::<super::demo::DemoJson>(),
    })?;
    Ok(Exit::Done)
}
