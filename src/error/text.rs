//! What each kind of error says, and what it tells the user to do next.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::{Error, ErrorKind, Obstacle};

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, source } => write!(f, "cannot be {action}: {}", system_words(source)),
            Self::LogName(fault) => write!(f, "this log's name cannot stand in a bundle: {fault}"),
            Self::LogShrank { opened, read } => write!(
                f,
                "the log shrank while it was read: it had {} bytes when it was opened, and only {} could be read",
                grouped(*opened),
                grouped(*read)
            ),
            Self::LineTooLong { limit } => write!(f, "this line is longer than {} bytes", grouped(*limit)),
            Self::TooManyUnparsed { limit } => write!(
                f,
                "too much of this log is not JSON Lines: its unparsed lines need a manifest of over {} bytes",
                grouped(*limit)
            ),
            Self::TooManyLogs { limit } => {
                write!(f, "there are more than {} logs, and a bundle has no more than that", grouped(*limit as u64))
            }
            Self::UnknownSource { name, known } => write!(f, "there is no source {name:?}; {}", listed(known)),
            Self::OtherSource { name } => {
                write!(
                    f,
                    "the source {name:?} is one that Patchwork's own importer does not know, so it is not bundled by default"
                )
            }
            Self::UnknownFile { name, known } => write!(f, "there is no file {name:?}; {}", listed(known)),
            Self::ManifestTooLong { limit } => write!(f, "the manifest is longer than {} bytes", grouped(*limit)),
            Self::UnsupportedVersion { found, supported } => {
                write!(f, "this bundle has format version {found}, and this program reads version {supported}")
            }
            Self::Manifest(fault) => fault.fmt(f),
            Self::Gzip(fault) => fault.fmt(f),
            Self::Row(fault) => fault.fmt(f),
            Self::EntryType { source } => write!(f, "this row does not fit the type that it is read into: {source}"),
            Self::FewerThanDeclared { expected, found } => {
                write!(
                    f,
                    "the bundle has {} rows here, and its manifest declares {}",
                    grouped(*found),
                    grouped(*expected)
                )
            }
            Self::ForeignSource { source } => {
                write!(f, "the bundle has a log of the source {source:?}, which this program does not know")
            }
            Self::NotOfSource { source, base } => {
                write!(f, "no log of the source {source:?} in the {base} directory has this name")
            }
            other => other.fmt_of_machine(f),
        }
    }
}

impl ErrorKind {
    /// What is said of kinds that are about this machine and what was done on it.
    fn fmt_of_machine(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingDirectory { variable: None } => f.write_str("this directory does not exist"),
            Self::MissingDirectory { variable: Some(variable) } => {
                write!(f, "this directory, which {variable} names, does not exist")
            }
            Self::NoLogs { sources, places } => write!(f, "{}", no_logs(sources, places)),
            Self::SameTarget { other } => write!(f, "this log and {other:?} lead to the same file on this machine"),
            Self::DanglingLink { to } => {
                write!(f, "a link stands where the log should be, and leads to {}, where nothing is", to.display())
            }
            Self::ForeignLink { to } => {
                write!(f, "this symlink to {} belongs to another user, so it is not followed", to.display())
            }
            Self::Locked { seconds } => {
                write!(f, "another program holds this lock, and did not release it within {seconds} seconds")
            }
            Self::CannotReplace { obstacle } => f.write_str(match obstacle {
                Obstacle::Immutable => "cannot replace this log: it or its directory is marked immutable",
                Obstacle::AppendOnly => "cannot replace this log: it or its directory is marked append-only",
                Obstacle::MountPoint => "cannot replace this log: it is a mount point",
            }),
            Self::TooManyLines { limit } => write!(f, "there are more than {} lines to merge", grouped(*limit)),
            Self::PartiallyCommitted { placed, all, cause, .. } => {
                write!(f, "{} of {all} logs are in their place, and then: {cause}", placed.len())
            }
            Self::ReportLost { source } => {
                write!(f, "all was done, but the report of it cannot be written: {}", system_words(source))
            }
            Self::DirectorySyncFailed { cause } => {
                write!(f, "it is whole and in its place, but a power cut might undo that: {cause}")
            }
            other => f.write_str(other.sentence().unwrap_or_default()),
        }
    }

    /// What is said of kinds without data. `None` where what is said depends on the data.
    fn sentence(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoHome => "your home directory is not known, so neither is where the logs are",
            Self::TargetExists => "this file is there already",
            Self::NoTargetDirectory { .. } => "this directory does not exist, so the bundle cannot be written there",
            Self::CannotPreserveOwner => {
                "this log belongs to another user or group, who could not write to what would replace it"
            }
            Self::TargetIsLog => {
                "this is a log, or has the name of one (or of its lock, backup or temporary file), and a bundle must not be written there"
            }
            Self::TargetIsTerminal => "a bundle is compressed data, and standard output is a terminal",
            Self::NotAFile => "this is where a log should be, but it is no regular file",
            Self::LogsKeepChanging => "its writers kept it locked or changed it each time it was read, for 30 seconds",
            Self::EmptyInput => "this is empty",
            Self::TargetIsDirectory | Self::InputIsDirectory => "this is a directory, and a bundle is a file",
            Self::NotABundle => "this is no bundle: it is neither gzip nor JSON Lines",
            Self::GzipOfSomethingElse => "this is no bundle: it is gzip, but of something else",
            Self::RowBeforeManifest => "a row stands where the manifest must be",
            Self::NotAManifest => "this is no bundle: its first line is JSON, but no manifest",
            Self::ChunkMismatch => "the content is not what the manifest recorded for it",
            Self::MoreThanDeclared => "the bundle holds more than its manifest declares",
            Self::ContentEnds => "the bundle ends before all that its manifest declares",
            Self::NothingToRecover => "nothing in here is a row or a manifest of a bundle",
            Self::OutputNotIntact => "what was written is not whole when it is read back",
            Self::RestoredDiffers => "the restored log does not match the length and SHA-256 in the manifest",
            Self::ProcNotMounted => {
                "another user can change this directory, and importing into it safely needs /proc, which is not mounted"
            }
            Self::LineFeedMissing => "the last line of this chunk has no line feed",
            Self::NotByteForByte => "a bundle of format 1.0 does not have this log byte for byte, only its rows",
            Self::LockLost => "another program took this lock away while it was held",
            Self::Cancelled => "this was ended before it was done",
            Self::LogKeepsChanging => "this log changed each time before its new version could be put in its place",
            Self::Io { .. }
            | Self::MissingDirectory { .. }
            | Self::NoLogs { .. }
            | Self::LogName(_)
            | Self::LogShrank { .. }
            | Self::LineTooLong { .. }
            | Self::TooManyUnparsed { .. }
            | Self::TooManyLogs { .. }
            | Self::UnknownSource { .. }
            | Self::OtherSource { .. }
            | Self::UnknownFile { .. }
            | Self::ManifestTooLong { .. }
            | Self::UnsupportedVersion { .. }
            | Self::Manifest(_)
            | Self::Gzip(_)
            | Self::Row(_)
            | Self::EntryType { .. }
            | Self::FewerThanDeclared { .. }
            | Self::ForeignSource { .. }
            | Self::NotOfSource { .. }
            | Self::SameTarget { .. }
            | Self::CannotReplace { .. }
            | Self::DanglingLink { .. }
            | Self::ForeignLink { .. }
            | Self::Locked { .. }
            | Self::TooManyLines { .. }
            | Self::PartiallyCommitted { .. }
            | Self::ReportLost { .. }
            | Self::DirectorySyncFailed { .. } => return None,
        })
    }
}

impl ErrorKind {
    /// What to do next.
    pub(super) fn hint(&self) -> String {
        match self {
            Self::Io { source, .. } => return io_hint(source).to_owned(),
            Self::NoHome => "set HOME, or name the directories with --patchwork-dir and --activity-dir",
            Self::TargetExists => "name another file with -o, or add --force to replace this one",
            Self::MissingDirectory { .. } => "check the spelling, or leave it out to use the default directory",
            Self::NoLogs { .. } => {
                "check --patchwork-dir and --activity-dir, or add --allow-empty to write the bundle all the same"
            }
            Self::NoTargetDirectory { is_default: true } => "name a file elsewhere with -o",
            Self::NoTargetDirectory { is_default: false } => {
                "check the spelling, or add --create-dirs to create the directory"
            }
            Self::TargetIsDirectory => "name a file in it with -o",
            Self::TargetIsLog => "name another file with -o",
            Self::CannotReplace { obstacle: Obstacle::MountPoint } => {
                "mount the directory instead of the single file, or leave the source out with --source"
            }
            Self::CannotReplace { .. } => {
                "remove the attribute with `chattr -i -a`, or leave the source out with --source"
            }
            Self::CannotPreserveOwner => "run the import as the user whose log it is, or as root",
            Self::TargetIsTerminal => "send it to a file or a program, as in `-o - > traces.jsonl.gz`",
            Self::NotAFile => "move it out of the way, or put the log back in its place",
            Self::LogName(_) => "rename the log, or leave --include-other out",
            Self::LogShrank { .. } => {
                "something rewrote it meanwhile; run the command again, best while Patchwork is idle"
            }
            Self::LogsKeepChanging => "run the command again while Patchwork is idle",
            Self::LineTooLong { .. } => "look at the file there: no program writes such a line as a row",
            Self::TooManyUnparsed { .. } => "look at the log: move the part that is no JSON Lines elsewhere",
            Self::TooManyLogs { .. } => TOO_MANY_LOGS,
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
            Self::ForeignLink { .. } => FOREIGN_LINK,
            Self::ProcNotMounted => {
                "mount /proc, or run the import as the user whose directory it is (`sudo -u NAME`)"
            }
            Self::Locked { .. } => "try again once Patchwork is idle; if it is not running, remove the lock",
            Self::EntryType { .. } => "look at the row with `patchwork-traces cat`, and at the type: logs hold whatever was appended",
            Self::LockLost => "run the command again",
            Self::LogKeepsChanging => "run the command again, best while Patchwork is idle",
            Self::Cancelled => "nothing was changed; run the command again",
            Self::TooManyLines { .. } => "import with --mode append, or move the log out of the way",
            Self::PartiallyCommitted { is_repeatable, cause, .. } => return placed_in_part_hint(cause, *is_repeatable),
            Self::ReportLost { .. } => "there is no need to run the command again",
            Self::NotByteForByte => "leave out --exact to print its rows",
            Self::DirectorySyncFailed { .. } => "check the disk, and make another copy of it",
            Self::Manifest(_)
            | Self::Gzip(_)
            | Self::Row(_)
            | Self::ChunkMismatch
            | Self::MoreThanDeclared
            | Self::FewerThanDeclared { .. }
            | Self::ContentEnds
            | Self::LineFeedMissing
            | Self::RestoredDiffers => {
                "the bundle is damaged or was changed: `verify` lists all that is wrong, `recover` saves what is left of it"
            },
        }
        .to_owned()
    }
}

const FOREIGN_LINK: &str = "run the import as the user whose directory it is (`sudo -u NAME`), or name the real directory with \
     --patchwork-dir or --activity-dir";

const TOO_MANY_LOGS: &str =
    "move old logs elsewhere before they are bundled; a bundle that names so many is none that a program wrote";

/// What to do next where some logs are in their places, and then this happened.
fn placed_in_part_hint(cause: &Error, is_repeatable: bool) -> String {
    let first = match cause.kind() {
        ErrorKind::Cancelled => None,
        ErrorKind::LogKeepsChanging => Some("stop Patchwork, or wait until it is idle".to_owned()),
        _ => Some(cause.hint()).filter(|hint| !hint.starts_with("run the command again")),
    };
    let first = first.map(|first| format!("{first}; then "));
    let next = match is_repeatable {
        true => "run the command again, and it finishes the work",
        false => {
            "import the bundle with `--mode merge`, which finishes the work: to append again would add lines twice"
        }
    };
    format!("{}{next}", first.unwrap_or_default())
}

/// A number with its digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, rest) = digits.split_at(first);
    let groups = rest.as_bytes().chunks(3).map(String::from_utf8_lossy);
    let head = Some(head.into()).filter(|_| first > 0);
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}

/// `the bundle has …` for an error that lists what there is.
fn listed(known: &[String]) -> String {
    match known {
        [] => "there are none here".to_owned(),
        known => format!("there are: {}", known.join(", ")),
    }
}

/// Says where there are no logs, and of which sources if some were asked for.
fn no_logs(sources: &[String], places: &[PathBuf]) -> String {
    let places = places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(" and ");
    match sources {
        [] => format!("no logs were found in {places}"),
        [source] => format!("no log of the source {source:?} was found in {places}"),
        sources => format!("no logs of the sources {} were found in {places}", sources.join(" and ")),
    }
}

/// The system's reason in its own words, without the error number.
fn system_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::StorageFull => "no space is left on the disk".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only".to_owned(),
        io::ErrorKind::BrokenPipe => "nobody reads from it any more".to_owned(),
        _ => {
            let text = of_system(error).to_string();
            within_sentence(text.split(" (os error").next().unwrap_or_default())
        }
    }
}

/// The words of another program with a small first letter, unless their first word is not an ordinary one, such as `RPC`.
/// What comes after may be a path, and stays as it is.
fn within_sentence(words: &str) -> String {
    let mut chars = words.chars();
    let first = chars.next().filter(char::is_ascii_uppercase);
    let is_ordinary = chars.clone().next().is_some_and(|second| second.is_ascii_lowercase() || second == ' ');
    match first {
        Some(first) if is_ordinary => format!("{}{}", first.to_ascii_lowercase(), chars.as_str()),
        _ => words.to_owned(),
    }
}

/// What the system said, without the path that `fs_err` puts before it: the position of the error has that.
fn of_system(error: &io::Error) -> &io::Error {
    let inner = error.get_ref().and_then(|outer| outer.source());
    inner.and_then(|inner| inner.downcast_ref()).unwrap_or(error)
}

/// Returns true if this process, or the system, has too many open files.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    // EMFILE and ENFILE, which have these numbers on every Unix.
    cfg!(unix) && matches!(of_system(error).raw_os_error(), Some(23 | 24))
}

fn io_hint(error: &io::Error) -> &'static str {
    if is_out_of_descriptors(error) {
        return "allow more open files with `ulimit -n`, as in `ulimit -n 1024`, and try again";
    }
    match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "check who owns it and its permissions",
        io::ErrorKind::StorageFull => "free some space, or name a file on another disk",
        io::ErrorKind::ReadOnlyFilesystem => "name a file on another disk",
        io::ErrorKind::BrokenPipe => "the program that read from it ended: start it again, and then this command",
        _ => "check the disk and the path, and try again",
    }
}
