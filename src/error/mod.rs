//! Errors, with their kind and position.
//!
//! An [`Error`] is an [`ErrorKind`] (data, not text) at a [`Position`]. Its `Display` is one line for people, with
//! control characters escaped.

mod display;
mod fault;
mod kind;
mod redaction_fault;
mod signature_fault;
mod visible;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use display::{system_error, system_reason};
pub use fault::{
    Contradiction, Encryption, EntryFault, GzipFault, HistoryFault, KeyText, ManifestFault, NameFault, RowFault,
};
pub use kind::{ErrorKind, IoAction, Obstacle};
pub use redaction_fault::RedactionFault;
pub use signature_fault::SignatureFault;
pub use visible::{is_invisible, visible};

/// The result of this library's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The position of an error or finding. Every part is optional; only the known ones are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Position {
    /// The file on disk, or `standard input`.
    pub subject: Option<String>,
    /// A log inside a bundle, by its `relativePath`.
    pub file: Option<String>,
    /// The first and the last row of that log, from 1.
    pub rows: Option<(u64, u64)>,
    /// The line of the subject, from 1. In a bundle, lines are those of the decompressed text.
    pub line: Option<u64>,
    /// The byte offset in the subject as stored on disk, from 0.
    pub byte: Option<u64>,
}

impl Position {
    fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

impl Position {
    /// Returns the position inside the subject, or an empty string.
    fn within_subject(&self) -> String {
        let rows = self.rows.map(|(first, last)| match first == last {
            true => format!("row {first}"),
            false => format!("rows {first} to {last}"),
        });
        let inner = [
            self.file.clone(),
            rows,
            self.line.map(|line| format!("line {line}")),
            self.byte.map(|byte| format!("byte {byte}")),
        ];
        inner.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.within_subject();
        match &self.subject {
            Some(subject) if inner.is_empty() => f.write_str(subject),
            Some(subject) => write!(f, "{subject}: {inner}"),
            None => f.write_str(&inner),
        }
    }
}

/// The error of a failed operation.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    at: Position,
}

impl Error {
    /// Returns the kind of error.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Returns the position of the error.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.0.at
    }

    /// Creates an input or output error on `path`.
    #[must_use]
    pub fn io(action: IoAction, path: impl AsRef<Path>, source: io::Error) -> Self {
        Self::io_named(action, &path.as_ref().display().to_string(), source)
    }

    /// Creates an input or output error on something named `subject`.
    #[must_use]
    pub fn io_named(action: IoAction, subject: &str, source: io::Error) -> Self {
        Self::io_unnamed(action, source).in_subject(subject)
    }

    /// Creates an input or output error without a subject, which the caller adds.
    ///
    /// Readers of this library wrap its errors in [`io::Error`]; such an error is unwrapped unchanged.
    pub(crate) fn io_unnamed(action: IoAction, source: io::Error) -> Self {
        match source.downcast::<Self>() {
            Ok(error) => error,
            Err(source) => ErrorKind::Io { action, source }.into(),
        }
    }

    /// Sets the file on disk, unless it is already set.
    #[must_use]
    pub fn in_subject(mut self, subject: &str) -> Self {
        self.0.at.subject.get_or_insert_with(|| subject.to_owned());
        self
    }

    /// Replaces each path with the one that `real_path` returns for it, which users know.
    pub(crate) fn with_real_paths(mut self, real_path: &dyn Fn(&Path) -> PathBuf) -> Self {
        let Inner { kind, at } = &mut *self.0;
        if let Some(subject) = &mut at.subject {
            let path = real_path(Path::new(subject));
            if path != Path::new(subject) {
                *subject = path.display().to_string();
                // The system's message may contain the old path.
                if let ErrorKind::Io { source, .. } = kind {
                    *source = without_path(source);
                }
            }
        }
        if let ErrorKind::PartiallyCommitted { cause, .. } = kind {
            let inner = std::mem::replace(cause, ErrorKind::Cancelled.into());
            *cause = inner.with_real_paths(real_path);
        }
        self
    }

    /// Sets the log inside the bundle.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        self.0.at.file = Some(file.to_owned());
        self
    }

    /// Sets the first and the last row of the log, from 1.
    #[must_use]
    pub fn at_rows(mut self, first: u64, last: u64) -> Self {
        self.0.at.rows = Some((first, last));
        self
    }

    /// Sets the line, from 1.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Self {
        self.0.at.line = Some(line);
        self
    }

    /// Sets the byte offset, from 0.
    #[must_use]
    pub fn at_byte(mut self, byte: u64) -> Self {
        self.0.at.byte = Some(byte);
        self
    }
}

/// Returns the system's error without the path that `fs_err` adds.
fn without_path(error: &io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|outer| outer.source()).and_then(|inner| inner.downcast_ref::<io::Error>());
    match inner.unwrap_or(error).raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), inner.unwrap_or(error).to_string()),
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self(Box::new(Inner { kind, at: Position::default() }))
    }
}

impl From<RedactionFault> for Error {
    fn from(fault: RedactionFault) -> Self {
        ErrorKind::Redaction(fault).into()
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, at } = &*self.0;
        f.write_str(&visible(&match (kind, &at.subject) {
            (ErrorKind::Io { action, source }, Some(subject)) => {
                let inner = Some(at.within_subject()).filter(|inner| !inner.is_empty());
                let inner = inner.map(|inner| format!(" ({inner})")).unwrap_or_default();
                format!("cannot {action} {subject}{inner}: {}", system_reason(source))
            }
            _ if at.is_unknown() => kind.to_string(),
            _ => format!("{at}: {kind}"),
        }))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The message already includes the first source, so the chain begins with the second.
        match &self.0.kind {
            ErrorKind::Io { source, .. } | ErrorKind::ReportLost { source } => system_error(source).source(),
            ErrorKind::EntryType { source } => source.source(),
            _ => None,
        }
    }
}
