//! What an import does to each log, as values. A dry run gives the same plan that the real run carries out.

use std::path::PathBuf;

use crate::format::{Base, FileName, SourceName};
pub use crate::lines::LineCount;
pub use crate::sources::rotation::Rotation;

/// What happens to a log that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Every distinct line of both sides is kept as often as the side has it that has it more often, unparsed lines
    /// included. Two lines are the same when their bytes are, whatever ends them. Each side keeps its order, and the two
    /// are interleaved by time; where the two disagree about the order, the local one stays. Logs between which rotation
    /// moves rows count as one. Where both sides end with different rows about the same run, and either may come last,
    /// the row of the run that ended later does: whichever side it is on.
    #[default]
    Merge,
    /// The bundle's lines go behind the local ones, whatever these are.
    Append,
    /// The bundle's log replaces the local one, which is kept as a backup beside it.
    Overwrite,
}

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It is as it should be, and is not touched.
    Nothing,
    /// It is not there yet.
    Created,
    /// It gets a new version.
    Changed,
}

/// What an import does to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePlan {
    /// The source of its rows.
    pub source: SourceName,
    /// Its name.
    pub file: FileName,
    /// Which directory it belongs to.
    pub base: Base,
    /// Where it is. A link there is followed, and stays.
    pub path: PathBuf,
    /// What is done to it.
    pub change: Change,
    /// Lines that it gets.
    pub new: LineCount,
    /// Lines of the bundle's file of this name that this machine has already: in this file, or in one to which
    /// rotation moves its rows.
    pub already_there: LineCount,
    /// Lines that it had and keeps.
    pub kept: LineCount,
    /// Lines that it had and that only the backup keeps. None but with [`Mode::Overwrite`].
    pub replaced: LineCount,
    /// Its length before, in bytes, if it was there.
    pub bytes_before: Option<u64>,
    /// Its length after.
    pub bytes_after: u64,
    /// The change that Patchwork's next write makes to it, if it is then too long. With an archive's lines counted in
    /// the log that they come from.
    pub rotation: Option<Rotation>,
    /// Where its old version is kept, if that is replaced.
    pub backup: Option<PathBuf>,
}

/// What an import does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What happens to logs that are there already.
    pub mode: Mode,
    /// Every file that is looked at, those included that stay as they are. The files of one source stand together,
    /// oldest rows first.
    pub files: Vec<FilePlan>,
}

impl Plan {
    /// Whether every file is as it should be already.
    #[must_use]
    pub fn changes_nothing(&self) -> bool {
        self.files.iter().all(|file| file.change == Change::Nothing)
    }

    /// Lines that are new, of all files.
    #[must_use]
    pub fn new_lines(&self) -> LineCount {
        let mut all = LineCount::default();
        self.files.iter().for_each(|file| all += file.new);
        all
    }
}
