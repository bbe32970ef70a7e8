//! `patchwork-traces schema`.

use clap::{Args, ValueEnum};
use patchwork_traces::format::schema::{manifest, row, schema_of};

use crate::cli::failure::CommandResult;
use crate::cli::help;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output;

/// Print the JSON Schema of bundles or of --json output
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::SCHEMA))]
pub struct SchemaArgs {
    /// The name of the schema
    #[arg(value_name = "NAME")]
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
    /// Output of `recover --json` for a history
    RecoverHistory,
    /// Output of `merge --json`
    Merge,
    /// Output of `filter --json`
    Filter,
    /// Output of `keep --json`
    Keep,
    /// Output of `diff --json`
    Diff,
    /// Output of `redact --json`
    Redact,
    /// Output of `scan --json`
    Scan,
    /// Output of `prove --json`
    Prove,
    /// Output of `report --json`
    #[cfg(feature = "report")]
    Report,
    /// Output of `sign --json`
    #[cfg(feature = "seal")]
    Sign,
    /// Output of `inspect --json`
    Inspect,
    /// Output of `inspect --keys --json`
    InspectKeys,
    /// Output of `inspect --json` for a history
    InspectHistory,
    /// Output of `inspect --json` with several bundles
    InspectSeveral,
    /// Summary of `cat --json`
    Cat,
    /// Output of `status --json`
    Status,
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
        SchemaOf::Export => schema_of::<crate::cli::commands::export::ExportJson>(),
        SchemaOf::Import => schema_of::<crate::cli::commands::import::ImportJson>(),
        SchemaOf::Verify => schema_of::<crate::cli::commands::verify::VerifyJson>(),
        SchemaOf::Recover => schema_of::<crate::cli::commands::recover::RecoverJson>(),
        SchemaOf::RecoverHistory => schema_of::<crate::cli::commands::recover::history::RecoverHistoryJson>(),
        SchemaOf::Merge => schema_of::<crate::cli::commands::merge::MergeJson>(),
        SchemaOf::Filter => schema_of::<crate::cli::commands::filter::FilterJson>(),
        SchemaOf::Keep => schema_of::<crate::cli::commands::keep::KeepJson>(),
        SchemaOf::Diff => schema_of::<crate::cli::commands::diff::DiffJson>(),
        #[cfg(feature = "report")]
        SchemaOf::Report => schema_of::<crate::cli::commands::report::ReportJson>(),
        SchemaOf::Redact => schema_of::<crate::cli::commands::redact::RedactJson>(),
        SchemaOf::Scan => schema_of::<crate::cli::commands::scan::ScanJson>(),
        SchemaOf::Prove => schema_of::<crate::cli::commands::prove::ProveJson>(),
        #[cfg(feature = "seal")]
        SchemaOf::Sign => schema_of::<crate::cli::commands::sign::SignJson>(),
        SchemaOf::Inspect => schema_of::<crate::cli::commands::inspect::InspectJson>(),
        SchemaOf::InspectKeys => schema_of::<crate::cli::commands::inspect::keys::InspectKeysJson>(),
        SchemaOf::InspectHistory => schema_of::<crate::cli::commands::inspect::history::InspectHistoryJson>(),
        SchemaOf::InspectSeveral => schema_of::<crate::cli::commands::inspect::several::InspectSeveralJson>(),
        SchemaOf::Cat => schema_of::<crate::cli::commands::cat::CatJson>(),
        SchemaOf::Completions | SchemaOf::Man => schema_of::<crate::cli::commands::completions::TextJson>(),
        SchemaOf::Error => schema_of::<crate::cli::terminal::error_report::ErrorJson>(),
        SchemaOf::Status => schema_of::<crate::cli::commands::status::StatusJson>(),
        SchemaOf::Demo => schema_of::<crate::cli::commands::demo::DemoJson>(),
    })?;
    Ok(Exit::Done)
}
