//! The kinds of error: what each says, and what it tells the user to do next.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::{Error, GzipFault, ManifestFault, NameFault, RowFault};
use crate::format::Base;

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
    /// The output file is there already.
    TargetExists,
    /// The output file is a directory.
    TargetIsDirectory,
    /// The output file is one of the logs, or would become one.
    TargetIsLog,
    /// A bundle would be written to a terminal.
    TargetIsTerminal,
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
    /// The files of one source were replaced each time they were opened.
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
    /// A restored log is not what its manifest entry says.
    RestoredDiffers,
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
        base: Base,
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
    PlacedInPart {
        /// The logs that are in their place.
        placed: Vec<PathBuf>,
        /// How many there were to be.
        all: usize,
        /// Why the next one is not.
        cause: Error,
    },
    /// A damaged bundle has neither a row nor a manifest that could be recovered.
    NothingToRecover,
    /// A bundle that was just written is not whole when it is read back.
    OutputNotIntact,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, source } => write!(f, "cannot be {action}: {}", system_words(source)),
            Self::NoHome => f.write_str("your home directory is not known, so neither is where the logs are"),
            Self::TargetExists => f.write_str("this file is there already"),
            Self::TargetIsLog => f.write_str("this is the place of a log, and a bundle must not replace it"),
            Self::TargetIsTerminal => f.write_str("a bundle is compressed data, and standard output is a terminal"),
            Self::NotAFile => f.write_str("this is where a log should be, but it is no regular file"),
            Self::LogName(fault) => write!(f, "this log's name cannot stand in a bundle: {fault}"),
            Self::LogShrank { opened, read } => write!(
                f,
                "the log shrank while it was read: it had {opened} bytes when it was opened, and only {read} could be read"
            ),
            Self::LogsKeepChanging => f.write_str("this log was replaced each time it was opened"),
            Self::LineTooLong { limit } => write!(f, "this line is longer than {limit} bytes"),
            Self::TooManyUnparsed { limit } => write!(
                f,
                "too much of this log is not JSON Lines: its unparsed lines need a manifest of over {limit} bytes"
            ),
            Self::UnknownSource { name, known } => write!(f, "there is no source {name:?}; {}", listed(known)),
            Self::OtherSource { name } => {
                write!(
                    f,
                    "the source {name:?} is one that Patchwork's own importer does not know, so it is not bundled by default"
                )
            }
            Self::UnknownFile { name, known } => write!(f, "there is no file {name:?}; {}", listed(known)),
            Self::EmptyInput => f.write_str("this is empty"),
            Self::TargetIsDirectory | Self::InputIsDirectory => {
                f.write_str("this is a directory, and a bundle is a file")
            }
            Self::NotABundle => f.write_str("this is no bundle: it is neither gzip nor JSON Lines"),
            Self::GzipOfSomethingElse => f.write_str("this is no bundle: it is gzip, but of something else"),
            Self::RowBeforeManifest => f.write_str("a row stands where the manifest must be"),
            Self::NotAManifest => f.write_str("this is no bundle: its first line is JSON, but no manifest"),
            Self::ManifestTooLong { limit } => write!(f, "the manifest is longer than {limit} bytes"),
            Self::UnsupportedVersion { found, supported } => {
                write!(f, "this bundle has format version {found}, and this program reads version {supported}")
            }
            Self::Manifest(fault) => fault.fmt(f),
            Self::Gzip(fault) => fault.fmt(f),
            Self::Row(fault) => fault.fmt(f),
            Self::ChunkMismatch => f.write_str("the content is not what the manifest recorded for it"),
            Self::MoreThanDeclared => f.write_str("the bundle holds more than its manifest declares"),
            Self::FewerThanDeclared { expected, found } => {
                write!(f, "the bundle has {found} rows here, and its manifest declares {expected}")
            }
            Self::ContentEnds => f.write_str("the bundle ends before all that its manifest declares"),
            Self::NothingToRecover => f.write_str("nothing in here is a row or a manifest of a bundle"),
            Self::OutputNotIntact => f.write_str("what was written is not whole when it is read back"),
            Self::RestoredDiffers => {
                f.write_str("the restored log does not match the length and SHA-256 in the manifest")
            }
            Self::ForeignSource { source } => {
                write!(f, "the bundle has a log of the source {source:?}, which this program does not know")
            }
            Self::NotOfSource { source, base } => {
                write!(f, "no log of the source {source:?} in the {base} directory has this name")
            }
            Self::SameTarget { other } => write!(f, "this log and {other:?} lead to the same file on this machine"),
            Self::DanglingLink { to } => {
                write!(f, "a link stands where the log should be, and leads to {}, where nothing is", to.display())
            }
            Self::Locked { seconds } => {
                write!(f, "another program holds this lock, and did not release it within {seconds} seconds")
            }
            Self::LockLost => f.write_str("another program took this lock away while it was held"),
            Self::LogKeepsChanging => {
                f.write_str("this log changed each time before its new version could be put in its place")
            }
            Self::TooManyLines { limit } => write!(f, "there are more than {limit} lines to merge"),
            Self::PlacedInPart { placed, all, cause } => {
                write!(f, "{} of {all} logs are in their place, and then: {cause}", placed.len())
            }
        }
    }
}

impl ErrorKind {
    /// What to do next.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Io { source, .. } => return io_hint(source).to_owned(),
            Self::NoHome => "set HOME, or name the directories with --patchwork-dir and --activity-dir",
            Self::TargetExists => "name another file with -o, or add --force to replace this one",
            Self::TargetIsDirectory => "name a file in it with -o",
            Self::TargetIsLog => "name another file with -o",
            Self::TargetIsTerminal => "send it to a file or a program, as in `-o - > traces.jsonl.gz`",
            Self::NotAFile => "move it out of the way, or put the log back in its place",
            Self::LogName(_) => "rename the log, or leave --include-other out",
            Self::LogShrank { .. } | Self::LogsKeepChanging => {
                "something rewrote it meanwhile; run the command again, best while Patchwork is idle"
            }
            Self::LineTooLong { .. } => "look at the file there: no program writes such a line as a row",
            Self::TooManyUnparsed { .. } => "look at the log: move the part that is no JSON Lines elsewhere",
            Self::OtherSource { .. } => "add --include-other to bundle it",
            Self::UnknownSource { .. } | Self::UnknownFile { .. } => "check the spelling",
            Self::EmptyInput | Self::InputIsDirectory | Self::NotABundle | Self::GzipOfSomethingElse => {
                "name a file that `patchwork-traces export` wrote"
            }
            Self::RowBeforeManifest | Self::NotAManifest => {
                "the first line is missing or this is another file; take another copy of the bundle"
            }
            Self::NothingToRecover => "check that this is the bundle that you mean; another copy of it may have more",
            Self::OutputNotIntact => "nothing was left there; check the disk, and write to another one",
            Self::ManifestTooLong { .. } => "no bundle has such a manifest; take another copy of it",
            Self::UnsupportedVersion { .. } => "it was probably written by a newer version of patchwork-traces: update",
            Self::ForeignSource { .. } => {
                "a newer version of patchwork-traces may know it; or name the sources that you want with --source"
            }
            Self::NotOfSource { .. } => {
                "no export writes this; take another copy of the bundle, or leave the source out with --source"
            }
            Self::SameTarget { .. } => "look for a link between the two, and move one of them out of the way",
            Self::DanglingLink { .. } => "put the file there, or remove the link",
            Self::Locked { .. } => "try again once Patchwork is idle; if it is not running, remove the lock",
            Self::LockLost => "run the command again",
            Self::LogKeepsChanging => "run the command again, best while Patchwork is idle",
            Self::TooManyLines { .. } => "import with --mode append, or move the log out of the way",
            Self::PlacedInPart { cause, .. } => {
                return format!("{}; then run the command again, and it finishes the work", cause.hint());
            }
            Self::Manifest(_)
            | Self::Gzip(_)
            | Self::Row(_)
            | Self::ChunkMismatch
            | Self::MoreThanDeclared
            | Self::FewerThanDeclared { .. }
            | Self::ContentEnds
            | Self::RestoredDiffers => "the bundle is damaged or was changed; take another copy of it, if there is one",
        }
        .to_owned()
    }
}

/// `the bundle has …` for an error that lists what there is.
fn listed(known: &[String]) -> String {
    match known {
        [] => "there are none here".to_owned(),
        known => format!("here are: {}", known.join(", ")),
    }
}

/// The system's reason in its own words, without the error number.
fn system_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "you are not permitted to".to_owned(),
        io::ErrorKind::StorageFull => "no space is left on the disk".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_lowercase()
        }
    }
}

fn io_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "check who owns it and its permissions",
        io::ErrorKind::StorageFull => "free some space, or name a file on another disk",
        io::ErrorKind::ReadOnlyFilesystem => "name a file on another disk",
        _ => "check the disk and the path, and try again",
    }
}
