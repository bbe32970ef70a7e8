//! Computes the checksum and length that a gzip trailer should have.

use super::first_line::FirstLine;
use super::lines::PartLines;
use crate::digest::Crc32;
use crate::error::GzipFault;
use crate::gzip::{LastBlock, Tail};

/// The checksum and length of a bundle's text so far; unknown once some text could not be read.
#[derive(Debug, Clone, Copy)]
pub struct TextDigest(Option<(Crc32, u64)>);

impl TextDigest {
    /// Returns the digest of the first line, including its line feed.
    pub fn of_first_line(first_line: &FirstLine) -> Self {
        let FirstLine::Line { line, terminated } = first_line else { return Self(None) };
        let sum = (Crc32::of(line), line.len() as u64);
        Self(Some(if *terminated { (sum.0.combine(Crc32::of(b"\n"), 1), sum.1 + 1) } else { sum }))
    }

    /// Appends the next lines.
    pub fn add(&mut self, lines: &PartLines) {
        self.0 = self.0.map(|(crc32, bytes)| (crc32.combine(lines.crc32, lines.bytes), bytes + lines.bytes));
    }

    /// Marks the checksum as unknown because some text could not be read.
    pub fn invalidate(&mut self) {
        self.0 = None;
    }

    /// Returns the mismatches between the trailer and the whole text. None are found if the checksum is unknown.
    pub fn faults(&self, tail: &Tail) -> Vec<GzipFault> {
        self.0.map(|(crc32, bytes)| tail.faults(crc32, bytes)).unwrap_or_default()
    }

    /// Returns true if the trailer proves that the whole text is intact.
    pub fn is_verified_by(&self, tail: &Tail) -> bool {
        self.0.is_some() && tail.last_block != LastBlock::Damaged && self.faults(tail).is_empty()
    }
}
