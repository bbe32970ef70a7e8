//! Redacts the conditions of a filtered input.

use crate::cat::quoted_argument;
use crate::format::FilterRecord;
use crate::query::{Condition, RowFilter};

/// The replacement for an operand, or for a condition that another program wrote.
const HIDDEN: &str = "…";

/// The conditions of a filtered input. They reveal values of its rows, even values that the redaction replaces or
/// removes. So an operand is kept, with finds replaced, only if every redacted row shows it.
#[derive(Debug, Default)]
pub struct RecordedConditions {
    conditions: Vec<RecordedCondition>,
    /// True if no row has been seen, or the conditions describe the rows that are missing.
    say_nothing: bool,
}

#[derive(Debug)]
struct RecordedCondition {
    text: String,
    /// The condition without its operand; `None` if it has no operand.
    without_operand: Option<String>,
    /// Selects the rows that show the operand; `None` if a row that meets the condition does not show it.
    shown_by: Option<RowFilter>,
}

impl RecordedConditions {
    /// Parses conditions in which finds may have been replaced.
    pub fn new(texts: Vec<String>) -> Self {
        Self { conditions: texts.into_iter().map(RecordedCondition::new).collect(), say_nothing: true }
    }

    /// Returns true if there are no conditions.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Takes a redacted row into account, given by its JSON text.
    pub fn see(&mut self, row: &str) {
        self.say_nothing = self.conditions.iter().any(|condition| condition.text == "--invert");
        for condition in &mut self.conditions {
            condition.shown_by = condition.shown_by.take().filter(|filter| filter.matches(row));
        }
    }

    /// Returns the conditions, without the operands that the rows do not show.
    pub fn record(&self) -> Option<FilterRecord> {
        let texts = self.conditions.iter().map(|condition| match &condition.without_operand {
            Some(hidden) if self.say_nothing || condition.shown_by.is_none() => hidden.clone(),
            _ => condition.text.clone(),
        });
        FilterRecord::new(texts.collect())
    }
}

impl RecordedCondition {
    fn new(text: String) -> Self {
        let (option, argument) = text.split_once(' ').unwrap_or((&text, ""));
        let hidden = |shown_by| (Some(format!("{option} {HIDDEN}")), shown_by);
        let (without_operand, shown_by) = match (option, unquoted(argument)) {
            ("--invert" | "--latest" | FilterRecord::THEN, Some(argument)) if argument.is_empty() => (None, None),
            ("--source" | "--file" | "--since" | "--until" | "--key", Some(_)) => (None, None),
            ("--where", Some(argument)) => match argument.parse::<Condition>() {
                Ok(condition) => of_value(condition),
                Err(_) => hidden(None),
            },
            ("--grep", Some(argument)) => hidden(Some(RowFilter::default().text(&argument))),
            ("--grep-regex", _) => hidden(None),
            _ => (Some(HIDDEN.to_owned()), None),
        };
        Self { text, without_operand, shown_by }
    }
}

fn of_value(condition: Condition) -> (Option<String>, Option<RowFilter>) {
    let Some(operator) = condition.operator() else { return (None, None) };
    let without_operand = quoted_argument(&format!("{}{operator}{HIDDEN}", condition.path()));
    let is_shown = condition.is_met_by_operand();
    (Some(format!("--where {without_operand}")), is_shown.then(|| RowFilter::default().condition(condition)))
}

/// Returns an argument without its shell quotation marks, or `None` if they are unbalanced.
fn unquoted(argument: &str) -> Option<String> {
    match argument.strip_prefix('\'') {
        Some(quoted) => Some(quoted.strip_suffix('\'')?.replace(r"'\''", "'")),
        None => Some(argument.to_owned()),
    }
}
