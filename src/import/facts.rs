//! What merging needs to know of lines besides which are the same, in a few bytes each. Lines are gone through in their
//! order only, so times can be kept as what they are later or earlier than the one before.

use super::tally::Shape;

/// What is known of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fact {
    /// Milliseconds since 1970, for a row that has a time.
    pub(super) time: Option<i64>,
    pub(super) shape: Shape,
}

/// Facts of lines that follow each other.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// For each line the bits of its shape and whether it has a time, and if so, how much later that is than the last
    /// one: numbers of seven bits a byte, the lowest first, with the eighth bit set on all but the last byte.
    packed: Vec<u8>,
    lines: usize,
    last_time: i64,
}

impl Facts {
    pub(super) fn push(&mut self, fact: Fact) {
        self.pack(u64::from(fact.shape.bits()) << 1 | u64::from(fact.time.is_some()));
        if let Some(time) = fact.time {
            let later = time.wrapping_sub(self.last_time);
            self.pack((later << 1 ^ later >> 63).cast_unsigned());
            self.last_time = time;
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

    pub(super) fn append(&mut self, next: &Self) {
        next.iter().for_each(|fact| self.push(fact));
    }

    pub(super) fn len(&self) -> usize {
        self.lines
    }

    pub(super) fn iter(&self) -> FactsIter<'_> {
        FactsIter { rest: &self.packed, last_time: 0 }
    }
}

/// Goes through facts in order.
#[derive(Debug, Clone)]
pub(super) struct FactsIter<'f> {
    rest: &'f [u8],
    last_time: i64,
}

impl FactsIter<'_> {
    fn unpack_time(&mut self) -> Option<i64> {
        let later = self.unpack()?;
        let later = (later >> 1).cast_signed() ^ -(later & 1).cast_signed();
        self.last_time = self.last_time.wrapping_add(later);
        Some(self.last_time)
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

impl Iterator for FactsIter<'_> {
    type Item = Fact;

    fn next(&mut self) -> Option<Fact> {
        let bits = self.unpack()?;
        let time = if bits & 1 == 1 { Some(self.unpack_time()?) } else { None };
        Some(Fact { time, shape: Shape::from_bits(u32::try_from(bits >> 1).unwrap_or_default()) })
    }
}
