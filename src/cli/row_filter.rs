//! The options that select rows, which `cat` and `filter` share.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use patchwork_traces::format::{TimeRange, Timestamp};
use patchwork_traces::query::{Condition, KeyPath, PathStep, PatternError, RowFilter};

use crate::cli::complete;
use crate::cli::failure::Failure;
use crate::cli::render::zone;
use crate::cli::time::{self, Moment};

/// The options that select rows.
#[derive(Debug, Args)]
pub struct RowFilterArgs {
    /// Only rows of this source (repeatable)
    #[arg(long, value_name = "SOURCE", add = ArgValueCompleter::new(complete::SourceCompleter))]
    pub source: Vec<String>,

    /// Only rows of this file, such as activity-3100.jsonl (repeatable)
    #[arg(long, value_name = "FILE", hide_short_help = true, add = ArgValueCompleter::new(complete::FileCompleter))]
    pub file: Vec<String>,

    #[command(flatten)]
    times: TimeArgs,

    /// Only rows like body.decision=deny (repeatable)
    ///
    /// A condition is PATH=VALUE, or the same with !=, <, <=, > or >=; PATH~REGEX or PATH!~REGEX; PATH
    /// alone, if the row has it; or !PATH, if the row lacks it. Paths are as in jq without the first
    /// dot: body.decision, steps[0].status, steps[].status (any of them), "odd key".x. A missing value
    /// is null. Numbers compare exactly (1e3 = 1000), and only with numbers. VALUE is text, with or
    /// without JSON's quotation marks; white space around it is ignored. 5, true and null also equal
    /// "5", "true" and "null".
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<Condition>,

    /// Only rows that contain this text (repeatable)
    ///
    /// Searches the row's JSON text as the bundle holds it (see --format envelope), and the same text
    /// with its escapes decoded.
    #[arg(long, value_name = "TEXT")]
    grep: Vec<String>,

    /// Only rows in which a regular expression matches (repeatable)
    ///
    /// Searches the row's JSON text as the bundle holds it (see --format envelope), and the same text
    /// with its escapes decoded. (?i) at the start ignores case.
    #[arg(long, value_name = "REGEX", value_parser = pattern, hide_short_help = true)]
    grep_regex: Vec<String>,

    /// Only rows that --where, --grep and --grep-regex do not select
    #[arg(long, hide_short_help = true)]
    invert: bool,

    /// Only the last row of each taskId
    ///
    /// Rows without a taskId are selected, too. Each source has its own taskIds. If several bundles are
    /// named, rows of a later one count as later, unless --by-time is given. --source, --file, --since
    /// and --until apply before --latest, all other options after it.
    #[arg(long)]
    latest: bool,

    /// Path that --latest uses instead of taskId
    #[arg(id = "latest_key", long = "key", value_name = "PATH", requires = "latest", value_parser = key)]
    #[arg(hide_short_help = true)]
    key: Option<KeyPath>,
}

/// The options that select rows by time.
#[derive(Debug, Args)]
pub struct TimeArgs {
    /// Only rows since a time: yesterday, 7d, 2026-05-02
    ///
    /// Also accepted: "2026-05-02 10:00", 2026-05, today, "last week" (which begins on Monday), "this
    /// month", and an age such as 1h30m. Times are local unless they carry an offset, as
    /// 2026-05-02T10:00:00Z does. Rows without a timestamp are skipped.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    since: Option<Moment>,

    /// Only rows until a time, inclusive
    ///
    /// A day, week, month or year is included as a whole.
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    until: Option<Moment>,
}

fn pattern(text: &str) -> Result<String, PatternError> {
    RowFilter::default().pattern(text).map(|_| text.to_owned())
}

fn key(text: &str) -> Result<KeyPath, String> {
    let path: KeyPath = text.parse().map_err(|error: patchwork_traces::query::KeyPathError| error.to_string())?;
    match path.steps().contains(&PathStep::Each) {
        true => Err("expected a path to one value, without []".to_owned()),
        false => Ok(path),
    }
}

impl TimeArgs {
    /// Returns true if --since or --until is given.
    pub fn are_given(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    /// Returns the time range.
    pub fn range(&self) -> Result<TimeRange, Failure> {
        let is_relative = [self.since, self.until].iter().flatten().any(Moment::is_relative);
        let now = is_relative.then(time::now).transpose()?;
        let bounds = |moment: Option<Moment>, option| {
            let no_such_time = || {
                let message = format!("the time of {option} does not exist in this time zone");
                Failure::usage(&message, "give another time, between the years 1 and 9998")
            };
            moment.map(|moment| moment.bounds(now).ok_or_else(no_such_time)).transpose()
        };
        let range = TimeRange {
            since: bounds(self.since, "--since")?.map(|bounds| *bounds.start()),
            until: bounds(self.until, "--until")?.map(|bounds| *bounds.end()),
        };
        match range.since.zip(range.until) {
            Some((since, until)) if since > until => {
                let (since, until) = (shown(since), shown(until));
                let message = format!("--since ({since}) is later than --until ({until})");
                Err(Failure::usage(&message, "swap the two times, or omit one"))
            }
            _ => Ok(range),
        }
    }
}

impl RowFilterArgs {
    /// Returns the time range.
    pub fn range(&self) -> Result<TimeRange, Failure> {
        self.times.range()
    }

    /// Returns the filter.
    pub fn filter(&self) -> Result<RowFilter, Failure> {
        if self.invert && self.conditions.is_empty() && self.grep.is_empty() && self.grep_regex.is_empty() {
            return Err(Failure::usage("--invert needs --where, --grep or --grep-regex", "add a condition"));
        }
        let mut filter = RowFilter::default().inverted(self.invert);
        for condition in &self.conditions {
            filter = filter.condition(condition.clone());
        }
        for text in &self.grep {
            filter = filter.text(text);
        }
        for text in &self.grep_regex {
            filter = filter.pattern(text).map_err(|error| Failure::usage(&error.to_string(), "correct the pattern"))?;
        }
        Ok(filter)
    }

    /// Returns the path whose last row for each value is selected, if --latest is given.
    pub fn latest(&self) -> Option<KeyPath> {
        let key = || self.key.clone().unwrap_or_else(|| KeyPath::from_steps(vec![PathStep::Key("taskId".to_owned())]));
        self.latest.then(key)
    }
}

/// Formats a time for people.
pub fn shown(time: Timestamp) -> String {
    zone::precise_moment(time, &zone::local())
}
