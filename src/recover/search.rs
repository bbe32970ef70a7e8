//! Searches a damaged bundle for rows, and repeats the search with less trust in the manifest if proven data
//! contradicts it.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom};

use super::log::LogReader;
use super::manifest::{UsableManifest, usable_manifest};
use super::proven::unambiguous;
use super::report::{ContainerClaim, FileRecovery, ManifestState, RecoverReport};
use super::stream::RowStream;
use crate::bundle::chunk_refs;
use crate::bundle::writer::{BundleWriter, SpooledBundle, WriteOptions};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::{DistinctFiles, Manifest, Timestamp};
use crate::gzip::StreamKind;
use crate::progress::{NoProgress, Progress};
use crate::scan::rows::ScanContext;
use crate::scan::{FirstLine, Scan, TextDigest};

/// The parts of the manifest that a search trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ManifestTrust {
    Everything,
    /// All except the chunk table. Without it, a bundle is read as text.
    AllButTable,
    /// All except that the manifest ends where the rows begin.
    AllButEnd,
    Nothing,
    /// Nothing, and not that the first line ends where the rows begin.
    NothingNorEnd,
}

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
    /// The trust for another search, if proven rows contradict the manifest.
    contradicted: Option<ManifestTrust>,
}

impl SearchResult {
    /// Finds everything that can be recovered.
    ///
    /// # Errors
    /// As [`recover`](super::recover), except for errors while writing the output.
    pub(super) fn in_bundle<R: Read + Seek>(
        input: &mut R,
        options: &WriteOptions,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let found = search(input, ManifestTrust::Everything, &[], options, progress)?;
        let found = match found.contradicted {
            None => found.with_proven_logs(input, options)?,
            Some(ManifestTrust::AllButTable) => {
                let other = search(input, ManifestTrust::AllButTable, &[], options, &NoProgress)?;
                let better = if other.rows() >= found.rows() { other } else { found };
                better.with_proven_logs(input, options)?
            }
            Some(trust) => found.with_proven_logs(input, options)?.search_again(input, trust, options)?,
        };
        Ok(found.search_everywhere(input, options)?.without_duplicates())
    }

    /// Repeats the search. A log that matches its SHA-256 proves the manifest's claims about it, so such logs are
    /// kept unchanged. If the new search finds fewer rows, the earlier result is kept.
    fn search_again<R: Read + Seek>(
        mut self,
        input: &mut R,
        trust: ManifestTrust,
        options: &WriteOptions,
    ) -> Result<Self> {
        let proven = self.proven();
        let logs = self.report.files.iter().zip(&proven);
        let kept: Vec<_> = logs.filter(|(_, is_proven)| **is_proven).map(|(log, _)| log.clone()).collect();
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
            packed.retain(|index| proven[index]);
            found.packed.join(packed);
            found.report.add_proven(kept);
            found.report.distrust_manifest(report.version);
            found.exported_at = exported_at;
        }
        Ok(found)
    }

    /// Repeats the search if no rows were found, or no blocks where some could be. Damage right after the manifest
    /// can hide where the chunks begin, so blocks are searched for everywhere: first with the manifest, then
    /// without it.
    fn search_everywhere<R: Read + Seek>(self, input: &mut R, options: &WriteOptions) -> Result<Self> {
        let is_lost = self.report.manifest == ManifestState::Lost;
        let has_all = self.rows() > 0 && !(self.may_hide && self.report.lost_something());
        if !self.report.is_damaged || has_all {
            return Ok(self);
        }
        if !is_lost {
            let found =
                search(input, ManifestTrust::AllButEnd, &[], options, &NoProgress)?.with_proven_logs(input, options)?;
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
    /// log that the manifest assigns to another source. A proven log with content ranks highest.
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

    /// Returns, for each log, true if it is proven and unambiguous.
    fn proven(&self) -> Vec<bool> {
        let logs = || self.report.files.iter().enumerate();
        let proven = logs().filter(|(_, log)| log.is_original == Some(true));
        let proven = unambiguous(proven.map(|(index, log)| (index, log.id(), log.rows, log.recovered.bytes)));
        (0..self.report.files.len()).map(|index| proven.contains(&index)).collect()
    }
}

fn search<R: Read + Seek>(
    input: &mut R,
    trust: ManifestTrust,
    kept: &[FileRecovery],
    options: &WriteOptions,
    progress: &dyn Progress,
) -> Result<SearchResult> {
    let scan = open(input)?;
    let UsableManifest { manifest, state, version, is_contradicted } = match &scan.first_line {
        FirstLine::ContainerClaim { line, .. } => usable_manifest(line, trust)?,
        FirstLine::Damaged | FirstLine::Foreign(_) => UsableManifest::nothing(),
    };
    let mut scan = match trust {
        ManifestTrust::AllButEnd | ManifestTrust::NothingNorEnd => blocks_from_start(input)?,
        _ => scan,
    };
    let chunk_refs =
        manifest.as_ref().filter(|manifest| manifest.has_chunk_table()).map(chunk_refs).unwrap_or_default();
    scan.settle(&chunk_refs)?;
    let context = ScanContext::new(manifest.as_ref(), &chunk_refs, true);
    let (started_whole, kind) = (!scan.has_fault(), scan.content);
    let first_row = match &scan.first_line {
        FirstLine::ContainerClaim { line, .. } if manifest.is_none() => [line.as_slice(), b"\n"].concat(),
        _ => Vec::new(),
    };
    let text = TextDigest::of_first_line(&scan.first_line);
    let has_line = matches!(scan.first_line, FirstLine::ContainerClaim { .. }) && kind == StreamKind::Gzip;
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
            (true, StreamKind::Gzip) if rows.is_proven => ContainerClaim::Proven,
            (true, _) => ContainerClaim::Unproven,
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
fn pack_logs<R: Read>(
    rows: &mut RowStream<'_, R>,
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
fn open<R: Read + Seek>(input: &mut R) -> Result<Scan<&mut R>> {
    rewind(input)?;
    let is_foreign = matches!(Scan::open(&mut *input)?.first_line, FirstLine::Foreign(_));
    rewind(input)?;
    let first_line = if is_foreign { Scan::open_headless(&mut *input) } else { Scan::open(&mut *input) }?.first_line;
    match first_line {
        // Damage is detected only after its position, possibly after the first flush point.
        FirstLine::Damaged => blocks_from_start(input),
        FirstLine::ContainerClaim { .. } | FirstLine::Foreign(_) => {
            rewind(input)?;
            if is_foreign { Scan::open_headless(input) } else { Scan::open(input) }
        }
    }
}

fn blocks_from_start<R: Read + Seek>(input: &mut R) -> Result<Scan<&mut R>> {
    rewind(input)?;
    Ok(Scan::of_blocks_alone(input))
}

pub(super) fn rewind(input: &mut impl Seek) -> Result<()> {
    input.seek(SeekFrom::Start(0)).map(drop).map_err(|error| Error::io_unnamed(IoAction::Read, error))
}
