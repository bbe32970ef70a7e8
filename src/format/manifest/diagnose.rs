//! Finds the faults that make a manifest line unreadable.

use std::fmt;

use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};

use super::{Manifest, VERSION};
use crate::error::ManifestFault;
use crate::format::text::shortened;

const COUNT: &str = "a whole number from 0 to 9007199254740991";

/// Describes the value that a manifest key must have, or that an element of the list at that key must have.
fn expected(key: &str, in_list: bool) -> &'static str {
    match key {
        "unparsed" if in_list => "an object with `line` and either `text` or base64 `bytes`",
        "files" | "chunks" if in_list => "an object without duplicate keys",
        "missingIds" => "at most 64 pairs of whole numbers, in order",
        "bundles" => "a list of 1 to 100000 SHA-256 digests",
        "bins" if in_list => "a pair of whole numbers",
        "version" => "the number 1",
        "minor" | "totalCount" | "count" | "bytes" | "rows" | "compressed" | "line" | "stepMs" | "segment"
        | "rowsBefore" | "overlap" | "trimmed" | "afterRow" | "rules" | "replaced" | "lines" => COUNT,
        "source" => "a plain name, without a path",
        "sources" if in_list => "a plain name, without a path",
        "relativePath" => "a plain file name, without a path",
        "base" => "\"patchwork\" or \"activity\"",
        "sha256" | "previous" | "rulesFile" => "64 hexadecimal digits",
        "crc32" => "8 hexadecimal digits",
        "lineEnding" => "\"lf\" or \"crlf\"",
        "finalNewline" => "true or false",
        "exportedAt" | "firstTime" | "lastTime" | "afterTime" | "beforeTime" => {
            "a time such as \"2026-05-02T10:00:00.000Z\""
        }
        "generator" | "text" => "a string",
        "sources" | "files" | "chunks" | "bins" | "unparsed" => "a list",
        "timeline" => "an object with `stepMs` and `bins`",
        "label" => "1 to 255 bytes without control characters",
        "derivedFrom" => "an object with `how` and `bundles`",
        "filter" => "a list of one or more strings",
        "how" => "\"merged\", \"filtered\" or \"redacted\"",
        "redaction" => "an object with `rules`, `replaced` and `lines`",
        "only" | "skip" | "drop" | "keepOnly" => "a list of at most 1000 strings",
        "keyId" => "16 lower-case hexadecimal digits",
        "history" => "an object with `id` and `segment`",
        "id" => "32 lower-case hexadecimal digits",
        "follows" => "an object with `state`, `rowsBefore`, `overlap` and `trimmed`, without duplicate keys",
        "state" => "\"first\", \"continues\", \"unchanged\", \"gap\", \"altered\" or \"absent\"",
        "log" => "an object with `bytes`, `rows` and `sha256`",
        "gap" => "an object with `afterRow`",
        _ => "a valid value (see FORMAT.md)",
    }
}

/// Returns the required keys of an object: of the manifest itself (for an empty `key`), of the object at `key`, or of
/// an element of the list at `key`.
fn required(key: &str, in_list: bool) -> &'static [&'static str] {
    match (key, in_list) {
        ("", _) => &["type", "version", "exportedAt", "sources", "files", "totalCount"],
        ("files", true) => &["source", "relativePath", "count", "bytes"],
        ("chunks", true) => &["compressed", "bytes", "rows", "crc32"],
        ("unparsed", true) => &["line"],
        ("timeline", false) => &["stepMs", "bins"],
        ("derivedFrom", false) => &["how", "bundles"],
        ("redaction", false) => &["rules", "replaced", "lines"],
        ("history", false) => &["id", "segment"],
        ("follows", false) => &["state", "rowsBefore", "overlap", "trimmed"],
        ("log", false) => &["bytes", "rows", "sha256"],
        ("gap", false) => &["afterRow"],
        _ => &[],
    }
}

/// Finds the fault in a manifest line that could not be read. `path` is the position where reading stopped.
pub fn manifest_fault(line: &[u8], path: &Path) -> ManifestFault {
    fault_at(std::str::from_utf8(line).unwrap_or_default(), path)
}

fn fault_at(manifest: &str, path: &Path) -> ManifestFault {
    let mut value = manifest;
    let (mut key, mut in_list) = ("", false);
    let mut shown = String::new();
    for segment in path {
        match segment {
            Segment::Map { key: name } => {
                let Some(next) = member(value, name) else { break };
                (value, key, in_list) = (next, name, false);
                shown = if shown.is_empty() { name.clone() } else { format!("{shown}.{name}") };
            }
            Segment::Seq { index } => {
                let Some(next) = element(value, *index) else { break };
                (value, in_list) = (next, true);
                shown = format!("{shown}[{index}]");
            }
            Segment::Enum { .. } | Segment::Unknown => break,
        }
    }
    let is_object = value.starts_with('{');
    let is_missing = |key: &&&str| is_object && find_member(value, key) == Some(None);
    let missing = required(key, in_list).iter().find(is_missing);
    match missing {
        Some(missing) if shown.is_empty() => ManifestFault::Missing { path: (*missing).to_owned() },
        Some(missing) => ManifestFault::Missing { path: format!("{shown}.{missing}") },
        None if shown.is_empty() => ManifestFault::Shape,
        None => ManifestFault::Value { path: shown, expected: expected(key, in_list), found: shortened(value) },
    }
}

/// Returns the JSON text of an object's member, if there is one. Of duplicate keys the last one wins.
fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    find_member(object, key).flatten()
}

/// Works like [`member`], but the outer `None` means that the keys cannot be read.
fn find_member<'a>(object: &'a str, key: &str) -> Option<Option<&'a str>> {
    let member = serde_json::Deserializer::from_str(object).deserialize_map(Member(key)).ok()?;
    Some(member.map(RawValue::get))
}

/// Returns the JSON text of a list's element.
fn element(list: &str, index: usize) -> Option<&str> {
    let element = serde_json::Deserializer::from_str(list).deserialize_seq(Element(index)).ok()?;
    element.map(RawValue::get)
}

/// A visitor that keeps one member of an object. The others, possibly millions, take no memory.
struct Member<'k>(&'k str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = object.next_key::<String>()? {
            match key == self.0 {
                true => found = Some(object.next_value()?),
                false => _ = object.next_value::<IgnoredAny>()?,
            }
        }
        Ok(found)
    }
}

/// A visitor that keeps one element of a list, like [`Member`] for an object.
struct Element(usize);

impl<'de> Visitor<'de> for Element {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        for _ in 0..self.0 {
            if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = list.next_element()?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

/// Returns a valid value for a key, or for an element of the list there. Returns `None` if the key is optional.
fn valid_value(key: &str, is_element: bool) -> Option<Value> {
    Some(match key {
        "files" if is_element => json!({ "source": "x", "relativePath": "x", "count": 0, "bytes": 0 }),
        "chunks" if is_element => json!({ "compressed": 1, "bytes": 1, "rows": 1, "crc32": "00000000" }),
        "unparsed" if is_element => json!({ "line": 1, "text": "" }),
        "sources" if is_element => json!("x"),
        "files" | "chunks" | "unparsed" | "sources" => json!([]),
        "source" | "relativePath" => json!("x"),
        "version" => json!(VERSION),
        "exportedAt" => json!("1970-01-01T00:00:00.000Z"),
        "totalCount" | "count" | "bytes" => json!(0),
        "rows" | "compressed" | "line" => json!(1),
        "crc32" => json!("00000000"),
        _ => return None,
    })
}

/// The maximum number of faults that are searched for, one by one, in an unreadable manifest.
const MAX_FAULTS: usize = 1000;

/// The maximum number of bytes read in that search, which reads the manifest once for each fault.
const MAX_READ_BYTES: usize = 256 << 20;

/// The maximum length of a manifest that is searched for more than its first fault. As a parsed value, a manifest
/// takes many times its length in memory.
const MAX_REPAIRED_BYTES: usize = 4 << 20;

/// Lists the faults of an unreadable manifest line. Each fault is repaired temporarily, so that the next one shows.
/// For a very long line, lists only the first fault.
pub fn all_faults(line: &[u8]) -> Vec<ManifestFault> {
    let mut faults = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(line);
    let Err(first) = serde_path_to_error::deserialize::<_, Manifest>(&mut reader) else { return faults };
    faults.push(manifest_fault(line, first.path()));
    if line.len() > MAX_REPAIRED_BYTES {
        return faults;
    }
    let Ok(mut manifest) = serde_json::from_slice::<Value>(line) else { return faults };
    let max_faults = (MAX_READ_BYTES / line.len().max(1)).clamp(1, MAX_FAULTS);
    // A parsed value has each key only once, so any fault of duplicate keys is already gone.
    for _ in 0..max_faults {
        let Err(error) = serde_path_to_error::deserialize::<_, Manifest>(&manifest) else { break };
        let fault = fault_at(&manifest.to_string(), error.path());
        let repaired = repair(&mut manifest, error.path(), &fault);
        if faults.last() != Some(&fault) {
            faults.push(fault);
        }
        if !repaired {
            break;
        }
    }
    faults.truncate(max_faults);
    faults
}

/// Repairs one fault. Returns false if that is not possible.
fn repair(manifest: &mut Value, path: &Path, fault: &ManifestFault) -> bool {
    let mut value = manifest;
    let (mut key, mut is_element) = ("", false);
    for segment in path {
        match (segment, &mut *value) {
            (Segment::Map { key: name }, Value::Object(map)) if map.contains_key(name) => {
                if valid_value(name, false).is_none() {
                    return map.remove(name).is_some();
                }
                (key, is_element) = (name, false);
                value = &mut value[name];
            }
            (Segment::Seq { index }, Value::Array(list)) if *index < list.len() => {
                is_element = true;
                value = &mut value[*index];
            }
            _ => break,
        }
    }
    match (fault, &mut *value) {
        (ManifestFault::Missing { path }, Value::Object(map)) => {
            let missing = path.rsplit('.').next().unwrap_or_default();
            valid_value(missing, false).is_some_and(|valid| map.insert(missing.to_owned(), valid).is_none())
        }
        _ => valid_value(key, is_element).map(|valid| *value = valid).is_some(),
    }
}
