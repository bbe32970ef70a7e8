//! The names that replace values. Equal values get equal names.

use std::collections::{HashMap, HashSet};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use strum::EnumCount as _;

use super::key::RedactionKey;
use crate::detect::{Decoded, KEYED_DIGITS, NameStem, names_in};
use crate::error::{RedactionFault, Result};

/// The maximum number of different values in a redaction. Each takes about 50 bytes of memory.
pub const MAX_VALUES: usize = 2_000_000;

/// The numbers of names that already occur in the input, because of an earlier redaction or by chance. New names skip
/// them, so that no name stands for two values.
#[derive(Debug, Default)]
pub struct UsedNumbers([HashSet<u64>; NameStem::COUNT]);

impl UsedNumbers {
    /// Adds the numbers in a line or in another text with escapes.
    ///
    /// # Errors
    /// [`RedactionFault::TooManyValues`].
    pub fn collect(&mut self, line: &[u8]) -> Result<()> {
        self.collect_from(line);
        if memchr::memmem::find(line, br"\u00").is_some() {
            self.collect_from(Decoded::new(line).text().as_bytes());
        }
        match self.0.iter().map(HashSet::len).sum::<usize>() > MAX_VALUES {
            true => Err(RedactionFault::TooManyValues { limit: MAX_VALUES }.into()),
            false => Ok(()),
        }
    }

    fn collect_from(&mut self, text: &[u8]) {
        for (stem, name) in names_in(text) {
            let number = &text[name.start + stem.as_str().len() + 1..name.end];
            if let Some(number) = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok()) {
                self.0[stem as usize].insert(number);
            }
        }
    }

    /// Returns the first unused number that is at least `least`.
    fn next(&self, stem: NameStem, least: u64) -> u64 {
        let mut number = least;
        while self.0[stem as usize].contains(&number) {
            number += 1;
        }
        number
    }
}

/// Assigns names to values: keyed names, or numbers in the order of first appearance.
#[derive(Debug)]
pub struct Names {
    key: Option<RedactionKey>,
    /// The number of each value, by a digest of kind and value; with a key, the digest of each value, by its name.
    known: HashMap<[u8; 16], u64>,
    next: [u64; NameStem::COUNT],
    used: UsedNumbers,
}

impl Names {
    /// Assigns keyed names if there is a key; otherwise numbers, skipping those that are used.
    pub fn new(key: Option<RedactionKey>, used: UsedNumbers) -> Self {
        Self { key, known: HashMap::new(), next: [1; NameStem::COUNT], used }
    }

    /// Returns the name of a value.
    ///
    /// # Errors
    /// [`RedactionFault::TooManyValues`], [`RedactionFault::NamesCollide`].
    pub fn name(&mut self, stem: NameStem, value: &str) -> Result<String> {
        // User names, host names and addresses are case-insensitive.
        let value = if stem == NameStem::Secret { value.to_owned() } else { value.to_lowercase() };
        match &self.key {
            Some(key) => {
                let digest = key.digest(stem.as_str(), &value);
                self.keyed_name(stem, &digest)
            }
            None => self.numbered_name(stem, &value),
        }
    }

    fn keyed_name(&mut self, stem: NameStem, digest: &[u8; 32]) -> Result<String> {
        let name = HEXLOWER.encode(&digest[..KEYED_DIGITS / 2]);
        let (mut shown, mut rest) = ([0; 16], [0; 8]);
        shown[..KEYED_DIGITS / 2].copy_from_slice(&digest[..KEYED_DIGITS / 2]);
        shown[KEYED_DIGITS / 2] = stem as u8;
        rest.copy_from_slice(&digest[24..]);
        let rest = u64::from_be_bytes(rest);
        if let Some(known) = self.known.get(&shown) {
            return match *known == rest {
                true => Ok(format!("{}-{name}", stem.as_str())),
                false => Err(RedactionFault::NamesCollide.into()),
            };
        }
        self.check_room()?;
        self.known.insert(shown, rest);
        Ok(format!("{}-{name}", stem.as_str()))
    }

    fn numbered_name(&mut self, stem: NameStem, value: &str) -> Result<String> {
        let digest: [u8; 32] = Sha256::new().chain_update([stem as u8]).chain_update(value).finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        if let Some(number) = self.known.get(&key) {
            return Ok(format!("{}-{number}", stem.as_str()));
        }
        self.check_room()?;
        let number = self.used.next(stem, self.next[stem as usize]);
        self.next[stem as usize] = number + 1;
        self.known.insert(key, number);
        Ok(format!("{}-{number}", stem.as_str()))
    }

    fn check_room(&self) -> Result<()> {
        match self.known.len() < MAX_VALUES {
            true => Ok(()),
            false => Err(RedactionFault::TooManyValues { limit: MAX_VALUES }.into()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_by_kind_and_in_any_case() {
        let mut names = Names::new(None, UsedNumbers::default());
        let mut name = |stem, value| names.name(stem, value).unwrap();
        assert_eq!(name(NameStem::User, "mara"), "user-1");
        assert_eq!(name(NameStem::User, "jo"), "user-2");
        assert_eq!(name(NameStem::User, "Mara"), "user-1");
        assert_eq!(name(NameStem::Secret, "mara"), "secret-1");
        assert_eq!(name(NameStem::Secret, "Mara"), "secret-2");
    }

    #[test]
    fn names_in_the_text_are_not_assigned_again() {
        let mut used = UsedNumbers::default();
        used.collect(b"xuser-1 User-02 user-4, secret-1,").unwrap();
        used.collect(br#"{"a":"\u0075ser\u002d5"}"#).unwrap();
        let mut names = Names::new(None, used);
        let mut name = |stem, value| names.name(stem, value).unwrap();
        assert_eq!(name(NameStem::User, "a"), "user-3");
        assert_eq!(name(NameStem::User, "b"), "user-6");
        assert_eq!(name(NameStem::Secret, "a"), "secret-2");
        assert_eq!(name(NameStem::Host, "a"), "host-1");
    }

    #[test]
    fn keyed_names_are_the_beginning_of_an_hmac() {
        let key = RedactionKey::new(&[7; 32]).unwrap();
        let mut names = Names::new(Some(key.clone()), UsedNumbers::default());
        let digest = HEXLOWER.encode(&key.digest("user", "mara"));
        assert_eq!(digest, HMAC_OF_MARA);
        assert_eq!(names.name(NameStem::User, "mara").unwrap(), format!("user-{}", &HMAC_OF_MARA[..16]));
        assert_ne!(names.name(NameStem::Host, "mara").unwrap()[5..], HMAC_OF_MARA[..16]);
    }

    /// `printf 'user\0mara' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…07`
    const HMAC_OF_MARA: &str = "fca9f25d7be4eecc168faf56dcd9d98306b912f5cfeb47fbe5f7c6690ef23ab3";

    #[test]
    fn equal_names_of_different_values_are_an_error() {
        let mut names = Names::new(Some(RedactionKey::new(&[7; 32]).unwrap()), UsedNumbers::default());
        let mut digest = [1; 32];
        names.keyed_name(NameStem::User, &digest).unwrap();
        names.keyed_name(NameStem::User, &digest).unwrap();
        names.keyed_name(NameStem::Host, &digest).unwrap();
        digest[31] = 2;
        assert!(names.keyed_name(NameStem::User, &digest).is_err());
    }
}
