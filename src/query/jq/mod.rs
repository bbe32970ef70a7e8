//! jq filters, run by jaq.
//!
//! A filter can't read files, the environment or other rows.

mod bounds;
mod compile;
mod exact_value;
mod functions;
mod patterns;
mod write;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam_channel::bounded;
use jaq_core::{Ctx, Filter, Vars};
use jaq_json::Val;

use super::row_mapper::{EmitLine, MappedRow, RowMapper};
use bounds::{BoundedFilter, BoundedLut, Bounds, Stop, catch_stop};
pub use compile::JqError;
use exact_value::ExactValue;
use write::{write_line, write_raw};

/// The stack bytes and steps for the first attempt at a row, on the thread that read it.
const QUICK_STACK_BYTES: usize = 256 << 10;
const QUICK_STEPS: u64 = 4096;

/// The stack size of the thread for rows that need more. Filters are stopped at three quarters of it, because functions
/// of jaq also recurse between steps.
const DEEP_STACK_BYTES: usize = 512 << 20;

/// The maximum number of lines that such a thread buffers.
const MAX_LINES_AHEAD: usize = 64;

/// A jq filter. Its output for a row is any number of values, each a line of JSON.
///
/// The row itself and values taken from it keep their exact texts: numbers are not rounded, and the keys of objects are
/// unchanged. New values are written by jaq's rules, without white space.
///
/// It runs in jaq, whose language differs from that of jq in details. Recursion that exceeds the stack is an error.
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
    filter: Arc<Filter<BoundedFilter>>,
    strings: StringForm,
}

/// The output format of strings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StringForm {
    /// JSON, like every other value.
    #[default]
    Json,
    /// The plain text. Strings in arrays and objects stay JSON.
    Raw,
    /// The plain text, with escapes for invisible characters that a terminal would interpret.
    Visible,
}

impl JqFilter {
    /// Sets the output format of strings.
    #[must_use]
    pub fn strings(self, strings: StringForm) -> Self {
        Self { strings, ..self }
    }

    /// Returns the texts of all output values for a row, given by its JSON text.
    ///
    /// # Errors
    /// Returns the reason, for display, if the text is not JSON or the filter fails.
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
    /// Most rows take few steps. Other rows start again on a thread with a large stack, where jaq can recurse deeply.
    fn map(&self, row: &MappedRow<'_>, take: EmitLine<'_>) -> Result<(), String> {
        let cancelled = AtomicBool::new(false);
        let bounds = Bounds::new(QUICK_STACK_BYTES, QUICK_STEPS, &cancelled);
        let mut lines = 0_u64;
        let run = self.run(row, &bounds, &mut |line, ending| {
            lines += 1;
            take(line, ending)
        });
        run.unwrap_or_else(|_| self.map_deeply(row, lines, take))
    }
}

impl JqFilter {
    /// Passes the lines of a row, except for the first `skipped` ones, to `take`, until it breaks.
    fn map_deeply(&self, row: &MappedRow<'_>, mut skipped: u64, take: EmitLine<'_>) -> Result<(), String> {
        let is_over = AtomicBool::new(false);
        let (sender, lines) = bounded::<(Vec<u8>, usize)>(MAX_LINES_AHEAD);
        let run = || {
            let bounds = Bounds::new(DEEP_STACK_BYTES / 4 * 3, u64::MAX, &is_over);
            let run = self.run(row, &bounds, &mut |line, ending| {
                if skipped > 0 {
                    skipped -= 1;
                    return ControlFlow::Continue(());
                }
                let sent = sender.send(([line, ending].concat(), line.len()));
                if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            drop(sender);
            run.unwrap_or_else(|stop| match stop {
                Stop::Exhausted => Err("the filter recurses too deeply".to_owned()),
                Stop::Cancelled => Ok(()),
            })
        };
        thread::scope(|scope| {
            let Ok(thread) = thread::Builder::new().stack_size(DEEP_STACK_BYTES).spawn_scoped(scope, run) else {
                return Err("there is not enough memory for the recursion of the filter".to_owned());
            };
            for (line, length) in &lines {
                let (line, ending) = line.split_at(length);
                if take(line, ending).is_break() {
                    is_over.store(true, Ordering::Relaxed);
                    break;
                }
            }
            drop(lines);
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Passes the lines of a row to `take`, until it breaks, unless the filter is stopped.
    fn run(&self, row: &MappedRow<'_>, bounds: &Bounds<'_>, take: EmitLine<'_>) -> Result<Result<(), String>, Stop> {
        let input = ExactValue::parse(row.json);
        let mut line = Vec::new();
        catch_stop(|| {
            let lut = BoundedLut { lut: &self.filter.lut, bounds };
            let context = Ctx::<BoundedFilter>::new(lut, Vars::new([]));
            for output in self.filter.id.run((context, input.value().clone())) {
                let output = output.map_err(|error| match error.get_err() {
                    Ok(error) => error.to_string(),
                    Err(_) => "the filter ended early".to_owned(),
                })?;
                line.clear();
                let ending = self.write(&output, &input, row, &mut line);
                if take(&line, ending).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Appends an output value for a row, and returns its ending.
    fn write<'r>(&self, output: &Val, input: &ExactValue<'_>, row: &MappedRow<'r>, line: &mut Vec<u8>) -> &'r [u8] {
        match (output, self.strings) {
            (Val::TStr(text), StringForm::Raw | StringForm::Visible) => {
                write_raw(text, self.strings == StringForm::Visible, line);
            }
            _ if input.is_whole(output) => {
                line.extend_from_slice(row.line.0);
                return row.line.1;
            }
            _ => write_line(output, input, line),
        }
        b"\n"
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
