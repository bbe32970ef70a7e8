//! Counts the paths of rows, in bounded memory.

use std::collections::HashMap;

use super::value_types::ValueTypes;
use crate::query::{Elements, KeyPath, Members, PathStep, string_content};

/// The maximum number of paths.
pub const MAX_PATHS: usize = 10_000;

/// The maximum number of steps in a path.
pub const MAX_STEPS: usize = 64;

/// The maximum length of a key in a path, in bytes.
pub const MAX_KEY_BYTES: usize = 512;

/// The maximum length of an example, in bytes.
const MAX_EXAMPLE_BYTES: usize = 160;

/// The paths of rows, as a tree of steps. The roots are sources.
#[derive(Debug, Clone)]
pub struct KeyTrie {
    nodes: Vec<KeyNode>,
    sources: Vec<(String, usize)>,
    /// The number of examples that are kept for each path.
    examples: usize,
    /// True if no more paths are added, even if the trie is not full.
    is_closed: bool,
    /// True if a path was not added because the trie is full or closed.
    pub is_overfull: bool,
    /// The number of values whose paths are not in the trie.
    pub unlisted: u64,
    /// The numbers of the current row and the current object.
    row: u64,
    object: u64,
}

/// A path.
#[derive(Debug, Clone)]
struct KeyNode {
    /// The parent node and the last step; `None` for a source.
    before: Option<(usize, PathStep)>,
    members: HashMap<Box<str>, usize>,
    elements: Option<usize>,
    counts: PathCounts,
    /// The last row that had the path.
    last_row: u64,
    /// The last object that had the key, and the index of the value among the values of that object.
    last_object: u64,
    slot: usize,
}

/// The values at a path.
#[derive(Debug, Clone, Default)]
pub struct PathCounts {
    /// The number of rows that have the path.
    pub rows: u64,
    pub types: ValueTypes,
    /// The start of the JSON text of the first distinct values that are neither null nor nested.
    pub examples: Vec<Box<str>>,
}

impl KeyTrie {
    /// Creates an empty trie that keeps this number of examples per path.
    pub fn new(examples: usize) -> Self {
        let (nodes, sources) = (Vec::new(), Vec::new());
        Self { nodes, sources, examples, is_closed: false, is_overfull: false, unlisted: 0, row: 0, object: 0 }
    }

    /// Returns a closed trie with the same paths and counts of 0.
    pub fn closed(mut self) -> Self {
        for node in &mut self.nodes {
            (node.counts, node.last_row, node.last_object) = (PathCounts::default(), 0, 0);
        }
        Self { is_closed: true, is_overfull: false, unlisted: 0, row: 0, object: 0, ..self }
    }

    /// Counts the paths of a row of a source, given by its JSON text, which must be valid.
    pub fn add(&mut self, source: &str, row: &str) {
        let Some(root) = self.source(source) else {
            self.unlisted += count_values(row.trim_matches([' ', '\t', '\n', '\r']));
            return;
        };
        self.row += 1;
        self.visit(root, row.trim_matches([' ', '\t', '\n', '\r']), 0, &mut Vec::new());
    }

    /// Adds the counts of a trie for later rows.
    pub fn append(&mut self, other: Self) {
        self.unlisted += other.unlisted;
        self.is_overfull |= other.is_overfull;
        let mut here = vec![None; other.nodes.len()];
        for (source, root) in &other.sources {
            here[*root] = self.source(source);
        }
        for (at, node) in other.nodes.into_iter().enumerate() {
            if let Some((before, step)) = &node.before {
                here[at] = here[*before].and_then(|before| match step {
                    PathStep::Key(key) => self.member(before, key, 0),
                    _ => self.element(before, 0),
                });
            }
            match here[at] {
                Some(here) => self.nodes[here].counts.append(node.counts, self.examples),
                None => self.unlisted += node.counts.types.total(),
            }
        }
    }

    /// Returns the sources, in the order of their first rows, each with its paths. Paths with a common prefix are
    /// adjacent; otherwise they are in the order of their first values.
    pub fn into_paths(mut self) -> impl Iterator<Item = (String, Vec<(KeyPath, PathCounts)>)> {
        let sources = std::mem::take(&mut self.sources);
        sources.into_iter().map(move |(source, root)| {
            let (mut paths, mut waiting) = (Vec::new(), vec![root]);
            while let Some(at) = waiting.pop() {
                paths.push((self.path(at), std::mem::take(&mut self.nodes[at].counts)));
                let first = waiting.len();
                waiting.extend(self.nodes[at].members.values().chain(&self.nodes[at].elements));
                waiting[first..].sort_unstable_by(|a, b| b.cmp(a));
            }
            (source, paths)
        })
    }

    fn path(&self, at: usize) -> KeyPath {
        let steps = std::iter::successors(self.nodes[at].before.as_ref(), |(at, _)| self.nodes[*at].before.as_ref());
        let mut steps: Vec<_> = steps.map(|(_, step)| step.clone()).collect();
        steps.reverse();
        KeyPath::from_steps(steps)
    }

    fn source(&mut self, source: &str) -> Option<usize> {
        let known = self.sources.iter().find(|(name, _)| name == source).map(|(_, root)| *root);
        known.or_else(|| {
            let root = self.grow(None)?;
            self.sources.push((source.to_owned(), root));
            Some(root)
        })
    }

    /// Returns the node for a member of the values at a node whose path has `depth` steps.
    fn member(&mut self, node: usize, key: &str, steps: usize) -> Option<usize> {
        if let Some(member) = self.nodes[node].members.get(key) {
            return Some(*member);
        }
        if key.len() > MAX_KEY_BYTES || steps == MAX_STEPS {
            return None;
        }
        let member = self.grow(Some((node, PathStep::Key(key.to_owned()))))?;
        self.nodes[node].members.insert(key.into(), member);
        Some(member)
    }

    /// Returns the node for the elements of the values at a node whose path has `depth` steps.
    fn element(&mut self, node: usize, steps: usize) -> Option<usize> {
        if self.nodes[node].elements.is_none() && steps < MAX_STEPS {
            self.nodes[node].elements = self.grow(Some((node, PathStep::Each)));
        }
        self.nodes[node].elements
    }

    /// Adds a node, unless there are too many.
    fn grow(&mut self, before: Option<(usize, PathStep)>) -> Option<usize> {
        if self.is_closed || self.nodes.len() >= MAX_PATHS {
            self.is_overfull = true;
            return None;
        }
        let (members, counts) = (HashMap::new(), PathCounts::default());
        self.nodes.push(KeyNode { before, members, elements: None, counts, last_row: 0, last_object: 0, slot: 0 });
        Some(self.nodes.len() - 1)
    }

    /// Counts a value and the values nested in it. `members` holds the values of the enclosing objects.
    fn visit<'j>(&mut self, node: usize, json: &'j str, steps: usize, members: &mut Vec<(usize, &'j str)>) {
        let (row, examples, here) = (self.row, self.examples, &mut self.nodes[node]);
        here.counts.count(json, examples);
        here.counts.rows += u64::from(here.last_row != row);
        here.last_row = row;
        if let Some(values) = Members::of(json) {
            let first = members.len();
            self.list_members(node, values, steps, members);
            for at in first..members.len() {
                let (member, value) = members[at];
                self.visit(member, value, steps + 1, members);
            }
            members.truncate(first);
        } else if let Some(mut values) = Elements::of(json).map(Iterator::peekable)
            && values.peek().is_some()
        {
            match self.element(node, steps) {
                Some(element) => values.for_each(|value| self.visit(element, value, steps + 1, members)),
                None => self.unlisted += values.map(count_values).sum::<u64>(),
            }
        }
    }

    /// Adds the values of an object to `members`, with their nodes. Of duplicate keys, the last one counts.
    fn list_members<'j>(
        &mut self,
        node: usize,
        values: Members<'j>,
        steps: usize,
        members: &mut Vec<(usize, &'j str)>,
    ) {
        self.object += 1;
        for (key, value) in values {
            let Some(member) = self.member(node, &string_content(key), steps) else {
                self.unlisted += count_values(value);
                continue;
            };
            let found = &mut self.nodes[member];
            if found.last_object == self.object {
                members[found.slot].1 = value;
            } else {
                (found.last_object, found.slot) = (self.object, members.len());
                members.push((member, value));
            }
        }
    }
}

impl PathCounts {
    /// Counts a value.
    fn count(&mut self, json: &str, examples: usize) {
        let types = &mut self.types;
        let (count, is_example) = match json.as_bytes().first() {
            Some(b'"') => (&mut types.string, true),
            Some(b'{') => (&mut types.object, false),
            Some(b'[') => (&mut types.array, false),
            Some(b't' | b'f') => (&mut types.boolean, true),
            Some(b'n') | None => (&mut types.null, false),
            Some(_) => (&mut types.number, true),
        };
        *count += 1;
        if is_example && self.examples.len() < examples {
            let start = beginning(json);
            if self.examples.iter().all(|example| **example != *start) {
                self.examples.push(start.into());
            }
        }
    }

    /// Adds the counts of later values.
    fn append(&mut self, other: Self, examples: usize) {
        self.rows += other.rows;
        self.types.add(&other.types);
        for example in other.examples {
            if self.examples.len() < examples && !self.examples.contains(&example) {
                self.examples.push(example);
            }
        }
    }
}

/// Returns the number of values in a JSON text, including itself.
fn count_values(json: &str) -> u64 {
    let members = Members::of(json).into_iter().flatten().map(|(_, value)| value);
    1 + members.chain(Elements::of(json).into_iter().flatten()).map(count_values).sum::<u64>()
}

/// Returns the start of the JSON text of a string, number or boolean, which does not end within an escape.
fn beginning(json: &str) -> &str {
    if json.len() <= MAX_EXAMPLE_BYTES {
        return json;
    }
    let (mut end, mut rest) = (0, json.chars());
    loop {
        let is_escape = rest.next() == Some('\\');
        let is_unicode = is_escape && rest.next() == Some('u');
        if is_unicode {
            rest.nth(3);
        }
        let next = json.len() - rest.as_str().len();
        if next > MAX_EXAMPLE_BYTES {
            return &json[..end];
        }
        end = next;
    }
}
