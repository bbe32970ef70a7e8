//! Checks that every reader agrees about a line of a bundle: either it is the same row for all of them or for none.
//! Compares the library's two readers with one that reads key by key.

use patchwork_traces::bundle::{Bundle, Selection};
use patchwork_traces::digest::Crc32;
use patchwork_traces::format::Envelope;
use patchwork_traces::internal::classify;
use serde_json::{Value, json};

use crate::reference::{self, Row};

/// The logs to which the line may belong. For one, the source alone identifies it; the others also need the file
/// name.
const LOGS: [(&str, &str, &str); 3] = [
    ("runs", "runs.jsonl", "patchwork"),
    ("runs", "runs.jsonl.1", "patchwork"),
    ("activity", "activity-3100.jsonl", "activity"),
];

/// Checks the input, up to its first line feed, as a line of a bundle and as a line of a log.
pub fn check(input: &[u8]) {
    let line = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let read = Row::read(line);
    let decoded = Envelope::decode(line).ok().map(|row| as_read(&row));
    assert_eq!(decoded, read);
    for log in LOGS {
        check_in_bundle(line, read.as_ref(), log);
    }
    check_log_line(line);
}

fn as_read(row: &Envelope<'_>) -> Row {
    Row {
        source: row.source.to_string(),
        file: row.file_name().into_owned(),
        entry: row.entry().to_owned(),
        original: row.original.as_ref().map(reference::form_of),
    }
}

/// Checks both readers of the library. With chunks, rows in the form in which bundles are written are not parsed as
/// JSON; line by line, all rows are.
fn check_in_bundle(line: &[u8], read: Option<&Row>, (source, file, base): (&str, &str, &str)) {
    let expected = read.filter(|row| row.source == source && row.file == file);
    let text = [line, b"\n"].concat();
    let chunk = json!([{
        "compressed": 1, "bytes": text.len(), "rows": 1, "crc32": Crc32::of(&text).to_string(),
    }]);
    for chunks in [None, (text.len() >= 25).then_some(chunk)] {
        let is_cut = chunks.is_some();
        let bundle = [&manifest(source, file, base, chunks)[..], b"\n", &text].concat();
        let found = only_row(&bundle);
        assert_eq!(found.as_ref(), expected, "by chunks: {is_cut}");
    }
}

fn manifest(source: &str, file: &str, base: &str, chunks: Option<Value>) -> Vec<u8> {
    let mut manifest = json!({
        "type": "manifest", "version": 1, "minor": 1, "generator": "fuzz", "exportedAt": "2026-05-02T10:00:00.000Z",
        "sources": [source], "totalCount": 1,
        "files": [{
            "source": source, "relativePath": file, "base": base, "count": 1, "bytes": 1,
            "sha256": "0".repeat(64), "lineEnding": "lf", "finalNewline": true,
        }],
    });
    if let Some(chunks) = chunks {
        manifest["files"][0]["chunks"] = chunks;
    }
    manifest.to_string().into_bytes()
}

fn only_row(bundle: &[u8]) -> Option<Row> {
    let bundle = Bundle::from_stream(bundle, "bundle").expect("the manifest is sound");
    let mut rows = bundle.rows(&Selection::default()).expect("memory I/O succeeds");
    let row = rows.next_row().ok()??;
    assert_eq!(row.number, 1);
    let read = as_read(&row.envelope);
    // The rows after this one do not matter.
    drop(rows);
    Some(read)
}

/// Checks that a log's line is a row exactly if it is JSON, and that its entry is the same JSON in a form that
/// every parser accepts.
fn check_log_line(line: &[u8]) {
    let text = String::from_utf8_lossy(line);
    let json = trim(&text);
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(json).is_ok();
    let Some(row) = classify(line, &[]) else {
        assert!(!is_json || depth(json) > 128, "{json} is JSON but not a row");
        return;
    };
    assert!(is_json && depth(json) <= 128, "{json} is a row but not valid JSON, or too deep");
    assert!(!row.entry.contains(['\r', '\n', '\u{85}', '\u{2028}', '\u{2029}']), "{}", row.entry);
    let again = classify(row.entry.as_bytes(), &[]).expect("an entry is a row");
    assert_eq!(again.entry, row.entry, "a clean entry is unchanged");
    match (serde_json::from_str::<Value>(json), serde_json::from_str::<Value>(&row.entry)) {
        (Ok(before), after) => assert_eq!(Some(before), after.ok()),
        // The line contains an unpaired surrogate, a number outside the floating-point range, or exactly 128
        // levels.
        (Err(_), Ok(_)) => assert!(json.contains("\\u") || json.contains("\\U")),
        (Err(_), Err(_)) => {}
    }
}

/// Removes the characters that JavaScript's `trim` removes.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| {
        matches!(c, '\t'..='\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{2028}' | '\u{2029}')
            || matches!(c, '\u{202f}' | '\u{205f}' | '\u{3000}' | '\u{feff}')
    })
}

/// Returns the nesting depth of valid JSON.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
