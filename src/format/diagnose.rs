//! Says in a user's words what is wrong with a manifest that could not be read.

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

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
    let manifest: Value = serde_json::from_slice(line).unwrap_or_default();
    let mut value = &manifest;
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

/// JSON of a value, short enough for a message.
pub(super) fn shortened(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
