//! Filters in the language of jq, run by the crates of jaq.
//!
//! A filter can't read files, the environment or other rows.

mod compile;
mod exact_value;
mod write;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use jaq_core::data::JustLut;
use jaq_core::{Ctx, Filter, Vars};
use jaq_json::Val;

use super::row_mapper::{EmitLine, MappedRow, RowMapper};
pub use compile::JqError;
use exact_value::ExactValue;
use write::{write_line, write_raw};

/// A filter in the language of jq. It gives any number of values for a row, each as a line of JSON.
///
/// The row itself and values of it keep their texts: numbers are not rounded, and the keys of an object stay as they are. A
/// value that the filter makes is written by jaq's rules, without white space.
///
/// The functions `env`, `input`, `inputs`, `debug`, `stderr`, `halt` and `halt_error` do not exist, and neither do modules
/// and `$ENV`.
///
/// ```
/// use patchwork_traces::query::JqFilter;
///
/// let filter: JqFilter = ".steps[] | select(.ms > 1000) | .ms".parse()?;
/// assert_eq!(filter.outputs(r#"{"steps":[{"ms":1.50e3},{"ms":12}]}"#), Ok(vec!["1.50e3".to_owned()]));
/// assert_eq!(".steps[".parse::<JqFilter>().map_err(|error| error.byte).unwrap_err(), Some(7));
/// # Ok::<(), patchwork_traces::query::JqError>(())
/// ```
#[derive(Clone)]
pub struct JqFilter {
    text: String,
    filter: Arc<Filter<JustLut<Val>>>,
    strings: StringForm,
}

/// The form of strings that a filter gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StringForm {
    /// JSON, as everything else.
    #[default]
    Json,
    /// The text itself. Strings in arrays and objects stay JSON.
    Raw,
    /// The text itself, with escapes for invisible characters, which could change what a terminal shows.
    Visible,
}

impl JqFilter {
    /// Chooses the form of strings.
    #[must_use]
    pub fn strings(self, strings: StringForm) -> Self {
        Self { strings, ..self }
    }

    /// Returns the texts of all values for a row, whose JSON text is given.
    ///
    /// # Errors
    /// Returns the reason, for people, if the text is not JSON or the filter fails.
    pub fn outputs(&self, row: &str) -> Result<Vec<String>, String> {
        serde_json::from_str::<&serde_json::value::RawValue>(row).map_err(|error| error.to_string())?;
        let mut outputs = Vec::new();
        self.map(&MappedRow { json: row, line: (row.as_bytes(), b"") }, &mut |line, _| {
            outputs.push(String::from_utf8_lossy(line).into_owned());
            ControlFlow::Continue(())
        })?;
        Ok(outputs)
    }
}

impl RowMapper for JqFilter {
    fn map(&self, row: &MappedRow<'_>, take: EmitLine<'_>) -> Result<(), String> {
        let input = ExactValue::parse(row.json);
        let context = Ctx::<JustLut<Val>>::new(&self.filter.lut, Vars::new([]));
        let mut line = Vec::new();
        for output in self.filter.id.run((context, input.value().clone())) {
            let output = match output.map_err(jaq_core::Exn::get_err) {
                Ok(output) => output,
                Err(Ok(error)) => return Err(error.to_string()),
                Err(Err(_)) => return Err("the filter ended early".to_owned()),
            };
            line.clear();
            let ending = match (&output, self.strings) {
                (Val::TStr(text), StringForm::Raw | StringForm::Visible) => {
                    write_raw(text, self.strings == StringForm::Visible, &mut line);
                    b"\n"
                }
                _ if input.is_whole(&output) => {
                    line.extend_from_slice(row.line.0);
                    row.line.1
                }
                _ => {
                    write_line(&output, &input, &mut line);
                    b"\n"
                }
            };
            if take(&line, ending).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Writes the filter as it was parsed.
impl fmt::Display for JqFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for JqFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JqFilter").field("text", &self.text).field("strings", &self.strings).finish_non_exhaustive()
    }
}
