//! The changes that an import makes to each log. A dry run returns the same plan that a real run
//! carries out.

use std::path::PathBuf;

use serde::Serialize;

use crate::format::{Base, FileName, SourceName};
pub use crate::logs::rotation::Rotation;
pub use crate::util::line_reader::LineCount;
use crate::util::path_text;

/// The treatment of logs that already exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Keeps the distinct lines of both sides, including unparsed lines. A line is kept as often as
    /// it occurs on the side that has it more often. Two lines are equal if their bytes are, line
    /// endings aside. Each side keeps its order, and the two are interleaved by time. If the sides
    /// disagree about the order, the local order wins. Logs between which rotation moves rows count
    /// as one. If the sides have different last rows about the same run, and either could come
    /// last, the row with the later end of the run comes last.
    #[default]
    Merge,
    /// Appends the bundle's lines to the local ones, duplicates included.
    Append,
    /// Replaces the local log with the bundle's, and keeps the local log as a backup beside it.
    Overwrite,
}

/// The kind of change to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Change {
    /// The file is already up to date, and is left unchanged.
    Nothing,
    /// The file does not exist yet.
    Created,
    /// The file gets a new version.
    Changed,
}

/// The changes that an import makes to one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct FilePlan {
    /// The source of its rows.
    pub source: SourceName,
    /// Its name.
    pub file: FileName,
    /// The directory that it belongs to.
    pub base: Base,
    /// Its path. If this is a symlink, the import follows and keeps it.
    #[serde(serialize_with = "path_text::path")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub path: PathBuf,
    /// The kind of change.
    pub change: Change,
    /// Lines that the import adds to the file.
    pub new: LineCount,
    /// Lines of the bundle's file of this name that this machine already has, in this file or in
    /// one to which rotation moves its rows.
    pub already_there: LineCount,
    /// Existing lines that the file keeps.
    pub kept: LineCount,
    /// Existing lines that only the backup keeps; none unless the file is overwritten.
    pub replaced: LineCount,
    /// The length before the import, in bytes, if the file exists.
    pub bytes_before: Option<u64>,
    /// The length after the import, in bytes.
    pub bytes_after: u64,
    /// The rotation that Patchwork's next write triggers, if the file is too long. Lines that move
    /// to an archive are counted in the log that they come from.
    pub rotation: Option<Rotation>,
    /// The path of the backup, if the old version is replaced and kept.
    #[serde(serialize_with = "path_text::optional_path")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub backup: Option<PathBuf>,
}

/// The changes that an import makes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The treatment of logs that already exist.
    pub mode: Mode,
    /// Every considered file, including unchanged ones. The files of one source are adjacent,
    /// oldest rows first.
    pub files: Vec<FilePlan>,
}

impl Plan {
    /// Returns true if every file is already up to date.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.files.iter().all(|file| file.change == Change::Nothing)
    }

    /// Returns the number of new lines in all files.
    #[must_use]
    pub fn new_lines(&self) -> LineCount {
        let mut all = LineCount::default();
        self.files.iter().for_each(|file| all += file.new);
        all
    }
}
