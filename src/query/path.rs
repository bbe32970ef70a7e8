//! Paths to values in a row, such as `steps[0].status`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::error::{is_invisible, visible};

/// A path to values in a row, as in jq but without the first dot.
///
/// | path | values |
/// |---|---|
/// | `body.decision` | a member of a member |
/// | `steps[0].status`, `steps[-1]` | of the first element, the last element |
/// | `steps[].status` | of each element |
/// | `"a.b".c`, `["a.b"].c` | of a key with characters that a bare key cannot have |
/// | `.` | the row itself |
///
/// A bare key has no `.`, `[`, `]`, `"`, `,`, `=`, `!`, `<`, `>`, `~`, white space or control character. A quoted key is
/// a JSON string.
///
/// ```
/// use patchwork_traces::query::KeyPath;
///
/// let path: KeyPath = r#"steps[]["exit code"]"#.parse()?;
/// assert_eq!(path.to_string(), r#"steps[]."exit code""#);
/// assert_eq!("steps[0".parse::<KeyPath>().map_err(|error| error.byte), Err(7));
/// # Ok::<(), patchwork_traces::query::KeyPathError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct KeyPath {
    steps: Vec<PathStep>,
}

/// A step of a [`KeyPath`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PathStep {
    /// The member of an object with this decoded key.
    Key(String),
    /// An element of an array, counted from 0; negative indices count from the end, and -1 is the last element.
    Index(i64),
    /// Every element of an array.
    Each,
}

/// The error of a text that is not a [`KeyPath`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPathError {
    /// The offset at which the text stops being a path, in bytes from 0.
    pub byte: usize,
    /// The reason.
    pub fault: KeyPathFault,
    /// The text from that offset on.
    rest: String,
}

/// The reason why a text is not a [`KeyPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyPathFault {
    /// A key is missing.
    NoKey,
    /// The quotation mark that ends a key is missing, or the key is not a JSON string.
    QuotedKey,
    /// Brackets contain something other than an integer or a quoted key.
    Brackets,
    /// The closing bracket is missing.
    OpenBracket,
    /// Text follows the path.
    AfterPath,
}

impl KeyPath {
    /// Creates a path of these steps.
    #[must_use]
    pub fn from_steps(steps: Vec<PathStep>) -> Self {
        Self { steps }
    }

    /// Returns the steps, from the row to the values. The path `.` of the row itself has no steps.
    #[must_use]
    pub fn steps(&self) -> &[PathStep] {
        &self.steps
    }

    /// Parses paths that are separated by commas.
    ///
    /// # Errors
    /// Returns the position at which the text stops being a list of paths.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, KeyPathError> {
        let mut parser = Parser { text, at: 0 };
        let mut paths = vec![parser.path()?];
        while parser.take(',') {
            paths.push(parser.path()?);
        }
        parser.end().map(|()| paths)
    }

    /// Parses the path at the start of a text. Returns it with its length in bytes.
    pub(crate) fn parse_prefix(text: &str) -> Result<(Self, usize), KeyPathError> {
        let mut parser = Parser { text, at: 0 };
        parser.path().map(|path| (path, parser.at))
    }
}

impl FromStr for KeyPath {
    type Err = KeyPathError;

    fn from_str(text: &str) -> Result<Self, KeyPathError> {
        let mut parser = Parser { text, at: 0 };
        let path = parser.path()?;
        parser.end().map(|()| path)
    }
}

/// Writes the path so that it parses to the same steps.
impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return f.write_str(".");
        }
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                PathStep::Key(key) if at == 0 => f.write_str(&key_text(key))?,
                PathStep::Key(key) => write!(f, ".{}", key_text(key))?,
                PathStep::Index(index) => write!(f, "[{index}]")?,
                PathStep::Each => f.write_str("[]")?,
            }
        }
        Ok(())
    }
}

/// Returns a key as written in a path: bare or quoted, with escapes for invisible characters.
fn key_text(key: &str) -> Cow<'_, str> {
    if !key.is_empty() && key.chars().all(|c| is_bare(c) && !is_invisible(c)) {
        return key.into();
    }
    let mut text = String::new();
    for c in serde_json::Value::from(key).to_string().chars() {
        match is_invisible(c) {
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text += &format!("\\u{unit:04x}")),
            false => text.push(c),
        }
    }
    text.into()
}

/// Returns true if a key with this character needs no quotation marks.
fn is_bare(c: char) -> bool {
    !matches!(c, '.' | '[' | ']' | '"' | ',' | '=' | '!' | '<' | '>' | '~') && !c.is_whitespace() && !c.is_control()
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl Parser<'_> {
    fn path(&mut self) -> Result<KeyPath, KeyPathError> {
        let has_dot = self.take('.');
        let mut steps = Vec::new();
        if self.rest().starts_with('[') {
            steps.push(self.brackets()?);
        } else if !has_dot || self.rest().starts_with(|c| c == '"' || c == '.' || is_bare(c)) {
            steps.push(self.key()?);
        }
        while !steps.is_empty() {
            if self.rest().starts_with('[') {
                steps.push(self.brackets()?);
            } else if self.take('.') {
                // jq also accepts `.a.[0]`.
                let step = if self.rest().starts_with('[') { self.brackets()? } else { self.key()? };
                steps.push(step);
            } else {
                break;
            }
        }
        Ok(KeyPath { steps })
    }

    fn key(&mut self) -> Result<PathStep, KeyPathError> {
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        let rest = self.rest();
        let key = &rest[..rest.find(|c| !is_bare(c)).unwrap_or(rest.len())];
        if key.is_empty() {
            return Err(self.fault(KeyPathFault::NoKey));
        }
        let key = key.to_owned();
        self.at += key.len();
        Ok(PathStep::Key(key))
    }

    /// Parses a key that is a JSON string.
    fn quoted(&mut self) -> Result<PathStep, KeyPathError> {
        let rest = self.rest();
        let mut keys = serde_json::Deserializer::from_str(rest).into_iter::<String>();
        match keys.next() {
            Some(Ok(key)) => {
                self.at += keys.byte_offset();
                Ok(PathStep::Key(key))
            }
            _ => Err(self.fault(KeyPathFault::QuotedKey)),
        }
    }

    /// Parses `[]`, `[0]` or `["key"]`.
    fn brackets(&mut self) -> Result<PathStep, KeyPathError> {
        self.take('[');
        let rest = self.rest();
        let step = if rest.starts_with('"') {
            self.quoted()?
        } else if rest.starts_with(']') {
            PathStep::Each
        } else {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
            let index = rest[..digits].parse().map_err(|_| self.fault(KeyPathFault::Brackets))?;
            self.at += digits;
            PathStep::Index(index)
        };
        match self.take(']') {
            true => Ok(step),
            false => Err(self.fault(KeyPathFault::OpenBracket)),
        }
    }

    fn end(&self) -> Result<(), KeyPathError> {
        match self.rest().is_empty() {
            true => Ok(()),
            false => Err(self.fault(KeyPathFault::AfterPath)),
        }
    }

    fn take(&mut self, c: char) -> bool {
        let is_next = self.rest().starts_with(c);
        self.at += if is_next { c.len_utf8() } else { 0 };
        is_next
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn fault(&self, fault: KeyPathFault) -> KeyPathError {
        KeyPathError { byte: self.at, fault, rest: self.rest().to_owned() }
    }
}

impl fmt::Display for KeyPathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => "expected a key",
            Self::QuotedKey => "this key is not a JSON string in quotation marks",
            Self::Brackets => "expected ], a whole number or a key in quotation marks",
            Self::OpenBracket => "expected ]",
            Self::AfterPath => "a key with this character needs quotation marks",
        })
    }
}

impl KeyPathError {
    /// Returns the error for a path that begins at this offset of a longer text.
    pub(crate) fn moved_by(self, bytes: usize) -> Self {
        Self { byte: self.byte + bytes, ..self }
    }
}

impl fmt::Display for KeyPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { byte, fault, rest } = self;
        match rest.is_empty() {
            true => write!(f, "{fault} at the end"),
            false => write!(f, "{fault} at byte {byte}: {}", visible(&shortened(rest))),
        }
    }
}

impl std::error::Error for KeyPathError {}

/// Shortens text to fit in a message.
fn shortened(text: &str) -> Cow<'_, str> {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
