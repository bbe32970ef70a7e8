//! `patchwork-traces keep`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueHint};
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::digest::BundleDigest;
use patchwork_traces::export::Level;
use patchwork_traces::format::{FileName, Follows, FollowsState, HistoryId, Label, SourceName, Timestamp};
use patchwork_traces::history::is_history;
use patchwork_traces::keep::{KeepOptions, KeepReport, KeptLog, Pace, WriteOptions, keep, keep_bundles};
use patchwork_traces::logs::{DiscoverOptions, Discovery, discover};
use patchwork_traces::progress::Progress;
use schemars::JsonSchema;
use serde::Serialize;

use super::export::{DirArgs, level};
use crate::cli::complete;
use crate::cli::encryption::{KeyArgs, SealArgs};
use crate::cli::failure::{CommandResult, Failure};
use crate::cli::help;
use crate::cli::input::open;
use crate::cli::render::duration::duration;
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{count, counted, safe, size};
use crate::cli::render::zone;
#[cfg(feature = "seal")]
use crate::cli::signing::{HistorySigning, SignOption};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output::{self, Output};
use crate::cli::terminal::progress::Bar;
use crate::cli::terminal::term::{self, STRONG, paint};
use crate::cli::threads;
use crate::cli::time;
use crate::cli::{is_dash, label};

/// Add the new rows of the logs to a history
///
/// Patchwork removes the oldest rows of its logs. A history keeps them, in a directory of bundles that
/// are never rewritten. Each run adds one bundle, called a segment, with the rows that are new since
/// the last run, and reports a gap if rows may have been lost in between.
#[derive(Debug, Args)]
#[command(after_long_help = help::long(&help::KEEP))]
pub struct KeepArgs {
    /// Directory of the history; it is created if it is missing
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath, value_parser = history_dir())]
    dir: PathBuf,

    /// Add these bundles instead of this machine's logs
    ///
    /// They are added in the order of their exports, oldest first.
    #[arg(long, value_name = "BUNDLE", num_args = 1.., value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["follow", "source", "include_other", "patchwork_dir", "activity_dir", "no_hold"])]
    from: Vec<PathBuf>,

    /// Keep running, and add segments as the logs grow
    ///
    /// Adds a segment when a log has grown by 112 KiB, and at least every hour. On SIGTERM or Ctrl-C, the program adds a last segment before it exits.
    #[arg(long)]
    follow: bool,

    /// Do not hold the logs with hard links between runs
    ///
    /// When Patchwork replaces a log, its link in `.patchwork-traces`, next to the log, keeps the old
    /// file until the next run has read it. Without links, rows are lost sooner.
    #[arg(long, hide_short_help = true)]
    no_hold: bool,

    /// Keep only this source (repeatable)
    #[arg(long, value_name = "SOURCE", add = ArgValueCompleter::new(complete::SourceCompleter))]
    source: Vec<String>,

    /// Also keep Patchwork's other *.jsonl logs
    #[arg(long)]
    include_other: bool,

    /// Name of this machine, recorded in the segment
    #[arg(long, value_name = "NAME", value_parser = label)]
    label: Option<Label>,

    /// Compression level, from 0 (none) to 9 (slowest)
    #[arg(long, value_name = "N", default_value_t, value_parser = level, hide_short_help = true)]
    level: Level,

    /// Number of compression threads [default: one per core]
    #[arg(long, value_name = "N", hide_short_help = true, value_parser = threads)]
    threads: Option<NonZeroUsize>,

    #[command(flatten)]
    dirs: DirArgs,

    #[command(flatten)]
    keys: KeyArgs,

    #[command(flatten)]
    seal: SealArgs,

    #[cfg(feature = "seal")]
    #[command(flatten)]
    sign: SignOption,
}

/// The result of `keep --json`. `--follow` prints one for each segment, on one line.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "Result of patchwork-traces keep --json")]
pub struct KeepJson {
    /// The segments that were added, in order: one, or one for each bundle of `--from`.
    segments: Vec<SegmentJson>,
    /// The rate of new rows; null if it is not known yet.
    pace: Option<PaceJson>,
    /// Notes for people.
    notes: Vec<String>,
}

/// A segment that was added.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SegmentJson {
    /// The identity of the history.
    history: HistoryId,
    /// The number of the segment, from 0.
    segment: u64,
    /// The path of the segment.
    path: String,
    /// The bundle digest of the segment.
    digest: BundleDigest,
    /// The size of the segment in bytes.
    bundle_bytes: u64,
    /// The time of the segment.
    exported_at: Timestamp,
    /// The number of new rows.
    rows: u64,
    /// True if no log has a gap before its new rows.
    complete: bool,
    /// The logs, in the order of the segment.
    logs: Vec<KeptLogJson>,
}

/// A log of a segment.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct KeptLogJson {
    source: SourceName,
    file: FileName,
    /// The number of new rows.
    rows: u64,
    /// The number of new lines that are not rows.
    unparsed_lines: u64,
    /// The relation to earlier segments, as in the manifest.
    follows: Follows,
}

/// The rate of new rows, for the log that loses rows first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaceJson {
    file: FileName,
    bytes_per_hour: u64,
    /// The time after the last segment, in seconds, at which rows can be lost.
    lost_after_seconds: u64,
    /// The longest interval between runs, in seconds, that loses no rows, with a margin.
    run_every_seconds: u64,
}

impl From<&Pace> for PaceJson {
    fn from(pace: &Pace) -> Self {
        Self {
            file: pace.log.name.clone(),
            bytes_per_hour: pace.bytes_per_hour,
            lost_after_seconds: pace.lost_after.as_secs(),
            run_every_seconds: pace.run_every.as_secs(),
        }
    }
}

/// Parses the directory of a history, which cannot be a standard stream.
fn history_dir() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|dir| match is_dash(&dir) {
        true => Err("expected a directory, such as ./-"),
        false => Ok(dir),
    })
}

impl KeepArgs {
    /// Returns true if the command runs until it is stopped.
    pub fn follows(&self) -> bool {
        self.follow
    }

    /// Adds one segment with the new rows of this machine. `options` apply to every run.
    pub fn run_once(&self, options: &KeepOptions, progress: &dyn Progress) -> Result<KeepReport, Failure> {
        let mut options = options.clone();
        options.write.exported_at = time::now()?;
        Ok(keep(&self.discover()?, &self.dir, &options, progress)?)
    }

    /// Prepares the signatures of the history, and asks for the passphrase of the key.
    #[cfg(feature = "seal")]
    pub fn signing(&self, output: Output) -> Result<HistorySigning, Failure> {
        self.sign.for_history(output)
    }

    /// Signs the history, after segments were added.
    #[cfg(feature = "seal")]
    pub fn sign(&self, signing: &mut HistorySigning, reports: &[KeepReport]) -> patchwork_traces::Result<()> {
        let segments = reports.last().map_or(0, |report| report.segment + 1);
        signing.sign(&self.dir, segments).map(drop)
    }

    /// Returns the paths and lengths of the logs.
    pub fn log_lengths(&self) -> Result<Vec<(PathBuf, u64)>, Failure> {
        Ok(self.discover()?.logs().map(|log| (log.path.clone(), log.bytes)).collect())
    }

    fn discover(&self) -> Result<Discovery, Failure> {
        let dirs = self.dirs.resolve_existing()?;
        let selected = DiscoverOptions::default().sources(&self.source).include_other(self.include_other);
        // The logs of an existing history may be absent now.
        Ok(discover(&dirs, &selected.allow_empty(is_history(&self.dir)))?)
    }

    /// Returns the options for every run. Asks for a new passphrase if segments are to be encrypted
    /// with one.
    ///
    /// # Errors
    /// Also if a passphrase is given for a new history without encryption, which would not use it.
    pub fn options(&self, output: Output) -> Result<KeepOptions, Failure> {
        if !is_history(&self.dir) && self.from.is_empty() {
            self.seal.refuse_unused_passphrase(self.keys.passphrase())?;
        }
        let keys = self.keys.keys(output)?;
        let sealer = self.seal.sealer_with_keys(self.keys.passphrase(), &keys)?;
        let mut write = WriteOptions::new(crate::cli::generator(), time::now()?).level(self.level).sealer(sealer);
        write.threads = self.threads.unwrap_or(write.threads);
        let options = KeepOptions::new(write).hold(!self.no_hold).label(self.label.clone());
        // Notes on encrypted segments are kept next to the logs, even if a segment comes from a bundle.
        let patchwork_dir = self.dirs.resolve().ok().map(|dirs| dirs.patchwork).filter(|dir| dir.is_dir());
        Ok(options.keys(keys).notes_beside(patchwork_dir))
    }

    /// Reports segments that were added. Returns the exit code.
    pub fn report(&self, reports: &[KeepReport], output: Output) -> CommandResult {
        let pace = reports.last().and_then(|report| report.pace.as_ref());
        let notes: Vec<_> = reports.iter().flat_map(notes).collect();
        let json = KeepJson {
            segments: reports.iter().map(segment_json).collect(),
            pace: pace.map(PaceJson::from),
            notes: notes.clone(),
        };
        let text = || {
            let mut texts: Vec<_> = reports.iter().map(|report| as_text(report, &self.dir)).collect();
            texts.extend(pace.map(pace_text));
            texts.join("\n")
        };
        output.report_done(text, &json)?;
        output.notes(&notes);
        for warning in reports.iter().flat_map(warnings) {
            output.warning(&warning);
        }
        Ok(if reports.iter().any(KeepReport::needs_attention) { Exit::Incomplete } else { Exit::Done })
    }
}

/// Runs the command once.
pub fn run(args: &KeepArgs, output: Output) -> CommandResult {
    #[cfg(feature = "seal")]
    let mut signing = args.signing(output)?;
    let (bar, options) = (Bar::new(output), args.options(output)?);
    let reports = if args.from.is_empty() {
        vec![args.run_once(&options, &bar)?]
    } else {
        let bundles = args.from.iter().map(|path| open(path, &options.keys)).collect::<Result<_, _>>()?;
        keep_bundles(bundles, &args.dir, &options, &bar)?
    };
    #[cfg(feature = "seal")]
    let signed = args.sign(&mut signing, &reports);
    let exit = args.report(&reports, output)?;
    #[cfg(feature = "seal")]
    signed?;
    Ok(exit)
}

/// Reports a segment on one line. Returns the exit code.
pub fn report_line(report: &KeepReport, output: Output) -> CommandResult {
    let notes = notes(report);
    if output.json {
        let json = KeepJson { segments: vec![segment_json(report)], pace: None, notes };
        output::print(&output::json_line(&json)?)?;
    } else if !output.quiet {
        let moment = zone::precise_moment(report.exported_at, &zone::local());
        output::print(&format!("{moment}: {} in segment {}\n", new_rows(report.rows()), report.segment))?;
        output.notes(&notes);
    }
    for warning in warnings(report) {
        output.warning(&warning);
    }
    Ok(if report.needs_attention() { Exit::Incomplete } else { Exit::Done })
}

fn segment_json(report: &KeepReport) -> SegmentJson {
    let logs = report.logs.iter().map(|log| KeptLogJson {
        source: log.id.source.clone(),
        file: log.id.name.clone(),
        rows: log.rows,
        unparsed_lines: log.unparsed_lines,
        follows: log.follows.clone(),
    });
    SegmentJson {
        history: report.id,
        segment: report.segment,
        path: report.path.display().to_string(),
        digest: report.digest,
        bundle_bytes: report.bundle_bytes,
        exported_at: report.exported_at,
        rows: report.rows(),
        complete: report.logs.iter().all(|log| log.follows.state != FollowsState::Gap),
        logs: logs.collect(),
    }
}

fn as_text(report: &KeepReport, dir: &Path) -> String {
    let target = safe(&format!("of {}", dir.display()));
    let new = new_rows(report.rows());
    let mut text = format!("{} {new} in segment {} {target}\n\n", paint(STRONG, "kept"), report.segment);
    let logs = &report.logs;
    let before = |log: &KeptLog| count(log.follows.rows_before);
    let columns = [
        Column::words("FILE", logs.iter().map(|log| log.id.name.to_string())),
        Column::words("STATE", logs.iter().map(|log| state(log.follows.state).to_owned())),
        Column::numbers("NEW ROWS", logs.iter().map(|log| count(log.rows))),
        Column::numbers("ROWS BEFORE", logs.iter().map(before)),
        Column::numbers("TRIMMED", logs.iter().map(|log| count(log.follows.trimmed))),
    ];
    text += &table(&columns, &[&[0, 1, 2, 3, 4], &[0, 1, 2, 3], &[0, 1, 2]], term::width());
    text + &format!("\nsegment  {} ({})\n", safe(&report.path.display().to_string()), size(report.bundle_bytes))
}

fn new_rows(number: u64) -> String {
    counted(number, "new row", "new rows")
}

/// Returns the displayed word for a state.
pub fn state(state: FollowsState) -> &'static str {
    match state {
        FollowsState::First => "first",
        FollowsState::Continues => "continues",
        FollowsState::Unchanged => "unchanged",
        FollowsState::Gap => "gap",
        FollowsState::Altered => "altered",
        _ => "absent",
    }
}

/// Returns the line about when the next run is due.
pub fn pace_text(pace: &Pace) -> String {
    format!(
        "next run: at this rate, rows of {} can be lost after {} without a run; run at least every {}\n",
        safe(pace.log.name.as_str()),
        duration(pace.lost_after),
        duration(pace.run_every),
    )
}

fn notes(report: &KeepReport) -> Vec<String> {
    let not_held = report.not_held.iter().map(|log| {
        format!(
            "{}, so rows that are written before the next rotation can be lost; run more often, or use --follow",
            safe(&log.error.to_string())
        )
    });
    let several = report.is_one_of_several.then(|| {
        "this is a new history, but another one already keeps these logs; if you meant that one, check the path and whether \
         its disk is mounted"
            .to_owned()
    });
    not_held.chain(several).collect()
}

/// Returns the warnings about a segment.
fn warnings(report: &KeepReport) -> Vec<String> {
    let not_noted = report.not_noted.iter().map(|error| {
        format!(
            "{}, so this machine has no note on segment {}, and the next run needs a key that decrypts it (--identity)",
            safe(&error.to_string()),
            report.segment
        )
    });
    let plain = report.is_plain_after_sealed.then(|| {
        "this segment is not encrypted, but the one before it is; if you did not want that, use --recipient again"
            .to_owned()
    });
    let logs = report.logs.iter().filter_map(|log| warning(&log.follows, log.id.name.as_str()));
    logs.chain(not_noted).chain(plain).collect()
}

/// Returns a warning if the log has a gap or was altered.
pub fn warning(follows: &Follows, file: &str) -> Option<String> {
    let moment = |time: Timestamp| zone::precise_moment(time, &zone::local());
    match (follows.state, &follows.gap) {
        (FollowsState::Gap, Some(gap)) if gap.after_row == 0 => Some(format!(
            "rows may be missing: {} is new, but so long that rows may have been removed from it already; run keep more \
             often, or use --follow",
            safe(file)
        )),
        (FollowsState::Gap, Some(gap)) => {
            let after = gap.after_time.map(|time| format!(" ({})", moment(time))).unwrap_or_default();
            let before =
                gap.before_time.map(|time| format!("; the new rows begin at {}", moment(time))).unwrap_or_default();
            let ids: u64 = gap.missing_ids.iter().map(|(first, last)| last - first + 1).sum();
            let ids = if ids > 0 { format!("; {} missing", counted(ids, "row is", "rows are")) } else { String::new() };
            Some(format!(
                "rows may be missing: {} no longer has row {}{after}, the last one in the history{before}{ids}; run keep \
                 more often, or use --follow",
                safe(file),
                count(gap.after_row),
            ))
        }
        (FollowsState::Altered, _) => Some(format!(
            "{} was altered: it has changed or lost rows that the history has; the history keeps the original rows",
            safe(file)
        )),
        _ => None,
    }
}
