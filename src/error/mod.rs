//! What can go wrong, where it did, and what to do next.
//!
//! An [`Error`] is an [`ErrorKind`] (data, no sentences) at a [`Position`]. Its `Display` is one line for a person, in
//! which nothing is left that a terminal would obey, and [`Error::hint`] says what to do next.

mod code;
mod fault;
mod kind;
mod text;
mod visible;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use fault::{Contradiction, EntryFault, GzipFault, ManifestFault, NameFault, RowFault};
pub use kind::{ErrorKind, IoAction, Obstacle};
pub use visible::{is_invisible, visible};

/// The result of this library's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where something is. Every part is optional; only the known ones are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Position {
    /// The file on disk, or `standard input`.
    pub subject: Option<String>,
    /// A log inside a bundle, by its `relativePath`.
    pub file: Option<String>,
    /// Rows of that log: first and last, from 1.
    pub rows: Option<(u64, u64)>,
    /// The line of the subject (of a bundle: of its decompressed text), from 1.
    pub line: Option<u64>,
    /// The byte of the subject as it is on disk, from 0.
    pub byte: Option<u64>,
}

impl Position {
    fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let inner = inner.into_iter().flatten().collect::<Vec<_>>().join(", ");
        match &self.subject {
            Some(subject) if inner.is_empty() => f.write_str(subject),
            Some(subject) => write!(f, "{subject}: {inner}"),
            None => f.write_str(&inner),
        }
    }
}

/// Why an operation could not do its work.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    at: Position,
}

impl Error {
    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Where.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.0.at
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        self.0.kind.hint()
    }

    /// An input or output error on `path`.
    #[must_use]
    pub fn io(action: IoAction, path: &Path, source: io::Error) -> Self {
        Self::io_named(action, &path.display().to_string(), source)
    }

    /// An input or output error on something named `subject`.
    #[must_use]
    pub fn io_named(action: IoAction, subject: &str, source: io::Error) -> Self {
        Self::io_unnamed(action, source).in_subject(subject)
    }

    /// An input or output error whose subject the caller names.
    ///
    /// Readers of this library carry its errors through [`io::Error`]; such an error comes out as it went in.
    pub(crate) fn io_unnamed(action: IoAction, source: io::Error) -> Self {
        match source.downcast::<Self>() {
            Ok(error) => error,
            Err(source) => ErrorKind::Io { action, source }.into(),
        }
    }

    /// Names the file on disk, unless one is named already.
    #[must_use]
    pub fn in_subject(mut self, subject: &str) -> Self {
        self.0.at.subject.get_or_insert_with(|| subject.to_owned());
        self
    }

    /// Names files by the paths that people know, where `real_path` returns another one.
    pub(crate) fn with_real_paths(mut self, real_path: &dyn Fn(&Path) -> PathBuf) -> Self {
        let Inner { kind, at } = &mut *self.0;
        if let Some(subject) = &mut at.subject {
            let path = real_path(Path::new(subject));
            if path != Path::new(subject) {
                *subject = path.display().to_string();
                // The system's words may have been put beside the other path.
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

    /// Names the log inside the bundle.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        self.0.at.file = Some(file.to_owned());
        self
    }

    /// Names rows of the log, from 1.
    #[must_use]
    pub fn at_rows(mut self, first: u64, last: u64) -> Self {
        self.0.at.rows = Some((first, last));
        self
    }

    /// Names the line, from 1.
    #[must_use]
    pub fn at_line(mut self, line: u64) -> Self {
        self.0.at.line = Some(line);
        self
    }

    /// Names the byte, from 0.
    #[must_use]
    pub fn at_byte(mut self, byte: u64) -> Self {
        self.0.at.byte = Some(byte);
        self
    }
}

/// What the system said, without the path that was put beside it.
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

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = &self.0.kind;
        f.write_str(&visible(&match self.0.at.is_unknown() {
            true => kind.to_string(),
            false => format!("{}: {kind}", self.0.at),
        }))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            ErrorKind::Io { source, .. } | ErrorKind::ReportLost { source } => Some(source),
            ErrorKind::EntryType { source } => Some(source),
            _ => None,
        }
    }
}
