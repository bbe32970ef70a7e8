//! The kinds of error, as data.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::{Error, GzipFault, ManifestFault, NameFault, RowFault};

/// What was being done when input or output failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoAction {
    /// Opening a file.
    Open,
    /// Listing a directory.
    List,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Creating a file or directory.
    Create,
    /// Compressing.
    Compress,
    /// Putting a finished file in its place.
    Rename,
    /// Taking the lock of a log.
    Lock,
    /// Keeping a log as a backup.
    BackUp,
    /// Removing.
    Remove,
}

impl fmt::Display for IoAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "opened",
            Self::List => "listed",
            Self::Read => "read",
            Self::Write => "written",
            Self::Create => "created",
            Self::Compress => "compressed",
            Self::Rename => "put in its place",
            Self::Lock => "locked",
            Self::BackUp => "kept as a backup",
            Self::Remove => "removed",
        })
    }
}

/// The reason why the system refuses to have a file replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// It, or its directory, has the attribute "immutable".
    Immutable,
    /// It, or its directory, has the attribute "append only".
    AppendOnly,
    /// Something is mounted there, such as a single file of the host in a container.
    MountPoint,
}

/// What went wrong, as data.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused something.
    Io {
        /// What was being done.
        action: IoAction,
        /// What the system said.
        source: io::Error,
    },
    /// Neither a home directory nor the directory itself is known.
    NoHome,
    /// A directory that was named does not exist.
    MissingDirectory {
        /// The environment variable that names it. `None` for an argument.
        variable: Option<&'static str>,
    },
    /// There are no logs to bundle.
    NoLogs {
        /// The sources that were asked for and have none. Empty when all were asked for.
        sources: Vec<String>,
        /// The directories that were searched.
        places: Vec<PathBuf>,
    },
    /// The output file is there already.
    TargetExists,
    /// The directory of the output file does not exist.
    NoTargetDirectory {
        /// Whether it is the default one: nobody named an output file.
        is_default: bool,
    },
    /// The output file is a directory.
    TargetIsDirectory,
    /// The output file is one of the logs, or has a name that is reserved for logs, their locks, backups and temporary files.
    TargetIsLog,
    /// A bundle would be written to a terminal.
    TargetIsTerminal,
    /// The system refuses to have a log replaced.
    CannotReplace {
        /// Why.
        obstacle: Obstacle,
    },
    /// A log belongs to another user or group, who could not write to its new version.
    CannotPreserveOwner,
    /// A log is a directory, a device or the like.
    NotAFile,
    /// A log's file name cannot stand in a bundle.
    LogName(NameFault),
    /// A log became shorter while it was read.
    LogShrank {
        /// Its length when it was opened, in bytes.
        opened: u64,
        /// What could be read of it.
        read: u64,
    },
    /// The logs of a source changed each time they were read, for thirty seconds.
    LogsKeepChanging,
    /// A line is longer than the format allows.
    LineTooLong {
        /// The longest that is allowed, in bytes.
        limit: u64,
    },
    /// A log has more unparsed lines than a manifest can hold.
    TooManyUnparsed {
        /// The longest manifest that is allowed, in bytes.
        limit: u64,
    },
    /// There are more logs than a bundle can have.
    TooManyLogs {
        /// The most that are allowed.
        limit: usize,
    },
    /// No such source.
    UnknownSource {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A source that is bundled only when logs outside of the catalogue are asked for.
    OtherSource {
        /// What was asked for.
        name: String,
    },
    /// No such file in the bundle.
    UnknownFile {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The input has no bytes.
    EmptyInput,
    /// The input is a directory.
    InputIsDirectory,
    /// The input is neither gzip nor JSON Lines.
    NotABundle,
    /// The input is gzip, but of something else.
    GzipOfSomethingElse,
    /// The first line is a row.
    RowBeforeManifest,
    /// The first line is JSON, but no manifest.
    NotAManifest,
    /// The manifest is longer than the format allows.
    ManifestTooLong {
        /// The longest that is allowed, in bytes.
        limit: u64,
    },
    /// The bundle is of a format version that this library does not know.
    UnsupportedVersion {
        /// What its manifest says, shortened.
        found: String,
        /// What this library reads.
        supported: u64,
    },
    /// The manifest is not what the format allows.
    Manifest(ManifestFault),
    /// The gzip container is damaged.
    Gzip(GzipFault),
    /// A line is no row.
    Row(RowFault),
    /// A row is not of the type that the caller reads rows into.
    EntryType {
        /// What does not fit, and where in the row.
        source: serde_json::Error,
    },
    /// A chunk's content does not match its `crc32`, `bytes` or `rows`.
    ChunkMismatch,
    /// The bundle holds more than its manifest declares.
    MoreThanDeclared,
    /// The bundle ends before all the rows that its manifest declares.
    FewerThanDeclared {
        /// How many rows the manifest declares here.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The content ends before the end of a chunk that the manifest declares.
    ContentEnds,
    /// A chunk's last line has no line feed.
    LineFeedMissing,
    /// A restored log is not what its manifest entry says.
    RestoredDiffers,
    /// A log is wanted byte for byte, and the bundle has only its rows, as those of 1.0 do.
    NotByteForByte,
    /// A bundle has a log of a source that is neither known nor that of an other log of its name.
    ForeignSource {
        /// The source.
        source: String,
    },
    /// A bundle has a log whose name or directory is none of its source.
    NotOfSource {
        /// The source.
        source: String,
        /// The directory that the bundle names.
        base: String,
    },
    /// Two logs of a bundle lead to one file.
    SameTarget {
        /// The other log's `relativePath`.
        other: String,
    },
    /// A link stands in the place of a log, and leads to nothing.
    DanglingLink {
        /// Where it leads.
        to: PathBuf,
    },
    /// A symlink on the way to a log belongs to another user, and leads out of its directory.
    ForeignLink {
        /// Where it leads.
        to: PathBuf,
    },
    /// `/proc` is needed to import into a directory that another user can change, and is not mounted.
    ProcNotMounted,
    /// Somebody else holds the lock of a log.
    Locked {
        /// How long it was waited for, in seconds.
        seconds: u64,
    },
    /// The lock of a log was taken away while it was held.
    LockLost,
    /// A log changed each time before its new version could be put in its place.
    LogKeepsChanging,
    /// Two logs have more lines between them than can be merged.
    TooManyLines {
        /// The most lines that are allowed.
        limit: u64,
    },
    /// Some logs are in their place, and then one could not be put there.
    PartiallyCommitted {
        /// The logs that are in their place.
        placed: Vec<PathBuf>,
        /// How many there were to be.
        all: usize,
        /// Whether the same import, run again, finishes the work. One that appends would add lines again.
        is_repeatable: bool,
        /// Why the next one is not.
        cause: Error,
    },
    /// All was done, but the report of it could not be written.
    ReportLost {
        /// What the system said.
        source: io::Error,
    },
    /// A file is in its place, and then its directory could not be synced.
    DirectorySyncFailed {
        /// Why not.
        cause: Error,
    },
    /// A damaged bundle has neither a row nor a manifest that could be recovered.
    NothingToRecover,
    /// A bundle that was just written is not whole when it is read back.
    OutputNotIntact,
    /// Somebody ended the operation early.
    Cancelled,
}
