//! `patchwork-traces import`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::format::{Base, FileName, SourceName};
use patchwork_traces::import::{
    Change, FilePlan, ImportOptions, ImportReport, LineCount, Mode, Plan, SystemClock, import,
};
use patchwork_traces::logs::known;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::commands::export::DirArgs;
use crate::cli::complete;
use crate::cli::failure::CommandResult;
use crate::cli::help;
use crate::cli::input::open;
use crate::cli::render::rotation;
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{count, counted, listed, logs, safe, size};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::Output;
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{self, STRONG, paint};
use crate::cli::threads;

/// Restore the logs of a bundle on this machine
///
/// Every log that differs is restored, verified and merged in a temporary file before the first one is replaced. Until then, nothing
/// is changed.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::IMPORT))]
pub struct ImportArgs {
    /// The bundle; `-` is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    bundle: PathBuf,

    /// What to do with existing logs
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
pub struct ImportJson {
    /// True if nothing was changed because of `--dry-run`.
    dry_run: bool,
    /// The digest of the bundle.
    digest: BundleDigest,
    /// True for a format 1.0 bundle, which has only rows and no hashes to verify them.
    rows_only: bool,
    /// True if every log was already up to date.
    unchanged: bool,
    files: Vec<ImportedFileJson>,
    /// The leftovers of an interrupted import that this one removed.
    cleaned_up: Vec<String>,
    /// The change that Patchwork's next writes make to all logs together; null if they delete, move and change nothing.
    next_writes: Option<NextWritesJson>,
    /// The same, as text for people.
    warning: Option<String>,
    /// Notes for people.
    notes: Vec<String>,
}

/// One log.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ImportedFileJson {
    source: SourceName,
    file: FileName,
    base: Base,
    /// The path of the log. A symlink there is followed and kept.
    path: String,
    /// `nothing`, `created` or `changed`.
    change: &'static str,
    /// Lines that are added to the log.
    new: LinesJson,
    /// Lines of the bundle that this machine already has.
    already_there: LinesJson,
    /// Lines of the local log that are kept.
    kept: LinesJson,
    /// Lines of the local log that only the backup keeps.
    replaced: LinesJson,
    /// The length before the import; null if the log did not exist.
    bytes_before: Option<u64>,
    bytes_after: u64,
    /// The change that Patchwork's next write makes to the log, if the log is then longer than 1 MiB.
    rotation: Option<RotationJson>,
    /// The path of the backup, if the old version is replaced.
    backup: Option<String>,
}

/// A number of lines.
#[derive(Debug, Serialize, JsonSchema)]
struct LinesJson {
    rows: u64,
    /// Lines that are not rows.
    unparsed: u64,
}

/// The change that Patchwork's next write makes to a log.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RotationJson {
    /// Lines removed from the log, not counting blank ones.
    trimmed: LinesJson,
    /// Lines that remain in the log.
    left: LinesJson,
    /// The archive to which trimmed lines are moved; null if none are.
    moved_to: Option<&'static str>,
    /// Trimmed lines that are in the archive afterwards. All others are deleted.
    moved: LinesJson,
    /// Lines deleted from the archive because it becomes too long in turn.
    lost_from_archive: LinesJson,
    /// Blank lines that are deleted.
    blank: u64,
    /// True if remaining lines contain invalid UTF-8, which is replaced.
    replaces_invalid_utf8: bool,
}

/// Lines that Patchwork's next write deletes from a log.
#[derive(Debug, Serialize, JsonSchema)]
struct DeletedJson {
    file: String,
    deleted: LinesJson,
}

/// The change that Patchwork's next writes make to all logs together.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct NextWritesJson {
    /// Lines that are deleted from all logs.
    deleted: LinesJson,
    /// Lines that are moved to an archive.
    moved: LinesJson,
    /// The logs that lines are deleted from, archives included.
    deleted_from: Vec<DeletedJson>,
}

impl From<LineCount> for LinesJson {
    fn from(lines: LineCount) -> Self {
        Self { rows: lines.rows, unparsed: lines.unparsed }
    }
}

/// Runs the command.
pub fn run(args: ImportArgs, output: Output) -> CommandResult {
    let dirs = args.dirs.resolve()?;
    let threads = args.threads.unwrap_or(ImportOptions::default().threads);
    let options = ImportOptions { mode: args.mode.into(), sources: args.source, dry_run: args.dry_run, threads };
    let bundle = open(&args.bundle)?;
    let report = import(bundle, &dirs, &options, &SystemClock, &Bar::new(output))?;
    let (warning, notes) = (rotation::warning(&report.plan, args.dry_run), notes(&report, args.dry_run));
    let (text, json) =
        (|| as_text(&report.plan, args.dry_run), as_json(&report, args.dry_run, warning.as_deref(), &notes));
    if args.dry_run { output.report(text, &json) } else { output.report_done(text, &json) }?;
    output.notes(&notes);
    if let Some(warning) = &warning {
        output.warning(warning);
    }
    Ok(Exit::Done)
}

fn as_text(plan: &Plan, dry_run: bool) -> String {
    let mut text = headline(plan, dry_run);
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

fn headline(plan: &Plan, dry_run: bool) -> String {
    let files = logs(plan.files.iter().filter(|file| file.change != Change::Nothing).count());
    let lines = counted(plan.new_lines().all(), "new line", "new lines");
    let (verb, rest) = match (plan.changes_nothing(), dry_run) {
        (true, true) => ("nothing would change", ": the logs already have everything in the bundle".to_owned()),
        (true, false) => ("nothing changed", ": the logs already had everything in the bundle".to_owned()),
        (false, true) => ("would import", format!(" {lines} into {files}; nothing was written")),
        (false, false) => ("imported", format!(" {lines} into {files}")),
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
    if report.rows_only {
        notes.push(
            "a format 1.0 bundle has only rows: it lacks unparsed lines, and has no hashes to verify the rows"
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

fn as_json(report: &ImportReport, dry_run: bool, warning: Option<&str>, notes: &[String]) -> ImportJson {
    let files = report.plan.files.iter().map(|file| ImportedFileJson {
        source: file.source.clone(),
        file: file.file.clone(),
        base: file.base,
        path: file.path.display().to_string(),
        change: match file.change {
            Change::Nothing => "nothing",
            Change::Created => "created",
            _ => "changed",
        },
        new: file.new.into(),
        already_there: file.already_there.into(),
        kept: file.kept.into(),
        replaced: file.replaced.into(),
        bytes_before: file.bytes_before,
        bytes_after: file.bytes_after,
        rotation: file.rotation.as_ref().map(|rotation| RotationJson {
            trimmed: rotation.trimmed.into(),
            left: rotation.left.into(),
            moved_to: rotation.moved_to,
            moved: rotation.moved.into(),
            lost_from_archive: rotation.lost_from_archive.into(),
            blank: rotation.blank,
            replaces_invalid_utf8: rotation.replaces_invalid_utf8,
        }),
        backup: file.backup.as_ref().map(|path| path.display().to_string()),
    });
    ImportJson {
        dry_run,
        digest: report.digest,
        rows_only: report.rows_only,
        unchanged: report.plan.changes_nothing(),
        files: files.collect(),
        cleaned_up: report.cleaned_up.iter().map(|path| path.display().to_string()).collect(),
        next_writes: next_writes(&report.plan),
        warning: warning.map(str::to_owned),
        notes: notes.to_vec(),
    }
}

fn next_writes(plan: &Plan) -> Option<NextWritesJson> {
    let total = rotation::NextWrites::of(plan)?;
    let losses = total.losses.into_iter().map(|(file, lines)| DeletedJson { file, deleted: lines.into() });
    Some(NextWritesJson { deleted: total.deleted.into(), moved: total.moved.into(), deleted_from: losses.collect() })
}
