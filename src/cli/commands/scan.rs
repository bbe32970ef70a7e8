//! `patchwork-traces scan`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::detect::{DetectOptions, FindKind, RuleFile, UnusedParts};
use patchwork_traces::input::InputSummary;
use patchwork_traces::scan::{RuleCount, ScanGroup, ScanOptions, ScanReport, scan};
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::complete;
use crate::cli::encryption::KeyArgs;
use crate::cli::failure::{CommandResult, Failure};
use crate::cli::help;
use crate::cli::input::{input_notes, open_all_seekable};
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{count, counted, listed, safe};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::Output;
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{self, GOOD, STRONG, WARN, paint};
use crate::cli::threads;

/// The number of groups of finds that are printed without `--all`.
const MAX_SHOWN: usize = 100;

/// Find secrets and personal data in bundles and histories
///
/// Searches every string and key of every row with its escapes decoded, the unparsed lines, and the
/// texts of the manifest. Reports what was found, where and how often, but never the text itself.
/// Exits with 3 if anything was found.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::SCAN))]
pub struct ScanArgs {
    /// Bundles or history directories; `-` is standard input
    #[arg(required = true, value_name = "BUNDLE", value_hint = ValueHint::AnyPath)]
    bundles: Vec<PathBuf>,

    #[command(flatten)]
    rules: RuleArgs,

    /// Scan only this source (repeatable)
    #[arg(long, value_name = "SOURCE", add = ArgValueCompleter::new(complete::SourceCompleter))]
    source: Vec<String>,

    /// List all places, not only the first five of each kind
    #[arg(long)]
    all: bool,

    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = threads)]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    keys: KeyArgs,
}

/// The options that select rules.
#[derive(Debug, Args)]
pub struct RuleArgs {
    /// Use only this rule or kind of rules (repeatable)
    ///
    /// The kinds are `secret` and `personal`.
    #[arg(long, value_name = "RULE", add = ArgValueCompleter::new(complete::RuleCompleter))]
    only: Vec<String>,

    /// Skip this rule or kind of rules (repeatable)
    #[arg(long, value_name = "RULE", add = ArgValueCompleter::new(complete::RuleCompleter))]
    skip: Vec<String>,

    /// Additional rules, in the TOML format of gitleaks
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    rules: Option<PathBuf>,
}

impl RuleArgs {
    /// Returns the selection of rules.
    ///
    /// # Errors
    /// If the rule file cannot be read or is malformed.
    pub fn options(&self) -> Result<DetectOptions, Failure> {
        let rules = self.rules.as_deref().map(RuleFile::read).transpose()?;
        Ok(DetectOptions::default().only(&self.only).skip(&self.skip).rules(rules))
    }
}

/// Returns notes about the parts of a rule file that do not apply to logs.
pub fn rule_notes(options: &DetectOptions) -> Vec<String> {
    let Some(rules) = &options.rules else { return Vec::new() };
    let UnusedParts { paths_of_rules, rules_of_paths, allowlists, .. } = rules.unused();
    let rules = |count: usize, one: &str, several: &str| (count > 0).then(|| counted(count as u64, one, several));
    let only_path =
        rules(rules_of_paths, "rule has only a path and is not used", "rules have only a path and are not used");
    let path =
        rules(paths_of_rules, "rule is used, but its path is ignored", "rules are used, but their paths are ignored");
    let mut notes: Vec<_> = only_path.into_iter().chain(path).collect();
    if allowlists > 0 {
        notes.push("paths and commits in allowlists are ignored: rows have none".to_owned());
    }
    notes
}

/// The result of `scan --json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces scan --json")]
pub struct ScanJson<'a> {
    /// True if nothing was found.
    clean: bool,
    /// The number of lines that were searched.
    lines: u64,
    /// The number of finds of secrets.
    secrets: u64,
    /// The number of finds of personal data.
    personal: u64,
    /// The number of finds by each rule that found something.
    rules: &'a [RuleCount],
    /// The finds, by rule, log and path.
    finds: &'a [ScanGroup],
    /// The number of finds that are not in `finds`, because the list would be too long.
    unlisted: u64,
    inputs: &'a [InputSummary],
    /// Notes for people.
    notes: &'a [String],
}

/// Runs the command.
pub fn run(args: &ScanArgs, output: Output) -> CommandResult {
    let mut options = ScanOptions::default().sources(&args.source).detect(args.rules.options()?);
    options.threads = args.threads.unwrap_or(options.threads);
    if args.all {
        options.places = usize::MAX;
    }
    let inputs = open_all_seekable(&args.bundles, &args.keys.keys(output)?)?;
    let report = scan(&inputs, &options, &Bar::new(output))?;
    let notes = [input_notes(&report.inputs), rule_notes(&options.detect)].concat();
    let json = ScanJson {
        clean: report.is_clean(),
        lines: report.lines,
        secrets: report.count(FindKind::Secret),
        personal: report.count(FindKind::Personal),
        rules: &report.rules,
        finds: &report.groups,
        unlisted: report.ungrouped,
        inputs: &report.inputs,
        notes: &notes,
    };
    output.report(|| as_text(&report, args.all), &json)?;
    output.notes(&notes);
    Ok(if report.is_clean() { Exit::Done } else { Exit::Incomplete })
}

fn as_text(report: &ScanReport, all: bool) -> String {
    let lines = counted(report.lines, "line", "lines");
    if report.is_clean() {
        return format!("{} no secrets and no personal data in {lines}\n", paint(GOOD, "clean:"));
    }
    let (secrets, personal) = (report.count(FindKind::Secret), report.count(FindKind::Personal));
    let mut text = format!(
        "{} {} and {} in {lines}\n\n",
        paint(if secrets > 0 { WARN } else { STRONG }, "found"),
        counted(secrets, "secret", "secrets"),
        counted(personal, "piece of personal data", "pieces of personal data"),
    );
    let shown = &report.groups[..if all { report.groups.len() } else { report.groups.len().min(MAX_SHOWN) }];
    let columns = [
        Column::words("RULE", shown.iter().map(|group| group.rule.clone())),
        Column::words("LOG", shown.iter().map(log_of)),
        Column::words("PATH", shown.iter().map(path_of)),
        Column::numbers("FINDS", shown.iter().map(|group| count(group.count))),
        Column::words("LINES", shown.iter().map(lines_of)),
    ];
    text += &table(&columns, &[&[0, 1, 2, 3, 4], &[0, 2, 3, 4], &[0, 2, 3]], term::width());
    let unlisted: u64 = report.groups[shown.len()..].iter().map(|group| group.count).sum::<u64>() + report.ungrouped;
    if unlisted > 0 {
        text += &format!("\n{} more in other places\n", count(unlisted));
    }
    text
}

fn log_of(group: &ScanGroup) -> String {
    group.file.as_ref().map_or_else(|| "manifest".to_owned(), ToString::to_string)
}

fn path_of(group: &ScanGroup) -> String {
    match (&group.path, group.in_key) {
        (Some(path), true) => format!("{} (key)", safe(path)),
        (Some(path), false) => safe(path),
        (None, _) => "(unparsed line)".to_owned(),
    }
}

/// Lists the first lines, each with the number of its segment if they are from several bundles.
fn lines_of(group: &ScanGroup) -> String {
    let lines = group.places.iter().filter_map(|place| Some((place, place.line?)));
    let lines: Vec<_> = lines
        .map(|(place, line)| match std::path::Path::new(&place.bundle).file_name().and_then(|name| name.to_str()) {
            Some(name) if group.places.iter().any(|other| other.bundle != place.bundle) => {
                format!("{}:{line}", name.split_once(['-', '.']).map_or(name, |(number, _)| number))
            }
            _ => line.to_string(),
        })
        .collect();
    let is_more = (lines.len() as u64) < group.lines;
    match (lines.is_empty(), is_more) {
        (true, _) => String::new(),
        (false, true) => format!("{}, …", lines.join(", ")),
        (false, false) => listed(&lines),
    }
}
