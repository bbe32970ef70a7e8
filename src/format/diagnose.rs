//! Says in a user's words what is wrong with a manifest that could not be read.

use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};

use super::manifest::Manifest;
use crate::error::ManifestFault;

const COUNT: &str = "a whole number from 0 to 9007199254740991";

/// What each key of a manifest must have.
fn expected(key: &str) -> &'static str {
    match key {
        "type" => "\"manifest\"",
        "version" | "minor" | "totalCount" | "count" | "bytes" | "rows" | "compressed" | "line" | "stepMs" => COUNT,
        "source" | "sources" => "a plain name, without a path",
        "relativePath" => "a plain file name, without a path",
        "base" => "\"patchwork\" or \"activity\"",
        "sha256" => "64 hexadecimal digits",
        "crc32" => "8 hexadecimal digits",
        "lineEnding" => "\"lf\" or \"crlf\"",
        "finalNewline" => "true or false",
        "exportedAt" | "firstTime" | "lastTime" => "a time such as \"2026-05-02T10:00:00.000Z\"",
        "generator" => "a text",
        "files" | "chunks" | "bins" => "a list, with each key of its members once",
        "unparsed" => "a list of lines with `line` and either `text` or base64 `bytes`",
        "timeline" => "an object with `stepMs` and `bins`",
        _ => "an object with each key once",
    }
}

/// The keys that the object at a key must have.
fn required(key: &str) -> &'static [&'static str] {
    match key {
        "" => &["exportedAt", "sources", "files", "totalCount"],
        "files" => &["source", "relativePath", "count", "bytes"],
        "chunks" => &["compressed", "bytes", "rows", "crc32"],
        "unparsed" => &["line"],
        "timeline" => &["stepMs", "bins"],
        _ => &[],
    }
}

/// Finds the fault in a manifest line that could not be read; `path` is where reading it stopped.
pub(super) fn manifest_fault(line: &[u8], path: &Path) -> ManifestFault {
    fault_at(&serde_json::from_slice(line).unwrap_or_default(), path)
}

fn fault_at(manifest: &Value, path: &Path) -> ManifestFault {
    let mut value = manifest;
    let mut key = "";
    let mut shown = String::new();
    for segment in path {
        let next = match segment {
            Segment::Map { key: name } => value.get(name).inspect(|_| {
                key = name;
                shown = if shown.is_empty() { name.clone() } else { format!("{shown}.{name}") };
            }),
            Segment::Seq { index } => value.get(index).inspect(|_| shown = format!("{shown}[{index}]")),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        let Some(next) = next else { break };
        value = next;
    }
    let missing = value.as_object().and_then(|object| required(key).iter().find(|key| !object.contains_key(**key)));
    match missing {
        Some(missing) if shown.is_empty() => ManifestFault::Missing { path: (*missing).to_owned() },
        Some(missing) => ManifestFault::Missing { path: format!("{shown}.{missing}") },
        None => ManifestFault::Value { path: shown, expected: expected(key), found: shortened(value) },
    }
}

/// A value that the format allows at a key, or as an element of the list there. Nothing where the key can be left out.
fn sound(key: &str, is_element: bool) -> Option<Value> {
    Some(match key {
        "files" if is_element => json!({ "source": "x", "relativePath": "x", "count": 0, "bytes": 0 }),
        "chunks" if is_element => json!({ "compressed": 1, "bytes": 1, "rows": 1, "crc32": "00000000" }),
        "unparsed" if is_element => json!({ "line": 1, "text": "" }),
        "sources" if is_element => json!("x"),
        "files" | "chunks" | "unparsed" | "sources" => json!([]),
        "source" | "relativePath" => json!("x"),
        "exportedAt" => json!("1970-01-01T00:00:00.000Z"),
        "totalCount" | "count" | "bytes" => json!(0),
        "rows" | "compressed" | "line" => json!(1),
        "crc32" => json!("00000000"),
        _ => return None,
    })
}

/// The most faults that are looked for one by one in a manifest that cannot be read.
const MOST_FAULTS: usize = 1000;

/// Everything that keeps a manifest line from being read: each fault that is found is put right for the moment, so
/// that the next one shows.
pub(super) fn all_faults(line: &[u8]) -> Vec<ManifestFault> {
    let mut faults = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(line);
    let Err(first) = serde_path_to_error::deserialize::<_, Manifest>(&mut reader) else { return faults };
    let Ok(mut manifest) = serde_json::from_slice::<Value>(line) else { return faults };
    faults.push(manifest_fault(line, first.path()));
    // As a value it has each key once, so a fault of that kind is gone already.
    while let Err(error) = serde_path_to_error::deserialize::<_, Manifest>(&manifest) {
        let fault = fault_at(&manifest, error.path());
        let repaired = repair(&mut manifest, error.path(), &fault);
        if faults.last() != Some(&fault) {
            faults.push(fault);
        }
        if !repaired || faults.len() == MOST_FAULTS {
            break;
        }
    }
    faults
}

/// Puts one fault right. `false` when that is not possible.
fn repair(manifest: &mut Value, path: &Path, fault: &ManifestFault) -> bool {
    let mut value = manifest;
    let (mut key, mut is_element) = ("", false);
    for segment in path {
        match (segment, &mut *value) {
            (Segment::Map { key: name }, Value::Object(map)) if map.contains_key(name) => {
                if sound(name, false).is_none() {
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
            sound(missing, false).is_some_and(|sound| map.insert(missing.to_owned(), sound).is_none())
        }
        _ => sound(key, is_element).map(|sound| *value = sound).is_some(),
    }
}

/// The longest text of a message that is taken from a bundle, in characters.
const LONGEST: usize = 60;

/// JSON of a value, short enough for a message.
pub(super) fn shortened(value: &Value) -> String {
    shortened_text(&value.to_string())
}

/// A text, short enough for a message.
pub(super) fn shortened_text(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
