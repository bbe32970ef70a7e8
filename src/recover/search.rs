//! Searches a damaged bundle for rows, and repeats the search with less trust in the manifest if verified data
//! contradicts it.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::log::LogReader;
use super::manifest::{ManifestTrust, UsableManifest, usable_manifest};
use super::report::{ContainerClaim, FileRecovery, ManifestState, RecoverReport, unambiguous};
use super::stream::RowStream;
use crate::bundle::chunk_refs;
use crate::bundle::writer::{BundleWriter, SpooledBundle, WriteOptions};
use crate::container::FileInput;
use crate::error::{ErrorKind, Result};
use crate::format::{DistinctFiles, Manifest, Timestamp};
use crate::gzip::StreamKind;
use crate::progress::{NoProgress, Progress};
use crate::salvage::ScanContext;
use crate::salvage::{FirstLine, Scan, TextDigest};

/// The result of a search.
pub(super) struct SearchResult {
    pub(super) packed: SpooledBundle,
    /// The report, whose files are in the order of the packed files.
    pub(super) report: RecoverReport,
    pub(super) exported_at: Option<Timestamp>,
    /// The part of the manifest that was used.
    pub(super) manifest: Option<Manifest>,
    /// The number of ignored rows for each file of the manifest.
    pub(super) ignored_of: Vec<u64>,
    /// True if blocks may be hidden in text, or in damage of the first line or right after it.
    may_hide: bool,
    /// The trust for another search, if verified rows contradict the manifest.
    contradicted: Option<ManifestTrust>,
}

impl SearchResult {
    /// Finds everything that can be recovered.
    ///
    /// # Errors
    /// As [`recover`](super::recover), except for errors while writing the output.
    pub(super) fn in_bundle(input: &FileInput<'_>, options: &WriteOptions, progress: &dyn Progress) -> Result<Self> {
        let found = search(input, ManifestTrust::Everything, &[], options, progress)?;
        let found = match found.contradicted {
            None => found.with_verified_logs(input, options)?,
            Some(ManifestTrust::AllButTable) => {
                let other = search(input, ManifestTrust::AllButTable, &[], options, &NoProgress)?;
                let better = if other.rows() >= found.rows() { other } else { found };
                better.with_verified_logs(input, options)?
            }
            Some(trust) => found.with_verified_logs(input, options)?.search_again(input, trust, options)?,
        };
        Ok(found.search_everywhere(input, options)?.without_duplicates())
    }

    /// Repeats the search. A log that matches its SHA-256 proves the manifest's claims about it, so such logs are
    /// kept unchanged. If the new search finds fewer rows, the earlier result is kept.
    fn search_again(mut self, input: &FileInput<'_>, trust: ManifestTrust, options: &WriteOptions) -> Result<Self> {
        let verified = self.verified();
        let logs = self.report.files.iter().zip(&verified);
        let kept: Vec<_> = logs.filter(|(_, is_verified)| **is_verified).map(|(log, _)| log.clone()).collect();
        let found = match search(input, trust, &kept, options, &NoProgress) {
            Err(error) if matches!(error.kind(), ErrorKind::NothingToRecover) && self.rows() > 0 => None,
            found => Some(found?),
        };
        let rows_kept: u64 = kept.iter().map(|log| log.rows).sum();
        let Some(mut found) = found.filter(|found| found.rows() + rows_kept >= self.rows()) else {
            self.report.manifest = ManifestState::Faulty;
            return Ok(self);
        };
        if !kept.is_empty() {
            let Self { mut packed, report, exported_at, .. } = self;
            packed.retain(|index| verified[index]);
            found.packed.join(packed);
            found.report.add_verified(kept);
            found.report.distrust_manifest(report.version);
            found.exported_at = exported_at;
        }
        Ok(found)
    }

    /// Repeats the search if no rows were found, or no blocks where some could be. Damage right after the manifest
    /// can hide where the chunks begin, so blocks are searched for everywhere: first with the manifest, then
    /// without it.
    fn search_everywhere(self, input: &FileInput<'_>, options: &WriteOptions) -> Result<Self> {
        let is_lost = self.report.manifest == ManifestState::Lost;
        let has_all = self.rows() > 0 && !(self.may_hide && self.report.lost_something());
        if !self.report.is_damaged || has_all {
            return Ok(self);
        }
        if !is_lost {
            let found = search(input, ManifestTrust::AllButEnd, &[], options, &NoProgress)?
                .with_verified_logs(input, options)?;
            if found.rows() > self.rows() {
                return Ok(found);
            }
        }
        if !is_lost && self.rows() > 0 {
            return Ok(self);
        }
        let has_more = match search(input, ManifestTrust::NothingNorEnd, &[], options, &NoProgress) {
            Err(error) if matches!(error.kind(), ErrorKind::NothingToRecover) => false,
            found => found?.rows() > self.rows(),
        };
        if has_more { self.search_again(input, ManifestTrust::NothingNorEnd, options) } else { Ok(self) }
    }

    /// Removes the lesser of logs that would be the same file, because a bundle cannot hold both. Rows can name a
    /// log that the manifest assigns to another source. A verified log with content ranks highest.
    fn without_duplicates(mut self) -> Self {
        let logs: Vec<_> = self.packed.files().zip(&self.report.files).collect();
        let mut order: Vec<usize> = (0..logs.len()).collect();
        let worth = |log: &FileRecovery| (log.recovered.bytes > 0 && log.is_original == Some(true), log.rows);
        order.sort_by_key(|&index| Reverse(worth(logs[index].1)));
        let mut distinct = DistinctFiles::default();
        let kept: HashSet<usize> = order.into_iter().filter(|&index| distinct.insert(logs[index].0)).collect();
        self.report.keep(&kept);
        self.packed.retain(|index| kept.contains(&index));
        self
    }

    fn rows(&self) -> u64 {
        self.report.files.iter().map(|log| log.rows).sum()
    }

    /// Returns, for each log, true if it is verified and unambiguous.
    fn verified(&self) -> Vec<bool> {
        let logs = || self.report.files.iter().enumerate();
        let verified = logs().filter(|(_, log)| log.is_original == Some(true));
        let verified = unambiguous(verified.map(|(index, log)| (index, log.id(), log.rows, log.recovered.bytes)));
        (0..self.report.files.len()).map(|index| verified.contains(&index)).collect()
    }
}

fn search(
    input: &FileInput<'_>,
    trust: ManifestTrust,
    kept: &[FileRecovery],
    options: &WriteOptions,
    progress: &dyn Progress,
) -> Result<SearchResult> {
    let scan = open(input)?;
    let UsableManifest { manifest, state, version, is_contradicted } = match &scan.first_line {
        FirstLine::Line { line, .. } => usable_manifest(line, trust)?,
        FirstLine::Damaged | FirstLine::Foreign(_) => UsableManifest::nothing(),
    };
    let mut scan = match trust {
        ManifestTrust::AllButEnd | ManifestTrust::NothingNorEnd => blocks_from_start(input),
        _ => scan,
    };
    let chunk_refs =
        manifest.as_ref().filter(|manifest| manifest.has_chunk_table()).map(chunk_refs).unwrap_or_default();
    scan.detect_blocks(&chunk_refs)?;
    let context = ScanContext::new(manifest.as_ref(), &chunk_refs, true);
    let (started_whole, kind) = (!scan.has_fault(), scan.content);
    let first_row = match &scan.first_line {
        FirstLine::Line { line, .. } if manifest.is_none() => [line.as_slice(), b"\n"].concat(),
        _ => Vec::new(),
    };
    let text = TextDigest::of_first_line(&scan.first_line);
    let has_line = matches!(scan.first_line, FirstLine::Line { .. }) && kind == StreamKind::Gzip;
    let parts = scan.parts(manifest.as_ref(), &chunk_refs, &context.buffers);
    let may_hide = has_line && (parts.are_text() || manifest.is_none() || !started_whole);
    let (packed, report, ignored_of, contradicted) = std::thread::scope(|scope| -> Result<_> {
        let mut rows = RowStream::start(scope, parts, text, &context, options.threads, progress);
        rows.skip_logs(kept.iter().map(|log| (log.source.to_string(), log.name.to_string())).collect());
        rows.prepend(first_row);
        let mut packer = BundleWriter::start(scope, options);
        let files = pack_logs(&mut rows, manifest.as_ref(), &mut packer)?;
        if manifest.is_none() && files.is_empty() && kept.is_empty() {
            return Err(ErrorKind::NothingToRecover.into());
        }
        let whole = match (started_whole && rows.is_sound, kind) {
            (false, _) => ContainerClaim::Damaged,
            (true, StreamKind::Gzip) if rows.is_verified => ContainerClaim::Verified,
            (true, _) => ContainerClaim::Unverified,
        };
        let once_more = rows.skipped_rows.saturating_sub(kept.iter().map(|log| log.rows).sum());
        let report = RecoverReport::new(state, version, files, rows.ignored + once_more, whole);
        let contradicted = match (rows.contradicts_manifest || is_contradicted, rows.contradicts_table) {
            (true, _) => Some(ManifestTrust::Nothing),
            (false, true) => Some(ManifestTrust::AllButTable),
            _ => None,
        };
        Ok((packer.finish()?, report, std::mem::take(&mut rows.ignored_of), contradicted))
    })?;
    drop(context);
    let contradicted = contradicted.filter(|_| manifest.is_some() && trust == ManifestTrust::Everything);
    let exported_at = manifest.as_ref().map(|manifest| manifest.exported_at);
    Ok(SearchResult { packed, report, exported_at, manifest, ignored_of, may_hide, contradicted })
}

/// Packs the logs one after another.
fn pack_logs(
    rows: &mut RowStream<'_, '_>,
    manifest: Option<&Manifest>,
    packer: &mut BundleWriter,
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

/// Opens the bundle even if its first bytes are damaged.
fn open<'r>(input: &FileInput<'r>) -> Result<Scan<'r>> {
    let mut scan = Scan::open(input.at_start().into())?;
    if matches!(scan.first_line, FirstLine::Foreign(_)) {
        scan = Scan::open_headless(input.at_start().into())?;
    }
    // Damage is detected only after its position, possibly after the first flush point.
    Ok(if matches!(scan.first_line, FirstLine::Damaged) { blocks_from_start(input) } else { scan })
}

fn blocks_from_start<'r>(input: &FileInput<'r>) -> Scan<'r> {
    Scan::of_blocks_alone(input.at_start().into())
}
