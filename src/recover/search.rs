//! Searches a damaged bundle for rows, again with less belief in its manifest where that contradicts what is proven.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom};

use super::log::LogReader;
use super::manifest::{UsableManifest, usable_manifest};
use super::proven::unmistakable;
use super::report::{ContainerClaim, FileRecovery, ManifestState, RecoverReport};
use super::stream::RowStream;
use crate::bundle::chunk_refs;
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::{DistinctFiles, Manifest, Timestamp};
use crate::gzip::StreamKind;
use crate::pack::{PackOptions, PackedBundle, Packer};
use crate::progress::{NoProgress, Progress};
use crate::scan::rows::ScanContext;
use crate::scan::{FirstLine, Scan, TextDigest};

/// What is believed of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ManifestTrust {
    Everything,
    /// Without its chunk table a bundle is read as text.
    AllButTable,
    /// Everything, but that it ends where the rows begin.
    AllButEnd,
    Nothing,
    /// Not even that it ends where the rows begin.
    NothingNorEnd,
}

/// What a search gave.
pub(super) struct SearchResult {
    pub(super) packed: PackedBundle,
    /// Says of each packed file what it is, in the same order.
    pub(super) report: RecoverReport,
    pub(super) exported_at: Option<Timestamp>,
    /// What was used of the manifest.
    pub(super) manifest: Option<Manifest>,
    /// How many rows of each file of the manifest were not taken.
    pub(super) ignored_of: Vec<u64>,
    /// Whether blocks may be hidden in what was read as text, or in damage: of the first line, or right behind it.
    may_hide: bool,
    /// What is still to be believed of the manifest, if rows that are proven contradict it.
    contradicted: Option<ManifestTrust>,
}

impl SearchResult {
    /// Everything that can be found.
    ///
    /// # Errors
    /// As [`recover`](super::recover), but for the writing.
    pub(super) fn in_bundle<R: Read + Seek>(
        input: &mut R,
        options: &PackOptions,
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
            Some(belief) => found.with_proven_logs(input, options)?.search_again(input, belief, options)?,
        };
        Ok(found.search_everywhere(input, options)?.of_distinct_files())
    }

    /// Searches once more. What the manifest says of a log that came out with its SHA-256 is proven, whatever else it
    /// says: such logs are kept as they are. Where fewer rows are found than before, so are all.
    fn search_again<R: Read + Seek>(
        mut self,
        input: &mut R,
        belief: ManifestTrust,
        options: &PackOptions,
    ) -> Result<Self> {
        let proven = self.proven();
        let logs = self.report.files.iter().zip(&proven);
        let kept: Vec<_> = logs.filter(|(_, is_proven)| **is_proven).map(|(log, _)| log.clone()).collect();
        let found = match search(input, belief, &kept, options, &NoProgress) {
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

    /// Searches once more where no row was found, or no block where they could be. Damage right behind a manifest can hide
    /// where the chunks begin, so they are looked for everywhere: by the manifest, and if that does not help, without it.
    fn search_everywhere<R: Read + Seek>(self, input: &mut R, options: &PackOptions) -> Result<Self> {
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

    /// Leaves out the lesser one of logs that would be the same file, as no bundle can have both: rows can say that they
    /// belong to a log that the manifest gives to another source. What is proven and holds something is worth most.
    fn of_distinct_files(mut self) -> Self {
        let logs: Vec<_> = self.packed.files().zip(&self.report.files).collect();
        let mut order: Vec<usize> = (0..logs.len()).collect();
        let worth = |log: &FileRecovery| (log.recovered.bytes > 0 && log.is_original == Some(true), log.rows);
        order.sort_by_key(|&index| Reverse(worth(logs[index].1)));
        let mut distinct = DistinctFiles::default();
        let kept: HashSet<usize> = order.into_iter().filter(|&index| distinct.take(logs[index].0)).collect();
        self.report.keep(&kept);
        self.packed.retain(|index| kept.contains(&index));
        self
    }

    fn rows(&self) -> u64 {
        self.report.files.iter().map(|log| log.rows).sum()
    }

    /// Which of the logs are proven, and cannot be taken for another one.
    fn proven(&self) -> Vec<bool> {
        let logs = || self.report.files.iter().enumerate();
        let proven = logs().filter(|(_, log)| log.is_original == Some(true));
        let proven = unmistakable(proven.map(|(index, log)| (index, log.id(), log.rows, log.recovered.bytes)));
        (0..self.report.files.len()).map(|index| proven.contains(&index)).collect()
    }
}

fn search<R: Read + Seek>(
    input: &mut R,
    belief: ManifestTrust,
    kept: &[FileRecovery],
    options: &PackOptions,
    progress: &dyn Progress,
) -> Result<SearchResult> {
    let scan = open(input)?;
    let UsableManifest { manifest, state, version, is_contradicted } = match &scan.first_line {
        FirstLine::ContainerClaim { line, .. } => usable_manifest(line, belief)?,
        FirstLine::Damaged | FirstLine::Foreign(_) => UsableManifest::nothing(),
    };
    let mut scan = match belief {
        ManifestTrust::AllButEnd | ManifestTrust::NothingNorEnd => blocks_from_start(input)?,
        _ => scan,
    };
    let chunk_refs =
        manifest.as_ref().filter(|manifest| manifest.has_chunk_table()).map(chunk_refs).unwrap_or_default();
    scan.settle(&chunk_refs)?;
    let known = ScanContext::new(manifest.as_ref(), &chunk_refs, true);
    let (started_whole, content) = (!scan.has_fault(), scan.content);
    let first_row = match &scan.first_line {
        FirstLine::ContainerClaim { line, .. } if manifest.is_none() => [line.as_slice(), b"\n"].concat(),
        _ => Vec::new(),
    };
    let text = TextDigest::of_first_line(&scan.first_line);
    let has_line = matches!(scan.first_line, FirstLine::ContainerClaim { .. }) && content == StreamKind::Gzip;
    let parts = scan.parts(manifest.as_ref(), &chunk_refs, &known.buffers);
    let may_hide = has_line && (parts.are_text() || manifest.is_none() || !started_whole);
    let (packed, report, ignored_of, contradicted) = std::thread::scope(|scope| -> Result<_> {
        let mut rows = RowStream::start(scope, parts, text, &known, options.threads, progress);
        rows.leave_out(kept.iter().map(|log| (log.source.to_string(), log.name.to_string())).collect());
        rows.begin_with(first_row);
        let mut packer = Packer::start(scope, options);
        let files = pack_logs(&mut rows, manifest.as_ref(), &mut packer)?;
        if manifest.is_none() && files.is_empty() && kept.is_empty() {
            return Err(ErrorKind::NothingToRecover.into());
        }
        let whole = match (started_whole && rows.is_sound, content) {
            (false, _) => ContainerClaim::Damaged,
            (true, StreamKind::Gzip) if rows.is_proven => ContainerClaim::Proven,
            (true, _) => ContainerClaim::Unproven,
        };
        let once_more = rows.rows_left_out.saturating_sub(kept.iter().map(|log| log.rows).sum());
        let report = RecoverReport::new(state, version, files, rows.ignored + once_more, whole);
        let contradicted = match (rows.contradicts_manifest || is_contradicted, rows.contradicts_table) {
            (true, _) => Some(ManifestTrust::Nothing),
            (false, true) => Some(ManifestTrust::AllButTable),
            _ => None,
        };
        Ok((packer.finish()?, report, std::mem::take(&mut rows.ignored_of), contradicted))
    })?;
    drop(known);
    let contradicted = contradicted.filter(|_| manifest.is_some() && belief == ManifestTrust::Everything);
    let exported_at = manifest.as_ref().map(|manifest| manifest.exported_at);
    Ok(SearchResult { packed, report, exported_at, manifest, ignored_of, may_hide, contradicted })
}

/// Packs one log after the other.
fn pack_logs<R: Read>(
    rows: &mut RowStream<'_, R>,
    manifest: Option<&Manifest>,
    packer: &mut Packer,
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

/// Opens the bundle also where its first bytes are damaged.
fn open<R: Read + Seek>(input: &mut R) -> Result<Scan<&mut R>> {
    rewind(input)?;
    let is_foreign = matches!(Scan::open(&mut *input)?.first_line, FirstLine::Foreign(_));
    rewind(input)?;
    let first_line = if is_foreign { Scan::open_headless(&mut *input) } else { Scan::open(&mut *input) }?.first_line;
    match first_line {
        // Damage shows only behind where it is, maybe behind the first flush point.
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
