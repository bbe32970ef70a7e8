//! Plans the output for several inputs: the rows, their order, and the logs that they belong to.

use std::collections::{BTreeMap, BTreeSet};

use super::CatOptions;
use crate::bundle::{Access, Selection};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{FileName, LogId, TimeRange, TimeSpan};
use crate::history::History;
use crate::input::{InputPart, PartFile, TraceInput};
use crate::logs::GroupKey;

/// The rows of a log in one bundle.
pub struct PlannedPiece {
    /// The index of the input, and the index of the bundle in it.
    pub bundle: (usize, usize),
    /// The index of the file in the bundle's manifest.
    pub file: usize,
    /// The index of the log in [`CatPlan::logs`].
    pub log: usize,
    /// The name of the log, if it differs from that of the file: in a history, rows that are older than a row of an
    /// archive belong to the archive.
    pub renamed: Option<FileName>,
}

/// The logs to print, and their rows in order.
pub struct CatPlan {
    /// The selected logs of all inputs, in catalogue order, and the number of their lines that are not rows.
    pub logs: Vec<(LogId, u64)>,
    /// The timestamps of the first and last rows of these logs.
    pub span: TimeSpan,
    /// The selected rows: input by input, log by log.
    pub streams: Vec<Vec<PlannedPiece>>,
}

/// A file of an input's bundle, before it is selected.
struct Candidate {
    bundle: (usize, usize),
    file: usize,
    /// The log that its rows belong to.
    id: LogId,
    is_renamed: bool,
}

impl CatPlan {
    /// Plans the rows that `options` select.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownSource`] and [`ErrorKind::UnknownFile`] if no input has a log of that name.
    pub fn new(inputs: &[TraceInput<'_>], options: &CatOptions) -> Result<Self> {
        let sequences: Vec<_> = inputs.iter().enumerate().flat_map(|(at, input)| sequences_of(at, input)).collect();
        let all = || sequences.iter().flatten();
        let of_histories = inputs.iter().filter_map(TraceInput::history).flat_map(History::logs);
        check(inputs, options, all().map(|candidate| &candidate.id).chain(of_histories.map(|log| &log.id)))?;
        let (mut logs, mut span) = (BTreeMap::new(), TimeSpan::default());
        for candidate in all().filter(|candidate| options.selects_log(&candidate.id)) {
            span = span.union(file_of(inputs, candidate).span);
            let (_, unparsed_lines) = logs.entry(GroupKey::of(&candidate.id)).or_insert((candidate.id.clone(), 0));
            *unparsed_lines += file_of(inputs, candidate).unparsed_lines;
        }
        for history in inputs.iter().filter_map(TraceInput::history) {
            for log in history.logs() {
                if let Some((_, unparsed_lines)) = logs.get_mut(&GroupKey::of(&log.id)) {
                    *unparsed_lines += log.unparsed_lines;
                }
            }
        }
        let position: BTreeMap<_, _> = logs.keys().cloned().zip(0..).collect();
        let piece = |candidate: &Candidate| {
            let log = *position.get(&GroupKey::of(&candidate.id))?;
            let file = file_of(inputs, candidate);
            let may_match = file.rows > 0 && may_match(options.range, file);
            may_match.then(|| PlannedPiece {
                bundle: candidate.bundle,
                file: candidate.file,
                log,
                renamed: candidate.is_renamed.then(|| candidate.id.name.clone()),
            })
        };
        let streams = sequences.iter().map(|sequence| sequence.iter().filter_map(piece).collect());
        Ok(Self { streams: streams.collect(), logs: logs.into_values().collect(), span })
    }

    /// Reads the selected bundles that list no selected rows to their ends, to detect damage and unlisted rows in them.
    /// Returns the access method for each. Does not read segments of histories.
    ///
    /// # Errors
    /// The errors of reading the rows.
    pub fn check_empty(inputs: &[TraceInput<'_>], options: &CatOptions) -> Result<Vec<(String, Access)>> {
        let bundles = inputs.iter().filter(|input| input.history().is_none()).flat_map(TraceInput::parts);
        let read = |part: &InputPart<'_>| {
            let files = part.files.iter().enumerate().filter(|(_, file)| options.selects_log(&file.id));
            let (selected, rows): (Vec<_>, Vec<_>) = files.map(|(index, file)| (index, file.rows)).unzip();
            let is_other = selected.is_empty() && !part.files.is_empty();
            if is_other || rows.iter().any(|rows| *rows > 0) {
                return Ok(None);
            }
            let bundle = part.open()?;
            let mut rows = bundle.rows(&Selection::default().files(selected))?;
            while rows.next_row()?.is_some() {}
            Ok(Some((bundle.name().to_owned(), rows.access())))
        };
        bundles.map(read).filter_map(Result::transpose).collect()
    }
}

fn may_match(range: TimeRange, file: &PartFile) -> bool {
    range == TimeRange::default() || range.overlaps(file.span.first, file.span.last)
}

fn file_of<'i>(inputs: &'i [TraceInput<'_>], candidate: &Candidate) -> &'i PartFile {
    let (input, part) = candidate.bundle;
    &inputs[input].parts()[part].files[candidate.file]
}

/// Returns the files of each sequence of rows in an input, in row order. In a bundle, each log is a sequence. In a
/// history, logs between which rotation moves rows form one sequence.
fn sequences_of(at: usize, input: &TraceInput<'_>) -> Vec<Vec<Candidate>> {
    let is_history = input.history().is_some();
    let mut sequences: BTreeMap<_, Vec<(usize, Candidate)>> = BTreeMap::new();
    for (part, bundle) in input.parts().iter().enumerate() {
        let mut files: Vec<_> =
            bundle.files.iter().enumerate().map(|(index, file)| (GroupKey::of(&file.id), index, file)).collect();
        files.sort_by(|a, b| a.0.cmp(&b.0));
        for ((key, rank), index, file) in files {
            // In a bundle, files are in the order of the manifest.
            let place = if is_history { (Some(key), 0) } else { (None, index) };
            let candidate = Candidate { bundle: (at, part), file: index, id: file.id.clone(), is_renamed: false };
            sequences.entry(place).or_default().push((rank, candidate));
        }
    }
    sequences
        .into_values()
        .map(|sequence| {
            if is_history {
                renamed(sequence, input)
            } else {
                sequence.into_iter().map(|(_, candidate)| candidate).collect()
            }
        })
        .collect()
}

/// Assigns rows that are older than a row of an archive to the archive.
fn renamed(sequence: Vec<(usize, Candidate)>, input: &TraceInput<'_>) -> Vec<Candidate> {
    let mut oldest: Option<(usize, FileName)> = None;
    let mut pieces = Vec::new();
    for (rank, mut candidate) in sequence.into_iter().rev() {
        let has_lines = input.parts()[candidate.bundle.1].files[candidate.file].bytes > 0;
        match &oldest {
            Some((older, name)) if *older < rank => {
                candidate.id.name = name.clone();
                candidate.is_renamed = true;
            }
            _ if has_lines => oldest = Some((rank, candidate.id.name.clone())),
            _ => {}
        }
        pieces.push(candidate);
    }
    pieces.reverse();
    pieces
}

/// Checks that an input has each selected source and file.
fn check<'l>(inputs: &[TraceInput<'_>], options: &CatOptions, logs: impl Iterator<Item = &'l LogId>) -> Result<()> {
    let logs: Vec<_> = logs.collect();
    let owned = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
    let named = |kind: ErrorKind| match inputs {
        [input] => Error::from(kind).in_subject(input.name()),
        _ => Error::from(kind),
    };
    let known: BTreeSet<_> = logs.iter().map(|id| id.source.as_str()).collect();
    if let Some(name) = options.sources.iter().find(|name| !known.contains(name.as_str())) {
        return Err(named(ErrorKind::UnknownSource { name: name.clone(), known: owned(known) }));
    }
    let of_sources = logs
        .iter()
        .filter(|id| options.sources.is_empty() || options.sources.iter().any(|source| source == id.source.as_str()));
    let known: BTreeSet<_> = of_sources.map(|id| id.name.as_str()).collect();
    match options.files.iter().find(|name| !known.contains(name.as_str())) {
        None => Ok(()),
        Some(name) => Err(named(ErrorKind::UnknownFile { name: name.clone(), known: owned(known) })),
    }
}
