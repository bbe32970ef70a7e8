//! Opens a history: a directory of bundles, called segments, each with the rows that are new since
//! the previous one (FORMAT.md, "Minor version 2").
//!
//! ```text
//! trace-history/
//!   segments/2026/000000231-1f2c9ab0d4e5f607.jsonl.gz   number and first digits of the bundle digest; never rewritten;
//!                                                        .age follows if it is encrypted
//!   checkpoint                                           the only file that is ever replaced
//! ```

mod chain;
mod checkpoint;
mod layout;
mod proof;
mod segment;
mod tree;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::container::DecryptionKeys;
use crate::error::{Error, ErrorKind, HistoryFault, Result};
use crate::format::timeline::RowTimes;
use crate::format::{FollowsState, HistoryId, LogId, Manifest, ManifestFile, TimeSpan, Timeline, WholeLog};
use crate::logs::catalogue_order;
use crate::util::ordered_pool::available_cores;

pub(crate) use chain::Chain;
pub use checkpoint::{Checkpoint, InvalidCheckpoint};
pub(crate) use checkpoint::{Comparison, in_file, read_in};
pub use layout::is_history;
pub(crate) use layout::{SegmentName, SegmentPath, checkpoint_path, list, lock_path, segment_path, segments_dir};
pub use proof::{InvalidProof, SegmentProof};
pub(crate) use segment::{NotedHeads, SegmentAccess, SegmentHead};
pub use segment::{Segment, SegmentFile};
pub(crate) use tree::Frontier;
use tree::inclusion_proof;

/// An opened history. The manifests of its segments have been read, but not their rows. The
/// segments are consecutive and match the file `checkpoint`, if it exists.
///
/// The rows of a log are its rows in all segments, in order.
#[derive(Debug, Clone)]
pub struct History {
    dir: PathBuf,
    id: HistoryId,
    chain: Chain,
    logs: Vec<HistoryLog>,
    segments: Vec<Segment>,
    latest: Manifest,
    keys: Arc<DecryptionKeys>,
}

/// A log of a history, with the totals of all segments.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HistoryLog {
    /// The identity of the log.
    pub id: LogId,
    /// The number of rows.
    pub rows: u64,
    /// The number of lines that are not rows.
    pub unparsed_lines: u64,
    /// The length of all lines in bytes.
    pub bytes: u64,
    /// The earliest and the latest timestamp of a row.
    pub span: TimeSpan,
    /// The distribution of the rows over time. `None` if no row has a timestamp.
    pub timeline: Option<Timeline>,
    /// The state of the log in the latest segment that names it.
    pub state: FollowsState,
    /// The whole log when it was last read. `None` if it was absent in every segment.
    pub latest: Option<WholeLog>,
}

impl History {
    /// Opens the history in `dir`.
    ///
    /// # Errors
    /// [`ErrorKind::History`] if the directory is not a history, or its segments are not
    /// consecutive or do not match its checkpoint. Also fails if the first line of a segment cannot
    /// be read or is damaged.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_with_keys(dir, &DecryptionKeys::default())
    }

    /// Opens the history in `dir`, whose segments may be encrypted. `keys` decrypts them, now and
    /// whenever they are read.
    ///
    /// # Errors
    /// As [`open`](Self::open), and if `keys` do not open a segment.
    pub fn open_with_keys(dir: impl AsRef<Path>, keys: &DecryptionKeys) -> Result<Self> {
        let access = SegmentAccess { keys: Arc::new(keys.clone()), noted: None };
        Self::open_with_access(dir.as_ref(), &access)
    }

    /// Opens the history in `dir`, and reads the first lines of its segments through `access`.
    ///
    /// # Errors
    /// As [`open_with_keys`](Self::open_with_keys).
    pub(crate) fn open_with_access(dir: &Path, access: &SegmentAccess<'_>) -> Result<Self> {
        // The checkpoint is read first, because another run writes it after its segment. The other
        // way round, a segment could seem to be missing.
        let checkpoint = if is_history(dir) { read_in(dir)? } else { None };
        let listing = list(dir)?;
        let mut opening = Opening { keys: Arc::clone(&access.keys), ..Opening::default() };
        SegmentHead::read_all(listing.segments, access, available_cores(), |(segment, head)| {
            let path = segment.path.display().to_string();
            opening
                .push(head.map_err(damaged_head)?)
                .map_err(|fault| Error::from(ErrorKind::History(fault)).in_subject(&path))
        })?;
        let no_segments = || match checkpoint.filter(|checkpoint| checkpoint.size > 0) {
            Some(Checkpoint { size, .. }) => in_file(&checkpoint_path(dir), HistoryFault::CutOff { size, found: 0 }),
            None => in_file(dir, opening_fault(&listing.foreign)),
        };
        let history = opening.finish(dir).ok_or_else(no_segments)?;
        let fault = checkpoint.and_then(|checkpoint| history.extends(&checkpoint).err());
        match fault {
            Some(fault) => Err(in_file(&checkpoint_path(dir), fault)),
            None => Ok(history),
        }
    }

    /// Returns the history extended by a new segment.
    ///
    /// # Errors
    /// If the segment does not follow the last one.
    pub(crate) fn extended(history: Option<Self>, dir: &Path, head: SegmentHead) -> Result<Self, HistoryFault> {
        let mut opening = history.map_or_else(Opening::default, |history| Opening {
            chain: history.chain,
            logs: LogTotals::of(history.logs),
            segments: history.segments,
            latest: Some(history.latest),
            keys: history.keys,
        });
        opening.push(head)?;
        opening.finish(dir).ok_or(HistoryFault::NoSegments)
    }

    /// Returns its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns its identity.
    #[must_use]
    pub fn id(&self) -> HistoryId {
        self.id
    }

    /// Returns its logs, in catalogue order.
    #[must_use]
    pub fn logs(&self) -> &[HistoryLog] {
        &self.logs
    }

    /// Returns the log with this identity.
    pub(crate) fn log(&self, id: &LogId) -> Option<&HistoryLog> {
        self.logs.iter().find(|log| log.id == *id)
    }

    /// Returns its segments, sorted by number. There is at least one.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Returns the manifest of its latest segment.
    #[must_use]
    pub fn latest_manifest(&self) -> &Manifest {
        &self.latest
    }

    /// Returns the number of rows of all logs.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.logs.iter().map(|log| log.rows).sum()
    }

    /// Returns the checkpoint of all of its segments.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint::of(self.id, &self.segments.iter().map(|segment| segment.digest).collect())
    }

    /// Reads the file `checkpoint`, which may be missing, or older than the last segment.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn written_checkpoint(&self) -> Result<Option<Checkpoint>> {
        read_in(&self.dir)
    }

    /// Returns the checkpoint of its first `size` segments. Returns `None` if it has fewer.
    #[must_use]
    pub fn checkpoint_at(&self, size: u64) -> Option<Checkpoint> {
        let segments = self.segments.get(..usize::try_from(size).ok()?)?;
        Some(Checkpoint::of(self.id, &segments.iter().map(|segment| segment.digest).collect()))
    }

    /// Checks that the history has the segments of `checkpoint`, unchanged. It may have later ones.
    ///
    /// # Errors
    /// [`HistoryFault::OtherCheckpoint`], [`HistoryFault::CutOff`] and [`HistoryFault::Rewritten`].
    pub fn extends(&self, checkpoint: &Checkpoint) -> Result<(), HistoryFault> {
        let (mut frontier, mut comparison) = (Frontier::default(), Comparison::new(*checkpoint));
        for segment in &self.segments {
            frontier.push(segment.digest);
            comparison.push(&frontier);
        }
        comparison.fault(self.id).map_or(Ok(()), Err)
    }

    /// Returns the proof that `checkpoint` includes the segment with the number `segment`.
    ///
    /// # Errors
    /// [`HistoryFault::NoSuchSegment`] if the checkpoint has no such segment, and as
    /// [`extends`](Self::extends).
    pub fn prove(&self, segment: u64, checkpoint: &Checkpoint) -> Result<SegmentProof, HistoryFault> {
        self.extends(checkpoint)?;
        let no_such_segment = HistoryFault::NoSuchSegment { number: segment, size: checkpoint.size };
        let leaves = self.segments.iter().map(|segment| segment.digest);
        let leaves: Vec<_> = leaves.take(usize::try_from(checkpoint.size).unwrap_or(usize::MAX)).collect();
        let hashes = usize::try_from(segment).ok().and_then(|segment| inclusion_proof(&leaves, segment));
        let hashes = hashes.ok_or(no_such_segment)?;
        Ok(SegmentProof { id: self.id, segment, size: checkpoint.size, hashes })
    }

    /// Sorts the logs in catalogue order, and updates the indices of the segments' files.
    fn with_logs_in_order(mut self) -> Self {
        let mut order: Vec<_> = (0..self.logs.len()).collect();
        order.sort_by(|a, b| rank(&self.logs[*a]).cmp(&rank(&self.logs[*b])));
        let mut position = vec![0; order.len()];
        order.iter().enumerate().for_each(|(at, log)| position[*log] = at);
        let files = self.segments.iter_mut().flat_map(|segment| &mut segment.files);
        files.for_each(|file| file.log = position[file.log]);
        let mut logs: Vec<_> = self.logs.into_iter().map(Some).collect();
        self.logs = order.into_iter().filter_map(|log| logs[log].take()).collect();
        self
    }
}

fn rank(log: &HistoryLog) -> impl Ord + '_ {
    (catalogue_order(log.id.source.as_str(), log.id.name.as_str()), log.id.base)
}

/// Returns the error for a segment whose first line cannot be read. If the file is not a bundle,
/// this is a fault of the history, because the file was a bundle when it was added.
fn damaged_head(error: Error) -> Error {
    let is_bundle = !matches!(
        error.kind(),
        ErrorKind::EmptyInput
            | ErrorKind::NotABundle
            | ErrorKind::GzipOfSomethingElse
            | ErrorKind::RowBeforeManifest
            | ErrorKind::NotAManifest
    );
    match error.position().subject.clone().filter(|_| !is_bundle) {
        Some(path) => Error::from(ErrorKind::History(HistoryFault::NotABundle)).in_subject(&path),
        None => error,
    }
}

fn opening_fault(foreign: &[PathBuf]) -> HistoryFault {
    match foreign.is_empty() {
        true => HistoryFault::NoSegments,
        false => HistoryFault::NotAHistory,
    }
}

/// A history while its segments are read.
#[derive(Default)]
struct Opening {
    chain: Chain,
    logs: LogTotals,
    segments: Vec<Segment>,
    latest: Option<Manifest>,
    keys: Arc<DecryptionKeys>,
}

impl Opening {
    fn push(&mut self, head: SegmentHead) -> Result<(), HistoryFault> {
        if let Some(fault) = self.chain.push(&head).into_iter().next() {
            return Err(fault);
        }
        let files = head.manifest.files.iter().map(|file| self.logs.add(file)).collect();
        self.segments.push(Segment {
            number: head.name.number,
            name: head.name,
            path: head.path,
            digest: head.digest,
            exported_at: head.manifest.exported_at,
            label: head.manifest.label.clone(),
            bundle_bytes: head.bundle_bytes,
            files,
            keys: Arc::clone(&self.keys),
        });
        self.latest = Some(head.manifest);
        Ok(())
    }

    /// Returns the history in `dir`. `None` if it has no segments.
    fn finish(self, dir: &Path) -> Option<History> {
        let Self { chain, logs, segments, latest, keys } = self;
        let (id, latest) = chain.id().zip(latest)?;
        let history = History { dir: dir.to_owned(), id, chain, logs: logs.finish(), segments, latest, keys };
        Some(history.with_logs_in_order())
    }
}

/// The totals of the logs of a history while its segments are read.
#[derive(Default)]
struct LogTotals {
    index: HashMap<(String, String), usize>,
    logs: Vec<(HistoryLog, RowTimes)>,
}

impl LogTotals {
    fn of(logs: Vec<HistoryLog>) -> Self {
        let key = |log: &HistoryLog| (log.id.source.to_string(), log.id.name.to_string());
        let index = logs.iter().enumerate().map(|(at, log)| (key(log), at)).collect();
        let with_times = |log: HistoryLog| {
            let times = RowTimes::of(log.span, log.timeline.as_ref());
            (log, times)
        };
        Self { index, logs: logs.into_iter().map(with_times).collect() }
    }

    fn add(&mut self, file: &ManifestFile) -> SegmentFile {
        let key = (file.source.to_string(), file.relative_path.to_string());
        let log = *self.index.entry(key).or_insert_with(|| {
            self.logs.push((HistoryLog::empty(file), RowTimes::default()));
            self.logs.len() - 1
        });
        let (total, times) = &mut self.logs[log];
        total.rows += file.count;
        total.unparsed_lines += file.unparsed_lines();
        total.bytes += file.bytes;
        let span = TimeSpan { first: file.first_time, last: file.last_time };
        times.merge(&RowTimes::of(span, file.timeline.as_ref()));
        let follows = file.follows.as_ref();
        total.state = follows.map_or(FollowsState::First, |follows| follows.state);
        total.latest = follows.and_then(|follows| follows.log).or(total.latest);
        let gap = follows.and_then(|follows| follows.gap.clone()).map(Box::new);
        SegmentFile { log, rows: file.count, bytes: file.bytes, span, state: total.state, gap }
    }

    fn finish(self) -> Vec<HistoryLog> {
        let logs = self.logs.into_iter();
        logs.map(|(log, times)| HistoryLog { span: times.span(), timeline: times.timeline(), ..log }).collect()
    }
}

impl HistoryLog {
    fn empty(file: &ManifestFile) -> Self {
        Self {
            id: LogId::of(file),
            rows: 0,
            unparsed_lines: 0,
            bytes: 0,
            span: TimeSpan::default(),
            timeline: None,
            state: FollowsState::First,
            latest: None,
        }
    }
}
