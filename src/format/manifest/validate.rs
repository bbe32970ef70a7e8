//! Consistency checks for a well-formed manifest (FORMAT.md, "Manifest": the MUSTs).

use std::collections::HashSet;

use super::{
    FILE_KEYS_OF_1_1, Follows, FollowsState, KEYS_OF_1_1, Manifest, ManifestFile, SHORTEST_ENVELOPE, sources_of,
};
use crate::error::{Contradiction, ManifestFault};
use crate::format::limits::{MAX_CHUNK_BYTES, MAX_COUNT};
use crate::format::name::Base;

impl Manifest {
    /// Lists all inconsistencies in the manifest.
    #[must_use]
    pub fn faults(&self) -> Vec<ManifestFault> {
        let mut faults = missing_keys(self);
        let contradictions = duplicates(&self.files)
            .chain(self.files.iter().flat_map(file_contradictions))
            .chain((self.sources != sources_of(&self.files)).then_some(Contradiction::Sources))
            .chain(total_count(self))
            .chain(later_keys(self))
            .chain(history(self));
        faults.extend(contradictions.map(ManifestFault::Contradiction));
        faults
    }
}

fn missing_keys(manifest: &Manifest) -> Vec<ManifestFault> {
    if manifest.version().1 == 0 {
        return Vec::new();
    }
    let mut missing = Vec::new();
    if manifest.generator.is_none() {
        missing.push(KEYS_OF_1_1[0].to_owned());
    }
    for (index, file) in manifest.files.iter().enumerate() {
        let has =
            [file.base.is_some(), file.sha256.is_some(), file.line_ending.is_some(), file.final_newline.is_some()];
        let keys = FILE_KEYS_OF_1_1.iter().zip(has).filter(|(_, has)| !has);
        missing.extend(keys.map(|(key, _)| format!("files[{index}].{key}")));
    }
    missing.into_iter().map(|path| ManifestFault::Missing { path }).collect()
}

/// Lists the keys that are later than the manifest's minor version. In each object only the first one is listed.
fn later_keys(manifest: &Manifest) -> impl Iterator<Item = Contradiction> + '_ {
    let minor = manifest.version().1;
    let keys = [
        (1, "generator", manifest.generator.is_some()),
        (2, "label", manifest.label.is_some()),
        (2, "derivedFrom", manifest.derived_from.is_some()),
        (2, "filter", manifest.filter.is_some()),
        (2, "redaction", manifest.redaction.is_some()),
        (2, "history", manifest.history.is_some()),
    ];
    let later = move |(since, _, is_there): &(u64, &str, bool)| *is_there && *since > minor;
    let of_manifest = keys.into_iter().find(later).map(|(since, key, _)| (key.to_owned(), since));
    let of_files = manifest.files.iter().enumerate().filter_map(move |(index, file)| {
        let (since, key, _) = keys_of(file).into_iter().find(later)?;
        Some((format!("files[{index}].{key}"), since))
    });
    let later_keys = of_manifest.into_iter().chain(of_files);
    later_keys.map(move |(path, since)| Contradiction::LaterKey { path, since, minor })
}

/// Returns the keys of a file that 1.0 does not have: since when, the name, and whether the file has it.
fn keys_of(file: &ManifestFile) -> [(u64, &'static str, bool); 10] {
    [
        (1, "base", file.base.is_some()),
        (1, "sha256", file.sha256.is_some()),
        (1, "lineEnding", file.line_ending.is_some()),
        (1, "finalNewline", file.final_newline.is_some()),
        (1, "firstTime", file.first_time.is_some()),
        (1, "lastTime", file.last_time.is_some()),
        (1, "timeline", file.timeline.is_some()),
        (1, "unparsed", !file.unparsed.is_empty()),
        (1, "chunks", !file.chunks.is_empty()),
        (2, "follows", file.follows.is_some()),
    ]
}

/// A set of distinct files of a manifest. No two files may share source and name, or base and name (FORMAT.md,
/// "Manifest").
#[derive(Debug, Default)]
pub struct DistinctFiles<'f> {
    by_source: HashSet<(&'f str, &'f str)>,
    by_base: HashSet<(Base, &'f str)>,
}

impl<'f> DistinctFiles<'f> {
    /// Adds a file and returns true, or returns false if it duplicates one that was added before.
    pub fn insert(&mut self, file: &'f ManifestFile) -> bool {
        let name = file.relative_path.as_str();
        let (by_source, by_base) = ((file.source.as_str(), name), (file.base(), name));
        let is_new = !self.by_source.contains(&by_source) && !self.by_base.contains(&by_base);
        if is_new {
            self.by_source.insert(by_source);
            self.by_base.insert(by_base);
        }
        is_new
    }
}

fn duplicates(files: &[ManifestFile]) -> impl Iterator<Item = Contradiction> + '_ {
    let mut distinct = DistinctFiles::default();
    let duplicates = files.iter().filter(move |file| !distinct.insert(file));
    duplicates.map(|file| Contradiction::DuplicateFile { file: file.relative_path.to_string() })
}

fn total_count(manifest: &Manifest) -> Option<Contradiction> {
    let total = manifest.total_count;
    let count = checked_sum(manifest.files.iter().map(|file| file.count));
    match count.filter(|_| checked_sum(manifest.files.iter().map(|file| file.bytes)).is_some()) {
        None => Some(Contradiction::Overflow),
        Some(sum) if sum != total => Some(Contradiction::TotalCount { total, sum }),
        Some(_) => None,
    }
}

fn file_contradictions(file: &ManifestFile) -> Vec<Contradiction> {
    [chunk_rows(file), chunk_sizes(file), unparsed_lines(file), bytes(file), timeline(file)]
        .into_iter()
        .flatten()
        .collect()
}

fn chunk_rows(file: &ManifestFile) -> Option<Contradiction> {
    let name = file.relative_path.to_string();
    match checked_sum(file.chunks.iter().map(|chunk| chunk.rows)) {
        None => Some(Contradiction::Overflow),
        Some(sum) if !file.chunks.is_empty() && sum != file.count => {
            Some(Contradiction::ChunkRows { file: name, count: file.count, sum })
        }
        Some(_) => None,
    }
}

fn chunk_sizes(file: &ManifestFile) -> Option<Contradiction> {
    let wrong = file.chunks.iter().position(|chunk| {
        let least = chunk.rows.saturating_mul(SHORTEST_ENVELOPE);
        chunk.rows == 0
            || !(least..=MAX_CHUNK_BYTES).contains(&chunk.bytes)
            || !(1..=2 * MAX_CHUNK_BYTES).contains(&chunk.compressed)
    });
    wrong.map(|index| Contradiction::ChunkSize { file: file.relative_path.to_string(), chunk: index as u64 + 1 })
}

fn unparsed_lines(file: &ManifestFile) -> Option<Contradiction> {
    let last_line = file.count.saturating_add(file.unparsed_lines());
    let mut next_free = 1;
    for unparsed in &file.unparsed {
        let next = unparsed.line.saturating_add(unparsed.lines());
        if unparsed.line < next_free || next - 1 > last_line {
            let file = file.relative_path.to_string();
            return Some(Contradiction::UnparsedLines { file, line: unparsed.line });
        }
        next_free = next;
    }
    None
}

/// Checks the length of the log against its lines. Every line takes at least one byte, for its content or its line
/// feed.
fn bytes(file: &ManifestFile) -> Option<Contradiction> {
    let record = file.record()?;
    let lines = file.count.saturating_add(file.unparsed_lines());
    let possible = file.bytes >= lines && (lines > 0 || file.bytes == 0 && record.final_newline);
    (!possible).then(|| Contradiction::Bytes { file: file.relative_path.to_string() })
}

fn timeline(file: &ManifestFile) -> Option<Contradiction> {
    let timeline = file.timeline.as_ref()?;
    let rows = checked_sum(timeline.bins.iter().map(|&(_, rows)| rows));
    let possible = timeline.is_sound() && rows.is_some_and(|rows| rows <= file.count);
    (!possible).then(|| Contradiction::Timeline { file: file.relative_path.to_string() })
}

fn checked_sum(numbers: impl Iterator<Item = u64>) -> Option<u64> {
    let mut sum = 0u64;
    for number in numbers {
        sum = sum.checked_add(number)?;
    }
    (sum <= MAX_COUNT).then_some(sum)
}

/// Lists the contradictions between the keys of format 1.2 (FORMAT.md, "Minor version 2").
fn history(manifest: &Manifest) -> impl Iterator<Item = Contradiction> + '_ {
    let history = manifest.history.as_ref();
    let rule = history.and_then(|history| match (history.segment, &history.previous) {
        (0, Some(_)) => Some(MUST_BE_ABSENT),
        (1.., None) => Some(MUST_BE_THERE),
        _ => None,
    });
    let link = rule.map(|rule| Contradiction::History { path: "history.previous".to_owned(), rule });
    let files = manifest.files.iter().enumerate().filter_map(move |(index, file)| {
        let (key, rule) = broken_rule(file, history.is_some())?;
        Some(Contradiction::History { path: format!("files[{index}].{key}"), rule })
    });
    link.into_iter().chain(files)
}

const MUST_BE_THERE: &str = "is missing";
const MUST_BE_ABSENT: &str = "must be absent";

/// Returns the key of the first rule that a file breaks, and the rule as the end of a sentence.
fn broken_rule(file: &ManifestFile, in_history: bool) -> Option<(&'static str, &'static str)> {
    use FollowsState::{Absent, First, Gap, Unchanged};
    let follows = match (&file.follows, in_history) {
        (Some(follows), true) => follows,
        (Some(_), false) => return Some(("follows", "must be absent without `history`")),
        (None, _) => return in_history.then_some(("follows", MUST_BE_THERE)),
    };
    let Follows { state, rows_before, overlap, trimmed, log, gap } = follows;
    let rules = [
        (*state == Absent || log.is_some(), "follows.log", MUST_BE_THERE),
        (*state != Absent || log.is_none(), "follows.log", "must be absent if the log is absent"),
        (*state != Gap || gap.is_some(), "follows.gap", MUST_BE_THERE),
        (*state == Gap || gap.is_none(), "follows.gap", "must be absent unless the state is `gap`"),
        (overlap <= rows_before, "follows.overlap", "must not exceed `rowsBefore`"),
        (trimmed <= rows_before, "follows.trimmed", "must not exceed `rowsBefore`"),
        (*state != First || *rows_before == 0, "follows.rowsBefore", "must be 0 in the state `first`"),
        (
            !matches!(state, Unchanged | Absent) || file.count == 0,
            "count",
            "must be 0 in the states `unchanged` and `absent`",
        ),
        (*state != Absent || file.bytes == 0, "bytes", "must be 0 in the state `absent`"),
        (*state != Absent || *overlap == 0, "follows.overlap", "must be 0 in the state `absent`"),
        (
            log.is_none_or(|log| log.rows <= overlap.saturating_add(file.count)),
            "follows.log.rows",
            "must not exceed `overlap` plus `count`",
        ),
        (
            gap.as_ref().is_none_or(|gap| gap.after_row <= rows_before.saturating_add(file.count)),
            "follows.gap.afterRow",
            "must not exceed `rowsBefore` plus `count`",
        ),
    ];
    rules.into_iter().find(|(holds, ..)| !holds).map(|(_, key, rule)| (key, rule))
}
