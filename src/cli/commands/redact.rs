//! `patchwork-traces redact`.

use std::io::stdout;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::detect::DetectOptions;
use patchwork_traces::format::Redaction;
use patchwork_traces::input::InputSummary;
use patchwork_traces::query::KeyPath;
use patchwork_traces::redact::{RedactOptions, RedactReport, RedactionKey, redact, redact_to_file};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::scan::{RuleArgs, rule_notes};
use crate::cli::complete;
use crate::cli::failure::{CommandResult, Failure};
use crate::cli::help;
use crate::cli::input::{input_notes, open_seekable};
use crate::cli::key_paths::KeyPathList;
use crate::cli::new_bundle::{NewBundle, NewBundleArgs, NewBundleJson};
use crate::cli::render::text::{counted, logs, rows, size};
use crate::cli::terminal::output::{Output, STDOUT};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{STRONG, paint};

/// Replace secrets and personal data in a bundle, to share it
///
/// Writes a new bundle in which everything that scan finds is replaced: equal values get equal names,
/// such as `user-1` and `secret-2`. Everything else is kept byte for byte. The new bundle is scanned
/// before it appears. `verify NEW --original OLD` shows that nothing else was changed.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::REDACT))]
pub struct RedactArgs {
    /// Bundle or history directory; `-` is standard input
    #[arg(value_hint = ValueHint::AnyPath)]
    bundle: PathBuf,

    /// File to write the new bundle to; `-` is standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,

    /// Derive names from this secret key
    ///
    /// Equal values then get equal names in every bundle. Without a key, names are numbered in the
    /// order of their first appearance. Use a file of at least 32 random bytes that no one else can
    /// read. Anyone who has the key can find the value behind a name by trying values.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,

    /// Remove this member of rows, such as body.text
    #[arg(long, value_name = "PATH", value_parser = key_path)]
    drop: Vec<KeyPath>,

    /// Remove all members of rows except these
    ///
    /// Always keeps the keys that give a row its time and identity: createdAt, timestamp, taskId, id
    /// and seq. Lines that are not rows are emptied, also with --drop.
    #[arg(long, value_name = "PATH,...")]
    keep_only: Vec<KeyPathList>,

    #[command(flatten)]
    rules: RuleArgs,

    /// Include only this source (repeatable)
    #[arg(long, value_name = "SOURCE", hide_short_help = true)]
    #[arg(add = ArgValueCompleter::new(complete::SourceCompleter))]
    source: Vec<String>,

    #[command(flatten)]
    new: NewBundleArgs,
}

/// Parses the path of a member.
fn key_path(text: &str) -> Result<KeyPath, String> {
    text.parse::<KeyPath>().map_err(|error| error.to_string())
}

/// The result of `redact --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces redact --json")]
pub struct RedactJson<'a> {
    #[serde(flatten)]
    bundle: NewBundleJson,
    /// The input.
    input: &'a InputSummary,
    /// The rules and options of the redaction, and how much was replaced.
    redaction: &'a Redaction,
    /// Notes for people.
    notes: &'a [String],
}

impl RedactArgs {
    fn options(&self) -> Result<RedactOptions, Failure> {
        let key = self.key_file.as_deref().map(RedactionKey::read).transpose()?;
        let keep_only: Vec<_> = self.keep_only.iter().flat_map(|KeyPathList(paths)| paths.iter().cloned()).collect();
        let mut options =
            RedactOptions::new(crate::cli::generator()).sources(&self.source).level(self.new.level).key(key);
        options = options.detect(self.rules.options()?).drop(self.drop.clone()).keep_only(keep_only);
        options.threads = self.new.threads.unwrap_or(options.threads);
        Ok(options)
    }
}

/// Runs the command.
pub fn run(args: &RedactArgs, output: Output) -> CommandResult {
    let (mut options, bundle) = (args.options()?, std::slice::from_ref(&args.bundle));
    let to = args.new.destination(&args.output, bundle, "-o - > shared.jsonl.gz", output)?;
    let input = open_seekable(&args.bundle, &to.keys)?;
    options.sealer = args.new.sealer(&to.keys)?;
    let bar = Bar::new(output);
    let report = match &to.target {
        Some(target) => redact_to_file(&input, &options, target, &bar)?,
        None => redact(&input, &options, (stdout().lock(), STDOUT), std::env::temp_dir(), &bar)?,
    };
    let bundle = NewBundle { manifest: &report.manifest, digest: report.digest, bytes: report.bundle_bytes };
    let notes = notes(&report, &options.detect);
    let json = |bundle| RedactJson { bundle, input: &report.input, redaction: &report.redaction, notes: &notes };
    to.report(&bundle, |path| headline(&report, path), json, &notes, output)
}

fn headline(report: &RedactReport, path: &str) -> String {
    let manifest = &report.manifest;
    format!(
        "{} {} in {}; wrote to {path}: {} from {}, {}\n",
        paint(STRONG, "replaced"),
        counted(report.redaction.replaced, "text", "texts"),
        counted(report.redaction.lines, "line", "lines"),
        rows(manifest.total_count),
        logs(manifest.files.len()),
        size(report.bundle_bytes)
    )
}

fn notes(report: &RedactReport, detect: &DetectOptions) -> Vec<String> {
    let mut notes = [input_notes(std::slice::from_ref(&report.input)), rule_notes(detect)].concat();
    notes.push(
        "`redact --help` lists what no redaction can find; look through the rows before you share them".to_owned(),
    );
    if !detect.is_everything() {
        notes.push("only some rules were used; the finds of the other rules were not replaced".to_owned());
    }
    notes
}
