//! Deserializes bounded numbers and lists of a manifest (FORMAT.md, "Limits").

use std::fmt;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::limits::{MAX_COUNT, MAX_FILES};

/// Deserializes a whole number that every JSON tool represents exactly.
pub fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if number > MAX_COUNT {
        return Err(serde::de::Error::custom("too large"));
    }
    Ok(number)
}

/// Deserializes a list of at most [`MAX_FILES`] items.
pub fn bounded_list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items = first_items(deserializer, MAX_FILES + 1)?;
    match items.len() > MAX_FILES {
        true => Err(serde::de::Error::custom("too many")),
        false => Ok(items),
    }
}

/// Deserializes a list and keeps its first `max` items. Callers pass one more than their limit, so that the length
/// shows when the list exceeds it.
pub fn first_items<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    max: usize,
) -> Result<Vec<T>, D::Error> {
    struct Items<T>(usize, PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while items.len() < self.0
                && let Some(item) = list.next_element()?
            {
                items.push(item);
            }
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(items)
        }
    }

    deserializer.deserialize_seq(Items(max, PhantomData))
}

/// Returns true if an unreadable manifest line lists more logs, or more sources, than a bundle can have.
pub fn lists_too_many(line: &[u8]) -> bool {
    // Ignored items take no memory.
    #[derive(Deserialize)]
    struct Lists {
        sources: Vec<IgnoredAny>,
        files: Vec<IgnoredAny>,
    }
    serde_json::from_slice::<Lists>(line)
        .is_ok_and(|lists| lists.sources.len() > MAX_FILES || lists.files.len() > MAX_FILES)
}
