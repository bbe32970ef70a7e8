//! The files of a history's directory: `segments/<year>/<number>-<digits>.jsonl.gz`, followed by
//! `.age` if the segment is encrypted, and `checkpoint`.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, HistoryFault, IoAction, Result};
use crate::format::Timestamp;

/// The directory of the segments.
const SEGMENTS: &str = "segments";

/// The only file of a history that is ever replaced.
const CHECKPOINT: &str = "checkpoint";

/// The file that a run of `keep` locks. The run that creates a history writes the identity to it.
const LOCK: &str = ".lock";

/// The suffix of the name of every segment.
const SUFFIX: &str = ".jsonl.gz";

/// The additional suffix of the name of an encrypted segment.
const SEALED_SUFFIX: &str = ".age";

/// The minimum number of digits of a segment's number.
const NUMBER_DIGITS: usize = 9;

/// The number of hexadecimal digits of the bundle digest in the name of a segment.
const DIGEST_DIGITS: usize = 16;

/// The name of a segment's file, such as `000000231-1f2c9ab0d4e5f607.jsonl.gz`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    /// The number of the segment, from 0.
    pub number: u64,
    /// The first digits of its bundle digest.
    digits: String,
    /// True if the segment is encrypted.
    pub is_sealed: bool,
}

impl SegmentName {
    /// Returns the name of the segment with this number and digest.
    pub fn new(number: u64, digest: BundleDigest) -> Self {
        let mut digits = digest.to_string();
        digits.truncate(DIGEST_DIGITS);
        Self { number, digits, is_sealed: false }
    }

    /// Sets whether the segment is encrypted.
    pub fn sealed(self, is_sealed: bool) -> Self {
        Self { is_sealed, ..self }
    }

    /// Returns true if this is the name of the segment with this number and digest, encrypted or
    /// not.
    pub fn is_of(&self, number: u64, digest: BundleDigest) -> bool {
        Self::new(number, digest).sealed(self.is_sealed) == *self
    }

    fn parse(name: &OsStr) -> Option<Self> {
        let name = name.to_str()?;
        let (plain, is_sealed) = name.strip_suffix(SEALED_SUFFIX).map_or((name, false), |plain| (plain, true));
        let (number, digits) = plain.strip_suffix(SUFFIX)?.split_once('-')?;
        let is_hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        let is_number = number.len() >= NUMBER_DIGITS && number.bytes().all(|digit| digit.is_ascii_digit());
        let is_name = is_number && digits.len() == DIGEST_DIGITS && digits.bytes().all(is_hex);
        let parsed = Self { number: number.parse().ok()?, digits: digits.to_owned(), is_sealed };
        (is_name && parsed.to_string() == name).then_some(parsed)
    }
}

impl std::fmt::Display for SegmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sealed = if self.is_sealed { SEALED_SUFFIX } else { "" };
        write!(f, "{:0NUMBER_DIGITS$}-{}{SUFFIX}{sealed}", self.number, self.digits)
    }
}

/// A file that has the name of a segment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentPath {
    /// Its name.
    pub name: SegmentName,
    /// Its path.
    pub path: PathBuf,
}

/// The files of a history.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The segments, sorted by number. Several may have the same number.
    pub segments: Vec<SegmentPath>,
    /// The other files in the directory of the segments, sorted, except for hidden files and the
    /// signatures of segments.
    pub foreign: Vec<PathBuf>,
}

/// Returns the path of the checkpoint.
pub fn checkpoint_path(dir: &Path) -> PathBuf {
    dir.join(CHECKPOINT)
}

/// Returns the path of the file that a run locks.
pub fn lock_path(dir: &Path) -> PathBuf {
    dir.join(LOCK)
}

/// Returns the path of the directory of all segments.
pub fn segments_dir(dir: &Path) -> PathBuf {
    dir.join(SEGMENTS)
}

/// Returns the path of a segment that is written at `time`.
pub fn segment_path(dir: &Path, name: &SegmentName, time: Timestamp) -> PathBuf {
    let time = time.to_string();
    let year = time.split('-').next().unwrap_or_default();
    segments_dir(dir).join(year).join(name.to_string())
}

/// Returns true if `dir` has a directory of segments, like a history.
#[must_use]
pub fn is_history(dir: &Path) -> bool {
    segments_dir(dir).is_dir()
}

/// Lists the segments of the history in `dir`.
///
/// # Errors
/// If a directory cannot be listed. [`HistoryFault::NotAHistory`] if `dir` has no directory of
/// segments.
pub fn list(dir: &Path) -> Result<Listing> {
    let mut listing = Listing { segments: Vec::new(), foreign: Vec::new() };
    let segments = segments_dir(dir);
    if !is_history(dir) {
        // A directory that cannot be listed may be a history, so its error is reported. A file
        // cannot be one.
        if !dir.is_file() {
            fs::read_dir(dir).map_err(|error| Error::io(IoAction::List, dir, error))?;
        }
        let fault = ErrorKind::History(HistoryFault::NotAHistory);
        return Err(Error::from(fault).in_subject(&dir.display().to_string()));
    }
    for (name, path) in entries(&segments)? {
        let is_year = name.to_str().is_some_and(|name| name.bytes().all(|digit| digit.is_ascii_digit()));
        match is_year && path.is_dir() {
            true => entries(&path)?.into_iter().for_each(|(name, path)| listing.add(&name, path)),
            false => listing.add(&name, path),
        }
    }
    listing.segments.sort();
    listing.foreign.sort();
    Ok(listing)
}

impl Listing {
    fn add(&mut self, name: &OsStr, path: PathBuf) {
        match SegmentName::parse(name) {
            Some(name) => self.segments.push(SegmentPath { name, path }),
            None if name.as_encoded_bytes().starts_with(b".") || is_signature(name) => {}
            None => self.foreign.push(path),
        }
    }
}

/// Returns true if `name` is that of a segment's signature.
fn is_signature(name: &OsStr) -> bool {
    let segment = name.to_str().and_then(|name| name.strip_suffix(".sig"));
    segment.is_some_and(|segment| SegmentName::parse(OsStr::new(segment)).is_some())
}

fn entries(dir: &Path) -> Result<Vec<(std::ffi::OsString, PathBuf)>> {
    let listed = |error: io::Error| Error::io(IoAction::List, dir, error);
    let entries = fs::read_dir(dir).map_err(listed)?;
    entries.map(|entry| entry.map(|entry| (entry.file_name(), entry.path())).map_err(listed)).collect()
}
