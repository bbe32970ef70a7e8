//! The logs of an input, redacted as they are read.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::Path;

use super::conditions::RecordedConditions;
use super::line::LineRedactor;
use super::members::MemberRules;
use super::names::{Names, UsedNumbers};
use super::options::RedactOptions;
use crate::align::{each_line, next_line};
use crate::detect::{Detector, NameCollector};
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, Result};
use crate::format::limits::{MAX_LOG_LINE_BYTES, MAX_NAME_BYTES};
use crate::format::{FileName, FilterRecord, Label, LogId, SourceName, TimeKey, Timestamp};
use crate::input::{InputPart, TraceInput};
use crate::logs::{catalogue_order, known, times_of};
use crate::progress::{Progress, Stage};
use crate::scan::{check_users, manifest_texts};
use crate::stored::{ContentReader, LogSet, restore_logs};
use crate::util::cancel::CancellableIo;
use crate::util::line_reader::LineReader;

/// The logs of an input in temporary files, with everything that is needed to redact them.
pub struct RedactedLogs {
    logs: LogSet,
    /// The identity of each log after the redaction, in the order of the set.
    ids: Vec<LogId>,
    pub redactor: LineRedactor,
    pub label: Option<Label>,
    pub exported_at: Timestamp,
    /// The digests of the bundles of the input.
    pub digests: Vec<BundleDigest>,
}

impl RedactedLogs {
    /// Restores the logs and searches them for user names. Temporary files are created in `dir`.
    pub fn new(
        input: &TraceInput<'_>,
        options: &RedactOptions,
        dir: &Path,
        threads: NonZeroUsize,
        progress: &dyn Progress,
    ) -> Result<Self> {
        Detector::new(&options.detect)?;
        let exported_at = input.exported_at().ok_or(ErrorKind::EmptyInput)?;
        progress.stage(Stage::Reading);
        progress.start(Some(input.log_bytes()));
        let bundles = input.parts().iter().map(InputPart::open);
        let logs = restore_logs(bundles, &options.sources, dir, threads, progress);
        progress.finish();
        let logs = logs?;
        logs.check_places()?;
        let survey = TextSurvey::of(input, &logs, progress)?;
        let detector = Detector::with_names(&options.detect, &survey.users)?;
        let members = MemberRules::new(options.drop.clone(), options.keep_only.clone());
        let detector = if input.is_redacted() { detector.for_redacted() } else { detector };
        let names = Names::new(options.key.clone(), survey.numbers);
        let mut redactor = LineRedactor::new(detector, names, members);
        let label = input.label().map(|label| redactor.text(label.as_str())).transpose()?;
        let ids = new_ids(&logs, &mut redactor)?;
        let filters = input.parts().iter().filter_map(|part| part.filter.as_ref());
        let conditions: Result<_> =
            filters.flat_map(FilterRecord::conditions).map(|text| redactor.text(text)).collect();
        redactor.conditions = RecordedConditions::new(conditions?);
        // A name can be longer than the text it replaces.
        let label = label.and_then(|label| Label::new(shortened(label, MAX_NAME_BYTES)));
        Ok(Self { logs, ids, redactor, label, exported_at, digests: input.digests().collect() })
    }

    /// Returns the total length of the logs before the redaction.
    pub fn bytes(&self) -> u64 {
        self.logs.logs().map(|(_, log)| log.content.bytes()).sum()
    }

    /// Calls `take` with a reader of each redacted log, in the order of a bundle.
    pub fn each_log(
        &mut self,
        progress: &dyn Progress,
        mut take: impl FnMut(&LogId, &mut RedactedLog<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut logs: Vec<_> = self.logs.logs().map(|(_, log)| log).zip(&self.ids).collect();
        logs.sort_by(|(_, a), (_, b)| rank(a).cmp(&rank(b)));
        for (log, id) in logs {
            let lines = LineReader::new(CancellableIo::new(log.reader(), progress), MAX_LOG_LINE_BYTES);
            let redactor = &mut self.redactor;
            let times = times_of(id.source.as_str());
            let mut reader = RedactedLog { lines, redactor, times, number: 0, ready: Vec::new(), at: 0, failure: None };
            let taken = take(id, &mut reader);
            if let Some(error) = reader.failure.take() {
                return Err(error.in_file(id.name.as_str()));
            }
            taken?;
        }
        Ok(())
    }
}

/// Returns the sort key of a log in a bundle.
fn rank(id: &LogId) -> impl Ord + '_ {
    catalogue_order(id.source.as_str(), id.name.as_str())
}

/// The names in the texts of an input, collected before any redaction.
struct TextSurvey {
    /// The user names in home directory paths, in lower case.
    users: BTreeSet<String>,
    numbers: UsedNumbers,
    collector: NameCollector,
}

impl TextSurvey {
    fn of(input: &TraceInput<'_>, logs: &LogSet, progress: &dyn Progress) -> Result<Self> {
        let (users, numbers) = (BTreeSet::new(), UsedNumbers::default());
        let mut survey = Self { users, numbers, collector: NameCollector::new()? };
        for part in input.parts() {
            let bundle = part.open()?;
            for (_, text) in manifest_texts(bundle.manifest()) {
                survey.add(text.as_bytes())?;
            }
        }
        for (_, log) in logs.logs() {
            let reader = CancellableIo::new(log.reader(), progress);
            each_line(reader, |line| survey.add(line.bytes)).map_err(|error| error.in_file(log.id.name.as_str()))?;
        }
        Ok(survey)
    }

    fn add(&mut self, text: &[u8]) -> Result<()> {
        self.collector.collect(text, &mut self.users);
        check_users(&self.users)?;
        self.numbers.collect(text)
    }
}

/// Truncates a text to at most `max` bytes.
fn shortened(mut text: String, max: usize) -> String {
    while text.len() > max {
        text.pop();
    }
    text
}

/// The number of bytes reserved for a number at the end of a log name.
const NUMBER_BYTES: usize = 24;

/// Returns the redacted identity of each log. The names stay valid and unique.
fn new_ids(logs: &LogSet, redactor: &mut LineRedactor) -> Result<Vec<LogId>> {
    let mut taken = BTreeSet::new();
    let mut ids = Vec::new();
    // Unchanged names take precedence.
    let mut redacted = Vec::new();
    for (_, log) in logs.logs() {
        let (source, name) = (redactor.text(log.id.source.as_str())?, redactor.text(log.id.name.as_str())?);
        let is_same = source == log.id.source.as_str() && name == log.id.name.as_str();
        if is_same {
            taken.insert((log.id.base.to_string(), name.clone()));
        }
        redacted.push((&log.id, source, name, is_same));
    }
    for (id, source, name, is_same) in redacted {
        if is_same {
            ids.push(id.clone());
            continue;
        }
        let stem = name.strip_suffix(".jsonl").unwrap_or(&name).to_owned();
        let suffix = name[stem.len()..].to_owned();
        // A placeholder can be longer than the text it replaces, and a number may follow.
        let stem = shortened(stem, MAX_NAME_BYTES - suffix.len() - NUMBER_BYTES);
        let (mut candidate, mut number) = (format!("{stem}{suffix}"), 1);
        while known(&source).is_none() && !taken.insert((id.base.to_string(), candidate.clone())) {
            number += 1;
            candidate = format!("{stem} ({number}){suffix}");
        }
        let source = SourceName::new(shortened(source, MAX_NAME_BYTES)).map_err(|_| ErrorKind::OutputNotIntact)?;
        let name = FileName::new(&candidate).map_err(|_| ErrorKind::OutputNotIntact)?;
        ids.push(LogId { source, name, base: id.base });
    }
    Ok(ids)
}

/// A reader of a log that redacts it line by line.
pub struct RedactedLog<'l> {
    lines: LineReader<CancellableIo<'l, ContentReader<'l>>>,
    redactor: &'l mut LineRedactor,
    times: &'static [TimeKey],
    /// The number of the current line.
    number: u64,
    /// The current line and its line feed.
    ready: Vec<u8>,
    /// The number of its bytes that have been read.
    at: usize,
    failure: Option<Error>,
}

impl RedactedLog<'_> {
    /// Reads the next line, with its line feed. Returns `None` after the last one.
    pub fn next_line(&mut self) -> Result<Option<&[u8]>> {
        self.number += 1;
        let number = self.number;
        let Some(line) = next_line(&mut self.lines, number)? else { return Ok(None) };
        let redacted = self.redactor.line(line.bytes, self.times).map_err(|error| error.at_line(number))?;
        self.ready.clear();
        self.ready.extend_from_slice(&redacted);
        if line.terminated {
            self.ready.push(b'\n');
        }
        self.at = 0;
        Ok(Some(&self.ready))
    }
}

impl Read for RedactedLog<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() {
            match self.next_line() {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(0),
                Err(error) => {
                    self.failure = Some(error);
                    return Err(io::Error::other("a line cannot be redacted"));
                }
            }
        }
        let read = out.len().min(self.ready.len() - self.at);
        out[..read].copy_from_slice(&self.ready[self.at..self.at + read]);
        self.at += read;
        Ok(read)
    }
}
