//! The proof that a bundle is a segment of a history. Checking it takes a checkpoint, but not the
//! other segments (FORMAT.md, "Checkpoints and proofs").

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use data_encoding::BASE64;

use super::checkpoint::{Checkpoint, in_file, parse_count, parse_hash, read_text};
use super::tree::root_of_proof;
use crate::digest::{BundleDigest, Sha256Digest};
use crate::error::{HistoryFault, Result};
use crate::format::{HistoryId, HistoryPosition};
use crate::util::atomic_file::OutputTarget;

/// The first line of a proof.
const TITLE: &str = "patchwork-traces-proof 1";

/// The maximum number of hashes: a tree of 2^64 leaves has that many levels.
const MAX_HASHES: usize = 64;

/// The proof that a segment is in a history. Displayed and parsed as the text of a proof file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentProof {
    /// The identity of the history.
    pub id: HistoryId,
    /// The number of the segment.
    pub segment: u64,
    /// The number of segments of the checkpoint that the proof is for.
    pub size: u64,
    /// The hashes of the proof, from the segment's sibling to the child of the tree head.
    pub hashes: Vec<Sha256Digest>,
}

impl SegmentProof {
    /// Reads the proof in the file `path`.
    ///
    /// # Errors
    /// If the file cannot be read. [`HistoryFault::NotAProof`] if its text is not a proof.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let text = read_text(path.as_ref())?;
        text.as_deref().and_then(parse).ok_or_else(|| in_file(path.as_ref(), HistoryFault::NotAProof))
    }

    /// Writes the proof to `target`.
    ///
    /// # Errors
    /// If it cannot be written. A target that is a file is then unchanged.
    pub fn write(&self, target: &OutputTarget) -> Result<()> {
        target.write(self.to_string().as_bytes())
    }

    /// Checks that the bundle with this position in a history and this digest is the segment that
    /// the proof is for, and that `checkpoint` includes it.
    ///
    /// # Errors
    /// [`HistoryFault::OtherProof`] and [`HistoryFault::OtherProofSize`] if the proof does not
    /// belong to the checkpoint, [`HistoryFault::NotASegment`], [`HistoryFault::OtherHistory`] and
    /// [`HistoryFault::OtherProofSegment`] if it does not belong to the bundle, and
    /// [`HistoryFault::ProofMismatch`] if it does not lead from the bundle to the checkpoint.
    pub fn check(
        &self,
        position: Option<&HistoryPosition>,
        digest: BundleDigest,
        checkpoint: &Checkpoint,
    ) -> Result<(), HistoryFault> {
        let (of_proof, of_checkpoint) = (self.id.to_string(), checkpoint.id.to_string());
        if self.id != checkpoint.id {
            return Err(HistoryFault::OtherProof { found: of_proof, expected: of_checkpoint });
        }
        if self.size != checkpoint.size {
            return Err(HistoryFault::OtherProofSize { found: self.size, expected: checkpoint.size });
        }
        let Some(position) = position else { return Err(HistoryFault::NotASegment) };
        if position.id != self.id {
            return Err(HistoryFault::OtherHistory { found: position.id.to_string(), expected: of_proof });
        }
        if position.segment != self.segment {
            return Err(HistoryFault::OtherProofSegment { found: self.segment, expected: position.segment });
        }
        match root_of_proof(digest, self.segment, self.size, &self.hashes) == Some(checkpoint.root) {
            true => Ok(()),
            false => Err(HistoryFault::ProofMismatch { segment: self.segment }),
        }
    }
}

impl fmt::Display for SegmentProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}\n{}\n{}\n{}", self.id, self.segment, self.size)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", BASE64.encode(hash.as_bytes())))
    }
}

/// The error for a text that is not a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidProof;

impl fmt::Display for InvalidProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HistoryFault::NotAProof.fmt(f)
    }
}

impl std::error::Error for InvalidProof {}

impl FromStr for SegmentProof {
    type Err = InvalidProof;

    fn from_str(text: &str) -> Result<Self, InvalidProof> {
        parse(text).ok_or(InvalidProof)
    }
}

fn parse(text: &str) -> Option<SegmentProof> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    if lines.next() != Some(TITLE) {
        return None;
    }
    let id = HistoryId::parse(lines.next()?)?;
    let (segment, size) = (parse_count(lines.next()?)?, parse_count(lines.next()?)?);
    let hashes: Vec<_> = lines.map(parse_hash).collect::<Option<_>>()?;
    (segment < size && hashes.len() <= MAX_HASHES).then_some(SegmentProof { id, segment, size, hashes })
}
