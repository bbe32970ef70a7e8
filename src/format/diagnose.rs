//! Says in a user's words what is wrong with a manifest that could not be read.

use std::collections::HashMap;

use serde_json::value::RawValue;
use serde_path_to_error::{Path, Segment};

use crate::error::ManifestFault;

const COUNT: &str = "a whole number from 0 to 9007199254740991";

/// What each key of a manifest must have, or a member of the list at a key.
fn expected(key: &str, in_list: bool) -> &'static str {
    match key {
        "unparsed" if in_list => "an object with `line` and either `text` or base64 `bytes`",
        "files" | "chunks" if in_list => "an object with each of its keys once",
        "bins" if in_list => "a pair of whole numbers",
        "type" => "\"manifest\"",
        "version" | "minor" | "totalCount" | "count" | "bytes" | "rows" | "compressed" | "line" | "stepMs" => COUNT,
        "source" => "a plain name, without a path",
        "sources" if in_list => "a plain name, without a path",
        "relativePath" => "a plain file name, without a path",
        "base" => "\"patchwork\" or \"activity\"",
        "sha256" => "64 hexadecimal digits",
        "crc32" => "8 hexadecimal digits",
        "lineEnding" => "\"lf\" or \"crlf\"",
        "finalNewline" => "true or false",
        "exportedAt" | "firstTime" | "lastTime" => "a time such as \"2026-05-02T10:00:00.000Z\"",
        "generator" | "text" => "a text",
        "sources" | "files" | "chunks" | "bins" | "unparsed" => "a list",
        "timeline" => "an object with `stepMs` and `bins`",
        _ => "what FORMAT.md says",
    }
}

/// The keys that an object must have: the manifest itself, or a member of the list at a key.
fn required(key: &str, in_list: bool) -> &'static [&'static str] {
    match (key, in_list) {
        ("", _) => &["exportedAt", "sources", "files", "totalCount"],
        ("files", true) => &["source", "relativePath", "count", "bytes"],
        ("chunks", true) => &["compressed", "bytes", "rows", "crc32"],
        ("unparsed", true) => &["line"],
        ("timeline", false) => &["stepMs", "bins"],
        _ => &[],
    }
}

/// Finds the fault in a manifest line that could not be read; `path` is where reading it stopped.
pub(super) fn manifest_fault(line: &[u8], path: &Path) -> ManifestFault {
    let mut value = std::str::from_utf8(line).unwrap_or_default();
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
                let Some(next) =
                    serde_json::from_str::<Vec<&RawValue>>(value).ok().and_then(|list| list.get(*index).copied())
                else {
                    break;
                };
                (value, in_list) = (next.get(), true);
                shown = format!("{shown}[{index}]");
            }
            Segment::Enum { .. } | Segment::Unknown => break,
        }
    }
    let is_object = value.starts_with('{');
    let missing = required(key, in_list).iter().find(|key| is_object && member(value, key).is_none());
    match missing {
        Some(missing) if shown.is_empty() => ManifestFault::Missing { path: (*missing).to_owned() },
        Some(missing) => ManifestFault::Missing { path: format!("{shown}.{missing}") },
        None if shown.is_empty() => ManifestFault::Shape,
        None => ManifestFault::Value { path: shown, expected: expected(key, in_list), found: shortened(value) },
    }
}

/// The JSON text of an object's member.
fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let members = serde_json::from_str::<HashMap<String, &RawValue>>(object).ok()?;
    members.get(key).map(|value| value.get())
}

/// JSON text, short enough for a message.
pub(super) fn shortened(json: &str) -> String {
    const LONGEST: usize = 60;
    match json.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &json[..end]),
        None => json.to_owned(),
    }
}
