//! `patchwork-traces redact`.

use std::io::{IsTerminal, stdout};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::export::Level;
use patchwork_traces::format::{Base, FileName, Redaction, SourceName};
use patchwork_traces::input::InputSummary;
use patchwork_traces::query::KeyPath;
use patchwork_traces::redact::{RedactOptions, RedactReport, RedactionKey, redact, redact_to_file};
use patchwork_traces::{ErrorKind, OutputTarget};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::export::{TargetArgs, level};
use crate::cli::commands::merge::{input_notes, refuse_input_as_target};
use crate::cli::commands::scan::RuleArgs;
use crate::cli::complete;
use crate::cli::encryption::{KeyArgs, SealArgs};
use crate::cli::failure::{CommandResult, Failure, check_stdout_keeps};
use crate::cli::help;
use crate::cli::input::open_all_seekable;
use crate::cli::is_dash;
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{DIGEST_NOTE, count, counted, logs, rows, safe, size};
#[cfg(feature = "seal")]
use crate::cli::signing::{self, SignOption};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{Output, STDOUT};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{self, STRONG, paint};
use crate::cli::threads;

/// Replace secrets and personal data in a bundle, to share it
///
/// Writes a new bundle in which everything that scan finds is replaced: equal values get equal names, such as `user-1` and
/// `secret-2`. All else stays byte for byte. The new bundle is scanned before it appears. `verify NEW --original OLD` shows
/// that nothing else was changed.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::REDACT))]
pub struct RedactArgs {
    /// Bundle or history directory; `-` is standard input
    #[arg(value_hint = ValueHint::AnyPath)]
    bundle: PathBuf,

    /// File to write the new bundle to; `-` is standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,

    /// Make names with this secret key
    ///
    /// Equal values then get equal names in every bundle. Without it, names are numbered in the order of their first appearance. Any file of 32 bytes or more will do, if they
    /// are random and nobody else can read it. Whoever has the key can find out by trial what a name stands for.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,

    /// Remove this member of rows, such as body.text
    #[arg(long, value_name = "PATH", value_parser = key_path)]
    drop: Vec<KeyPath>,

    /// Remove all members of rows but these
    ///
    /// The keys that give a row its time and tell rows apart stay: createdAt, timestamp, taskId, id, seq. Lines that are not
    /// rows are emptied, also by --drop.
    #[arg(long, value_name = "PATH,...", value_parser = key_paths)]
    keep_only: Vec<PathList>,

    #[command(flatten)]
    rules: RuleArgs,

    /// Take only this source (repeatable)
    #[arg(long, value_name = "SOURCE", add = ArgValueCompleter::new(complete::SourceCompleter))]
    source: Vec<String>,

    /// Compression level, from 0 (none) to 9 (slowest)
    #[arg(long, value_name = "N", default_value_t, hide_short_help = true, value_parser = level)]
    level: Level,

    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = threads)]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    target: TargetArgs,

    #[command(flatten)]
    keys: KeyArgs,

    #[command(flatten)]
    seal: SealArgs,

    #[cfg(feature = "seal")]
    #[command(flatten)]
    sign: SignOption,
}

/// Parses the path of a member.
fn key_path(text: &str) -> Result<KeyPath, String> {
    text.parse::<KeyPath>().map_err(|error| error.to_string())
}

/// Paths of members, separated by commas.
#[derive(Debug, Clone)]
struct PathList(Vec<KeyPath>);

fn key_paths(text: &str) -> Result<PathList, String> {
    KeyPath::parse_list(text).map(PathList).map_err(|error| error.to_string())
}

/// The result of `redact --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces redact --json")]
pub struct RedactJson<'a> {
    /// The path of the new bundle; null if it was written to standard output.
    bundle: Option<String>,
    /// The digest of the new bundle.
    digest: BundleDigest,
    /// The path of its signature; null without --sign.
    #[cfg(feature = "seal")]
    signature: Option<String>,
    /// Its size in bytes.
    bundle_bytes: u64,
    /// The number of rows in all its files.
    total_rows: u64,
    /// The number of bytes in all its logs.
    total_bytes: u64,
    /// The input.
    input: &'a InputSummary,
    /// How it was redacted, as its manifest records it.
    redaction: &'a Redaction,
    /// The logs, in the order of the bundle.
    files: Vec<RedactedFileJson>,
    /// Notes for people.
    notes: &'a [String],
}

/// One log of the new bundle.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RedactedFileJson {
    source: SourceName,
    file: FileName,
    base: Base,
    rows: u64,
    bytes: u64,
    unparsed_lines: u64,
}

impl RedactArgs {
    fn to_stdout(&self) -> bool {
        is_dash(&self.output)
    }

    /// Returns the message after an orderly stop.
    pub fn interrupted_message(&self) -> &'static str {
        match self.to_stdout() {
            true => "interrupted: the output is incomplete and must not be kept; the input is unchanged",
            false => "interrupted: no bundle was written, and no temporary files remain; the input is unchanged",
        }
    }

    /// Returns the message after an immediate stop.
    pub fn killed_message(&self) -> &'static str {
        match self.to_stdout() {
            true => self.interrupted_message(),
            false => "interrupted: no bundle was written, but a temporary file may remain; the input is unchanged",
        }
    }

    fn options(&self) -> Result<RedactOptions, Failure> {
        let key = self.key_file.as_deref().map(RedactionKey::read).transpose()?;
        let keep_only: Vec<_> = self.keep_only.iter().flat_map(|PathList(paths)| paths.iter().cloned()).collect();
        let mut options = RedactOptions::new(crate::cli::generator()).sources(&self.source).level(self.level).key(key);
        options = options.detect(self.rules.options()).drop(self.drop.clone()).keep_only(keep_only);
        options.sealer = self.seal.sealer(self.keys.passphrase())?;
        options.threads = self.threads.unwrap_or(options.threads);
        Ok(options)
    }
}

/// Runs the command.
pub fn run(args: &RedactArgs, output: Output) -> CommandResult {
    if args.to_stdout() {
        if stdout().is_terminal() {
            return Err(ErrorKind::TargetIsTerminal.into());
        }
        check_stdout_keeps("the bundle", "-o - > shared.jsonl.gz")?;
    }
    let bundle = std::slice::from_ref(&args.bundle);
    refuse_input_as_target(&args.output, bundle)?;
    let target = match args.to_stdout() {
        true => None,
        false => Some(OutputTarget::resolve(&args.output, args.target.into())?),
    };
    #[cfg(feature = "seal")]
    let signing = args.sign.for_bundle(&args.output, target.as_ref(), args.target.into(), output)?;
    let options = args.options()?;
    let inputs = open_all_seekable(bundle, &args.keys.keys(output)?)?;
    let [input] = inputs.as_slice() else { return Err(Failure::usage("nothing to redact", "name a bundle")) };
    let bar = Bar::new(output);
    let report = match &target {
        Some(target) => redact_to_file(input, &options, target, &bar)?,
        None => redact(input, &options, (stdout().lock(), STDOUT), std::env::temp_dir(), &bar)?,
    };
    #[cfg(feature = "seal")]
    let signed = signing.sign(&report.manifest, report.digest);
    let (notes, shown) = (notes(&report, args), target.map(|_| args.output.as_path()));
    let (text, json) = (|| as_text(&report, shown), as_json(&report, shown, &notes));
    #[cfg(feature = "seal")]
    let json = RedactJson { signature: signing::shown(&signed), ..json };
    match shown {
        Some(_) => output.report_done(text, &json)?,
        None => output.report_to_stderr(text, &json)?,
    }
    output.notes(&notes);
    #[cfg(feature = "seal")]
    signing::finish(signed, output)?;
    Ok(Exit::Done)
}

fn as_text(report: &RedactReport, path: Option<&Path>) -> String {
    let manifest = &report.manifest;
    let path = path.map_or_else(|| STDOUT.to_owned(), |path| safe(&path.display().to_string()));
    let mut text = format!(
        "{} {} in {} into {path}: {} from {}, {}\n",
        paint(STRONG, "replaced"),
        counted(report.redaction.replaced, "text", "texts"),
        counted(report.redaction.lines, "line", "lines"),
        rows(manifest.total_count),
        logs(manifest.files.len()),
        size(report.bundle_bytes)
    );
    if !manifest.files.is_empty() {
        let files = &manifest.files;
        let columns = [
            Column::words("FILE", files.iter().map(|file| file.relative_path.to_string())),
            Column::words("SOURCE", files.iter().map(|file| file.source.to_string())),
            Column::numbers("ROWS", files.iter().map(|file| count(file.count))),
            Column::numbers("UNPARSED LINES", files.iter().map(|file| count(file.unparsed_lines()))),
            Column::numbers("SIZE", files.iter().map(|file| size(file.bytes))),
        ];
        text += "\n";
        text += &table(&columns, &[&[0, 1, 2, 3, 4], &[0, 2, 3, 4], &[0, 2, 4], &[0, 2]], term::width());
    }
    text + &format!("\ndigest  {}\n        {DIGEST_NOTE}\n", report.digest)
}

fn notes(report: &RedactReport, args: &RedactArgs) -> Vec<String> {
    let mut notes = input_notes(std::slice::from_ref(&report.input));
    notes.push(
        "`redact --help` lists what no redaction can find; look through the rows before you share them".to_owned(),
    );
    if !args.rules.options().is_everything() {
        notes.push("only some rules were used; what the others would find is still there".to_owned());
    }
    notes
}

fn as_json<'a>(report: &'a RedactReport, path: Option<&Path>, notes: &'a [String]) -> RedactJson<'a> {
    let manifest = &report.manifest;
    let files = manifest.files.iter().map(|file| RedactedFileJson {
        source: file.source.clone(),
        file: file.relative_path.clone(),
        base: file.base(),
        rows: file.count,
        bytes: file.bytes,
        unparsed_lines: file.unparsed_lines(),
    });
    RedactJson {
        bundle: path.map(|path| path.display().to_string()),
        digest: report.digest,
        #[cfg(feature = "seal")]
        signature: None,
        bundle_bytes: report.bundle_bytes,
        total_rows: manifest.total_count,
        total_bytes: manifest.files.iter().map(|file| file.bytes).sum(),
        input: &report.input,
        redaction: &report.redaction,
        files: files.collect(),
        notes,
    }
}
