//! `patchwork-traces export`.

use std::io::{IsTerminal, stdout};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::digest::{BundleDigest, Sha256Digest};
use patchwork_traces::error::{Error, ErrorKind};
use patchwork_traces::export::Level;
use patchwork_traces::export::{ExportOptions, ExportReport, export, export_to_file};
use patchwork_traces::format::{Base, FileName, ManifestFile, SourceName, Timestamp};
use patchwork_traces::logs::{
    Dirs, DiscoverOptions, Discovery, ResolvedDirs, SkipReason, SkippedLog, discover, home_dir, known,
};
use patchwork_traces::{OutputTarget, TargetOptions};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::complete;
use crate::cli::encryption::{PassphraseArgs, SealArgs};
use crate::cli::failure::{CommandResult, Failure, check_stdout_is_kept};
use crate::cli::help;
use crate::cli::input::refuse_target_in_history;
use crate::cli::is_dash;
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{DIGEST_NOTE, count, logs, rows, safe, shell_word, size};
use crate::cli::row_filter::TimeArgs;
#[cfg(feature = "seal")]
use crate::cli::signing::{self, SignOption};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{Output, STDOUT};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{self, STRONG, paint};
use crate::cli::threads;
use crate::cli::time;

/// Bundle the logs of this machine into one file
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::EXPORT))]
pub struct ExportArgs {
    /// File to write the bundle to; `-` is standard output
    ///
    /// The default is `traces-export-<time>.jsonl.gz` in the Patchwork directory.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,

    /// Bundle only this source (repeatable)
    #[arg(long, value_name = "SOURCE", add = ArgValueCompleter::new(complete::SourceCompleter))]
    source: Vec<String>,

    #[command(flatten)]
    times: TimeArgs,

    /// Also bundle other *.jsonl logs in the Patchwork directory
    ///
    /// Patchwork's original importer rejects such a bundle; this program accepts it.
    #[arg(long)]
    include_other: bool,

    /// Compression level, from 0 (none) to 9 (slowest)
    #[arg(long, value_name = "N", default_value_t, value_parser = level, hide_short_help = true)]
    level: Level,

    /// Number of compression threads [default: one per core]
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = threads)]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    target: TargetArgs,

    #[cfg(feature = "seal")]
    #[command(flatten)]
    sign: SignOption,

    /// Write a bundle even if there are no logs, or none for a --source
    #[arg(long)]
    allow_empty: bool,

    #[command(flatten)]
    dirs: DirArgs,

    #[command(flatten)]
    passphrase: PassphraseArgs,

    #[command(flatten)]
    seal: SealArgs,
}

/// The options for writing the output file.
#[derive(Debug, Clone, Copy, Args)]
pub struct TargetArgs {
    /// Replace the output file if it exists
    #[arg(short, long)]
    force: bool,

    /// Create the directory of the output file if it is missing
    #[arg(long, requires = "output", hide_short_help = true)]
    create_dirs: bool,
}

impl From<TargetArgs> for TargetOptions {
    fn from(args: TargetArgs) -> Self {
        Self::default().replace(args.force).create_dirs(args.create_dirs)
    }
}

/// The directories of the logs.
#[derive(Debug, Default, Args)]
pub struct DirArgs {
    /// Patchwork's directory [default: `$PATCHWORK_HOME` or ~/.patchwork]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    patchwork_dir: Option<PathBuf>,

    /// Directory of the activity logs [default: `$CLAUDE_CONFIG_DIR/ide` or ~/.claude/ide]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    activity_dir: Option<PathBuf>,
}

impl DirArgs {
    /// Returns these options as text for a suggested command, each preceded by a space.
    pub fn repeated(&self) -> String {
        let options = [("--patchwork-dir", &self.patchwork_dir), ("--activity-dir", &self.activity_dir)];
        let given = options.iter().filter_map(|(option, dir)| {
            let dir = shell_word(dir.as_deref()?);
            // After a space, a value that begins with a hyphen would be parsed as an option.
            let separator = if dir.trim_start_matches(['\'', '$']).starts_with('-') { '=' } else { ' ' };
            Some(format!(" {option}{separator}{dir}"))
        });
        given.collect()
    }

    /// Returns the directories that these arguments and the environment name, existing or not.
    pub fn resolve(&self) -> patchwork_traces::Result<Dirs> {
        Ok(self.resolve_with_names()?.dirs)
    }

    /// Returns the same directories as `resolve`, after checking that those named explicitly exist.
    pub fn resolve_existing(&self) -> patchwork_traces::Result<Dirs> {
        let resolved = self.resolve_with_names()?;
        resolved.check_named()?;
        Ok(resolved.dirs)
    }

    fn resolve_with_names(&self) -> patchwork_traces::Result<ResolvedDirs> {
        let variable = |name: &str| std::env::var_os(name);
        Dirs::resolve(self.patchwork_dir.clone(), self.activity_dir.clone(), variable, home_dir())
    }
}

/// The result of `export --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces export --json")]
pub struct ExportJson<'a> {
    /// The path of the bundle; null if it was written to standard output.
    bundle: Option<String>,
    /// The digest of the bundle.
    digest: BundleDigest,
    /// The path of its signature; null without --sign.
    #[cfg(feature = "seal")]
    signature: Option<String>,
    /// The export time in the manifest.
    exported_at: Timestamp,
    /// The size of the bundle in bytes.
    bundle_bytes: u64,
    /// The number of rows in all files.
    total_rows: u64,
    /// The number of bytes in all logs.
    total_bytes: u64,
    /// The logs, in the order of the bundle.
    files: Vec<ExportedFileJson>,
    /// The logs in the Patchwork directory that are not bundled.
    skipped: &'a [SkippedLog],
    /// Notes for people.
    notes: &'a [String],
}

/// One log of the bundle.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ExportedFileJson {
    source: SourceName,
    file: FileName,
    base: Base,
    /// The path of the log.
    path: String,
    rows: u64,
    bytes: u64,
    unparsed_lines: u64,
    sha256: Option<Sha256Digest>,
}

impl ExportArgs {
    fn to_stdout(&self) -> bool {
        self.output.as_deref().is_some_and(is_dash)
    }

    /// Returns true if written data cannot be discarded: the output is standard output, a pipe or a device.
    fn to_stream(&self) -> bool {
        let is_stream = |path: &Path| path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
        self.to_stdout() || self.output.as_deref().is_some_and(is_stream)
    }

    /// Returns the message after an orderly stop.
    pub fn interrupted_message(&self) -> &'static str {
        match self.to_stream() {
            true => "interrupted: the output is incomplete and must not be kept; the logs are unchanged",
            false => "interrupted: no bundle was written, and no temporary files remain; the logs are unchanged",
        }
    }

    /// Returns the message after an immediate stop.
    pub fn killed_message(&self) -> &'static str {
        match self.to_stream() {
            true => self.interrupted_message(),
            false => "interrupted: no bundle was written, but a temporary file may remain; the logs are unchanged",
        }
    }
}

/// Parses a compression level.
pub fn level(text: &str) -> Result<Level, &'static str> {
    let level = text.parse().ok().and_then(Level::new);
    level.ok_or("expected a number from 0 (no compression) to 9 (slowest)")
}

/// Runs the command.
pub fn run(args: &ExportArgs, output: Output) -> CommandResult {
    if args.to_stdout() {
        check_stdout()?;
    }
    let dirs = args.dirs.resolve_existing()?;
    let exported_at = time::now()?;
    let selected = DiscoverOptions::default().sources(&args.source).include_other(args.include_other);
    let discovery = discover(&dirs, &selected.allow_empty(args.allow_empty))?;
    let default_path = || dirs.patchwork.join(default_name(exported_at, args.seal.is_given()));
    let path = args.output.clone().unwrap_or_else(default_path);
    let target = if args.to_stdout() { None } else { Some(target(args, &path)?) };
    #[cfg(feature = "seal")]
    let signing = args.sign.for_bundle(&path, target.as_ref(), args.target.into(), output)?;
    let mut options = ExportOptions::new(crate::cli::generator(), exported_at)
        .level(args.level)
        .range(args.times.range()?)
        .sealer(args.seal.sealer_without_inputs(&args.passphrase)?);
    options.threads = args.threads.unwrap_or(options.threads);
    let bar = Bar::new(output);
    let report = match &target {
        Some(target) => export_to_file(&discovery, &options, target, &bar)?,
        None => export(&discovery, &options, stdout().lock(), STDOUT, &bar)?,
    };
    #[cfg(feature = "seal")]
    let signed = signing.sign(&report.manifest, report.digest);
    let (notes, shown) = (notes(&discovery), target.map(|_| path.as_path()));
    let (text, json) = (|| as_text(&report, shown), as_json(&report, &discovery, shown, &notes));
    #[cfg(feature = "seal")]
    let json = ExportJson { signature: signing::shown(&signed), ..json };
    match shown {
        Some(_) => output.report_done(text, &json)?,
        None => output.report_to_stderr(text, &json)?,
    }
    output.notes(&notes);
    #[cfg(feature = "seal")]
    signing::finish(signed, output)?;
    Ok(Exit::Done)
}

/// Returns an error if standard output is a terminal or discards everything.
fn check_stdout() -> Result<(), Failure> {
    if stdout().is_terminal() {
        return Err(ErrorKind::TargetIsTerminal.into());
    }
    check_stdout_is_kept("the bundle", "-o - > traces.jsonl.gz")
}

/// Returns the output target. A missing Patchwork directory is not created.
fn target(args: &ExportArgs, path: &Path) -> Result<OutputTarget, Failure> {
    refuse_target_in_history(path)?;
    OutputTarget::resolve(path, args.target.into()).map_err(|error| match error.kind() {
        ErrorKind::NoTargetDirectory { .. } if args.output.is_none() => {
            let dir = error.position().subject.clone().unwrap_or_default();
            Failure::Error(Error::from(ErrorKind::NoTargetDirectory { is_default: true }).in_subject(&dir))
        }
        _ => Failure::Error(error),
    })
}

/// Returns `traces-export-2026-05-02T10-00-00.jsonl.gz`: the time to the second, in characters that every file system
/// allows in a name.
fn default_name(exported_at: Timestamp, is_encrypted: bool) -> String {
    let time = exported_at.to_string();
    let to_second = time.split('.').next().unwrap_or(&time);
    let end = if is_encrypted { ".age" } else { "" };
    format!("traces-export-{}.jsonl.gz{end}", to_second.replace(':', "-"))
}

fn notes(discovery: &Discovery) -> Vec<String> {
    let mut notes = Vec::new();
    let Dirs { patchwork, activity } = &discovery.dirs;
    if discovery.logs().next().is_none() {
        let places = format!("{} and {}", patchwork.display(), activity.display());
        notes.push(format!("no logs found in {places}; the bundle is empty"));
    }
    for (reason, explanation) in
        [(SkipReason::Other, "needs --include-other"), (SkipReason::NotSelected, "not selected with --source")]
    {
        let skipped = discovery.skipped.iter().filter(|log| log.reason == reason);
        let names: Vec<_> =
            skipped.filter_map(|log| log.path.file_name()).map(|name| safe(&name.to_string_lossy())).collect();
        if !names.is_empty() {
            notes.push(format!("not bundled: {} ({explanation})", names.join(", ")));
        }
    }
    let others: Vec<_> =
        discovery.logs().map(|log| log.id.source.as_str()).filter(|name| known(name).is_none()).collect();
    if !others.is_empty() {
        let sources = others.join(", ");
        notes.push(format!(
            "Patchwork's original importer rejects this bundle because it does not know these sources: {sources}"
        ));
    }
    notes
}

fn as_text(report: &ExportReport, path: Option<&Path>) -> String {
    let manifest = &report.manifest;
    let target = path.map_or_else(|| format!("to {STDOUT}"), |path| format!("into {}", path.display()));
    let (rows, logs) = (rows(manifest.total_count), logs(manifest.files.len()));
    let mut text = format!("{} {rows} from {logs} {}\n\n", paint(STRONG, "bundled"), safe(&target));
    if !manifest.files.is_empty() {
        text += &files_table(&manifest.files);
        text += "\n";
    }
    let sizes = format!("{}, from {} of logs", size(report.bundle_bytes), size(report.log_bytes()));
    text + &format!("size    {sizes}\ndigest  {}\n        {DIGEST_NOTE}\n", report.digest)
}

fn files_table(files: &[ManifestFile]) -> String {
    let columns = [
        Column::words("FILE", files.iter().map(|file| file.relative_path.to_string())),
        Column::words("SOURCE", files.iter().map(|file| file.source.to_string())),
        Column::numbers("ROWS", files.iter().map(|file| count(file.count))),
        Column::numbers("SIZE", files.iter().map(|file| size(file.bytes))),
        Column::numbers("UNPARSED LINES", files.iter().map(|file| count(file.unparsed_lines()))),
    ];
    table(&columns, &[&[0, 1, 2, 3, 4], &[0, 2, 3, 4], &[0, 2, 3]], term::width())
}

fn as_json<'a>(
    report: &ExportReport,
    discovery: &'a Discovery,
    path: Option<&Path>,
    notes: &'a [String],
) -> ExportJson<'a> {
    let files = report.files().map(|(path, file)| ExportedFileJson {
        source: file.source.clone(),
        file: file.relative_path.clone(),
        base: file.base(),
        path: path.display().to_string(),
        rows: file.count,
        bytes: file.bytes,
        unparsed_lines: file.unparsed_lines(),
        sha256: file.record().map(|record| record.sha256),
    });
    ExportJson {
        bundle: path.map(|path| path.display().to_string()),
        digest: report.digest,
        #[cfg(feature = "seal")]
        signature: None,
        exported_at: report.manifest.exported_at,
        bundle_bytes: report.bundle_bytes,
        total_rows: report.manifest.total_count,
        total_bytes: report.log_bytes(),
        files: files.collect(),
        skipped: &discovery.skipped,
        notes,
    }
}
