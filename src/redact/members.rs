//! Removes members of rows by their paths.

use std::ops::Range;

use crate::detect::JsonText;
use crate::query::{KeyPath, PathStep, each_value};

/// The top-level keys that `--keep-only` always keeps, because they hold the timestamp or distinguish rows.
pub const ALWAYS_KEPT: [&str; 5] = ["createdAt", "timestamp", "taskId", "id", "seq"];

/// The replacement for an unparsed line if members are removed, because its members are unknown.
pub const LINE_REMOVED: &[u8] = b"[line removed]";

/// The replacement for a value that keeps none of its members.
const NOTHING: &[u8] = b"null";

/// The members to remove.
#[derive(Debug, Default)]
pub struct MemberRules {
    drop: Vec<KeyPath>,
    keep_only: Vec<KeyPath>,
    /// The paths that no row has had so far.
    unseen: Vec<KeyPath>,
    has_rows: bool,
}

/// The fate of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Keep,
    /// Some of its members may be removed.
    Look,
    Remove,
}

/// A step to a value: a decoded key, or the index of an element and the number of elements.
#[derive(Debug, Clone)]
enum Step {
    Key(String),
    Element { index: usize, of: usize },
}

impl MemberRules {
    pub fn new(drop: Vec<KeyPath>, keep_only: Vec<KeyPath>) -> Self {
        let unseen = drop.iter().chain(&keep_only).cloned().collect();
        Self { drop, keep_only, unseen, has_rows: false }
    }

    /// Records which paths a row has. `row` is its JSON text.
    pub fn see(&mut self, row: &str) {
        self.has_rows = true;
        self.unseen.retain(|path| !each_value(row, path.steps(), &mut |value| value.is_some()));
    }

    /// Returns a path that no row has, if there are rows.
    pub fn unseen(&self) -> Option<&KeyPath> {
        self.unseen.first().filter(|_| self.has_rows)
    }

    /// Returns true if no member is removed.
    pub fn is_empty(&self) -> bool {
        self.drop.is_empty() && self.keep_only.is_empty()
    }

    /// Returns a row without the removed members, or `None` if it has none of them.
    pub fn remove_from(&self, line: &[u8]) -> Option<Vec<u8>> {
        let text = JsonText::new(line);
        let mut writer = Removal { members: self, text, out: Vec::with_capacity(line.len()), path: Vec::new() };
        let value = writer.text.value_at(0);
        writer.out.extend_from_slice(&line[..value.start]);
        writer.value(value.clone());
        writer.out.extend_from_slice(&line[value.end..]);
        (writer.out != line).then_some(writer.out)
    }

    fn fate(&self, path: &[Step]) -> Fate {
        if self.drop.iter().any(|drop| reaches(drop, path)) {
            return Fate::Remove;
        }
        let may_drop = self.drop.iter().any(|drop| leads_to(path, drop));
        let otherwise = if may_drop { Fate::Look } else { Fate::Keep };
        if self.keep_only.is_empty() {
            return otherwise;
        }
        if self.is_kept(path) {
            return otherwise;
        }
        match path.is_empty() || self.keep_only.iter().any(|keep| leads_to(path, keep)) {
            true => Fate::Look,
            false => Fate::Remove,
        }
    }
}

/// Returns true if a pattern matches exactly the value at `path`.
fn reaches(pattern: &KeyPath, path: &[Step]) -> bool {
    pattern.steps().len() == path.len() && pattern.steps().iter().zip(path).all(|(wanted, step)| fits(wanted, step))
}

/// Returns true if a pattern matches a value nested in the value at `path`.
fn leads_to(path: &[Step], pattern: &KeyPath) -> bool {
    pattern.steps().len() > path.len() && pattern.steps().iter().zip(path).all(|(wanted, step)| fits(wanted, step))
}

fn fits(wanted: &PathStep, step: &Step) -> bool {
    match (wanted, step) {
        (PathStep::Key(wanted), Step::Key(key)) => wanted == key,
        (PathStep::Each, Step::Element { .. }) => true,
        (PathStep::Index(wanted), Step::Element { index, of }) => {
            let at = if *wanted < 0 { i128::from(*wanted) + *of as i128 } else { i128::from(*wanted) };
            at == *index as i128
        }
        _ => false,
    }
}

/// Writes a row without the removed members.
struct Removal<'m, 'l> {
    members: &'m MemberRules,
    text: JsonText<'l>,
    out: Vec<u8>,
    path: Vec<Step>,
}

impl Removal<'_, '_> {
    /// Writes a value that is not itself removed. Rows nest at most 128 levels deep.
    fn value(&mut self, value: Range<usize>) {
        let first = self.text.bytes()[value.start];
        let is_container = matches!(first, b'{' | b'[');
        match self.members.fate(&self.path) {
            Fate::Look if is_container => self.container(&value),
            // A scalar has no members to keep.
            Fate::Look if !self.members.keep_only.is_empty() && !self.members.is_kept(&self.path) => {
                self.out.extend_from_slice(NOTHING);
            }
            _ => self.out.extend_from_slice(&self.text.bytes()[value]),
        }
    }

    fn container(&mut self, value: &Range<usize>) {
        let is_object = self.text.bytes()[value.start] == b'{';
        let count = if self.members.counts_elements() { self.text.parts(value).count() } else { 0 };
        self.out.push(self.text.bytes()[value.start]);
        let mut is_first = true;
        for (index, part) in self.text.parts(value).enumerate() {
            self.path.push(match &part.key {
                Some(key) if is_object => Step::Key(self.text.string(key)),
                _ => Step::Element { index, of: count },
            });
            if self.members.fate(&self.path) != Fate::Remove {
                if !is_first {
                    self.out.push(b',');
                }
                is_first = false;
                // The white space and key before the value are unchanged.
                self.out.extend_from_slice(&self.text.bytes()[part.start..part.value.start]);
                self.value(part.value.clone());
                self.out.extend_from_slice(&self.text.bytes()[part.value.end..part.end]);
            }
            self.path.pop();
        }
        self.out.push(self.text.bytes()[value.end - 1]);
    }
}

impl MemberRules {
    /// Returns true if a path counts elements from the end.
    fn counts_elements(&self) -> bool {
        let counts = |step: &PathStep| matches!(step, PathStep::Index(index) if *index < 0);
        self.drop.iter().chain(&self.keep_only).any(|path| path.steps().iter().any(counts))
    }

    /// Returns true if a path matches the value or a value that contains it.
    fn is_kept(&self, path: &[Step]) -> bool {
        let is_always_kept = matches!(path, [Step::Key(key), ..] if ALWAYS_KEPT.contains(&key.as_str()));
        is_always_kept
            || (0..=path.len()).any(|length| self.keep_only.iter().any(|keep| reaches(keep, &path[..length])))
    }
}
