//! `patchwork-traces import`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::import::{
    Change, FilePlan, ImportOptions, ImportReport, Mode, Plan, SystemClock, import, import_all,
};
use patchwork_traces::input::InputSummary;
use patchwork_traces::logs::known;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::export::DirArgs;
use crate::cli::complete;
use crate::cli::encryption::KeyArgs;
use crate::cli::failure::CommandResult;
use crate::cli::help;
use crate::cli::input::{input_notes, open, open_all};
use crate::cli::render::rotation::{self, NextWrites};
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{count, counted, listed, logs, safe, size};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::Output;
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{self, STRONG, paint};
use crate::cli::threads;

/// Restore the logs of bundles or histories on this machine
///
/// Every log that differs is restored, verified and merged in a temporary file before the first one
/// is replaced. Until then, nothing is changed.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::IMPORT))]
pub struct ImportArgs {
    /// Bundles or history directories; `-` is standard input
    ///
    /// Several are merged first, as `merge` does, and imported together or not at all.
    #[arg(required = true, value_name = "BUNDLE", value_hint = ValueHint::AnyPath)]
    bundles: Vec<PathBuf>,

    /// Choose how to treat existing logs
    #[arg(long, value_enum, default_value_t = ModeArg::Merge)]
    mode: ModeArg,

    /// Show what would happen; change nothing
    #[arg(long)]
    dry_run: bool,

    /// Import only this source (repeatable)
    #[arg(long, value_name = "SOURCE", add = ArgValueCompleter::new(complete::SourceCompleter))]
    source: Vec<String>,

    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = threads)]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    dirs: DirArgs,

    #[command(flatten)]
    keys: KeyArgs,
}

/// The treatment of existing logs.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeArg {
    /// Keep the rows of both sides in time order; rows that both sides have are kept once
    Merge,
    /// Append the bundle's rows, duplicates included
    Append,
    /// Replace the local log, and keep it as a dated backup next to it
    Overwrite,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Merge => Self::Merge,
            ModeArg::Append => Self::Append,
            ModeArg::Overwrite => Self::Overwrite,
        }
    }
}

/// The result of `import --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces import --json")]
pub struct ImportJson<'a> {
    /// True if nothing was changed because of `--dry-run`.
    dry_run: bool,
    /// The digest of the bundle; null if several bundles, or a history, were imported.
    digest: Option<BundleDigest>,
    /// The bundles and histories, in the order in which they were named.
    inputs: &'a [InputSummary],
    /// True for a format 1.0 bundle, which has only rows and no hashes to verify them.
    rows_only: bool,
    /// True if every log was already up to date.
    unchanged: bool,
    files: &'a [FilePlan],
    /// The leftovers of an interrupted import that this one removed.
    cleaned_up: Vec<String>,
    /// The total effect of Patchwork's next writes on all logs; null if they delete, move and change
    /// nothing.
    next_writes: Option<NextWrites>,
    /// The same, as text for people.
    warning: Option<&'a str>,
    /// Notes for people.
    notes: &'a [String],
}

/// Runs the command.
pub fn run(args: ImportArgs, output: Output) -> CommandResult {
    let (dirs, keys) = (args.dirs.resolve()?, args.keys.keys(output)?);
    let mut options = ImportOptions::default().mode(args.mode.into()).sources(args.source).dry_run(args.dry_run);
    options.threads = args.threads.unwrap_or(options.threads);
    let bar = Bar::new(output);
    let report = match args.bundles.as_slice() {
        [bundle] if !bundle.is_dir() => import(open(bundle, &keys)?, &dirs, &options, &SystemClock, &bar)?,
        bundles => import_all(open_all(bundles, &keys)?, &dirs, &options, std::env::temp_dir(), &SystemClock, &bar)?,
    };
    let (warning, notes) = (rotation::warning(&report.plan, args.dry_run), notes(&report, args.dry_run));
    let (text, json) = (|| as_text(&report, args.dry_run), as_json(&report, args.dry_run, warning.as_deref(), &notes));
    if args.dry_run { output.report(text, &json) } else { output.report_done(text, &json) }?;
    output.notes(&notes);
    if let Some(warning) = &warning {
        output.warning(warning);
    }
    Ok(Exit::Done)
}

fn as_text(report: &ImportReport, dry_run: bool) -> String {
    let plan = &report.plan;
    let mut text = headline(plan, &report.inputs, dry_run);
    if !plan.files.is_empty() {
        text += "\n";
        text += &files_table(&plan.files, dry_run);
    }
    let is_kept = if dry_run { "would be kept" } else { "is kept" };
    let backups = plan.files.iter().filter_map(|file| Some((file, file.backup.as_ref()?)));
    let backups = backups
        .map(|(file, backup)| format!("the old {} {is_kept} as {}\n", file.file, safe(&backup.display().to_string())));
    let backups: String = backups.collect();
    if !backups.is_empty() {
        text = text + "\n" + &backups;
    }
    text
}

fn files_table(files: &[FilePlan], dry_run: bool) -> String {
    let columns = [
        Column::words("FILE", files.iter().map(|file| file.file.to_string())),
        Column::words("SOURCE", files.iter().map(|file| file.source.to_string())),
        Column::words("", files.iter().map(|file| change(file, dry_run).to_owned())),
        Column::numbers("NEW", files.iter().map(|file| count(file.new.all()))),
        Column::numbers("ALREADY THERE", files.iter().map(|file| count(file.already_there.all()))),
        Column::numbers("KEPT", files.iter().map(|file| count(file.kept.all()))),
        Column::numbers("SIZE", files.iter().map(|file| size(file.bytes_after))),
    ];
    table(&columns, &[&[0, 1, 2, 3, 4, 5, 6], &[0, 2, 3, 4, 5, 6], &[0, 2, 3, 4, 5], &[0, 2, 3]], term::width())
}

/// Returns text such as ` from 2 bundles`, or an empty string for a single bundle.
fn origin(inputs: &[InputSummary]) -> String {
    let segments = |input: &InputSummary| counted(input.bundles as u64, "segment", "segments");
    if let [InputSummary { history: None, .. }] = inputs {
        return String::new();
    }
    let bundles = inputs.iter().filter(|input| input.history.is_none()).count();
    let bundles = (bundles > 0).then(|| counted(bundles as u64, "bundle", "bundles"));
    let histories = inputs.iter().filter(|input| input.history.is_some());
    let histories = histories.map(|input| format!("the history {} ({})", safe(&input.name), segments(input)));
    let all: Vec<_> = bundles.into_iter().chain(histories).collect();
    format!(" from {}", listed(&all.iter().map(String::as_str).collect::<Vec<_>>()))
}

fn headline(plan: &Plan, inputs: &[InputSummary], dry_run: bool) -> String {
    let (origin, bundle) = (origin(inputs), if inputs.len() > 1 { "bundles" } else { "bundle" });
    let bundle = if inputs.iter().all(|input| input.history.is_some()) { "history" } else { bundle };
    let files = logs(plan.files.iter().filter(|file| file.change != Change::Nothing).count());
    let lines = counted(plan.new_lines().all(), "new line", "new lines");
    let (verb, rest) = match (plan.changes_nothing(), dry_run) {
        (true, true) => ("nothing would change", format!(": the logs already have everything in the {bundle}")),
        (true, false) => ("nothing changed", format!(": the logs already had everything in the {bundle}")),
        (false, true) => ("would import", format!(" {lines}{origin} into {files}; nothing was written")),
        (false, false) => ("imported", format!(" {lines}{origin} into {files}")),
    };
    format!("{}{rest}\n", paint(STRONG, verb))
}

fn change(file: &FilePlan, dry_run: bool) -> &'static str {
    match (file.change, file.backup.is_some(), dry_run) {
        (Change::Nothing, ..) => "unchanged",
        (Change::Created, _, false) => "created",
        (Change::Created, _, true) => "to create",
        (_, true, false) => "replaced",
        (_, true, true) => "to replace",
        (_, false, false) => "changed",
        (_, false, true) => "to change",
    }
}

fn notes(report: &ImportReport, dry_run: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if report.inputs.len() > 1 || report.inputs.iter().any(|input| !input.filter.is_empty()) {
        notes.extend(input_notes(&report.inputs));
    } else if report.rows_only {
        notes.push(
            "a format 1.0 bundle has only rows: it lacks unparsed lines, and has no hashes to verify the rows"
                .to_owned(),
        );
    }
    let is_written = report.plan.files.iter().any(|file| file.change != Change::Nothing);
    if report.inputs.iter().any(|input| input.is_redacted) && is_written {
        notes.push(
            "a redacted bundle has changed copies of rows: if you import its original later, the logs will have both"
                .to_owned(),
        );
    }
    let left = report.cleaned_up.iter();
    notes.extend(left.map(|path| format!("cleaned up after an interrupted import: {}", path.display())));
    let needs_restart = |file: &&FilePlan| {
        let is_held = known(file.source.as_str()).is_some_and(|source| source.is_held_in_memory);
        is_held && file.change == Change::Changed && file.bytes_before.is_some()
    };
    let changed: Vec<_> = report.plan.files.iter().filter(needs_restart).map(|file| file.file.as_str()).collect();
    notes.extend(rotation::note(&report.plan));
    if !dry_run && !changed.is_empty() {
        notes.push(format!("if Patchwork is running, restart it to see the new rows of {}", listed(&changed)));
    }
    notes
}

fn as_json<'a>(
    report: &'a ImportReport,
    dry_run: bool,
    warning: Option<&'a str>,
    notes: &'a [String],
) -> ImportJson<'a> {
    ImportJson {
        dry_run,
        digest: report.digest,
        inputs: &report.inputs,
        rows_only: report.rows_only,
        unchanged: report.plan.changes_nothing(),
        files: &report.plan.files,
        cleaned_up: report.cleaned_up.iter().map(|path| path.display().to_string()).collect(),
        next_writes: NextWrites::of(&report.plan),
        warning,
        notes,
    }
}
