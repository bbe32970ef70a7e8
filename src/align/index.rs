//! Compares the lines of two sides by fingerprints, so that logs larger than memory can be merged.
//!
//! The fingerprints of one side are kept in memory while those of the other side are looked up.
//! Afterwards, only a number and a few bytes of [`LineMetas`] per line remain.

use siphasher::sip128::SipHasher24;

use super::line_meta::{LineMeta, LineMetas};
use super::line_shape::{LineShape, content};
use super::row_keys::{KeyedRow, RowKeys};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::util::line_reader::Line;

/// A 128-bit hash of the content of a line.
pub type Fingerprint = u128;

/// The key of a [`Fingerprinter`].
pub type FingerprintKey = [u8; 16];

/// The hash function for fingerprints. Each import draws a new random key and keeps it in memory
/// only, so an attacker cannot craft two lines with the same fingerprint, one of which would be
/// lost. By chance, two of a billion lines have the same fingerprint once in 10^20 imports. The
/// notes on an encrypted history store their key in a file that only its owner can read.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprinter(SipHasher24);

impl Fingerprinter {
    /// Creates a fingerprinter with the given key.
    pub fn new(key: &FingerprintKey) -> Self {
        Self(SipHasher24::new_with_key(key))
    }

    /// Creates a fingerprinter with a random key.
    pub fn random() -> Result<Self> {
        Self::random_key().map(|key| Self::new(&key))
    }

    /// Returns a random key from the system.
    pub fn random_key() -> Result<FingerprintKey> {
        let mut key = [0; 16];
        let failed = |error: getrandom::Error| Error::io_unnamed(IoAction::Read, error.into());
        getrandom::fill(&mut key).map_err(failed)?;
        Ok(key)
    }

    /// Returns the fingerprint of a line, which does not depend on its line ending.
    pub fn of(&self, line: &[u8]) -> Fingerprint {
        self.0.hash(content(line)).as_u128()
    }
}

/// The id of a line that the other side does not have.
pub const UNMATCHED: u32 = u32::MAX;

/// The maximum number of lines of a side.
const MAX_LINES: u32 = u32::MAX - 1;

/// A lookup table of the fingerprints of one side's lines. It takes about 22 bytes per line.
#[derive(Debug)]
pub struct Index {
    fingerprints: Vec<Fingerprint>,
    /// A hash table of the numbers of distinct lines, with linear probing. [`UNMATCHED`] marks a
    /// free slot.
    slots: Vec<u32>,
}

impl Index {
    /// Indexes the lines of a side, in order. Also returns each line's id: the number (from 0) of
    /// the first equal line.
    pub fn new(fingerprints: Vec<Fingerprint>) -> Result<(Self, Vec<u32>)> {
        let lines = u32::try_from(fingerprints.len()).ok().filter(|lines| *lines <= MAX_LINES);
        let lines = lines.ok_or(ErrorKind::TooManyLines { limit: MAX_LINES.into() })?;
        // A third more slots than lines keeps the distance to a free slot short.
        let slots = vec![UNMATCHED; fingerprints.len() + fingerprints.len() / 3 + 1];
        let mut index = Self { fingerprints, slots };
        let mut ids = Vec::with_capacity(index.fingerprints.len());
        for line in 0..lines {
            let slot = index.find(index.fingerprints[line as usize]);
            if index.slots[slot] == UNMATCHED {
                index.slots[slot] = line;
            }
            ids.push(index.slots[slot]);
        }
        Ok((index, ids))
    }

    /// Returns the number of lines of the indexed side. All line numbers are less than it.
    pub fn lines(&self) -> usize {
        self.fingerprints.len()
    }

    /// Returns the number of the first line with this fingerprint, or [`UNMATCHED`].
    fn id_of(&self, fingerprint: Fingerprint) -> u32 {
        self.slots[self.find(fingerprint)]
    }

    /// Returns the slot of a fingerprint, or the free slot where it would go.
    fn find(&self, fingerprint: Fingerprint) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "the product's upper half is below the number of slots")]
        let mut slot = (((fingerprint >> 64) * self.slots.len() as u128) >> 64) as usize;
        loop {
            match self.slots[slot] {
                UNMATCHED => return slot,
                line if self.fingerprints[line as usize] == fingerprint => return slot,
                _ => slot = if slot + 1 == self.slots.len() { 0 } else { slot + 1 },
            }
        }
    }
}

/// The method that assigns ids to the lines of a side.
#[derive(Debug, Clone, Copy)]
pub enum LineKeying<'i> {
    /// Stores the fingerprints, for an [`Index`] that assigns the ids later.
    Fingerprint(Fingerprinter),
    /// Looks up the ids of equal lines of the other side.
    Lookup(Fingerprinter, &'i Index),
}

/// The properties of a line whose text is unavailable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownLine {
    pub fingerprint: Fingerprint,
    pub is_row: bool,
    /// Milliseconds since 1970, for a row with a timestamp.
    pub time: Option<i64>,
}

impl KnownLine {
    /// Reads a line.
    pub fn of(line: &[u8], keys: RowKeys, fingerprinter: Fingerprinter) -> Self {
        let row = keys.read(line);
        let is_row = row.is_some();
        Self { fingerprint: fingerprinter.of(line), is_row, time: row.and_then(|row| row.time) }
    }
}

/// The lines of one side without their text, in any number of logs. Rotation moves rows from one
/// log of a source to an older one, so all logs of a source, oldest rows first, are compared as one
/// sequence.
#[derive(Debug, Default)]
pub struct Side {
    /// The id of each line. Lines of either side with the same id are equal. Empty before
    /// [`index`](Self::index) if the lines have fingerprints.
    pub ids: Vec<u32>,
    fingerprints: Vec<Fingerprint>,
    pub metas: LineMetas,
    /// The end of each log in the sequence of lines.
    ends: Vec<usize>,
}

impl Side {
    /// Appends a line to the current log.
    pub fn push(&mut self, line: Line<'_>, keys: RowKeys, keying: LineKeying<'_>) {
        match keying {
            LineKeying::Fingerprint(fingerprinter) => self.fingerprints.push(fingerprinter.of(line.bytes)),
            LineKeying::Lookup(fingerprinter, index) => self.ids.push(index.id_of(fingerprinter.of(line.bytes))),
        }
        let row = keys.read(line.bytes);
        let shape = LineShape::of(line, row.is_some());
        let KeyedRow { time, run } = row.unwrap_or_default();
        self.metas.push(LineMeta { time, shape, run });
    }

    /// Appends a line whose text is unavailable to the current log of a side that will be indexed.
    pub fn push_known(&mut self, line: KnownLine) {
        let shape = LineShape {
            bytes: 0,
            units: 0,
            is_terminated: true,
            has_carriage_return: false,
            is_row: line.is_row,
            is_blank: false,
            is_utf8: true,
        };
        self.fingerprints.push(line.fingerprint);
        self.metas.push(LineMeta { time: line.time, shape, run: None });
    }

    /// Appends the lines of another side to the current log.
    pub fn append(&mut self, next: Self) -> Result<()> {
        self.fingerprints.extend(next.fingerprints);
        self.ids.extend(next.ids);
        self.metas.append(&next.metas);
        match self.len() <= MAX_LINES as usize {
            true => Ok(()),
            false => Err(ErrorKind::TooManyLines { limit: MAX_LINES.into() }.into()),
        }
    }

    /// Ends the current log.
    pub fn end_log(&mut self) {
        self.ends.push(self.len());
    }

    /// Indexes the lines, which must have fingerprints, so that the other side's lines can be
    /// looked up.
    pub fn index(&mut self) -> Result<Index> {
        let (index, ids) = Index::new(std::mem::take(&mut self.fingerprints))?;
        self.ids = ids;
        Ok(index)
    }

    /// Returns the number of lines.
    pub fn len(&self) -> usize {
        self.metas.len()
    }

    /// Returns the index of the log that contains this line.
    pub fn log_of(&self, line: usize) -> usize {
        self.ends.partition_point(|end| *end <= line)
    }

    /// Returns the number of lines of a log.
    pub fn lines_of(&self, log: usize) -> u64 {
        let start = log.checked_sub(1).map_or(0, |before| self.ends[before]);
        (self.ends[log] - start) as u64
    }
}
