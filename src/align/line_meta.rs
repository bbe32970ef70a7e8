//! Stores the properties of lines that a merge needs, other than their ids, in a few bytes per
//! line. Lines are only read in order, so each timestamp is stored as the difference from the
//! previous one.

use super::line_shape::LineShape;
use super::row_keys::RunRow;

/// The properties of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineMeta {
    /// Milliseconds since 1970, for a row with a timestamp.
    pub time: Option<i64>,
    pub shape: LineShape,
    /// The run that a row is about.
    pub run: Option<RunRow>,
}

/// The properties of consecutive lines.
#[derive(Debug, Clone, Default)]
pub struct LineMetas {
    /// Each line begins with a number that holds its length and, in the lowest four bits, its kind.
    /// Each usual combination of flags has its own kind. For any other line, a number follows that
    /// holds its [`Flags`] and its surplus of bytes over UTF-16 units. Lines that have a timestamp
    /// or a run continue with those; the timestamp is stored as the difference from the previous
    /// one. Numbers are LEB128: seven bits per byte, lowest first, with the eighth bit set on all
    /// but the last byte.
    packed: Vec<u8>,
    lines: usize,
    last_time: i64,
}

/// The number of bits for the kind.
const KIND_BITS: u32 = 4;

/// The kind of all lines whose flags have no kind of their own.
const UNUSUAL: u64 = 15;

/// The properties of a line other than its length, its timestamp and its run.
#[derive(Clone, Copy)]
struct Flags(u64);

impl Flags {
    const LINE_FEED: u64 = 1;
    const CARRIAGE_RETURN: u64 = 2;
    const ROW: u64 = 4;
    const BLANK: u64 = 8;
    const INVALID: u64 = 16;
    const TIME: u64 = 32;
    const RUN: u64 = 64;
    const BITS: u32 = 7;

    /// The flags that have a kind of their own, in lines with as many bytes as UTF-16 units.
    const USUAL: [u64; 13] = {
        const LF: u64 = Flags::LINE_FEED;
        const CRLF: u64 = Flags::LINE_FEED | Flags::CARRIAGE_RETURN;
        const TIMED: u64 = Flags::ROW | Flags::TIME;
        [
            LF | TIMED,
            LF | Flags::ROW,
            LF,
            LF | Flags::BLANK,
            CRLF | TIMED,
            CRLF | Flags::ROW,
            CRLF,
            CRLF | Flags::BLANK,
            TIMED,
            Flags::ROW,
            0,
            Flags::BLANK,
            LF | TIMED | Flags::RUN,
        ]
    };

    fn of(meta: &LineMeta) -> Self {
        let shape = meta.shape;
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        Self(
            bit(shape.is_terminated, Self::LINE_FEED)
                | bit(shape.has_carriage_return, Self::CARRIAGE_RETURN)
                | bit(shape.is_row, Self::ROW)
                | bit(shape.is_blank, Self::BLANK)
                | bit(!shape.is_utf8, Self::INVALID)
                | bit(meta.time.is_some(), Self::TIME)
                | bit(meta.run.is_some(), Self::RUN),
        )
    }

    fn has(self, bit: u64) -> bool {
        self.0 & bit != 0
    }

    fn shape(self, bytes: u32, units: u32) -> LineShape {
        LineShape {
            bytes,
            units,
            is_terminated: self.has(Self::LINE_FEED),
            has_carriage_return: self.has(Self::CARRIAGE_RETURN),
            is_row: self.has(Self::ROW),
            is_blank: self.has(Self::BLANK),
            is_utf8: !self.has(Self::INVALID),
        }
    }
}

impl LineMetas {
    pub fn push(&mut self, meta: LineMeta) {
        let flags = Flags::of(&meta);
        let LineShape { bytes, units, .. } = meta.shape;
        let kind = (0..).zip(Flags::USUAL).find(|(_, usual)| bytes == units && *usual == flags.0);
        let kind = kind.map_or(UNUSUAL, |(kind, _)| kind);
        self.pack(u64::from(bytes) << KIND_BITS | kind);
        if kind == UNUSUAL {
            self.pack(u64::from(bytes.saturating_sub(units)) << Flags::BITS | flags.0);
        }
        if let Some(time) = meta.time {
            self.pack(zigzag(time.wrapping_sub(self.last_time)));
            self.last_time = time;
        }
        if let Some(RunRow { run, ended }) = meta.run {
            self.packed.extend(run.to_le_bytes());
            self.pack(ended.map_or(0, |ended| zigzag(ended.wrapping_sub(self.last_time)).wrapping_add(1)));
        }
        self.lines += 1;
    }

    fn pack(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.packed.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.packed.push(number.to_le_bytes()[0]);
    }

    pub fn append(&mut self, next: &Self) {
        next.iter().for_each(|meta| self.push(meta));
    }

    pub fn len(&self) -> usize {
        self.lines
    }

    pub fn iter(&self) -> LineMetaIter<'_> {
        LineMetaIter { rest: &self.packed, last_time: 0 }
    }
}

/// Maps integers near 0, negative or positive, to small numbers.
fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

/// An iterator over the properties of lines, in order.
#[derive(Debug, Clone)]
pub struct LineMetaIter<'f> {
    rest: &'f [u8],
    last_time: i64,
}

impl LineMetaIter<'_> {
    fn unpack_flags(&mut self, kind: u64) -> Option<(Flags, u32)> {
        if let Some(usual) = usize::try_from(kind).ok().and_then(|kind| Flags::USUAL.get(kind)) {
            return Some((Flags(*usual), 0));
        }
        let number = self.unpack()?;
        Some((Flags(number & ((1 << Flags::BITS) - 1)), u32::try_from(number >> Flags::BITS).ok()?))
    }

    fn unpack_run(&mut self) -> Option<RunRow> {
        let (run, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        let ended = self.unpack()?.checked_sub(1).map(|later| self.last_time.wrapping_add(unzigzag(later)));
        Some(RunRow { run: u32::from_le_bytes(*run), ended })
    }

    fn unpack(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
    }
}

impl Iterator for LineMetaIter<'_> {
    type Item = LineMeta;

    fn next(&mut self) -> Option<LineMeta> {
        let number = self.unpack()?;
        let (flags, fewer) = self.unpack_flags(number & ((1 << KIND_BITS) - 1))?;
        let bytes = u32::try_from(number >> KIND_BITS).ok()?;
        if flags.has(Flags::TIME) {
            self.last_time = self.last_time.wrapping_add(unzigzag(self.unpack()?));
        }
        let run = if flags.has(Flags::RUN) { Some(self.unpack_run()?) } else { None };
        let time = flags.has(Flags::TIME).then_some(self.last_time);
        Some(LineMeta { time, shape: flags.shape(bytes, bytes - fewer), run })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(bytes: u32) -> LineShape {
        LineShape {
            bytes,
            units: bytes,
            is_terminated: true,
            has_carriage_return: false,
            is_row: true,
            is_blank: false,
            is_utf8: true,
        }
    }

    #[test]
    fn every_kind_of_line_is_unpacked_as_it_was_packed() {
        let mut all = Vec::new();
        for bits in 0..1 << 7 {
            let bit = |at: u32| bits & 1 << at != 0;
            let shape = LineShape {
                bytes: 1000 + bits,
                units: if bit(0) { 1000 + bits } else { 900 },
                is_terminated: bit(1),
                has_carriage_return: bit(2),
                is_row: bit(3),
                is_blank: !bit(3) && bit(4),
                is_utf8: bit(5),
            };
            let time = bit(3).then(|| 1_777_716_000_000 - i64::from(bits));
            for run in [None, Some(None), Some(Some(-62_135_596_800_000)), Some(Some(1_777_716_000_999))] {
                all.push(LineMeta { time, shape, run: run.map(|ended| RunRow { run: !bits, ended }) });
            }
        }
        let mut metas = LineMetas::default();
        for meta in &all {
            metas.push(*meta);
        }
        assert!(metas.iter().eq(all.iter().copied()));
        let mut twice = metas.clone();
        twice.append(&metas);
        assert!(twice.iter().eq([all.clone(), all].concat()));
    }

    #[test]
    fn an_ascii_line_takes_two_bytes_plus_its_timestamp_and_other_lines_take_more() {
        let packed = |shape, time, run| {
            let mut metas = LineMetas::default();
            metas.push(LineMeta { time, shape, run });
            metas.packed.len()
        };
        assert_eq!(packed(usual(1000), None, None), 2);
        assert_eq!(packed(usual(1000), Some(60), None), 3);
        assert_eq!(packed(usual(1000), Some(60), Some(RunRow { run: 1, ended: Some(90) })), 8);
        assert_eq!(packed(LineShape { units: 995, ..usual(1000) }, Some(60), None), 5);
    }
}
