//! Regular expressions, with errors that name the position.

use std::fmt;

use regex::Regex;

use crate::error::visible;

/// The error of a text that is not a regular expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// The offset of the error in the pattern, in bytes from 0, if it is known.
    pub byte: Option<usize>,
    reason: String,
    /// The pattern from that offset on.
    rest: String,
}

/// Compiles a regular expression.
///
/// # Errors
/// If the pattern is malformed, which the error locates, or too large.
pub fn compile(pattern: &str) -> Result<Regex, PatternError> {
    let parsed = regex_syntax::Parser::new().parse(pattern).map(drop);
    parsed.map_err(|error| PatternError::of_syntax(&error, pattern))?;
    let too_large = |_| PatternError { byte: None, reason: "the pattern is too large".to_owned(), rest: String::new() };
    Regex::new(pattern).map_err(too_large)
}

impl PatternError {
    fn of_syntax(error: &regex_syntax::Error, pattern: &str) -> Self {
        let (byte, reason) = match error {
            regex_syntax::Error::Parse(error) => (Some(error.span().start.offset), error.kind().to_string()),
            regex_syntax::Error::Translate(error) => (Some(error.span().start.offset), error.kind().to_string()),
            _ => (None, "malformed pattern".to_owned()),
        };
        let rest = byte.and_then(|byte| pattern.get(byte..)).unwrap_or_default().to_owned();
        Self { byte, reason, rest }
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { byte, reason, rest } = self;
        match byte {
            Some(byte) if !rest.is_empty() => write!(f, "{reason} at byte {byte} of the pattern: {}", visible(rest)),
            Some(_) => write!(f, "{reason} at the end of the pattern"),
            None => f.write_str(reason),
        }
    }
}

impl std::error::Error for PatternError {}
