//! What the end of a gzip member is held against.

use super::FirstLine;
use super::rows::PartLines;
use crate::digest::Crc32;
use crate::error::GzipFault;
use crate::gzip::{LastBlock, Tail};

/// The checksum and length of a bundle's text so far; unknown once some of it could not be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextDigest(Option<(Crc32, u64)>);

impl TextDigest {
    /// Of the first line, with its line feed.
    pub(crate) fn of_first_line(first_line: &FirstLine) -> Self {
        let FirstLine::ContainerClaim { line, terminated } = first_line else { return Self(None) };
        let sum = (Crc32::of(line), line.len() as u64);
        Self(Some(if *terminated { (sum.0.then(Crc32::of(b"\n"), 1), sum.1 + 1) } else { sum }))
    }

    /// Adds what comes next.
    pub(crate) fn add(&mut self, lines: &PartLines) {
        self.0 = self.0.map(|(crc32, bytes)| (crc32.then(lines.crc32, lines.bytes), bytes + lines.bytes));
    }

    /// Some of the text is unknown from here on, and so is its checksum.
    pub(crate) fn lose(&mut self) {
        self.0 = None;
    }

    /// What of the trailer does not fit the whole text, if that is known.
    pub(crate) fn faults(&self, tail: &Tail) -> Vec<GzipFault> {
        self.0.map(|(crc32, bytes)| tail.faults(crc32, bytes)).unwrap_or_default()
    }

    /// Whether the end of the member proves the whole text.
    pub(crate) fn is_proven_by(&self, tail: &Tail) -> bool {
        self.0.is_some() && tail.last_block != LastBlock::Damaged && self.faults(tail).is_empty()
    }
}
