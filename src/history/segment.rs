//! A segment of a history: a bundle with the rows that are new since the previous segment.

use std::io::Cursor;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;

use super::layout::{SegmentName, SegmentPath};
use crate::bundle::{Bundle, read_manifest};
use crate::container::{DecryptionKeys, Input, encryption};
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, HistoryFault, IoAction, Result};
use crate::format::{FollowsState, HistoryGap, Label, Manifest, TimeSpan, Timestamp};
use crate::util::ordered_pool::run_ordered;

/// The first line of a segment.
#[derive(Debug)]
pub struct SegmentHead {
    pub name: SegmentName,
    pub path: PathBuf,
    pub manifest: Manifest,
    pub digest: BundleDigest,
    /// The size of the file in bytes.
    pub bundle_bytes: u64,
    /// True if the file is encrypted.
    pub is_encrypted: bool,
}

/// The means to read the first lines of encrypted segments.
#[derive(Clone, Default)]
pub struct SegmentAccess<'n> {
    /// The keys that decrypt them.
    pub keys: Arc<DecryptionKeys>,
    /// The notes on the segments, if any.
    pub noted: Option<&'n dyn NotedHeads>,
}

/// Notes that have the first lines of encrypted segments.
pub trait NotedHeads: Sync {
    /// Returns the first line of the segment of this name, without its line feed.
    fn head(&self, name: &SegmentName) -> Option<Vec<u8>>;
}

/// The approximate size of a segment's manifest in memory, to limit the number that is read at
/// once.
const HEAD_BYTES: usize = 64 << 10;

impl SegmentHead {
    /// Reads the first line of a segment, from a note if the segment is encrypted and has one.
    pub fn read(segment: SegmentPath, access: &SegmentAccess<'_>) -> Result<Self> {
        let SegmentPath { name, path } = segment;
        if let Some(mut line) = access.noted.filter(|_| name.is_sealed).and_then(|noted| noted.head(&name)) {
            let bundle_bytes = size_of(&path)?;
            line.push(b'\n');
            let stream = Input::Stream(Box::new(Cursor::new(line)));
            // A note that does not match the name is ignored.
            if let Ok((manifest, digest)) = read_manifest(stream)
                && name.is_of(name.number, digest)
            {
                return Ok(Self { name, path, manifest, digest, bundle_bytes, is_encrypted: true });
            }
        }
        let input = Input::open(&path, &access.keys)?;
        let named = |error: Error| error.in_subject(&path.display().to_string());
        let (manifest, digest) = read_manifest(input).map_err(named)?;
        let (bundle_bytes, is_encrypted) = (size_of(&path)?, encryption::is_encrypted(&path)?);
        Ok(Self { name, path, manifest, digest, bundle_bytes, is_encrypted })
    }

    /// Checks that the keys open one of the newest encrypted segments, if any. If they open none,
    /// the keys are wrong, and the history may still be intact.
    ///
    /// # Errors
    /// The error of the newest segment, if none of the tried segments can be opened.
    pub fn check_keys(segments: &[SegmentPath], access: &SegmentAccess<'_>) -> Result<()> {
        /// The maximum number of segments to try. A passphrase takes a second for each.
        const MAX_TRIED: usize = 4;
        let mut refused = None;
        for segment in segments.iter().rev().filter(|segment| segment.name.is_sealed).take(MAX_TRIED) {
            match Self::read(segment.clone(), access) {
                Err(error) if error.kind().may_need_other_keys() => refused = refused.or(Some(error)),
                _ => return Ok(()),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Reads the first lines of segments on several threads, and passes each to `take`, in order.
    pub fn read_all(
        segments: Vec<SegmentPath>,
        access: &SegmentAccess<'_>,
        threads: NonZeroUsize,
        take: impl FnMut((SegmentPath, Result<Self>)) -> Result<()>,
    ) -> Result<()> {
        let mut segments = segments.into_iter();
        let next = || Ok(segments.next().map(|segment| (segment, HEAD_BYTES)));
        run_ordered(threads, || |segment: SegmentPath| (segment.clone(), Self::read(segment, access)), next, take)
    }
}

/// A segment of an opened history.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Segment {
    /// Its number, from 0.
    pub number: u64,
    /// Its path.
    pub path: PathBuf,
    /// Its bundle digest.
    pub digest: BundleDigest,
    /// The time when it was written.
    pub exported_at: Timestamp,
    /// The label of the machine.
    pub label: Option<Label>,
    /// The size of its file in bytes.
    pub bundle_bytes: u64,
    /// Its files, in the order of its manifest.
    pub files: Vec<SegmentFile>,
    /// The name of its file.
    pub(crate) name: SegmentName,
    /// The keys that decrypt it.
    pub(crate) keys: Arc<DecryptionKeys>,
}

/// The part of a log in a segment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SegmentFile {
    /// The log, as an index into [`History::logs`](super::History::logs).
    pub log: usize,
    /// The number of its rows in the segment.
    pub rows: u64,
    /// The length of its lines in the segment in bytes, rows or not.
    pub bytes: u64,
    /// The earliest and the latest timestamp of these rows.
    pub span: TimeSpan,
    /// The state of the log when the segment was written.
    pub state: FollowsState,
    /// The gap before these rows, if the state is [`Gap`](FollowsState::Gap).
    pub gap: Option<Box<HistoryGap>>,
}

impl Segment {
    /// Opens the segment as a bundle.
    ///
    /// # Errors
    /// If it cannot be opened, or has changed since the history was opened.
    pub fn open(&self) -> Result<Bundle<'static>> {
        let bundle = Bundle::from_input(Input::open(&self.path, &self.keys)?, &self.path.display().to_string())?;
        match bundle.digest() == self.digest {
            true => Ok(bundle),
            false => Err(changed(&self.path)),
        }
    }
}

/// Returns the size of the file in bytes.
fn size_of(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path).map_err(|error| Error::io(IoAction::Open, path, error))?.len())
}

fn changed(path: &Path) -> Error {
    Error::from(ErrorKind::History(HistoryFault::Changed)).in_subject(&path.display().to_string())
}
