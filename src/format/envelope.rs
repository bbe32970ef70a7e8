//! The row envelope: one line of a bundle after the first (FORMAT.md, "Row").

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::bounded::{present, present_object};
use super::exact_line::ExactLine;
use super::limits::{MAX_ENVELOPE_BYTES, MAX_LOG_LINE_BYTES};
use super::manifest::ManifestFile;
use super::name::{Base, FileName, SourceName};
use super::text::escape_line_separators;
use crate::error::RowFault;

/// One row of a bundle, parsed.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    /// The source of the row.
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    /// The log of the row, where the source alone does not determine it.
    #[serde(borrow, default, deserialize_with = "present")]
    file: Option<Cow<'a, str>>,
    #[serde(borrow)]
    entry: &'a RawValue,
    /// The exact line, where `entry` and the log's line ending do not reproduce it.
    #[serde(default, deserialize_with = "present_object")]
    pub original: Option<ExactLine>,
}

impl<'a> Envelope<'a> {
    /// Decodes a line of a bundle, given without its line feed. Unknown keys are ignored.
    ///
    /// # Errors
    /// Returns the fault that keeps the line from being a row.
    pub fn decode(line: &'a [u8]) -> Result<Self, RowFault> {
        if line.len() as u64 > MAX_ENVELOPE_BYTES {
            return Err(RowFault::TooLong);
        }
        // The whole line must be UTF-8, including the values of unknown keys.
        let text = simdutf8::basic::from_utf8(line).map_err(|_| RowFault::NotJson)?;
        if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
            return Err(diagnose_non_object(text));
        }
        let row: Self = serde_json::from_str(text).map_err(|_| diagnose(text))?;
        let log_line = row.original.as_ref().map_or(row.entry().len(), |original| original.as_bytes().len());
        match log_line as u64 > MAX_LOG_LINE_BYTES {
            true => Err(RowFault::TooLong),
            false => Ok(row),
        }
    }

    /// Returns the row, unless it has a key that bundles of this minor version lack.
    pub(crate) fn of_minor(self, minor: u64) -> Result<Self, RowFault> {
        match minor == 0 && self.original.is_some() {
            true => Err(RowFault::OriginalOf1_1),
            false => Ok(self),
        }
    }

    /// Returns the row's JSON text.
    #[must_use]
    pub fn entry(&self) -> &'a str {
        self.entry.get()
    }

    /// Returns the row's JSON as a [`RawValue`].
    #[must_use]
    pub fn raw_entry(&self) -> &'a RawValue {
        self.entry
    }

    /// Returns the file name of the row's log.
    #[must_use]
    pub fn file_name(&self) -> Cow<'_, str> {
        match &self.file {
            Some(file) => Cow::Borrowed(file),
            None => Cow::Owned(default_file(&self.source)),
        }
    }

    /// Returns the fault of a row whose source and file are not allowed at its position.
    #[must_use]
    pub(crate) fn wrong_file(&self) -> RowFault {
        RowFault::WrongFile { source: self.source.to_string(), file: self.file.as_deref().map(str::to_owned) }
    }
}

/// Returns the file name of the log to which rows of `source` belong if they do not name one.
#[must_use]
pub fn default_file(source: &str) -> String {
    format!("{source}.jsonl")
}

/// The first bytes of every envelope that this library writes.
pub const ENVELOPE_START: &[u8] = b"{\"source\":\"";

/// A writer of the envelopes of one log.
#[derive(Debug, Clone)]
pub struct EnvelopeWriter {
    prefix: String,
}

impl EnvelopeWriter {
    /// Creates a writer for the rows of `file` of `source`. Rows name their file if one source has several logs in the
    /// directory, or if the source alone does not determine the file.
    #[must_use]
    pub fn new(source: &SourceName, file: &FileName, base: Base) -> Self {
        let mut prefix = format!("{{\"source\":{}", json(source.as_str()));
        if base == Base::Activity || file.as_str() != default_file(source.as_str()) {
            prefix.push_str(",\"file\":");
            prefix.push_str(&json(file.as_str()));
        }
        prefix.push_str(",\"entry\":");
        Self { prefix }
    }

    /// Returns the text between the log's envelope prefix and the final brace, or `None` if the line has another form.
    ///
    /// If that text is JSON, it is the row's entry, and the line holds nothing else. Also returns `None` if the text
    /// is too long for a row or is not UTF-8.
    #[must_use]
    pub fn entry_alone<'a>(&self, line: &'a [u8]) -> Option<&'a str> {
        let text = line.strip_prefix(self.prefix.as_bytes())?.strip_suffix(b"}")?;
        (text.len() as u64 <= MAX_LOG_LINE_BYTES).then(|| simdutf8::basic::from_utf8(text).ok())?
    }

    /// Appends one envelope with its line feed. `entry` must be JSON text without line feeds.
    pub fn write(&self, entry: &str, original: Option<&ExactLine>, out: &mut Vec<u8>) {
        out.extend_from_slice(self.prefix.as_bytes());
        out.extend_from_slice(entry.as_bytes());
        if let Some(original) = original {
            out.extend_from_slice(b",\"original\":");
            out.extend_from_slice(json(original).as_bytes());
        }
        out.extend_from_slice(b"}\n");
    }
}

/// A reader of the envelopes of one log. An envelope in the form that this library writes takes a fast path.
#[derive(Debug, Clone)]
pub struct EnvelopeReader {
    source: SourceName,
    file: FileName,
    written: EnvelopeWriter,
    /// The minor version whose keys the rows may have.
    minor: u64,
}

impl EnvelopeReader {
    /// Creates a reader for the rows of the log that `file` describes.
    #[must_use]
    pub fn new(file: &ManifestFile) -> Self {
        let (source, name) = (file.source.clone(), file.relative_path.clone());
        let written = EnvelopeWriter::new(&source, &name, file.base.unwrap_or(Base::Patchwork));
        Self { source, file: name, written, minor: u64::from(file.record().is_some()) }
    }

    /// Reads a line of a bundle, given without its line feed, that must be a row of this log.
    ///
    /// # Errors
    /// Returns the fault that keeps the line from being a row of this log.
    pub fn read<'a>(&'a self, line: &'a [u8]) -> Result<Envelope<'a>, RowFault> {
        if let Some(entry) = self.written.entry_alone(line).and_then(|text| serde_json::from_str(text).ok()) {
            let (source, file) = (self.source.as_str().into(), self.file.as_str().into());
            return Ok(Envelope { source, file: Some(file), entry, original: None });
        }
        let envelope = Envelope::decode(line)?.of_minor(self.minor)?;
        match envelope.source == self.source.as_str() && envelope.file_name() == self.file.as_str() {
            true => Ok(envelope),
            false => Err(envelope.wrong_file()),
        }
    }

    /// Works like [`EnvelopeWriter::entry_alone`].
    pub fn entry_alone<'a>(&self, line: &'a [u8]) -> Option<&'a str> {
        self.written.entry_alone(line)
    }
}

/// Serializes a string, or a map of strings, as JSON without line separators.
#[allow(clippy::expect_used, reason = "strings always serialise, and losing one silently would be worse than a panic")]
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    escape_line_separators(serde_json::to_string(value).expect("strings serialise").into()).into_owned()
}

/// Finds the fault of a JSON object that could not be read as a row.
fn diagnose(text: &str) -> RowFault {
    serde_json::from_str::<Keys>(text).map_or(RowFault::NotJson, |keys| keys.fault())
}

/// Finds the fault of a line that is not an object. Empty lines are not parsed, because a chunk can have half a
/// billion of them.
fn diagnose_non_object(text: &str) -> RowFault {
    match !text.is_empty() && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        true => RowFault::NotAnObject,
        false => RowFault::NotJson,
    }
}

/// The top-level keys of an object, including duplicates.
struct Keys<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Keys<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> serde::de::Visitor<'de> for Collect {
            type Value = Keys<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Keys<'de>, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    keys.push((Cow::Owned(key), value));
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl Keys<'_> {
    fn value<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Option<Option<T>> {
        let (_, value) = self.0.iter().find(|(name, _)| name == key)?;
        Some(serde_json::from_str(value.get()).ok())
    }

    fn fault(&self) -> RowFault {
        let is_duplicated = |key| self.0.iter().filter(|(name, _)| name == key).count() > 1;
        if self.value::<String>("type").flatten().as_deref() == Some(super::manifest::MANIFEST_TYPE) {
            RowFault::Manifest
        } else if ["source", "file", "entry", "original"].into_iter().any(is_duplicated) {
            RowFault::DuplicateKey
        } else if self.value::<String>("source").flatten().is_none() {
            RowFault::Source
        } else if self.value::<serde::de::IgnoredAny>("entry").is_none() {
            RowFault::Entry
        } else if self.value::<String>("file") == Some(None) {
            RowFault::File
        } else if self.value::<ExactLine>("original") == Some(None) {
            RowFault::Original
        } else {
            RowFault::NotJson
        }
    }
}
