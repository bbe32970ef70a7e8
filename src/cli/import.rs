//! `patchwork-traces import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::format::{Base, FileName, SourceName};
use patchwork_traces::import::{
    Change, FilePlan, ImportOptions, ImportReport, LineCount, Mode, Plan, Rotation, SystemClock, import,
};
use schemars::JsonSchema;
use serde::Serialize;

use super::export::DirArgs;
use super::failure::{Exit, Outcome};
use super::inspect::open;
use super::output::{self, count, counted, note};
use super::progress::Bar;

/// Put the logs of a bundle back where they belong
///
/// Every log is restored, proven and merged beside its place before the first one is put there. Until then, nothing is
/// changed.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The bundle; `-` is standard input
    bundle: PathBuf,

    /// What to do with logs that are there already
    #[arg(long, value_enum, default_value_t = ModeArg::Merge)]
    mode: ModeArg,

    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,

    /// Import only this source (may be given several times)
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,

    #[command(flatten)]
    dirs: DirArgs,
}

/// What to do with logs that are there already.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeArg {
    /// Keep every row of both sides, none twice, in order of time
    Merge,
    /// Put the bundle's rows behind the local ones, whatever these are
    Append,
    /// Replace the local log, and keep it as a dated backup beside it
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
    /// Whether this is only what would be done.
    dry_run: bool,
    /// The digest of the bundle.
    digest: BundleDigest,
    /// Whether the bundle has rows only, and no hashes to prove them by: 1.0.
    rows_only: bool,
    /// Whether every log is as it should be already.
    unchanged: bool,
    files: Vec<ImportedFileJson>,
    /// What an import that was killed had left, and this one removed.
    cleaned_up: Vec<String>,
}

/// One log.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ImportedFileJson {
    source: SourceName,
    file: FileName,
    base: Base,
    /// Where it is. A link there is followed, and stays.
    path: String,
    /// `nothing`, `created` or `changed`.
    change: &'static str,
    /// Lines that it gets.
    new: LinesJson,
    /// Lines of the bundle that this machine has already.
    already_there: LinesJson,
    /// Lines that it had and keeps.
    kept: LinesJson,
    /// Lines that it had and that only the backup keeps.
    replaced: LinesJson,
    /// Its length before; null when it was not there.
    bytes_before: Option<u64>,
    bytes_after: u64,
    /// What Patchwork's next write cuts off, if the log is then too long.
    rotation: Option<RotationJson>,
    /// Where its old version is kept, if that is replaced.
    backup: Option<String>,
}

/// A number of lines.
#[derive(Debug, Serialize, JsonSchema)]
struct LinesJson {
    rows: u64,
    /// Lines that are no rows.
    unparsed: u64,
}

/// What Patchwork's next write cuts off.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RotationJson {
    trimmed: LinesJson,
    left: LinesJson,
    /// The log to which the rows are moved; null when they are lost.
    moved_to: Option<&'static str>,
}

impl From<LineCount> for LinesJson {
    fn from(lines: LineCount) -> Self {
        Self { rows: lines.rows, unparsed: lines.unparsed }
    }
}

/// Runs the command.
pub fn run(args: ImportArgs, json: bool) -> Outcome {
    let dirs = args.dirs.resolve()?;
    let options = ImportOptions { mode: args.mode.into(), sources: args.source, dry_run: args.dry_run };
    let bundle = open(&args.bundle)?;
    let report = import(bundle, &dirs, &options, &SystemClock, &Bar::new())?;
    let text = match json {
        true => output::json_text(&as_json(&report, args.dry_run))?,
        false => as_text(&report.plan, args.dry_run),
    };
    let printed = if args.dry_run { output::print(&text) } else { output::print_done(&text) };
    print_notes(&report);
    printed?;
    Ok(Exit::Done)
}

fn as_text(plan: &Plan, dry_run: bool) -> String {
    let mut text = headline(plan, dry_run);
    if !plan.files.is_empty() {
        let lines = plan.files.iter().map(|file| {
            vec![
                file.file.to_string(),
                file.source.to_string(),
                change(file.change, file.backup.is_some(), dry_run).to_owned(),
                count(file.new.all()),
                count(file.already_there.all()),
                count(file.kept.all()),
                count(file.bytes_after),
            ]
        });
        text += "\n";
        text += &output::table(&["FILE", "SOURCE", "", ">NEW LINES", ">ALREADY THERE", ">KEPT", ">BYTES AFTER"], lines);
    }
    for (file, backup) in plan.files.iter().filter_map(|file| Some((file, file.backup.as_ref()?))) {
        let is = if dry_run { "would be kept" } else { "is kept" };
        text += &format!("\nthe old {} {is} as {}\n", file.file, backup.display());
    }
    text
}

fn headline(plan: &Plan, dry_run: bool) -> String {
    let files = plan.files.iter().filter(|file| file.change != Change::Nothing).count() as u64;
    let lines = counted(plan.new_lines().all(), "new line", "new lines");
    match (plan.changes_nothing(), dry_run) {
        (true, true) => "nothing would change: everything in the bundle is here already\n".to_owned(),
        (true, false) => "nothing changed: everything in the bundle was here already\n".to_owned(),
        (false, true) => format!("{lines} would come into {}; nothing was written\n", counted(files, "log", "logs")),
        (false, false) => format!("imported {lines} into {}\n", counted(files, "log", "logs")),
    }
}

fn change(change: Change, has_backup: bool, dry_run: bool) -> &'static str {
    match (change, dry_run) {
        (Change::Nothing, _) => "unchanged",
        (Change::Created, false) => "created",
        (Change::Created, true) => "would be created",
        (_, false) if has_backup => "replaced",
        (_, true) if has_backup => "would be replaced",
        (_, false) => "changed",
        (_, true) => "would change",
    }
}

fn print_notes(report: &ImportReport) {
    if report.rows_only {
        note(
            "a bundle of format 1.0 has rows only, without hashes to prove them: lines that were no rows are not in it",
        );
    }
    for path in &report.cleaned_up {
        note(&format!("removed what an import that was killed had left: {}", path.display()));
    }
    for (file, rotation) in report.plan.files.iter().filter_map(|file| Some((file, file.rotation.as_ref()?))) {
        note(&rotation_text(file, rotation));
    }
}

fn rotation_text(file: &FilePlan, rotation: &Rotation) -> String {
    let rows = counted(rotation.trimmed.rows, "row", "rows");
    let fate = match rotation.moved_to {
        Some(log) => format!("move the oldest {rows} to {log}"),
        None => format!("drop the oldest {rows}"),
    };
    format!("{} is long enough for Patchwork to trim: its next write to it will {fate}", file.file)
}

fn as_json(report: &ImportReport, dry_run: bool) -> ImportJson {
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
    }
}
