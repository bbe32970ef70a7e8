//! The parts of an input that could not be decrypted.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// The ranges of bytes that are noise because they could not be decrypted. They are found as the input is read.
#[derive(Debug, Default)]
pub struct Holes(Mutex<Vec<Range<u64>>>);

impl Holes {
    /// Adds a range.
    #[cfg(feature = "seal")]
    pub fn add(&self, bytes: Range<u64>) {
        let mut holes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !holes.contains(&bytes) {
            holes.push(bytes);
        }
    }

    /// Returns the number of bytes from `offset` on, at most `length`, before the first hole. These bytes must have
    /// been read.
    pub fn sound_bytes(&self, offset: u64, length: usize) -> usize {
        let holes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let after = holes.iter().filter(|hole| hole.end > offset).map(|hole| hole.start.saturating_sub(offset)).min();
        after.map_or(length, |sound| length.min(usize::try_from(sound).unwrap_or(usize::MAX)))
    }
}

#[cfg(test)]
#[cfg(feature = "seal")]
mod tests {
    use super::Holes;

    #[test]
    fn the_first_hole_ends_what_is_sound() {
        let holes = Holes::default();
        assert_eq!(holes.sound_bytes(7, 100), 100);
        holes.add(50..60);
        holes.add(20..30);
        let sound: Vec<_> = [0, 15, 20, 25, 30, 55, 60].map(|offset| holes.sound_bytes(offset, 10)).into();
        assert_eq!(sound, [10, 5, 0, 0, 10, 0, 10]);
        assert_eq!(holes.sound_bytes(30, 100), 20);
    }
}
