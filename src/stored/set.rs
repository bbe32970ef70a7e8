//! The logs of an input, grouped by the sequences of rows that they hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::content::{Content, ContentReader};
use super::scratch::Scratch;
use crate::digest::{Integrity, Sha256Digest};
use crate::error::{Error, ErrorKind, Result};
use crate::format::{FileName, LogId};
use crate::logs::GroupKey;

/// A stored log.
#[derive(Debug, Clone)]
pub struct StoredLog {
    pub id: LogId,
    pub content: Content,
    /// The length and SHA-256, if they are known.
    pub integrity: Option<Integrity>,
    /// The digest of the whole log that a segment has the new lines of.
    pub whole: Option<Sha256Digest>,
}

impl StoredLog {
    /// Returns a reader of the log.
    pub fn reader(&self) -> ContentReader<'_> {
        self.content.reader()
    }

    /// Returns true if two logs are known to have the same bytes.
    fn is_same(&self, other: &Self) -> bool {
        self.integrity.is_some() && self.integrity == other.integrity
    }
}

/// The logs of one source between which rotation moves rows, oldest rows first; or one other log.
#[derive(Debug, Clone, Default)]
pub struct StoredGroup {
    /// The logs. `None` for a log that the input does not have.
    pub logs: Vec<Option<StoredLog>>,
}

impl StoredGroup {
    /// Returns an empty group.
    pub fn nothing_of(key: &GroupKey) -> Self {
        Self { logs: vec![None; key.logs()] }
    }

    /// Returns the total length of its logs in bytes.
    pub fn bytes(&self) -> u64 {
        self.logs.iter().flatten().map(|log| log.content.bytes()).sum()
    }

    /// Returns a reader of each log.
    pub fn readers(&self) -> impl Iterator<Item = Option<ContentReader<'_>>> {
        self.logs.iter().map(|log| log.as_ref().map(StoredLog::reader))
    }

    /// Returns true if two groups are known to have the same bytes.
    pub fn is_same(&self, other: &Self) -> bool {
        self.logs.len() == other.logs.len()
            && self.logs.iter().zip(&other.logs).all(|logs| match logs {
                (Some(log), Some(other)) => log.is_same(other),
                (None, None) => true,
                _ => false,
            })
    }
}

/// The logs of an input.
#[derive(Debug, Default)]
pub struct LogSet {
    pub groups: BTreeMap<GroupKey, StoredGroup>,
}

impl LogSet {
    /// Returns all logs, in catalogue order.
    pub fn logs(&self) -> impl Iterator<Item = (&GroupKey, &StoredLog)> {
        self.groups.iter().flat_map(|(key, group)| group.logs.iter().flatten().map(move |log| (key, log)))
    }

    /// Drops the logs that have none of these names, unless there are no names.
    pub(super) fn keep_files(&mut self, names: &[String]) {
        let is_kept = |log: &StoredLog| names.is_empty() || names.iter().any(|name| name == log.id.name.as_str());
        for group in self.groups.values_mut() {
            group.logs.iter_mut().for_each(|log| _ = log.take_if(|log| !is_kept(log)));
        }
    }

    /// Checks that no two logs would be restored to the same place.
    ///
    /// # Errors
    /// [`ErrorKind::InputsDisagree`].
    pub fn check_places(&self) -> Result<()> {
        let mut places = BTreeMap::new();
        for (_, log) in self.logs() {
            let place = (log.id.base.to_string(), log.id.name.as_str());
            if let Some(other) = places.insert(place, &log.id) {
                return Err(disagreement(other, &log.id));
            }
        }
        Ok(())
    }
}

/// Returns the error for a log that has different sources or directories.
pub fn disagreement(one: &LogId, other: &LogId) -> Error {
    let place = |id: &LogId| format!("{} in {}", id.source, id.base);
    ErrorKind::InputsDisagree { file: one.name.to_string(), one: place(one), other: place(other) }.into()
}

/// The logs of an input of which only some parts were read. The parts of a log follow each other.
#[derive(Debug, Default)]
pub struct LogSetBuilder {
    groups: BTreeMap<GroupKey, Vec<Piece>>,
}

/// The part of a log that one bundle has.
#[derive(Debug)]
struct Piece {
    /// The index of the log in its group.
    at: usize,
    log: StoredLog,
}

impl LogSetBuilder {
    /// Adds what the next bundle has of its logs.
    pub fn push(&mut self, logs: Vec<StoredLog>) {
        let mut pieces: Vec<_> = logs.into_iter().map(|log| (GroupKey::of(&log.id), log)).collect();
        pieces.sort_by_key(|((_, at), _)| *at);
        for ((key, at), log) in pieces {
            self.groups.entry(key).or_default().push(Piece { at, log });
        }
    }

    /// Puts the logs together.
    ///
    /// # Errors
    /// If a line feed between two pieces cannot be written.
    pub fn finish(self, scratch: &Arc<Scratch>) -> Result<LogSet> {
        let mut set = LogSet::default();
        for (key, pieces) in self.groups {
            let mut group = StoredGroup::nothing_of(&key);
            for (to, piece) in places_of(&pieces).into_iter().zip(pieces) {
                put(&mut group, to, piece, scratch)?;
            }
            set.groups.insert(key, group);
        }
        Ok(set)
    }
}

/// Returns the log of the group to which each piece goes: a row that is older than one of an older log is in that log,
/// too.
fn places_of(pieces: &[Piece]) -> Vec<usize> {
    let mut oldest = usize::MAX;
    let places = pieces.iter().rev().map(|piece| {
        if piece.log.content.bytes() > 0 {
            oldest = oldest.min(piece.at);
        }
        oldest.min(piece.at)
    });
    let mut places: Vec<_> = places.collect();
    places.reverse();
    places
}

/// Appends a piece to the log `to` of its group. The log that it was read from exists even if nothing remains in it.
fn put(group: &mut StoredGroup, to: usize, piece: Piece, scratch: &Arc<Scratch>) -> Result<()> {
    let Piece { at, log: StoredLog { id, content, integrity, whole } } = piece;
    let empty = |id| StoredLog { id, content: Content::default(), integrity: None, whole: None };
    let id_of_target = LogId { name: name_of(&id, to), ..id.clone() };
    if to != at && group.logs[at].is_none() {
        group.logs[at] = Some(empty(id));
    }
    let target = group.logs[to].get_or_insert_with(|| empty(id_of_target));
    if content.bytes() == 0 && whole != target.whole {
        // The log has changed without a new line, so a last line without a line feed has got it.
        target.content.end_line(scratch)?;
        target.integrity = None;
    }
    target.whole = whole;
    if target.content.bytes() == 0 {
        (target.content, target.integrity) = (content, integrity);
    } else if content.bytes() > 0 {
        target.content.append(content, scratch)?;
        target.integrity = None;
    }
    Ok(())
}

/// Returns the name of the log `at` of the group to which `id` belongs.
fn name_of(id: &LogId, at: usize) -> FileName {
    let name = GroupKey::of(id).0.name_of(at).and_then(|name| FileName::new(name).ok());
    name.unwrap_or_else(|| id.name.clone())
}
