//! Inputs of operations that take several bundles or histories.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::bundle::Bundle;
use crate::container::{DecryptionKeys, Input};
use crate::digest::BundleDigest;
use crate::error::{Error, ErrorKind, HistoryFault, Result};
use crate::format::{
    DerivedFrom, FilterRecord, HistoryId, HistoryPosition, Label, LogId, Manifest, Redaction, TimeSpan, Timestamp,
};
use crate::history::{History, Segment};

/// A bundle or a history (a directory of bundles) whose manifests have been read, but not its rows.
///
/// A bundle that was opened by path stays closed until its rows are read, so that the limit on open
/// files does not limit the number of inputs.
#[derive(Debug)]
pub struct TraceInput<'r> {
    name: String,
    parts: Vec<InputPart<'r>>,
    history: Option<Box<History>>,
}

/// One bundle of an input.
#[derive(Debug)]
pub(crate) struct InputPart<'r> {
    origin: PartOrigin<'r>,
    pub digest: BundleDigest,
    pub exported_at: Timestamp,
    /// The label that the user gave the machine.
    pub label: Option<Label>,
    /// The conditions on the rows of a filtered bundle.
    pub filter: Option<FilterRecord>,
    /// The record of the redaction, if the bundle is redacted.
    pub redaction: Option<Redaction>,
    /// The bundles that the bundle was derived from.
    pub derived_from: Option<DerivedFrom>,
    /// The bundle's position in a history, if it is a segment.
    pub position: Option<HistoryPosition>,
    /// True if the bundle has only the rows of its logs, as in format 1.0.
    pub rows_only: bool,
    /// True if the bundle, or a bundle that it was derived from, is redacted.
    pub is_redacted: bool,
    pub rows: u64,
    /// The total length of its logs in bytes.
    pub log_bytes: u64,
    /// Its files, in the order of its manifest.
    pub files: Vec<PartFile>,
}

/// A log in one bundle of an input.
#[derive(Debug)]
pub(crate) struct PartFile {
    pub id: LogId,
    pub rows: u64,
    /// The length of the log in bytes.
    pub bytes: u64,
    /// The number of lines that are not rows. For a segment it is unknown and set to 0.
    pub unparsed_lines: u64,
    pub span: TimeSpan,
}

#[derive(Debug)]
enum PartOrigin<'r> {
    Open(Box<Bundle<'r>>),
    /// The path of a bundle, which is opened when its rows are read.
    Closed(PathBuf),
    /// The path of a segment, and the keys that decrypt it.
    Segment(PathBuf, Arc<DecryptionKeys>),
}

/// A description of an input, for reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct InputSummary {
    /// The name of the input.
    pub name: String,
    /// The digest of the bundle, or of the latest segment of the history.
    pub digest: Option<BundleDigest>,
    /// The export time of the bundle, or of the latest segment of the history.
    pub exported_at: Option<Timestamp>,
    /// The identity of the history; null for a bundle.
    pub history: Option<HistoryId>,
    /// The number of bundles: 1, or the number of segments of the history.
    pub bundles: usize,
    /// The number of rows in all sources.
    pub rows: u64,
    /// True if a bundle has only the rows of its logs, rewritten and without hashes to verify them,
    /// as in format 1.0.
    pub rows_only: bool,
    /// The conditions on the rows of a filtered bundle; empty if it has all rows of its logs.
    pub filter: Vec<String>,
    /// True if a bundle is redacted, so its rows may differ from those in the logs.
    #[serde(rename = "redacted")]
    pub is_redacted: bool,
    /// True if the input was not read because another input is or contains the same bundle.
    #[serde(rename = "duplicate")]
    pub is_duplicate: bool,
}

impl TraceInput<'static> {
    /// Opens the bundle at `path`, or the history in the directory `path`.
    ///
    /// # Errors
    /// As [`Bundle::open`] and [`History::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if path.is_dir() {
            return History::open(path).map(Self::from_history);
        }
        let mut input = Self::from_bundle(Bundle::open(path)?);
        for part in &mut input.parts {
            if let PartOrigin::Open(bundle) = &part.origin
                && bundle.file_bytes().is_some()
            {
                part.origin = PartOrigin::Closed(path.to_owned());
            }
        }
        Ok(input)
    }

    /// Creates an input from an opened history.
    #[must_use]
    pub fn from_history(history: History) -> Self {
        let parts = history.segments().iter().map(|segment| InputPart::of_segment(&history, segment)).collect();
        Self { name: history.dir().display().to_string(), parts, history: Some(Box::new(history)) }
    }
}

impl<'r> TraceInput<'r> {
    /// Creates an input from an opened bundle.
    #[must_use]
    pub fn from_bundle(bundle: Bundle<'r>) -> Self {
        Self { name: bundle.name().to_owned(), parts: vec![InputPart::of_bundle(bundle)], history: None }
    }

    /// Returns the name of the input in errors.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the history, if the input is one.
    #[must_use]
    pub fn history(&self) -> Option<&History> {
        self.history.as_deref()
    }

    /// Returns the bundle digests of the bundle, or of each segment of the history.
    pub fn digests(&self) -> impl Iterator<Item = BundleDigest> {
        self.parts.iter().map(|part| part.digest)
    }

    /// Returns the export time of the bundle, or of the latest segment of the history.
    #[must_use]
    pub fn exported_at(&self) -> Option<Timestamp> {
        self.parts.iter().map(|part| part.exported_at).max()
    }

    /// Returns the number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }

    /// Returns a description for reports.
    #[must_use]
    pub fn summary(&self) -> InputSummary {
        InputSummary {
            name: self.name.clone(),
            digest: self.digests().last(),
            exported_at: self.exported_at(),
            history: self.history().map(History::id),
            bundles: self.parts.len(),
            rows: self.rows(),
            rows_only: self.parts.iter().any(|part| part.rows_only),
            filter: self
                .parts
                .iter()
                .filter_map(|part| part.filter.as_ref())
                .flat_map(FilterRecord::conditions)
                .cloned()
                .collect(),
            is_redacted: self.is_redacted(),
            is_duplicate: false,
        }
    }

    /// Returns the label of the machine, from the last part that has one.
    pub(crate) fn label(&self) -> Option<&Label> {
        self.parts().iter().rev().find_map(|part| part.label.as_ref())
    }

    /// Returns true if a part is filtered, so it has only some rows of its logs.
    pub(crate) fn is_filtered(&self) -> bool {
        self.parts.iter().any(|part| part.filter.is_some())
    }

    /// Returns true if a part is redacted.
    pub(crate) fn is_redacted(&self) -> bool {
        self.parts.iter().any(|part| part.is_redacted)
    }

    /// Returns the total length of its logs in bytes.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.log_bytes).sum()
    }

    /// Returns the names of the sources of its logs.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().flat_map(|part| &part.files).map(|file| file.id.source.as_str())
    }

    /// Returns its bundles: one, or the segments of the history in the order of their numbers.
    pub(crate) fn parts(&self) -> &[InputPart<'r>] {
        &self.parts
    }

    /// Consumes the input and returns its bundles, in the order of [`parts`](Self::parts).
    pub(crate) fn into_parts(self) -> Vec<InputPart<'r>> {
        self.parts
    }

    /// Returns the history and the segment's number, if the input is a single segment.
    pub(crate) fn segment(&self) -> Option<(HistoryId, u64)> {
        let part = self.parts.first().filter(|_| self.history.is_none())?;
        part.position.as_ref().map(|position| (position.id, position.segment))
    }
}

impl<'r> InputPart<'r> {
    fn of_bundle(bundle: Bundle<'r>) -> Self {
        let manifest: &Manifest = bundle.manifest();
        let files = manifest.files.iter().map(|file| PartFile {
            id: LogId::of(file),
            rows: file.count,
            bytes: file.bytes,
            unparsed_lines: file.unparsed_lines(),
            span: TimeSpan { first: file.first_time, last: file.last_time },
        });
        Self {
            digest: bundle.digest(),
            exported_at: manifest.exported_at,
            label: manifest.label.clone(),
            filter: manifest.filter.clone(),
            redaction: manifest.redaction.clone(),
            derived_from: manifest.derived_from.clone(),
            position: manifest.history.clone(),
            rows_only: manifest.version().1 == 0,
            is_redacted: manifest.is_redacted(),
            rows: manifest.total_count,
            log_bytes: manifest.files.iter().map(|file| file.bytes).sum(),
            files: files.collect(),
            origin: PartOrigin::Open(Box::new(bundle)),
        }
    }

    fn of_segment(history: &History, segment: &Segment) -> Self {
        let files = segment.files.iter().map(|file| PartFile {
            id: history.logs()[file.log].id.clone(),
            rows: file.rows,
            bytes: file.bytes,
            unparsed_lines: 0,
            span: file.span,
        });
        Self {
            origin: PartOrigin::Segment(segment.path.clone(), Arc::clone(&segment.keys)),
            files: files.collect(),
            digest: segment.digest,
            exported_at: segment.exported_at,
            label: None,
            filter: None,
            redaction: None,
            derived_from: None,
            position: Some(HistoryPosition { id: history.id(), segment: segment.number, previous: None }),
            rows_only: false,
            is_redacted: false,
            rows: segment.files.iter().map(|file| file.rows).sum(),
            log_bytes: segment.files.iter().map(|file| file.bytes).sum(),
        }
    }

    /// Returns the manifest, if the bundle is open.
    pub fn manifest(&self) -> Option<&Manifest> {
        match &self.origin {
            PartOrigin::Open(bundle) => Some(bundle.manifest()),
            PartOrigin::Closed(_) | PartOrigin::Segment(..) => None,
        }
    }

    /// Opens the bundle. A bundle from a stream can be read only once.
    ///
    /// # Errors
    /// If it cannot be opened, or its digest has changed since it was first opened.
    pub fn open(&self) -> Result<Bundle<'r>> {
        let no_keys = Arc::default();
        let (path, keys, kind) = match &self.origin {
            PartOrigin::Open(bundle) => return Ok(Bundle::clone(bundle)),
            PartOrigin::Closed(path) => (path, &no_keys, ErrorKind::RestoredDiffers),
            PartOrigin::Segment(path, keys) => (path, keys, ErrorKind::History(HistoryFault::Changed)),
        };
        let name = path.display().to_string();
        let bundle = Bundle::from_input(Input::open(path, keys)?, &name)?;
        match bundle.digest() == self.digest {
            true => Ok(bundle),
            false => Err(Error::from(kind).in_subject(&name)),
        }
    }
}
