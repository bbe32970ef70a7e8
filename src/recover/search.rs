//! Searches a damaged bundle for rows, and repeats the search with other evidence if the first search is not enough.
//!
//! The first search verifies rows one by one: it accepts rows in chunks with matching checksums, and rows whose entry
//! agrees with their exact line. A log can fail this although it is intact, for example if an entry was edited but not
//! its exact line, if the table is wrong, or if chunks were reordered. The hash of the whole log is then the stronger
//! proof. If verified rows contradict the manifest, a search without it may find more. If damage hides where the rows
//! begin, a search from the start of the file may.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::iter::repeat;

use super::log::LogReader;
use super::manifest::{Evidence, UsableManifest, usable_manifest};
use super::report::{FileRecovery, LogName, ManifestState, RecoverReport, lost_something};
use super::stream::RowStream;
use crate::bundle::chunk_refs;
use crate::bundle::writer::{BundleWriter, SpooledBundle, WriteOptions};
use crate::container::FileInput;
use crate::error::{ErrorKind, Result};
use crate::format::{DistinctFiles, FilterRecord, HistoryPosition, Label, Manifest, Redaction, Timestamp};
use crate::gzip::StreamKind;
use crate::logs::catalogue_order;
use crate::progress::{NoProgress, Progress};
use crate::salvage::ScanContext;
use crate::salvage::{FirstLine, Scan, TextDigest};

/// The result of a search.
#[allow(clippy::struct_excessive_bools, reason = "they are independent facts")]
pub(super) struct SearchResult {
    packed: SpooledBundle,
    pub(super) exported_at: Option<Timestamp>,
    label: Option<Label>,
    history: Option<HistoryPosition>,
    filter: Option<FilterRecord>,
    redaction: Option<Redaction>,
    /// The logs, in the order of the packed files.
    logs: Vec<FileRecovery>,
    /// For each log, the number of lines that look like its rows but were not accepted, if known.
    ignored_of: Vec<u64>,
    /// The number of other such lines.
    ignored: u64,
    manifest: ManifestState,
    version: Option<(u64, u64)>,
    is_damaged: bool,
    /// True if blocks may be hidden in text, or in damage at the first line or right after it.
    may_hide_blocks: bool,
    /// True if some logs may be intact although their pieces are not verified.
    is_suspect: bool,
    /// True if verified rows contradict the manifest.
    is_contradicted: bool,
}

impl SearchResult {
    /// Finds everything that can be recovered.
    ///
    /// # Errors
    /// As [`recover`](super::recover), except for errors while writing the output.
    pub(super) fn in_bundle(input: &FileInput<'_>, options: &WriteOptions, progress: &dyn Progress) -> Result<Self> {
        let search_again = |evidence, start| search(input, evidence, start, options, &NoProgress);
        let found = search(input, Evidence::Rows, Start::AfterManifest, options, progress)?;
        let mut found = found.ok_or(ErrorKind::NothingToRecover)?;
        if found.is_suspect
            && found.logs.iter().any(|log| log.is_original != Some(true))
            && let Some(whole) = search_again(Evidence::Hashes, Start::AfterManifest)?
        {
            let done = found.originals().map(FileRecovery::id).collect();
            found.adopt_originals(whole, &done);
        }
        if found.is_contradicted {
            let other = search_again(Evidence::RowsAlone, Start::AfterManifest)?;
            if other.is_none() && found.rows() == 0 && found.originals().next().is_none() {
                return Err(ErrorKind::NothingToRecover.into());
            }
            if !other.is_some_and(|other| found.switch_if_better(other, 0)) {
                found.manifest = ManifestState::Faulty;
            }
        }
        // Damage right after the manifest can hide where the chunks begin, so search the whole file: first with the
        // manifest, then without it.
        if found.may_have_missed_blocks() {
            let is_lost = found.manifest == ManifestState::Lost;
            if !is_lost && let Some(other) = search_again(Evidence::Rows, Start::OfFile)? {
                found.switch_if_better(other, 1);
            }
            if (is_lost || found.rows() == 0)
                && let Some(other) = search_again(Evidence::RowsAlone, Start::OfFile)?
            {
                found.switch_if_better(other, 1);
            }
        }
        Ok(found.without_duplicates())
    }

    /// Switches to the result of another search if it has at least `more` additional rows. Returns true if it switched.
    ///
    /// Logs that match their SHA-256 prove the manifest's claims about them, so they are kept unchanged.
    fn switch_if_better(&mut self, mut other: Self, more: u64) -> bool {
        let kept = self.unambiguous_originals();
        let rows = |logs: &[FileRecovery], of_kept: bool| -> u64 {
            logs.iter().filter(|log| kept.contains(&log.id()) == of_kept).map(|log| log.rows).sum()
        };
        let is_better = rows(&other.logs, false) + rows(&self.logs, true) >= self.rows() + more;
        if is_better {
            std::mem::swap(self, &mut other);
            self.adopt_originals(other, &HashSet::new());
        }
        is_better
    }

    /// Replaces logs with those of `other` that match their SHA-256, except for the logs in `done`.
    fn adopt_originals(&mut self, mut other: Self, done: &HashSet<LogName>) {
        let adopted = &other.unambiguous_originals() - done;
        if adopted.is_empty() {
            return;
        }
        other.retain(|log| log.is_original == Some(true) && adopted.contains(&log.id()));
        // The rows of these logs are now accepted, possibly including some that were ignored before.
        let mut accepted = HashMap::<_, u64>::new();
        other.logs.iter().for_each(|log| *accepted.entry(log.id()).or_default() += log.rows);
        let mut found = HashMap::<_, u64>::new();
        for (log, ignored) in self.logs.iter().zip(&self.ignored_of) {
            *found.entry(log.id()).or_default() += log.rows + ignored;
        }
        self.retain(|log| !adopted.contains(&log.id()));
        self.ignored -=
            found.iter().map(|(name, rows)| accepted.get(name).map_or(0, |more| *rows.min(more))).sum::<u64>();
        self.packed.join(other.packed);
        let logs = self.logs.drain(..).zip(self.ignored_of.drain(..)).chain(other.logs.into_iter().zip(repeat(0)));
        let mut logs: Vec<_> = logs.collect();
        logs.sort_by(|(a, _), (b, _)| catalogue_rank(a).cmp(&catalogue_rank(b)));
        (self.logs, self.ignored_of) = logs.into_iter().unzip();
        if self.manifest == ManifestState::Lost {
            (self.manifest, self.version) = (ManifestState::Contradicted, other.version);
            self.exported_at = other.exported_at;
            (self.label, self.history) = (other.label, other.history);
        }
    }

    /// Returns the logs that match their SHA-256, except for logs with rows that have the same name. A bundle cannot
    /// hold both of those, so their rows are kept as those of one log.
    fn unambiguous_originals(&self) -> HashSet<LogName> {
        let mut with_rows = HashMap::<_, u64>::new();
        for log in self.originals() {
            *with_rows.entry(log.id()).or_default() += u64::from(log.rows > 0);
        }
        with_rows.into_iter().filter(|(_, logs)| *logs <= 1).map(|(name, _)| name).collect()
    }

    fn originals(&self) -> impl Iterator<Item = &FileRecovery> {
        self.logs.iter().filter(|log| log.is_original == Some(true))
    }

    /// Returns true if data is damaged and no rows were found, or if rows are missing and blocks may be hidden.
    fn may_have_missed_blocks(&self) -> bool {
        self.is_damaged && (self.rows() == 0 || self.may_hide_blocks && lost_something(self.manifest, &self.logs))
    }

    /// Keeps only the best of the logs that would be the same file, because a bundle cannot hold both. This happens if
    /// rows name a log that the manifest assigns to another source. A verified log with content ranks highest.
    fn without_duplicates(mut self) -> Self {
        let files: Vec<_> = self.packed.files().collect();
        let worth = |log: &FileRecovery| {
            let proven_bytes = if log.is_original == Some(true) { log.recovered.bytes } else { 0 };
            (proven_bytes > 0, log.rows, proven_bytes)
        };
        let mut order: Vec<usize> = (0..files.len()).collect();
        order.sort_by_key(|&index| Reverse(worth(&self.logs[index])));
        let mut distinct = DistinctFiles::default();
        let kept: HashSet<usize> = order.into_iter().filter(|&index| distinct.insert(files[index])).collect();
        let mut index = 0..;
        self.retain(|_| index.next().is_some_and(|index| kept.contains(&index)));
        self
    }

    /// Keeps only some logs. The rows of the others count as ignored.
    fn retain(&mut self, keeps: impl FnMut(&FileRecovery) -> bool) {
        let is_kept: Vec<bool> = self.logs.iter().map(keeps).collect();
        self.packed.retain(|index| is_kept[index]);
        let logs = self.logs.drain(..).zip(self.ignored_of.drain(..)).zip(is_kept);
        let (kept, dropped): (Vec<_>, Vec<_>) = logs.partition(|(_, is_kept)| *is_kept);
        self.ignored += dropped.iter().map(|((log, ignored), _)| log.rows + ignored).sum::<u64>();
        (self.logs, self.ignored_of) = kept.into_iter().map(|(log, _)| log).unzip();
    }

    fn rows(&self) -> u64 {
        self.logs.iter().map(|log| log.rows).sum()
    }

    /// Returns the packed logs, and a report. The report lacks the values that are known only after writing the bundle.
    pub(super) fn into_parts(self) -> (SpooledBundle, RecoverReport) {
        let report = RecoverReport {
            manifest: self.manifest,
            version: self.version,
            label: self.label,
            history: self.history,
            filter: self.filter,
            redaction: self.redaction,
            digest: None,
            written: None,
            bundle_bytes: 0,
            ignored: self.ignored + self.ignored_of.iter().sum::<u64>(),
            files: self.logs,
            is_damaged: self.is_damaged,
        };
        (self.packed, report)
    }
}

fn catalogue_rank(log: &FileRecovery) -> impl Ord + '_ {
    catalogue_order(log.source.as_str(), log.name.as_str())
}

/// The position from which blocks are searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    AfterManifest,
    OfFile,
}

/// Searches once. Returns `None` if there is neither a row nor a manifest, or if `evidence` needs a hash and there is
/// none.
fn search(
    input: &FileInput<'_>,
    evidence: Evidence,
    start: Start,
    options: &WriteOptions,
    progress: &dyn Progress,
) -> Result<Option<SearchResult>> {
    let (mut scan, usable) = open(input, evidence, start)?;
    let UsableManifest { manifest, state, version, is_contradicted } = usable;
    if evidence == Evidence::Hashes && !manifest.as_ref().is_some_and(has_hash) {
        return Ok(None);
    }
    let chunk_refs =
        manifest.as_ref().filter(|manifest| manifest.has_chunk_table()).map(chunk_refs).unwrap_or_default();
    scan.detect_blocks(&chunk_refs)?;
    let context = ScanContext::new(manifest.as_ref(), &chunk_refs, evidence != Evidence::Hashes);
    let context = context.with_holes(input.holes().cloned());
    let (start_is_intact, kind) = (!scan.has_fault(), scan.content);
    let first_row = first_row(&scan.first_line, manifest.as_ref());
    let text = TextDigest::of_first_line(&scan.first_line);
    let has_line = matches!(scan.first_line, FirstLine::Line { .. }) && kind == StreamKind::Gzip;
    let parts = scan.parts(manifest.as_ref(), &chunk_refs, &context.buffers);
    let may_hide_blocks = has_line && (parts.are_text() || manifest.is_none() || !start_is_intact);
    std::thread::scope(|scope| {
        let mut rows = RowStream::start(scope, parts, text, &context, options.threads, progress);
        rows.prepend(first_row);
        let mut packer = BundleWriter::start(scope, options);
        let mut logs = pack_logs(&mut rows, manifest.as_ref(), &mut packer)?;
        if manifest.is_none() && logs.is_empty() {
            return Ok(None);
        }
        let is_damaged = !(start_is_intact && rows.is_intact);
        // The gzip checksum proves rows that chunk checksums did not, but it does not override the log's own hash.
        if !is_damaged && kind == StreamKind::Gzip && rows.is_verified {
            logs.iter_mut().filter(|log| log.is_original.is_none()).for_each(|log| log.unverified_rows = 0);
        }
        let mut ignored_of = std::mem::take(&mut rows.ignored_of);
        let has_ignored = rows.ignored > 0 || ignored_of.iter().any(|ignored| *ignored > 0);
        ignored_of.resize(logs.len(), 0);
        Ok(Some(SearchResult {
            packed: packer.finish()?,
            exported_at: manifest.as_ref().map(|manifest| manifest.exported_at),
            label: manifest.as_ref().and_then(|manifest| manifest.label.clone()),
            history: manifest.as_ref().and_then(|manifest| manifest.history.clone()),
            filter: manifest.as_ref().and_then(|manifest| manifest.filter.clone()),
            redaction: manifest.as_ref().and_then(|manifest| manifest.redaction.clone()),
            logs,
            ignored_of,
            ignored: rows.ignored,
            manifest: state,
            version,
            is_damaged,
            may_hide_blocks,
            is_suspect: rows.is_suspect || has_ignored || state != ManifestState::Intact,
            is_contradicted: manifest.is_some() && (is_contradicted || rows.contradicts_manifest),
        }))
    })
}

fn has_hash(manifest: &Manifest) -> bool {
    manifest.files.iter().any(|file| file.integrity().is_some())
}

/// Returns the first line, if it may be a row.
fn first_row(line: &FirstLine, manifest: Option<&Manifest>) -> Vec<u8> {
    match line {
        FirstLine::Line { line, .. } if manifest.is_none() => [line.as_slice(), b"\n"].concat(),
        _ => Vec::new(),
    }
}

/// Packs the logs one after another.
fn pack_logs(
    rows: &mut RowStream<'_, '_>,
    manifest: Option<&Manifest>,
    packer: &mut BundleWriter<'_>,
) -> Result<Vec<FileRecovery>> {
    let (mut files, mut done) = (Vec::new(), HashSet::new());
    while let Some(mut log) = LogReader::next(rows, manifest, files.len(), &done)? {
        let (id, times) = (log.id(), log.times());
        packer.add_log(&id, times, &mut log, id.name.as_str(), &NoProgress)?;
        files.push(log.finish());
        done.insert((id.source, id.name));
    }
    Ok(files)
}

/// Opens the bundle, even if its first bytes are damaged, and reads the manifest.
fn open<'r>(input: &FileInput<'r>, evidence: Evidence, start: Start) -> Result<(Scan<'r>, UsableManifest)> {
    let mut scan = Scan::open(input.at_start().into())?;
    if matches!(scan.first_line, FirstLine::Foreign(_)) {
        scan = Scan::open_headless(input.at_start().into())?;
    }
    let usable = match &scan.first_line {
        FirstLine::Line { line, .. } => usable_manifest(line, evidence)?,
        FirstLine::Damaged | FirstLine::Foreign(_) => UsableManifest::nothing(),
    };
    // Damage is detected only after its position, possibly after the first flush point, so start over.
    if start == Start::OfFile || matches!(scan.first_line, FirstLine::Damaged) {
        scan = Scan::blocks_only(input.at_start().into());
    }
    Ok((scan, usable))
}
