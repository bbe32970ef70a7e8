//! A second, straightforward implementation of FORMAT.md. The optimised library is compared with it.

use patchwork_traces::format::{ExactLine, LineEnding, ManifestFile};
use serde_json::value::RawValue;

/// A row, read key by key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) source: String,
    pub(crate) file: String,
    pub(crate) entry: String,
    /// The exact line, if there is one: true if it was given as `text`, and its bytes.
    pub(crate) original: Option<(bool, Vec<u8>)>,
}

impl Row {
    /// Reads a row as in FORMAT.md, "Row". Returns `None` if the line is not a row.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let members = members(line)?;
        let source: String = serde_json::from_str(one(&members, "source")??).ok()?;
        let file = match one(&members, "file")? {
            Some(file) => serde_json::from_str(file).ok()?,
            None => format!("{source}.jsonl"),
        };
        let original = match one(&members, "original")? {
            Some(original) => Some(exact(original)?),
            None => None,
        };
        Some(Self { source, file, entry: one(&members, "entry")??.to_owned(), original })
    }

    /// Returns the line's text in the log, and the bytes between it and the line feed. `ending` is the log's usual
    /// ending.
    pub(crate) fn line(&self, ending: &[u8]) -> (Vec<u8>, Vec<u8>) {
        match &self.original {
            Some((_, original)) => (original.clone(), Vec::new()),
            None => (self.entry.clone().into_bytes(), ending.to_vec()),
        }
    }
}

/// Returns an object's members, including duplicates.
fn members(object: &[u8]) -> Option<Vec<(String, Box<RawValue>)>> {
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, Box<RawValue>)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    let mut reader = serde_json::Deserializer::from_slice(object);
    let members = serde::Deserializer::deserialize_map(&mut reader, Members).ok()?;
    reader.end().ok().map(|()| members)
}

/// Returns the member with this name, if any. The outer `None` means that it is a duplicate.
fn one<'m>(members: &'m [(String, Box<RawValue>)], key: &str) -> Option<Option<&'m str>> {
    let mut named = members.iter().filter(|(name, _)| name == key);
    let first = named.next();
    named.next().is_none().then(|| first.map(|(_, value)| value.get()))
}

/// Reads an exact line as in FORMAT.md, "Exact lines".
fn exact(json: &str) -> Option<(bool, Vec<u8>)> {
    let members = members(json.as_bytes())?;
    let value = |key| match one(&members, key)? {
        Some(value) => serde_json::from_str::<String>(value).ok().map(Some),
        None => Some(None),
    };
    match (value("text")?, value("bytes")?) {
        (Some(text), None) => Some((true, text.into_bytes())),
        (None, Some(bytes)) => {
            let decoded = data_encoding::BASE64.decode(bytes.as_bytes()).ok()?;
            // Only the canonical base64 encoding is valid.
            (data_encoding::BASE64.encode(&decoded) == bytes).then_some((false, decoded))
        }
        _ => None,
    }
}

/// Returns an exact line in the form of [`Row::original`].
pub(crate) fn form_of(line: &ExactLine) -> (bool, Vec<u8>) {
    (matches!(line, ExactLine::Text(_)), line.as_bytes().to_vec())
}

/// Restores a file of 1.1 as in FORMAT.md, "Restoring a log".
pub(crate) fn restore(file: &ManifestFile, rows: &[Row]) -> Vec<u8> {
    let record = file.record().expect("the file is of version 1.1");
    let ending: &[u8] = if record.line_ending == LineEnding::Crlf { b"\r" } else { b"" };
    let mut lines: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut number = 1;
    let mut unparsed = file.unparsed.iter().peekable();
    for row in rows {
        while let Some(next) = unparsed.next_if(|next| next.line <= number) {
            let bytes = next.content.as_bytes().to_vec();
            number += bytes.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
            lines.push((bytes, Vec::new()));
        }
        lines.push(row.line(ending));
        number += 1;
    }
    lines.extend(unparsed.map(|next| (next.content.as_bytes().to_vec(), Vec::new())));
    let last = lines.len().wrapping_sub(1);
    let mut log = Vec::new();
    for (at, (text, before_line_feed)) in lines.into_iter().enumerate() {
        log.extend(text);
        if at != last || record.final_newline {
            log.extend(before_line_feed);
            log.push(b'\n');
        }
    }
    log
}

/// Returns the lines of a log without their line endings, which are ignored when logs are compared.
pub(crate) fn lines(log: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<_> = log.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines.into_iter().map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec()).collect()
}
