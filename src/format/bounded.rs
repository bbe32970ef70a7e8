//! Deserializes the parts of a bundle's JSON as strictly as FORMAT.md defines them: numbers and lists within limits,
//! objects, words, and keys.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, IgnoredAny, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};

use super::limits::{MAX_COUNT, MAX_FILES};

/// Deserializes a whole number that every JSON tool represents exactly.
pub fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if number > MAX_COUNT {
        return Err(serde::de::Error::custom("too large"));
    }
    Ok(number)
}

/// Deserializes the value of a key that is present, and rejects `null`.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Works like [`present`] for an object. Derived code would also take an array of the values.
pub fn present_object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Object::deserialize(deserializer).map(|Object(value)| Some(value))
}

/// Works like [`present`] for one of several words.
pub fn present_word<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    word(deserializer).map(Some)
}

/// Deserializes one of several words. Derived code would also take an object with the word as its key.
pub fn word<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(String::deserialize(deserializer)?.into_deserializer())
}

/// Deserializes a list of objects.
pub fn objects<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(into_values(Vec::deserialize(deserializer)?))
}

/// Deserializes a list of at most [`MAX_FILES`] objects.
pub fn bounded_objects<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(into_values(at_most(deserializer, MAX_FILES)?))
}

fn into_values<T>(objects: Vec<Object<T>>) -> Vec<T> {
    objects.into_iter().map(|Object(value)| value).collect()
}

/// A value that is an object in JSON.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(ObjectDeserializer(deserializer)).map(Self)
    }
}

/// A deserializer that accepts only an object, whatever the type asks for.
struct ObjectDeserializer<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ObjectDeserializer<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A seed that applies a function to the bytes of a key. A key with an unpaired surrogate is not a valid string.
pub struct KeyBytes<F>(pub F);

impl<'de, T, F: FnOnce(&[u8]) -> T> DeserializeSeed<'de> for KeyBytes<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<T, F: FnOnce(&[u8]) -> T> Visitor<'_> for KeyBytes<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<T, E> {
        Ok((self.0)(key))
    }
}

/// Deserializes a list of at most [`MAX_FILES`] items.
pub fn bounded_list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    at_most(deserializer, MAX_FILES)
}

/// Deserializes a list of at most `max` items.
pub fn at_most<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    max: usize,
) -> Result<Vec<T>, D::Error> {
    let items = first_items(deserializer, max + 1)?;
    match items.len() > max {
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
