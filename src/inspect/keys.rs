//! Lists the paths of rows, with the types and examples of their values.

use std::num::NonZeroUsize;

use serde::Serialize;

use super::key_trie::{KeyTrie, PathCounts};
use super::value_types::ValueTypes;
use crate::cat::{CatOptions, SelectedRows};
use crate::error::Result;
use crate::format::TimeRange;
use crate::input::{InputSummary, TraceInput};
use crate::progress::Progress;
use crate::query::{KeyPath, unescaped};
use crate::util::ordered_pool::available_cores;

/// The maximum length of an example, in characters.
const MAX_EXAMPLE_CHARS: usize = 40;

/// Options for [`list_keys`].
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct KeysOptions {
    /// The sources whose rows are read; all if empty.
    pub sources: Vec<String>,
    /// The files whose rows are read; all if empty.
    pub files: Vec<String>,
    /// The time range of the rows. Rows without a timestamp match only an unbounded range.
    pub range: TimeRange,
    /// The number of examples for each path.
    pub examples: usize,
    /// The number of threads that inflate and read.
    pub threads: NonZeroUsize,
}

/// Reads all rows with one thread per core, and gives two examples per path.
impl Default for KeysOptions {
    fn default() -> Self {
        let (sources, files, range) = (Vec::new(), Vec::new(), TimeRange::default());
        Self { sources, files, range, examples: 2, threads: available_cores() }
    }
}

impl KeysOptions {
    /// Limits the list to the rows of these sources.
    pub fn sources(self, sources: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { sources: sources.into_iter().map(Into::into).collect(), ..self }
    }

    /// Limits the list to the rows of these files.
    pub fn files(self, files: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { files: files.into_iter().map(Into::into).collect(), ..self }
    }

    /// Limits the list to the rows of a time range.
    pub fn range(self, range: TimeRange) -> Self {
        Self { range, ..self }
    }

    /// Sets the number of examples for each path.
    pub fn examples(self, examples: usize) -> Self {
        Self { examples, ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }
}

/// The result of [`list_keys`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KeysReport {
    /// The inputs.
    pub inputs: Vec<InputSummary>,
    /// The sources of the rows, in the order of the first rows.
    pub sources: Vec<SourceKeys>,
    /// The number of values whose paths are not listed, because there are more than 10,000 paths, or a path has more
    /// than 64 steps or a key of more than 512 bytes.
    pub unlisted: u64,
}

/// The paths of the rows of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SourceKeys {
    /// The source.
    pub source: String,
    /// The number of its rows.
    pub rows: u64,
    /// The paths. Paths with a common prefix are adjacent; otherwise they are in the order of their first values.
    pub paths: Vec<ListedPath>,
}

/// The values at one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ListedPath {
    /// The path, as `cat --where` takes it.
    #[serde(serialize_with = "as_text")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: KeyPath,
    /// The number of rows that have it.
    pub rows: u64,
    /// The number of values of each type. A row has several values if the path has `[]`.
    pub types: ValueTypes,
    /// The JSON of the first distinct strings, numbers or booleans. Strings are truncated to 40 characters.
    pub examples: Vec<String>,
}

/// Lists the paths in the rows of inputs, for use in queries. Each thread keeps at most 10,000 paths in memory. If
/// there are more, the rows are read twice, so no input may be a stream.
///
/// ```
/// use patchwork_traces::input::TraceInput;
/// use patchwork_traces::inspect::{KeysOptions, list_keys};
/// use patchwork_traces::progress::NoProgress;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let input = TraceInput::open("fixtures/conformance/intact.jsonl.gz")?;
/// let report = list_keys(&[input], &KeysOptions::default().sources(["runs"]), &NoProgress)?;
/// let paths: Vec<_> = report.sources[0].paths.iter().map(|listed| listed.path.to_string()).collect();
/// assert_eq!(paths[..2], ["taskId", "createdAt"]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If an input is damaged, or has none of the selected sources or files.
pub fn list_keys(inputs: &[TraceInput<'_>], options: &KeysOptions, progress: &dyn Progress) -> Result<KeysReport> {
    let rows = CatOptions::default().sources(&options.sources).files(&options.files).range(options.range);
    let rows = SelectedRows::new(inputs, &rows.threads(options.threads))?;
    progress.start(None);
    let counted = count(&rows, &KeyTrie::new(options.examples), progress).and_then(|trie| match trie.is_overfull {
        // A path that was skipped in one chunk can be in the list because of another chunk.
        true => count(&rows, &trie.closed(), progress),
        false => Ok(trie),
    });
    progress.finish();
    let counted = counted?;
    let unlisted = counted.unlisted;
    let sources = counted.into_paths().map(|(source, paths)| SourceKeys::new(source, paths));
    Ok(KeysReport { inputs: inputs.iter().map(TraceInput::summary).collect(), sources: sources.collect(), unlisted })
}

/// Counts the paths of rows. A trie that has paths is closed.
fn count(rows: &SelectedRows<'_, '_>, empty: &KeyTrie, progress: &dyn Progress) -> Result<KeyTrie> {
    let mut all = empty.clone();
    rows.collect(
        || empty.clone(),
        |trie, row| trie.add(&row.envelope.source, row.envelope.entry()),
        &mut |trie| {
            all.append(trie);
            Ok(())
        },
        progress,
    )?;
    Ok(all)
}

impl SourceKeys {
    fn new(source: String, paths: Vec<(KeyPath, PathCounts)>) -> Self {
        let rows = paths.first().map_or(0, |(_, root)| root.rows);
        // Omits the path of the row itself, because every row is an object.
        let is_plain = |path: &KeyPath, counts: &PathCounts| path.steps().is_empty() && counts.types.object == rows;
        let listed = paths.into_iter().filter(|(path, counts)| !is_plain(path, counts));
        Self { source, rows, paths: listed.map(|(path, counts)| ListedPath::new(path, &counts)).collect() }
    }
}

impl ListedPath {
    fn new(path: KeyPath, counts: &PathCounts) -> Self {
        let mut examples: Vec<String> = Vec::new();
        for example in counts.examples.iter().map(|json| shortened(json)) {
            if !examples.contains(&example) {
                examples.push(example);
            }
        }
        Self { path, rows: counts.rows, types: counts.types, examples }
    }
}

/// Returns the JSON text of a value, truncated to some characters. `text` is the start of the full text.
fn shortened(json: &str) -> String {
    let cut = |text: &str| match text.char_indices().nth(MAX_EXAMPLE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    match json.strip_prefix('"') {
        Some(inner) => {
            // The closing quotation mark is missing if the text was truncated.
            let content = match ends_with_quote(inner) {
                true => cut(&unescaped(&inner[..inner.len() - 1])),
                false => cut(&(unescaped(inner).into_owned() + "…")),
            };
            serde_json::Value::from(content).to_string()
        }
        None => cut(json),
    }
}

/// Returns true if a text contains the quotation mark that closes a string. The text begins after the opening one.
fn ends_with_quote(inner: &str) -> bool {
    let Some(before) = inner.strip_suffix('"') else { return false };
    before.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0
}

fn as_text<S: serde::Serializer>(path: &KeyPath, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(path)
}
