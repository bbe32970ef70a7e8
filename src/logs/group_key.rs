//! Groups the logs that count as one: those of a source between which rotation moves rows.

use super::catalogue::{Files, catalogue_order, known};
use crate::format::LogId;

/// The identity of logs that count as one. Sorted in catalogue order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    rank: usize,
    /// The file name. `None` if the group has all logs of a source.
    name: Option<String>,
    source: String,
}

impl GroupKey {
    /// Returns the key of a log's group, and the log's index in the group. The log with the highest index is the one that
    /// writers append to.
    pub fn of(id: &LogId) -> (Self, usize) {
        let (source, name) = (id.source.as_str(), id.name.as_str());
        let (rank, ..) = catalogue_order(source, name);
        let at = fixed_names(source).iter().position(|known| *known == name);
        let alone = at.is_none().then(|| name.to_owned());
        (Self { rank, name: alone, source: source.to_owned() }, at.unwrap_or(0))
    }

    /// Returns the source of its logs.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the number of logs that a group can have.
    pub fn logs(&self) -> usize {
        if self.name.is_some() { 1 } else { fixed_names(&self.source).len() }
    }

    /// Returns the name of the log with the index `at`.
    pub fn name_of(&self, at: usize) -> Option<&str> {
        match &self.name {
            Some(name) => (at == 0).then_some(name),
            None => fixed_names(&self.source).get(at).copied(),
        }
    }

    /// Returns the name of the log that writers append to.
    pub fn live_name(&self) -> &str {
        self.name_of(self.logs().saturating_sub(1)).unwrap_or_default()
    }
}

/// Returns the names of a source's logs, if they are fixed.
fn fixed_names(source: &str) -> &'static [&'static str] {
    match known(source).map(|source| &source.files) {
        Some(Files::Named(names)) => names,
        _ => &[],
    }
}
