//! Which lines of two sides are the same: enough to merge logs that are larger than memory.
//!
//! Lines are told apart by fingerprints. Those of one side, the shorter one, are kept while the other side's are looked
//! up. What stays of each line is a number and a few bytes of [`LineMetas`].

use std::sync::Arc;

use siphasher::sip128::SipHasher24;

use super::line_meta::{LineMeta, LineMetas};
use super::run_order::RowKeys;
use super::tally::{LineShape, content};
use crate::error::{Error, ErrorKind, IoAction, Result};
use crate::format::Timestamp;
use crate::format::line::classify;
use crate::lines::Line;

/// 128 bits that stand for the content of a line.
type Fingerprint = u128;

/// Takes fingerprints under a key that is drawn anew for each import and never leaves it: so nobody can make two lines
/// that share theirs, of which one would be taken for the other and lost. By chance, two of a billion lines share
/// theirs once in 10^20 imports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fingerprinter(SipHasher24);

impl Fingerprinter {
    /// With a key from the system.
    pub(super) fn random() -> Result<Self> {
        let mut key = [0; 16];
        let failed = |error: getrandom::Error| Error::io_unnamed(IoAction::Read, error.into());
        getrandom::fill(&mut key).map_err(failed)?;
        Ok(Self(SipHasher24::new_with_key(&key)))
    }

    fn of(&self, line: &[u8]) -> Fingerprint {
        self.0.hash(content(line)).as_u128()
    }
}

/// The number of a line that the other side does not have.
pub(super) const UNMATCHED: u32 = u32::MAX;

/// The most lines of a side.
const MAX_LINES: u32 = u32::MAX - 1;

/// The fingerprints of one side's lines, to be looked up. Takes about 22 bytes a line.
#[derive(Debug)]
pub(super) struct Index {
    fingerprints: Vec<Fingerprint>,
    /// Numbers of distinct lines, each at the first free place from where its fingerprint points to; [`UNMATCHED`] is free.
    places: Vec<u32>,
}

impl Index {
    /// Of all lines of a side, in order. Also gives each line the number (from 0) of the first one that is the same.
    pub(super) fn new(fingerprints: Vec<Fingerprint>) -> Result<(Self, Vec<u32>)> {
        let lines = u32::try_from(fingerprints.len()).ok().filter(|lines| *lines <= MAX_LINES);
        let lines = lines.ok_or(ErrorKind::TooManyLines { limit: MAX_LINES.into() })?;
        // A third more places than lines keeps the way to a free one short.
        let places = vec![UNMATCHED; fingerprints.len() + fingerprints.len() / 3 + 1];
        let mut index = Self { fingerprints, places };
        let mut ids = Vec::with_capacity(index.fingerprints.len());
        for line in 0..lines {
            let place = index.find(index.fingerprints[line as usize]);
            if index.places[place] == UNMATCHED {
                index.places[place] = line;
            }
            ids.push(index.places[place]);
        }
        Ok((index, ids))
    }

    /// How many lines its side has: all numbers are below that.
    pub(super) fn lines(&self) -> usize {
        self.fingerprints.len()
    }

    /// The number of the first line with this fingerprint, or [`UNMATCHED`].
    fn id_of(&self, fingerprint: Fingerprint) -> u32 {
        self.places[self.find(fingerprint)]
    }

    /// The place of a fingerprint, or the free one where it would be.
    fn find(&self, fingerprint: Fingerprint) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "the product's upper half is below the number of places")]
        let mut place = (((fingerprint >> 64) * self.places.len() as u128) >> 64) as usize;
        loop {
            match self.places[place] {
                UNMATCHED => return place,
                line if self.fingerprints[line as usize] == fingerprint => return place,
                _ => place = if place + 1 == self.places.len() { 0 } else { place + 1 },
            }
        }
    }
}

/// How the lines of a side are told apart.
#[derive(Debug, Clone)]
pub(super) enum LineKeying {
    /// By fingerprints: an [`Index`] will be made of them.
    Fingerprint(Fingerprinter),
    /// By the numbers of the other side's lines.
    Lookup(Fingerprinter, Arc<Index>),
}

/// Lines that follow each other, without their text.
#[derive(Debug, Default)]
pub(super) struct KeyedLines {
    /// One a line, or none.
    fingerprints: Vec<Fingerprint>,
    /// One a line, or none.
    ids: Vec<u32>,
    pub(super) facts: LineMetas,
}

impl KeyedLines {
    pub(super) fn push(&mut self, line: Line<'_>, keys: RowKeys, telling: &LineKeying) {
        match telling {
            LineKeying::Fingerprint(fingerprinter) => self.fingerprints.push(fingerprinter.of(line.bytes)),
            LineKeying::Lookup(fingerprinter, index) => self.ids.push(index.id_of(fingerprinter.of(line.bytes))),
        }
        let row = classify(line.bytes, keys.times);
        let shape = LineShape::of(line, row.is_some());
        let run = row.as_ref().and_then(|row| keys.run_of(&row.entry));
        self.facts.push(LineMeta { time: row.and_then(|row| row.time).map(Timestamp::as_millis), shape, run });
    }

    pub(super) fn append(&mut self, next: Self) -> Result<()> {
        self.fingerprints.extend(next.fingerprints);
        self.ids.extend(next.ids);
        self.facts.append(&next.facts);
        match self.facts.len() <= MAX_LINES as usize {
            true => Ok(()),
            false => Err(ErrorKind::TooManyLines { limit: MAX_LINES.into() }.into()),
        }
    }
}

/// The logs of one source, oldest rows first, as one sequence of lines. Rotation moves rows from one to the one before,
/// so only together do they say what is there.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// A number for each line. Lines of both sides with the same number are the same.
    pub(super) ids: Vec<u32>,
    pub(super) facts: LineMetas,
    /// Where each log's lines end.
    ends: Vec<usize>,
}

/// The lines of a side whose logs come one after the other.
#[derive(Debug, Default)]
pub(super) struct SideLines {
    lines: KeyedLines,
    ends: Vec<usize>,
}

impl SideLines {
    /// Adds lines to the log that has begun.
    pub(super) fn append(&mut self, lines: KeyedLines) -> Result<()> {
        self.lines.append(lines)
    }

    /// Adds the lines of another side to the log that has begun.
    pub(super) fn append_side(&mut self, next: Self) -> Result<()> {
        self.append(next.lines)
    }

    /// How many lines there are.
    pub(super) fn len(&self) -> usize {
        self.lines.facts.len()
    }

    /// Ends the log.
    pub(super) fn end_log(&mut self) {
        self.ends.push(self.len());
    }

    /// The side whose lines the other side's are looked up in. They were told apart by fingerprints.
    pub(super) fn into_index(self) -> Result<(Arc<Index>, Side)> {
        let (index, ids) = Index::new(self.lines.fingerprints)?;
        Ok((Arc::new(index), Side { ids, facts: self.lines.facts, ends: self.ends }))
    }

    /// The side whose lines were looked up.
    pub(super) fn into_side(self) -> Side {
        Side { ids: self.lines.ids, facts: self.lines.facts, ends: self.ends }
    }
}

impl Side {
    /// Which log has this line.
    pub(super) fn log_of(&self, line: usize) -> usize {
        self.ends.partition_point(|end| *end <= line)
    }

    /// How many lines a log has.
    pub(super) fn lines_of(&self, log: usize) -> u64 {
        let start = log.checked_sub(1).map_or(0, |before| self.ends[before]);
        (self.ends[log] - start) as u64
    }
}
