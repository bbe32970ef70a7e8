//! A condition on the values at a path, such as `body.decision=deny`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use regex::Regex;

use super::number::DecimalNumber;
use super::path::{KeyPath, KeyPathError};
use super::pattern::{PatternError, compile};
use super::scan_json::{each_value, is_string, string_content};

/// A condition on the values at a path of a row.
///
/// | condition | true if the row has |
/// |---|---|
/// | `PATH` | the path, even with the value `null` |
/// | `!PATH` | not the path |
/// | `PATH=VALUE`, `PATH!=VALUE` | an equal value, a value that is not equal |
/// | `PATH<VALUE`, `<=`, `>`, `>=` | such a number or string |
/// | `PATH~REGEX`, `PATH!~REGEX` | a value in which the pattern matches, does not match |
///
/// As in jq, a missing value is `null`, so it is not equal to any string. A path with `[]` has any number of values,
/// one of which has to match. Numbers compare by their exact values, however they are written; strings compare after
/// decoding, by code point. A number does not compare with a string.
///
/// VALUE is text. If it is a JSON number, `true`, `false` or `null`, it means that value; for `=` and `!=`, it also
/// means the string with these characters. Text in quotation marks is always a JSON string. A VALUE that begins with
/// `=`, `<`, `>` or `~` directly after the operator must be quoted. Patterns are matched against strings, and the texts
/// of numbers, `true` and `false`. White space around the operator and at the end is ignored.
///
/// ```
/// use patchwork_traces::query::Condition;
///
/// let is_slow: Condition = "steps[].durationMs >= 1e3".parse()?;
/// assert!(is_slow.matches(r#"{"steps":[{"durationMs":12},{"durationMs":1000.0}]}"#));
/// assert!(!is_slow.matches(r#"{"steps":[]}"#));
/// # Ok::<(), patchwork_traces::query::ConditionError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Condition {
    path: KeyPath,
    operator: Option<&'static str>,
    test: ValueTest,
    text: String,
}

#[derive(Debug, Clone)]
enum ValueTest {
    Has,
    HasNot,
    Equals(Operand),
    EqualsNot(Operand),
    /// Meets the condition if a value compares with the operand in one of these ways.
    Compares(&'static [Ordering], Operand),
    Matches(Regex),
    MatchesNot(Regex),
}

/// The operand of a comparison.
#[derive(Debug, Clone)]
enum Operand {
    String(String),
    /// A JSON number, `true`, `false` or `null`, or, for equality, a string with the same characters.
    Literal(String),
}

/// The error of a text that is not a [`Condition`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConditionError {
    /// The path is malformed.
    Path(KeyPathError),
    /// Something other than an operator follows the path.
    Operator {
        /// Its offset in the text, in bytes from 0.
        byte: usize,
    },
    /// Text follows the path of `!PATH`.
    Absence {
        /// Its byte in the text, from 0.
        byte: usize,
    },
    /// The value begins with a quotation mark, but is not a JSON string, or with a character of an operator.
    QuotedValue {
        /// Its byte in the text, from 0.
        byte: usize,
    },
    /// The value is an array or object.
    NestedValue {
        /// Its byte in the text, from 0.
        byte: usize,
    },
    /// The pattern is malformed.
    Pattern(PatternError),
}

impl Condition {
    /// Returns true if a row, given by its JSON text, meets the condition.
    ///
    /// The text must be valid JSON, as the rows of a bundle are.
    #[must_use]
    pub fn matches(&self, row: &str) -> bool {
        let found = each_value(row, self.path.steps(), &mut |value| self.test.holds(value));
        found != matches!(self.test, ValueTest::HasNot)
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &KeyPath {
        &self.path
    }

    /// Returns the operator between the path and the value, if it has one.
    pub(crate) fn operator(&self) -> Option<&'static str> {
        self.operator
    }

    /// Returns true if every row that meets the condition contains its operand, or a number compared with it.
    pub(crate) fn is_met_by_operand(&self) -> bool {
        matches!(self.test, ValueTest::Equals(_) | ValueTest::Compares(_, Operand::Literal(_)))
    }

    /// Returns the text that the operand was parsed from.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns a string that every matching row has as a value, if there is one.
    pub(super) fn required_string(&self) -> Option<&str> {
        match &self.test {
            ValueTest::Equals(Operand::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns true if only rows that have the path can meet the condition.
    pub(super) fn requires_path(&self) -> bool {
        match &self.test {
            ValueTest::Has | ValueTest::Matches(_) => true,
            ValueTest::HasNot | ValueTest::MatchesNot(_) | ValueTest::EqualsNot(_) => false,
            ValueTest::Equals(operand) | ValueTest::Compares(_, operand) => {
                !matches!(operand, Operand::Literal(text) if text == "null")
            }
        }
    }
}

impl ValueTest {
    /// Returns true if a value, given by its JSON text, passes. For [`HasNot`](Self::HasNot), a value that passes
    /// excludes the row.
    fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Self::Has | Self::HasNot => value.is_some(),
            Self::Equals(operand) => operand.equals(value),
            Self::EqualsNot(operand) => !operand.equals(value),
            Self::Compares(results, operand) => {
                value.and_then(|value| operand.compared_to(value)).is_some_and(|result| results.contains(&result))
            }
            Self::Matches(pattern) => is_match(pattern, value),
            Self::MatchesNot(pattern) => !is_match(pattern, value),
        }
    }
}

impl Operand {
    /// Parses VALUE, which begins at offset `byte` of a condition.
    fn parse(text: &str, byte: usize) -> Result<Self, ConditionError> {
        let is_json = serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
        match text.as_bytes().first() {
            Some(b'[' | b'{') if is_json => Err(ConditionError::NestedValue { byte }),
            Some(b'"') if is_json => Ok(Self::String(string_content(text).into_owned())),
            Some(b'"') => Err(ConditionError::QuotedValue { byte }),
            _ if is_json => Ok(Self::Literal(text.to_owned())),
            _ => Ok(Self::String(text.to_owned())),
        }
    }

    fn equals(&self, value: Option<&str>) -> bool {
        let value = value.unwrap_or("null");
        match (self, value.as_bytes().first()) {
            (Self::String(text) | Self::Literal(text), Some(b'"')) => is_string(value, text),
            (Self::Literal(text), Some(b'-' | b'0'..=b'9')) => {
                let (number, other) = (DecimalNumber::parse(text.as_bytes()), DecimalNumber::parse(value.as_bytes()));
                number.is_some() && number == other
            }
            (Self::Literal(text), _) => text == value,
            (Self::String(_), _) => false,
        }
    }

    /// Compares a value with this one. Returns `None` if they are not two numbers or two strings.
    fn compared_to(&self, value: &str) -> Option<Ordering> {
        match self {
            Self::String(text) if value.starts_with('"') => Some(string_content(value).as_ref().cmp(text)),
            Self::String(_) => None,
            Self::Literal(text) => {
                Some(DecimalNumber::parse(value.as_bytes())?.cmp(&DecimalNumber::parse(text.as_bytes())?))
            }
        }
    }
}

fn is_match(pattern: &Regex, value: Option<&str>) -> bool {
    match value.and_then(|value| Some((value, value.as_bytes().first()?))) {
        Some((value, b'"')) => pattern.is_match(&string_content(value)),
        Some((value, b'-' | b'0'..=b'9' | b't' | b'f')) => pattern.is_match(value),
        _ => false,
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        let is_absence = text.starts_with('!');
        let path_at = usize::from(is_absence);
        let (path, length) = KeyPath::parse_prefix(&text[path_at..]).map_err(|error| error.moved_by(path_at))?;
        let operator_at = text.len() - text[path_at + length..].trim_start().len();
        let rest = &text[operator_at..];
        let (operator, condition) = match (rest.is_empty(), is_absence) {
            (true, true) => (None, ValueTest::HasNot),
            (true, false) => (None, ValueTest::Has),
            (false, true) => return Err(ConditionError::Absence { byte: operator_at }),
            (false, false) => value_test(text, operator_at).map(|(operator, condition)| (Some(operator), condition))?,
        };
        Ok(Self { path, operator, test: condition, text: text.to_owned() })
    }
}

/// Parses an operator and its operand.
fn value_test(text: &str, operator_at: usize) -> Result<(&'static str, ValueTest), ConditionError> {
    use Ordering::{Equal, Greater, Less};
    // Operators that begin with another one precede it.
    const OPERATORS: [&str; 9] = ["!=", "!~", "<=", ">=", "==", "=", "<", ">", "~"];
    let rest = &text[operator_at..];
    let found = OPERATORS.into_iter().find(|operator| rest.starts_with(operator));
    let operator = found.ok_or(ConditionError::Operator { byte: operator_at })?;
    let rest = &rest[operator.len()..];
    let (value, byte) = (rest.trim(), text.len() - rest.trim_start().len());
    let operand = || match rest.starts_with(['=', '<', '>', '~']) {
        true => Err(ConditionError::QuotedValue { byte }),
        false => Operand::parse(value, byte),
    };
    let pattern = || compile(value).map_err(ConditionError::Pattern);
    let condition = match operator {
        "~" => ValueTest::Matches(pattern()?),
        "!~" => ValueTest::MatchesNot(pattern()?),
        "!=" => ValueTest::EqualsNot(operand()?),
        "<" => ValueTest::Compares(&[Less], operand()?),
        "<=" => ValueTest::Compares(&[Less, Equal], operand()?),
        ">" => ValueTest::Compares(&[Greater], operand()?),
        ">=" => ValueTest::Compares(&[Greater, Equal], operand()?),
        _ => ValueTest::Equals(operand()?),
    };
    Ok((operator, condition))
}

impl From<KeyPathError> for ConditionError {
    fn from(error: KeyPathError) -> Self {
        Self::Path(error)
    }
}

/// Writes the condition as it was parsed.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(error) => error.fmt(f),
            Self::Operator { byte } => {
                write!(
                    f,
                    "expected one of = != < <= > >= ~ !~ at byte {byte}; a key with other characters needs quotation marks"
                )
            }
            Self::Absence { byte } => {
                write!(f, "unexpected text after !PATH at byte {byte}; to compare a value, write PATH!=VALUE")
            }
            Self::QuotedValue { byte } => {
                write!(
                    f,
                    "expected a value at byte {byte}; a value that begins like this must be a JSON string in quotation \
                     marks"
                )
            }
            Self::NestedValue { byte } => {
                write!(f, "the value at byte {byte} is an array or object; put it in quotation marks if it is a string")
            }
            Self::Pattern(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConditionError {}
