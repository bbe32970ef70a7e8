//! The checkpoint of a history: the number of its segments and the head of the tree of their
//! digests (FORMAT.md, "Checkpoints and proofs"). An older checkpoint shows that segments were only
//! appended since.

use std::fmt;
use std::io::{Read, Write as _};
use std::path::Path;
use std::str::FromStr;

use data_encoding::BASE64;
use fs_err as fs;

use super::layout::checkpoint_path;
use super::tree::Frontier;
use crate::digest::Sha256Digest;
use crate::error::{Error, ErrorKind, HistoryFault, IoAction, Result};
use crate::format::HistoryId;
use crate::util::atomic_file::{AtomicFile, TargetOptions};

/// The text of the first line before the identity of the history.
const ORIGIN: &str = "patchwork-traces/";

/// The maximum length of a checkpoint with its signatures, and of a proof, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// The segments of a history at one time, given by their number and the head of their tree.
///
/// Displayed and parsed as the text of the file `checkpoint`. Text after a blank line, such as the
/// signatures of a signed note, is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The identity of the history.
    pub id: HistoryId,
    /// The number of segments.
    pub size: u64,
    /// The head of the tree (RFC 6962) whose leaves are the bundle digests of the segments, in
    /// order.
    pub root: Sha256Digest,
}

impl Checkpoint {
    /// Returns the checkpoint of a history with the segments of `frontier`.
    pub(crate) fn of(id: HistoryId, frontier: &Frontier) -> Self {
        Self { id, size: frontier.size(), root: frontier.root() }
    }

    /// Reads the checkpoint in the file `path`.
    ///
    /// # Errors
    /// If the file cannot be read. [`HistoryFault::NotACheckpoint`] if its text is not a
    /// checkpoint.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let text = read_text(path.as_ref())?;
        text.as_deref().and_then(parse).ok_or_else(|| in_file(path.as_ref(), HistoryFault::NotACheckpoint))
    }

    /// Writes the checkpoint of the history in `dir`, and replaces an earlier one in one step.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let path = checkpoint_path(dir);
        let mut file = AtomicFile::create(&path, TargetOptions::default().replace(true))?;
        file.write_all(self.to_string().as_bytes()).map_err(|error| Error::io(IoAction::Write, &path, error))?;
        file.finish()
    }
}

/// Reads a short text file. Returns `None` if it is too long, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<Option<String>> {
    let file = fs::File::open(path).map_err(|error| Error::io(IoAction::Open, path, error))?;
    let mut text = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut text).map_err(|error| Error::io(IoAction::Read, path, error))?;
    Ok(String::from_utf8(text).ok().filter(|text| text.len() as u64 <= MAX_BYTES))
}

/// Returns a fault of the file `path` as an error.
pub fn in_file(path: &Path, fault: HistoryFault) -> Error {
    Error::from(ErrorKind::History(fault)).in_subject(&path.display().to_string())
}

/// Reads the checkpoint of the history in `dir`. Returns `None` if the file does not exist.
pub fn read_in(dir: &Path) -> Result<Option<Checkpoint>> {
    let path = checkpoint_path(dir);
    match path.try_exists() {
        Ok(false) => Ok(None),
        _ => Checkpoint::read(path).map(Some),
    }
}

/// The comparison of a history, segment by segment, with a checkpoint.
#[derive(Debug)]
pub struct Comparison {
    checkpoint: Checkpoint,
    /// True if the first segments are those of the checkpoint. `None` if fewer segments were
    /// compared.
    is_same: Option<bool>,
    compared: u64,
}

impl Comparison {
    /// Starts a comparison of a history, before its first segment.
    pub fn new(checkpoint: Checkpoint) -> Self {
        let mut comparison = Self { checkpoint, is_same: None, compared: 0 };
        comparison.push(&Frontier::default());
        comparison
    }

    /// Returns the number of segments of the checkpoint.
    pub fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// Compares the history up to the last segment in `frontier`.
    pub fn push(&mut self, frontier: &Frontier) {
        self.compared = frontier.size();
        if self.compared == self.checkpoint.size {
            self.is_same = Some(frontier.root() == self.checkpoint.root);
        }
    }

    /// Returns the fault if the history does not extend the checkpoint.
    pub fn fault(&self, id: HistoryId) -> Option<HistoryFault> {
        let Checkpoint { id: expected, size, .. } = self.checkpoint;
        if expected != id {
            return Some(HistoryFault::OtherCheckpoint { found: expected.to_string(), expected: id.to_string() });
        }
        match self.is_same {
            Some(true) => None,
            Some(false) => Some(HistoryFault::Rewritten { size }),
            None => Some(HistoryFault::CutOff { size, found: self.compared }),
        }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = BASE64.encode(self.root.as_bytes());
        write!(f, "{ORIGIN}{}\n{}\n{root}\n", self.id, self.size)
    }
}

/// The error for a text that is not a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidCheckpoint;

impl fmt::Display for InvalidCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HistoryFault::NotACheckpoint.fmt(f)
    }
}

impl std::error::Error for InvalidCheckpoint {}

impl FromStr for Checkpoint {
    type Err = InvalidCheckpoint;

    fn from_str(text: &str) -> Result<Self, InvalidCheckpoint> {
        parse(text).ok_or(InvalidCheckpoint)
    }
}

fn parse(text: &str) -> Option<Checkpoint> {
    let (origin, rest) = text.split_once('\n')?;
    let (size, rest) = rest.split_once('\n')?;
    let (root, rest) = rest.split_once('\n')?;
    let is_complete = rest.is_empty() || rest.starts_with('\n');
    let id = HistoryId::parse(origin.strip_prefix(ORIGIN)?)?;
    let checkpoint = Checkpoint { id, size: parse_count(size)?, root: parse_hash(root)? };
    is_complete.then_some(checkpoint)
}

/// Parses a count as a checkpoint writes it: digits without leading zeros.
pub fn parse_count(text: &str) -> Option<u64> {
    let count: u64 = text.parse().ok()?;
    (count.to_string() == text).then_some(count)
}

/// Parses a hash in base64.
pub fn parse_hash(text: &str) -> Option<Sha256Digest> {
    let bytes: [u8; 32] = BASE64.decode(text.as_bytes()).ok()?.try_into().ok()?;
    Some(bytes.into())
}
